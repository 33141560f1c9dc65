//! The clause `model/random`: searching a sequence of calls that is answered wrongly.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use tokio::runtime::Handle;

use super::generate;
use super::script::{self, Call};
use super::session::{Session, Step};
use crate::clause::{Clause, Finding, Outcome, clause};
use crate::world::Subject;
use mortise_store::inside::{ErrorInside as _, Later};
use mortise_store::{Error, ErrorKind, Operation, Result};

pub(crate) const CLAUSES: &[Clause] = &[clause!(
    subject,
    "model/random",
    "random sequences of calls are answered as by a model of the contract",
    random
)];

/// How many sequences are tried, where nobody says.
pub const DEFAULT_CASES: u32 = 64;
/// How long new sequences are begun, and a failing one is shrunk.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a failing sequence is shrunk.
const MOST_SHRINKS: u32 = 2_000;

async fn random(subject: Subject) -> Outcome {
    let runtime = Handle::current();
    let searching = tokio::task::spawn_blocking(move || search(&subject, &runtime));
    match searching.await {
        Ok(found) => found,
        Err(error) => Err(Finding::broken(format!(
            "the search itself failed: {error}"
        ))),
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
            let steps = run(&calls).map_err(|found| in_script(&found, &calls))?;
            Err(counterexample(&steps))
        }
        Err(TestError::Abort(why)) => Err(Finding::broken(format!("the search gave up: {why}"))),
    }
}

async fn run(subject: &Subject, name: &str, calls: &[Call]) -> Result<Vec<Step>, Finding> {
    Session::start(subject, name).await?.run(calls).await
}

/// What was found on the way, with the script.
fn in_script(found: &Finding, calls: &[Call]) -> Finding {
    let (Finding::Broken(found) | Finding::NotApplicable(found)) = found;
    Finding::broken(format!(
        "{found}. In this script:\n{}",
        script::write(calls)
    ))
}

/// What was answered, with the script that shows it again.
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

/// A sequence of calls to run again.
pub struct Script(Vec<Call>);

impl Script {
    /// Reads the text that the clause told.
    ///
    /// # Errors
    ///
    /// `Config`: the line that is no call, and why.
    pub fn read(text: &str) -> Result<Self> {
        script::read(text).map(Self)
    }

    /// Runs it on an empty store, up to the first call that is not answered as the model says.
    ///
    /// # Errors
    ///
    /// `Component` where the backend fails on the way.
    pub fn replay<'a>(&'a self, subject: &'a Subject) -> Later<'a, Result<Vec<Step>>> {
        Box::pin(async move {
            run(subject, "replay", &self.0).await.map_err(|found| {
                let (Finding::Broken(found) | Finding::NotApplicable(found)) = found;
                Error::new(ErrorKind::Component, Operation::Open, found)
            })
        })
    }
}
