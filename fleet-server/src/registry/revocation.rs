//! Which certificates there are, and which of them are not to be trusted any more.

use lamplighter_protocol::{LamppostNumber, UtcMillis};
use sqlx::sqlite::SqliteConnection;

use super::{CertificateRecord, CertificateSerial, Registry, RegistryError};
use crate::audit::{self, Action, Actor, Entry, Subject};

/// What is to be revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revoke {
    /// One certificate.
    Certificate(CertificateSerial),
    /// All that a lamppost has, also those whose time is over.
    AllOf(LamppostNumber),
}

/// What became of a revocation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Revoked {
    /// These were revoked now.
    pub now: Vec<CertificateRecord>,
    /// These had been before, and stay as they were.
    pub before: Vec<CertificateRecord>,
}

/// Certificates of one read: between two of them everybody else gets a turn.
const PAGE: u32 = 1_000;

const WHAT: &str = "certificates";

pub(super) type Row = (String, String, i64, i64, Option<i64>, Option<String>);

impl Registry {
    /// Up to a thousand certificates, of one lamppost or of all: by lamppost, the oldest first, from the first behind the
    /// given one on.
    ///
    /// # Errors
    /// [`RegistryError::Read`] or [`RegistryError::Damaged`].
    pub async fn certificates(
        &self,
        of: Option<&LamppostNumber>,
        after: Option<&CertificateRecord>,
    ) -> Result<Vec<CertificateRecord>, RegistryError> {
        let begin = after.map_or(("", i64::MIN, ""), |after| {
            (after.lamppost.as_str(), after.issued.0, after.serial.as_str())
        });
        let rows: Result<Vec<Row>, _> = sqlx::query_as(
            "SELECT serial, lamppost, issued, not_after, revoked, authority FROM certificates
             WHERE (lamppost, issued, serial) > ($1, $2, $3) AND ($4 IS NULL OR lamppost = $4)
             ORDER BY lamppost, issued, serial LIMIT $5",
        )
        .bind(begin.0)
        .bind(begin.1)
        .bind(begin.2)
        .bind(of.map(LamppostNumber::as_str))
        .bind(i64::from(PAGE))
        .fetch_all(self.readers())
        .await;
        let rows = rows.map_err(|source| RegistryError::Read { what: WHAT, source })?;
        rows.into_iter().map(|row| self.certificate_of(row)).collect()
    }

    /// Revokes what is not revoked yet, and says so in the audit: all of it or nothing. Who is connected with it is thrown
    /// out within two seconds.
    ///
    /// # Errors
    /// [`RegistryError::NoCertificate`], [`RegistryError::NotRegistered`], [`RegistryError::Write`] or
    /// [`RegistryError::Damaged`]; nothing is revoked then.
    pub async fn revoke(
        &self,
        what: &Revoke,
        reason: Option<&str>,
        now: UtcMillis,
        by: &Actor,
    ) -> Result<Revoked, RegistryError> {
        let writing = |source| RegistryError::Write { what: "a revocation", source };
        let mut transaction = self.begin().await.map_err(writing)?;
        let found = find(&mut transaction, what).await.map_err(writing)?;
        let mut revoked = Revoked::default();
        for row in found {
            let record = self.certificate_of(row)?;
            if record.revoked.is_some() {
                revoked.before.push(record);
                continue;
            }
            let record = CertificateRecord { revoked: Some(now), ..record };
            mark(&mut transaction, &record, reason, now, by).await.map_err(writing)?;
            revoked.now.push(record);
        }
        match what {
            Revoke::Certificate(serial) if revoked == Revoked::default() => {
                return Err(RegistryError::NoCertificate { serial: serial.clone() });
            }
            Revoke::AllOf(number) if revoked == Revoked::default() => {
                transaction.rollback().await.map_err(writing)?;
                if self.lamppost(number).await?.is_none() {
                    return Err(RegistryError::NotRegistered { number: number.clone() });
                }
                return Ok(revoked);
            }
            Revoke::Certificate(_) | Revoke::AllOf(_) => {}
        }
        transaction.commit().await.map_err(writing)?;
        Ok(revoked)
    }

    /// Whose certificates are revoked that TLS would still accept.
    ///
    /// # Errors
    /// [`RegistryError::Read`] or [`RegistryError::Damaged`].
    pub async fn revoked(
        &self,
        now: UtcMillis,
    ) -> Result<Vec<(LamppostNumber, CertificateSerial)>, RegistryError> {
        let rows: Result<Vec<Row>, _> = sqlx::query_as(
            "SELECT serial, lamppost, issued, not_after, revoked, authority FROM certificates
             WHERE revoked IS NOT NULL AND not_after >= $1",
        )
        .bind(now.0)
        .fetch_all(self.readers())
        .await;
        let rows = rows.map_err(|source| RegistryError::Read { what: WHAT, source })?;
        let whose = |row| self.certificate_of(row).map(|record| (record.lamppost, record.serial));
        rows.into_iter().map(whose).collect()
    }

    /// Revokes all that a lamppost has, as part of a transaction; how many.
    pub(super) async fn revoke_all(
        &self,
        transaction: &mut SqliteConnection,
        number: &LamppostNumber,
        reason: &str,
        now: UtcMillis,
        by: &Actor,
    ) -> Result<u64, RegistryError> {
        let writing = |source| RegistryError::Write { what: "a revocation", source };
        let mut revoked = 0;
        for row in find(transaction, &Revoke::AllOf(number.clone())).await.map_err(writing)? {
            let record = self.certificate_of(row)?;
            if record.revoked.is_none() {
                mark(transaction, &record, Some(reason), now, by).await.map_err(writing)?;
                revoked += 1;
            }
        }
        Ok(revoked)
    }

    pub(super) fn certificate_of(&self, row: Row) -> Result<CertificateRecord, RegistryError> {
        let (serial, lamppost, issued, not_after, revoked, authority) = row;
        let damaged = || self.damaged("the certificate", &serial);
        Ok(CertificateRecord {
            serial: serial.parse().map_err(|_| damaged())?,
            lamppost: lamppost.parse().map_err(|_| damaged())?,
            issued: UtcMillis(issued),
            not_after: UtcMillis(not_after),
            revoked: revoked.map(UtcMillis),
            authority: authority.map(|key| key.parse().map_err(|_| damaged())).transpose()?,
        })
    }
}

async fn find(transaction: &mut SqliteConnection, what: &Revoke) -> Result<Vec<Row>, sqlx::Error> {
    let query = match what {
        Revoke::Certificate(serial) => sqlx::query_as(
            "SELECT serial, lamppost, issued, not_after, revoked, authority FROM certificates WHERE serial = $1",
        )
        .bind(serial.as_str()),
        Revoke::AllOf(number) => sqlx::query_as(
            "SELECT serial, lamppost, issued, not_after, revoked, authority FROM certificates WHERE lamppost = $1
             ORDER BY issued, serial",
        )
        .bind(number.as_str()),
    };
    query.fetch_all(transaction).await
}

pub(super) async fn mark(
    transaction: &mut SqliteConnection,
    record: &CertificateRecord,
    reason: Option<&str>,
    now: UtcMillis,
    by: &Actor,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE certificates SET revoked = $1 WHERE serial = $2")
        .bind(now.0)
        .bind(record.serial.as_str())
        .execute(&mut *transaction)
        .await?;
    let certificate = Subject::Certificate(record.serial.clone());
    let entry = Entry::new(now, by.clone(), Action::CertificateRevoked, certificate)
        .text("lamppost", &record.lamppost);
    let entry = match reason {
        Some(reason) => entry.text("reason", reason),
        None => entry,
    };
    audit::append(transaction, &entry).await?;
    Ok(())
}
