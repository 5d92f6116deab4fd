//! A lamppost whose keys are in a PKCS#11 token, with the shipped programs: it enrols, renews, is killed and comes back; and
//! a token that is gone or has another PIN keeps it from the server, and from nothing else.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use hil_tests::fleet::{ServerProcess, wait_for};
use serde_json::Value;

use super::agent_process::{Configured, with};
use super::commands::{done, put, refused};
use super::lifetime::{NUMBER, connected, newest, now_ms, registered};

const PATIENCE: Duration = Duration::from_mins(1);
const PIN: &str = "271828";
const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";

#[test]
fn with_its_key_in_a_token_a_lamppost_enrols_renews_and_is_back_after_a_kill_and_after_a_wrong_pin() {
    let folder = tempfile::tempdir().unwrap();
    let server = &registered(folder.path(), &["--certificate-life", "90s"]);
    let site = Site::new(folder.path());
    let token_file = site.card.join("token");
    put(&token_file, server.token(NUMBER).unwrap());
    let ca = server.data().join("ca/ca.pem");
    let enrol = |config: &Path| {
        let mut enrol = with(&["enrol"], config);
        enrol.arg("--token-file").arg(&token_file).arg("--ca").arg(&ca);
        enrol.env("SOFTHSM2_CONF", &site.settings);
        enrol
    };

    // A one-time token is not spent where a PKCS#11 token does not let us in.
    site.pin("999999");
    let agent = site.configured(server);
    let said = refused(&mut enrol(&agent.config));
    assert!(said.contains(&site.wrong_pin()), "{said}");
    site.pin(PIN);
    let said = done(&mut enrol(&agent.config));
    assert!(said.contains("\nits key is in the PKCS#11 token \"lamppost\", as "), "{said}");
    assert_eq!(site.keys(), 1);

    let agent = agent.start_in(&site.environment());
    wait_for("it to be connected", PATIENCE, || connected(server)).unwrap();
    // Certificates are dated back by an hour: one that is good for so short is renewed at once.
    let renewed = || {
        let certificate = agent.status()?["certificate"].clone();
        (certificate["last_outcome"] == "renewed").then_some(certificate)
    };
    let certificate = wait_for("the renewed certificate to be used", PATIENCE, renewed).unwrap();
    assert_eq!(certificate["key_problem"], Value::Null);
    let place = certificate["key"].as_str().unwrap().to_owned();
    assert!(place.starts_with("the PKCS#11 token \"lamppost\", as "), "{place}");
    assert!(!said.contains(&place), "with another key");
    assert!(agent.status_for_people().contains(&format!("\n          its key is in {place}\n")));
    wait_for("its observations", PATIENCE, || newest(server)).unwrap();
    // That of the configured certificate and that of the renewed one.
    wait_for("two keys", PATIENCE, || (site.keys() == 2).then_some(())).unwrap();
    let kept = files_below(&site.card).into_iter().filter(|path| {
        let text = String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
        text.contains("PRIVATE KEY")
    });
    assert_eq!(kept.collect::<Vec<_>>(), [""; 0].map(PathBuf::from), "no key is in a file");

    // A kill, at whatever it does.
    drop(agent);
    let killed = now_ms();
    let agent = site.configured(server).start_in(&site.environment());
    let reads_on = |from: i64| move || newest(server).filter(|newest| *newest > from);
    wait_for("what it reads after the kill", PATIENCE, reads_on(killed)).unwrap();
    drop(agent);

    // Another PIN: it samples, says what is wrong, and connects once that is put right.
    site.pin("999999");
    let wrong = now_ms();
    let agent = site.configured(server).start_in(&site.environment());
    let waiting = || {
        let status = agent.status()?;
        let reads = status["sensors"][0]["read"].as_u64() >= Some(3);
        (reads && status["certificate"]["key_problem"].is_string()).then_some(status)
    };
    let status = wait_for("samples, and a word on the token", PATIENCE, waiting).unwrap();
    assert_eq!(status["connection"]["connected"], false);
    let said = status["connection"]["last_error"].as_str().unwrap();
    assert!(said.starts_with(&site.wrong_pin()), "{said}");
    assert_eq!(status["certificate"]["key_problem"], said);
    assert!(agent.status_for_people().contains("\n          keys in the token CANNOT be used: "));
    site.pin(PIN);
    wait_for("what it read meanwhile", PATIENCE, reads_on(wrong)).unwrap();

    // The token is pulled out under it, and put back.
    let (tokens, elsewhere) = (site.folder.join("tokens"), site.folder.join("elsewhere"));
    drop(agent);
    std::fs::rename(&tokens, &elsewhere).unwrap();
    std::fs::create_dir(&tokens).unwrap();
    let gone = now_ms();
    let agent = site.configured(server).start_in(&site.environment());
    let absent = || {
        let status = agent.status()?;
        let said = status["connection"]["last_error"].as_str()?.to_owned();
        said.starts_with("there is no PKCS#11 token \"lamppost\"").then_some(())
    };
    wait_for("it to miss the token", PATIENCE, absent).unwrap();
    std::fs::remove_dir(&tokens).unwrap();
    std::fs::rename(&elsewhere, &tokens).unwrap();
    wait_for("what it read without the token", PATIENCE, reads_on(gone)).unwrap();

    let log = std::fs::read_to_string(site.card.join("agent.log")).unwrap();
    assert!(!log.contains(PIN) && !log.contains("999999"), "{log}");
}

/// A lamppost's card, and a token beside it.
struct Site {
    folder: PathBuf,
    card: PathBuf,
    settings: PathBuf,
}

impl Site {
    fn new(folder: &Path) -> Self {
        let folder = folder.join("site");
        let (card, tokens) = (folder.join("card"), folder.join("tokens"));
        for new in [&folder, &card, &tokens] {
            std::fs::create_dir(new).unwrap();
        }
        let settings = folder.join("softhsm2.conf");
        put(&settings, format!("directories.tokendir = {}\nobjectstore.backend = file\n", tokens.display()));
        let mut tool = Command::new("softhsm2-util");
        tool.args(["--init-token", "--free", "--label", "lamppost", "--so-pin", "31415926", "--pin", PIN]);
        let made = tool.env("SOFTHSM2_CONF", &settings).stdout(Stdio::null()).status().unwrap();
        assert!(made.success());
        Self { folder, card, settings }
    }

    fn configured(&self, server: &ServerProcess) -> Configured {
        let agent = Configured::on("a rig", &self.card, server, NUMBER, (&self.card, ""));
        let text = std::fs::read_to_string(&agent.config).unwrap();
        let pin = self.folder.join("pin");
        let uri = format!("pkcs11:token=lamppost?module-path={MODULE}&pin-source=file:{}", pin.display());
        put(&agent.config, text.replacen("key_file", &format!("pkcs11_uri = \"{uri}\"\nkey_file"), 1));
        agent
    }

    fn environment(&self) -> [(&str, &Path); 1] {
        [("SOFTHSM2_CONF", &self.settings)]
    }

    fn pin(&self, pin: &str) {
        let path = self.folder.join("pin");
        put(&path, pin);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn wrong_pin(&self) -> String {
        let pin = self.folder.join("pin");
        format!("the PKCS#11 token \"lamppost\" refuses the PIN in {}; it is not tried again", pin.display())
    }

    /// How many keys the token has: it keeps each half in a file.
    fn keys(&self) -> usize {
        let files = files_below(&self.folder.join("tokens"));
        let objects = files.iter().filter(|path| {
            path.extension().is_some_and(|end| end == "object") && !path.ends_with("token.object")
        });
        objects.count() / 2
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let below = entries.flat_map(|entry| match entry.file_type().unwrap() {
        kind if kind.is_dir() => files_below(&entry.path()),
        kind if kind.is_file() => vec![entry.path()],
        _ => Vec::new(),
    });
    below.collect()
}
