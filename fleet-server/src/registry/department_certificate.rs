//! Certificates of departments: by what one logs in that has given no key out of its hands.

use lamplighter_protocol::UtcMillis;
use sqlx::sqlite::SqliteConnection;

use super::department::require;
use super::{CertificateSerial, Registry, RegistryError};
use crate::audit::{self, Action, Actor, Entry, Subject};
use crate::ca::KeyDigest;
use crate::feeds::DepartmentName;

/// Certificates that a department has at a time: one for each of its systems, and two while one is changed for another.
pub const MOST_DEPARTMENT_CERTIFICATES: u32 = 16;

/// A certificate that was issued to a department, and that nobody has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DepartmentCertificate {
    /// Its serial number, unique under the fleet's CA.
    pub serial: CertificateSerial,
    /// Whose it is.
    pub department: DepartmentName,
    /// When it was issued.
    pub issued: UtcMillis,
    /// The last moment at which it is good.
    pub not_after: UtcMillis,
    /// The key of the CA that signed it.
    pub authority: KeyDigest,
}

impl DepartmentCertificate {
    /// Whether its time is over.
    pub fn is_expired(&self, now: UtcMillis) -> bool {
        self.not_after < now
    }
}

type Row = (String, String, i64, i64, String);

impl Registry {
    /// Records a certificate of a department, also in the audit: nobody has it yet, and the gateway takes it within seconds.
    ///
    /// # Errors
    /// [`RegistryError::NoDepartment`], [`RegistryError::TooMany`] or [`RegistryError::Write`].
    pub async fn add_department_certificate(
        &self,
        record: &DepartmentCertificate,
        by: &Actor,
    ) -> Result<(), RegistryError> {
        let writing = |source| RegistryError::Write { what: "a certificate of a department", source };
        let mut transaction = self.begin().await.map_err(writing)?;
        require(&mut transaction, &record.department).await?;
        if count(&mut transaction, &record.department).await.map_err(writing)? >= MOST_DEPARTMENT_CERTIFICATES
        {
            let most = MOST_DEPARTMENT_CERTIFICATES;
            return Err(RegistryError::TooMany { what: "certificates of one department", most });
        }
        sqlx::query(
            "INSERT INTO department_certificates (serial, department, issued, not_after, authority)
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(record.serial.as_str())
        .bind(record.department.as_str())
        .bind(record.issued.0)
        .bind(record.not_after.0)
        .bind(record.authority.as_str())
        .execute(&mut *transaction)
        .await
        .map_err(writing)?;
        let subject = Subject::Certificate(record.serial.clone());
        let entry = Entry::new(record.issued, by.clone(), Action::DepartmentCertificateIssued, subject)
            .text("department", &record.department)
            .number("not_after_ms", record.not_after.0);
        audit::append(&mut transaction, &entry).await.map_err(writing)?;
        transaction.commit().await.map_err(writing)
    }

    /// Ends a certificate, of this department or of any, and says so in the audit: it is good for nothing from then on.
    ///
    /// # Errors
    /// [`RegistryError::NoDepartmentCertificate`], also when it was ended before, [`RegistryError::Write`] or
    /// [`RegistryError::Damaged`]; nothing is changed then.
    pub async fn end_department_certificate(
        &self,
        serial: &CertificateSerial,
        of: Option<&DepartmentName>,
        now: UtcMillis,
        by: &Actor,
    ) -> Result<DepartmentCertificate, RegistryError> {
        let writing = |source| RegistryError::Write { what: "the end of a certificate", source };
        let mut transaction = self.begin().await.map_err(writing)?;
        let query = sqlx::query_as(
            "SELECT serial, department, issued, not_after, authority FROM department_certificates
             WHERE serial = $1 AND ended IS NULL",
        );
        let row: Option<Row> =
            query.bind(serial.as_str()).fetch_optional(&mut *transaction).await.map_err(writing)?;
        let record = row.map(|row| self.department_certificate_of(row)).transpose()?;
        let record = record.filter(|record| of.is_none_or(|department| record.department == *department));
        let record =
            record.ok_or_else(|| RegistryError::NoDepartmentCertificate { serial: serial.clone() })?;
        end(&mut transaction, &record, None, now, by).await.map_err(writing)?;
        transaction.commit().await.map_err(writing)?;
        Ok(record)
    }

    /// The certificates that departments would be cut off with if no CA but the one of this key were trusted, by department:
    /// all that are good, for each is another system's, which has to be given another one.
    ///
    /// # Errors
    /// [`RegistryError::Read`] or [`RegistryError::Damaged`].
    pub async fn departments_behind(
        &self,
        present: &KeyDigest,
        now: UtcMillis,
    ) -> Result<Vec<DepartmentCertificate>, RegistryError> {
        let reading = |source| RegistryError::Read { what: "certificates of departments", source };
        let mut reader = self.readers().acquire().await.map_err(reading)?;
        let rows = behind(&mut reader, present, now).await.map_err(reading)?;
        rows.into_iter().map(|row| self.department_certificate_of(row)).collect()
    }

    /// Ends those, as part of a transaction, because their CA is retired.
    pub(super) async fn end_departments_behind(
        &self,
        transaction: &mut SqliteConnection,
        present: &KeyDigest,
        reason: &str,
        now: UtcMillis,
        by: &Actor,
    ) -> Result<(), RegistryError> {
        let writing = |source| RegistryError::Write { what: "the end of a certificate", source };
        for row in behind(transaction, present, now).await.map_err(writing)? {
            let record = self.department_certificate_of(row)?;
            end(transaction, &record, Some(reason), now, by).await.map_err(writing)?;
        }
        Ok(())
    }

    /// The certificates of all departments that nobody has ended, the oldest first.
    pub(super) async fn department_certificates_in(
        &self,
        snapshot: &mut SqliteConnection,
    ) -> Result<Vec<DepartmentCertificate>, RegistryError> {
        let rows: Result<Vec<Row>, _> = sqlx::query_as(
            "SELECT serial, department, issued, not_after, authority FROM department_certificates
             WHERE ended IS NULL ORDER BY issued, serial",
        )
        .fetch_all(snapshot)
        .await;
        let rows =
            rows.map_err(|source| RegistryError::Read { what: "certificates of departments", source })?;
        rows.into_iter().map(|row| self.department_certificate_of(row)).collect()
    }

    fn department_certificate_of(&self, row: Row) -> Result<DepartmentCertificate, RegistryError> {
        let (serial, department, issued, not_after, authority) = row;
        let damaged = || self.damaged("the certificate", &serial);
        Ok(DepartmentCertificate {
            serial: serial.parse().map_err(|_| damaged())?,
            department: department.parse().map_err(|_| damaged())?,
            issued: UtcMillis(issued),
            not_after: UtcMillis(not_after),
            authority: authority.parse().map_err(|_| damaged())?,
        })
    }
}

/// How many certificates a department has that nobody has ended.
pub(super) async fn count(
    transaction: &mut SqliteConnection,
    of: &DepartmentName,
) -> Result<u32, sqlx::Error> {
    sqlx::query_scalar("SELECT COUNT(*) FROM department_certificates WHERE department = $1 AND ended IS NULL")
        .bind(of.as_str())
        .fetch_one(transaction)
        .await
}

/// What is good and was signed by another CA than the one of this key. What has ended by itself comes back by an operator
/// alone, whatever CA is trusted then; so does whoever belongs to a department that has ended.
pub(super) async fn behind(
    connection: &mut SqliteConnection,
    present: &KeyDigest,
    now: UtcMillis,
) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as(
        "SELECT serial, department, issued, not_after, authority FROM department_certificates
         WHERE ended IS NULL AND not_after >= $2 AND authority <> $1
           AND department IN (SELECT name FROM departments WHERE ended IS NULL)
         ORDER BY department, issued, serial",
    )
    .bind(present.as_str())
    .bind(now.0)
    .fetch_all(connection)
    .await
}

async fn end(
    transaction: &mut SqliteConnection,
    record: &DepartmentCertificate,
    reason: Option<&str>,
    now: UtcMillis,
    by: &Actor,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE department_certificates SET ended = $2 WHERE serial = $1")
        .bind(record.serial.as_str())
        .bind(now.0)
        .execute(&mut *transaction)
        .await?;
    let subject = Subject::Certificate(record.serial.clone());
    let entry = Entry::new(now, by.clone(), Action::DepartmentCertificateEnded, subject)
        .text("department", &record.department);
    let entry = match reason {
        Some(reason) => entry.text("reason", reason),
        None => entry,
    };
    audit::append(transaction, &entry).await.map(drop)
}
