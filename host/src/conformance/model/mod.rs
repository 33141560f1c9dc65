//! Random sequences of calls, compared with a model of the contract.
//!
//! - `contract`: the model, a readable form of what `wit/` says.
//! - `script`: sequences of calls as text. `session`: running one on a store and on the model.
//! - `generate`: random ones. A sequence that fails is shrunk, and told as a script that
//!   [`Kit::replay`](super::Kit::replay) runs again.

mod contract;
mod generate;
mod script;
mod session;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use proptest::test_runner::{
    Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner,
};
use tokio::runtime::Handle;

use self::script::Call;
use self::session::Session;
pub use self::session::Step;
use super::clause::{Clause, Finding, Outcome, clause};
use super::subject::Subject;
use crate::error::Result;

pub(super) const CLAUSES: &[Clause] = &[clause!(
    subject,
    "model/random",
    "random sequences of calls are answered as by a model of the contract",
    random
)];

/// How many sequences are tried, where nobody says.
pub(super) const DEFAULT_CASES: u32 = 64;
/// How long new sequences are begun, and a failing one is shrunk.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a failing sequence is shrunk.
const MOST_SHRINKS: u32 = 2_000;

async fn random(subject: Subject) -> Outcome {
    let runtime = Handle::current();
    let searching = tokio::task::spawn_blocking(move || search(&subject, &runtime));
    match searching.await {
        Ok(found) => found,
        Err(error) => Err(Finding::broken(format!("the search itself failed: {error}"))),
    }
}

/// Tries random sequences, and shrinks the first that fails. Blocks.
fn search(subject: &Subject, runtime: &Handle) -> Outcome {
    let config = Config {
        cases: subject.cases(),
        max_shrink_iters: MOST_SHRINKS,
        failure_persistence: None,
        ..Config::default()
    };
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&subject.seed().to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(config, random);
    let (start, sessions) = (Instant::now(), AtomicU32::new(0));
    let run = |calls: &[Call]| {
        let number = sessions.fetch_add(1, Ordering::Relaxed);
        let calls = [calls, &generate::last_look()].concat();
        runtime.block_on(run(subject, &format!("model-{number}"), &calls))
    };
    let tried = runner.run(&generate::scripts(), |calls| {
        if start.elapsed() > PATIENCE {
            return Ok(());
        }
        let found = run(&calls).map_err(|_| TestCaseError::fail("a call failed"))?;
        match found.iter().all(|step| step.agrees) {
            true => Ok(()),
            false => Err(TestCaseError::fail("the model says otherwise")),
        }
    });
    match tried {
        Ok(()) => Ok(()),
        Err(TestError::Fail(_, calls)) => {
            let steps = run(&calls)?;
            Err(counterexample(&steps))
        }
        Err(TestError::Abort(why)) => Err(Finding::broken(format!("the search gave up: {why}"))),
    }
}

async fn run(subject: &Subject, name: &str, calls: &[Call]) -> Result<Vec<Step>, Finding> {
    Session::start(subject, name).await?.run(calls).await
}

/// What was found, with the script that shows it again.
fn counterexample(steps: &[Step]) -> Finding {
    let Some(last) = steps.last().filter(|step| !step.agrees) else {
        return Finding::broken("a sequence of calls was answered wrongly once, and then rightly");
    };
    let script: Vec<&str> = steps.iter().map(|step| step.call.as_str()).collect();
    Finding::broken(format!(
        "the last call of this script was answered {}, expected {}. Save it, and run it again with \
         --replay:\n{}",
        last.answer,
        last.expected,
        script.join("\n")
    ))
}

/// Runs a script on an empty store, up to the first call that the model says otherwise.
pub(super) async fn replay(subject: &Subject, script: &str) -> Result<Vec<Step>, Finding> {
    let calls = script::read(script)?;
    run(subject, "replay", &calls).await
}
