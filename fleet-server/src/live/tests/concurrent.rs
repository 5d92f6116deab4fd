//! Feeds while another thread publishes, as ingest does: what is in the store is published under the same lock.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::*;

const PUBLISHED: i64 = 20_000;

/// The newest time of each lamppost's series.
type Newest = BTreeMap<String, i64>;

/// Publishes to the end on a thread of its own.
fn publisher(hub: &LiveHub, store: &Arc<Mutex<Newest>>) -> std::thread::JoinHandle<()> {
    let (hub, store) = (hub.clone(), Arc::clone(store));
    let observations: Vec<_> = (1..=7).map(|number| observation(&format!("DF{number}"), 0)).collect();
    std::thread::spawn(move || {
        for (time, template) in (1..=PUBLISHED).zip(observations.iter().cycle()) {
            let mut store = store.lock().unwrap();
            store.insert(template.lamppost.to_string(), time);
            hub.publish(LiveObservation { time: UtcMillis(time), ..template.clone() });
        }
        hub.close();
    })
}

/// A client that comes and goes, and keeps what it was told.
struct Client {
    hub: LiveHub,
    store: Arc<Mutex<Newest>>,
    shown: Newest,
    told: Newest,
    last: EventId,
    observations: u64,
}

impl Client {
    fn new(hub: &LiveHub, store: &Arc<Mutex<Newest>>) -> Self {
        let (hub, store) = (hub.clone(), Arc::clone(store));
        let mut client =
            Self { last: hub.head(), hub, store, shown: Newest::new(), told: Newest::new(), observations: 0 };
        client.shown = client.store.lock().unwrap().clone();
        client
    }

    /// Reads to the end of the hub, coming back after each `stay` events.
    async fn read(&mut self, stay: usize) {
        loop {
            let mut feed = self.hub.subscribe(LiveFilter::default(), Some(self.last));
            for _ in 0..stay {
                match feed.next().await {
                    None => return,
                    Some(LiveEvent::Reset { id, .. }) => {
                        self.last = id;
                        self.shown = self.store.lock().unwrap().clone();
                    }
                    Some(LiveEvent::Changes(changes)) => self.take(&changes),
                }
            }
        }
    }

    fn take(&mut self, changes: &LiveChanges) {
        assert!(changes.id.sequence > self.last.sequence, "ids ascend");
        self.last = changes.id;
        for observation in &changes.observations {
            let (lamppost, time) = (observation.lamppost.to_string(), observation.time.0);
            let before = self.told.insert(lamppost.clone(), time);
            assert!(before.is_none_or(|before| before < time), "nothing comes twice");
            let shown = self.shown.entry(lamppost).or_default();
            *shown = time.max(*shown);
            self.observations += 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_comes_back_finds_all_that_it_missed_and_nothing_twice() {
    for stay in [1, 2, 50] {
        let (hub, metrics) = hub_of(65_536, 3);
        let store = Arc::default();
        let mut client = Client::new(&hub, &store);
        let publisher = publisher(&hub, &store);
        client.read(stay).await;
        publisher.join().unwrap();
        assert_eq!(client.shown, *store.lock().unwrap());
        assert_eq!(client.observations + metrics.collapsed.get(), PUBLISHED.unsigned_abs(), "no gap");
        assert_eq!(client.last, id(PUBLISHED.unsigned_abs()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_reads_anew_at_each_reset_ends_with_what_is_stored() {
    for stay in [1, 50] {
        let (hub, _) = hub_of(5, 3);
        let store = Arc::default();
        let publisher = publisher(&hub, &store);
        let mut clients = [Client::new(&hub, &store), Client::new(&hub, &store)];
        let [one, other] = &mut clients;
        tokio::join!(one.read(stay), other.read(stay));
        publisher.join().unwrap();
        for client in clients {
            assert_eq!(client.shown, *store.lock().unwrap());
        }
    }
}
