//! What the lampposts' disks, the API and the world say at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Context as _;
use lamplighter_protocol::{LamppostNumber, UtcMillis};

use super::account::{Account, Evidence, account};
use super::street::{Agents, City};
use crate::city::positions::sample_lampposts;
use crate::city::timestamp;
use crate::fleet::Api;
use crate::fleet::observed::{Observed, Told, dropped, on_disk, served, stops, told};
use crate::rig::lamppost::{AIR, WEATHER};
use crate::world::Recordings;

/// The agent observes itself every ten seconds.
const HEALTH_MS: u32 = 10_000;

/// The device that is the agent itself.
const AGENT: &str = "agent";

/// An agent syncs what it reads within 2 s (D2); on a busy machine the sync itself may take longer than that again.
const SYNCED_WITHIN_S: f64 = 6.0;

/// Whether a lamppost has said hello since, and nothing that it named is missing.
pub(super) fn owes_nothing(api: &Api, number: &LamppostNumber, since: UtcMillis) -> bool {
    let Ok(lamppost) = api.json(&format!("/api/v1/lampposts/{number}")) else { return false };
    let said = lamppost["report"]["last_hello"].as_str().and_then(timestamp::parse);
    said.is_some_and(|said| said >= since) && lamppost["backlog"]["records"].as_u64() == Some(0)
}

/// The account of one lamppost, whose agent has ended.
pub(super) fn account_for(
    city: &City<'_>,
    street: &Agents,
    number: &LamppostNumber,
    api: &Api,
) -> anyhow::Result<Account> {
    let lampposts = sample_lampposts(u32::try_from(city.lampposts)?);
    let lamppost = lampposts.iter().find(|one| one.number == *number).context("no such lamppost")?;
    let world = city.fidelity.world(&Arc::new(Recordings::built_in()), lamppost);
    let (on_disk, runs) = on_disk(city.directory, number)?;
    #[expect(clippy::cast_possible_truncation, reason = "seconds, in ms")]
    let unsynced_ms = (SYNCED_WITHIN_S * city.speed * 1000.0) as i64;
    let served = served(api, number)?;
    let evidence = Evidence {
        lamppost: number,
        on_disk: &on_disk,
        served: &served,
        stops: &stops(api, number)?,
        told: &told_of_all(street, number, api, [&on_disk, &served])?,
        dropped: dropped(api, number)?,
        lives: &street.lives,
        world: &world,
        grids: &[(WEATHER, city.every_ms), (AIR, city.every_ms), (AGENT, HEALTH_MS)],
        unsynced_ms,
    };
    Ok(Account { runs: runs as u64, ..account(&evidence) })
}

/// What the server says of each series, from the first life on to the last tick that its device read.
fn told_of_all(
    street: &Agents,
    number: &LamppostNumber,
    api: &Api,
    observed: [&Observed; 2],
) -> anyhow::Result<BTreeMap<(String, String), Told>> {
    let began = street.lives.first().context("no agent was ever started")?.began;
    let mut last: BTreeMap<&str, UtcMillis> = BTreeMap::new();
    let all = || observed.into_iter().flat_map(|observed| observed.observations.keys());
    for which in all() {
        let of_device = last.entry(&which.device).or_insert(which.time);
        *of_device = which.time.max(*of_device);
    }
    let series: BTreeSet<(&str, &str)> =
        all().map(|which| (which.device.as_str(), which.property.as_str())).collect();
    let told_of = |(device, property): (&str, &str)| {
        let to = last.get(device).copied().unwrap_or(began).plus_ms(1);
        let told = told(api, number, (device, property), (began, to))?;
        Ok(((device.to_owned(), property.to_owned()), told))
    };
    series.into_iter().map(told_of).collect()
}

/// What the server says of its own verdicts, now that it has read its whole journal.
pub(super) fn judge(api: &Api, account: &mut Account) -> anyhow::Result<()> {
    const NAME: &str = "lamplighter_ingest_observations_total";
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    let count = |verdict: &str| anyhow::Ok(api.metric(NAME, &format!("\"{verdict}\""))? as u64);
    for verdict in ["Future", "Retention", "Type", "UnknownProperty", "TooManySeries"] {
        account.rejected += count(verdict)?;
    }
    let merged = count("Merged")?;
    if merged > 0 {
        account.wrong += merged;
        account.told.push(format!("{merged} observations were ingested twice"));
    }
    Ok(())
}
