//! `mortise plugin test-worker`

use mortise::conformance::run_worker;

/// Writes to the store that `mortise plugin test` names on stdin, until it is killed
#[derive(Debug, clap::Args)]
pub struct TestWorker {}

impl TestWorker {
    pub async fn run(self) -> anyhow::Result<()> {
        Ok(run_worker(std::io::stdin(), std::io::stdout).await?)
    }
}
