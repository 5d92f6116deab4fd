//! Enrolment as an installer lives it: a folder, a server, and what is in the folder afterwards.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use super::fleet::{Asked, Fleet, NUMBER, Reply, Server};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::identity::files::new_name;
use crate::identity::pair::Pair;
use crate::identity::{
    EnrolError, Enrolled, FirstContactError, IfEnrolled, Token, Trust, Unacceptable, enrol,
};
use crate::outbox::chain;

/// A lamppost that is being put up.
struct Site {
    folder: TempDir,
    config: Config,
}

impl Site {
    fn before(server: &Server) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = include_str!("../../../example.toml").replace("/var/lib/lamplighter", "state");
        let mut config = Config::parse(&text, &folder.path().join("agent.toml")).unwrap();
        config.server = server.configured(folder.path());
        Self { folder, config }
    }

    fn trusting(server: &Server, fleet: &Fleet) -> Self {
        let site = Self::before(server);
        put(&site.config.server.ca_file, &fleet.pem());
        site
    }

    async fn enrol(&self, trust: Trust, if_enrolled: IfEnrolled) -> Result<Enrolled, EnrolError> {
        let token = Token::new("token").unwrap();
        enrol(&self.config, &token, &trust, if_enrolled, Arc::new(SystemClock::believed())).await
    }

    fn serial(&self) -> String {
        Pair::configured(&self.config.server).unwrap().certificate.serial
    }

    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

fn put(path: &Path, text: &str) {
    use std::io::Write as _;
    std::fs::File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
}

fn good(fleet: &Fleet, asked: &Asked) -> Reply {
    match asked.what.as_str() {
        "GET /.well-known/est/cacerts" => Reply::Certificates(vec![fleet.authority.clone()]),
        _ => Reply::Certificates(vec![fleet.certify(&asked.request, NUMBER, (0, 90))]),
    }
}

#[tokio::test]
async fn a_token_becomes_a_key_that_only_its_owner_reads_and_a_certificate() {
    let fleet = Fleet::new();
    let server = fleet.serve(good).await;
    let site = Site::trusting(&server, &fleet);
    let enrolled = site.enrol(Trust::Configured, IfEnrolled::Leave).await.unwrap();
    assert!(enrolled.is_new);
    assert_eq!(site.serial(), enrolled.serial);
    assert_eq!(site.files(), ["DF3637.key", "DF3637.pem", "ca.pem"]);
    let mode = std::fs::metadata(&site.config.server.key_file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let again = site.enrol(Trust::Configured, IfEnrolled::Leave).await.unwrap();
    assert_eq!(again, Enrolled { is_new: false, ..enrolled.clone() });
    assert_eq!(server.posts().len(), 1);
    let another = site.enrol(Trust::Configured, IfEnrolled::Replace).await.unwrap();
    assert!(another.is_new && another.serial != enrolled.serial);
    assert_eq!(site.serial(), another.serial);
}

#[tokio::test]
async fn an_authority_is_fetched_and_believed_by_its_fingerprint_alone() {
    let fleet = Fleet::new();
    let server = fleet.serve(good).await;
    let site = Site::before(&server);
    let error = site.enrol(Trust::Configured, IfEnrolled::Leave).await.unwrap_err();
    assert!(matches!(error, EnrolError::NoAuthority { .. }), "{error:?}");

    let other = Trust::Fingerprint(Fleet::new().fingerprint());
    let error = site.enrol(other, IfEnrolled::Leave).await.unwrap_err();
    assert!(matches!(error, EnrolError::FirstContact(FirstContactError::Other { .. })), "{error:?}");
    assert_eq!(site.files(), [""; 0]);
    assert!(server.asked().iter().all(|asked| asked.what.starts_with("GET ")), "no token goes to a stranger");

    site.enrol(Trust::Fingerprint(fleet.fingerprint()), IfEnrolled::Leave).await.unwrap();
    assert_eq!(std::fs::read_to_string(&site.config.server.ca_file).unwrap(), fleet.pem());
    assert_eq!(site.files(), ["DF3637.key", "DF3637.pem", "ca.pem"]);
}

#[tokio::test]
async fn somebody_between_who_shows_the_right_authority_is_given_no_token() {
    let fleet = Fleet::new();
    let authority = fleet.authority.clone();
    let between = Fleet::new().serve(move |_, _| Reply::Certificates(vec![authority.clone()])).await;
    let site = Site::before(&between);
    let error = site.enrol(Trust::Fingerprint(fleet.fingerprint()), IfEnrolled::Leave).await.unwrap_err();
    assert!(
        chain(&error).contains("not certified by the authority that is trusted here"),
        "{}",
        chain(&error)
    );
    assert_eq!(between.asked().len(), 1);
}

#[tokio::test]
async fn an_authority_in_another_file_is_copied_to_its_place() {
    let fleet = Fleet::new();
    let server = fleet.serve(good).await;
    let site = Site::before(&server);
    let elsewhere: PathBuf = site.folder.path().join("stick.pem");
    put(&elsewhere, &fleet.pem());
    site.enrol(Trust::File(elsewhere), IfEnrolled::Leave).await.unwrap();
    assert_eq!(std::fs::read_to_string(&site.config.server.ca_file).unwrap(), fleet.pem());
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_with_the_same_key() {
    let fleet = Fleet::new();
    let first = std::sync::atomic::AtomicBool::new(true);
    let server = fleet
        .serve(move |fleet, asked| {
            let is_first =
                asked.what.starts_with("POST ") && first.swap(false, std::sync::atomic::Ordering::SeqCst);
            if is_first { Reply::Nothing } else { good(fleet, asked) }
        })
        .await;
    let site = Site::trusting(&server, &fleet);
    let error = site.enrol(Trust::Configured, IfEnrolled::Leave).await.unwrap_err();
    assert!(error.to_string().contains("DF3637 is not enrolled yet"), "{error}");
    let kept = new_name(&site.config.server.key_file);
    assert_eq!(std::fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
    let key = std::fs::read(&kept).unwrap();
    site.enrol(Trust::Configured, IfEnrolled::Leave).await.unwrap();
    assert_eq!(std::fs::read(&site.config.server.key_file).unwrap(), key);
    assert_eq!(site.files(), ["DF3637.key", "DF3637.pem", "ca.pem"]);
}

#[tokio::test]
async fn what_was_cut_short_between_two_renamings_is_used_and_completed() {
    let fleet = Fleet::new();
    let server = fleet.serve(good).await;
    let site = Site::trusting(&server, &fleet);
    site.enrol(Trust::Configured, IfEnrolled::Leave).await.unwrap();
    let (certificate, key) = fleet.issue(NUMBER, (0, 90));
    let files = &site.config.server;
    put(&new_name(&files.certificate_file), &certificate);
    put(&files.key_file, &key);
    let store = crate::identity::Store::new(files, site.folder.path(), NUMBER.parse().unwrap());
    let found = store.newest().unwrap().pair.certificate;
    let completed = site.enrol(Trust::Configured, IfEnrolled::Replace).await.unwrap();
    assert_eq!(completed.serial, found.serial);
    assert_eq!(site.serial(), found.serial);
    assert_eq!(site.files(), ["DF3637.key", "DF3637.pem", "ca.pem"]);
    assert_eq!(server.posts().len(), 1, "the token was not needed again");
}

#[tokio::test]
async fn a_refusal_says_what_to_do_and_leaves_the_certificate_that_is_there() {
    for (head, advice) in [
        ("401 Unauthorized", "the server does not take this token for DF3637"),
        ("403 Forbidden", "fleet-server token create DF3637"),
        ("400 Bad Request", "are both of one release?"),
        ("429 Too Many Requests\r\nRetry-After: 30", "try again in 30 s"),
        ("500 Internal Server Error", "ask the operator to look at its log"),
    ] {
        let fleet = Fleet::new();
        let server = fleet
            .serve(move |fleet, asked| {
                if asked.what.starts_with("POST ") { Reply::Says(head, vec![]) } else { good(fleet, asked) }
            })
            .await;
        let site = Site::trusting(&server, &fleet);
        let (certificate, key) = fleet.issue(NUMBER, (0, 90));
        put(&site.config.server.certificate_file, &certificate);
        put(&site.config.server.key_file, &key);
        let error = site.enrol(Trust::Configured, IfEnrolled::Replace).await.unwrap_err();
        assert!(error.to_string().contains(advice), "{error}");
        assert!(!chain(&error).contains("token:"), "{}", chain(&error));
        assert_eq!(std::fs::read_to_string(&site.config.server.certificate_file).unwrap(), certificate);
        assert_eq!(std::fs::read_to_string(&site.config.server.key_file).unwrap(), key);
    }
}

#[tokio::test]
async fn a_certificate_of_another_key_is_not_written() {
    let fleet = Fleet::new();
    let server = fleet.serve(|fleet, _| Reply::Certificates(vec![fleet.authority.clone()])).await;
    let site = Site::trusting(&server, &fleet);
    let error = site.enrol(Trust::Configured, IfEnrolled::Leave).await.unwrap_err();
    assert!(matches!(error, EnrolError::Unacceptable(Unacceptable::OtherKey)), "{error:?}");
    assert_eq!(site.files(), ["DF3637.key.new", "ca.pem"]);
}
