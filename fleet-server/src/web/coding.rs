//! Content codings (RFC 9110, 12.5.3): which of them a client takes, and the compression of answers.
//!
//! `Accept-Encoding` is read once, at the door. The console's files are compressed when they are built, and choose
//! among what the client takes; answers made on the spot are compressed with gzip if the client takes it and they are
//! of some size. A live feed never is: its events must not wait for company. Neither are ranges of a file, nor what
//! has a coding already.

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::Request;
use axum::http::{Extensions, HeaderMap, HeaderValue, StatusCode, Version, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use futures_util::StreamExt as _;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{Predicate as _, SizeAbove};

/// Below this an answer fits into one packet anyhow.
const WORTH_COMPRESSING: u64 = 1024;

/// The media types that are compressed: text of which there may be much.
const COMPRESSED_TYPES: [&str; 4] =
    ["application/json", "application/openmetrics-text", "text/csv", "text/html"];

/// How much a client wants each coding, in thousandths; 0: it does not take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Codings {
    pub(super) br: u16,
    pub(super) gzip: u16,
    pub(super) identity: u16,
}

/// Compresses the answers of a router, and tells its handlers the [`Codings`] as an extension of the request.
pub(super) fn around<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    let compressible = |_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions| {
        let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type =
            media_type.map(|text| text.split_once(';').map_or(text, |(media_type, _)| media_type));
        media_type.is_some_and(|media_type| COMPRESSED_TYPES.contains(&media_type))
    };
    let compression = CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(SizeAbove::new(WORTH_COMPRESSING).and(compressible));
    router
        .layer(middleware::map_response(ended_for_good))
        .layer(compression)
        .layer(middleware::from_fn(negotiated))
}

/// Leaves to the compression one question only, whether to use gzip. By itself it would turn the status of whatever it
/// cannot code into 406, also of an answer that has a coding which the client takes.
async fn negotiated(mut request: Request, next: Next) -> Response {
    let codings = Codings::of(request.headers());
    request.extensions_mut().insert(codings);
    // Whoever names no coding may be unable to take any: what need not be compressed is not.
    let named = request.headers_mut().remove(header::ACCEPT_ENCODING).is_some();
    if named && codings.gzip > 0 && codings.gzip >= codings.identity {
        request.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    }
    next.run(request).await
}

/// Lets a stream be asked again after its end: the compression looks there for trailers, and a stream may panic then.
async fn ended_for_good(response: Response) -> Response {
    if response.body().size_hint().exact().is_some() {
        return response;
    }
    response.map(|body| Body::from_stream(body.into_data_stream().fuse()))
}

impl Codings {
    /// A client that says nothing about it takes anything (RFC 9110, 12.5.3); it is likeliest to read what is not coded,
    /// and gzip after that.
    const ANY: Self = Self { br: 1, gzip: 2, identity: 1000 };

    fn of(headers: &HeaderMap) -> Self {
        let mut lines = headers.get_all(header::ACCEPT_ENCODING).iter().peekable();
        if lines.peek().is_none() {
            return Self::ANY;
        }
        let (mut br, mut gzip, mut identity, mut other) = (None, None, None, None);
        for member in lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(',')) {
            let (name, parameter) = member.split_once(';').unwrap_or((member, "q=1"));
            // A member that breaks the rules is none.
            let Some(weight) = weight(parameter) else { continue };
            match name.trim().to_ascii_lowercase().as_str() {
                "br" => br = Some(weight),
                "gzip" | "x-gzip" => gzip = Some(weight),
                "identity" => identity = Some(weight),
                "*" => other = Some(weight),
                _ => {}
            }
        }
        Self {
            br: br.or(other).unwrap_or(0),
            gzip: gzip.or(other).unwrap_or(0),
            // Taken unless it is excluded; a client that names codings and not this one wants those rather.
            identity: identity.or(other.map(|weight| weight.min(1))).unwrap_or(1),
        }
    }
}

/// The thousandths of `q=0.5` (RFC 9110, 12.4.2).
fn weight(parameter: &str) -> Option<u16> {
    let (name, value) = parameter.trim().split_once('=')?;
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    if !name.eq_ignore_ascii_case("q")
        || fraction.len() > 3
        || !fraction.bytes().all(|byte| byte.is_ascii_digit())
    {
        return None;
    }
    match (whole, format!("{fraction:0<3}").parse().ok()?) {
        ("0", thousandths) => Some(thousandths),
        ("1", 0) => Some(1000),
        (_, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codings(lines: &[&str]) -> (u16, u16, u16) {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::ACCEPT_ENCODING, line.parse().unwrap());
        }
        let Codings { br, gzip, identity } = Codings::of(&headers);
        (br, gzip, identity)
    }

    #[test]
    fn the_codings_that_a_client_takes_are_read_with_their_weights() {
        let cases: [(&[&str], _); 13] = [
            (&[], (1, 2, 1000)),
            (&[""], (0, 0, 1)),
            (&["gzip, deflate, br, zstd"], (1000, 1000, 1)),
            (&["GZIP;q=0.5", "br; q=0.25"], (250, 500, 1)),
            (&["x-gzip"], (0, 1000, 1)),
            (&["gzip;q=0, *"], (1000, 0, 1)),
            (&["*;q=0"], (0, 0, 0)),
            (&["identity;q=0, gzip"], (0, 1000, 0)),
            (&["identity"], (0, 0, 1000)),
            (&["br;q=1.000, *;q=0"], (1000, 0, 0)),
            (&["gzip;q=0.001"], (0, 1, 1)),
            (&["gzip;q=2, br;q=-1, br;q=0.1234, gzip;level=9"], (0, 0, 1)),
            (&["gzip;q=1.5, br;q=x, ;;, =,"], (0, 0, 1)),
        ];
        for (lines, expected) in cases {
            assert_eq!(codings(lines), expected, "{lines:?}");
        }
    }
}
