//! The console: the files that its own build has made, as they are built into this program (see `build.rs`).
//!
//! They are the same for everybody and hold no secret, so they are served without the token: the console has to be
//! there to say how to log in. Only the page is kept uncompressed as well, the other files with brotli and gzip alone:
//! every browser takes those. A client that does not say what it takes may be sent any coding (RFC 9110, 12.5.3), and
//! gets gzip; one that says that it takes neither gets a 406.

use std::fmt;

use axum::extract::{Extension, OriginalUri, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use utoipa::IntoParams;

use super::app::App;
use super::coding::Codings;
use super::etag::ETag;
use super::guard;
use super::openapi::problems;
use super::problem::{Problem, ProblemKind};
use super::query::{Asked, FromPath, InPath, NoParameters, PathParameters};
use super::unread::Shared;

/// Where the files are whose names change with their content.
pub(super) const ASSETS: &str = "/assets/";

/// What the console may do in a browser: run its own scripts and workers, and talk to this server. Images may come from
/// memory too, for the map draws them there.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
                      connect-src 'self'; worker-src 'self'; font-src 'self'; manifest-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The start page of a program without a console.
const NOT_BUILT: &str = concat!(
    "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Lamplighter</title>\n\
     <h1>Lamplighter</h1>\n<p>Fleet server ",
    env!("CARGO_PKG_VERSION"),
    ": what the lampposts of a city observe.</p>\n\
     <p>The console was not built into this program. To have it, build it with Node.js, and then the server anew:</p>\n\
     <pre>(cd fleet-server/console &amp;&amp; npm ci &amp;&amp; npm run build)\ncargo build</pre>\n\
     <p>All that it would show is served to tools as well, to whoever has logged in by the link that the server printed \
     when it started: <a href=\"/api/v1/openapi.json\">description of the API</a>.</p>\n</html>\n"
);

include!(concat!(env!("OUT_DIR"), "/console.rs"));

/// The files of the console; none if it was not built.
#[derive(Clone, Copy)]
pub struct Console {
    files: &'static [ConsoleFile],
}

/// A file of the console.
pub(super) struct ConsoleFile {
    /// Path at this server; `/` is the page itself.
    pub(super) path: &'static str,
    pub(super) content_type: &'static str,
    /// Changes with the content.
    pub(super) tag: &'static str,
    pub(super) plain: Option<&'static [u8]>,
    pub(super) br: &'static [u8],
    pub(super) gzip: &'static [u8],
}

impl Console {
    /// The console that is built into this program.
    pub fn built_in() -> Self {
        Self::of(BUILT_IN)
    }

    pub(super) fn of(files: &'static [ConsoleFile]) -> Self {
        Self { files }
    }

    /// Paths of the files beside the page, such as its icon, which are routes of their own.
    pub(super) fn beside_page(self) -> impl Iterator<Item = &'static str> {
        self.files.iter().map(|file| file.path).filter(|path| *path != "/" && !path.starts_with(ASSETS))
    }

    /// Whether one of the files has this path.
    pub(super) fn has(self, path: &str) -> bool {
        self.file(path).is_some()
    }

    fn file(self, path: &str) -> Option<&'static ConsoleFile> {
        self.files.iter().find(|file| file.path == path)
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.files.iter().map(|file| file.path)).finish()
    }
}

/// The console
///
/// HTML for people. A program without the console says how to build it.
#[utoipa::path(
    get, path = "/", tag = "operations",
    responses((status = 200, description = "The page", body = String, content_type = "text/html"), PageProblems)
)]
pub(super) async fn console_page(
    State(app): State<App>,
    Extension(codings): Extension<Codings>,
    headers: HeaderMap,
    _: Asked<NoParameters>,
) -> Result<Response, Problem> {
    match app.console.file("/") {
        Some(page) => page.answer(codings, &headers),
        None => Ok(Html(NOT_BUILT).into_response()),
    }
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct AssetPath {
    /// The name of the file.
    file: String,
}

impl FromPath for AssetPath {
    fn take(from: &PathParameters) -> Result<Self, Problem> {
        Ok(Self { file: from.get("file")? })
    }
}

/// A part of the console
///
/// Scripts, styles and whatever else its page asks for. A name never stands for another content.
#[utoipa::path(
    get, path = "/assets/{file}", tag = "operations", params(AssetPath),
    responses((status = 200, description = "The file", body = String, content_type = "text/javascript"), AssetProblems)
)]
pub(super) async fn console_asset(
    State(app): State<App>,
    Extension(codings): Extension<Codings>,
    headers: HeaderMap,
    InPath(AssetPath { file }): InPath<AssetPath>,
    _: Asked<NoParameters>,
) -> Result<Response, Problem> {
    let found = app.console.file(&format!("{ASSETS}{file}")).ok_or_else(|| {
        Problem::new(
            ProblemKind::NotFound,
            "this console has no such part; load its page anew, it may be older",
        )
    })?;
    found.answer(codings, &headers)
}

/// A file beside the page. Which there are is the console's business, and no part of the API.
pub(super) async fn beside_page(
    State(app): State<App>,
    Extension(codings): Extension<Codings>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    _: Asked<NoParameters>,
) -> Result<Response, Problem> {
    match app.console.file(uri.path()) {
        Some(file) => file.answer(codings, &headers),
        None => Err(guard::not_found(uri).await),
    }
}

impl ConsoleFile {
    fn answer(&self, codings: Codings, headers: &HeaderMap) -> Result<Response, Problem> {
        // Of those that the client wants the same, the last one is taken.
        let given = [
            (codings.identity, self.plain, None),
            (codings.gzip, Some(self.gzip), Some("gzip")),
            (codings.br, Some(self.br), Some("br")),
        ];
        let taken = given.into_iter().filter_map(|(weight, bytes, coding)| Some((weight, bytes?, coding)));
        let best = taken.filter(|(weight, ..)| *weight > 0).max_by_key(|(weight, ..)| *weight);
        let Some((_, bytes, coding)) = best else {
            let detail = "the console is kept compressed: take br or gzip in Accept-Encoding";
            return Err(Problem::new(ProblemKind::NotAcceptable, detail));
        };
        let tag = ETag::strong(&format!("{}-{}", self.tag, coding.unwrap_or("plain")));
        let kept =
            if self.path.starts_with(ASSETS) { "public, max-age=31536000, immutable" } else { "no-cache" };
        let mut response = if tag.is_known_to(headers) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            (Extension(Shared), [(header::CONTENT_TYPE, self.content_type)], bytes).into_response()
        };
        let out = response.headers_mut();
        if let (Some(coding), true) = (coding, out.contains_key(header::CONTENT_TYPE)) {
            out.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
        out.insert(header::CACHE_CONTROL, HeaderValue::from_static(kept));
        out.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        out.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        let tag = HeaderValue::try_from(tag.value())
            .expect("hexadecimal digits and a coding may stand in a header");
        out.insert(header::ETAG, tag);
        Ok(response)
    }
}

problems!(PageProblems: UnknownParameter, NotAcceptable);
problems!(AssetProblems: InvalidParameter, UnknownParameter, NotFound, NotAcceptable);
