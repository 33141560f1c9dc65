//! `mortise plugin test-worker`

use mortise::conformance::run_worker;

use crate::output::Output;

/// Writes to the store that `mortise plugin test` names on stdin, until it is killed
#[derive(Debug, clap::Args)]
pub struct TestWorker {}

impl TestWorker {
    pub async fn run(self, output: &mut Output) -> anyhow::Result<()> {
        let tell = |batch: &str| {
            let told = output.text(batch).and_then(|()| output.arrive());
            told.is_ok() && !output.is_closed()
        };
        Ok(run_worker(std::io::stdin(), tell).await?)
    }
}
