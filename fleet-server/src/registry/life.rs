//! A lamppost's life after its registration: its controller is replaced, it is taken down, and put up again.
//!
//! Observations belong to the number, and nothing here touches them. A controller that is gone takes with it what it could
//! log in with: its certificates are revoked and its tokens ended in the transaction that says so in the audit. A lamppost
//! that is retired has neither certificates nor tokens that are good, and is given none.

use lamplighter_protocol::{LamppostNumber, UtcMillis};
use sqlx::sqlite::SqliteConnection;

use super::sqlite::Are;
use super::{Lamppost, Registry, RegistryError, TokenDigest, TokenId};
use crate::audit::{self, Action, Actor, Entry, Subject};

/// Longest reason that somebody gives, in characters: as much of it as the audit keeps.
const LONGEST_REASON: usize = 200;

/// What a lamppost had and has no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Certificates that were revoked.
    pub certificates: u64,
    /// Tokens that were ended.
    pub tokens: u64,
}

/// Since when a lamppost is retired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retirement {
    /// Since when.
    pub since: UtcMillis,
    /// Why, where somebody said so.
    pub reason: Option<String>,
}

/// Why nothing was changed about a lamppost.
#[derive(Debug, thiserror::Error)]
pub enum LifeError {
    /// It is not retired.
    #[error("lamppost {number} is not retired")]
    InService {
        /// The lamppost.
        number: LamppostNumber,
    },
    /// It stands there already.
    #[error("lamppost {number} stands there already: nothing would be different")]
    SameSite {
        /// The lamppost.
        number: LamppostNumber,
    },
    /// A move that was not made yet.
    #[error("that time is still to come: tell of the move once lamppost {number} is moved")]
    StillToCome {
        /// The lamppost.
        number: LamppostNumber,
    },
    /// It was moved at that time, or after it.
    #[error("lamppost {number} was moved at that time or after it: give a later one")]
    MovedSince {
        /// The lamppost.
        number: LamppostNumber,
        /// When it was moved last.
        last: UtcMillis,
    },
    /// The registry; also if it is not registered, or retired and should not be.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

/// A reason that somebody gives: a line of 1 to 200 characters, without spaces around it.
///
/// # Errors
/// What the rule is.
pub fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > LONGEST_REASON || text.contains(char::is_control) {
        return Err(format!("give a line of 1 to {LONGEST_REASON} characters"));
    }
    Ok(text.to_owned())
}

impl Registry {
    /// The controller of a lamppost is another one from now on: what the old one could log in with is good no more, and
    /// the new one is enrolled by this token. All of it or nothing.
    ///
    /// # Errors
    /// [`RegistryError::NotRegistered`], [`RegistryError::Retired`] or [`RegistryError::Write`].
    pub async fn replace_controller(
        &self,
        number: &LamppostNumber,
        (digest, expires): (&TokenDigest, UtcMillis),
        reason: Option<&str>,
        now: UtcMillis,
        by: &Actor,
    ) -> Result<(TokenId, Taken), RegistryError> {
        let writing = |source| RegistryError::Write { what: "the replacement of a controller", source };
        let mut transaction = self.begin().await.map_err(writing)?;
        in_service(&mut transaction, number).await?;
        let because = reason.unwrap_or("the controller is replaced");
        let taken = self.take(&mut transaction, number, because, now, by).await?;
        let id = self.insert_token(&mut transaction, number, digest, (now, expires), by).await?;
        let entry =
            Entry::new(now, by.clone(), Action::ControllerReplaced, Subject::Lamppost(number.clone()));
        let entry = tell(entry.text("token", id), taken, reason);
        audit::append(&mut transaction, &entry).await.map_err(writing)?;
        transaction.commit().await.map_err(writing)?;
        Ok((id, taken))
    }

    /// A lamppost is taken down: what it could log in with is good no more, it is given nothing, and is counted among the
    /// lampposts of the city no more. What was observed on it stays.
    ///
    /// # Errors
    /// [`RegistryError::NotRegistered`], [`RegistryError::Retired`] if it was before, or [`RegistryError::Write`].
    pub async fn retire(
        &self,
        number: &LamppostNumber,
        reason: Option<&str>,
        now: UtcMillis,
        by: &Actor,
    ) -> Result<Taken, RegistryError> {
        let writing = |source| RegistryError::Write { what: "the retirement of a lamppost", source };
        let mut transaction = self.begin().await.map_err(writing)?;
        in_service(&mut transaction, number).await?;
        let taken =
            self.take(&mut transaction, number, reason.unwrap_or("the lamppost is retired"), now, by).await?;
        sqlx::query("UPDATE lampposts SET retired = $2, retired_because = $3 WHERE number = $1")
            .bind(number.as_str())
            .bind(now.0)
            .bind(reason)
            .execute(&mut *transaction)
            .await
            .map_err(writing)?;
        let entry = Entry::new(now, by.clone(), Action::LamppostRetired, Subject::Lamppost(number.clone()));
        audit::append(&mut transaction, &tell(entry, taken, reason)).await.map_err(writing)?;
        transaction.commit().await.map_err(writing)?;
        Ok(taken)
    }

    /// A lamppost that was taken down is one of the city again. It has to be enrolled anew: what was revoked stays revoked.
    ///
    /// # Errors
    /// [`LifeError::InService`], or [`LifeError::Registry`].
    pub async fn revive(
        &self,
        number: &LamppostNumber,
        now: UtcMillis,
        by: &Actor,
    ) -> Result<Retirement, LifeError> {
        let writing = |source| RegistryError::Write { what: "the return of a lamppost", source };
        let mut transaction = self.begin().await.map_err(writing)?;
        let retired = standing(&mut transaction, number).await?;
        let Some(retired) = retired else { return Err(LifeError::InService { number: number.clone() }) };
        sqlx::query("UPDATE lampposts SET retired = NULL, retired_because = NULL WHERE number = $1")
            .bind(number.as_str())
            .execute(&mut *transaction)
            .await
            .map_err(writing)?;
        let entry = Entry::new(now, by.clone(), Action::LamppostRevived, Subject::Lamppost(number.clone()))
            .number("retired_ms", retired.since.0);
        audit::append(&mut transaction, &entry).await.map_err(writing)?;
        transaction.commit().await.map_err(writing)?;
        Ok(retired)
    }

    /// Since when a lamppost is retired, if it is; also none if it is not registered.
    ///
    /// # Errors
    /// [`RegistryError::Read`].
    pub async fn retirement(&self, number: &LamppostNumber) -> Result<Option<Retirement>, RegistryError> {
        let reading = |source| RegistryError::Read { what: "the state of a lamppost", source };
        let mut reader = self.readers().acquire().await.map_err(reading)?;
        match standing(&mut reader, number).await {
            Err(RegistryError::NotRegistered { .. }) => Ok(None),
            standing => standing,
        }
    }

    /// Up to `limit` retired lampposts in the order of their numbers, from the first `after` the given one.
    ///
    /// # Errors
    /// [`RegistryError::Read`] or [`RegistryError::Damaged`].
    pub async fn retired_lampposts(
        &self,
        after: Option<&LamppostNumber>,
        limit: u32,
    ) -> Result<Vec<Lamppost>, RegistryError> {
        self.lampposts_that(Are::Retired, after, limit).await
    }

    async fn take(
        &self,
        transaction: &mut SqliteConnection,
        number: &LamppostNumber,
        reason: &str,
        now: UtcMillis,
        by: &Actor,
    ) -> Result<Taken, RegistryError> {
        let certificates = self.revoke_all(transaction, number, reason, now, by).await?;
        let tokens = self.end_all(transaction, number, now, by).await?;
        Ok(Taken { certificates, tokens })
    }
}

fn tell(entry: Entry, taken: Taken, reason: Option<&str>) -> Entry {
    let entry = entry.number("certificates", taken.certificates).number("tokens", taken.tokens);
    match reason {
        Some(reason) => entry.text("reason", reason),
        None => entry,
    }
}

/// Refuses a lamppost that is retired, or not registered.
pub(super) async fn in_service(
    transaction: &mut SqliteConnection,
    number: &LamppostNumber,
) -> Result<(), RegistryError> {
    match standing(transaction, number).await? {
        Some(_) => Err(RegistryError::Retired { number: number.clone() }),
        None => Ok(()),
    }
}

/// Since when a registered lamppost is retired, if it is.
pub(super) async fn standing(
    connection: &mut SqliteConnection,
    number: &LamppostNumber,
) -> Result<Option<Retirement>, RegistryError> {
    let row: Option<(Option<i64>, Option<String>)> =
        sqlx::query_as("SELECT retired, retired_because FROM lampposts WHERE number = $1")
            .bind(number.as_str())
            .fetch_optional(connection)
            .await
            .map_err(|source| RegistryError::Read { what: "the state of a lamppost", source })?;
    let (since, reason) = row.ok_or_else(|| RegistryError::NotRegistered { number: number.clone() })?;
    Ok(since.map(|since| Retirement { since: UtcMillis(since), reason }))
}
