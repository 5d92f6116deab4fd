//! Who may come in: who has a key or a certificate that is good, as many at once as are granted.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::limits::FeedLimits;
use super::session::Credentials;
use super::{Access, DepartmentName, Directory, Ending, Proof};
use crate::gateway::Networks;
use crate::gateway::session::Now;

/// The doors of all departments. Clones are one and the same.
#[derive(Clone, Debug)]
pub(super) struct Doors {
    limits: Arc<FeedLimits>,
    /// Which networks have got logins wrong.
    failures: Arc<Networks>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    all: usize,
    departments: HashMap<DepartmentName, usize>,
}

/// A connection's place; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    doors: Doors,
    department: DepartmentName,
}

impl Doors {
    pub(super) fn new(limits: Arc<FeedLimits>) -> Self {
        let failures = Arc::new(Networks::new(limits.failures));
        Self { limits, failures, state: Arc::default() }
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

    /// Who logs in, and by what. Whoever has a good key or certificate is let in whatever others of its network get wrong:
    /// to look costs a hash, and nobody guesses 32 random bytes. What is wrong is answered as such at a rate, and beyond it
    /// as too much, whether the name is known or not.
    pub(super) fn admit(
        &self,
        directory: &Directory,
        credentials: &Credentials,
        from: IpAddr,
        now: Now,
    ) -> Result<(Arc<Access>, Proof), Ending> {
        let admitted = match credentials {
            Credentials::Certificate(shown) => {
                let access = directory.admit_certificate(shown, now.wall).ok_or(Ending::BadCertificate)?;
                return Ok((access, Proof::Certificate(Arc::clone(shown))));
            }
            Credentials::Key { name, key } => directory.admit(name, key.as_bytes(), now.wall),
        };
        match admitted {
            Some((access, id)) => Ok((access, Proof::Key(id))),
            None if self.failures.note(from, now.monotonic) => Err(Ending::BadLogin),
            None => Err(Ending::TooManyFailures),
        }
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lamplighter_protocol::UtcMillis;

    use super::super::{AccessKey, AccessKeyId};
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
    fn who_fails_too_often_is_told_so_and_who_has_the_key_is_let_in_all_the_same() {
        let doors = Doors::new(Arc::new(FeedLimits::default()));
        let key = AccessKey { id: AccessKeyId(1), digest: AccessKey::digest_of(b"the key"), until: None };
        let directory = Directory::new([Access {
            department: "parks".parse().unwrap(),
            keys: vec![key],
            certificates: Vec::new(),
            grants: Vec::new(),
        }]);
        let start = clock::monotonic();
        let login = |name: &str, key: &str, from: &str, after_s| {
            let credentials = Credentials::Key { name: name.to_owned(), key: key.to_owned() };
            let now = Now { monotonic: start + Duration::from_secs(after_s), wall: UtcMillis(0) };
            doors.admit(&directory, &credentials, from.parse().unwrap(), now).map(|(_, proof)| proof)
        };
        for _ in 0..20 {
            assert_eq!(login("parks", "a key", "2001:db8::1", 0), Err(Ending::BadLogin));
            assert!(login("parks", "the key", "2001:db8::1", 0).is_ok(), "it costs nothing");
        }
        for name in ["parks", "nobody"] {
            let refused = login(name, "a key", "2001:db8::2", 0);
            assert_eq!(refused, Err(Ending::TooManyFailures), "the same network");
        }
        assert_eq!(login("parks", "the key", "2001:db8::2", 0), Ok(Proof::Key(AccessKeyId(1))));
        assert_eq!(login("parks", "a key", "2001:db8:0:1::1", 0), Err(Ending::BadLogin));
        assert_eq!(login("parks", "a key", "10.0.0.1", 0), Err(Ending::BadLogin));
        assert_eq!(login("parks", "a key", "2001:db8::1", 11), Err(Ending::BadLogin));
    }
}
