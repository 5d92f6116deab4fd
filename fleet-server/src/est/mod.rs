//! Enrolment by EST (RFC 7030): how a lamppost comes to a certificate, and to the next one.
//!
//! | path below `/.well-known/est` | asks for | is allowed by |
//! | --- | --- | --- |
//! | `cacerts` | the CA's certificate; after a [rotation](crate::ca::rotate) those of both, and what the old one says of the new | nothing: it is no secret |
//! | `simpleenroll` | a first certificate | a one-time [`Token`], by HTTP Basic with the lamppost's number as user |
//! | `simplereenroll` | the next certificate | the present one, shown in TLS |
//!
//! The lamppost makes its key itself and sends a request (PKCS#10) that is signed with it; what is issued is ours but
//! for the key. Served by the gateway, on the port of lampposts; `request.rs`, `login.rs`, `token.rs` and `rules.rs` are
//! pure, `http.rs` is the rim.
//!
//! What it guarantees:
//! - A certificate is in the registry before anybody has it, with the same commit that binds the token to its key. So an
//!   answer that was lost can be asked for again, and nobody else can use the token.
//! - A renewal leaves the present certificate as it is: the lamppost keeps it until the next one has worked.
//! - A lamppost whose certificate has ended may still renew it for some days ([`ReturnWithin`]), with its newest one
//!   alone, and that is said.
//! - A wrong login is answered as every other, is counted, and beyond a rate told to wait; a right one never waits for
//!   wrong ones.

mod hours;
mod http;
mod login;
mod metrics;
mod pkcs7;
mod refusal;
mod request;
mod rules;
mod token;

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};
use lamplighter_protocol::{LamppostNumber, UtcMillis};
use rustls::pki_types::CertificateDer;

use self::login::Login;
use self::metrics::Operation;
use self::refusal::Refusal;
use self::request::SigningRequest;
use self::rules::{MOST_A_DAY, MOST_OF_A_TOKEN, Renewal, a_day_before, judge_renewal, judge_token};
use crate::audit::Actor;
use crate::ca::{Authority, KeyDigest, LamppostKey, Present, Validity};
use crate::clock;
use crate::gateway::{Identity, Pace, Rate, RefusalLog, Refusals};
use crate::registry::{
    CertificateRecord, CertificateSerial, Recorded, Registry, RegistryError, TokenDigest, TokenRecord,
};

pub use hours::Hours;
pub use metrics::EstMetrics;
pub use request::{LONGEST_REQUEST, NotARequest, requested_key};
pub use rules::ReturnWithin;
pub use token::{NoRandomBytes, NotAToken, Token};

/// Wrong logins that are answered as such, of all callers together: an installer who mistypes, many of them at once,
/// and nobody who tries tokens.
const WRONG_LOGINS: Rate = Rate { amount: 1, per: Duration::from_secs(1), burst: 20 };

/// How long the registry may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is granted.
#[derive(Clone, Copy, Debug)]
pub struct EstOptions {
    /// How long certificates are good that lampposts ask for.
    pub validity: Validity,
    /// For how long after its end one can be renewed.
    pub return_within: ReturnWithin,
}

/// Whom a request for a certificate names, if its bytes are one: all that is read of it before a certificate is made.
pub fn named_in_request(body: &[u8]) -> Option<Option<LamppostNumber>> {
    SigningRequest::read(body).ok().map(|request| request.name)
}

/// Who logs in by the value of an `Authorization` header, if it could be right: all that is read of it before the registry is
/// asked.
pub fn named_in_login(value: &[u8]) -> Option<LamppostNumber> {
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, HeaderValue::from_bytes(value).ok()?);
    Login::of(&headers).map(|login| login.number)
}

/// Enrols lampposts.
pub struct Est {
    registry: Registry,
    authority: Present<Authority>,
    options: EstOptions,
    metrics: EstMetrics,
    wrong_logins: Mutex<Pace>,
    log: RefusalLog,
    clock: Box<dyn Fn() -> UtcMillis + Send + Sync>,
}

type Issued = CertificateDer<'static>;

impl Est {
    /// Enrols the lampposts of this registry by this CA; who is refused is counted in `refusals` too.
    pub fn new(
        registry: Registry,
        authority: impl Into<Present<Authority>>,
        options: EstOptions,
        metrics: EstMetrics,
        refusals: Refusals,
    ) -> Self {
        let wrong_logins = Mutex::new(Pace::new(WRONG_LOGINS));
        let authority = authority.into();
        Self {
            registry,
            authority,
            options,
            metrics,
            wrong_logins,
            log: RefusalLog::new(refusals),
            clock: Box::new(clock::wall),
        }
    }

    /// Enrols by another clock than the machine's.
    #[must_use]
    pub fn by_clock(self, clock: impl Fn() -> UtcMillis + Send + Sync + 'static) -> Self {
        Self { clock: Box::new(clock), ..self }
    }

    /// A login, if it is right and its token good so far.
    async fn log_in<'a>(&self, login: Option<&'a Login>) -> Result<&'a Login, Refusal> {
        let now = self.now()?;
        // What can be no login is looked up as well: so it takes as long as one that is wrong.
        let digest = login.map_or_else(|| TokenDigest::of(&[]), |login| login.token.digest());
        let token = within(self.registry.token(&digest)).await?;
        let right = login.zip(token).filter(|(login, token)| login.number == token.lamppost);
        let (login, token) = right.ok_or_else(|| self.wrong_login())?;
        judge_token(&token, None, now)?;
        Ok(login)
    }

    fn wrong_login(&self) -> Refusal {
        let mut pace = self.wrong_logins.lock().unwrap_or_else(PoisonError::into_inner);
        if pace.try_take(clock::monotonic()) { Refusal::Login } else { Refusal::TooManyLogins }
    }

    /// Issues a first certificate for a token.
    async fn enrol(&self, peer: SocketAddr, login: &Login, body: &[u8]) -> Result<Issued, Refusal> {
        let (now, number) = (self.now()?, &login.number);
        let request = own_request(number, body)?;
        let key = request.key.digest();
        let token = self.good_token(login, &key, now).await?;
        let (certificate, record) = self.certify(number, &request.key, now)?;
        // The registry judges once more, by the same rules and for good: another request may have come in between.
        let entry = record.issued_by(Actor::Lamppost(number.clone())).text("token", token.id);
        let recording = self.registry.enrol_by_token(token.id, &key, (&record, &entry), MOST_OF_A_TOKEN);
        let recorded = within(recording).await?;
        if recorded == Recorded::No {
            self.good_token(login, &key, now).await?;
            return Err(Refusal::Unavailable);
        }
        tracing::info!(lamppost = %number, %peer, token = %token.id, serial = %record.serial, "a lamppost is enrolled");
        Ok(certificate)
    }

    async fn good_token(
        &self,
        login: &Login,
        key: &KeyDigest,
        now: UtcMillis,
    ) -> Result<TokenRecord, Refusal> {
        let token = within(self.registry.token(&login.token.digest())).await?.ok_or(Refusal::Unavailable)?;
        judge_token(&token, Some(key), now)?;
        Ok(token)
    }

    /// Issues the next certificate for the present one.
    async fn renew(&self, peer: SocketAddr, shown: &Identity, body: &[u8]) -> Result<Issued, Refusal> {
        let now = self.now()?;
        let serial: CertificateSerial =
            shown.certificate_serial.parse().map_err(|_| Refusal::UnknownCertificate)?;
        let known = within(self.registry.certificate(&serial)).await?;
        let renewal = judge_renewal(shown, known.as_ref(), self.options.return_within, now)?;
        let request = own_request(&shown.number, body)?;
        let key = request.key.digest();
        if renewal == Renewal::Returned
            && let Some(known) = &known
            && within(self.registry.has_newer(known, &key)).await?
        {
            return Err(Refusal::NotNewest);
        }
        let (certificate, record) = self.certify(&shown.number, &request.key, now)?;
        let most = (MOST_A_DAY, a_day_before(now));
        let entry = record.issued_by(Actor::Lamppost(shown.number.clone())).text("present", &serial);
        let entry = match renewal {
            Renewal::InTime => entry,
            Renewal::Returned => {
                entry.text("returned", "after expiry").number("present_not_after_ms", shown.not_after.0)
            }
        };
        let recorded = within(self.registry.renew(&serial, &key, (&record, &entry), most)).await?;
        if recorded == Recorded::No {
            let known = within(self.registry.certificate(&serial)).await?;
            judge_renewal(shown, known.as_ref(), self.options.return_within, now)?;
            return Err(Refusal::TooMany);
        }
        let lamppost = &shown.number;
        match renewal {
            Renewal::InTime => {
                tracing::info!(%lamppost, %peer, present = %serial, serial = %record.serial, "a certificate is renewed");
            }
            Renewal::Returned => {
                self.metrics.returned();
                tracing::warn!(
                    %lamppost, %peer, present = %serial, serial = %record.serial,
                    "a lamppost has returned after expiry of its certificate, and is given a new one"
                );
            }
        }
        Ok(certificate)
    }

    fn certify(
        &self,
        number: &LamppostNumber,
        key: &LamppostKey,
        now: UtcMillis,
    ) -> Result<(Issued, CertificateRecord), Refusal> {
        self.authority.get().certify_lamppost(number, key, self.options.validity, now).map_err(|error| {
            let error = anyhow::Error::from(error);
            tracing::error!(lamppost = %number, "no certificate can be issued: {error:#}");
            Refusal::Unavailable
        })
    }

    /// The time, if it can be right: by a clock that is wrong a certificate would be good at no time.
    fn now(&self) -> Result<UtcMillis, Refusal> {
        (self.clock)().plausible().map_err(|_| Refusal::Unavailable)
    }

    /// Counts how a request ended, and logs what was refused.
    fn note(
        &self,
        operation: Operation,
        (lamppost, peer): (Option<&LamppostNumber>, SocketAddr),
        outcome: Result<(), Refusal>,
    ) {
        self.metrics.count(operation, outcome);
        let Err(refusal) = outcome else { return };
        let now = clock::monotonic();
        match lamppost {
            Some(lamppost) => self.log.refused(lamppost, peer, refusal.label(), now),
            None => self.log.refused_stranger(peer, refusal.label(), now),
        }
    }
}

impl fmt::Debug for Est {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Est").field("options", &self.options).finish_non_exhaustive()
    }
}

/// A request that is this lamppost's own.
fn own_request(number: &LamppostNumber, body: &[u8]) -> Result<SigningRequest, Refusal> {
    let request = SigningRequest::read(body).map_err(Refusal::Malformed)?;
    if request.name.as_ref().is_some_and(|name| name != number) {
        return Err(Refusal::OtherLamppost);
    }
    Ok(request)
}

/// The registry's answer, if it comes in time.
async fn within<T>(answer: impl Future<Output = Result<T, RegistryError>>) -> Result<T, Refusal> {
    let error = match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Ok(answer)) => return Ok(answer),
        Ok(Err(RegistryError::NotRegistered { .. })) => return Err(Refusal::UnknownLamppost),
        Ok(Err(RegistryError::Retired { .. })) => return Err(Refusal::Retired),
        Ok(Err(error)) => anyhow::Error::from(error),
        Err(elapsed) => anyhow::Error::from(elapsed),
    };
    tracing::error!("cannot decide about a certificate: {error:#}");
    Err(Refusal::Unavailable)
}
