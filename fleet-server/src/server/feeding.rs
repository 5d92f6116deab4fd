//! The task that fills the feeds of departments.

use std::sync::{Arc, RwLock};

use lamplighter_protocol::Catalogue;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::feeds::{Directory, FeedLimits, FeedMetrics, Feeds};
use crate::gateway::GatewayOptions;
use crate::live::LiveHub;
use crate::roll::Roll;
use crate::store::Tail;

#[derive(Debug)]
pub(super) struct Feeding {
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

/// Feeds that the gateway hands departments over to, and where it is said who they are.
pub(super) fn open(
    options: &mut GatewayOptions,
    metrics: &FeedMetrics,
) -> (Feeds, watch::Sender<Arc<Directory>>) {
    let directory = watch::Sender::new(Arc::default());
    let feeds = Feeds::new(FeedLimits::default(), directory.subscribe(), metrics.clone());
    options.feeds = Some(feeds.clone());
    (feeds, directory)
}

impl Feeding {
    /// Fills the feeds from then on, while somebody listens. The roll has been read.
    pub(super) fn begin(feeds: &Feeds, live: &LiveHub, roll: Roll, store: Arc<RwLock<Tail>>) -> Self {
        let encoder = feeds.encoder(live, store, roll, Catalogue::built_in());
        let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
        tasks.spawn(encoder.run(stop.clone()));
        Self { tasks, stop }
    }

    /// Waits until it ends by itself.
    pub(super) async fn ended(&mut self) {
        self.tasks.join_next().await;
    }

    pub(super) async fn end(mut self) {
        super::end(&self.stop, &mut self.tasks).await;
    }
}
