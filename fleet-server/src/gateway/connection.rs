//! The I/O shell around one session: a TLS stream, one loop, bounded buffers.
//!
//! What one connection may hold at most: a read buffer of 66 KiB, a window and one payload (160 KiB) of publishes on
//! their way to the disk, a write buffer of 130 KiB, TLS's own 64 KiB; and of ours to the lamppost, 16 commands and a
//! position of at most 32 KiB each. Below 1 MiB in all, and most of it only while the disk stands still or the client
//! does not read. With nothing to say it keeps a read buffer of 1 KiB.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use lamplighter_protocol::limits::MAX_PACKET_BYTES;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::admission::{Admitted, Refusal};
use super::codec::{self, CodecError, Outgoing};
use super::door::Opening;
use super::handshake::Begun;
use super::identity::Identity;
use super::reason::Reason;
use super::session::{Effect, Event, Now, Reading, Session};
use super::sessions::{Letter, Registration};
use super::{Context, Counted};
use crate::clock;
use crate::journal::{Commit, Draft, JournalClosed, Ticket};

/// One connection, past its TLS handshake.
pub(super) struct Connection {
    context: Arc<Context>,
    identity: Arc<Identity>,
    peer: SocketAddr,
    session: Session,
    registration: Option<Registration>,
    logged_in: Option<Counted>,
    /// Its place among those that are not logged in.
    opening: Option<Opening>,
    incoming: BytesMut,
    outgoing: BytesMut,
    /// Since when something waits to leave this machine.
    unsent_since: Option<Instant>,
    drafts: VecDeque<Draft>,
    appending: Option<Answer<Result<Ticket, JournalClosed>>>,
    admitting: Option<Answer<Result<(), Reason>>>,
    commits: watch::Receiver<Commit>,
    over: Option<Reason>,
}

type Answer<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What a connection waits for.
enum Wake {
    Read(io::Result<usize>),
    Sent(io::Result<()>),
    Admitted(Result<(), Reason>),
    Appended(Result<Ticket, JournalClosed>),
    Committed(Result<(), watch::error::RecvError>),
    Letter(Letter),
    Alarm,
    Stop,
}

/// Room that a read is given; a longer packet makes its own.
const READ_BYTES: usize = 1024;
/// A buffer that grew past this is given back once it is empty.
const KEPT_BYTES: usize = 4 * 1024;
/// While more than this is unsent, the client is not read: it does not take our answers.
const UNSENT_BYTES: usize = MAX_PACKET_BYTES;
/// How long the last words to a client may take.
pub(crate) const FAREWELL: Duration = Duration::from_secs(2);

impl Connection {
    pub(super) fn new(
        context: Arc<Context>,
        identity: Identity,
        peer: SocketAddr,
        opening: Option<Opening>,
        begun: Begun,
    ) -> Self {
        let identity = Arc::new(identity);
        Self {
            session: Session::new(Arc::clone(&identity), Arc::clone(&context.limits), begun.since),
            commits: context.journal.committed(),
            context,
            identity,
            peer,
            registration: None,
            logged_in: None,
            opening,
            incoming: begun.bytes,
            outgoing: BytesMut::new(),
            unsent_since: None,
            drafts: VecDeque::new(),
            appending: None,
            admitting: None,
            over: None,
        }
    }

    /// Serves the connection to its end, and says why it ended.
    pub(super) async fn run(
        mut self,
        stream: impl AsyncRead + AsyncWrite + Send,
        cancel: &CancellationToken,
    ) -> Reason {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut alarm = pin!(tokio::time::sleep(Duration::ZERO));
        let mut cancelled = pin!(cancel.cancelled());
        let mut stopping = false;
        let reason = loop {
            let reading = self.take_packets();
            self.append_next();
            if let Some(reason) = self.over {
                break reason;
            }
            let deadline = self.deadline();
            if let Some(deadline) = deadline {
                alarm.as_mut().reset(deadline.into());
            }
            if reading {
                // Room for at least this; `codec::read` has made room for the rest of a packet that it knows of.
                self.incoming.reserve(READ_BYTES);
            }
            let downlinks = self.session.takes_downlinks() && self.outgoing.len() <= UNSENT_BYTES;
            let wake = tokio::select! {
                read = reader.read_buf(&mut self.incoming), if reading => Wake::Read(read),
                sent = send(&mut writer, &mut self.outgoing), if self.unsent_since.is_some() => Wake::Sent(sent),
                verdict = answer(&mut self.admitting) => Wake::Admitted(verdict),
                ticket = answer(&mut self.appending) => Wake::Appended(ticket),
                changed = self.commits.changed(), if self.session.awaits_commit() => Wake::Committed(changed),
                letter = letter(self.registration.as_ref(), downlinks) => Wake::Letter(letter),
                () = alarm.as_mut(), if deadline.is_some() => Wake::Alarm,
                () = cancelled.as_mut(), if !stopping => {
                    stopping = true;
                    Wake::Stop
                }
            };
            self.wake(wake);
        };
        // Nobody sends to this connection any more, whatever the client does with our last words.
        self.registration = None;
        if !matches!(reason, Reason::Lost | Reason::WriteTimeout) {
            let farewell = async {
                send(&mut writer, &mut self.outgoing).await?;
                writer.shutdown().await
            };
            // Who does not take them in time is cut off, with the same result.
            drop(tokio::time::timeout(FAREWELL, farewell).await);
        }
        reason
    }

    /// Hands whole packets to the session for as long as it takes them. True: it wants more bytes.
    fn take_packets(&mut self) -> bool {
        while self.over.is_none() && self.outgoing.len() <= UNSENT_BYTES {
            let now = now();
            match self.session.reading(now) {
                Reading::Open => {}
                Reading::From(_) | Reading::Held => return false,
            }
            match codec::read(&mut self.incoming) {
                Ok(Some(packet)) => {
                    if let Some(registration) = &self.registration {
                        registration.heard(now.wall);
                    }
                    self.step(Event::Packet(packet), now);
                }
                Ok(None) => {
                    if self.incoming.is_empty() && self.incoming.capacity() > KEPT_BYTES {
                        self.incoming = BytesMut::new();
                    }
                    return true;
                }
                Err(CodecError::TooLong) => self.step(Event::Ended(Reason::TooLong), now),
                Err(CodecError::Malformed) => self.step(Event::Ended(Reason::Malformed), now),
            }
        }
        false
    }

    /// One append at a time keeps them in order; a full journal is waited for here, and the loop goes on.
    fn append_next(&mut self) {
        if self.appending.is_none()
            && let Some(draft) = self.drafts.pop_front()
        {
            let journal = self.context.journal.clone();
            self.appending = Some(Box::pin(async move { journal.append(draft).await }));
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let write = self.unsent_since.map(|since| since + self.context.limits.write);
        [self.session.deadline(now()), write].into_iter().flatten().min()
    }

    fn wake(&mut self, wake: Wake) {
        let now = now();
        match wake {
            // Bytes wait in `incoming` for `take_packets`.
            Wake::Read(Ok(1..)) => {}
            Wake::Read(Ok(0) | Err(_)) | Wake::Sent(Err(_)) => self.step(Event::Ended(Reason::Lost), now),
            Wake::Sent(Ok(())) => {
                self.unsent_since = None;
                if let Some(registration) = &self.registration {
                    registration.written();
                }
                if self.outgoing.capacity() > KEPT_BYTES {
                    self.outgoing = BytesMut::new();
                }
            }
            Wake::Admitted(verdict) => {
                if verdict == Err(Reason::NotAdmitted(Refusal::Unavailable)) {
                    self.forgive();
                }
                let verdict = verdict.and_then(|()| self.enter(now));
                self.step(Event::Admitted(verdict), now);
            }
            Wake::Appended(Ok(ticket)) => {
                self.step(Event::Appended(ticket), now);
                self.committed(now);
            }
            Wake::Committed(Ok(())) => self.committed(now),
            Wake::Appended(Err(JournalClosed)) | Wake::Committed(Err(_)) => {
                self.step(Event::Ended(Reason::JournalClosed), now);
            }
            Wake::Letter(Letter::Close(reason)) => self.step(Event::Ended(reason), now),
            Wake::Letter(Letter::Downlink(leaf, payload)) => self.step(Event::Downlink(leaf, payload), now),
            Wake::Alarm => {
                let stuck =
                    self.unsent_since.is_some_and(|since| since + self.context.limits.write <= now.monotonic);
                self.step(if stuck { Event::Ended(Reason::WriteTimeout) } else { Event::Tick }, now);
            }
            Wake::Stop => self.step(Event::Stop, now),
        }
    }

    fn committed(&mut self, now: Now) {
        let commit = *self.commits.borrow_and_update();
        self.step(Event::Committed(commit), now);
    }

    fn enter(&mut self, now: Now) -> Result<(), Reason> {
        let sessions = &self.context.sessions;
        let registration = sessions.enter(&self.identity, self.peer, &self.context.limits, now)?;
        if registration.took_over() {
            self.context.metrics.takeovers.inc();
        }
        self.registration = Some(registration);
        self.logged_in = Some(Counted::new(&self.context.metrics.sessions));
        self.forgive();
        Ok(())
    }

    /// It has logged in, or it is our fault that it has not: it does not count among those who are not logged in.
    fn forgive(&mut self) {
        if let Some(opening) = self.opening.take() {
            opening.forgive();
        }
    }

    fn step(&mut self, event: Event, now: Now) {
        for effect in self.session.step(event, now) {
            self.perform(effect, now);
        }
    }

    fn perform(&mut self, effect: Effect, now: Now) {
        let metrics = &self.context.metrics;
        match effect {
            Effect::Admit => {
                self.admitting = Some(Box::pin(admit(Arc::clone(&self.context), Arc::clone(&self.identity))));
            }
            Effect::Send(packet) => {
                if matches!(packet, Outgoing::PubAck(_)) {
                    metrics.acknowledgements.inc();
                }
                codec::write(&packet, &mut self.outgoing);
                self.unsent_since.get_or_insert(now.monotonic);
            }
            Effect::Append(draft) => {
                metrics.publishes.inc();
                metrics.bytes.inc_by(draft.payload.len() as u64);
                self.drafts.push_back(draft);
            }
            Effect::Subscribed(subscriptions) => {
                if let Some(registration) = &self.registration {
                    registration.subscribed(subscriptions);
                }
            }
            Effect::RefusedFilter => {
                metrics.count(Reason::ForeignFilter);
                let label = Reason::ForeignFilter.label();
                self.context.log.refused(&self.identity.number, self.peer, label, now.monotonic);
            }
            Effect::Throttled => {
                metrics.throttled.inc();
            }
            Effect::Close(reason) => self.over = Some(reason),
        }
    }
}

async fn admit(context: Arc<Context>, identity: Arc<Identity>) -> Result<(), Reason> {
    let answer = context.admission.admit(&identity.number, &identity.certificate_serial);
    match tokio::time::timeout(context.limits.admission, answer).await {
        Ok(Ok(Admitted)) => Ok(()),
        Ok(Err(refusal)) => Err(Reason::NotAdmitted(refusal)),
        Err(_elapsed) => Err(Reason::NotAdmitted(Refusal::Unavailable)),
    }
}

/// Sends all of `outgoing`. Cancel-safe: what was taken is gone from it, and a flush can be begun again.
pub(crate) async fn send(writer: &mut (impl AsyncWrite + Unpin), outgoing: &mut BytesMut) -> io::Result<()> {
    while !outgoing.is_empty() {
        if writer.write_buf(outgoing).await? == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
    }
    writer.flush().await
}

/// The answer that is under way, if any; for ever, if none is. Cancel-safe: the question stays asked.
async fn answer<T>(question: &mut Option<Answer<T>>) -> T {
    let Some(asked) = question else { return std::future::pending().await };
    let answer = asked.await;
    *question = None;
    answer
}

async fn letter(registration: Option<&Registration>, downlinks: bool) -> Letter {
    match registration {
        Some(registration) => registration.letter(downlinks).await,
        None => std::future::pending().await,
    }
}

pub(crate) fn now() -> Now {
    Now { monotonic: clock::monotonic(), wall: clock::wall() }
}
