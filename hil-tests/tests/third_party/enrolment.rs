//! Enrolment by an EST client that is nothing but `curl` and `openssl`, as RFC 7030 describes it, and what such a client
//! may not do.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hil_tests::fleet::wait_for;

use crate::stage::{Stage, run, show_certificate};
use crate::tls::ForeignCa;

const A: &str = "GF0001";
const B: &str = "GF0002";

const REQUESTS: &str = "lamplighter_est_requests_total";

#[test]
fn curl_and_openssl_enrol_a_lamppost_log_in_with_what_they_got_and_renew_it() {
    let stage = Stage::with_lampposts(&[A]);
    let fleet_ca = stage.certificates_of(A).join("ca.pem");
    let bootstrap = Est::new(&stage, "bootstrap");
    let said = run(&mut bootstrap.curl("cacerts"));
    assert_eq!(said.out, "200", "{}", said.err);
    assert_eq!(fingerprint(&bootstrap.certificate()), fingerprint(&fleet_ca));

    let est = Est::new(&stage, "first");
    let token = stage.server.token(A).unwrap();
    let said = est.enrol(&token, &est.request(&format!("/CN={A}"), P256));
    assert_eq!(said, "200", "{}", est.answer());
    let first = est.certificate();
    let verify = run(Command::new("openssl")
        .args(["verify", "-purpose", "sslclient", "-CAfile"])
        .arg(&fleet_ca)
        .arg(&first));
    assert_eq!(verify.code, Some(0), "{}{}", verify.out, verify.err);
    assert_eq!(log_in(&stage, &est.folder), Some(0));

    let renewed = Est::new(&stage, "renewed");
    let request = renewed.request(&format!("/CN={A}"), P256);
    let mut renew = renewed.post("simplereenroll", &request);
    renew.arg("--cert").arg(&first).arg("--key").arg(est.key());
    let said = run(&mut renew);
    assert_eq!(said.out, "200", "{}{}", said.err, renewed.answer());
    assert_ne!(fingerprint(&renewed.certificate()), fingerprint(&first));
    assert_eq!(log_in(&stage, &renewed.folder), Some(0), "with the new one");
    assert_eq!(log_in(&stage, &est.folder), Some(0), "with the one before, until it ends");
    for (operation, count) in [("cacerts", 1.0), ("simpleenroll", 1.0), ("simplereenroll", 1.0)] {
        wait_for_count(&stage, operation, "done", count);
    }
}

#[test]
fn whatever_breaks_a_rule_of_enrolment_is_refused_by_its_status_and_another_lamppost_stays_connected() {
    let stage = Stage::with_lampposts(&[A, B]);
    let mut other = Connected::start(&stage, B);
    let token = stage.server.token(A).unwrap();
    let (mine, thief) = (Est::new(&stage, "mine"), Est::new(&stage, "thief"));
    let own = format!("/CN={A}");
    let (request, stolen) = (mine.request(&own, P256), thief.request(&own, P256));
    assert_eq!(mine.enrol(&token, &request), "200", "{}", mine.answer());
    assert_eq!(mine.enrol(&token, &request), "200", "the answer may have been lost: {}", mine.answer());

    assert_eq!(thief.enrol(&token, &stolen), "403");
    assert!(thief.answer().contains("with another key"), "{}", thief.answer());
    wait_for_count(&stage, "simpleenroll", "other_key", 1.0);
    let wrong = token.chars().rev().collect::<String>();
    assert_eq!(thief.enrol(&wrong, &stolen), "401");
    assert_eq!(run(&mut thief.post("simpleenroll", &stolen)).out, "401", "no login");
    assert_eq!(run(thief.post("simpleenroll", &stolen).args(["-u", &format!("{B}:{token}")])).out, "401");

    let fresh = stage.server.token(A).unwrap();
    let cases = Est::new(&stage, "cases");
    assert_eq!(cases.enrol(&fresh, &cases.request(&format!("/CN={B}"), P256)), "403", "for another lamppost");
    assert_eq!(cases.enrol(&fresh, &cases.request(&own, &["rsa:2048"])), "400", "RSA");
    assert!(cases.answer().contains("P-256"), "{}", cases.answer());
    let p384 = ["ec", "-pkeyopt", "ec_paramgen_curve:P-384"];
    assert_eq!(cases.enrol(&fresh, &cases.request(&own, &p384)), "400", "P-384");
    assert_eq!(cases.enrol(&fresh, &stage.file_of(1000)), "400", "zeros");
    assert_eq!(cases.enrol(&fresh, &stage.file_of(0)), "400", "nothing");
    assert_eq!(cases.enrol(&fresh, &stage.file_of(64 * 1024 + 1)), "413", "oversize");
    assert_eq!(cases.enrol(&fresh, &stage.file_of(900 * 1024)), "413", "much too large");
    let mut json = cases.curl("simpleenroll");
    json.args(["-H", "Content-Type: application/json", "-d", "{}", "-u", &format!("{A}:{fresh}")]);
    assert_eq!(run(&mut json).out, "415");
    assert_eq!(run(&mut cases.curl("simpleenroll")).out, "405");
    assert_eq!(run(&mut cases.curl("fullcmc")).out, "404");
    assert_eq!(run(&mut cases.curl("../../healthz")).out, "404", "what people are served is not served here");
    assert_eq!(run(&mut cases.post("simplereenroll", &stolen)).out, "403", "no certificate");

    // A certificate of somebody else's does not get as far as a request.
    let foreign = ForeignCa::make(stage.directory(), "/CN=Somebody else");
    let folder = foreign.issue(A);
    let of_a_foreign_ca = (folder.join(format!("{A}.pem")), folder.join(format!("{A}.key")));
    let signed_by_itself = (foreign.certificate(), folder.join("ca.key"));
    for (certificate, key) in [of_a_foreign_ca, signed_by_itself] {
        let mut renew = cases.post("simplereenroll", &stolen);
        let said = run(renew.arg("--cert").arg(certificate).arg("--key").arg(key));
        assert_eq!(said.out, "000", "{}", said.err);
        assert_ne!(said.code, Some(0));
    }
    let bad =
        stage.api().metric("lamplighter_gateway_handshakes_total", "outcome=\"bad_certificate\"").unwrap();
    assert!((bad - 2.0).abs() < 0.5, "{bad}");

    assert_eq!(
        cases.enrol(&fresh, &cases.request(&own, P256)),
        "200",
        "nothing was used up: {}",
        cases.answer()
    );
    other.is_connected(&stage);
}

#[test]
fn requests_that_do_not_end_are_cut_while_others_enrol_and_stay_connected() {
    let stage = Stage::with_lampposts(&[A, B]);
    let mut other = Connected::start(&stage, B);
    let mut slow: Vec<Child> = (0..20).map(|_| slow_request(&stage)).collect();
    let connections =
        || stage.api().metric("lamplighter_gateway_connections", "").ok().filter(|count| *count > 20.5);
    wait_for("twenty slow ones and B to be connected", Duration::from_secs(20), connections).unwrap();
    let est = Est::new(&stage, "meanwhile");
    let token = stage.server.token(A).unwrap();
    assert_eq!(est.enrol(&token, &est.request(&format!("/CN={A}"), P256)), "200", "{}", est.answer());
    for child in &mut slow {
        wait_for("the server to cut it", Duration::from_secs(40), || child.try_wait().unwrap()).unwrap();
    }
    let cut = || {
        let count = stage.api().metric("lamplighter_gateway_http_connections_total", "ending=\"too_slow\"");
        count.ok().filter(|count| *count > 19.5)
    };
    wait_for("them to be counted", Duration::from_secs(10), cut).unwrap();
    other.is_connected(&stage);
}

/// A folder of an EST client: its key, its requests, the last answer, and the certificate that it got.
struct Est<'a> {
    stage: &'a Stage,
    folder: PathBuf,
}

/// What `openssl req -newkey` takes for the one kind of key that lampposts have.
const P256: &[&str] = &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"];

impl<'a> Est<'a> {
    fn new(stage: &'a Stage, name: &str) -> Self {
        let folder = stage.directory().join(name);
        std::fs::create_dir(&folder).unwrap();
        Self { stage, folder }
    }

    fn key(&self) -> PathBuf {
        self.folder.join(format!("{A}.key"))
    }

    /// Makes a key, and a request for it in base64.
    fn request(&self, subject: &str, kind: &[&str]) -> PathBuf {
        let (der, text) = (self.folder.join("request.der"), self.folder.join("request.b64"));
        let mut make = Command::new("openssl");
        make.args(["req", "-new", "-nodes", "-outform", "DER", "-subj", subject, "-newkey"]).args(kind);
        run(make.arg("-keyout").arg(self.key()).arg("-out").arg(&der)).succeeded();
        run(Command::new("openssl").args(["base64", "-in"]).arg(&der).arg("-out").arg(&text)).succeeded();
        text
    }

    /// Asks for a path; the status is printed.
    fn curl(&self, path: &str) -> Command {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--max-time", "30", "-w", "%{http_code}", "-o"]).arg(self.folder.join("answer"));
        curl.arg("--cacert").arg(self.stage.certificates_of(A).join("ca.pem"));
        curl.args(["--path-as-is", &format!("https://{}/.well-known/est/{path}", self.stage.server.mqtt())]);
        curl
    }

    fn post(&self, path: &str, request: &Path) -> Command {
        let mut curl = self.curl(path);
        curl.args(["-H", "Content-Type: application/pkcs10", "--data-binary"]);
        curl.arg(format!("@{}", request.display()));
        curl
    }

    /// Asks for a certificate with a token; the status.
    fn enrol(&self, token: &str, request: &Path) -> String {
        let said = run(self.post("simpleenroll", request).args(["-u", &format!("{A}:{token}")]));
        assert_eq!(said.code, Some(0), "{}", said.err);
        said.out
    }

    fn answer(&self) -> String {
        std::fs::read_to_string(self.folder.join("answer")).unwrap()
    }

    /// The certificate of the last answer, in PEM.
    fn certificate(&self) -> PathBuf {
        let (der, pem) = (self.folder.join("answer.der"), self.folder.join(format!("{A}.pem")));
        let answer = self.folder.join("answer");
        run(Command::new("openssl").args(["base64", "-d", "-in"]).arg(answer).arg("-out").arg(&der))
            .succeeded();
        let mut pkcs7 = Command::new("openssl");
        pkcs7.args(["pkcs7", "-inform", "DER", "-print_certs", "-in"]).arg(&der).arg("-out").arg(&pem);
        run(&mut pkcs7).succeeded();
        pem
    }
}

/// A lamppost that is connected all along.
struct Connected(Child);

impl Connected {
    fn start(stage: &Stage, number: &str) -> Self {
        let mut subscribe = stage.mosquitto("mosquitto_sub", number);
        subscribe.args(["-V", "311", "-q", "1", "-i", number, "-t", &format!("lampposts/{number}/down/#")]);
        // For longer than the test takes.
        let mut command = Command::new("timeout");
        command.arg("300").args(subscribe.get_args().skip(1)).stdout(Stdio::null()).stderr(Stdio::null());
        let connected = Self(command.spawn().unwrap());
        wait_for_sessions(stage);
        connected
    }

    /// It has been for all the time: a client that lost its connection would have ended it, and be counted.
    fn is_connected(&mut self, stage: &Stage) {
        assert!(self.0.try_wait().unwrap().is_none(), "it has ended");
        wait_for_sessions(stage);
        assert!(stage.api().metric("lamplighter_gateway_takeovers_total", "").unwrap() < 0.5);
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).ok();
    }
}

fn wait_for_sessions(stage: &Stage) {
    let one = || {
        stage.api().metric("lamplighter_gateway_sessions", "").ok().filter(|count| (count - 1.0).abs() < 0.5)
    };
    wait_for("one lamppost to be logged in", Duration::from_secs(20), one).unwrap();
}

/// Begins a request, and says no more. It ends when it is cut.
fn slow_request(stage: &Stage) -> Child {
    let mut client = Command::new("openssl");
    client.args(["s_client", "-quiet", "-connect", &stage.server.mqtt().to_string()]);
    client.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = client.spawn().unwrap();
    let begin = b"POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: x\r\n";
    child.stdin.as_mut().unwrap().write_all(begin).unwrap();
    child
}

/// Publishes with the certificate of a folder; how that ended.
fn log_in(stage: &Stage, folder: &Path) -> Option<i32> {
    let mut publish = stage.stranger("mosquitto_pub", A);
    show_certificate(&mut publish, folder, A);
    publish.args(["-V", "311", "-q", "1", "-i", A, "-t", &format!("lampposts/{A}/up/hello"), "-m", "x"]);
    run(&mut publish).code
}

fn fingerprint(certificate: &Path) -> String {
    run(Command::new("openssl").args(["x509", "-noout", "-fingerprint", "-sha256", "-in"]).arg(certificate))
        .succeeded()
}

/// A client may know before the counter does.
fn wait_for_count(stage: &Stage, operation: &str, outcome: &str, expected: f64) {
    let label = format!("operation=\"{operation}\",outcome=\"{outcome}\"");
    let reached = || stage.api().metric(REQUESTS, &label).ok().filter(|count| (count - expected).abs() < 0.5);
    wait_for(&format!("{REQUESTS} {label} to be {expected}"), Duration::from_secs(10), reached).unwrap();
}
