//! One-time tokens: which there are, a new one, the end of one.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use lamplighter_protocol::{LamppostNumber, UtcMillis};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::app::{App, registry_problem};
use super::entrance::Entrance;
use super::openapi::problems;
use super::problem::{Problem, ProblemKind};
use super::query::{Asked, FromParameters, FromPath, InPath, NoParameters, Parameters, PathParameters};
use super::tagged::tagged;
use super::timestamp::Timestamp;
use crate::audit::Actor;
use crate::clock;
use crate::est::{Hours, Token};
use crate::registry::{TokenEnding, TokenId, TokenRecord, TokenState};

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct TokensQuery {
    /// Only tokens of this lamppost.
    #[param(value_type = Option<String>, example = "DF3637")]
    lamppost: Option<LamppostNumber>,
    /// Only tokens past this one: `next` of the page before.
    #[param(value_type = Option<u32>)]
    after: Option<TokenId>,
    /// How many tokens at most.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 50)]
    limit: u32,
}

impl FromParameters for TokensQuery {
    fn take(from: &mut Parameters) -> Result<Self, Problem> {
        Ok(Self {
            lamppost: from.optional("lamppost", LamppostNumber::new)?,
            after: from.optional("after", str::parse)?,
            limit: from.limit(50, 1000)?,
        })
    }
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct NewTokenQuery {
    /// The lamppost that is to be enrolled.
    #[param(value_type = String, example = "DF3637")]
    lamppost: LamppostNumber,
    /// For how many hours the token is good.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 720, default = 72)]
    hours: Hours,
}

impl FromParameters for NewTokenQuery {
    fn take(from: &mut Parameters) -> Result<Self, Problem> {
        let lamppost = from.optional("lamppost", LamppostNumber::new)?;
        let hours = from.optional("hours", str::parse)?.unwrap_or_default();
        let missing = || Problem::invalid("lamppost", "say which lamppost the token is for");
        Ok(Self { lamppost: lamppost.ok_or_else(missing)?, hours })
    }
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct TokenPath {
    /// By what people name the token: a whole number.
    #[param(value_type = u32, example = 12)]
    id: TokenId,
}

impl FromPath for TokenPath {
    fn take(from: &PathParameters) -> Result<Self, Problem> {
        Ok(Self { id: from.get("id")? })
    }
}

/// Some tokens, the newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct TokenPage {
    /// When they were read, by the server's clock.
    time: Timestamp,
    /// The tokens.
    tokens: Vec<TokenDocument>,
    /// `after` of the next page; null on the last one.
    #[schema(required = true)]
    next: Option<u32>,
}

/// A token. What is typed at the lamppost is told once, when it is made, and kept nowhere.
#[derive(Serialize, ToSchema)]
pub(super) struct TokenDocument {
    /// By what people name it.
    id: u32,
    /// The lamppost that it enrols.
    #[schema(value_type = String, example = "DF3637")]
    lamppost: LamppostNumber,
    state: TokenStateName,
    /// When it was made.
    made: Timestamp,
    /// From when on it is good no more.
    until: Timestamp,
    /// When somebody ended it; null if nobody has.
    #[schema(required = true)]
    ended: Option<Timestamp>,
    /// How many certificates it was used for, all of them for one key.
    certificates: u32,
}

/// `waiting`: nobody has used it yet. `used`: a lamppost was enrolled by it, and it is good for that one's key alone.
/// `expired`: its time is over. `ended`: somebody has ended it.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = TokenState)]
pub(super) enum TokenStateName {
    Waiting,
    Used,
    Expired,
    Ended,
}

/// A token that was made just now, and what is needed at the lamppost. It is told this once.
#[derive(Serialize, ToSchema)]
pub(super) struct NewTokenDocument {
    /// The token, as all others see it.
    token: TokenDocument,
    /// What is typed at the lamppost.
    #[schema(example = "7Z2K-…")]
    secret: String,
    /// The command for the lamppost's own machine. It asks for the secret.
    command: String,
    /// Lamppost, server, fingerprint and secret as a few lines, for a code that an installer's phone reads.
    note: String,
    /// Where lampposts find the server; null if it was started without a name.
    #[schema(required = true)]
    host: Option<String>,
    /// The port of its listener for lampposts.
    port: u16,
    /// SHA-256 of the certificate of the fleet's CA, in hexadecimal.
    ca_sha256: String,
}

impl NewTokenDocument {
    /// Of a token that was made at one time and is good until another.
    pub(super) fn new(
        entrance: &Entrance,
        id: TokenId,
        lamppost: LamppostNumber,
        token: &Token,
        (made, until): (UtcMillis, UtcMillis),
    ) -> Self {
        Self {
            secret: token.expose(),
            command: entrance.command(),
            note: entrance.note(&lamppost, token),
            host: entrance.host.clone(),
            port: entrance.port,
            ca_sha256: entrance.ca_sha256().to_string(),
            token: TokenDocument {
                id: id.number(),
                lamppost,
                state: TokenStateName::Waiting,
                made: Timestamp(made),
                until: Timestamp(until),
                ended: None,
                certificates: 0,
            },
        }
    }
}

/// Tokens
///
/// The one-time tokens that were made, page by page.
#[utoipa::path(
    get, path = "/api/v1/tokens", tag = "enrolment", params(TokensQuery),
    responses(
        (
            status = 200, description = "Some tokens", body = TokenPage,
            headers(("ETag" = String, description = "Goes by all but `time`"))
        ),
        (status = 304, description = "Nothing is different from what is known"),
        TokensProblems
    )
)]
pub(super) async fn list_tokens(
    State(app): State<App>,
    headers: HeaderMap,
    Asked(query): Asked<TokensQuery>,
) -> Result<Response, Problem> {
    let found = app.registry.tokens_before(query.lamppost.as_ref(), query.after, query.limit + 1).await;
    let mut found = found.map_err(|error| registry_problem(&error))?;
    let more = found.len() > query.limit as usize;
    found.truncate(query.limit as usize);
    let next = found.last().filter(|_| more).map(|last| last.id.number());
    let now = clock::wall();
    let tokens = found.into_iter().map(|one| document(one, now)).collect();
    let page = TokenPage { time: Timestamp(now), tokens, next };
    Ok(tagged(&headers, &(&page.tokens, page.next), &page))
}

/// Make a token
///
/// By a token, one registered lamppost without a certificate is given one. The answer is the only place where it is told.
#[utoipa::path(
    post, path = "/api/v1/tokens", tag = "enrolment", params(NewTokenQuery),
    responses((status = 201, description = "The token is made", body = NewTokenDocument), NewTokenProblems)
)]
pub(super) async fn make_token(
    State(app): State<App>,
    Asked(query): Asked<NewTokenQuery>,
) -> Result<(StatusCode, Json<NewTokenDocument>), Problem> {
    let NewTokenQuery { lamppost, hours } = query;
    app.lamppost(&lamppost).await?;
    let token = Token::generate().map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "no token can be made");
        Problem::new(ProblemKind::Internal, "no token was made; the log says why")
    })?;
    let now = clock::wall();
    let until = hours.after(now);
    let made = app.registry.create_token(&lamppost, &token.digest(), (now, until), &Actor::Console).await;
    let id = made.map_err(|error| registry_problem(&error))?;
    let document = NewTokenDocument::new(&app.entrance, id, lamppost, &token, (now, until));
    Ok((StatusCode::CREATED, Json(document)))
}

/// End a token
///
/// Nobody is enrolled by it any more. Certificates that were issued for it stay good. One that was ended before stays as it is.
#[utoipa::path(
    post, path = "/api/v1/tokens/{id}/ending", tag = "enrolment", params(TokenPath),
    responses((status = 200, description = "It is ended", body = TokenDocument), TokenProblems)
)]
pub(super) async fn end_token(
    State(app): State<App>,
    InPath(path): InPath<TokenPath>,
    _: Asked<NoParameters>,
) -> Result<Json<TokenDocument>, Problem> {
    let now = clock::wall();
    match app.registry.end_token(path.id, now, &Actor::Console).await {
        Ok(TokenEnding::Ended(token) | TokenEnding::WasEnded(token)) => Ok(Json(document(token, now))),
        Ok(TokenEnding::Unknown) => {
            let detail = format!("no token {} was made here", path.id);
            Err(Problem::new(ProblemKind::UnknownToken, detail).with_parameter("id"))
        }
        Err(error) => Err(registry_problem(&error)),
    }
}

fn document(token: TokenRecord, now: UtcMillis) -> TokenDocument {
    TokenDocument {
        state: match token.state(now) {
            TokenState::Waiting => TokenStateName::Waiting,
            TokenState::Used => TokenStateName::Used,
            TokenState::Expired => TokenStateName::Expired,
            TokenState::Ended => TokenStateName::Ended,
        },
        id: token.id.number(),
        lamppost: token.lamppost,
        made: Timestamp(token.created),
        until: Timestamp(token.expires),
        ended: token.ended.map(Timestamp),
        certificates: token.certificates,
    }
}

problems!(TokensProblems: InvalidParameter, UnknownParameter, RegistryUnavailable);
problems!(
    NewTokenProblems: InvalidParameter, UnknownParameter, UnknownLamppost, ForeignOrigin, RegistryUnavailable
);
problems!(
    TokenProblems: InvalidParameter, UnknownParameter, UnknownToken, ForeignOrigin, RegistryUnavailable
);
