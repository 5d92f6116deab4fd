//! Whether the path works, asked of the path itself: a message of the server's own goes through a connection, a session and
//! the journal, is acknowledged, and is met by ingest. That the process runs proves none of that.
//!
//! The message bears a number that no lamppost can have ([`RESERVED_NUMBER`]); ingest counts it, and keeps nothing of
//! it. Its connection is one of the gateway's, in memory instead of over TCP and TLS: a crowd of strangers at the door, or a
//! registry that is slow, is no reason to end a server that serves those who are logged in.
//!
//! Below low water nothing is acknowledged, and this message would not be either. That is no illness, and no restart makes
//! room: no message is sent then, and the journal is healthy as long as its thread goes on looking how much room there is.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::Router;
use bytes::BytesMut;
use lamplighter_protocol::limits::RESERVED_NUMBER;
use lamplighter_protocol::{LamppostNumber, Leaf, Topic};
use prometheus_client::metrics::counter::Counter;
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{Connect, Publish};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, duplex};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::admission::{Admission, Admitted, Admitting};
use super::connection::{self, Connection};
use super::handshake::Begun;
use super::identity::Identity;
use super::log::RefusalLog;
use super::metrics::GatewayMetrics;
use super::refusals::Refusals;
use super::sessions::Sessions;
use super::{Context, Gateway};
use crate::clock;
use crate::journal::{JournalHandle, JournalHealth, Shortage};

/// Asks whether a message comes through. Clones are one and the same.
#[derive(Clone, Default)]
pub struct Probe {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    /// What the probe's connections share with those of lampposts: the journal and the limits.
    context: OnceLock<Arc<Context>>,
    /// Messages of the server's own that ingest has met.
    met: Counter,
    last: Mutex<Option<(Instant, Result<Way, Stuck>)>>,
}

/// How the way is that a message takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// One came through.
    Open,
    /// There is too little room on the disk: the journal takes none, as it should, and works.
    Short(Shortage),
}

/// Where a message did not come through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stuck {
    /// It was not acknowledged.
    #[error("a message of the server's own was not acknowledged within {} s", WITHIN.as_secs())]
    Gateway,
    /// It was acknowledged, and ingest has not met it.
    #[error("ingest did not meet a message of the server's own within {} s", WITHIN.as_secs())]
    Ingest,
}

/// Time for either part of the way: a disk that needs longer to sync serves nobody.
const WITHIN: Duration = Duration::from_secs(5);
/// An answer is given again for so long, so that who asks often costs nothing: 17,000 messages a day at most, of some tens
/// of bytes each.
const GOOD_FOR: Duration = Duration::from_secs(5);
/// How often it is looked whether ingest has met the message.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// What is in flight between the two ends of the probe's connection.
const IN_FLIGHT_BYTES: usize = 1024;

const PACKET_ID: u16 = 1;
/// CONNACK and PUBACK.
const ANSWERS: [u8; 8] = [0x20, 2, 0, 0, 0x40, 2, 0, 1];

impl Probe {
    /// One that knows by `met` how many messages of the server's own ingest has met.
    pub fn new(met: Counter) -> Self {
        Self { inner: Arc::new(Inner { met, ..Inner::default() }) }
    }

    /// One that asks the same, and was not asked yet.
    #[cfg(test)]
    pub(super) fn anew(&self) -> Self {
        let Inner { context, met, last: _ } = &*self.inner;
        Self { inner: Arc::new(Inner { context: context.clone(), met: met.clone(), last: Mutex::default() }) }
    }

    /// From now on there is a path to ask.
    pub fn attach(&self, gateway: &Gateway) {
        let context = &gateway.context;
        let own = Context {
            door: super::Door::new(&context.limits),
            limits: Arc::clone(&context.limits),
            tls: context.tls.clone(),
            http: Router::new(),
            feeds: None,
            journal: context.journal.clone(),
            admission: Arc::new(Everybody),
            // Nobody sees it among lampposts, and it is not counted with them.
            sessions: Sessions::default(),
            metrics: GatewayMetrics::default(),
            log: RefusalLog::new(Refusals::default()),
        };
        // A second gateway would be another server's.
        self.inner.context.set(Arc::new(own)).ok();
    }

    /// Sends a message on its way, unless one came through, or did not, just now. The way is open before there is one.
    ///
    /// # Errors
    /// [`Stuck`].
    pub async fn ask(&self) -> Result<Way, Stuck> {
        let Some(context) = self.inner.context.get() else { return Ok(Way::Open) };
        let mut last = self.inner.last.lock().await;
        if let Some((asked, answer)) = *last
            && clock::monotonic().saturating_duration_since(asked) < GOOD_FOR
        {
            return answer;
        }
        let answer = self.go_through(context).await;
        if let Err(error) = answer {
            tracing::error!(%error, "the server is not healthy");
        }
        *last = Some((clock::monotonic(), answer));
        answer
    }

    async fn go_through(&self, context: &Arc<Context>) -> Result<Way, Stuck> {
        if let Some(shortage) = shortage(&context.journal).await? {
            return Ok(Way::Short(shortage));
        }
        let before = self.inner.met.get();
        let acknowledged = tokio::time::timeout(WITHIN, is_acknowledged(Arc::clone(context)));
        if !acknowledged.await.unwrap_or(false) {
            // The room may have run out meanwhile.
            return shortage(&context.journal).await?.map(Way::Short).ok_or(Stuck::Gateway);
        }
        let is_met = async {
            while self.inner.met.get() <= before {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(WITHIN, is_met).await.map(|()| Way::Open).map_err(|_| Stuck::Ingest)
    }
}

impl std::fmt::Debug for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Probe").finish_non_exhaustive()
    }
}

/// What keeps the journal from taking anything, if there is too little room: not as it was said to be, but as its thread finds it
/// now. One that stands still looks no more.
async fn shortage(journal: &JournalHandle) -> Result<Option<Shortage>, Stuck> {
    if !matches!(journal.health(), JournalHealth::Short { .. }) {
        return Ok(None);
    }
    tokio::time::timeout(WITHIN, journal.told_again()).await.map_err(|_| Stuck::Gateway)?;
    match journal.health() {
        JournalHealth::Short { shortage, .. } => Ok(Some(shortage)),
        JournalHealth::Writing | JournalHealth::Failing { .. } => Ok(None),
    }
}

/// Whether a connection of the gateway acknowledges a message.
async fn is_acknowledged(context: Arc<Context>) -> bool {
    let number = LamppostNumber::new(RESERVED_NUMBER).expect("the reserved number is one");
    let (client, server) = duplex(IN_FLIGHT_BYTES);
    let now = connection::now();
    let identity = Identity {
        number: number.clone(),
        certificate_serial: "0".to_owned(),
        not_before: now.wall,
        not_after: now.wall.plus(Duration::from_hours(1)),
    };
    let begun = Begun { bytes: BytesMut::new(), since: now };
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let connection = Connection::new(context, identity, peer, None, begun);
    let cancel = CancellationToken::new();
    tokio::select! {
        answered = talk(client, number) => answered,
        reason = Box::pin(connection.run(server, &cancel)) => {
            tracing::debug!(reason = reason.label(), "the probe's connection ended");
            false
        }
    }
}

async fn talk(mut stream: impl AsyncRead + AsyncWrite + Unpin, number: LamppostNumber) -> bool {
    let mut said = BytesMut::new();
    let mut publish =
        Publish::new(Topic::new(number.clone(), Leaf::Hello).to_string(), QoS::AtLeastOnce, Vec::new());
    publish.pkid = PACKET_ID;
    if Connect::new(number.as_str()).write(&mut said).is_err() || publish.write(&mut said).is_err() {
        return false;
    }
    let mut answers = [0; ANSWERS.len()];
    let talked = async {
        stream.write_all(&said).await?;
        stream.read_exact(&mut answers).await
    };
    talked.await.is_ok() && answers == ANSWERS
}

/// The probe's own connection is made in this process, and by nobody else.
struct Everybody;

impl Admission for Everybody {
    fn admit<'a>(&'a self, _: &'a LamppostNumber, _: &'a str) -> Admitting<'a> {
        Box::pin(std::future::ready(Ok(Admitted)))
    }
}
