//! Who may come in: as many at once, and as many failures from one address, as are granted.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::limits::FeedLimits;
use super::{DepartmentName, Ending};
use crate::gateway::Pace;

/// Addresses whose failures are remembered. Of more, those that are paid for are forgotten, and then all.
const MOST_ADDRESSES: usize = 4_096;

/// The doors of all departments. Clones are one and the same.
#[derive(Clone, Debug)]
pub(super) struct Doors {
    limits: Arc<FeedLimits>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    all: usize,
    departments: HashMap<DepartmentName, usize>,
    failures: HashMap<IpAddr, Pace>,
}

/// A connection's place; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    doors: Doors,
    department: DepartmentName,
}

impl Doors {
    pub(super) fn new(limits: Arc<FeedLimits>) -> Self {
        Self { limits, state: Arc::default() }
    }

    /// A place for a connection of a department.
    pub(super) fn enter(&self, department: &DepartmentName) -> Result<Place, Ending> {
        let mut state = self.lock();
        let own = state.departments.get(department).copied().unwrap_or(0);
        if state.all >= self.limits.connections || own >= self.limits.connections_of_department {
            return Err(Ending::TooManyConnections);
        }
        state.all += 1;
        state.departments.insert(department.clone(), own + 1);
        Ok(Place { doors: self.clone(), department: department.clone() })
    }

    /// Whether a login from this address is looked at: not after too many that failed.
    pub(super) fn may_try(&self, from: IpAddr, now: Instant) -> bool {
        let state = self.lock();
        // Asked of a copy: a login that succeeds costs nothing.
        state.failures.get(&network_of(from)).is_none_or(|pace| pace.clone().try_take(now))
    }

    /// A login from this address has failed.
    pub(super) fn failed(&self, from: IpAddr, now: Instant) {
        let mut state = self.lock();
        if state.failures.len() >= MOST_ADDRESSES {
            let rate = self.limits.failures;
            // Who could fail a whole burst again has paid.
            state.failures.retain(|_, pace| {
                let mut pace = *pace;
                !(0..rate.burst).all(|_| pace.try_take(now))
            });
            if state.failures.len() >= MOST_ADDRESSES {
                state.failures.clear();
            }
        }
        let failures = self.limits.failures;
        state.failures.entry(network_of(from)).or_insert_with(|| Pace::new(failures)).try_take(now);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change under this lock is whole at each step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.doors.lock();
        state.all -= 1;
        let left = state.departments.get(&self.department).map_or(0, |own| own - 1);
        if left == 0 {
            state.departments.remove(&self.department);
        } else {
            state.departments.insert(self.department.clone(), left);
        }
    }
}

/// Of IPv6 the /64 that one subscriber of a network has.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock;

    #[test]
    fn a_department_has_so_many_places_and_all_have_so_many() {
        let limits = FeedLimits { connections: 3, connections_of_department: 2, ..FeedLimits::default() };
        let doors = Doors::new(Arc::new(limits));
        let (parks, police) = ("parks".parse().unwrap(), "police".parse().unwrap());
        let first = doors.enter(&parks).unwrap();
        let _second = doors.enter(&parks).unwrap();
        assert_eq!(doors.enter(&parks).unwrap_err(), Ending::TooManyConnections);
        let _third = doors.enter(&police).unwrap();
        assert_eq!(doors.enter(&police).unwrap_err(), Ending::TooManyConnections);
        drop(first);
        let _fourth = doors.enter(&police).unwrap();
        assert_eq!(doors.enter(&parks).unwrap_err(), Ending::TooManyConnections);
    }

    #[test]
    fn who_fails_too_often_is_looked_at_later_and_nobody_else_is() {
        let doors = Doors::new(Arc::new(FeedLimits::default()));
        let now = clock::monotonic();
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        for _ in 0..20 {
            assert!(doors.may_try(address("2001:db8::1"), now));
            doors.failed(address("2001:db8::1"), now);
        }
        assert!(!doors.may_try(address("2001:db8::2"), now), "the same network");
        assert!(doors.may_try(address("2001:db8:0:1::1"), now) && doors.may_try(address("10.0.0.1"), now));
        assert!(doors.may_try(address("2001:db8::1"), now + Duration::from_secs(11)));
        for of in 0..10_000_u32 {
            doors.failed(IpAddr::V4(of.into()), now);
        }
        assert!(doors.lock().failures.len() <= MOST_ADDRESSES);
    }
}
