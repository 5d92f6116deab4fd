//! Why a lamppost is given no certificate: one word each for counters and the log, a status and a sentence for whoever
//! asked.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

use super::request::{LONGEST_REQUEST, Malformed};

/// Why there is no certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No login, or one that is wrong, whatever is wrong with it.
    Login,
    /// There were too many of these, of all callers together.
    TooManyLogins,
    /// Somebody ended the token.
    TokenEnded,
    /// The token was made too long ago.
    TokenExpired,
    /// The token was used with another key: somebody else has it.
    OtherKey,
    /// The token was used too often.
    TokenUsedUp,
    /// The request names another lamppost.
    OtherLamppost,
    /// A renewal without a certificate to renew.
    NoCertificate,
    /// We have not issued the certificate to this lamppost.
    UnknownCertificate,
    /// The certificate is revoked.
    Revoked,
    /// The certificate has ended, and longer ago than is forgiven.
    EndedTooLongAgo,
    /// The certificate has ended, and the lamppost was given a newer one.
    NotNewest,
    /// The lamppost is not in the registry any more.
    UnknownLamppost,
    /// The lamppost was taken down.
    Retired,
    /// The lamppost was given too many certificates today.
    TooMany,
    /// The body is not said to be PKCS#10.
    MediaType,
    /// The body is too long.
    TooLong,
    /// The body did not come whole.
    Cut,
    /// The body is no request.
    Malformed(Malformed),
    /// The registry does not answer, the CA does not sign, or the clock is wrong.
    Unavailable,
}

/// After what time a client may try again that found us unable: a fleet that comes back at once would keep us so.
const RETRY: Duration = Duration::from_secs(30);
/// The same for one whose login was wrong when many were: by then most of them have gone.
const RETRY_LOGIN: Duration = Duration::from_secs(10);
/// The same for one that has had enough certificates for a day.
const RETRY_TOO_MANY: Duration = Duration::from_hours(1);

impl Refusal {
    /// The label under which it is counted.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::TooManyLogins => "too_many_logins",
            Self::TokenEnded => "token_ended",
            Self::TokenExpired => "token_expired",
            Self::OtherKey => "other_key",
            Self::TokenUsedUp => "token_used_up",
            Self::OtherLamppost => "other_lamppost",
            Self::NoCertificate => "no_certificate",
            Self::UnknownCertificate => "unknown_certificate",
            Self::Revoked => "revoked",
            Self::EndedTooLongAgo => "ended_too_long_ago",
            Self::NotNewest => "not_newest",
            Self::UnknownLamppost => "unknown_lamppost",
            Self::Retired => "retired",
            Self::TooMany => "too_many",
            Self::MediaType => "media_type",
            Self::TooLong => "too_long",
            Self::Cut => "cut",
            Self::Malformed(_) => "malformed",
            Self::Unavailable => "unavailable",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::Login => StatusCode::UNAUTHORIZED,
            Self::TooManyLogins | Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::TokenEnded
            | Self::TokenExpired
            | Self::OtherKey
            | Self::TokenUsedUp
            | Self::OtherLamppost
            | Self::NoCertificate
            | Self::UnknownCertificate
            | Self::Revoked
            | Self::EndedTooLongAgo
            | Self::NotNewest
            | Self::UnknownLamppost
            | Self::Retired => StatusCode::FORBIDDEN,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Cut | Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn sentence(self) -> String {
        let sentence = match self {
            Self::Login => {
                "log in with the lamppost's number as user and a token that was made for it as password"
            }
            Self::TooManyLogins => {
                "too many logins were wrong of late, and so is this one: wait, and look at the token"
            }
            Self::TokenEnded => {
                "this token was ended: have another one made with `fleet-server token create`"
            }
            Self::TokenExpired => {
                "this token has expired: have another one made with `fleet-server token create`"
            }
            Self::OtherKey => {
                "this token was used already, with another key: if that was not this lamppost, have its certificate \
                 revoked; have another token made with `fleet-server token create`"
            }
            Self::TokenUsedUp => {
                "this token was used too often: have another one made with `fleet-server token create`"
            }
            Self::OtherLamppost => "the request names another lamppost than whoever sent it",
            Self::NoCertificate => "a certificate is renewed by showing it: there was none",
            Self::UnknownCertificate => {
                "this certificate is none that was issued to this lamppost: enrol it with a token"
            }
            Self::Revoked => "this certificate is revoked: enrol the lamppost with a token",
            Self::EndedTooLongAgo => {
                "this certificate has ended too long ago: enrol the lamppost with a token"
            }
            Self::NotNewest => {
                "this certificate has ended, and is not the newest of its lamppost: enrol the lamppost with a token"
            }
            Self::UnknownLamppost => {
                "this lamppost is not registered: add it with `fleet-server lamppost import FILE`"
            }
            Self::Retired => "this lamppost is retired: revive it with `fleet-server lamppost revive`",
            Self::TooMany => "this lamppost was given enough certificates for a day",
            Self::MediaType => "a request is application/pkcs10",
            Self::TooLong => return format!("a request has at most {LONGEST_REQUEST} bytes"),
            Self::Cut => "the request did not come whole",
            Self::Malformed(why) => return why.to_string(),
            Self::Unavailable => "the server cannot issue certificates now: come again",
        };
        sentence.to_owned()
    }

    /// The answer.
    pub(super) fn response(self) -> Response {
        let mut response = Response::new(Body::from(self.sentence() + "\n"));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        if self == Self::Login {
            let challenge =
                HeaderValue::from_static("Basic realm=\"enrolment of lampposts\", charset=\"UTF-8\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(retry) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(retry.as_secs()));
        }
        response
    }

    /// When the same request may have another answer.
    fn retry_after(self) -> Option<Duration> {
        match self.status() {
            StatusCode::TOO_MANY_REQUESTS if self == Self::TooManyLogins => Some(RETRY_LOGIN),
            StatusCode::TOO_MANY_REQUESTS => Some(RETRY_TOO_MANY),
            StatusCode::SERVICE_UNAVAILABLE => Some(RETRY),
            _ => None,
        }
    }
}
