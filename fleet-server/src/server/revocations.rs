//! Throws out who is connected with a certificate that somebody has revoked: most often another process, by
//! `fleet-server cert revoke`.

use lamplighter_protocol::UtcMillis;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::LOOK_EVERY;
use crate::clock;
use crate::gateway::Sessions;
use crate::registry::{Registry, RegistryChanges, RegistryError};

/// Looks at the registry once a second, and reads what is revoked whenever something was written to it.
#[derive(Debug)]
pub(super) struct Revocations {
    registry: Registry,
    sessions: Sessions,
    changes: Option<RegistryChanges>,
    /// The registry's version before it was last read; none if that went wrong.
    read_at: Option<i64>,
    failing: bool,
}

impl Revocations {
    pub(super) fn new(registry: Registry, sessions: Sessions) -> Self {
        Self { registry, sessions, changes: None, read_at: None, failing: false }
    }

    /// Looks until `stop`.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let look = async {
            loop {
                looks.tick().await;
                self.look(clock::wall()).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = look => {}
        }
    }

    /// Once. What cannot be read now is asked for the next time; the log says so once.
    async fn look(&mut self, now: UtcMillis) {
        match self.read(now).await {
            Ok(()) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!("what is revoked can be read again");
                }
            }
            Err(error) => {
                // The next version is that of another connection, and cannot be compared with this one's.
                (self.changes, self.read_at) = (None, None);
                if !std::mem::replace(&mut self.failing, true) {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(
                        error,
                        "the registry cannot be read: who is connected with a certificate that is revoked now stays so; \
                         it is tried again every second"
                    );
                }
            }
        }
    }

    async fn read(&mut self, now: UtcMillis) -> Result<(), RegistryError> {
        let changes = match &mut self.changes {
            Some(changes) => changes,
            none => none.insert(self.registry.changes().await?),
        };
        let version = changes.version().await?;
        if self.read_at == Some(version) {
            return Ok(());
        }
        // Whoever writes while this reads makes another version, and it is read again.
        let revoked = self.registry.revoked(now).await?;
        let revoked = revoked.into_iter().map(|(number, serial)| (number, serial.as_str().to_owned()));
        for lamppost in self.sessions.revoke(revoked.collect()) {
            tracing::info!(%lamppost, "its certificate is revoked");
        }
        self.read_at = Some(version);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use lamplighter_protocol::LamppostNumber;

    use super::*;
    use crate::audit::Actor;
    use crate::gateway::log_in;
    use crate::registry::{CertificateRecord, Lamppost, Revoke};

    const NOW: UtcMillis = UtcMillis(1_760_000_000_000);
    const YEAR_MS: i64 = 31_536_000_000;

    #[tokio::test]
    async fn what_another_process_revokes_is_noticed_at_the_next_look_and_nobody_else_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(Registry::FILE_NAME);
        let (server, command) = (Registry::open(&path).await.unwrap(), Registry::open(&path).await.unwrap());
        let numbers = ["A1", "A2"].map(|number| LamppostNumber::new(number).unwrap());
        let lampposts = numbers.iter().map(|number| Lamppost::example(number.as_str()));
        command.import(lampposts.collect(), NOW, &Actor::Server).await.unwrap();
        let sessions = Sessions::default();
        let _connected = numbers.each_ref().map(|number| log_in(&sessions, number, NOW));
        let serial = sessions.connected(&numbers[0]).unwrap().certificate_serial;
        assert_eq!(serial, "01");
        let record = CertificateRecord {
            serial: serial.parse().unwrap(),
            lamppost: numbers[0].clone(),
            issued: NOW,
            not_after: NOW.plus_ms(YEAR_MS),
            revoked: None,
            authority: None,
        };
        command.record_certificate(&record, &Actor::Server).await.unwrap();

        let mut revocations = Revocations::new(server.clone(), sessions.clone());
        revocations.look(NOW).await;
        assert_eq!(sessions.told_to_close(), []);
        let what = Revoke::AllOf(numbers[0].clone());
        command.revoke(&what, None, NOW, &Actor::Server).await.unwrap();
        revocations.look(NOW).await;
        assert_eq!(sessions.told_to_close(), [numbers[0].clone()]);
        server.close().await;
        command.import(Vec::new(), NOW, &Actor::Server).await.unwrap();
        revocations.look(NOW).await;
        assert!(!revocations.failing, "nothing was written");
    }

    #[tokio::test]
    async fn a_registry_that_cannot_be_read_is_asked_again() {
        let directory = tempfile::tempdir().unwrap();
        let registry = Registry::open(&directory.path().join(Registry::FILE_NAME)).await.unwrap();
        let mut revocations = Revocations::new(registry.clone(), Sessions::default());
        registry.close().await;
        revocations.look(NOW).await;
        assert!(revocations.failing && revocations.read_at.is_none());
    }
}
