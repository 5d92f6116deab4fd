//! The shell of the renewal, with a server over TLS and real files; the uplink's part is the test's.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::fleet::{Asked, Fleet, NUMBER, Reply, Server};
use crate::clock::SystemClock;
use crate::identity::{Badge, Keeper, Login, Store, Which};
use crate::status::CertificateStatus;

/// Many times what a request on this machine takes.
const PATIENCE: Duration = Duration::from_mins(1);

/// A lamppost whose certificate is due.
struct Lamppost {
    badge: Badge,
    status: watch::Receiver<CertificateStatus>,
    server: Server,
    folder: TempDir,
    _keeping: JoinSet<()>,
}

impl Lamppost {
    async fn start() -> Self {
        let fleet = Fleet::new();
        Self::of(fleet, good).await
    }

    /// The same where the server answers so.
    async fn of(fleet: Fleet, answer: impl Fn(&Fleet, &Asked) -> Reply + Send + Sync + 'static) -> Self {
        let server = fleet.serve(answer).await;
        let folder = tempfile::tempdir().unwrap();
        let config = server.configured(folder.path());
        let (certificate, key) = fleet.issue(NUMBER, (-20, 5));
        put(&config.certificate_file, &certificate);
        put(&config.key_file, &key);
        put(&config.ca_file, &fleet.pem());
        std::fs::create_dir(Store::directory(folder.path())).unwrap();
        let number: lamplighter_protocol::LamppostNumber = NUMBER.parse().unwrap();
        let store = Store::new(&config, folder.path(), number.clone());
        let (sender, status) = watch::channel(CertificateStatus::default());
        let (keeper, badge) = Keeper::new(store, config, number, Arc::new(SystemClock::believed()), sender);
        let mut keeping = JoinSet::new();
        keeping.spawn(keeper.run(CancellationToken::new()));
        Self { badge, status, server, folder, _keeping: keeping }
    }

    fn pair(&mut self) -> (String, Which) {
        let (pair, which) = self.badge.pair().unwrap();
        (pair.certificate.serial, which)
    }

    async fn wanted(&mut self, trial: bool) {
        while self.badge.wants_trial() != trial {
            tokio::time::timeout(PATIENCE, self.badge.changed()).await.unwrap();
        }
    }

    async fn status(&mut self, is_so: impl Fn(&CertificateStatus) -> bool) -> CertificateStatus {
        tokio::time::timeout(PATIENCE, self.status.wait_for(is_so)).await.unwrap().unwrap().clone()
    }
}

fn good(fleet: &Fleet, asked: &Asked) -> Reply {
    match asked.what.as_str() {
        "GET /.well-known/est/cacerts" => Reply::Certificates(vec![fleet.authority.clone()]),
        _ => Reply::Certificates(vec![fleet.certify(&asked.request, NUMBER, (0, 90))]),
    }
}

fn put(path: &Path, text: &str) {
    std::fs::File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
}

#[tokio::test]
async fn a_certificate_that_is_due_is_renewed_by_itself_and_the_next_one_is_used_once_it_has_worked() {
    let mut lamppost = Lamppost::start().await;
    let (enrolled, which) = lamppost.pair();
    assert_eq!(which, Which::Current);
    lamppost.wanted(true).await;
    let (renewed, which) = lamppost.pair();
    assert_eq!(which, Which::Trial);
    assert_ne!(renewed, enrolled);
    let [asked] = &lamppost.server.posts()[..] else { panic!("it is asked once") };
    assert_eq!(asked.what, "POST /.well-known/est/simplereenroll");
    assert!(asked.shown.is_some());
    let tried = lamppost.status(|status| status.is_trying_another).await;
    assert_eq!(tried.serial, Some(enrolled));

    lamppost.badge.tell(Which::Trial, Login::Worked);
    lamppost.wanted(false).await;
    assert_eq!(lamppost.pair(), (renewed.clone(), Which::Current));
    let used = lamppost.status(|status| !status.is_trying_another).await;
    assert_eq!((used.serial, used.last_outcome), (Some(renewed), Some("renewed".to_owned())));
    let kept = std::fs::read_dir(Store::directory(lamppost.folder.path())).unwrap();
    let kept: Vec<_> = kept.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(kept, ["current.pem"]);
}

#[tokio::test]
async fn a_renewed_certificate_that_is_refused_is_given_up_once_the_one_before_works_again() {
    let mut lamppost = Lamppost::start().await;
    let (enrolled, _) = lamppost.pair();
    lamppost.wanted(true).await;
    lamppost.badge.tell(Which::Trial, Login::Refused);
    lamppost.wanted(false).await;
    assert_eq!(lamppost.pair(), (enrolled.clone(), Which::Current));
    lamppost.badge.tell(Which::Current, Login::Worked);
    let given_up = |status: &CertificateStatus| {
        status.last_outcome.as_deref().is_some_and(|outcome| outcome.starts_with("the server refuses"))
    };
    let status = lamppost.status(given_up).await;
    assert_eq!(status.serial, Some(enrolled));
    assert!(!Store::directory(lamppost.folder.path()).join("trial.pem").exists());
}

#[tokio::test]
async fn the_server_tells_of_the_next_authority_and_the_pair_that_it_signs_is_taken() {
    let (fleet, next) = (Fleet::new(), Fleet::new());
    let of_both = [fleet.authority.clone(), next.authority.clone(), next.certified_by(&fleet)];
    let answer = move |_: &Fleet, asked: &Asked| match asked.what.as_str() {
        "GET /.well-known/est/cacerts" => Reply::Certificates(of_both.to_vec()),
        _ => Reply::Certificates(vec![next.certify(&asked.request, NUMBER, (0, 90))]),
    };
    let mut lamppost = Lamppost::of(fleet, answer).await;
    assert_eq!(lamppost.badge.roots().unwrap().len(), 1);
    lamppost.wanted(true).await;
    assert_eq!(lamppost.pair().1, Which::Trial);
    assert_eq!(lamppost.badge.roots().unwrap().len(), 2, "what one says of the other is no authority");
}

#[tokio::test]
async fn authorities_by_which_the_server_cannot_be_reached_are_not_kept() {
    let (fleet, stranger) = (Fleet::new(), Fleet::new());
    let answer = move |fleet: &Fleet, asked: &Asked| match asked.what.as_str() {
        "GET /.well-known/est/cacerts" => Reply::Certificates(vec![stranger.authority.clone()]),
        _ => good(fleet, asked),
    };
    let mut lamppost = Lamppost::of(fleet, answer).await;
    let failed = |status: &CertificateStatus| status.last_outcome.is_some();
    let status = lamppost.status(failed).await;
    assert!(status.last_outcome.unwrap().contains("no secure connection"), "it would have cut itself off");
    assert!(lamppost.server.posts().is_empty());
    assert!(!Store::directory(lamppost.folder.path()).join("authorities.pem").exists());
}
