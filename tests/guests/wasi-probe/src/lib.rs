//! A backend that looks for what WASI gives it.
//!
//! `load` acts on the id of the key, whatever the collection: see [`WasiProbe::load`]. Everything else is
//! `unsupported`.

use std::time::{Instant, SystemTime};
use std::{env, fs, net};

use mortise_guest::{
    Backend, CollectionStatistics, Description, Draft, Error, Instances, Key, Options, Page, Query,
    Rejection, Stamp, Stored, Write,
};

mortise_guest::export!(WasiProbe);

/// The backend `wasi-probe`.
#[derive(Debug)]
pub struct WasiProbe;

impl Backend for WasiProbe {
    fn describe() -> Description {
        Description {
            name: "wasi-probe".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            instances: Instances::Pooled,
            durable: false,
            max_body_bytes: 64 << 20,
            max_batch: 1_000,
        }
    }

    fn open(options: &mut Options) -> Result<Self, Error> {
        options.take_u64("max-store-bytes")?;
        Ok(Self)
    }

    /// Answers a record whose body says what was found.
    ///
    /// | id | what is looked for |
    /// |---|---|
    /// | `env` | environment variables and arguments: `vars [] args []` where there are none |
    /// | `fs` | a line each for `/`, `.`, `/etc/passwd` and a file to create, `PATH: ok` or `PATH: error …` |
    /// | `stdout` | nothing: writes a line to each of stdout and stderr |
    /// | `tcp` | a connection to 127.0.0.1:1 |
    /// | `time` | both clocks |
    /// | `random` | the random numbers that a hash map is seeded with |
    /// | anything else | answers none |
    fn load(&mut self, key: Key) -> Result<Option<Stored>, Error> {
        let body = match key.id.as_str() {
            "env" => format!(
                "vars {:?} args {:?}",
                env::vars_os().collect::<Vec<_>>(),
                env::args_os().collect::<Vec<_>>()
            ),
            "fs" => files(),
            "stdout" => write_to_both(),
            "tcp" => format!("{:?}", net::TcpStream::connect("127.0.0.1:1")),
            "time" => format!("{:?} {:?}", SystemTime::now(), Instant::now()),
            "random" => format!("{:?}", random()),
            _ => return Ok(None),
        };
        let draft = Draft {
            key,
            body: body.into_bytes(),
            attributes: Vec::new(),
            expires_at: None,
        };
        let stamp = Stamp::next(None, 1, 0);
        Ok(Some(Stored { draft, stamp }))
    }

    fn apply(&mut self, _batch: Vec<Write>) -> Result<Vec<Stamp>, Rejection> {
        Err(unsupported().into())
    }

    fn find(&mut self, _query: Query, _max_bytes: u64) -> Result<Page, Error> {
        Err(unsupported())
    }

    fn export(&mut self, _: Option<String>, _: u32, _: u64) -> Result<Page, Error> {
        Err(unsupported())
    }

    fn import(&mut self, _records: Vec<Stored>) -> Result<(), Error> {
        Err(unsupported())
    }

    fn sweep(&mut self, _limit: u32) -> Result<u32, Error> {
        Err(unsupported())
    }

    fn clear(&mut self, _collection: Option<String>) -> Result<u64, Error> {
        Err(unsupported())
    }

    fn statistics(&mut self) -> Result<Vec<CollectionStatistics>, Error> {
        Err(unsupported())
    }
}

fn files() -> String {
    let results = [
        ("/", fs::read_dir("/").map(|_| ())),
        (".", fs::read_dir(".").map(|_| ())),
        ("/etc/passwd", fs::read("/etc/passwd").map(|_| ())),
        ("new", fs::write("new", "text")),
    ];
    let lines = results.map(|(path, result)| match result {
        Ok(()) => format!("{path}: ok"),
        Err(error) => format!("{path}: error {error}"),
    });
    lines.join("\n")
}

#[allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "where they end up is what is asked"
)]
fn write_to_both() -> String {
    println!("a line on stdout");
    eprintln!("a line on stderr");
    "written".into()
}

fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}

fn unsupported() -> Error {
    Error::Unsupported("a probe only loads".into())
}
