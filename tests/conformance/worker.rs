//! The process that the kit kills: this test binary again.

use std::fs::File;
use std::io::Write as _;

use mortise::conformance::run_worker;

/// What starts one. It says what it wrote on descriptor 3, because the test harness talks on its standard output.
pub fn command() -> Vec<String> {
    let this = std::env::current_exe().unwrap();
    let start = "exec \"$0\" worker::writes_until_it_is_killed --exact --ignored --nocapture 3>&1 >/dev/null";
    ["sh", "-c", start, this.to_str().unwrap()]
        .map(str::to_owned)
        .to_vec()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a process of the kit's"]
async fn writes_until_it_is_killed() {
    let mut batches = File::options().write(true).open("/dev/fd/3").unwrap();
    let tell = |batch: &str| batches.write_all(format!("{batch}\n").as_bytes()).is_ok();
    run_worker(std::io::stdin(), tell).await.unwrap();
}
