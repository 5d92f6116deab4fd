//! What is wrong from outside, against the shipped programs: a clear error or a refusal with a counter, nothing that
//! was acknowledged is lost, and everybody else goes on.
//!
//! - [`agent_configuration`], [`agent_surroundings`]: what an agent is told wrongly, and what it does not find.
//! - [`server_start`]: what keeps a server from starting, and what its other commands refuse.
//! - [`payloads`]: what a lamppost with every right may say that cannot be read.
//! - [`hostile`]: attacks on the lampposts' port, and how long a lamppost beside them waited.
//! - [`standard`]: MQTT 3.1.1, statement by statement.
//! - [`slow_clients`]: who says nothing, half of something, or does not listen.
//! - [`unknown_time`], [`wrong_clock`]: a machine that does not know the time, or knows a wrong one.
//! - [`set_aside`]: an outbox that belongs elsewhere, and what operators decide of it.
//! - [`lifetime`]: a lamppost's life, from its token to its end, and what of it the audit has.
//! - [`pkcs11`]: a lamppost whose keys are in a PKCS#11 token, and what that token does not do.
//! - [`revoked`]: a certificate that is revoked while its lamppost is connected.
//! - [`full_disk`], [`damaged_journal`]: what happens to the disk under the journal.
//! - [`backups`]: a server that is backed up while it runs, lost, and restored.
//! - [`damaged_disks`]: what real lampposts make of damage on their disks and the server's, and of a restored server.
//!
//! What an MQTT client may not do at all (certificates, topics, versions, sizes) is in `third_party.rs`.

// In test modules the lints know that this is test code.
#[cfg(test)]
mod agent_configuration;
#[cfg(test)]
mod agent_process;
#[cfg(test)]
mod agent_surroundings;
#[cfg(test)]
mod backups;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod connection;
#[cfg(test)]
mod counters;
#[cfg(test)]
mod damaged_disks;
#[cfg(test)]
mod damaged_journal;
#[cfg(test)]
mod full_disk;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod lamppost;
#[cfg(test)]
mod lifetime;
#[cfg(test)]
mod mounts;
#[cfg(test)]
mod neighbour;
#[cfg(test)]
mod payloads;
#[cfg(test)]
mod pkcs11;
#[cfg(test)]
mod revoked;
#[cfg(test)]
mod server_log;
#[cfg(test)]
mod server_start;
#[cfg(test)]
mod set_aside;
#[cfg(test)]
mod slow_clients;
#[cfg(test)]
mod standard;
#[cfg(test)]
mod stranger;
#[cfg(test)]
mod town;
#[cfg(test)]
mod unknown_time;
#[cfg(test)]
mod wrong_clock;
