//! A connection that speaks HTTP: a few requests, within a time that is not prolonged by anything.

use std::convert::Infallible;
use std::io::Cursor;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, Response, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncReadExt as _;
use tokio_util::sync::CancellationToken;

use super::Context;
use super::handshake::{Begun, Stream};
use super::identity::Identity;
use super::metrics::HttpEnding;
use crate::feeds::websocket::{self, WebSocket};

/// Who asks by HTTP on the lampposts' port: an extension of every request.
#[derive(Clone, Debug)]
pub struct Caller {
    /// From where.
    pub peer: SocketAddr,
    /// The certificate of a lamppost that it showed, verified by TLS but for its end, and maybe long before: the session
    /// can be a resumed one.
    pub certificate: Option<Identity>,
}

/// Bytes of a request's head, and how many headers may be in it: several times what tools send.
const HEAD_BYTES: usize = 16 * 1024;
const HEADERS: usize = 64;

/// What a connection goes on as, after its request for that was answered.
pub(super) type Upgraded = WebSocket<TokioIo<hyper::upgrade::Upgraded>>;

/// Serves a connection to its end, and counts how it ended; or to where it goes on as something else.
pub(super) async fn serve(
    context: &Context,
    stream: Stream,
    begun: Begun,
    caller: Caller,
    cancel: &CancellationToken,
) -> Option<Upgraded> {
    let (peer, caller) = (caller.peer, Arc::new(caller));
    let (answers, asked) = (TowerToHyperService::new(context.http.clone()), AtomicU32::new(0));
    let most = context.limits.http_requests;
    // Departments alone: a lamppost has nothing to ask for.
    let takes_departments = context.feeds.is_some() && caller.certificate.is_none();
    let upgrade = Arc::new(Mutex::new(None));
    let upgrades = Arc::clone(&upgrade);
    let service = service_fn(move |mut request: Request<Incoming>| {
        let switched = (takes_departments && request.uri().path() == websocket::PATH).then(|| {
            websocket::answer(&request).inspect(|_| {
                let on = hyper::upgrade::on(&mut request);
                *upgrades.lock().unwrap_or_else(PoisonError::into_inner) = Some(on);
            })
        });
        let is_last = asked.fetch_add(1, Ordering::Relaxed) + 1 >= most;
        request.extensions_mut().insert(Caller::clone(&caller));
        let answer = switched.is_none().then(|| answers.call(request));
        async move {
            let is_switched = matches!(switched, Some(Ok(_)));
            let mut answer: Response<Body> = match (switched, answer) {
                (Some(Ok(switched)), _) => switched,
                (Some(Err(refused)), _) => *refused,
                (None, Some(answer)) => answer.await?,
                (None, None) => unreachable!("what is not answered here is asked of the router"),
            };
            if is_last && !is_switched {
                answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let (reader, writer) = tokio::io::split(stream);
    let stream = tokio::io::join(Cursor::new(begun.bytes).chain(reader), writer);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(context.limits.connect);
    http.max_buf_size(HEAD_BYTES).max_headers(HEADERS);
    let mut serving = pin!(http.serve_connection(TokioIo::new(stream), service).with_upgrades());
    let mut out_of_time = pin!(tokio::time::sleep(context.limits.http));
    let mut cancelled = pin!(cancel.cancelled());
    let mut stopping = false;
    let ending = loop {
        tokio::select! {
            served = serving.as_mut() => match served {
                Ok(()) => break HttpEnding::Done,
                Err(error) if error.is_timeout() => break HttpEnding::TooSlow,
                Err(error) => {
                    tracing::debug!(%peer, %error, "a connection that spoke HTTP ended");
                    break HttpEnding::Broken;
                }
            },
            () = out_of_time.as_mut() => break HttpEnding::TooSlow,
            () = cancelled.as_mut(), if !stopping => {
                stopping = true;
                serving.as_mut().graceful_shutdown();
            }
        }
    };
    context.metrics.spoke_http(ending);
    if ending == HttpEnding::TooSlow {
        context.log.refused_stranger(peer, ending.label(), crate::clock::monotonic());
    }
    let upgrade = upgrade.lock().unwrap_or_else(PoisonError::into_inner).take()?;
    let stream = (ending == HttpEnding::Done).then_some(upgrade)?.await.ok()?;
    Some(WebSocket::new(TokioIo::new(stream)))
}
