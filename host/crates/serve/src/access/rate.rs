//! How many requests a second each token, or each client's address, has.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use axum::http::HeaderValue;
use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use mortise_config::ServeLimits;
use mortise_store::Digest;

/// After so many requests, those who had none of late are forgotten.
const FORGET_EVERY: u32 = 4096;
/// With more requesters than this, addresses are no longer counted one by one, but all together.
const MAX_REQUESTERS: usize = 65_536;
/// What of an IPv6 address counts: one client mostly has all addresses of a /64.
const CLIENT_BITS: Ipv6Addr = Ipv6Addr::new(0xffff, 0xffff, 0xffff, 0xffff, 0, 0, 0, 0);

/// Whose requests are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Requester {
    /// All who send the token with this hash.
    Token(Digest),
    /// All at an address, where no tokens are asked for.
    Peer(IpAddr),
    /// All addresses, where there are too many.
    Crowd,
}

impl Requester {
    /// Whoever is at this address.
    pub(super) fn peer(address: IpAddr) -> Self {
        Self::Peer(match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(address & CLIENT_BITS),
            address => address,
        })
    }
}

/// More requests than the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {per_second} requests a second, try again in {wait:.1?}")]
pub(crate) struct RateLimited {
    per_second: NonZeroU32,
    /// How long it takes until the next request may come.
    wait: Duration,
}

impl RateLimited {
    /// The header `Retry-After` of the answer: whole seconds, one at least.
    pub(crate) fn retry_after(&self) -> HeaderValue {
        let seconds = self.wait.as_secs() + u64::from(self.wait.subsec_nanos() > 0);
        HeaderValue::from(seconds.max(1))
    }
}

type Limiter<C> =
    RateLimiter<Requester, HashMapStateStore<Requester>, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// The rate limit of a server. What it remembers is bounded, whoever asks how often.
pub(crate) struct RateLimit<C: Clock = MonotonicClock> {
    limiter: Limiter<C>,
    clock: C,
    per_second: NonZeroU32,
    requests: AtomicU32,
    is_crowded: AtomicBool,
}

impl RateLimit {
    /// The configured one; none where there is no limit.
    pub(crate) fn new(limits: &ServeLimits) -> Option<Self> {
        Self::with_clock(limits, MonotonicClock)
    }
}

impl<C: Clock + Clone> RateLimit<C> {
    fn with_clock(limits: &ServeLimits, clock: C) -> Option<Self> {
        let per_second = limits.per_second?;
        let burst = limits.burst.unwrap_or(per_second);
        let quota = Quota::per_second(per_second).allow_burst(burst);
        Some(Self {
            limiter: RateLimiter::hashmap_with_clock(quota, clock.clone()),
            clock,
            per_second,
            requests: AtomicU32::new(0),
            is_crowded: AtomicBool::new(false),
        })
    }

    /// Counts a request, or refuses it.
    pub(crate) fn check(&self, requester: Requester) -> Result<(), RateLimited> {
        let before = self.requests.fetch_add(1, Ordering::Relaxed);
        if before % FORGET_EVERY == FORGET_EVERY - 1 {
            self.forget();
        }
        let requester = match requester {
            Requester::Peer(_) if self.is_crowded.load(Ordering::Relaxed) => Requester::Crowd,
            // Tokens are as many as are configured.
            requester => requester,
        };
        self.limiter
            .check_key(&requester)
            .map_err(|until| RateLimited {
                per_second: self.per_second,
                wait: until.wait_time_from(self.clock.now()),
            })
    }

    /// Forgets those whose count is as if they had never come.
    fn forget(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
        let is_crowded = self.limiter.len() > MAX_REQUESTERS;
        if is_crowded != self.is_crowded.swap(is_crowded, Ordering::Relaxed) {
            tracing::warn!(
                is_crowded,
                "the rate limit counts all addresses together while there are too many of them"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use governor::clock::FakeRelativeClock;

    use super::*;

    /// A limit with a clock that stands still until it is turned.
    fn limit(
        per_second: u32,
        burst: Option<u32>,
    ) -> (RateLimit<FakeRelativeClock>, FakeRelativeClock) {
        let mut limits = ServeLimits::default();
        limits.per_second = NonZeroU32::new(per_second);
        limits.burst = burst.and_then(NonZeroU32::new);
        let clock = FakeRelativeClock::default();
        (
            RateLimit::with_clock(&limits, clock.clone()).unwrap(),
            clock,
        )
    }

    fn peer(number: u32) -> Requester {
        Requester::peer(IpAddr::V4(Ipv4Addr::from_bits(number)))
    }

    fn served<C: Clock + Clone>(limit: &RateLimit<C>, requester: Requester) -> usize {
        (0..1000)
            .take_while(|_| limit.check(requester).is_ok())
            .count()
    }

    #[test]
    fn no_limit_is_set_where_none_is_configured() {
        assert!(RateLimit::new(&ServeLimits::default()).is_none());
    }

    #[test]
    fn each_has_its_requests_a_second_and_a_burst_after_a_rest() {
        let (limit, clock) = limit(10, Some(30));
        let token = Requester::Token(Digest::of(b"a"));
        assert_eq!(served(&limit, token), 30);
        assert_eq!(served(&limit, Requester::Token(Digest::of(b"b"))), 30);
        assert_eq!(served(&limit, peer(1)), 30);
        clock.advance(Duration::from_secs(1));
        assert_eq!(served(&limit, token), 10);
        clock.advance(Duration::from_secs(3600));
        assert_eq!(served(&limit, token), 30);
    }

    #[test]
    fn a_burst_is_of_one_second_where_none_is_set() {
        let (limit, _) = limit(7, None);
        assert_eq!(served(&limit, peer(1)), 7);
    }

    #[test]
    fn who_is_refused_learns_how_long_to_wait() {
        let (limit, clock) = limit(1, Some(1));
        limit.check(peer(1)).unwrap();
        let refused = limit.check(peer(1)).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "more than 1 requests a second, try again in 1.0s"
        );
        assert_eq!(refused.retry_after(), "1");
        clock.advance(Duration::from_millis(999));
        assert_eq!(limit.check(peer(1)).unwrap_err().retry_after(), "1");
        clock.advance(Duration::from_millis(1));
        limit.check(peer(1)).unwrap();
        let wait = Duration::from_millis(2001);
        let per_second = NonZeroU32::MIN;
        assert_eq!(RateLimited { per_second, wait }.retry_after(), "3");
    }

    #[test]
    fn the_highest_rate_is_counted() {
        let (limit, clock) = limit(1_000_000, Some(1));
        limit.check(peer(1)).unwrap();
        limit.check(peer(1)).unwrap_err();
        clock.advance(Duration::from_micros(1));
        limit.check(peer(1)).unwrap();
    }

    #[test]
    fn those_who_left_are_forgotten() {
        let (limit, clock) = limit(10, None);
        for number in 0..10 * FORGET_EVERY {
            clock.advance(Duration::from_millis(1));
            limit.check(peer(number)).unwrap();
        }
        // Those of the last second, and those since they were last forgotten.
        assert!(limit.limiter.len() <= 2000 + FORGET_EVERY as usize);
    }

    #[test]
    fn a_crowd_is_counted_as_one_and_tokens_apart() {
        let (limit, clock) = limit(100, None);
        let come = |numbers: std::ops::Range<u32>| {
            numbers
                .filter(|number| limit.check(peer(*number)).is_ok())
                .count()
        };
        come(0..1_000_000);
        assert!(limit.limiter.len() <= MAX_REQUESTERS + FORGET_EVERY as usize + 1);
        assert_eq!(come(2_000_000..2_000_100), 0);
        assert_eq!(served(&limit, Requester::Token(Digest::of(b"a"))), 100);
        clock.advance(Duration::from_secs(60));
        come(0..FORGET_EVERY);
        assert_eq!(come(0..200), 200);
    }

    #[test]
    fn a_client_with_a_network_of_ipv6_is_one_requester() {
        let at = |text: &str| Requester::peer(text.parse().unwrap());
        assert_eq!(at("2001:db8::1"), at("2001:db8::2"));
        assert_ne!(at("2001:db8::1"), at("2001:db8:0:1::1"));
        assert_eq!(at("::ffff:192.0.2.7"), at("192.0.2.7"));
    }
}
