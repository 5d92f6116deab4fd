use clap::Parser as _;

use super::*;
use crate::audit::Actor;
use crate::ca::{KeyDigest, retire, rotate};
use crate::cli::{Cli, Command};
use crate::gateway::log_in;
use crate::registry::{CertificateRecord, Coordinates, Lamppost};

const DAY_MS: i64 = 86_400_000;

struct Rig {
    directory: tempfile::TempDir,
    registry: Registry,
    sessions: Sessions,
    watch: AuthorityWatch,
}

impl Rig {
    async fn new(now: UtcMillis) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().to_owned();
        let line = ["fleet-server", "run", "--data", data.to_str().unwrap()];
        let Command::Run(args) = Cli::try_parse_from(line).unwrap().command else { panic!("run is run") };
        let (authority, _) = Authority::open_or_create(&data.join(Authority::DIRECTORY_NAME), now).unwrap();
        let tls = data.join(ServerCertificate::DIRECTORY_NAME);
        let (certificate, _) = ServerCertificate::open_or_make(&tls, &authority, &[], now).unwrap();
        let tls = Present::from(server_tls(&authority, &certificate).unwrap());
        let registry = Registry::open(&data.join(Registry::FILE_NAME)).await.unwrap();
        let sessions = Sessions::default();
        let present = (Present::from(Arc::new(authority)), certificate, tls);
        let watch = AuthorityWatch::new(&args, present, registry.clone(), sessions.clone());
        Self { directory, registry, sessions, watch }
    }

    fn ca(&self) -> PathBuf {
        self.directory.path().join(Authority::DIRECTORY_NAME)
    }

    async fn actions(&self) -> Vec<String> {
        let path = self.directory.path().join(Registry::FILE_NAME);
        let mut reader = crate::audit::AuditReader::open(&path).await.unwrap();
        let records = reader.page().await.unwrap();
        records.into_iter().map(|stored| stored.record.unwrap().action).collect()
    }
}

#[tokio::test]
async fn a_ca_that_another_process_rotates_or_retires_is_followed_at_the_next_look() {
    let now = clock::wall();
    let mut rig = Rig::new(now).await;
    let (first, tls) = (rig.watch.authority.get(), rig.watch.tls.get());
    rig.watch.look(now).await;
    assert!(Arc::ptr_eq(&first, &rig.watch.authority.get()), "nothing has changed");

    let rotated = rotate(&rig.ca(), None, now).unwrap();
    rig.watch.look(now).await;
    assert!(!rig.watch.failing);
    let second = rig.watch.authority.get();
    assert_eq!(second.certificate_pem(), rotated.certificate_pem());
    assert!(second.predecessor().is_some() && !Arc::ptr_eq(&tls, &rig.watch.tls.get()));
    retire(&rig.ca()).unwrap();
    rig.watch.look(now).await;
    assert!(rig.watch.authority.get().predecessor().is_none());
    let told = ["authority_made", "authority_rotated", "server_certificate_made"];
    assert_eq!(rig.actions().await, told, "once each");
}

#[tokio::test]
async fn a_ca_that_cannot_be_followed_is_tried_again_and_the_known_one_goes_on() {
    let now = clock::wall();
    let mut rig = Rig::new(now).await;
    let known = rig.watch.authority.get();
    rotate(&rig.ca(), None, now).unwrap();
    let (key, aside) = (rig.ca().join("ca.key"), rig.directory.path().join("aside"));
    std::fs::rename(&key, &aside).unwrap();
    rig.watch.look(now).await;
    assert!(rig.watch.failing && Arc::ptr_eq(&known, &rig.watch.authority.get()));
    std::fs::rename(&aside, &key).unwrap();
    rig.watch.look(now).await;
    assert!(!rig.watch.failing && rig.watch.authority.get().predecessor().is_some());
}

#[tokio::test]
async fn the_servers_own_certificate_is_made_anew_before_it_ends() {
    let now = clock::wall();
    let mut rig = Rig::new(now).await;
    rig.watch.look(now.plus_ms(240 * DAY_MS)).await;
    let tls = rig.watch.tls.get();
    rig.watch.look(now.plus_ms(250 * DAY_MS)).await;
    assert!(!Arc::ptr_eq(&tls, &rig.watch.tls.get()));
    assert!(!rig.watch.certificate.is_due(now.plus_ms(250 * DAY_MS)));
}

#[tokio::test]
async fn who_logs_in_with_a_certificate_of_the_new_ca_has_followed_and_nobody_else() {
    let now = clock::wall();
    let mut rig = Rig::new(now).await;
    let old = rig.watch.authority.get().key().clone();
    let new = rotate(&rig.ca(), None, now).unwrap().key().clone();
    let numbers = ["A1", "A2"].map(|number| number.parse().unwrap());
    let lampposts = numbers.iter().map(|number: &lamplighter_protocol::LamppostNumber| Lamppost {
        number: number.clone(),
        coordinates: Coordinates::new(22.32, 114.21).unwrap(),
        road: "Wang Chiu Road".to_owned(),
        district: "Kwun Tong".to_owned(),
        feeder: None,
        pillar: None,
        height_m: None,
        remarks: None,
    });
    rig.registry.import(lampposts.collect(), now, &Actor::Server).await.unwrap();
    let record = async |serial: &str, of: usize, authority: &KeyDigest| {
        let record = CertificateRecord {
            serial: serial.parse().unwrap(),
            lamppost: numbers[of].clone(),
            issued: now,
            not_after: now.plus_ms(DAY_MS),
            revoked: None,
            authority: Some(authority.clone()),
        };
        rig.registry.record_certificate(&record, &Actor::Server).await.unwrap();
    };
    // `log_in` shows the serial 01. The other one was sent its certificate, and may not have got it.
    record("0a", 0, &old).await;
    record("01", 0, &new).await;
    record("0b", 1, &old).await;
    record("02", 1, &new).await;
    assert_eq!(rig.registry.behind(&new).await.unwrap().len(), 2);
    let _connected = log_in(&rig.sessions, &numbers[0], now);
    rig.watch.look(now).await;
    let behind = rig.registry.behind(&new).await.unwrap();
    assert_eq!(behind.iter().map(|behind| behind.lamppost.as_str()).collect::<Vec<_>>(), ["A2"]);
    assert_eq!(rig.registry.followed(&new).await.unwrap(), 1);
}
