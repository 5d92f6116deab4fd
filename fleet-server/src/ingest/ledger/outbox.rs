//! Outboxes by their ids: what their last hellos named, and which of them live (D14).
//!
//! An outbox that was copied lives more than once: each *life* is known by the run that speaks. A life ends when another
//! one of the same outbox continues it, which the later one shows by naming its run. A copy does that too, though, while
//! the first one goes on: so a life that was heard after the other one began is over only once it has been silent for
//! longer than any that lives ([`SILENCE_OF_A_LIFE_MS`]).

use std::collections::{BTreeMap, VecDeque};

use lamplighter_protocol::{Hello, Log, Nonce, OutboxId, Pieces, RunId, UtcMillis, limits};

use super::set_aside::AsideReport;

/// An outbox that was silent for so long beside another one has closed itself (D14).
const SILENCE_MS: i64 = 30 * 24 * 3600 * 1000;

/// A life that was silent for so long beside one that names its run is over: hellos are said at least hourly (D8).
const SILENCE_OF_A_LIFE_MS: i64 = 2 * 3600 * 1000;

/// Nonces of earlier connections of one life that are remembered: a hello of one of them is late and says nothing new.
const MOST_NONCES: usize = 8;

/// How many runs back it is looked whether one continues another.
const MOST_GENERATIONS: usize = 64;

/// All that is heard under one id.
#[derive(Clone, Debug, Default)]
pub(in crate::ingest) struct Outbox {
    /// None before any hello.
    pub(in crate::ingest) first_heard: Option<UtcMillis>,
    pub(in crate::ingest) lives: Vec<Life>,
    pub(in crate::ingest) decision: Option<OutboxDecision>,
    /// Set aside, by the word of another one.
    pub(in crate::ingest) aside: Option<AsideReport>,
}

/// What an operator has decided of an outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutboxDecision {
    /// What only it holds is given up, unless it speaks again after this time.
    Close {
        /// When it was decided.
        at: UtcMillis,
    },
    /// It will be back, however long it is silent.
    Release {
        /// When it was decided.
        at: UtcMillis,
    },
}

impl OutboxDecision {
    /// When it was decided.
    pub fn at(self) -> UtcMillis {
        match self {
            Self::Close { at } | Self::Release { at } => at,
        }
    }
}

/// Whether what an outbox named may still come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OutboxStanding {
    /// An operator has closed it, and it was not heard since.
    Closed,
    /// It was silent for 30 days beside another one, and so has closed itself.
    Silent,
    /// It was found set aside, and has not spoken since: what it holds comes once an operator releases it.
    SetAside,
    /// What it holds may come.
    Living,
}

/// A life of an outbox: the run that speaks, with its last hello.
#[derive(Clone, Debug)]
pub(in crate::ingest) struct Life {
    pub(in crate::ingest) run: RunId,
    pub(in crate::ingest) first_heard: UtcMillis,
    pub(in crate::ingest) last_heard: UtcMillis,
    pub(in crate::ingest) hardware_serial: String,
    pub(in crate::ingest) nonce: Nonce,
    pub(in crate::ingest) count: u64,
    pub(in crate::ingest) earlier_nonces: VecDeque<Nonce>,
    pub(in crate::ingest) named: BTreeMap<RunId, NamedRun>,
    /// Whether it named all the runs that it has: there is room for so many.
    pub(in crate::ingest) names_all: bool,
}

/// What a hello says of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::ingest) struct NamedRun {
    pub(in crate::ingest) samples: NamedLog,
    pub(in crate::ingest) events: NamedLog,
}

/// What a hello says of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::ingest) struct NamedLog {
    pub(in crate::ingest) pieces: Pieces,
    /// From here on it says nothing.
    pub(in crate::ingest) open_from: u64,
}

/// Whether a hello was news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Newer,
    Stale,
}

impl Outbox {
    /// Whether what this life of it named may still come; `newest` is when any outbox of the lamppost was last heard.
    pub(super) fn standing_of(&self, life: &Life, newest: UtcMillis) -> OutboxStanding {
        self.standing_since(Some(life.last_heard), newest)
    }

    /// The same of one that has never spoken here.
    pub(super) fn standing(&self, newest: UtcMillis) -> OutboxStanding {
        self.standing_since(None, newest)
    }

    fn standing_since(&self, spoke: Option<UtcMillis>, newest: UtcMillis) -> OutboxStanding {
        let found = self.aside.as_ref().map(|aside| aside.since);
        // To be found is as good as to speak once.
        let heard = spoke.max(found).unwrap_or_default();
        let there =
            if found >= spoke && found.is_some() { OutboxStanding::SetAside } else { OutboxStanding::Living };
        match self.decision {
            Some(OutboxDecision::Close { at }) if heard <= at => return OutboxStanding::Closed,
            Some(OutboxDecision::Release { at }) if heard <= at => return there,
            Some(OutboxDecision::Close { .. } | OutboxDecision::Release { .. }) | None => {}
        }
        if newest.since_ms(heard) >= SILENCE_MS { OutboxStanding::Silent } else { there }
    }

    /// Whether nothing is left to be said of it.
    pub(super) fn is_forgotten(&self) -> bool {
        self.lives.is_empty() && self.aside.is_none()
    }

    /// Lets the lives go that speak no more because their runs were adopted by these lives of other outboxes.
    pub(super) fn give_up(&mut self, adopters: &[(RunId, UtcMillis, UtcMillis)]) {
        self.lives.retain(|life| {
            !adopters.iter().any(|&(run, first_heard, last_heard)| {
                run == life.run && life.is_silent_beside(first_heard, last_heard)
            })
        });
    }

    /// Lets the lives go that another one continues. `before` tells which run a run continues.
    pub(super) fn retire(&mut self, before: impl Fn(RunId) -> Option<RunId>) {
        if self.lives.len() < 2 {
            return;
        }
        let descends = |run: RunId, from: RunId| {
            std::iter::successors(before(run), |run| before(*run))
                .take(MOST_GENERATIONS)
                .any(|one| one == from)
        };
        let is_over = |life: &Life| {
            self.lives.iter().any(|other| {
                let continues = other.named.contains_key(&life.run) || descends(other.run, life.run);
                let is_silent = life.is_silent_beside(other.first_heard, other.last_heard);
                other.run != life.run && continues && is_silent
            })
        };
        let over: Vec<RunId> = self.lives.iter().filter(|life| is_over(life)).map(|life| life.run).collect();
        self.lives.retain(|life| !over.contains(&life.run));
    }
}

impl Life {
    pub(super) fn new(hello: &Hello, now: UtcMillis) -> Self {
        Self {
            run: hello.run,
            first_heard: now,
            last_heard: now,
            hardware_serial: hello.hardware_serial.clone(),
            nonce: hello.nonce,
            count: hello.count,
            earlier_nonces: VecDeque::new(),
            named: named(hello),
            names_all: hello.runs.len() < limits::MAX_RUNS_PER_HELLO,
        }
    }

    /// Whether it speaks no more beside one that began and was last heard at these times.
    fn is_silent_beside(&self, first_heard: UtcMillis, last_heard: UtcMillis) -> bool {
        self.last_heard <= first_heard || last_heard.since_ms(self.last_heard) > SILENCE_OF_A_LIFE_MS
    }

    /// Takes a further hello of the same run.
    pub(super) fn hear(&mut self, hello: &Hello, now: UtcMillis) -> Heard {
        if hello.nonce == self.nonce {
            if hello.count <= self.count {
                return Heard::Stale;
            }
        } else {
            if self.earlier_nonces.contains(&hello.nonce) {
                return Heard::Stale;
            }
            if self.earlier_nonces.len() >= MOST_NONCES {
                self.earlier_nonces.pop_front();
            }
            self.earlier_nonces.push_back(self.nonce);
        }
        let earlier_nonces = std::mem::take(&mut self.earlier_nonces);
        *self = Self { first_heard: self.first_heard, earlier_nonces, ..Self::new(hello, now) };
        Heard::Newer
    }

    /// Adds what may still come of a run's log from this outbox.
    pub(super) fn claim(&self, run: RunId, log: Log, claimed: &mut Pieces) {
        let Some(named) = self.named.get(&run) else {
            // Of the run that speaks a hello names all, and of others as many as it has room for.
            if !self.names_all || run == self.run {
                claimed.insert(0, u64::MAX - 1);
            }
            return;
        };
        let named = match log {
            Log::Samples => &named.samples,
            Log::Events => &named.events,
        };
        claimed.union(&named.pieces);
        if named.is_open() {
            claimed.insert(named.open_from, u64::MAX - 1);
        }
    }
}

impl NamedLog {
    /// Whether there may be more than it says.
    pub(super) fn is_open(&self) -> bool {
        self.open_from < u64::MAX
    }
}

fn named(hello: &Hello) -> BTreeMap<RunId, NamedRun> {
    let cuts = cuts(hello);
    let log = |run: RunId, pieces: &Pieces| {
        let may_be_cut = cuts.contains(&pieces.ranges().len());
        // The run that speaks goes on writing.
        let open_from = if may_be_cut || run == hello.run { pieces.end() } else { u64::MAX };
        NamedLog { pieces: pieces.clone(), open_from }
    };
    let runs = hello.runs.iter().map(|held| {
        (held.run, NamedRun { samples: log(held.run, &held.samples), events: log(held.run, &held.events) })
    });
    runs.collect()
}

/// Numbers of pieces of a log of which more may have been left out, so that the hello fits its payload: as
/// [`Hello::encode`] does it, judged by the most bytes that the whole could have taken.
fn cuts(hello: &Hello) -> Vec<usize> {
    const PIECE_BYTES: usize = 24;
    const RUN_BYTES: usize = 32;
    const HEAD_BYTES: usize = 256;
    const SET_ASIDE_BYTES: usize = 192;
    let head = HEAD_BYTES + hello.set_aside.len() * SET_ASIDE_BYTES;
    let most = [limits::MAX_PIECES_PER_LOG, 16, 4, 1];
    let could_be_longer = |pieces: usize| {
        head + hello.runs.len() * (RUN_BYTES + 2 * pieces * PIECE_BYTES) > limits::MAX_PAYLOAD_BYTES
    };
    let longer = most.windows(2).filter(|pair| could_be_longer(pair[0])).map(|pair| pair[1]);
    std::iter::once(limits::MAX_PIECES_PER_LOG).chain(longer).collect()
}

/// The newest life of each outbox comes first.
pub(super) fn newest_first(outbox: &Outbox) -> Vec<&Life> {
    let mut lives: Vec<&Life> = outbox.lives.iter().collect();
    lives.sort_by_key(|life| std::cmp::Reverse((life.last_heard, life.run)));
    lives
}

/// In which order outboxes are told of: by when they were last heard, the newest first.
pub(super) fn order(id: OutboxId, outbox: &Outbox) -> std::cmp::Reverse<(Option<UtcMillis>, OutboxId)> {
    let spoke = outbox.lives.iter().map(|life| life.last_heard).max();
    std::cmp::Reverse((spoke, id))
}
