//! Who may listen to what: read from the registry whenever somebody has changed it, most often another process, by
//! `fleet-server department` and `fleet-server grant`.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::LOOK_EVERY;
use crate::feeds::Directory;
use crate::registry::{Part, Registry, RegistryError};

/// Looks at the registry once a second, which costs one row to read, and publishes a new directory when departments, keys or
/// grants have changed. Until it was read for the first time nobody may listen.
#[derive(Debug)]
pub(super) struct Departments {
    registry: Registry,
    directory: watch::Sender<Arc<Directory>>,
    /// The version of the departments before they were last read; none if that went wrong.
    read_at: Option<i64>,
    failing: bool,
}

impl Departments {
    pub(super) fn new(registry: Registry, directory: watch::Sender<Arc<Directory>>) -> Self {
        Self { registry, directory, read_at: None, failing: false }
    }

    /// Looks until `stop`.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let look = async {
            loop {
                looks.tick().await;
                self.look().await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = look => {}
        }
    }

    /// Once. What cannot be read now is asked for the next time; the log says so once.
    pub(super) async fn look(&mut self) {
        match self.read().await {
            Ok(()) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!("departments can be read again");
                }
            }
            Err(error) => {
                self.read_at = None;
                if !std::mem::replace(&mut self.failing, true) {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(
                        error,
                        "departments cannot be read from the registry: who may listen stays as it was read before; it is \
                         tried again every second"
                    );
                }
            }
        }
    }

    async fn read(&mut self) -> Result<(), RegistryError> {
        let version = self.registry.version_of(Part::Departments).await?;
        if self.read_at == Some(version) {
            return Ok(());
        }
        // Whoever writes while this reads makes another version, and it is read again.
        let access = self.registry.feed_access().await?;
        tracing::info!(departments = access.len(), "who may listen is read");
        self.directory.send_replace(Arc::new(Directory::new(access)));
        self.read_at = Some(version);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use lamplighter_protocol::UtcMillis;

    use super::*;
    use crate::audit::{Action, Actor, Entry, Subject};
    use crate::feeds::DepartmentName;
    use crate::registry::ApiKey;

    const NOW: UtcMillis = UtcMillis(1_760_000_000_000);
    const BY: Actor = Actor::Server;

    #[tokio::test]
    async fn what_another_process_ends_is_published_at_the_next_look_and_nothing_when_nothing_changed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(Registry::FILE_NAME);
        let (server, command) = (Registry::open(&path).await.unwrap(), Registry::open(&path).await.unwrap());
        let name: DepartmentName = "traffic".parse().unwrap();
        let (sender, mut seen) = watch::channel(Arc::default());
        let mut departments = Departments::new(server.clone(), sender);
        departments.look().await;
        assert_eq!(**seen.borrow_and_update(), Directory::default());

        command.add_department(&name, &"Transport".parse().unwrap(), NOW, &BY).await.unwrap();
        let secret = ApiKey::generate().unwrap();
        let key = command.add_department_key(&name, &secret, None, (NOW, None), &BY).await.unwrap();
        let grant = command.add_grant(&name, &"highway/traffic/#".parse().unwrap(), NOW, &BY).await.unwrap();
        departments.look().await;
        let published = seen.borrow_and_update().clone();
        let (access, id) = published.admit("traffic", secret.expose().as_bytes(), NOW).unwrap();
        assert_eq!((id, &access.grants[..]), (key.id, &[grant.filter.clone()][..]));

        // Written to the registry, and not what this is about.
        command.audit(&Entry::new(NOW, BY, Action::Refused, Subject::Gateway)).await.unwrap();
        departments.look().await;
        assert!(!seen.has_changed().unwrap());

        command.withdraw_grant(grant.id, None, NOW, &BY).await.unwrap();
        departments.look().await;
        assert_eq!(seen.borrow_and_update().get(&name).unwrap().grants, []);
        command.end_department_key(key.id, None, NOW, &BY).await.unwrap();
        departments.look().await;
        assert!(seen.borrow_and_update().admit("traffic", secret.expose().as_bytes(), NOW).is_none());
        command.end_department(&name, NOW, &BY).await.unwrap();
        departments.look().await;
        assert_eq!(**seen.borrow_and_update(), Directory::default());
    }

    #[tokio::test]
    async fn a_registry_that_cannot_be_read_lets_in_who_was_let_in_and_is_asked_again() {
        let directory = tempfile::tempdir().unwrap();
        let registry = Registry::open(&directory.path().join(Registry::FILE_NAME)).await.unwrap();
        let name: DepartmentName = "traffic".parse().unwrap();
        registry.add_department(&name, &"Transport".parse().unwrap(), NOW, &BY).await.unwrap();
        let (sender, seen) = watch::channel(Arc::default());
        let mut departments = Departments::new(registry.clone(), sender);
        departments.look().await;
        registry.close().await;
        departments.look().await;
        assert!(departments.failing && departments.read_at.is_none());
        assert!(seen.borrow().get(&name).is_some());
    }
}
