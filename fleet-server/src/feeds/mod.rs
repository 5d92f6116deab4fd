//! Feeds for departments: what is observed, as it comes, in a tree of topics that people can read.
//!
//! A department logs in on the lampposts' port by a certificate or with its name and a key, by MQTT 3.1.1 over TLS or over
//! WebSocket, and only listens: to what it was granted, also if it asks for more, and no longer than it is granted. [`Topic`] says where
//! an observation stands in the tree, [`Filter`] which part of the tree is meant, a [`Directory`] who may hear what.
//!
//! Nothing is routed: the `Encoder` makes a message of each observation that the live hub tells, once for all, and puts
//! it on the shelf. A subscriber is a place on it and some filters. Whoever reads slowly makes nobody wait; who falls
//! behind is told the latest of each series, and on `highway/missed` how many it missed. The latest of each series is what
//! is retained: taken over from the store when somebody comes. While nobody listens no message is made.
//!
//! Who comes in is bounded in `limits`; what a client may say is the `session`'s affair, what it is told the
//! `delivery`'s, and both are pure.

mod audience;
mod connection;
mod delivery;
mod directory;
mod doors;
mod encoder;
mod ending;
mod filter;
mod limits;
mod message;
mod metrics;
mod privacy;
mod proof;
mod session;
mod shelf;
mod topic;
pub(crate) mod websocket;

use std::net::SocketAddr;
use std::sync::{Arc, RwLock};

use lamplighter_protocol::Catalogue;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::audience::Audience;
use self::connection::Connection;
use self::doors::Doors;
use self::shelf::Shelf;
use crate::live::LiveHub;
use crate::roll::Roll;
use crate::store::Tail;

pub(crate) use connection::Arriving;
pub use directory::{Access, AccessKey, AccessKeyId, DepartmentName, Directory, NoDepartmentName};
pub use encoder::Encoder;
pub use ending::Ending;
pub use filter::{Filter, FilterError};
pub use limits::FeedLimits;
pub use metrics::FeedMetrics;
pub use privacy::grants_property;
pub use proof::{DepartmentIdentity, Proof};
pub use topic::Topic;
pub use websocket::{Decoder, Frames};

/// The feeds of all departments. Clones are one and the same.
#[derive(Clone, Debug)]
pub struct Feeds {
    shared: Arc<Shared>,
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    limits: Arc<FeedLimits>,
    shelf: Shelf,
    audience: Audience,
    directory: watch::Receiver<Arc<Directory>>,
    doors: Doors,
    metrics: FeedMetrics,
}

impl Feeds {
    /// Feeds for the departments of a directory, of which there may be another one at any time.
    pub fn new(limits: FeedLimits, directory: watch::Receiver<Arc<Directory>>, metrics: FeedMetrics) -> Self {
        let limits = Arc::new(limits);
        let (shelf, doors) = (Shelf::new(limits.ring), Doors::new(Arc::clone(&limits)));
        let audience = Audience::new();
        Self { shared: Arc::new(Shared { limits, shelf, audience, directory, doors, metrics }) }
    }

    /// What fills them while somebody listens: with the latest of each series in the store and what the hub tells from then
    /// on, by the districts of the register.
    pub fn encoder(
        &self,
        live: &LiveHub,
        store: Arc<RwLock<Tail>>,
        roll: Roll,
        catalogue: Catalogue,
    ) -> Encoder {
        let Shared { shelf, audience, limits, metrics, .. } = &*self.shared;
        Encoder {
            shelf: shelf.clone(),
            audience: audience.clone(),
            metrics: metrics.clone(),
            linger: limits.linger,
            live: live.clone(),
            store,
            roll,
            catalogue,
        }
    }

    /// Serves a connection that shows no certificate, or a department's, to its end, which is counted, and says why it ended.
    pub(crate) async fn serve(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send,
        arriving: Arriving,
        cancel: &CancellationToken,
    ) -> Ending {
        let peer: SocketAddr = arriving.peer;
        let ending = Connection::new(Arc::clone(&self.shared), arriving).run(stream, cancel).await;
        self.shared.metrics.count(ending);
        tracing::debug!(%peer, reason = ending.label(), "a connection to feeds ended");
        ending
    }
}
