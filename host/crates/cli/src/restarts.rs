//! When a server restarts, and how long that may take.

use std::time::Duration;

use mortise::limits::parse_duration;
use mortise::serve::restart::{LoopGuard, RestartLimits};

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Restarts")]
pub struct Restarts {
    /// Restarts also when the program or the configuration changed
    #[arg(long)]
    restart_on_change: bool,
    /// How long the new process may take to start
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "30s")]
    restart_start_deadline: Duration,
    /// How long calls may take to end before the new process takes over
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "10s")]
    restart_drain_deadline: Duration,
    /// How long the new process may take to open its stores, with migrations, while calls wait
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "60s")]
    restart_restore_deadline: Duration,
    /// How many restarts there may be within --restart-window that no person asked for
    #[arg(long, value_name = "N", default_value_t = 5)]
    restart_max: u32,
    /// See --restart-max
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "60s")]
    restart_window: Duration,
}

impl Restarts {
    /// How long each step may take.
    pub fn limits(&self) -> RestartLimits {
        let mut limits = RestartLimits::default();
        limits.start_deadline = self.restart_start_deadline;
        limits.drain_deadline = self.restart_drain_deadline;
        limits.restore_deadline = self.restart_restore_deadline;
        limits.guard = LoopGuard {
            max: self.restart_max,
            window: self.restart_window,
        };
        limits
    }

    /// Whether a change of the program or the configuration asks for one.
    pub fn on_change(&self) -> bool {
        self.restart_on_change
    }
}
