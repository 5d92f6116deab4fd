//! The shell around the renewal: asks the clock, the disk and the server, and tells the uplink which pair to use.

use std::sync::Arc;
use std::time::Duration;

use lamplighter_protocol::LamppostNumber;
use rustls::RootCertStore;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::authorities::Authorities;
use super::est::{Est, EstError};
use super::new_key::KeyError;
use super::pair::{Pair, PairError};
use super::renewal::{Effect, Event, Life, Login, Moment, State, Which};
use super::request::{self, Unacceptable};
use super::store::{Store, StoreError};
use super::vault::VaultError;
use crate::clock::{Clock, ClockTrust};
use crate::config::ServerConfig;
use crate::outbox::chain;
use crate::status::CertificateStatus;
use crate::tls::{self, TlsError};

/// How often disk and clock are looked at: somebody may have copied another certificate over ours, or set the clock.
const LOOK_EVERY: Duration = Duration::from_mins(1);

/// The same while nobody has said what time it is: a certificate that is due is due as soon as that is known.
const LOOK_FOR_TIME: Duration = Duration::from_secs(10);

/// Nothing that goes wrong at once, each time, makes this task spin.
const NOT_BEFORE: Duration = Duration::from_millis(100);

/// How many logins may wait to be told. The uplink makes a few a minute at most; one that finds no room is not told, and the
/// next one says the same.
const LOGINS: usize = 16;

/// Renews this lamppost's certificate in time.
#[derive(Debug)]
pub(crate) struct Keeper {
    store: Arc<Store>,
    server: ServerConfig,
    lamppost: LamppostNumber,
    clock: Arc<dyn Clock>,
    state: State,
    wanted: watch::Sender<Which>,
    logins: mpsc::Receiver<(Which, Login)>,
    status: watch::Sender<CertificateStatus>,
    /// The last attempt to renew: when, by monotonic time, and what came of it.
    last: Option<(Duration, String)>,
    /// Whether there may be keys in the token that nobody refers to any more.
    may_have_orphans: bool,
}

/// Where the uplink finds the pair to log in with, and tells what became of it.
#[derive(Debug)]
pub(crate) struct Badge {
    store: Arc<Store>,
    wanted: watch::Receiver<Which>,
    logins: mpsc::Sender<(Which, Login)>,
}

/// Why there is no new pair yet.
#[derive(Debug, thiserror::Error)]
enum RenewalError {
    #[error(transparent)]
    Pair(#[from] PairError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot make a request")]
    Request(#[from] KeyError),
    #[error(transparent)]
    Est(#[from] EstError),
    #[error(transparent)]
    Unacceptable(#[from] Unacceptable),
    #[error("a task of the agent panicked")]
    Panicked,
}

impl Badge {
    /// The pair to log in with next, read anew.
    pub(crate) fn pair(&mut self) -> Result<(Pair, Which), PairError> {
        let which = *self.wanted.borrow_and_update();
        if which == Which::Trial
            && let Some(trial) = self.store.trial()
        {
            return Ok((trial, Which::Trial));
        }
        Ok((self.store.newest()?.pair, Which::Current))
    }

    /// Makes sure that this pair's key can be used, if it is in a token: that may take long, and has a thread of its own.
    pub(crate) async fn unlock(&self, pair: &Pair) -> Result<(), PairError> {
        if !pair.is_in_vault {
            return Ok(());
        }
        let store = Arc::clone(&self.store);
        let done = tokio::task::spawn_blocking(move || store.unlock()).await;
        Ok(done.map_err(|_| VaultError::CutShort)??)
    }

    /// The authorities to know the server by, read anew.
    pub(crate) fn roots(&self) -> Result<Arc<RootCertStore>, TlsError> {
        self.store.roots()
    }

    /// A login with this pair ended so.
    pub(crate) fn tell(&self, which: Which, login: Login) {
        if self.logins.try_send((which, login)).is_err() {
            tracing::debug!(?which, ?login, "nobody was told of a login");
        }
    }

    /// Returns once another pair is wanted than the one that was handed out last.
    pub(crate) async fn changed(&mut self) {
        if self.wanted.changed().await.is_err() {
            // The agent is stopping, and no other pair will be wanted.
            std::future::pending::<()>().await;
        }
    }

    /// Whether a new pair is to be tried.
    pub(crate) fn wants_trial(&self) -> bool {
        *self.wanted.borrow() == Which::Trial
    }
}

impl Keeper {
    /// Looks at what is on disk; nothing is asked yet.
    pub(crate) fn new(
        store: Store,
        server: ServerConfig,
        lamppost: LamppostNumber,
        clock: Arc<dyn Clock>,
        status: watch::Sender<CertificateStatus>,
    ) -> (Self, Badge) {
        let store = Arc::new(store);
        let (wanted, is_wanted) = watch::channel(Which::Current);
        let (tell_login, logins) = mpsc::channel(LOGINS);
        let badge = Badge { store: Arc::clone(&store), wanted: is_wanted, logins: tell_login };
        let keeper = Self {
            store,
            server,
            lamppost,
            clock,
            state: State::None,
            wanted,
            logins,
            status,
            last: None,
            // An earlier life may have ended at any moment.
            may_have_orphans: true,
        };
        // A trial that an earlier life left is tried at the first login already.
        if keeper.store.trial().is_some() {
            keeper.wanted.send_replace(Which::Trial);
        }
        keeper.tell_status();
        (keeper, badge)
    }

    /// Renews until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.keep() => {}
        }
    }

    async fn keep(&mut self) {
        loop {
            let found = self.found();
            self.happened(found).await;
            self.tell_status();
            let now = self.clock.now();
            let longest = if now.trust == ClockTrust::Unknown { LOOK_FOR_TIME } else { LOOK_EVERY };
            let idle = self.state.idle(now).unwrap_or(longest);
            tokio::select! {
                Some((which, login)) = self.logins.recv() => self.happened(Event::Login(which, login)).await,
                () = tokio::time::sleep(idle.clamp(NOT_BEFORE, longest)) => {}
            }
        }
    }

    /// Takes an event, and all that follow from it.
    pub(super) async fn happened(&mut self, event: Event) {
        let has_logged_in = matches!(event, Event::Login(_, Login::Worked));
        let mut next = Some(event);
        while let Some(event) = next.take() {
            let before = self.state;
            let effects;
            (self.state, effects) = before.on(event, self.moment());
            if self.state != before {
                tracing::debug!(?event, state = ?self.state, "renewal");
            }
            for effect in effects {
                match self.perform(effect).await {
                    Ok(outcome) => next = next.or(outcome),
                    // What is on disk is found out at the next look.
                    Err(error) => {
                        tracing::warn!(error = %chain(&error), "the certificate's renewal has stopped short");
                        break;
                    }
                }
            }
        }
        if has_logged_in && self.may_have_orphans {
            self.destroy_orphans().await;
        }
    }

    async fn destroy_orphans(&mut self) {
        match self.on_disk(Store::destroy_orphans).await {
            Ok(count) => {
                self.may_have_orphans = false;
                if count > 0 {
                    tracing::info!(count, "keys that nobody refers to any more are destroyed in the token");
                }
            }
            Err(error) => {
                tracing::warn!(error = %chain(&error), "keys that nobody may need are still in the token");
            }
        }
    }

    async fn perform(&mut self, effect: Effect) -> Result<Option<Event>, RenewalError> {
        match effect {
            Effect::Ask(which) => return Ok(Some(self.ask(which).await)),
            Effect::Promote => {
                self.on_disk(Store::promote).await?;
                self.may_have_orphans = true;
                tracing::info!("the renewed certificate works, and is used from now on");
                self.attempted("renewed".to_owned());
            }
            Effect::Discard => {
                self.on_disk(Store::discard).await?;
                self.may_have_orphans = true;
                tracing::warn!("the server refuses the renewed certificate: going back to the one before");
                self.attempted(
                    "the server refuses the new certificate; the one before is still used".to_owned(),
                );
            }
            Effect::Use(which) => {
                self.wanted.send_replace(which);
            }
        }
        Ok(None)
    }

    async fn ask(&mut self, which: Which) -> Event {
        match self.renew(which).await {
            Ok(life) => {
                self.attempted("a new certificate came, and is being tried".to_owned());
                tracing::info!("a new certificate came: it is tried at the next login");
                Event::Came(life)
            }
            Err(error) => {
                let text = chain(&error);
                tracing::warn!(error = %text, "the certificate is not renewed yet");
                self.attempted(text);
                let retry_after = match error {
                    RenewalError::Est(EstError::Refused(refusal)) => refusal.retry_after,
                    RenewalError::Est(_)
                    | RenewalError::Pair(_)
                    | RenewalError::Tls(_)
                    | RenewalError::Store(_)
                    | RenewalError::Request(_)
                    | RenewalError::Unacceptable(_)
                    | RenewalError::Panicked => None,
                };
                Event::Denied { retry_after }
            }
        }
    }

    /// Asks for a new pair, with a new key, and puts it beside the current one. First it asks which authorities there are: the
    /// new pair may be signed by one that nobody here has heard of.
    async fn renew(&self, which: Which) -> Result<Life, RenewalError> {
        self.on_disk(|store| Ok(store.unlock()?)).await?;
        let known = self.store.roots()?;
        let newest = self.store.newest()?;
        let shown = self.store.trial().filter(|_| which == Which::Trial);
        let shown = shown.as_ref().unwrap_or(&newest.pair);
        let trusting = |roots: &Arc<RootCertStore>| {
            tls::trusting(Arc::clone(roots), Some(shown), Arc::clone(&self.clock))
        };
        let told = Est::new(&self.server, trusting(&known)?).authorities().await?;
        let told = Authorities::told(told)?;
        let key = self.on_disk(Store::request_key).await?;
        let lamppost = self.lamppost.clone();
        let (asked, key) = self.on_disk(move |_| Ok((key.request(&lamppost), key))).await?;
        let asked = asked?;
        // By what it has told: authorities by which it cannot be reached are not kept.
        let sent = Est::new(&self.server, trusting(told.roots())?).renew(&asked).await?;
        let (certificate, der) = request::accept(sent, &key, &self.lamppost, told.roots(), self.clock.now())?;
        let is_new = !told.are(&known);
        self.on_disk(move |store| {
            if is_new {
                store.keep_authorities(&told)?;
            }
            store.keep_trial(&key, &[der], &newest)
        })
        .await?;
        if is_new {
            tracing::info!("the server has told of other authorities: it is known by them from now on");
        }
        Ok(Life::of(&certificate))
    }

    /// A sync may take long on a worn card: it has a thread of its own.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, RenewalError> {
        let store = Arc::clone(&self.store);
        let done = tokio::task::spawn_blocking(move || work(&store)).await;
        Ok(done.map_err(|_| RenewalError::Panicked)??)
    }

    pub(super) fn found(&self) -> Event {
        let life = |pair: &Pair| Life::of(&pair.certificate);
        Event::Found {
            current: self.store.newest().ok().map(|newest| life(&newest.pair)),
            trial: self.store.trial().as_ref().map(life),
        }
    }

    fn attempted(&mut self, outcome: String) {
        self.last = Some((self.clock.now().monotonic, outcome));
        self.tell_status();
    }

    fn tell_status(&self) {
        let now = self.clock.now();
        let ago =
            |at: Duration| i64::try_from(now.monotonic.saturating_sub(at).as_millis()).unwrap_or(i64::MAX);
        let newest = self.store.newest();
        let certificate = newest.as_ref().ok().map(|newest| &newest.pair.certificate);
        let known =
            |life: &Life| certificate.is_some_and(|certificate| life.mark == certificate.fingerprint.mark());
        let life = self.state.current().filter(known).or(certificate.map(Life::of));
        self.status.send_replace(CertificateStatus {
            serial: certificate.map(|certificate| certificate.serial.clone()),
            good_until_ms: certificate.map(|certificate| certificate.until.0),
            renewal_due_ms: life.map(|life| life.due().0),
            is_trying_another: self.state.has_trial(),
            last_attempt_ms: self.last.as_ref().map(|(at, _)| now.wall.plus_ms(-ago(*at)).0),
            last_outcome: self.last.as_ref().map(|(_, outcome)| outcome.clone()),
            problem: newest.as_ref().err().map(|error| chain(error)),
            key: newest.as_ref().ok().map(|newest| newest.pair.key_place.clone()),
            key_problem: self.store.locked(),
        });
    }

    fn moment(&self) -> Moment {
        Moment { now: self.clock.now(), random: getrandom::u32().unwrap_or(u32::MAX) }
    }
}
