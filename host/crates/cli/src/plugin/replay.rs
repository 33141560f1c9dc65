//! `mortise plugin test FILE --replay SCRIPT`

use std::path::Path;

use anyhow::Context as _;
use mortise::conformance::{Kit, Step};
use serde::Serialize;

use crate::exit_code::CliError;
use crate::output::{Format, Output};

#[derive(Serialize)]
struct Replayed<'a> {
    call: &'a str,
    answer: &'a str,
    expected: &'a str,
    agrees: bool,
}

/// Runs a script of the clause `model/random` again, and tells each call, its answer, and what the
/// contract's model says.
pub async fn replay(
    kit: &Kit,
    component: &[u8],
    script: &Path,
    output: &mut Output,
) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(script)
        .with_context(|| format!("{} cannot be read", script.display()))?;
    let steps = kit.replay(component, &text).await?;
    for step in &steps {
        match output.format() {
            Format::Json => output.json(&Replayed {
                call: &step.call,
                answer: &step.answer,
                expected: &step.expected,
                agrees: step.agrees,
            })?,
            Format::Text => tell(step, output)?,
        }
    }
    output.arrive()?;
    match steps.last() {
        Some(last) if !last.agrees => {
            let message = format!("call {} is not answered as the contract says", steps.len());
            let hint = "mend the backend, and run the script again";
            Err(CliError::backend_fault(message, hint).into())
        }
        _ => Ok(()),
    }
}

fn tell(step: &Step, output: &mut Output) -> anyhow::Result<()> {
    output.text(&step.call)?;
    output.text(format_args!("  answer   {}", step.answer))?;
    match step.agrees {
        true => Ok(()),
        false => output.text(format_args!("  expected {}", step.expected)),
    }
}
