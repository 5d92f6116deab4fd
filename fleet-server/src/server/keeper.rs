//! What a server tells the audit by itself: that it runs, and what its gateway refuses.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lamplighter_protocol::UtcMillis;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::departments::Departments;
use super::revocations::Revocations;
use crate::audit::{Action, Actor, Entry, Head, Subject};
use crate::clock;
use crate::feeds::Directory;
use crate::gateway::{Refusals, Refused, Sessions};
use crate::registry::Registry;

/// How often what was refused is written down.
const REFUSALS_EVERY: Duration = Duration::from_mins(1);

/// Keeps the audit of a server that runs, and the gateway to what the registry says meanwhile.
#[derive(Debug)]
pub(super) struct Keeper {
    scribe: Scribe,
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

/// Writes into the audit, and keeps what it could not write: a full disk keeps no server from starting.
#[derive(Clone, Debug)]
struct Scribe {
    registry: Registry,
    refusals: Refusals,
    owed: Arc<Mutex<Vec<Entry>>>,
}

impl Keeper {
    /// Tells the audit that the server runs, and the log how far the audit goes: whoever keeps the log elsewhere has noted
    /// that. What is refused meanwhile is counted in `refusals`; who may listen to what is published in `directory`, for the
    /// first time before this returns.
    pub(super) async fn begin(
        registry: &Registry,
        sessions: &Sessions,
        refusals: Refusals,
        directory: watch::Sender<Arc<Directory>>,
    ) -> Self {
        let scribe = Scribe { registry: registry.clone(), refusals, owed: Arc::default() };
        let entry = Entry::new(clock::wall(), Actor::Server, Action::ServerStarted, Subject::Server);
        scribe.owe(vec![entry.text("version", env!("CARGO_PKG_VERSION"))]);
        if let Some(head) = scribe.write().await {
            tracing::info!(%head, "the audit goes on");
        }
        let mut departments = Departments::new(registry.clone(), directory);
        departments.look().await;
        let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
        tasks.spawn(Revocations::new(registry.clone(), sessions.clone()).run(stop.clone()));
        tasks.spawn(departments.run(stop.clone()));
        tasks.spawn(scribe.clone().run(stop.clone()));
        Self { scribe, tasks, stop }
    }

    /// Has something else done until it ends.
    pub(super) fn keep<T: Future<Output = ()> + Send + 'static>(
        &mut self,
        task: impl FnOnce(CancellationToken) -> T,
    ) {
        self.tasks.spawn(task(self.stop.clone()));
    }

    /// Waits until one of its tasks ends by itself.
    pub(super) async fn ended(&mut self) {
        self.tasks.join_next().await;
    }

    /// Tells the audit what was refused last, and that the server ends, as it was told to or why; then closes the registry.
    /// A server that is killed says nothing: the next start follows another start then.
    pub(super) async fn end(mut self, why: Option<&anyhow::Error>) {
        super::end(&self.stop, &mut self.tasks).await;
        let entry = Entry::new(clock::wall(), Actor::Server, Action::ServerStopped, Subject::Server);
        self.scribe.owe(vec![match why {
            Some(error) => entry.text("error", error),
            None => entry,
        }]);
        if let Some(head) = self.scribe.write().await {
            tracing::info!(%head, "the audit ends here");
        }
        self.scribe.registry.close().await;
    }
}

impl Scribe {
    /// Writes down what was refused, once a minute, until `stop`.
    async fn run(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(REFUSALS_EVERY) => {}
            }
            // To its end, also when the server stops meanwhile: what is taken is nowhere else.
            self.write().await;
        }
    }

    /// To be written the next time.
    fn owe(&self, entries: Vec<Entry>) {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner).extend(entries);
    }

    /// Writes what is owed and what was refused; with the head since, if there was anything and it could be written.
    async fn write(&self) -> Option<Head> {
        let owed = std::mem::take(&mut *self.owed.lock().unwrap_or_else(PoisonError::into_inner));
        let (now, refused) = (clock::wall(), self.refusals.take());
        let refusals = refused.iter().cloned().map(|refused| refusal_entry(refused, now));
        let entries: Vec<_> = refusals.chain(owed.iter().cloned()).collect();
        if entries.is_empty() {
            return None;
        }
        match self.registry.audit_all(&entries).await {
            Ok(head) => Some(head),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(
                    error,
                    entries = entries.len(),
                    "the audit cannot be written; while the server runs it is tried again every minute"
                );
                self.owe(owed);
                self.refusals.give_back(refused);
                None
            }
        }
    }
}

/// What the audit has of a refusal.
pub(crate) fn refusal_entry(Refused { lamppost, reason, times, peer }: Refused, now: UtcMillis) -> Entry {
    let (actor, subject) = match lamppost {
        Some(number) => (Actor::Lamppost(number.clone()), Subject::Lamppost(number)),
        None => (Actor::Server, Subject::Gateway),
    };
    let entry = Entry::new(now, actor, Action::Refused, subject);
    entry.text("reason", reason).number("times", times).text("last_peer", peer)
}

#[cfg(test)]
mod tests {
    use sqlx::ConnectOptions as _;
    use sqlx::sqlite::SqliteConnectOptions;

    use super::*;
    use crate::audit::AuditReader;

    #[tokio::test]
    async fn what_cannot_be_written_is_written_later_and_what_was_refused_last_before_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(Registry::FILE_NAME);
        let registry = Registry::open(&path).await.unwrap();
        let hand = async |sql: &'static str| {
            let mut hand = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
            sqlx::raw_sql(sql).execute(&mut hand).await.unwrap();
        };
        hand("CREATE TRIGGER trap BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'disk full'); END").await;
        let refusals = Refusals::default();
        let keeper =
            Keeper::begin(&registry, &Sessions::default(), refusals.clone(), watch::Sender::default()).await;
        let refused = |lamppost: Option<&str>, times| {
            let lamppost = lamppost.map(|number| number.parse().unwrap());
            Refused { lamppost, reason: "revoked", times, peer: [10, 0, 0, 1].into() }
        };
        refusals.give_back(vec![refused(None, 2), refused(Some("DF1"), 3)]);
        assert_eq!(keeper.scribe.write().await, None);
        refusals.give_back(vec![refused(None, 5)]);
        hand("DROP TRIGGER trap").await;
        keeper.end(None).await;

        let mut reader = AuditReader::open(&path).await.unwrap();
        let records = reader.page().await.unwrap().into_iter().map(|stored| stored.record.unwrap());
        let said = records.map(|record| [record.actor, record.action, record.subject, record.detail]);
        let version = format!(r#"{{"version":"{}"}}"#, env!("CARGO_PKG_VERSION"));
        let times = |times| format!(r#"{{"last_peer":"10.0.0.1","reason":"revoked","times":{times}}}"#);
        let expected = [
            ["server", "refused", "gateway", &times(7)],
            ["lamppost:DF1", "refused", "lamppost:DF1", &times(3)],
            ["server", "server_started", "server", &version],
            ["server", "server_stopped", "server", "{}"],
        ];
        assert_eq!(said.collect::<Vec<_>>(), expected);
    }
}
