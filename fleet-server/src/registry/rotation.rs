//! How far the rotation of the CA has come among lampposts and departments.
//!
//! That a lamppost was issued a certificate by the new CA does not mean that it has it, for an answer may be lost. So it
//! counts once it was seen to log in with one: who does, trusts the new CA too. A department's certificate is changed by hand,
//! and is behind until it is ended, or ends by itself.

use lamplighter_protocol::{LamppostNumber, UtcMillis};
use sqlx::sqlite::SqliteConnection;

use super::revocation::mark;
use super::{CertificateRecord, CertificateSerial, Registry, RegistryError};
use crate::audit::{self, Entry};
use crate::ca::KeyDigest;

/// A lamppost that was not seen yet with a certificate of the present CA, and has one of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behind {
    /// The lamppost.
    pub lamppost: LamppostNumber,
    /// The last moment of its newest certificate of another CA.
    pub good_until: UtcMillis,
}

/// What became of the retirement of a CA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaRetirement {
    /// What it had signed is revoked: so many certificates.
    Done {
        /// How many were still good.
        revoked: u64,
    },
    /// Nothing was changed, for somebody would be cut off.
    WouldCutOff {
        /// So many lampposts.
        lampposts: u64,
        /// And whoever logs in to feeds by one of so many certificates of departments.
        department_certificates: u64,
    },
}

/// Whether a CA is retired while lampposts or departments have nothing of another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfBehind {
    /// It is not.
    Refuse,
    /// They are cut off, and have to be enrolled anew.
    CutOff,
}

const BEHIND: &str = "SELECT lamppost, MAX(not_after) FROM certificates
    WHERE revoked IS NULL AND (authority IS NULL OR authority <> $1) AND lamppost NOT IN
        (SELECT lamppost FROM certificates WHERE authority = $1 AND used IS NOT NULL AND revoked IS NULL)
    GROUP BY lamppost ORDER BY lamppost";

const WHAT: &str = "which CA lampposts trust";

impl Registry {
    /// The lampposts that would be cut off if no CA but the one of this key were trusted, by number.
    ///
    /// # Errors
    /// [`RegistryError::Read`] or [`RegistryError::Damaged`].
    pub async fn behind(&self, present: &KeyDigest) -> Result<Vec<Behind>, RegistryError> {
        let rows: Result<Vec<(String, i64)>, _> =
            sqlx::query_as(BEHIND).bind(present.as_str()).fetch_all(self.readers()).await;
        let rows = rows.map_err(|source| RegistryError::Read { what: WHAT, source })?;
        let behind = |(lamppost, good_until): (String, i64)| match lamppost.parse() {
            Ok(lamppost) => Ok(Behind { lamppost, good_until: UtcMillis(good_until) }),
            Err(_) => Err(self.damaged("the lamppost", &lamppost)),
        };
        rows.into_iter().map(behind).collect()
    }

    /// How many lampposts were seen with a certificate of the CA of this key.
    ///
    /// # Errors
    /// [`RegistryError::Read`].
    pub async fn followed(&self, present: &KeyDigest) -> Result<u64, RegistryError> {
        let count: Result<i64, _> = sqlx::query_scalar(
            "SELECT COUNT(DISTINCT lamppost) FROM certificates
             WHERE authority = $1 AND used IS NOT NULL AND revoked IS NULL",
        )
        .bind(present.as_str())
        .fetch_one(self.readers())
        .await;
        count.map(i64::unsigned_abs).map_err(|source| RegistryError::Read { what: WHAT, source })
    }

    /// Notes that logins with these certificates were seen. It is no change of state, and not in the audit.
    ///
    /// # Errors
    /// [`RegistryError::Write`].
    pub async fn note_used(
        &self,
        serials: &[CertificateSerial],
        now: UtcMillis,
    ) -> Result<(), RegistryError> {
        let note = async {
            let mut transaction = self.begin().await?;
            for serial in serials {
                sqlx::query("UPDATE certificates SET used = $1 WHERE serial = $2 AND used IS NULL")
                    .bind(now.0)
                    .bind(serial.as_str())
                    .execute(&mut *transaction)
                    .await?;
            }
            transaction.commit().await
        };
        note.await.map_err(|source| RegistryError::Write { what: WHAT, source })
    }

    /// Revokes what is still good and was signed by another CA than the one of this key, and says in the audit that the
    /// other one is retired (`entry`): all of it or nothing. To be done once more it does nothing more.
    ///
    /// # Errors
    /// [`RegistryError::Write`] or [`RegistryError::Damaged`]; nothing is revoked then.
    pub async fn retire_authority(
        &self,
        present: &KeyDigest,
        if_behind: IfBehind,
        now: UtcMillis,
        entry: Entry,
    ) -> Result<CaRetirement, RegistryError> {
        let writing = |source| RegistryError::Write { what: "the retirement of a CA", source };
        let mut transaction = self.begin().await.map_err(writing)?;
        let behind = behind(&mut transaction, present).await.map_err(writing)?;
        let of_departments = super::department_certificate::behind(&mut transaction, present, now).await;
        let of_departments = of_departments.map_err(writing)?.len() as u64;
        if behind + of_departments > 0 && if_behind == IfBehind::Refuse {
            transaction.rollback().await.map_err(writing)?;
            return Ok(CaRetirement::WouldCutOff {
                lampposts: behind,
                department_certificates: of_departments,
            });
        }
        let rows: Result<Vec<(String, String, i64, i64)>, _> = sqlx::query_as(
            "SELECT serial, lamppost, issued, not_after FROM certificates
             WHERE revoked IS NULL AND not_after >= $2 AND (authority IS NULL OR authority <> $1)",
        )
        .bind(present.as_str())
        .bind(now.0)
        .fetch_all(&mut *transaction)
        .await;
        let rows = rows.map_err(writing)?;
        let revoked = rows.len() as u64 + of_departments;
        for (serial, lamppost, issued, not_after) in rows {
            let damaged = || self.damaged("the certificate", &serial);
            let record = CertificateRecord {
                serial: serial.parse().map_err(|_| damaged())?,
                lamppost: lamppost.parse().map_err(|_| damaged())?,
                issued: UtcMillis(issued),
                not_after: UtcMillis(not_after),
                revoked: Some(now),
                authority: None,
            };
            mark(&mut transaction, &record, Some(REASON), now, &entry.actor).await.map_err(writing)?;
        }
        self.end_departments_behind(&mut transaction, present, REASON, now, &entry.actor).await?;
        let (action, subject) = (entry.action, entry.subject.clone());
        if !audit::is_recorded(&mut transaction, action, &subject).await.map_err(writing)? {
            let entry = entry.number("revoked", revoked).number("cut_off", behind);
            let entry = entry.number("department_certificates_cut_off", of_departments);
            audit::append(&mut transaction, &entry).await.map_err(writing)?;
        }
        transaction.commit().await.map_err(writing)?;
        Ok(CaRetirement::Done { revoked })
    }
}

/// Why a certificate is revoked whose CA is retired.
const REASON: &str = "its CA is retired";

async fn behind(connection: &mut SqliteConnection, present: &KeyDigest) -> Result<u64, sqlx::Error> {
    let rows: Vec<(String, i64)> =
        sqlx::query_as(BEHIND).bind(present.as_str()).fetch_all(connection).await?;
    Ok(rows.len() as u64)
}
