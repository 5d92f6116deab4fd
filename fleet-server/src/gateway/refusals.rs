//! How often what was refused, for the audit: counted here, and taken from here now and then. A login, let in or not, writes
//! nothing to a disk.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lamplighter_protocol::LamppostNumber;

/// Lampposts that are told apart, for one reason or several; of more it is only counted that there are some. Their numbers
/// are those of certificates that the fleet's CA has signed.
const MOST_COUNTED: usize = 1_000;

/// Lampposts that are named when the counts are taken, those that were refused most: a minute of the audit has a bounded
/// number of rows, whatever a whole fleet does wrong.
const MOST_NAMED: usize = 16;

/// What was refused since somebody asked. Clones are one and the same.
#[derive(Clone, Debug, Default)]
pub struct Refusals {
    counts: Arc<Mutex<Counts>>,
}

/// By lamppost, where it is known and not one of too many, and by reason.
type Counts = BTreeMap<(Option<LamppostNumber>, &'static str), Count>;

#[derive(Clone, Copy, Debug)]
struct Count {
    times: u64,
    /// Where the last one called from.
    peer: IpAddr,
}

/// So often somebody was refused something for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Who; none for strangers, and for lampposts of which there are too many to name them.
    pub lamppost: Option<LamppostNumber>,
    /// The label of the reason.
    pub reason: &'static str,
    /// How often.
    pub times: u64,
    /// Where the last one called from.
    pub peer: IpAddr,
}

impl Refusals {
    /// Counts one.
    pub(crate) fn count(&self, lamppost: Option<&LamppostNumber>, peer: SocketAddr, reason: &'static str) {
        self.add(Refused { lamppost: lamppost.cloned(), reason, times: 1, peer: peer.ip() });
    }

    /// What was counted since this was last asked: a row for each reason and for some lampposts by name.
    pub fn take(&self) -> Vec<Refused> {
        let counts = std::mem::take(&mut *self.lock());
        let mut named: Vec<_> = counts.iter().filter(|((lamppost, _), _)| lamppost.is_some()).collect();
        named.sort_by_key(|(_, count)| std::cmp::Reverse(count.times));
        let unnamed: Vec<_> = named.into_iter().skip(MOST_NAMED).map(|(key, _)| key.clone()).collect();
        let mut taken = Counts::new();
        for (key, count) in counts {
            let (lamppost, reason) = key.clone();
            let lamppost = lamppost.filter(|_| !unnamed.contains(&key));
            taken.entry((lamppost, reason)).or_insert(Count { times: 0, ..count }).add(count);
        }
        let refused = |((lamppost, reason), Count { times, peer })| Refused { lamppost, reason, times, peer };
        taken.into_iter().map(refused).collect()
    }

    /// What was counted since it was last taken, those that were refused most first, at most so many. It stays.
    pub fn so_far(&self, most: usize) -> Vec<Refused> {
        let counts = self.lock().clone();
        let refused = |((lamppost, reason), Count { times, peer })| Refused { lamppost, reason, times, peer };
        let mut refused: Vec<_> = counts.into_iter().map(refused).collect();
        refused.sort_by_key(|one| std::cmp::Reverse(one.times));
        refused.truncate(most);
        refused
    }

    /// Takes back what could not be written down.
    pub fn give_back(&self, refused: Vec<Refused>) {
        for one in refused {
            self.add(one);
        }
    }

    fn add(&self, Refused { lamppost, reason, times, peer }: Refused) {
        let mut counts = self.lock();
        let key = (lamppost, reason);
        let key = if counts.len() < MOST_COUNTED || counts.contains_key(&key) { key } else { (None, reason) };
        counts.entry(key).or_insert(Count { times: 0, peer }).add(Count { times, peer });
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        // Each critical section is whole even if the caller panics after it.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Count {
    fn add(&mut self, more: Self) {
        *self = Self { times: self.times + more.times, peer: more.peer };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(number: usize) -> LamppostNumber {
        LamppostNumber::new(&format!("DF{number}")).unwrap()
    }

    fn peer(last: u8) -> SocketAddr {
        ([10, 0, 0, last], 40_000).into()
    }

    #[test]
    fn what_was_refused_is_counted_by_lamppost_and_reason_until_it_is_taken() {
        let refusals = Refusals::default();
        refusals.count(None, peer(1), "bad_certificate");
        refusals.count(Some(&number(1)), peer(2), "revoked");
        refusals.count(Some(&number(1)), peer(3), "revoked");
        refusals.count(Some(&number(1)), peer(2), "qos");
        let row = |lamppost, reason, times, last| Refused { lamppost, reason, times, peer: peer(last).ip() };
        let rows = [
            row(None, "bad_certificate", 1, 1),
            row(Some(number(1)), "qos", 1, 2),
            row(Some(number(1)), "revoked", 2, 3),
        ];
        let taken = refusals.take();
        assert_eq!(taken, rows);
        assert_eq!(refusals.take(), []);
        refusals.count(Some(&number(1)), peer(4), "revoked");
        refusals.give_back(taken);
        assert_eq!(refusals.take()[2].times, 3);
    }

    #[test]
    fn however_many_are_refused_the_rows_have_a_bound_and_every_refusal_is_counted() {
        let refusals = Refusals::default();
        for lamppost in 0..3_000 {
            refusals.count(Some(&number(lamppost)), peer(1), "revoked");
        }
        for _ in 0..5 {
            refusals.count(Some(&number(77)), peer(1), "revoked");
        }
        assert!(refusals.lock().len() <= MOST_COUNTED + 1);
        let taken = refusals.take();
        assert_eq!(taken.len(), MOST_NAMED + 1);
        assert_eq!(taken.iter().map(|row| row.times).sum::<u64>(), 3_005);
        let often = taken.iter().find(|row| row.lamppost == Some(number(77)));
        assert_eq!(often.map(|row| row.times), Some(6));
    }
}
