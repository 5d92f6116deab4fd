//! The map under the lampposts: the city's own file, if the server was given one.
//!
//! It is a `PMTiles` archive, one file out of which the console reads the pieces that it shows by HTTP ranges. The file is
//! opened for each request: another one that is moved to its place is served from then on, under another entity tag,
//! so that no client puts pieces of both together.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::{Stream, stream};
use serde::Serialize;
use tokio::task::spawn_blocking;
use utoipa::ToSchema;

use super::app::App;
use super::etag::ETag;
use super::openapi::problems;
use super::problem::{Problem, ProblemKind};
use super::query::{Asked, NoParameters};
use super::range::{self, Wanted};

/// How a `PMTiles` archive begins (specification of version 3, section 3): its name and its version.
const MAGIC: [u8; 8] = *b"PMTiles\x03";

/// So much is read from disk and held in memory for a client at a time.
const PIECE: usize = 64 * 1024;

/// The file with the city's map.
#[derive(Clone, Debug)]
pub struct Basemap {
    file: PathBuf,
    attribution: Option<String>,
}

/// Why a file cannot be the basemap.
#[derive(Debug, thiserror::Error)]
pub enum BasemapError {
    /// It cannot be opened or read.
    #[error("the basemap {path} cannot be read", path = .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is something else.
    #[error(
        "the basemap {path} is no PMTiles archive of version 3: such a file begins with `PMTiles` and a byte of value 3; \
         `pmtiles convert` makes one out of MBTiles, `pmtiles extract` cuts one out of a larger one",
        path = .path.display()
    )]
    NotPmtiles {
        /// The file.
        path: PathBuf,
    },
}

impl Basemap {
    /// Takes a file as the basemap, with the text that its makers ask to be shown.
    ///
    /// # Errors
    /// [`BasemapError`].
    pub fn open(file: PathBuf, attribution: Option<String>) -> Result<Self, BasemapError> {
        Archive::open(&file)?;
        Ok(Self { file, attribution })
    }
}

/// The file as it was when a request came.
#[derive(Debug)]
struct Archive {
    file: File,
    size: u64,
    tag: ETag,
}

impl Archive {
    fn open(path: &Path) -> Result<Self, BasemapError> {
        let unreadable = |source| BasemapError::Unreadable { path: path.to_owned(), source };
        let not_pmtiles = || BasemapError::NotPmtiles { path: path.to_owned() };
        // Looked at before it is opened, for to open a pipe is to wait for its other end.
        if !fs::metadata(path).map_err(unreadable)?.is_file() {
            return Err(not_pmtiles());
        }
        let mut file = File::open(path).map_err(unreadable)?;
        let mut begin = [0; MAGIC.len()];
        match file.read_exact(&mut begin) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(not_pmtiles()),
            read => read.map_err(unreadable)?,
        }
        if begin != MAGIC {
            return Err(not_pmtiles());
        }
        let metadata = file.metadata().map_err(unreadable)?;
        // The inode tells files apart that were moved to the same place and have size and time in common.
        let (inode, size) = (metadata.ino(), metadata.len());
        let tag = format!("{inode:x}-{size:x}-{:x}-{:x}", metadata.mtime(), metadata.mtime_nsec());
        Ok(Self { file, size, tag: ETag::strong(&tag) })
    }
}

/// The city's map
///
/// The `PMTiles` archive that the server was started with, whole or a range of it. Each file has its own entity
/// tag, which If-Range and If-None-Match compare.
#[utoipa::path(
    get, path = "/basemap.pmtiles", tag = "lampposts",
    params(
        ("Range" = Option<String>, Header, description = "One range of bytes", example = "bytes=0-16383"),
        ("If-Range" = Option<String>, Header, description = "The entity tag of what the client has pieces of: if it is another \
         file by now, all of it is sent"),
    ),
    responses(
        (status = 200, description = "The file", content_type = "application/vnd.pmtiles", body = Archived),
        (status = 206, description = "The range of it", content_type = "application/vnd.pmtiles", body = Archived),
        (status = 304, description = "The client has it already"),
        ArchiveProblems
    )
)]
pub(super) async fn basemap_archive(
    State(app): State<App>,
    method: Method,
    headers: HeaderMap,
    _: Asked<NoParameters>,
) -> Result<Response, Problem> {
    let Some(basemap) = &app.basemap else {
        let detail =
            "this server has no map of its own: `fleet-server run --basemap FILE.pmtiles` gives it one";
        return Err(Problem::new(ProblemKind::NotFound, detail));
    };
    let path = basemap.file.clone();
    let opened = spawn_blocking(move || Archive::open(&path)).await.map_err(|error| {
        tracing::error!(%error, "opening the basemap panicked");
        Problem::new(ProblemKind::Internal, "opening the file ended in a panic; the log says where")
    })?;
    let archive = opened.map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "the basemap cannot be served");
        Problem::new(
            ProblemKind::BasemapUnreadable,
            "the map's file cannot be read any more; the log says why",
        )
    })?;
    Ok(archive.answer(&method, &headers))
}

/// The bytes of the archive, or of a range of it.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "it describes an answer that is no JSON")]
pub(super) struct Archived(Vec<u8>);

/// What lies under the lampposts on a map.
#[derive(Serialize, ToSchema)]
pub(super) struct BasemapDocument {
    kind: BasemapKind,
    /// Text (not HTML) that is to be shown with the map, as its makers ask; null if none was given.
    #[schema(required = true, example = "© OpenStreetMap contributors")]
    attribution: Option<String>,
}

/// `pmtiles`: the city's own map, at /basemap.pmtiles. `coast`: the server has none, and the console shows the coastline
/// that it brings along.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum BasemapKind {
    Pmtiles,
    Coast,
}

/// Which map there is
///
/// What lies under the lampposts, and whom to name for it.
#[utoipa::path(
    get, path = "/api/v1/basemap", tag = "lampposts",
    responses((status = 200, description = "The kind of map", body = BasemapDocument), KindProblems)
)]
pub(super) async fn basemap(
    State(app): State<App>,
    _: Asked<NoParameters>,
) -> Result<Json<BasemapDocument>, Problem> {
    let attribution = app.basemap.as_ref().and_then(|basemap| basemap.attribution.clone());
    let kind = if app.basemap.is_some() { BasemapKind::Pmtiles } else { BasemapKind::Coast };
    Ok(Json(BasemapDocument { kind, attribution }))
}

impl Archive {
    fn answer(self, method: &Method, headers: &HeaderMap) -> Response {
        let Self { file, size, tag } = self;
        let mut response = if tag.is_known_to(headers) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            // A range means something with GET alone (RFC 9110, 14.2), and only in the file that the client knows.
            let range =
                headers.get(header::RANGE).filter(|_| method == Method::GET && tag.allows_ranges(headers));
            match range.map_or(Wanted::Whole, |range| range::parse(range.to_str().unwrap_or_default(), size))
            {
                Wanted::Whole => answer_of(StatusCode::OK, file, 0..size),
                Wanted::Part(part) => {
                    let content_range = format!("bytes {}-{}/{size}", part.start, part.end - 1);
                    let mut response = answer_of(StatusCode::PARTIAL_CONTENT, file, part);
                    response.headers_mut().insert(header::CONTENT_RANGE, text(content_range));
                    response
                }
                Wanted::Refused(why) => {
                    let mut response = Problem::new(ProblemKind::RangeNotSatisfiable, why).into_response();
                    response.headers_mut().insert(header::CONTENT_RANGE, text(format!("bytes */{size}")));
                    return response;
                }
            }
        };
        let out = response.headers_mut();
        // A browser may keep it for whoever is logged in, and asks each time whether it is still the same.
        out.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        out.insert(header::ETAG, text(tag.value()));
        response
    }
}

fn answer_of(status: StatusCode, file: File, part: Range<u64>) -> Response {
    let length = part.end - part.start;
    let mut response = (status, Body::from_stream(pieces(file, part))).into_response();
    let out = response.headers_mut();
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/vnd.pmtiles"));
    out.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    out.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    response
}

/// A part of a file, piece by piece as the client takes it. A file that has become shorter ends the connection: the
/// client sees that its answer is not complete.
fn pieces(file: File, part: Range<u64>) -> impl Stream<Item = io::Result<Bytes>> {
    stream::try_unfold((Arc::new(file), part), |(file, part)| async move {
        let length = usize::try_from(part.end - part.start).map_or(PIECE, |left| left.min(PIECE));
        if length == 0 {
            return Ok(None);
        }
        let (reads, at) = (Arc::clone(&file), part.start);
        let read = spawn_blocking(move || {
            let mut piece = vec![0; length];
            reads.read_exact_at(&mut piece, at).map(|()| piece)
        });
        let piece = read.await.map_err(io::Error::other)??;
        let rest = part.start + piece.len() as u64..part.end;
        Ok(Some((Bytes::from(piece), (file, rest))))
    })
}

fn text(text: impl AsRef<str>) -> HeaderValue {
    HeaderValue::try_from(text.as_ref()).expect("digits and punctuation may stand in a header")
}

problems!(ArchiveProblems: UnknownParameter, NotFound, RangeNotSatisfiable, BasemapUnreadable);
problems!(KindProblems: UnknownParameter);
