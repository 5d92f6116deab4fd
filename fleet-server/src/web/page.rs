//! The start page: what this is, how it is, and the newest values. Plain HTML, made here, without a script.

use std::fmt::{self, Write as _};

use axum::extract::State;
use axum::http::header;
use axum::response::{Html, IntoResponse as _, Response};
use lamplighter_protocol::{LamppostNumber, UtcMillis};
use utoipa::IntoParams;

use super::app::{App, registry_problem};
use super::latest::{self, LatestDocument};
use super::openapi::problems;
use super::problem::Problem;
use super::query::{Asked, FromParameters, NoParameters, Parameters};
use super::readiness::Phase;
use super::timestamp::Timestamp;
use crate::registry::Lamppost;

/// Lampposts on one page.
const ROWS: u32 = 100;

const STYLE: &str = "\
body { font: 16px/1.4 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid #ccc; padding: .3rem .6rem; text-align: left; vertical-align: top; }
ul { list-style: none; margin: 0; padding: 0; }
time { color: #555; }
";

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// Only lampposts past this one, in the order of their numbers.
    #[param(value_type = Option<String>)]
    after: Option<LamppostNumber>,
}

impl FromParameters for PageQuery {
    fn take(from: &mut Parameters) -> Result<Self, Problem> {
        Ok(Self { after: from.optional("after", LamppostNumber::new)? })
    }
}

/// The start page
///
/// HTML for people: how the server is, and the newest values of the lampposts.
#[utoipa::path(
    get, path = "/", tag = "operations", params(PageQuery),
    responses((status = 200, description = "The page", body = String, content_type = "text/html"), PageProblems)
)]
pub(super) async fn page(
    State(app): State<App>,
    Asked(query): Asked<PageQuery>,
) -> Result<Response, Problem> {
    let count = app.registry.count().await.map_err(|error| registry_problem(&error))?;
    let found = app.registry.lampposts(query.after.as_ref(), ROWS + 1).await;
    let mut lampposts = found.map_err(|error| registry_problem(&error))?;
    let more = lampposts.len() > ROWS as usize;
    lampposts.truncate(ROWS as usize);
    let next = lampposts.last().filter(|_| more).map(|last| last.number.clone());
    let content = Content { phase: app.readiness.phase(), count, rows: rows(&app, lampposts).await?, next };
    Ok(Html(content.to_string()).into_response())
}

/// The style of the start page
#[utoipa::path(
    get, path = "/page.css", tag = "operations",
    responses((status = 200, description = "The style", body = String, content_type = "text/css"), StyleProblems)
)]
pub(super) async fn stylesheet(_: Asked<NoParameters>) -> Result<Response, Problem> {
    Ok(([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response())
}

struct Row {
    lamppost: Lamppost,
    connected_since: Option<UtcMillis>,
    latest: Vec<LatestDocument>,
}

async fn rows(app: &App, lampposts: Vec<Lamppost>) -> Result<Vec<Row>, Problem> {
    if let Phase::Starting(_) = app.readiness.phase() {
        // The page says so; there are no values to show yet.
        return Ok(Vec::new());
    }
    let sessions = app.sessions.clone();
    let rows = app.read(move |tail| {
        let row = |lamppost: Lamppost| Row {
            connected_since: sessions.connected(&lamppost.number).map(|session| session.since),
            latest: tail.latest_of_lamppost(&lamppost.number).filter_map(latest::document).collect(),
            lamppost,
        };
        lampposts.into_iter().map(row).collect()
    });
    rows.await
}

struct Content {
    phase: Phase,
    count: u64,
    rows: Vec<Row>,
    next: Option<LamppostNumber>,
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Lamplighter</title>\n\
             <link rel=\"stylesheet\" href=\"/page.css\">\n<h1>Lamplighter</h1>\n",
        )?;
        writeln!(
            f,
            "<p>Fleet server {}: what the lampposts of a city observe. {}</p>",
            env!("CARGO_PKG_VERSION"),
            Escaped(&self.state())
        )?;
        writeln!(f, "<p>Registered lampposts: {}.</p>", self.count)?;
        f.write_str(
            "<p>For tools: <a href=\"/api/v1/lampposts\">lampposts</a>, \
             <a href=\"/api/v1/latest\">newest values</a>, <a href=\"/api/v1/catalogue\">catalogue</a>, \
             <a href=\"/live\">live feed</a>, <a href=\"/api/v1/openapi.json\">description of the API</a>, \
             <a href=\"/metrics\">figures</a>.</p>\n",
        )?;
        f.write_str(
            "<table>\n<thead><tr><th scope=\"col\">Lamppost</th><th scope=\"col\">Where</th>\
             <th scope=\"col\">Connected since</th><th scope=\"col\">Newest values</th></tr></thead>\n<tbody>\n",
        )?;
        self.rows.iter().try_for_each(|row| write!(f, "{row}"))?;
        f.write_str("</tbody>\n</table>\n")?;
        match &self.next {
            Some(next) => {
                writeln!(f, "<p><a href=\"/?after={}\">More lampposts</a></p>", Escaped(next.as_str()))
            }
            None => Ok(()),
        }
    }
}

impl Content {
    fn state(&self) -> String {
        match &self.phase {
            Phase::Ready => "It is ready.".to_owned(),
            Phase::Failing { part } => format!("The {part} does not work: lampposts keep what they read."),
            Phase::Starting(progress) => format!(
                "It is reading its journal and shows no values yet: {} entries ({} bytes) so far.",
                progress.entries, progress.bytes
            ),
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = Escaped(self.lamppost.number.as_str());
        let (road, district) = (Escaped(&self.lamppost.road), Escaped(&self.lamppost.district));
        write!(f, "<tr><th scope=\"row\"><a href=\"/api/v1/lampposts/{number}\">{number}</a></th>")?;
        write!(f, "<td>{road}, {district}</td><td>")?;
        match self.connected_since {
            Some(since) => write!(f, "{}", Timestamp(since))?,
            None => f.write_str("not connected")?,
        }
        f.write_str("</td><td><ul>")?;
        self.latest.iter().try_for_each(|latest| latest_item(f, latest))?;
        f.write_str("</ul></td></tr>\n")
    }
}

fn latest_item(f: &mut fmt::Formatter<'_>, latest: &LatestDocument) -> fmt::Result {
    let LatestDocument { series, observation } = latest;
    let name = series.key().name.to_string();
    write!(f, "<li>{} ", Escaped(&name))?;
    match observation.value {
        Some(value) => write!(f, "<b>{value} {}</b>", Escaped(series.unit()))?,
        None => write!(f, "<b>no value</b> ({})", Escaped(series.unit()))?,
    }
    let time = observation.time;
    writeln!(f, " {} <time datetime=\"{time}\">{time}</time></li>", Escaped(&observation.reason))
}

/// A text as it may stand between tags and in quoted attributes.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| match character {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            other => f.write_char(other),
        })
    }
}

problems!(PageProblems: InvalidParameter, UnknownParameter, RegistryUnavailable);
problems!(StyleProblems: UnknownParameter);
