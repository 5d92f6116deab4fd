//! The watcher: when it tells, how much at once, and what it does while the registry cannot be read.

use std::io::Write;
use std::path::Path;
use std::sync::Mutex;

use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::live::{LamppostState, LiveEvent, LiveFilter, LiveHub, LiveMetrics, LiveOptions};
use crate::roll::watcher::PIECE;

/// How long tests wait for what has to happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A watcher that runs, and a registry of its own.
struct Rig {
    bench: Bench,
    registry: Registry,
    directory: TempDir,
    tasks: JoinSet<Result<(), LookPanicked>>,
    stop: CancellationToken,
}

impl Rig {
    async fn of(numbers: &[String]) -> Self {
        let directory = TempDir::new().unwrap();
        let registry = Registry::open(&directory.path().join(Registry::FILE_NAME)).await.unwrap();
        registry
            .import(numbers.iter().map(|number| Lamppost::example(number)).collect(), NOW, &Actor::Server)
            .await
            .unwrap();
        let bench = Bench::new(TailOptions::default());
        Self { bench, registry, directory, tasks: JoinSet::new(), stop: CancellationToken::new() }
    }

    /// Looks for the first time.
    async fn looked(&self, publish: StatePublisher) -> Watcher {
        Watcher::new(self.bench.roll.clone(), self.registry.clone(), publish).look().await.unwrap()
    }

    fn run(&mut self, watcher: Watcher) {
        self.tasks.spawn(watcher.run(self.stop.clone()));
    }

    /// As somebody would who has broken the file, or mends it.
    async fn write_to_file(&self, statement: &'static str) {
        let path: &Path = &self.directory.path().join(Registry::FILE_NAME);
        let options = SqliteConnectOptions::new().filename(path);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::query(statement).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    async fn end(mut self) {
        self.stop.cancel();
        self.tasks.join_next().await.unwrap().unwrap().unwrap();
        self.registry.close().await;
    }
}

fn published() -> (StatePublisher, UnboundedReceiver<LamppostState>) {
    let (sender, published) = unbounded_channel();
    (Box::new(move |state| drop(sender.send(state))), published)
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("DF{number:05}")).collect()
}

#[tokio::test]
async fn a_watcher_keeps_the_roll_until_it_is_stopped() {
    let mut rig = Rig::of(&numbers(1)).await;
    let (publish, mut published) = published();
    let watcher = rig.looked(publish).await;
    assert_eq!(rig.bench.letters(), "N");
    rig.run(watcher);
    rig.bench.hello("DF00000");
    let state = published.recv().await.unwrap();
    assert_eq!((state.lamppost.as_str(), state.status), ("DF00000", Status::Offline), "and nothing before");
    rig.end().await;
    assert!(published.try_recv().is_err());
}

/// The feed is read on the same thread: it has its turn where the watcher pauses, and nowhere else.
#[tokio::test]
async fn a_change_of_a_whole_city_runs_over_nobody_who_reads() {
    let numbers = numbers(8 * PIECE + 1);
    let mut rig = Rig::of(&numbers).await;
    let options = LiveOptions { ring: 2 * PIECE, event: 4 * PIECE, lag: 4 * PIECE, pause: Duration::ZERO };
    let live = LiveHub::new(options, LiveMetrics::default()).unwrap();
    let mut feed = live.subscribe(LiveFilter::default(), None);
    let told = live.clone();
    let watcher = rig.looked(Box::new(move |state| told.publish_state(state))).await;
    for number in &numbers {
        rig.bench.hello(number);
    }
    rig.run(watcher);
    let mut heard = Vec::new();
    while heard.len() < numbers.len() {
        match feed.next().await.unwrap() {
            LiveEvent::Changes(changes) => {
                heard.extend(changes.states.iter().map(|state| state.lamppost.to_string()));
            }
            reset @ LiveEvent::Reset { .. } => panic!("{reset:?} after {} states", heard.len()),
        }
    }
    assert_eq!(heard, numbers);
    rig.end().await;
}

#[tokio::test]
async fn a_stop_does_not_wait_until_a_whole_city_is_told() {
    let numbers = numbers(4 * PIECE);
    let mut rig = Rig::of(&numbers).await;
    let (publish, mut published) = published();
    let watcher = rig.looked(publish).await;
    for number in &numbers {
        rig.bench.hello(number);
    }
    rig.run(watcher);
    published.recv().await.unwrap();
    rig.end().await;
    let mut rest = 0;
    while published.try_recv().is_ok() {
        rest += 1;
    }
    assert_eq!(rest, PIECE - 1, "of the first piece");
}

#[tokio::test]
async fn a_registry_that_can_be_read_only_later_is_told_whole_and_the_log_says_once_what_to_do() {
    static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());
    struct ToLog;
    impl Write for ToLog {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            LOG.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let subscriber = tracing_subscriber::fmt().with_writer(|| ToLog).with_ansi(false).finish();
    let _logging = tracing::subscriber::set_default(subscriber);

    let mut rig = Rig::of(&numbers(2)).await;
    rig.write_to_file("ALTER TABLE lampposts RENAME TO elsewhere").await;
    let (publish, mut published) = published();
    // It tries twice, in vain.
    let watcher = rig.looked(publish).await.look().await.unwrap();
    assert!(rig.bench.roll.rows().is_none());
    rig.bench.hello("DF00001");
    rig.write_to_file("ALTER TABLE elsewhere RENAME TO lampposts").await;
    rig.run(watcher);
    let mut states = Vec::new();
    while states.len() < 2 {
        let state = tokio::time::timeout(PATIENCE, published.recv()).await.unwrap().unwrap();
        states.push((state.lamppost.to_string(), state.status));
    }
    assert_eq!(states, told(&[("DF00000", Status::Never), ("DF00001", Status::Offline)]));
    assert_eq!(rig.bench.letters(), "NO");
    rig.end().await;
    assert!(published.try_recv().is_err());
    let log = String::from_utf8(LOG.lock().unwrap().clone()).unwrap();
    assert_eq!(log.matches("the registry cannot be read").count(), 1, "{log}");
    assert!(log.contains(Registry::FILE_NAME) && log.contains("tried again"), "{log}");
    assert!(log.contains("the registry can be read again"), "{log}");
}
