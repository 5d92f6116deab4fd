//! Which networks call in vain, and how often: one address alone takes neither all places of those who are not logged in,
//! nor the processor with handshakes that lead to no login.
//!
//! A connection is an *attempt* of its network until it has logged in; attempts that have not are bounded by a rate
//! ([`super::Limits::attempts`]). So whoever logs in is never counted, and many lampposts behind one address all come in;
//! who fails, asks by HTTP or says nothing is let in at the rate and no faster, and those who are logged in stay. Feeds keep
//! such a table of their own, of logins with a wrong key ([`crate::feeds::FeedLimits::failures`]).
//!
//! It keeps a table of a fixed size. When more networks call than it has places for, those that owe least are
//! forgotten: that lets them try sooner, and nobody else later. Pure: time is handed in.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::limits::Rate;
use super::pace::Pace;

/// Where somebody calls from: an address, or, of IPv6, the network of 64 bits that one subscriber has for himself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Network {
    V4(Ipv4Addr),
    V6([u16; 4]),
}

/// What networks have tried. By default it is hashed with a seed of its own, so that nobody knows who shares a place
/// with whom.
#[derive(Debug)]
pub(crate) struct Networks<S = RandomState> {
    rate: Rate,
    hasher: S,
    sets: Mutex<Box<[[Option<Place>; WAYS]]>>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    network: Network,
    pace: Pace,
}

/// 8,192 networks, in half a megabyte: far more than the carriers and offices that lampposts call from.
const SETS: usize = 1_024;
const WAYS: usize = 8;

/// An attempt that counts until it has led to something.
#[derive(Debug)]
pub(super) struct Attempt {
    networks: Arc<Networks>,
    network: Network,
}

impl Networks {
    /// Nobody has called yet.
    pub(crate) fn new(rate: Rate) -> Self {
        Self::hashed_by(rate, RandomState::new())
    }

    /// Something in vain from this address. False: its network has made too much of it.
    pub(crate) fn note(&self, from: IpAddr, now: Instant) -> bool {
        self.try_take(Network::of(from), now)
    }

    /// An attempt from this address. None: its network has made too many that led to nothing.
    pub(super) fn attempt(self: &Arc<Self>, from: IpAddr, now: Instant) -> Option<Attempt> {
        let network = Network::of(from);
        self.try_take(network, now).then(|| Attempt { networks: Arc::clone(self), network })
    }
}

impl Attempt {
    /// It is not counted: the client has logged in, or it was not its fault that it has not.
    pub(super) fn forgive(self) {
        self.networks.give_back(self.network);
    }
}

impl<S: BuildHasher> Networks<S> {
    fn hashed_by(rate: Rate, hasher: S) -> Self {
        Self { rate, hasher, sets: Mutex::new(vec![[None; WAYS]; SETS].into_boxed_slice()) }
    }

    fn try_take(&self, network: Network, now: Instant) -> bool {
        let mut sets = self.lock();
        let set = &mut sets[self.set_of(network)];
        if let Some(known) = set.iter_mut().flatten().find(|place| place.network == network) {
            return known.pace.try_take(now);
        }
        let mut pace = Pace::new(self.rate);
        let may = pace.try_take(now);
        // One that is free, or that of who owes least.
        if let Some(place) = set.iter_mut().min_by_key(|place| place.map(|place| place.pace.paid())) {
            *place = Some(Place { network, pace });
        }
        may
    }

    fn give_back(&self, network: Network) {
        let mut sets = self.lock();
        let set = &mut sets[self.set_of(network)];
        if let Some(known) = set.iter_mut().flatten().find(|place| place.network == network) {
            known.pace.give_back();
        }
    }

    fn set_of(&self, network: Network) -> usize {
        usize::try_from(self.hasher.hash_one(network) % (SETS as u64)).unwrap_or(0)
    }

    fn lock(&self) -> MutexGuard<'_, Box<[[Option<Place>; WAYS]]>> {
        // Each critical section is whole even if the caller panics after it.
        self.sets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Network {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self::V6([a, b, c, d])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::hash::{BuildHasherDefault, DefaultHasher};
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::clock;

    const RATE: Rate = Rate { amount: 20, per: Duration::from_secs(1), burst: 30 };

    fn networks() -> Networks<BuildHasherDefault<DefaultHasher>> {
        Networks::hashed_by(RATE, BuildHasherDefault::default())
    }

    fn network(last: u32) -> Network {
        Network::V4(Ipv4Addr::from(0x0a00_0000 + last))
    }

    #[test]
    fn a_network_is_an_address_or_64_bits_of_one() {
        let of = |text: &str| Network::of(text.parse().unwrap());
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"), "as a socket of both kinds shows it");
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    }

    #[test]
    fn who_fails_too_often_is_let_in_at_the_rate_and_nobody_else_waits_for_it() {
        let (networks, start) = (networks(), clock::monotonic());
        let at = |ms| start + Duration::from_millis(ms);
        let of_hostile = (0..10_000).filter(|ms| networks.try_take(network(1), at(*ms))).count();
        assert_eq!(of_hostile, 30 + 10 * 20 - 1);
        assert!(networks.try_take(network(1), at(10_000)));
        assert!(!networks.try_take(network(1), at(10_001)));
        assert!(networks.try_take(network(2), at(10_001)));
    }

    #[test]
    fn many_lampposts_behind_one_address_log_in_at_once_and_again() {
        let (networks, now) = (networks(), clock::monotonic());
        for _ in 0..1_000 {
            for _ in 0..RATE.burst {
                assert!(networks.try_take(network(1), now));
            }
            assert!(!networks.try_take(network(1), now), "so many at once");
            for _ in 0..RATE.burst {
                networks.give_back(network(1));
            }
        }
    }

    #[test]
    fn of_too_many_networks_those_are_forgotten_that_owe_least() {
        let (networks, now) = (networks(), clock::monotonic());
        for _ in 0..RATE.burst {
            assert!(networks.try_take(network(0), now));
        }
        for other in 1..200_000 {
            assert!(networks.try_take(network(other), now), "who is new is not refused");
        }
        assert!(!networks.try_take(network(0), now), "it owes more than all of them");
        let kept = networks.lock().iter().flatten().flatten().count();
        assert_eq!(kept, SETS * WAYS);
    }

    proptest! {
        /// As many networks as one set has places for, whatever set they fall into: the table and a map that forgets
        /// nothing say the same.
        #[test]
        fn it_says_what_a_map_would_say_that_forgets_nothing(
            events in prop::collection::vec((0..8_u32, any::<bool>(), 0..40_u64), 0..600),
        ) {
            let (networks, mut now) = (networks(), clock::monotonic());
            let mut model: HashMap<u32, Pace> = HashMap::new();
            for (who, is_attempt, later_ms) in events {
                now += Duration::from_millis(later_ms);
                let pace = model.entry(who).or_insert_with(|| Pace::new(RATE));
                if is_attempt {
                    prop_assert_eq!(networks.try_take(network(who), now), pace.try_take(now));
                } else {
                    networks.give_back(network(who));
                    pace.give_back();
                }
            }
        }

        /// Whatever happens, in a window of time no more fail than the rate allows, of those that the table knows.
        #[test]
        fn no_more_fail_than_the_rate_allows(steps in prop::collection::vec(0..100_u64, 1..400)) {
            let (networks, start) = (networks(), clock::monotonic());
            let (mut now, mut let_in) = (start, 0_u32);
            for step in steps {
                now += Duration::from_millis(step);
                let_in += u32::from(networks.try_take(network(1), now));
                let most = f64::from(RATE.burst) + (now - start).as_secs_f64() * f64::from(RATE.amount);
                prop_assert!(f64::from(let_in) <= most + 1e-6, "{let_in} of {most}");
            }
        }
    }
}
