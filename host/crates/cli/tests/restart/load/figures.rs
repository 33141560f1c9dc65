//! How long calls took, and how long those that met a restart.

use std::time::{Duration, Instant};

use mortise::serve::restart::Restart;

/// What is called a stall.
const STALL: Duration = Duration::from_millis(500);

/// A call: when it was made, and when it was answered.
#[derive(Clone, Copy)]
pub struct Call {
    begun: Instant,
    ended: Instant,
}

impl Call {
    /// One that was made then, and is answered now.
    pub fn since(begun: Instant) -> Self {
        let ended = Instant::now();
        Self { begun, ended }
    }

    fn took(self) -> Duration {
        self.ended - self.begun
    }
}

/// A restart, from the request until a new process serves.
pub struct Ready {
    pub begun: Instant,
    pub ready: Instant,
    pub restart: Restart,
}

impl Ready {
    fn took(&self) -> Duration {
        self.ready - self.begun
    }
}

/// Tells the figures of calls that came this `way`; `restarts` are in their order.
#[allow(
    clippy::print_stderr,
    reason = "figures of a test, for who asks for them"
)]
pub fn report(way: &str, restarts: &[Ready], calls: &[Call]) {
    let took = restarts.iter().map(Ready::took).collect();
    eprintln!("{way}: from request to ready: {}", spread(took));
    if let Some(slowest) = restarts.iter().max_by_key(|restart| restart.took()) {
        let phases = slowest.restart.phases.iter();
        let phases = phases.map(|entry| (entry.phase, entry.milliseconds));
        eprintln!("the longest: {:?}", phases.collect::<Vec<_>>());
    }
    let (met, longest) = meet(restarts, calls);
    let of = |calls: &[Call]| spread(calls.iter().map(|call| call.took()).collect());
    eprintln!("all calls: {}", of(calls));
    eprintln!("calls that met a restart: {}", of(&met));
    eprintln!(
        "the longest call that met each restart: {}",
        spread(longest)
    );
}

/// The calls that met a restart, and for each restart how long the longest of them took.
fn meet(restarts: &[Ready], calls: &[Call]) -> (Vec<Call>, Vec<Duration>) {
    let mut longest = vec![Duration::ZERO; restarts.len()];
    let mut met = Vec::new();
    for call in calls {
        let first = restarts.partition_point(|restart| restart.ready <= call.begun);
        let those = restarts[first..].iter().zip(&mut longest[first..]);
        let those = those.take_while(|(restart, _)| restart.begun < call.ended);
        let before = met.len();
        for (_, longest) in those {
            *longest = call.took().max(*longest);
            met.truncate(before);
            met.push(*call);
        }
    }
    (met, longest)
}

fn spread(mut took: Vec<Duration>) -> String {
    took.sort_unstable();
    let Some(last) = took.len().checked_sub(1) else {
        return "none".to_owned();
    };
    let at = |share: usize| took[last * share / 1000];
    let over = took.len() - took.partition_point(|took| *took <= STALL);
    format!(
        "{}: {:?} (median), {:?} (99 %), {:?} (99.9 %), {:?} (longest); {over} over {STALL:?} ({:.3} %)",
        took.len(),
        at(500),
        at(990),
        at(999),
        at(1000),
        percent(over, took.len()),
    )
}

fn percent(part: usize, whole: usize) -> f64 {
    let [part, whole] = [part, whole].map(|count| u32::try_from(count).map_or(f64::NAN, f64::from));
    100.0 * part / whole
}
