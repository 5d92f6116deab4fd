//! What is on disk after a power cut at every step: always a pair that can be used, and never a key without its certificate.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::fleet::{Fleet, NUMBER};
use crate::clock::{Clock as _, SystemClock};
use crate::config::{ServerConfig, TokenUri};
use crate::identity::authorities::Authorities;
use crate::identity::files::{Files, Readable};
use crate::identity::request::accept;
use crate::identity::store::{Newest, Store};

/// A disk in memory that forgets, at a power cut, what was not synced.
#[derive(Clone, Debug, Default)]
pub(super) struct Card(Arc<Mutex<Content>>);

#[derive(Debug, Default)]
struct Content {
    names: BTreeMap<PathBuf, (Vec<u8>, Readable)>,
    /// What a power cut leaves.
    durable: BTreeMap<PathBuf, (Vec<u8>, Readable)>,
    /// So many more changes work.
    changes: Option<usize>,
}

impl Card {
    pub(super) fn put(&self, path: &Path, text: &str) {
        let mut content = self.0.lock().unwrap();
        content.names.insert(path.to_owned(), (text.into(), Readable::ByAll));
        content.durable.insert(path.to_owned(), (text.into(), Readable::ByAll));
    }

    /// The power goes. Names that were not synced may have reached the disk all the same.
    pub(super) fn cut(&self, names_survive: bool) {
        let mut content = self.0.lock().unwrap();
        content.changes = None;
        if !names_survive {
            content.names = content.durable.clone();
        }
        content.durable = content.names.clone();
    }

    pub(super) fn dies_after(&self, changes: usize) {
        self.0.lock().unwrap().changes = Some(changes);
    }

    fn change(&self) -> io::Result<std::sync::MutexGuard<'_, Content>> {
        let mut content = self.0.lock().unwrap();
        match content.changes.as_mut() {
            Some(0) => return Err(io::Error::other("the power is gone")),
            Some(left) => *left -= 1,
            None => {}
        }
        Ok(content)
    }

    fn texts(&self) -> Vec<(PathBuf, String, Readable)> {
        let content = self.0.lock().unwrap();
        let all = content.names.iter();
        all.map(|(path, (bytes, readable))| (path.clone(), String::from_utf8_lossy(bytes).into(), *readable))
            .collect()
    }
}

impl Files for Card {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let content = self.0.lock().unwrap();
        content.names.get(path).map(|(bytes, _)| bytes.clone()).ok_or(io::ErrorKind::NotFound.into())
    }

    fn write_new(&self, path: &Path, bytes: &[u8], readable: Readable) -> io::Result<()> {
        self.change()?.names.insert(path.to_owned(), (bytes.to_vec(), readable));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut content = self.change()?;
        let file = content.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        content.names.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.change()?.names.remove(path).map(|_| ()).ok_or(io::ErrorKind::NotFound.into())
    }

    fn sync_directory(&self, folder: &Path) -> io::Result<()> {
        let mut content = self.change()?;
        content.durable.retain(|path, _| path.parent() != Some(folder));
        let here: Vec<_> = content
            .names
            .iter()
            .filter(|(path, _)| path.parent() == Some(folder))
            .map(|(path, file)| (path.clone(), file.clone()))
            .collect();
        content.durable.extend(here);
        Ok(())
    }
}

/// A lamppost that was enrolled, on a card.
pub(super) struct Lamppost {
    fleet: Fleet,
    pub(super) card: Card,
    server: ServerConfig,
    enrolled: String,
}

impl Lamppost {
    fn new() -> Self {
        Self::with_token(None)
    }

    /// The same where what is renewed has its key in a token.
    pub(super) fn with_token(pkcs11: Option<TokenUri>) -> Self {
        let (fleet, card) = (Fleet::new(), Card::default());
        let server = ServerConfig {
            host: "localhost".into(),
            port: 8883,
            ca_file: "/etc/ca.pem".into(),
            certificate_file: "/etc/c.pem".into(),
            key_file: "/etc/k.pem".into(),
            pkcs11,
            keep_alive: std::time::Duration::from_secs(30),
        };
        let mut lamppost = Self { fleet, card, server, enrolled: String::new() };
        lamppost.configure();
        lamppost.card.put(&lamppost.server.ca_file, &lamppost.fleet.pem());
        lamppost.enrolled = lamppost.current();
        lamppost
    }

    /// Somebody copies a new certificate and key over the configured files.
    fn configure(&self) {
        let (certificate, key) = self.fleet.issue(NUMBER, (0, 90));
        self.card.put(&self.server.certificate_file, &certificate);
        self.card.put(&self.server.key_file, &key);
    }

    pub(super) fn store(&self) -> Store {
        Store::on(Box::new(self.card.clone()), &self.server, "/state".as_ref(), NUMBER.parse().unwrap())
    }

    fn current(&self) -> String {
        self.store().newest().unwrap().pair.certificate.serial
    }

    fn trial(&self) -> Option<String> {
        self.store().trial().map(|pair| pair.certificate.serial)
    }

    /// Asks for a certificate and keeps it as a trial, as far as the power lasts. Its serial.
    pub(super) fn renew(&self, newest: &Newest) -> Result<String, ()> {
        let (store, number) = (self.store(), NUMBER.parse().unwrap());
        let key = store.request_key().map_err(|_| ())?;
        let sent = self.fleet.certify(&key.request(&number).unwrap(), NUMBER, (0, 90));
        let now = SystemClock::believed().now();
        let (certificate, der) = accept(vec![sent], &key, &number, &self.fleet.roots(), now).unwrap();
        store.keep_trial(&key, &[der], newest).map_err(|_| ())?;
        Ok(certificate.serial)
    }

    /// How many authorities the server is known by.
    fn authorities(&self) -> usize {
        self.store().roots().unwrap().len()
    }

    pub(super) fn renewed(&self) -> String {
        let serial = self.renew(&self.store().newest().unwrap()).unwrap();
        self.store().promote().unwrap();
        serial
    }
}

#[test]
fn a_renewed_pair_takes_the_place_of_the_enrolled_one_and_of_the_one_renewed_before() {
    let lamppost = Lamppost::new();
    let serial = lamppost.renew(&lamppost.store().newest().unwrap()).unwrap();
    assert_eq!((lamppost.current(), lamppost.trial()), (lamppost.enrolled.clone(), Some(serial.clone())));
    lamppost.store().promote().unwrap();
    assert_eq!((lamppost.current(), lamppost.trial()), (serial.clone(), None));
    let next = lamppost.renewed();
    assert_eq!(lamppost.current(), next);
    assert_ne!(next, serial);
}

#[test]
fn whenever_the_power_goes_there_is_a_pair_and_no_key_that_others_read() {
    for renewals_before in 0..2 {
        for names_survive in [false, true] {
            let mut was_promoted = false;
            for changes in 0.. {
                let lamppost = Lamppost::new();
                (0..renewals_before).for_each(|_| drop(lamppost.renewed()));
                let before = lamppost.current();
                lamppost.card.dies_after(changes);
                let serial = lamppost.renew(&lamppost.store().newest().unwrap());
                let promoted = serial.is_ok() && lamppost.store().promote().is_ok();
                lamppost.card.cut(names_survive);

                let (current, trial) = (lamppost.current(), lamppost.trial());
                let is_new = current != before;
                assert!(!is_new || serial.as_ref() == Ok(&current), "after {changes}");
                assert!(!promoted || is_new, "after {changes}: what was promoted stays promoted");
                assert!(serial.is_err() || is_new || trial == serial.clone().ok(), "after {changes}");
                for (path, text, readable) in lamppost.card.texts() {
                    let is_ours = path.starts_with("/state");
                    assert!(
                        !is_ours || !text.contains("PRIVATE KEY") || readable == Readable::ByOwner,
                        "{path:?}"
                    );
                }
                // The next start goes on.
                if trial.is_some() {
                    lamppost.store().promote().unwrap();
                    assert_eq!(Some(lamppost.current()), trial);
                }
                let next = lamppost.renewed();
                assert_eq!(lamppost.current(), next);
                if promoted {
                    was_promoted = true;
                    break;
                }
            }
            assert!(was_promoted);
        }
    }
}

#[test]
fn a_lost_answer_is_asked_for_with_the_same_key_and_the_next_renewal_with_another() {
    let lamppost = Lamppost::new();
    let first = lamppost.store().request_key().unwrap().text();
    lamppost.card.cut(false);
    assert_eq!(lamppost.store().request_key().unwrap().text(), first);
    lamppost.renewed();
    assert_ne!(lamppost.store().request_key().unwrap().text(), first);
}

#[test]
fn what_somebody_configures_by_hand_counts_and_renewals_then_take_its_place() {
    let lamppost = Lamppost::new();
    let renewed = lamppost.renewed();
    lamppost.renew(&lamppost.store().newest().unwrap()).unwrap();
    lamppost.configure();
    assert!(![&lamppost.enrolled, &renewed].contains(&&lamppost.current()));
    assert_eq!(lamppost.trial(), None, "it was asked for with a pair that no longer counts");
    let next = lamppost.renewed();
    assert_eq!(lamppost.current(), next);
}

#[test]
fn a_renewed_pair_serves_on_while_the_configured_files_are_missing_damaged_or_half_copied() {
    let lamppost = Lamppost::new();
    let renewed = lamppost.renewed();
    for text in ["", "garbage", &lamppost.fleet.issue(NUMBER, (0, 90)).0] {
        lamppost.card.put(&lamppost.server.certificate_file, text);
        assert_eq!(lamppost.current(), renewed);
    }
}

#[test]
fn a_renewed_pair_that_is_damaged_or_anothers_is_not_used() {
    let lamppost = Lamppost::new();
    lamppost.renewed();
    let path = Path::new("/state/identity/current.pem");
    let whole = String::from_utf8(lamppost.card.read(path).unwrap()).unwrap();
    for damaged in ["", "garbage", &whole[..whole.len() / 2], &whole.replacen('M', "N", 1)] {
        lamppost.card.put(path, damaged);
        assert_eq!(lamppost.current(), lamppost.enrolled, "{damaged}");
    }
    lamppost.card.put(path, &whole);
    let other = Store::on(
        Box::new(lamppost.card.clone()),
        &lamppost.server,
        "/state".as_ref(),
        "DF3638".parse().unwrap(),
    );
    assert_eq!(other.newest().unwrap().pair.certificate.serial, lamppost.enrolled);
}

#[test]
fn whenever_the_power_goes_the_authorities_are_those_before_or_those_that_were_told() {
    let next = Fleet::new();
    for names_survive in [false, true] {
        for changes in 0.. {
            let lamppost = Lamppost::new();
            let told = vec![lamppost.fleet.authority.clone(), next.authority.clone()];
            let told = Authorities::told(told).unwrap();
            lamppost.card.dies_after(changes);
            let kept = lamppost.store().keep_authorities(&told).is_ok();
            lamppost.card.cut(names_survive);
            assert!(!kept || lamppost.authorities() == 2, "after {changes}: what was kept stays");
            assert!([1, 2].contains(&lamppost.authorities()));
            if kept {
                break;
            }
        }
    }
}

#[test]
fn an_authority_that_is_configured_anew_counts_and_what_another_had_told_of_does_not() {
    let (lamppost, next, other) = (Lamppost::new(), Fleet::new(), Fleet::new());
    let told = Authorities::told(vec![lamppost.fleet.authority.clone(), next.authority.clone()]).unwrap();
    lamppost.store().keep_authorities(&told).unwrap();
    assert_eq!(lamppost.authorities(), 2);
    lamppost.card.put(&lamppost.server.ca_file, &other.pem());
    assert_eq!(lamppost.store().roots().unwrap().roots, other.roots().roots);
    lamppost.card.put(&lamppost.server.ca_file, &lamppost.fleet.pem());
    let file = Store::directory("/state".as_ref()).join("authorities.pem");
    let whole = String::from_utf8(lamppost.card.read(&file).unwrap()).unwrap();
    lamppost.card.put(&file, &whole[..whole.len() - 60]);
    assert_eq!(lamppost.authorities(), 1, "what is damaged does not count");
    let nobody = Authorities::told(vec![next.certified_by(&other)]).unwrap_err();
    assert_eq!(nobody.to_string(), "the server tells of no authority");
}
