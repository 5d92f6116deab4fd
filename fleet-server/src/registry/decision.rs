//! What operators have decided of outboxes (D14).

use lamplighter_protocol::{CommandId, LamppostNumber, OutboxId, UtcMillis};

use super::{Registry, RegistryError};
use crate::audit::{self, Action, Actor, Entry, Subject};

/// An operator's decision about an outbox. It is never changed: another one comes after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionRecord {
    /// Names it, and the command by which the lamppost is told.
    pub id: CommandId,
    /// The lamppost whose outbox it is, or on which it is set aside.
    pub lamppost: LamppostNumber,
    /// Which outbox.
    pub outbox: OutboxId,
    /// What was decided.
    pub decision: Decision,
    /// When.
    pub decided: UtcMillis,
    /// By whom.
    pub operator: String,
    /// Whether the lamppost has to do something.
    pub commanded: Commanded,
}

/// What can be decided of an outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It belongs here, and what it has is to come.
    Release,
    /// What only it has is given up.
    Close,
}

/// Whether a lamppost is told of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commanded {
    /// The outbox is set aside on its disk: it is told until it has reported.
    Yes,
    /// Nobody has the outbox at hand.
    No,
}

type Row = (String, String, String, String, i64, String, i64);

impl Registry {
    /// Records a decision, also in the audit. It is on disk when this returns.
    ///
    /// # Errors
    /// [`RegistryError::Write`].
    pub async fn record_decision(&self, record: &DecisionRecord, by: &Actor) -> Result<(), RegistryError> {
        let recorded = self.insert_decision(record, by).await;
        recorded.map_err(|source| RegistryError::Write { what: "a decision about an outbox", source })
    }

    async fn insert_decision(&self, record: &DecisionRecord, by: &Actor) -> Result<(), sqlx::Error> {
        let mut transaction = self.begin().await?;
        sqlx::query(
            "INSERT INTO outbox_decisions (id, lamppost, outbox, decision, decided, operator, commanded)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(record.id.to_string())
        .bind(record.lamppost.as_str())
        .bind(record.outbox.to_string())
        .bind(record.decision.as_str())
        .bind(record.decided.0)
        .bind(&record.operator)
        .bind(i64::from(record.commanded == Commanded::Yes))
        .execute(&mut *transaction)
        .await?;
        let action = match record.decision {
            Decision::Release => Action::OutboxReleased,
            Decision::Close => Action::OutboxClosed,
        };
        let entry = Entry::new(record.decided, by.clone(), action, Subject::Outbox(record.outbox))
            .text("lamppost", &record.lamppost)
            .text("decision", record.id);
        audit::append(&mut transaction, &entry).await?;
        transaction.commit().await
    }

    /// The newest decisions about outboxes of a lamppost, at most so many, the newest first.
    ///
    /// # Errors
    /// [`RegistryError::Read`] or [`RegistryError::Damaged`].
    pub async fn decisions_of(
        &self,
        lamppost: &LamppostNumber,
        most: u32,
    ) -> Result<Vec<DecisionRecord>, RegistryError> {
        let query = sqlx::query_as(
            "SELECT id, lamppost, outbox, decision, decided, operator, commanded
             FROM outbox_decisions WHERE lamppost = $1 ORDER BY decided DESC, id LIMIT $2",
        );
        let query = query.bind(lamppost.as_str()).bind(i64::from(most));
        self.decisions(query.fetch_all(self.readers()).await)
    }

    /// All decisions about outboxes, the oldest first.
    ///
    /// # Errors
    /// [`RegistryError::Read`] or [`RegistryError::Damaged`].
    pub async fn all_decisions(&self) -> Result<Vec<DecisionRecord>, RegistryError> {
        let query = sqlx::query_as(
            "SELECT id, lamppost, outbox, decision, decided, operator, commanded
             FROM outbox_decisions ORDER BY decided, id",
        );
        self.decisions(query.fetch_all(self.readers()).await)
    }

    fn decisions(&self, rows: Result<Vec<Row>, sqlx::Error>) -> Result<Vec<DecisionRecord>, RegistryError> {
        let rows = rows.map_err(|source| RegistryError::Read { what: "decisions about outboxes", source })?;
        let record = |row: Row| {
            let id = row.0.clone();
            decision_of(row).ok_or_else(|| self.damaged("a decision about an outbox", &id))
        };
        rows.into_iter().map(record).collect()
    }
}

fn decision_of(
    (id, lamppost, outbox, decision, decided, operator, commanded): Row,
) -> Option<DecisionRecord> {
    Some(DecisionRecord {
        id: id.parse().ok()?,
        lamppost: lamppost.parse().ok()?,
        outbox: outbox.parse().ok()?,
        decision: [Decision::Release, Decision::Close].into_iter().find(|one| one.as_str() == decision)?,
        decided: UtcMillis(decided),
        operator,
        commanded: match commanded {
            0 => Commanded::No,
            1 => Commanded::Yes,
            _ => return None,
        },
    })
}

impl Decision {
    /// The word that documents and the registry use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Close => "close",
        }
    }
}
