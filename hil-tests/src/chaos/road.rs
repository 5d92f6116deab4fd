//! The road between agents and server: a TCP proxy that does what networks do. It delays, is narrow, loses everything
//! without a word, closes connections, and closes them in the middle of what they carry.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::dice::Dice;

/// What a road does to all that it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weather {
    Clear,
    /// Each piece waits for so long.
    Slow {
        delay: Duration,
    },
    /// It carries so much in each direction.
    Narrow {
        bytes_per_second: u32,
    },
    /// Nothing comes through, and nobody is told: connections of this time are dead for good, though nothing closes
    /// them but their ends.
    Lost,
}

/// How often something happened to a connection.
#[derive(Debug, Default)]
pub(super) struct RoadCounts {
    pub(super) carried: AtomicU64,
    pub(super) closed: AtomicU64,
    pub(super) torn: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) delayed: AtomicU64,
    pub(super) narrowed: AtomicU64,
}

/// A road. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Road {
    address: SocketAddr,
    orders: watch::Sender<Orders>,
    counts: Arc<RoadCounts>,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

/// What connections go by.
#[derive(Clone, Copy, Debug)]
struct Orders {
    weather: Weather,
    /// How often all connections were closed, or torn, so far: each goes by those that came after its beginning.
    closings: u64,
    tearings: u64,
}

/// One direction of one connection.
struct Lane<'a> {
    from: &'a TcpStream,
    to: &'a TcpStream,
    orders: watch::Receiver<Orders>,
    tearings: u64,
    counts: &'a RoadCounts,
    dice: Dice,
}

/// Bytes that are carried at once: more than a TLS record in most cases.
const PIECE_BYTES: usize = 4 << 10;

/// How often in a second a narrow road carries something.
const PORTIONS_PER_SECOND: u32 = 20;

impl Road {
    /// Opens a road to a gateway, on a port of its own.
    pub(super) fn open(gateway: SocketAddr, seed: u64) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))))?;
        let address = listener.local_addr()?;
        let begin = Orders { weather: Weather::Clear, closings: 0, tearings: 0 };
        let (orders, followed) = watch::channel(begin);
        let (counts, stop) = (Arc::<RoadCounts>::default(), CancellationToken::new());
        let (theirs, stopped) = (Arc::clone(&counts), stop.clone());
        let thread = std::thread::Builder::new().name("road".to_owned()).spawn(move || {
            let carrying = carry_all(listener, gateway, followed, theirs, seed);
            runtime.block_on(stopped.run_until_cancelled(carrying));
        })?;
        Ok(Self { address, orders, counts, stop, thread: Some(thread) })
    }

    /// Where agents connect.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn counts(&self) -> &RoadCounts {
        &self.counts
    }

    pub(super) fn set(&self, weather: Weather) {
        self.orders.send_modify(|orders| orders.weather = weather);
    }

    /// Closes all connections.
    pub(super) fn close_all(&self) {
        self.orders.send_modify(|orders| orders.closings += 1);
    }

    /// Closes each connection in the middle of what it carries next.
    pub(super) fn tear_all(&self) {
        self.orders.send_modify(|orders| orders.tearings += 1);
    }
}

impl Drop for Road {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            // A panic of it was printed.
            thread.join().ok();
        }
    }
}

async fn carry_all(
    listener: TcpListener,
    gateway: SocketAddr,
    orders: watch::Receiver<Orders>,
    counts: Arc<RoadCounts>,
    seed: u64,
) {
    let mut connections = JoinSet::new();
    let mut dice = Dice::new(seed);
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // Out of file descriptors, say: the next one is tried all the same.
                let Ok((agent, _)) = accepted else {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                };
                counts.carried.fetch_add(1, Relaxed);
                let dice = [Dice::new(dice.below(u64::MAX)), Dice::new(dice.below(u64::MAX))];
                connections.spawn(carry(agent, gateway, orders.clone(), Arc::clone(&counts), dice));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Carries one connection until it ends; both ends are closed then.
async fn carry(
    agent: TcpStream,
    gateway: SocketAddr,
    orders: watch::Receiver<Orders>,
    counts: Arc<RoadCounts>,
    dice: [Dice; 2],
) {
    let began = *orders.borrow();
    let (mut closing, mut losing) = (orders.clone(), orders.clone());
    let [up_dice, down_dice] = dice;
    let counts = &*counts;
    let carried = async {
        // A server that is down refuses, and so do we.
        let Ok(server) = TcpStream::connect(gateway).await else { return None };
        agent.set_nodelay(true).and_then(|()| server.set_nodelay(true)).ok()?;
        let (agent, server, tearings) = (&agent, &server, began.tearings);
        let up = Lane { from: agent, to: server, orders: orders.clone(), tearings, counts, dice: up_dice };
        let down = Lane { from: server, to: agent, orders, tearings, counts, dice: down_dice };
        tokio::select! {
            () = up.carry() => None,
            () = down.carry() => None,
            lost = losing.wait_for(|orders| orders.weather == Weather::Lost) => lost.ok().map(drop),
        }?;
        // The server is not told either, for as long as the agent hopes.
        counts.lost.fetch_add(1, Relaxed);
        swallow(agent).await;
        Some(())
    };
    tokio::select! {
        _ended = carried => {}
        closed = closing.wait_for(|orders| orders.closings > began.closings) => {
            counts.closed.fetch_add(u64::from(closed.is_ok()), Relaxed);
        }
    }
}

impl Lane<'_> {
    /// Until either end closes, or the connection is torn.
    async fn carry(mut self) {
        let mut buffer = vec![0; PIECE_BYTES];
        loop {
            let Some(read) = read(self.from, &mut buffer).await else { return };
            let Orders { weather, tearings, .. } = *self.orders.borrow();
            if tearings > self.tearings {
                let part = self.dice.place(read);
                write(self.to, &buffer[..part]).await;
                self.counts.torn.fetch_add(1, Relaxed);
                return;
            }
            if !self.pass(weather, &buffer[..read]).await {
                return;
            }
        }
    }

    /// Whether it went through.
    async fn pass(&self, weather: Weather, bytes: &[u8]) -> bool {
        match weather {
            Weather::Clear => write(self.to, bytes).await,
            Weather::Slow { delay } => {
                self.counts.delayed.fetch_add(1, Relaxed);
                tokio::time::sleep(delay).await;
                write(self.to, bytes).await
            }
            Weather::Narrow { bytes_per_second } => {
                self.counts.narrowed.fetch_add(1, Relaxed);
                let portion = (bytes_per_second / PORTIONS_PER_SECOND).max(1);
                for portion in bytes.chunks(portion as usize) {
                    tokio::time::sleep(Duration::from_secs(1) / PORTIONS_PER_SECOND).await;
                    if !write(self.to, portion).await {
                        return false;
                    }
                }
                true
            }
            // The connection is about to be found dead.
            Weather::Lost => std::future::pending().await,
        }
    }
}

/// Takes what an end sends until it closes, and answers nothing.
async fn swallow(from: &TcpStream) {
    let mut buffer = vec![0; PIECE_BYTES];
    while read(from, &mut buffer).await.is_some() {}
}

/// At least one byte; none if the end has closed.
async fn read(from: &TcpStream, buffer: &mut [u8]) -> Option<usize> {
    loop {
        from.readable().await.ok()?;
        match from.try_read(buffer) {
            Ok(0) => return None,
            Ok(read) => return Some(read),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return None,
        }
    }
}

/// Whether all of it was taken.
async fn write(to: &TcpStream, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        if to.writable().await.is_err() {
            return false;
        }
        match to.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    /// A road with one connection over it: the agent's end, and the server's.
    fn connected() -> (Road, TcpStream, TcpStream) {
        let server = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let road = Road::open(server.local_addr().unwrap(), 1).unwrap();
        let agent = TcpStream::connect(road.address()).unwrap();
        let (server, _) = server.accept().unwrap();
        for end in [&agent, &server] {
            end.set_read_timeout(Some(SOON)).unwrap();
        }
        (road, agent, server)
    }

    fn received(from: &mut TcpStream, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        from.read_exact(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_clear_a_slow_and_a_narrow_road_carry_every_byte_both_ways() {
        let (road, mut agent, mut server) = connected();
        let weathers = [
            Weather::Clear,
            Weather::Slow { delay: Duration::from_millis(30) },
            Weather::Narrow { bytes_per_second: 20_000 },
        ];
        let bytes: Vec<u8> = (0..=255).cycle().take(6_000).collect();
        for weather in weathers {
            road.set(weather);
            agent.write_all(&bytes).unwrap();
            assert_eq!(received(&mut server, bytes.len()), bytes);
            server.write_all(&bytes).unwrap();
            assert_eq!(received(&mut agent, bytes.len()), bytes);
        }
        assert!(road.counts().delayed.load(Relaxed) > 0 && road.counts().narrowed.load(Relaxed) > 0);
    }

    #[test]
    fn a_closed_road_closes_both_ends_and_the_next_connection_is_carried() {
        let (road, mut agent, mut server) = connected();
        road.close_all();
        assert_eq!(agent.read(&mut [0]).unwrap(), 0);
        assert_eq!(server.read(&mut [0]).unwrap(), 0);
        assert_eq!(road.counts().closed.load(Relaxed), 1);
        let (_road, mut agent, mut server) = connected();
        agent.write_all(b"again").unwrap();
        assert_eq!(received(&mut server, 5), b"again");
    }

    #[test]
    fn a_torn_connection_ends_in_the_middle_of_what_it_carries() {
        let (road, mut agent, mut server) = connected();
        road.tear_all();
        agent.write_all(&[7; 100]).unwrap();
        let mut came = Vec::new();
        // The end may be a reset, which is an error.
        server.read_to_end(&mut came).ok();
        assert!(came.len() < 100, "{}", came.len());
        assert_eq!(road.counts().torn.load(Relaxed), 1);
    }

    #[test]
    fn a_lost_connection_stays_open_and_dead_also_when_the_weather_clears() {
        let (road, mut agent, mut server) = connected();
        road.set(Weather::Lost);
        while road.counts().lost.load(Relaxed) == 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        road.set(Weather::Clear);
        agent.write_all(b"nobody hears this").unwrap();
        server.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let heard = server.read(&mut [0]).unwrap_err();
        assert_eq!(heard.kind(), std::io::ErrorKind::WouldBlock);
        drop(agent);
        server.set_read_timeout(Some(SOON)).unwrap();
        assert_eq!(server.read(&mut [0]).unwrap(), 0, "once the agent gives up, the server learns of it");
    }
}
