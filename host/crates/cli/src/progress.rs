//! A bar on stderr for work that takes more than a moment.

use std::fmt;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use mortise::Store;
use mortise::transfer::Phase;

use crate::output::Output;

/// Work that ends sooner shows no bar.
const MOMENT: Duration = Duration::from_millis(400);

/// How far the work is. Shown on a terminal only, and not where the data goes to the same terminal.
pub struct Progress {
    bar: ProgressBar,
    start: Option<Instant>,
    unit: &'static str,
    phase: Option<Phase>,
}

impl Progress {
    /// Counts `unit`s. `prints`: the command prints data as it goes.
    pub fn new(output: &Output, unit: &'static str, prints: bool) -> Self {
        let wanted = !output.is_quiet()
            && std::io::stderr().is_terminal()
            && !(prints && std::io::stdout().is_terminal());
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let progress = Self {
            bar,
            start: wanted.then(Instant::now),
            unit,
            phase: None,
        };
        progress.show(format!("{{spinner}} {{human_pos}} {unit} ({{elapsed}})"));
        progress
    }

    /// Counts the records of a store, which says how many there are.
    pub async fn of_store(output: &Output, store: &Store, prints: bool) -> Self {
        let mut progress = Self::new(output, "records", prints);
        // Counting takes time, too: only where somebody sees it.
        if progress.start.is_some()
            && let Ok(collections) = store.statistics().await
        {
            progress.expect(collections.iter().map(|counts| counts.records).sum());
        }
        progress
    }

    /// How many there will be: from here on the bar shows the rate, and the time that remains.
    pub fn expect(&mut self, total: u64) {
        let unit = self.unit;
        self.bar.set_length(total);
        self.show(format!(
            "{{msg}}{{bar:24}} {{human_pos}}/{{human_len}} {unit}, {{rate}}, {{eta}} left"
        ));
    }

    /// So far.
    pub fn set(&mut self, position: u64) {
        self.bar.set_position(position);
        if self.start.is_some_and(|start| start.elapsed() > MOMENT) {
            self.start = None;
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }

    /// So far in this phase. What was checked is what there is to write.
    pub fn set_in(&mut self, phase: Phase, position: u64) {
        let before = self.phase.replace(phase);
        if before != Some(phase) {
            if before == Some(Phase::Check) {
                self.expect(self.bar.position());
            }
            self.bar.set_message(match phase {
                Phase::Check => "checking ",
                Phase::Verify => "verifying ",
                _ => "",
            });
            self.bar.reset_eta();
        }
        self.set(position);
    }

    fn show(&self, template: String) {
        if let Ok(style) = ProgressStyle::with_template(&template) {
            let rate = |state: &ProgressState, to: &mut dyn fmt::Write| {
                // What cannot be drawn is not drawn.
                let _ = write!(to, "{}/s", HumanCount(state.per_sec() as u64));
            };
            self.bar.set_style(style.with_key("rate", rate));
        }
    }
}

/// Leaves no trace on the terminal, also where the work failed.
impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
