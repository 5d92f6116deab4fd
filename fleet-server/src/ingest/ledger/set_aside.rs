//! Outboxes that hellos tell of as set aside (D14): they are there, and nothing of them comes until an operator releases
//! them.

use std::collections::{BTreeMap, BTreeSet};

use lamplighter_protocol::{Hello, OutboxId, SetAside, UtcMillis};

use super::outbox::Outbox;

/// Most outboxes of one lamppost that are remembered as set aside; past it, the one that was first told of goes.
const MOST_SET_ASIDE: usize = 64;

/// An outbox that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsideReport {
    /// When a hello first told of it.
    pub since: UtcMillis,
    /// The outbox whose hello tells of it.
    pub by: OutboxId,
    /// What is told of it.
    pub told: SetAside,
}

/// Takes what a hello tells: all that is set aside beside the outbox that speaks.
pub(super) fn take(outboxes: &mut BTreeMap<OutboxId, Outbox>, hello: &Hello, now: UtcMillis) {
    let listed: BTreeSet<OutboxId> = hello.set_aside.iter().map(|told| told.outbox).collect();
    // What was beside an outbox that is now set aside itself is beside the one that speaks, or gone.
    let is_gone = |id: &OutboxId, aside: &AsideReport| {
        let speaks = *id == hello.outbox;
        let is_beside = aside.by == hello.outbox || listed.contains(&aside.by);
        speaks || (is_beside && !listed.contains(id))
    };
    for (id, outbox) in outboxes.iter_mut() {
        outbox.aside.take_if(|aside| is_gone(id, aside));
    }
    for told in hello.set_aside.iter().filter(|told| told.outbox != hello.outbox) {
        let outbox = outboxes.entry(told.outbox).or_default();
        let since = outbox.aside.as_ref().map_or(now, |aside| aside.since);
        outbox.aside = Some(AsideReport { since, by: hello.outbox, told: told.clone() });
    }
    let count = |outboxes: &BTreeMap<OutboxId, Outbox>| {
        outboxes.values().filter(|outbox| outbox.aside.is_some()).count()
    };
    while count(outboxes) > MOST_SET_ASIDE {
        let oldest =
            outboxes.iter().filter_map(|(&id, outbox)| Some((outbox.aside.as_ref()?.since, id))).min();
        let Some(outbox) = oldest.and_then(|(_, id)| outboxes.get_mut(&id)) else { return };
        outbox.aside = None;
    }
}
