//! Answers that are whole in memory, until their clients have taken them.
//!
//! An answer for a whole city is some megabytes, and a client that takes it byte by byte would keep them as long as it
//! likes. So there is a bound on the bytes of all such answers together, past which further ones are refused, and a time
//! in which a client has to take its own. What the connections themselves hold comes on top of that: half a megabyte each
//! at most, for they are given the answer in pieces.
//!
//! What many clients read from one and the same memory is [`Shared`] and takes no part in the bound. What is sent as it is
//! read, such as a file or a feed, never is whole in memory.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::problem::{Problem, ProblemKind};

/// What a connection is given at once; shorter answers are its own affair.
const PIECE: usize = 64 * 1024;

/// Bytes for which there is one place.
const BYTES_OF_A_PLACE: u64 = 1024;

/// Extension of an answer whose bytes are in memory anyhow, however many read them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shared;

/// How much all answers may take, and each of them how long. Clones are one and the same.
#[derive(Clone, Debug)]
pub(super) struct Unread {
    places: Arc<Semaphore>,
    most: u32,
    take: Duration,
}

impl Unread {
    /// As many bytes, rounded up, and as much time to take each answer.
    pub(super) fn new(bytes: usize, take: Duration) -> Self {
        let places = (bytes as u64).div_ceil(BYTES_OF_A_PLACE).max(1);
        let most = u32::try_from(places).unwrap_or(u32::MAX);
        let semaphore = Semaphore::new(usize::try_from(most).map_or(Semaphore::MAX_PERMITS, |most| most));
        Self { places: Arc::new(semaphore), most, take }
    }

    /// Room for an answer, if there is any. One that is longer than all of it takes all of it.
    fn place(&self, length: u64) -> Option<OwnedSemaphorePermit> {
        let places = u32::try_from(length.div_ceil(BYTES_OF_A_PLACE)).unwrap_or(u32::MAX).min(self.most);
        Arc::clone(&self.places).try_acquire_many_owned(places).ok()
    }
}

/// Bounds what the answers of a router take.
pub(super) fn around<S: Clone + Send + Sync + 'static>(router: Router<S>, unread: Unread) -> Router<S> {
    router.layer(middleware::from_fn_with_state(unread, bounded))
}

async fn bounded(State(unread): State<Unread>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let length = response.body().size_hint().exact();
    let Some(length) = length.filter(|length| *length > PIECE as u64) else { return response };
    let mut place = None;
    if response.extensions().get::<Shared>().is_none() {
        place = unread.place(length);
        if place.is_none() {
            return refused(length);
        }
    }
    // A stream has no length of its own.
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    let until = Instant::now() + unread.take;
    response.map(|body| Body::from_stream(pieces(body, place, until)))
}

fn refused(length: u64) -> Response {
    tracing::warn!(length, "an answer is refused: other clients have not taken theirs");
    let detail = format!(
        "the answer of {length} bytes finds no room beside those that other clients are still taking; ask again in a \
         moment"
    );
    Problem::new(ProblemKind::TooMuchUnread, detail).into_response()
}

/// The body piece by piece, until it is too late for the next one. The client sees then that its answer is not complete.
fn pieces(
    body: Body,
    place: Option<OwnedSemaphorePermit>,
    until: Instant,
) -> impl Stream<Item = io::Result<Bytes>> {
    let begin = (body.into_data_stream(), Bytes::new(), place);
    stream::try_unfold(begin, move |(mut body, mut rest, place)| async move {
        if Instant::now() >= until {
            tracing::debug!("an answer was not taken in time, and is cut");
            return Err(io::ErrorKind::TimedOut.into());
        }
        while rest.is_empty() {
            match body.next().await {
                Some(part) => rest = part.map_err(io::Error::other)?,
                None => return Ok(None),
            }
        }
        let piece = rest.split_to(rest.len().min(PIECE));
        // A copy: a piece that waits in a connection would keep all of the answer, past its place and its time.
        Ok(Some((Bytes::copy_from_slice(&piece), (body, rest, place))))
    })
}
