//! Stores over HTTP: a process of its own serves the store, and its callers keep their connections open. Beside it
//! competes the same store in the callers' process.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use mortise::serve::Server;
use serde::Serialize;
use tokio::io::AsyncReadExt as _;
use tokio::runtime::Runtime;

use crate::arena::CALLERS;
use crate::contest::{Entrant, Operation, Records, Rounds, compete};
use crate::latency::{self, Percentiles};
use crate::ours::{Ours, host};
use crate::report::Contest;
use crate::start;
use crate::storage::{Backend, Storage};

/// One operation, embedded and over HTTP.
#[derive(Debug, Serialize)]
pub struct OverHttp {
    #[serde(flatten)]
    pub contest: Contest,
    /// How long single calls of each contestant take.
    pub percentiles: [Percentiles; 2],
}

pub fn measure(runtime: &Runtime, records: Records, rounds: Rounds) -> Vec<OverHttp> {
    let mut all = Vec::new();
    for backend in [Backend::Memory, Backend::SqliteFull, Backend::Redis] {
        eprintln!("{} over HTTP", backend.name());
        let [here, there] = [(); 2].map(|()| Storage::new(backend));
        let server = ServerProcess::start(&there.url);
        let ours = [&here.url, &server.url].map(|url| Ours::fill(runtime, url, records));
        let [embedded, over_http] = ours.clone();
        let mut entrants = [
            Entrant::new("embedded", records, embedded),
            Entrant::new("over HTTP", records, over_http),
        ];
        for operation in [Operation::Load, Operation::Create] {
            for callers in CALLERS {
                let rates = compete(runtime, &mut entrants, operation, callers, rounds);
                all.push(OverHttp {
                    contest: Contest {
                        backend: backend.name(),
                        records: records.count,
                        body_bytes: records.body_bytes,
                        operation,
                        callers,
                        rates,
                    },
                    percentiles: ours
                        .each_ref()
                        .map(|ours| latency::percentiles(runtime, ours, operation, callers)),
                });
            }
        }
    }
    all
}

/// A process that serves one store.
struct ServerProcess {
    process: Child,
    url: String,
}

impl ServerProcess {
    fn start(store: &str) -> Self {
        let mut command = start::process(&format!("serve {store}"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut said = BufReader::new(process.stdout.take().unwrap());
        let mut url = String::new();
        said.read_line(&mut url).unwrap();
        url.truncate(url.trim_end().len());
        Self { process, url }
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // Closes its stdin, with which it ends.
        let _ = self.process.wait();
    }
}

/// What the process does: says at which URL it serves the store, and serves it until its stdin ends, and so no longer
/// than its parent lives.
#[allow(clippy::print_stdout, reason = "it is what the parent waits for")]
pub fn serve(store: &str) {
    Runtime::new().unwrap().block_on(async {
        let store = host().build().unwrap().open(store).await.unwrap();
        let server = Server::new([store]).unwrap();
        let server = server.bind("127.0.0.1:0").await.unwrap();
        println!("{}", server.url());
        let stop = async {
            let _ = tokio::io::stdin().read(&mut [0]).await;
        };
        server.run(stop).await;
    });
}
