//! The certificates that lampposts ask for themselves: what allows one, and its record, become durable together.

use lamplighter_protocol::UtcMillis;
use sqlx::SqliteConnection;

use super::certificate::insert_certificate;
use super::token::TokenId;
use super::{CertificateRecord, CertificateSerial, Registry, RegistryError};
use crate::audit::Entry;
use crate::ca::KeyDigest;

/// Whether a certificate was recorded that a lamppost asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is on disk: the lamppost may have it.
    Yes,
    /// What allowed it allows it no more.
    No,
}

const WHAT: &str = "a certificate";

impl Registry {
    /// Records a certificate that a token was used for, if the token is good: not ended, not over, bound to this key or
    /// to none, and used for fewer than `most`. It is bound to the key, and the audit told, with the same commit.
    ///
    /// # Errors
    /// [`RegistryError::NotRegistered`], [`RegistryError::SerialTaken`] or [`RegistryError::Write`].
    pub async fn enrol_by_token(
        &self,
        token: TokenId,
        key: &KeyDigest,
        (record, entry): (&CertificateRecord, &Entry),
        most: u32,
    ) -> Result<Recorded, RegistryError> {
        let mut transaction = self.begin().await.map_err(writing)?;
        let used = sqlx::query(
            "UPDATE tokens SET key = $2, certificates = certificates + 1
             WHERE id = $1 AND ended IS NULL AND expires > $3 AND (key IS NULL OR key = $2) AND certificates < $4",
        )
        .bind(token.as_i64())
        .bind(key.as_str())
        .bind(record.issued.0)
        .bind(i64::from(most))
        .execute(&mut *transaction)
        .await
        .map_err(writing)?;
        if used.rows_affected() == 0 {
            return Ok(Recorded::No);
        }
        insert(&mut transaction, record, entry, key).await?;
        transaction.commit().await.map_err(writing)?;
        Ok(Recorded::Yes)
    }

    /// Records a certificate that takes the place of `present`, if that one is not revoked and the lamppost was given
    /// fewer than `most` since `since`. The present one stays as it is.
    ///
    /// # Errors
    /// As [`Self::enrol_by_token`].
    pub async fn renew(
        &self,
        present: &CertificateSerial,
        key: &KeyDigest,
        (record, entry): (&CertificateRecord, &Entry),
        (most, since): (u32, UtcMillis),
    ) -> Result<Recorded, RegistryError> {
        let mut transaction = self.begin().await.map_err(writing)?;
        let allowed: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM certificates WHERE serial = $1 AND lamppost = $2 AND revoked IS NULL
             AND (SELECT COUNT(*) FROM certificates WHERE lamppost = $2 AND issued > $3) < $4",
        )
        .bind(present.as_str())
        .bind(record.lamppost.as_str())
        .bind(since.0)
        .bind(i64::from(most))
        .fetch_one(&mut *transaction)
        .await
        .map_err(writing)?;
        if allowed == 0 {
            return Ok(Recorded::No);
        }
        insert(&mut transaction, record, entry, key).await?;
        transaction.commit().await.map_err(writing)?;
        Ok(Recorded::Yes)
    }

    /// Whether the lamppost was given another certificate after this one; those for `key` do not count, for whoever asks
    /// with it again did not get the answer.
    ///
    /// # Errors
    /// [`RegistryError::Read`].
    pub async fn has_newer(&self, than: &CertificateRecord, key: &KeyDigest) -> Result<bool, RegistryError> {
        let newer: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM certificates LEFT JOIN certificate_keys
             ON certificate_keys.serial = certificates.serial
             WHERE lamppost = $1 AND issued >= $2 AND certificates.serial <> $3
             AND (certificate_keys.key IS NULL OR certificate_keys.key <> $4)",
        )
        .bind(than.lamppost.as_str())
        .bind(than.issued.0)
        .bind(than.serial.as_str())
        .bind(key.as_str())
        .fetch_one(self.readers())
        .await
        .map_err(|source| RegistryError::Read { what: "the certificates of a lamppost", source })?;
        Ok(newer > 0)
    }
}

async fn insert(
    connection: &mut SqliteConnection,
    record: &CertificateRecord,
    entry: &Entry,
    key: &KeyDigest,
) -> Result<(), RegistryError> {
    insert_certificate(&mut *connection, record, entry).await?;
    let inserted = sqlx::query("INSERT INTO certificate_keys (serial, key) VALUES ($1, $2)")
        .bind(record.serial.as_str())
        .bind(key.as_str())
        .execute(connection)
        .await;
    inserted.map(drop).map_err(writing)
}

fn writing(source: sqlx::Error) -> RegistryError {
    RegistryError::Write { what: WHAT, source }
}
