//! Who may hear what: departments, their keys and their grants, as they are at one instant.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use lamplighter_protocol::UtcMillis;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{DepartmentIdentity, Filter, Proof};

/// The name of a department, by which it logs in: `transport`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DepartmentName(Box<str>);

/// A text is no name of a department.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name of a department is 1 to 32 characters of a-z, 0-9 and -, a letter first")]
pub struct NoDepartmentName;

/// Names a key among people: 1, 2, 3 and so on. Not a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccessKeyId(pub u32);

/// A key that a department may log in with, as far as it is known here.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey {
    /// By what people name it.
    pub id: AccessKeyId,
    /// SHA-256 of the key as it is sent, byte by byte.
    pub digest: [u8; 32],
    /// From when on it is good no more; none: until somebody ends it.
    pub until: Option<UtcMillis>,
}

/// What a department may do: log in by any of its keys and certificates, and hear what any of its grants matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Whose it is.
    pub department: DepartmentName,
    /// Those that nobody has ended.
    pub keys: Vec<AccessKey>,
    /// Serial numbers of the certificates that nobody has ended, in lowercase hexadecimal; they say themselves until when
    /// they are good.
    pub certificates: Vec<String>,
    /// Those that nobody has withdrawn.
    pub grants: Vec<Filter>,
}

/// All departments at one instant; another instant is another directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directory {
    departments: BTreeMap<DepartmentName, Arc<Access>>,
}

impl DepartmentName {
    /// Longest name.
    pub const MOST_BYTES: usize = 32;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AccessKey {
    /// The digest of a key as a client sends it.
    pub fn digest_of(key: &[u8]) -> [u8; 32] {
        Sha256::digest(key).into()
    }

    /// Whether it is good at this time.
    pub fn is_good(&self, now: UtcMillis) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl Access {
    /// Its key of this name, if it is good at this time.
    pub fn key(&self, id: AccessKeyId, now: UtcMillis) -> Option<&AccessKey> {
        self.keys.iter().find(|key| key.id == id && key.is_good(now))
    }

    /// Whether it may log in by this at this time, and may go on listening if it has.
    pub fn takes(&self, proof: &Proof, now: UtcMillis) -> bool {
        match proof {
            Proof::Key(id) => self.key(*id, now).is_some(),
            Proof::Certificate(shown) => {
                shown.department == self.department
                    && now <= shown.not_after
                    && self.certificates.contains(&shown.certificate_serial)
            }
        }
    }

    /// From when on it may not any more, whatever anybody decides.
    pub fn until(&self, proof: &Proof) -> Option<UtcMillis> {
        match proof {
            Proof::Key(id) => self.keys.iter().find(|key| key.id == *id)?.until,
            Proof::Certificate(shown) => Some(shown.not_after.plus_ms(1)),
        }
    }
}

impl Directory {
    /// A directory of these; of two of the same name the last one counts.
    pub fn new(departments: impl IntoIterator<Item = Access>) -> Self {
        let named = |access: Access| (access.department.clone(), Arc::new(access));
        Self { departments: departments.into_iter().map(named).collect() }
    }

    /// A department.
    pub fn get(&self, department: &DepartmentName) -> Option<&Arc<Access>> {
        self.departments.get(department)
    }

    /// Who logs in with this name and this key, and with which one; none where either is wrong, or the key has ended. What
    /// a key is compared with does not show in the time that it takes, nor does a name that nobody has.
    pub fn admit(&self, name: &str, key: &[u8], now: UtcMillis) -> Option<(Arc<Access>, AccessKeyId)> {
        let offered = AccessKey::digest_of(key);
        let access = name.parse().ok().and_then(|name| self.departments.get(&name));
        // A department that is not there is compared with as well: with what nothing is equal to.
        let nobody = [AccessKey { id: AccessKeyId(0), digest: [0; 32], until: Some(UtcMillis(i64::MIN)) }];
        let keys = access.map_or(&nobody[..], |access| &access.keys);
        let mut found = None;
        for key in keys {
            if bool::from(key.digest.ct_eq(&offered)) && key.is_good(now) {
                found = Some(key.id);
            }
        }
        Some((Arc::clone(access?), found?))
    }

    /// Who logs in by this certificate; none where it was not issued to that department, or has ended.
    pub fn admit_certificate(&self, shown: &Arc<DepartmentIdentity>, now: UtcMillis) -> Option<Arc<Access>> {
        let access = self.departments.get(&shown.department)?;
        access.takes(&Proof::Certificate(Arc::clone(shown)), now).then(|| Arc::clone(access))
    }
}

impl FromStr for DepartmentName {
    type Err = NoDepartmentName;

    fn from_str(text: &str) -> Result<Self, NoDepartmentName> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_name = text.len() <= Self::MOST_BYTES
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && text.bytes().all(allowed);
        if is_name { Ok(Self(text.into())) } else { Err(NoDepartmentName) }
    }
}

impl fmt::Display for DepartmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DepartmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for AccessKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKey").field("id", &self.id).field("until", &self.until).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UtcMillis = UtcMillis(1_760_000_000_000);

    fn access(name: &str, keys: &[(u32, &str, Option<UtcMillis>)]) -> Access {
        let key = |(id, key, until): &(u32, &str, Option<UtcMillis>)| AccessKey {
            id: AccessKeyId(*id),
            digest: AccessKey::digest_of(key.as_bytes()),
            until: *until,
        };
        Access {
            department: name.parse().unwrap(),
            keys: keys.iter().map(key).collect(),
            certificates: vec![serial_of(name)],
            grants: Vec::new(),
        }
    }

    #[test]
    fn who_has_a_key_that_is_good_is_let_in_by_its_own_name_alone() {
        let transport = [(1, "one", None), (2, "two", Some(NOW.plus_ms(1))), (3, "three", Some(NOW))];
        let directory =
            Directory::new([access("transport", &transport), access("parks", &[(4, "four", None)])]);
        let admitted = |name, key: &str| {
            directory
                .admit(name, key.as_bytes(), NOW)
                .map(|(access, id)| (access.department.to_string(), id.0))
        };
        assert_eq!(admitted("transport", "one"), Some(("transport".to_owned(), 1)));
        assert_eq!(admitted("transport", "two"), Some(("transport".to_owned(), 2)));
        assert_eq!(admitted("parks", "four"), Some(("parks".to_owned(), 4)));
        for (name, key) in [
            ("transport", "three"),
            ("transport", "four"),
            ("parks", "one"),
            ("", ""),
            ("nobody", "one"),
            ("parks", ""),
        ] {
            assert_eq!(admitted(name, key), None, "{name} {key}");
        }
        let access = directory.get(&"transport".parse().unwrap()).unwrap();
        let good = |id| access.key(AccessKeyId(id), NOW).is_some();
        assert_eq!([1, 2, 3, 4].map(good), [true, true, false, false]);
    }

    /// A serial number that no other department's certificate has.
    fn serial_of(name: &str) -> String {
        format!("{:02x}{:02x}", name.len(), name.as_bytes()[1])
    }

    #[test]
    fn who_shows_a_certificate_is_let_in_as_whom_it_names_if_that_one_has_it_and_it_has_not_ended() {
        let directory = Directory::new([access("transport", &[]), access("parks", &[])]);
        let shown = |department: &str, certificate_serial: String, not_after| DepartmentIdentity {
            department: department.parse().unwrap(),
            certificate_serial,
            not_after,
        };
        let good = Arc::new(shown("parks", serial_of("parks"), NOW));
        let admitted = directory.admit_certificate(&good, NOW).unwrap();
        assert_eq!(admitted.department.as_str(), "parks");
        let proof = Proof::Certificate(Arc::clone(&good));
        assert_eq!(admitted.until(&proof), Some(NOW.plus_ms(1)), "its last instant is a good one");
        assert!(!directory.get(&"transport".parse().unwrap()).unwrap().takes(&proof, NOW));
        for (refused, at) in [
            (shown("parks", serial_of("parks"), NOW), NOW.plus_ms(1)),
            (shown("parks", serial_of("transport"), NOW), NOW),
            (shown("parks", "02".to_owned(), NOW), NOW),
            (shown("police", serial_of("parks"), NOW), NOW),
        ] {
            assert_eq!(directory.admit_certificate(&Arc::new(refused.clone()), at), None, "{refused:?}");
        }
    }

    #[test]
    fn names_of_departments_are_short_and_plain() {
        for name in ["transport", "a", "a-1", &"a".repeat(32)] {
            assert_eq!(name.parse::<DepartmentName>().unwrap().to_string(), name);
        }
        for name in ["", "1a", "-a", "Transport", "a b", "a/b", "é", &"a".repeat(33)] {
            assert_eq!(name.parse::<DepartmentName>(), Err(NoDepartmentName), "{name:?}");
        }
    }

    #[test]
    fn a_digest_is_not_printed() {
        let debug = format!("{:?}", access("parks", &[(4, "four", None)]));
        assert!(debug.contains("AccessKeyId(4)") && !debug.contains("digest"), "{debug}");
    }
}
