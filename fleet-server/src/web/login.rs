//! The way in for browsers: the link that the server prints at its start.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use utoipa::IntoParams;

use super::app::App;
use super::problem::{Problem, ProblemKind};
use super::query::{Asked, FromParameters, Parameters};

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct LoginQuery {
    /// The token in the link that the server printed at its start.
    token: String,
}

impl FromParameters for LoginQuery {
    fn take(from: &mut Parameters) -> Result<Self, Problem> {
        let token = from.optional("token", |text| Ok::<_, std::convert::Infallible>(text.to_owned()))?;
        let token = token.ok_or_else(|| Problem::invalid("token", "open the whole link, with its token"))?;
        Ok(Self { token })
    }
}

/// Log a browser in
///
/// Sets the cookie `lamplighter` and sends the browser to the start page.
#[utoipa::path(
    get, path = "/login", tag = "access", params(LoginQuery),
    responses(
        (status = 303, description = "Logged in: go to /", headers(("set-cookie" = String), ("location" = String))),
        LoginProblems
    )
)]
pub(super) async fn login(
    State(app): State<App>,
    Asked(query): Asked<LoginQuery>,
) -> Result<Response, Problem> {
    if !app.token.matches(&query.token) {
        return Err(Problem::new(
            ProblemKind::Unauthorised,
            "this is not the token of this run of the server: open the link that it printed when it started last",
        ));
    }
    let mut response = (StatusCode::SEE_OTHER, [(header::LOCATION, "/")]).into_response();
    response.headers_mut().insert(header::SET_COOKIE, app.token.set_cookie());
    Ok(response)
}

super::openapi::problems!(LoginProblems: UnknownParameter, InvalidParameter, Unauthorised);
