//! Enrolment as a lamppost sees it: requests and answers, over a real registry and a real CA.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use lamplighter_protocol::LamppostNumber;
use prometheus_client::registry::Registry as MetricRegistry;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use tempfile::TempDir;
use yasna::Tag;

use super::*;
use crate::registry::{Lamppost, Revoke, TokenEnding};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
const PEER: &str = "192.0.2.1:4711";

struct Office {
    router: Router,
    registry: Registry,
    authority: Arc<Authority>,
    counters: MetricRegistry,
    _directory: TempDir,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Office {
    /// Enrols `DF3637` and `DF0001`.
    async fn open() -> Self {
        Self::with(ReturnWithin::default()).await
    }

    async fn with(return_within: ReturnWithin) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let registry = Registry::open(&directory.path().join(Registry::FILE_NAME)).await.unwrap();
        let lampposts = ["DF3637", "DF0001"].map(Lamppost::example);
        registry.import(lampposts.to_vec(), clock::wall(), &Actor::Server).await.unwrap();
        let old = clock::wall().plus_ms(-1000 * DAY_MS);
        let (authority, _) = Authority::open_or_create(&directory.path().join("ca"), old).unwrap();
        let authority = Arc::new(authority);
        let options = EstOptions { validity: Validity::RENEWED, return_within };
        let metrics = EstMetrics::default();
        let mut counters = MetricRegistry::default();
        metrics.register(&mut counters);
        let router =
            Est::new(registry.clone(), Arc::clone(&authority), options, metrics, Refusals::default())
                .router();
        Self { router, registry, authority, counters, _directory: directory }
    }

    async fn token(&self, number: &str, hours: i64) -> Token {
        let (token, now) = (Token::generate().unwrap(), clock::wall());
        let created = now.plus_ms(-HOUR_MS);
        let expires = now.plus_ms(hours * HOUR_MS);
        self.registry
            .create_token(&number.parse().unwrap(), &token.digest(), (created, expires), &Actor::Server)
            .await
            .unwrap();
        token
    }

    async fn ask(&self, request: Request<Body>, certificate: Option<Identity>) -> Answer {
        let caller = crate::gateway::Caller { peer: PEER.parse().unwrap(), certificate };
        let (mut parts, body) = request.into_parts();
        parts.extensions.insert(caller);
        let answer = TowerToHyperService::new(self.router.clone()).call(Request::from_parts(parts, body));
        let (parts, body) = answer.await.unwrap().into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    async fn enrol(&self, number: &str, token: &Token, body: impl Into<Body>) -> Answer {
        self.ask(enrolment(Some(&format!("{number}:{}", token.expose())), body), None).await
    }

    async fn renew(&self, shown: &Identity, body: impl Into<Body>) -> Answer {
        let request = Request::post("/.well-known/est/simplereenroll")
            .header(header::CONTENT_TYPE, "application/pkcs10");
        self.ask(request.body(body.into()).unwrap(), Some(shown.clone())).await
    }

    /// A certificate that was issued so long ago, for 30 days.
    async fn issued(&self, number: &str, days_ago: i64) -> Identity {
        let (number, then): (LamppostNumber, _) =
            (number.parse().unwrap(), clock::wall().plus_ms(-days_ago * DAY_MS));
        let issued = self.authority.issue_lamppost(&number, Validity::RENEWED, then).unwrap();
        let record = CertificateRecord {
            serial: issued.serial.clone(),
            lamppost: number.clone(),
            issued: then,
            not_after: issued.not_after,
            revoked: None,
            authority: Some(issued.authority.clone()),
        };
        self.registry.record_certificate(&record, &Actor::Server).await.unwrap();
        Identity {
            number,
            certificate_serial: issued.serial.to_string(),
            not_before: then,
            not_after: issued.not_after,
        }
    }

    fn count(&self, operation: &str, outcome: &str) -> u64 {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.counters).unwrap();
        let line =
            format!("lamplighter_est_requests_total{{operation=\"{operation}\",outcome=\"{outcome}\"}} ");
        text.lines().find_map(|found| found.strip_prefix(&line)).map_or(0, |count| count.parse().unwrap())
    }

    /// What the registry knows of a certificate that was handed out.
    async fn record(&self, certificate: &[u8]) -> Option<CertificateRecord> {
        let serial = CertificateSerial::of_certificate(certificate).unwrap();
        self.registry.certificate(&serial).await.unwrap()
    }
}

fn enrolment(login: Option<&str>, body: impl Into<Body>) -> Request<Body> {
    let request =
        Request::post("/.well-known/est/simpleenroll").header(header::CONTENT_TYPE, "application/pkcs10");
    let request = match login {
        Some(login) => request.header(header::AUTHORIZATION, format!("Basic {}", STANDARD.encode(login))),
        None => request,
    };
    request.body(body.into()).unwrap()
}

fn key() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap()
}

fn request(name: &str, key: &KeyPair) -> String {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    if !name.is_empty() {
        parameters.distinguished_name.push(DnType::CommonName, name);
    }
    STANDARD.encode(parameters.serialize_request(key).unwrap().der())
}

impl Answer {
    /// The certificate in it.
    fn certificate(&self) -> Vec<u8> {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/pkcs7-mime; smime-type=certs-only");
        assert_eq!(self.headers["content-transfer-encoding"], "base64");
        let der = STANDARD.decode(self.body.split_whitespace().collect::<String>()).unwrap();
        let mut certificates = Vec::new();
        yasna::parse_der(&der, |reader| {
            reader.read_sequence(|content| {
                content.next().read_oid()?;
                content.next().read_tagged(Tag::context(0), |reader| {
                    reader.read_sequence(|signed| {
                        signed.next().read_u8()?;
                        signed.next().read_set_of(|one| one.read_der().map(drop))?;
                        signed.next().read_sequence(|data| data.next().read_oid())?;
                        signed.next().read_tagged_implicit(Tag::context(0), |reader| {
                            reader.read_set_of(|one| {
                                certificates.push(one.read_der()?);
                                Ok(())
                            })
                        })?;
                        signed.next().read_set_of(|one| one.read_der().map(drop))
                    })
                })
            })
        })
        .unwrap();
        assert_eq!(certificates.len(), 1);
        certificates.remove(0)
    }

    fn is(&self, status: u16, sentence: &str) {
        assert!(self.status == status && self.body.contains(sentence), "{}: {}", self.status, self.body);
        assert_eq!(self.headers[header::CONTENT_TYPE], "text/plain; charset=utf-8");
    }
}

#[tokio::test]
async fn a_token_and_a_request_make_a_certificate_that_the_registry_knows() {
    let office = Office::open().await;
    let (token, key) = (office.token("DF3637", 1).await, key());
    let before = clock::wall();
    let certificate = office.enrol("DF3637", &token, request("DF3637", &key)).await.certificate();
    let (_, parsed) = x509_parser::parse_x509_certificate(&certificate).unwrap();
    assert_eq!(parsed.subject().to_string(), "CN=DF3637");
    assert_eq!(parsed.public_key().raw, rcgen::PublicKeyData::subject_public_key_info(&key));
    let usage = parsed.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.client_auth && !usage.server_auth && !usage.any && !parsed.is_ca());
    let (_, ca) = x509_parser::parse_x509_certificate(office.authority.certificate_der()).unwrap();
    parsed.verify_signature(Some(ca.public_key())).unwrap();
    let record = office.record(&certificate).await.unwrap();
    assert_eq!((record.lamppost.as_str(), record.revoked), ("DF3637", None));
    assert!(record.issued >= before);
    assert_eq!(record.not_after, record.issued.plus_ms(30 * DAY_MS));
    assert_eq!(office.count("simpleenroll", "done"), 1);
    assert_eq!(office.registry.tokens(9).await.unwrap()[0].certificates, 1);
}

#[tokio::test]
async fn an_answer_that_was_lost_is_had_again_by_the_same_key_some_times_and_by_no_other() {
    let office = Office::open().await;
    let (token, mine, others) = (office.token("DF3637", 1).await, key(), key());
    let mut serials = Vec::new();
    for _ in 0..MOST_OF_A_TOKEN {
        // The name may be left out.
        let certificate = office.enrol("DF3637", &token, request("", &mine)).await.certificate();
        serials.push(office.record(&certificate).await.unwrap().serial);
        office.enrol("DF3637", &token, request("DF3637", &others)).await.is(403, "with another key");
    }
    serials.dedup();
    assert_eq!(serials.len(), 5);
    office.enrol("DF3637", &token, request("", &mine)).await.is(403, "used too often");
    assert_eq!(office.count("simpleenroll", "other_key"), 5);
    assert_eq!(office.registry.tokens(9).await.unwrap()[0].certificates, 5);
}

#[tokio::test]
async fn of_two_that_use_a_token_at_once_one_is_enrolled() {
    let office = Office::open().await;
    for _ in 0..10 {
        let token = office.token("DF3637", 1).await;
        let (one, other) = (request("DF3637", &key()), request("DF3637", &key()));
        let (one, other) =
            tokio::join!(office.enrol("DF3637", &token, one), office.enrol("DF3637", &token, other));
        let mut codes = [one.status.as_u16(), other.status.as_u16()];
        codes.sort_unstable();
        assert_eq!(codes, [200, 403], "{} {}", one.body, other.body);
    }
}

#[tokio::test]
async fn every_wrong_login_is_answered_alike() {
    let office = Office::open().await;
    let (token, of_another) =
        (office.token("DF3637", 1).await.expose(), office.token("DF0001", 1).await.expose());
    let unknown = Token::generate().unwrap().expose();
    let mut answers = Vec::new();
    for login in [
        None,
        Some(format!("DF3637:{unknown}")),
        Some(format!("DF3637:{of_another}")),
        Some(format!("DF9999:{token}")),
        Some("DF3637:".to_owned()),
        Some("DF3637:password".to_owned()),
        Some(format!("DF/3637:{token}")),
        Some(format!("df3637:{token}")),
        Some(token.clone()),
    ] {
        let answer = office.ask(enrolment(login.as_deref(), request("DF3637", &key())), None).await;
        answer.is(401, "log in with the lamppost's number");
        assert!(answer.headers[header::WWW_AUTHENTICATE].to_str().unwrap().starts_with("Basic realm="));
        answers.push(answer.body);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
    assert_eq!(office.count("simpleenroll", "login"), 9);
}

#[tokio::test]
async fn who_tries_tokens_is_told_to_wait_and_who_has_one_is_not() {
    let office = Office::open().await;
    let token = office.token("DF3637", 1).await;
    let mut statuses = Vec::new();
    for _ in 0..40 {
        let wrong = Token::generate().unwrap();
        let answer = office.enrol("DF3637", &wrong, request("DF3637", &key())).await;
        statuses.push(answer.status.as_u16());
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            let seconds: u64 = answer.headers[header::RETRY_AFTER].to_str().unwrap().parse().unwrap();
            assert!((1..=60).contains(&seconds));
        }
    }
    assert_eq!(statuses[..20], [401; 20]);
    assert!(statuses.contains(&429), "{statuses:?}");
    office.enrol("DF3637", &token, request("DF3637", &key())).await.certificate();
}

#[tokio::test]
async fn a_token_that_is_over_is_refused_and_said_to_be() {
    let office = Office::open().await;
    let expired = office.token("DF3637", 0).await;
    office.enrol("DF3637", &expired, request("DF3637", &key())).await.is(403, "has expired");
    let ended = office.token("DF3637", 1).await;
    let id = office.registry.tokens(1).await.unwrap()[0].id;
    let ending = office.registry.end_token(id, clock::wall(), &Actor::Server).await.unwrap();
    assert!(matches!(ending, TokenEnding::Ended(_)));
    assert!(matches!(
        office.registry.end_token(id, clock::wall(), &Actor::Server).await.unwrap(),
        TokenEnding::WasEnded(_)
    ));
    let unknown =
        office.registry.end_token("99".parse().unwrap(), clock::wall(), &Actor::Server).await.unwrap();
    assert_eq!(unknown, TokenEnding::Unknown);
    office.enrol("DF3637", &ended, request("DF3637", &key())).await.is(403, "was ended");
    assert!(office.registry.tokens(9).await.unwrap().iter().all(|token| token.certificates == 0));
}

#[tokio::test]
async fn requests_out_of_order_are_refused_by_status_and_use_nothing_up() {
    let office = Office::open().await;
    let token = office.token("DF3637", 1).await;
    let good = request("DF3637", &key());
    office.enrol("DF3637", &token, request("DF0001", &key())).await.is(403, "names another lamppost");
    for (body, sentence) in [
        (String::new(), "not PKCS#10"),
        ("\0".repeat(100), "not base64"),
        (good[..good.len() - 5].to_owned(), "not"),
        (format!("-----BEGIN CERTIFICATE REQUEST-----\n{good}"), "not base64"),
    ] {
        office.enrol("DF3637", &token, body).await.is(400, sentence);
    }
    office.enrol("DF3637", &token, "A".repeat(LONGEST_REQUEST)).await.is(400, "not PKCS#10");
    for length in [LONGEST_REQUEST + 1, 900_000, 5_000_000] {
        office.enrol("DF3637", &token, "A".repeat(length)).await.is(413, "65536 bytes");
    }
    let login = format!("Basic {}", STANDARD.encode(format!("DF3637:{}", token.expose())));
    for kind in
        [None, Some("application/json"), Some("application/pkcs10x"), Some("text/plain; application/pkcs10")]
    {
        let request = Request::post("/.well-known/est/simpleenroll").header(header::AUTHORIZATION, &login);
        let request =
            kind.into_iter().fold(request, |request, kind| request.header(header::CONTENT_TYPE, kind));
        office.ask(request.body(good.clone().into()).unwrap(), None).await.is(415, "application/pkcs10");
    }
    let odd = Request::post("/.well-known/est/simpleenroll")
        .header(header::AUTHORIZATION, &login)
        .header(header::CONTENT_TYPE, "Application/PKCS10; charset=ascii");
    office.ask(odd.body(good.into()).unwrap(), None).await.certificate();
    assert_eq!(office.registry.tokens(1).await.unwrap()[0].certificates, 1, "nothing else was issued");
}

#[tokio::test]
async fn nothing_but_three_paths_is_served() {
    let office = Office::open().await;
    let ask = async |method: &str, path: &str| {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        office.ask(request, None).await.status.as_u16()
    };
    for path in [
        "/",
        "/healthz",
        "/metrics",
        "/api/v1/lampposts",
        "/.well-known/est",
        "/.well-known/est/cacerts/",
        "/.well-known/est/csrattrs",
    ] {
        assert_eq!(ask("GET", path).await, 404, "{path}");
    }
    for (method, path) in
        [("POST", "cacerts"), ("GET", "simpleenroll"), ("PUT", "simpleenroll"), ("GET", "simplereenroll")]
    {
        assert_eq!(ask(method, &format!("/.well-known/est/{path}")).await, 405, "{method} {path}");
    }
    let request = Request::get("/.well-known/est/cacerts").body(Body::empty()).unwrap();
    let ca = office.ask(request, None).await.certificate();
    assert_eq!(ca, office.authority.certificate_der().as_ref());
}

#[tokio::test]
async fn a_certificate_is_renewed_by_showing_it_and_stays_good() {
    let office = Office::open().await;
    let present = office.issued("DF3637", 20).await;
    let certificate = office.renew(&present, request("DF3637", &key())).await.certificate();
    let record = office.record(&certificate).await.unwrap();
    assert_eq!(record.lamppost, present.number);
    assert!(record.not_after > clock::wall().plus_ms(29 * DAY_MS));
    let kept =
        office.registry.certificate(&present.certificate_serial.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(kept.revoked, None);
    // While it is good it need not be the newest.
    office.renew(&present, request("", &key())).await.certificate();
    office.renew(&present, request("DF0001", &key())).await.is(403, "names another lamppost");
    assert_eq!(office.count("simplereenroll", "done"), 2);
}

#[tokio::test]
async fn who_shows_no_certificate_or_one_that_is_not_known_or_revoked_renews_nothing() {
    let office = Office::open().await;
    let request = || request("DF3637", &key());
    let nobody =
        Request::post("/.well-known/est/simplereenroll").header(header::CONTENT_TYPE, "application/pkcs10");
    office.ask(nobody.body(request().into()).unwrap(), None).await.is(403, "there was none");
    let good = office.issued("DF3637", 1).await;
    let of_another = Identity { number: "DF0001".parse().unwrap(), ..good.clone() };
    office.renew(&of_another, request()).await.is(403, "none that was issued to this lamppost");
    let unknown = Identity { certificate_serial: "4a4a".to_owned(), ..good.clone() };
    office.renew(&unknown, request()).await.is(403, "none that was issued to this lamppost");
    for days_ago in [1, 40] {
        let revoked = office.issued("DF3637", days_ago).await;
        revoke(&office.registry, &revoked).await;
        office.renew(&revoked, request()).await.is(403, "is revoked");
    }
}

#[tokio::test]
async fn a_lamppost_returns_after_the_end_of_its_newest_certificate_and_of_no_other() {
    let office = Office::open().await;
    let newest = office.issued("DF3637", 400).await;
    let older = office.issued("DF3637", 401).await;
    office.renew(&older, request("DF3637", &key())).await.is(403, "not the newest");
    office.issued("DF0001", 1).await;
    let (mine, others) = (key(), key());
    let certificate = office.renew(&newest, request("DF3637", &mine)).await.certificate();
    assert!(office.record(&certificate).await.unwrap().not_after > clock::wall());
    // The answer may be lost as any other; a thief of the old key has none of the new one.
    office.renew(&newest, request("DF3637", &mine)).await.certificate();
    office.renew(&newest, request("DF3637", &others)).await.is(403, "not the newest");
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &office.counters).unwrap();
    assert!(text.contains("lamplighter_est_returned_total 2\n"), "{text}");
}

#[tokio::test]
async fn a_lamppost_that_was_away_for_too_long_does_not_return() {
    let office = Office::open().await;
    let away = office.issued("DF3637", 431).await;
    office.renew(&away, request("DF3637", &key())).await.is(403, "too long ago");
    let never = Office::with(ReturnWithin::NEVER).await;
    let away = never.issued("DF3637", 31).await;
    never.renew(&away, request("DF3637", &key())).await.is(403, "too long ago");
}

#[tokio::test]
async fn a_lamppost_is_given_so_many_certificates_a_day_and_another_one_its_own() {
    let office = Office::open().await;
    let present = office.issued("DF3637", 1).await;
    for _ in 0..MOST_A_DAY {
        office.renew(&present, request("", &key())).await.certificate();
    }
    let refused = office.renew(&present, request("", &key())).await;
    refused.is(429, "enough certificates for a day");
    assert_eq!(refused.headers[header::RETRY_AFTER], "3600");
    let other = office.issued("DF0001", 1).await;
    office.renew(&other, request("", &key())).await.certificate();
}

#[tokio::test]
async fn the_audit_tells_of_tokens_of_what_they_were_used_for_and_of_a_return() {
    let office = Office::open().await;
    let token = office.token("DF3637", 1).await;
    let issued = office.enrol("DF3637", &token, request("DF3637", &key())).await.certificate();
    office.enrol("DF3637", &token, request("DF3637", &key())).await.is(403, "with another key");
    let id = office.registry.tokens(1).await.unwrap()[0].id;
    office.registry.end_token(id, clock::wall(), &Actor::Server).await.unwrap();
    let ended = office.issued("DF0001", 40).await;
    let renewed = office.renew(&ended, request("", &key())).await.certificate();
    let query = "SELECT actor, action, subject, detail FROM audit ORDER BY sequence";
    let (_, readers) = office.registry.pools();
    let told: Vec<(String, String, String, String)> = sqlx::query_as(query).fetch_all(readers).await.unwrap();
    let (enrolled, returned) =
        (office.record(&issued).await.unwrap().serial, office.record(&renewed).await.unwrap().serial);
    let told: Vec<String> =
        told.iter().map(|(actor, action, subject, _)| format!("{actor} {action} {subject}")).collect();
    assert_eq!(
        told[1..],
        [
            "server token_created token:1".to_owned(),
            format!("lamppost:DF3637 certificate_issued certificate:{enrolled}"),
            "server token_ended token:1".to_owned(),
            format!("server certificate_issued certificate:{}", ended.certificate_serial),
            format!("lamppost:DF0001 certificate_issued certificate:{returned}"),
        ]
    );
    let detail = "SELECT detail FROM audit ORDER BY sequence DESC LIMIT 1";
    let detail: String = sqlx::query_scalar(detail).fetch_one(readers).await.unwrap();
    assert!(detail.contains("\"returned\":\"after expiry\""), "{detail}");
    assert!(detail.contains(&format!("\"present\":\"{}\"", ended.certificate_serial)), "{detail}");
}

async fn revoke(registry: &Registry, certificate: &Identity) {
    let serial = certificate.certificate_serial.parse().unwrap();
    let revoked = registry.revoke(&Revoke::Certificate(serial), None, clock::wall(), &Actor::Server).await;
    assert_eq!(revoked.unwrap().now.len(), 1);
}
