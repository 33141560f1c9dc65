//! The machine, with the time turned by hand.

use mortise_store::{ErrorKind, Operation};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Three traps in ten seconds; pauses of one to eight seconds.
fn machine(now: Instant) -> Machine {
    let mut limits = Limits::default();
    limits.breaker_traps = 3;
    limits.breaker_window = 10 * SECOND;
    limits.breaker_pause = SECOND;
    limits.breaker_max_pause = 8 * SECOND;
    Machine::new(&limits, now)
}

fn trap() -> Trap {
    Trap {
        what: "the component trapped".to_owned(),
        said: Some("asked to".to_owned()),
    }
}

impl Machine {
    /// One admitted call that traps, with no unevenness.
    fn trap(&mut self, now: Instant) -> Option<Duration> {
        let call = self.admit(now).unwrap();
        self.trapped(call, now, trap(), 0.0)
    }

    /// Opened by three traps.
    fn open(now: Instant) -> Self {
        let mut machine = machine(now);
        assert_eq!(machine.trap(now), None);
        assert_eq!(machine.trap(now), None);
        assert_eq!(machine.trap(now), Some(SECOND));
        machine
    }
}

#[test]
fn traps_that_are_too_far_apart_do_not_open_it() {
    let mut now = Instant::now();
    let mut machine = machine(now);
    for _ in 0..100 {
        now += 5 * SECOND + Duration::from_millis(1);
        assert_eq!(machine.trap(now), None);
    }
    assert_eq!(machine.trap(now), Some(SECOND));
    assert_eq!(machine.traps, 101);
}

#[test]
fn without_a_number_of_traps_it_never_opens() {
    let now = Instant::now();
    let mut machine = machine(now);
    machine.max_traps = 0;
    for _ in 0..100 {
        assert_eq!(machine.trap(now), None);
    }
}

#[test]
fn open_it_says_how_many_traps_in_how_long_and_when_the_next_probe_is() {
    let start = Instant::now();
    let mut machine = machine(start);
    for second in 0..3 {
        machine.trap(start + second * SECOND);
    }
    let rest = machine
        .admit(start + Duration::from_millis(2_400))
        .unwrap_err();
    let error = rest.into_error(Operation::Load);
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(
        error.to_string(),
        "load: the call was not made, because the backend trapped 3 times in 2.4s; the next one is tried \
         in 600ms; the last time, the component trapped: asked to"
    );
    let now = start + 3 * SECOND;
    let probe = machine.admit(now).unwrap();
    let error = machine.admit(now).unwrap_err().into_error(Operation::Load);
    assert!(error.to_string().contains("one is being tried"), "{error}");
    assert!(machine.answered(probe, now));
    machine.admit(now).unwrap();
}

#[test]
fn the_pause_doubles_up_to_the_longest_and_is_forgotten_after_a_quiet_window() {
    let mut now = Instant::now();
    let mut machine = Machine::open(now);
    for pause in [2, 4, 8, 8, 8] {
        now += 8 * SECOND;
        assert_eq!(machine.trap(now), Some(pause * SECOND));
    }
    now += 8 * SECOND;
    let probe = machine.admit(now).unwrap();
    assert!(machine.answered(probe, now));
    // Not quiet for long enough: the pause is as long as it was.
    now += 9 * SECOND;
    assert_eq!((machine.trap(now), machine.trap(now)), (None, None));
    assert_eq!(machine.trap(now), Some(8 * SECOND));
    now += 8 * SECOND;
    let probe = machine.admit(now).unwrap();
    assert!(machine.answered(probe, now));
    now += 10 * SECOND;
    assert_eq!((machine.trap(now), machine.trap(now)), (None, None));
    assert_eq!(machine.trap(now), Some(SECOND));
}

#[test]
fn a_pause_is_uneven_and_never_longer_than_the_longest() {
    for (unevenness, pause) in [(0.0, 1_000), (0.5, 750), (1.0, 500)] {
        let now = Instant::now();
        let mut machine = machine(now);
        machine.trap(now);
        machine.trap(now);
        let call = machine.admit(now).unwrap();
        let opened = machine.trapped(call, now, trap(), unevenness);
        assert_eq!(opened, Some(Duration::from_millis(pause)));
    }
}

#[test]
fn what_calls_report_that_were_admitted_before_changes_nothing() {
    let now = Instant::now();
    let mut machine = machine(now);
    let calls: Vec<_> = (0..10).map(|_| machine.admit(now).unwrap()).collect();
    let opened = |call: &Admission| machine.trapped(*call, now, trap(), 0.0);
    assert_eq!(calls.iter().filter_map(opened).count(), 1);
    let era = machine.era;
    assert!(!machine.answered(calls[0], now));
    machine.given_up(calls[0], now);
    assert_eq!((machine.era, machine.traps), (era, 10));
}

/// Every sequence of seven events: never two probes at once, and never stuck.
#[test]
fn whatever_happens_it_probes_with_one_call_at_a_time_and_heals() {
    const EVENTS: u32 = 5;
    const LENGTH: u32 = 7;
    let start = Instant::now();
    for sequence in 0..EVENTS.pow(LENGTH) {
        let mut now = start;
        // Two more traps and it is open, so that seven events lead everywhere.
        let mut machine = machine(now);
        machine.trap(now);
        let mut calls = VecDeque::new();
        for step in 0..LENGTH {
            match sequence / EVENTS.pow(step) % EVENTS {
                0 => now += 2 * SECOND,
                1 => {
                    calls.extend(machine.admit(now));
                }
                event => {
                    let Some(call) = calls.pop_front() else {
                        continue;
                    };
                    match event {
                        2 => _ = machine.trapped(call, now, trap(), 0.5),
                        3 => _ = machine.answered(call, now),
                        _ => machine.given_up(call, now),
                    }
                }
            }
            let probes = calls.iter().filter(|call| call.is_probe).count();
            assert!(probes <= 1, "sequence {sequence}");
            assert_eq!(probes == 1, matches!(machine.phase, Phase::Probing));
        }
        for call in calls {
            machine.given_up(call, now);
        }
        now += 8 * SECOND;
        let call = machine.admit(now).expect("the longest pause is over");
        machine.answered(call, now);
        assert!(
            matches!(machine.phase, Phase::Closed { .. }),
            "sequence {sequence}"
        );
    }
}
