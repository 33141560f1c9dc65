//! A bar on stderr for work that takes more than a moment.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::Output;

/// Work that ends sooner shows no bar.
const MOMENT: Duration = Duration::from_millis(400);

/// How far the work is. Shown on a terminal only, and not where the data goes to the same terminal.
pub struct Progress {
    bar: ProgressBar,
    start: Option<Instant>,
}

impl Progress {
    /// Counts `unit`s. `prints`: the command prints data as it goes.
    pub fn new(output: &Output, unit: &str, prints: bool) -> Self {
        let wanted = !output.is_quiet()
            && std::io::stderr().is_terminal()
            && !(prints && std::io::stdout().is_terminal());
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let template = format!("{{spinner}} {{human_pos}} {unit} ({{elapsed}})");
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style);
        }
        Self {
            bar,
            start: wanted.then(Instant::now),
        }
    }

    /// So far.
    pub fn set(&mut self, position: u64) {
        self.bar.set_position(position);
        if self.start.is_some_and(|start| start.elapsed() > MOMENT) {
            self.start = None;
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }
}

/// Leaves no trace on the terminal, also where the work failed.
impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
