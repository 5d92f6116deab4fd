//! One client that floods and one that stalls, and how long the others wait meanwhile.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

use super::client::{Client, Shared};
use super::crew::{Crew, say};
use super::lamppost::{Gateway, Lamppost};
use super::load::{Acknowledged, open_loop};
use super::schedule::Due;

/// Ticks that each of the two sends, over and over.
const TICKS: usize = 1_000;

/// Half a packet, and so long later the other half.
const HALF: Duration = Duration::from_millis(10);

/// How the others fared.
pub(super) struct Flood {
    pub(super) before: Acknowledged,
    pub(super) during: Acknowledged,
    /// Messages that the flooding client could write in each second.
    pub(super) rate: f64,
}

/// The others send a tick in each second. First the two are as quiet as anybody; then one sends as fast as its socket takes it,
/// and waits for no acknowledgement, and one never reads, and sends half packets.
///
/// Gives back those that are still connected, and the two that are not.
pub(super) fn flood(
    crew: &Crew,
    mut clients: Vec<Client>,
    shared: &Arc<Shared>,
    gateway: Gateway,
    seconds: u64,
) -> anyhow::Result<(Vec<Client>, Vec<Lamppost>, Flood)> {
    let pair = (clients.pop(), clients.pop());
    let (Some(flooding), Some(stalling)) = pair else { anyhow::bail!("a flood takes two connections") };
    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
    let modest = clients.len() as f64;
    let (clients, before) = open_loop("before the flood", crew, clients, shared, gateway, modest, seconds)?;
    let stop = CancellationToken::new();
    let began = Due::now().at;
    let flooding = crew.start("flooding client", [floods(flooding, Arc::clone(shared), stop.clone())]);
    let stalling = crew.start("stalling client", [stalls(stalling, Arc::clone(shared), stop.clone())]);
    let (clients, during) = open_loop("flood", crew, clients, shared, gateway, modest, seconds)?;
    stop.cancel();
    let lasted = began.elapsed().as_secs_f64();
    let flooded = crew.finish(flooding, Duration::from_secs(10))?;
    let stalled = crew.finish(stalling, Duration::from_secs(10))?;
    let written: u32 = flooded.iter().map(|(_, written)| written).sum();
    let two = flooded.into_iter().map(|(lamppost, _)| lamppost).chain(stalled).collect();
    Ok((clients, two, Flood { before, during, rate: f64::from(written) / lasted }))
}

/// Gives back how many messages were written.
async fn floods(
    client: Client,
    shared: Arc<Shared>,
    stop: CancellationToken,
) -> anyhow::Result<(Lamppost, u32)> {
    let Client { mut lamppost, connection } = client;
    let (stream, publishes) = connection.into_parts(&mut lamppost, &shared.readings, TICKS, Due::now())?;
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut written = 0;
    let writing = async {
        for publish in publishes.iter().cycle() {
            writer.write_all(publish).await?;
            writer.flush().await?;
            written += 1;
        }
        std::io::Result::Ok(())
    };
    let reading = async {
        let mut answers = [0; 512];
        while reader.read(&mut answers).await? > 0 {}
        std::io::Result::Ok(())
    };
    tokio::select! {
        () = stop.cancelled() => {}
        ended = writing => say_cut("flooding", ended),
        ended = reading => say_cut("flooding", ended),
    }
    Ok((lamppost, written))
}

async fn stalls(client: Client, shared: Arc<Shared>, stop: CancellationToken) -> anyhow::Result<Lamppost> {
    let Client { mut lamppost, connection } = client;
    let (mut stream, publishes) =
        connection.into_parts(&mut lamppost, &shared.readings, TICKS, Due::now())?;
    let writing = async {
        for publish in publishes.iter().cycle() {
            let (first, second) = publish.split_at(publish.len() / 2);
            for half in [first, second] {
                stream.write_all(half).await?;
                stream.flush().await?;
                tokio::time::sleep(HALF).await;
            }
        }
        std::io::Result::Ok(())
    };
    tokio::select! {
        () = stop.cancelled() => {}
        ended = writing => say_cut("stalling", ended),
    }
    Ok(lamppost)
}

/// To cut such a client off is as good as to hold it back; but a flood that ended early is not the one that was to be measured.
fn say_cut(who: &str, ended: std::io::Result<()>) {
    let why = ended.err().map_or_else(|| "closed".to_owned(), |error| error.to_string());
    say(&format!("  the {who} client is cut off: {why}"));
}
