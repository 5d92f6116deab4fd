//! The I/O shell around one department's connection: a stream, one loop, bounded buffers.
//!
//! What one connection may hold at most: a read buffer of 66 KiB, a write buffer of twice 64 KiB, TLS's own 64 KiB, and a
//! bit for each series that it is owed. What waits for it waits on the shelf that all read from.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::audience::Seat;
use super::delivery::{Delivery, Filling};
use super::doors::Place;
use super::message::Message;
use super::metrics::DepartmentFigures;
use super::session::{Credentials, Effect, Event, Session};
use super::{Access, DepartmentIdentity, Directory, Ending, Proof, Shared};
use crate::gateway::codec::{self, CodecError};
use crate::gateway::session::Now;
use crate::gateway::{FAREWELL, Opening, now, send};

/// A connection that nobody knows yet.
#[derive(Debug)]
pub(crate) struct Arriving {
    /// From where.
    pub(crate) peer: SocketAddr,
    /// The certificate that it has shown, if any.
    pub(crate) certificate: Option<DepartmentIdentity>,
    /// What was read of it.
    pub(crate) bytes: BytesMut,
    /// When its handshake was done.
    pub(crate) since: Instant,
    /// Its place among those that are not logged in.
    pub(crate) opening: Opening,
}

pub(super) struct Connection {
    shared: Arc<Shared>,
    peer: SocketAddr,
    session: Session,
    directory: watch::Receiver<Arc<Directory>>,
    entering: Option<Entering>,
    listening: Option<Listening>,
    opening: Option<Opening>,
    incoming: BytesMut,
    outgoing: BytesMut,
    /// Since when something waits to leave this machine.
    unsent_since: Option<Instant>,
    over: Option<Ending>,
}

/// A client whose key or certificate is good, and who waits until there is something to hear.
struct Entering {
    access: Arc<Access>,
    proof: Proof,
    place: Place,
    seat: Seat,
}

/// What is there once a client is logged in.
struct Listening {
    delivery: Delivery,
    figures: DepartmentFigures,
    _place: Place,
    _seat: Seat,
}

/// What a connection waits for.
enum Wake {
    Read(io::Result<usize>),
    Sent(io::Result<()>),
    Served,
    News,
    Directory,
    Alarm,
    Stop,
}

/// Room that a read is given; a longer packet makes its own.
const READ_BYTES: usize = 1024;
/// A buffer that grew past this is given back once it is empty.
const KEPT_BYTES: usize = 4 * 1024;
/// While more than this is unsent, the client is not read: it does not take our answers.
const UNSENT_BYTES: usize = 128 * 1024;

impl Connection {
    pub(super) fn new(shared: Arc<Shared>, arriving: Arriving) -> Self {
        let Arriving { peer, certificate, bytes, since, opening } = arriving;
        Self {
            session: Session::new(Arc::clone(&shared.limits), certificate.map(Arc::new), since),
            directory: shared.directory.clone(),
            shared,
            peer,
            entering: None,
            listening: None,
            opening: Some(opening),
            incoming: bytes,
            outgoing: BytesMut::new(),
            unsent_since: None,
            over: None,
        }
    }

    /// Serves the connection to its end, and says why it ended.
    pub(super) async fn run(
        mut self,
        stream: impl AsyncRead + AsyncWrite + Send,
        cancel: &CancellationToken,
    ) -> Ending {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut alarm = pin!(tokio::time::sleep(Duration::ZERO));
        let messages = self.shared.shelf.clone();
        let mut knows_directory = true;
        let ending = loop {
            let reading = self.take_packets();
            if let Some(ending) = self.over {
                break ending;
            }
            // Made before the look: what comes between the look and the wait is not slept through.
            let news = messages.news();
            let filling = self.fill();
            if filling == Filling::More && self.unsent_since.is_none() {
                // Much was looked at, and nothing of it was for this client.
                tokio::task::yield_now().await;
                continue;
            }
            let deadline = self.deadline();
            if let Some(deadline) = deadline {
                alarm.as_mut().reset(deadline.into());
            }
            if reading {
                self.incoming.reserve(READ_BYTES);
            }
            let waits = self.listening.is_some() && filling == Filling::Idle;
            let entering = self.entering.as_ref();
            let served = async {
                match entering {
                    Some(entering) => entering.seat.served().await,
                    None => std::future::pending().await,
                }
            };
            let wake = tokio::select! {
                () = served => Wake::Served,
                read = reader.read_buf(&mut self.incoming), if reading => Wake::Read(read),
                sent = send(&mut writer, &mut self.outgoing), if self.unsent_since.is_some() => Wake::Sent(sent),
                () = news, if waits && self.unsent_since.is_none() => Wake::News,
                changed = self.directory.changed(), if knows_directory => {
                    knows_directory = changed.is_ok();
                    Wake::Directory
                }
                () = alarm.as_mut(), if deadline.is_some() => Wake::Alarm,
                () = cancel.cancelled() => Wake::Stop,
            };
            self.wake(&wake);
        };
        self.listening = None;
        if !matches!(ending, Ending::Lost | Ending::WriteTimeout) {
            let farewell = async {
                send(&mut writer, &mut self.outgoing).await?;
                tokio::io::AsyncWriteExt::shutdown(&mut writer).await
            };
            // Who does not take them in time is cut off, with the same result.
            drop(tokio::time::timeout(FAREWELL, farewell).await);
        }
        ending
    }

    /// Hands whole packets to the session, which takes none between a login and its answer. True: it wants more bytes.
    fn take_packets(&mut self) -> bool {
        while self.over.is_none() && self.entering.is_none() && self.outgoing.len() <= UNSENT_BYTES {
            let now = now();
            match codec::read(&mut self.incoming) {
                Ok(Some(packet)) => self.step(Event::Packet(packet), now),
                Ok(None) => {
                    if self.incoming.is_empty() && self.incoming.capacity() > KEPT_BYTES {
                        self.incoming = BytesMut::new();
                    }
                    return true;
                }
                Err(CodecError::TooLong) => self.step(Event::Ended(Ending::TooLong), now),
                Err(CodecError::Malformed) => self.step(Event::Ended(Ending::Malformed), now),
            }
        }
        false
    }

    /// Puts what comes next into the buffer, if that is empty: what the client does not take stays on the shelf.
    fn fill(&mut self) -> Filling {
        let Some(listening) = &mut self.listening else { return Filling::Idle };
        if !self.outgoing.is_empty() {
            return Filling::More;
        }
        let (session, now) = (&self.session, now());
        let wants = |message: &Message| session.wants(&message.topic, message.privacy);
        let granted = |message: &Message| session.granted(&message.topic, message.privacy);
        let filled = listening.delivery.fill(&wants, &granted, now.wall, &mut self.outgoing);
        if filled.messages > 0 {
            listening.figures.deliveries.inc_by(filled.messages);
        }
        if filled.missed > 0 {
            listening.figures.missed.inc_by(filled.missed);
        }
        if !self.outgoing.is_empty() {
            self.unsent_since.get_or_insert(now.monotonic);
        }
        filled.state
    }

    fn deadline(&self) -> Option<Instant> {
        let write = self.unsent_since.map(|since| since + self.shared.limits.write);
        [self.session.deadline(now()), write].into_iter().flatten().min()
    }

    fn wake(&mut self, wake: &Wake) {
        let now = now();
        match wake {
            // Bytes wait in `incoming` for `take_packets`, and messages on the shelf for `fill`.
            Wake::Read(Ok(1..)) | Wake::News => {}
            Wake::Read(Ok(0) | Err(_)) | Wake::Sent(Err(_)) => self.step(Event::Ended(Ending::Lost), now),
            Wake::Sent(Ok(())) => {
                self.unsent_since = None;
                if self.outgoing.capacity() > KEPT_BYTES {
                    self.outgoing = BytesMut::new();
                }
            }
            Wake::Served => self.enter(now),
            Wake::Directory => {
                let directory = Arc::clone(&self.directory.borrow_and_update());
                self.step(Event::Directory(directory), now);
            }
            Wake::Alarm => {
                let write = self.unsent_since.map(|since| since + self.shared.limits.write);
                let is_stuck = write.is_some_and(|write| write <= now.monotonic);
                self.step(if is_stuck { Event::Ended(Ending::WriteTimeout) } else { Event::Tick }, now);
            }
            Wake::Stop => self.step(Event::Ended(Ending::Stopping), now),
        }
    }

    fn step(&mut self, event: Event, now: Now) {
        for effect in self.session.step(event, now) {
            self.perform(effect, now);
        }
    }

    fn perform(&mut self, effect: Effect, now: Now) {
        match effect {
            Effect::Admit(credentials) => match self.admit(&credentials, now) {
                Ok(entering) => self.entering = Some(entering),
                Err(ending) => self.step(Event::Admitted(Err(ending)), now),
            },
            Effect::Send(packet) => {
                codec::write(&packet, &mut self.outgoing);
                self.unsent_since.get_or_insert(now.monotonic);
            }
            Effect::Subscribed(filter, qos) => {
                if let Some(listening) = &mut self.listening {
                    listening.delivery.subscribed(filter, qos);
                }
            }
            Effect::Unsubscribed(filter) => {
                if let Some(listening) = &mut self.listening {
                    listening.delivery.unsubscribed(&filter);
                }
            }
            Effect::Acknowledged(packet_id) => {
                let known =
                    self.listening.as_mut().map(|listening| listening.delivery.acknowledged(packet_id));
                if known.is_none_or(|known| known.is_err()) {
                    self.step(Event::Ended(Ending::UnknownAcknowledgement), now);
                }
            }
            Effect::RefusedFilter => self.shared.metrics.count(Ending::ForeignFilter),
            Effect::Close(ending) => self.over = Some(ending),
        }
    }

    fn admit(&self, credentials: &Credentials, now: Now) -> Result<Entering, Ending> {
        let directory = Arc::clone(&self.directory.borrow());
        let doors = &self.shared.doors;
        let (access, proof) = doors.admit(&directory, credentials, self.peer.ip(), now)?;
        let place = doors.enter(&access.department)?;
        Ok(Entering { access, proof, place, seat: self.shared.audience.enter() })
    }

    fn enter(&mut self, now: Now) {
        let Some(Entering { access, proof, place, seat }) = self.entering.take() else { return };
        let figures = self.shared.metrics.of(&access.department);
        let limits = &self.shared.limits;
        let delivery = Delivery::new(self.shared.shelf.clone(), limits.lag, limits.in_flight, now.wall);
        figures.connections.inc();
        self.listening = Some(Listening { delivery, figures, _place: place, _seat: seat });
        if let Some(opening) = self.opening.take() {
            opening.forgive();
        }
        self.step(Event::Admitted(Ok((access, proof))), now);
        // Grants, the key or the certificate may have ended while it waited.
        self.wake(&Wake::Directory);
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.figures.connections.dec();
    }
}
