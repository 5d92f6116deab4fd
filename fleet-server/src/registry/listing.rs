//! What people look through: certificates and refusals, page by page. And what an import would do.

use std::collections::HashMap;

use lamplighter_protocol::{LamppostNumber, UtcMillis};
use serde::Deserialize;
use sqlx::{QueryBuilder, Sqlite};

use super::certificate::SOON_MS;
use super::revocation::Row;
use super::{
    CertificateRecord, CertificateSerial, CertificateState, Imported, Lamppost, Registry, RegistryError,
};
use crate::audit::{self, Action};

/// Which certificates somebody wants to see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificatesAsked {
    /// Those of this lamppost alone.
    pub lamppost: Option<LamppostNumber>,
    /// Those with which things stand like this.
    pub state: Option<CertificateState>,
    /// Those after which their lamppost was given no other that is not revoked. What a renewal has replaced ends, and nobody
    /// has to care.
    pub only_newest: bool,
}

/// A certificate, and whether it still matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateShown {
    /// The certificate.
    pub record: CertificateRecord,
    /// Whether its lamppost was given another one since, which is not revoked.
    pub is_replaced: bool,
}

/// What the audit has of a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditedRefusal {
    /// When it was written down: within a minute.
    pub at: UtcMillis,
    /// Who was refused, where it is known.
    pub lamppost: Option<LamppostNumber>,
    /// The label of the reason.
    pub reason: String,
    /// How often within that minute.
    pub times: u64,
    /// Where the last one called from.
    pub peer: String,
}

/// The detail of such a record.
#[derive(Deserialize)]
struct RefusalDetail {
    reason: String,
    times: u64,
    last_peer: String,
}

type ShownRow = (String, String, i64, i64, Option<i64>, Option<String>, bool);

impl Registry {
    /// Up to `most` certificates, from the first behind the given one on. Those that end soon come in the order in which they
    /// end, those that are revoked by when that was, the newest first; all others by their end, the latest first.
    ///
    /// # Errors
    /// [`RegistryError::Read`] or [`RegistryError::Damaged`].
    pub async fn certificate_page(
        &self,
        asked: &CertificatesAsked,
        after: Option<&CertificateRecord>,
        most: u32,
        now: UtcMillis,
    ) -> Result<Vec<CertificateShown>, RegistryError> {
        let mut query = certificate_query(asked, after, most, now);
        self.certificates_shown(&mut query).await
    }

    /// The certificate of this serial number, if it was issued here.
    ///
    /// # Errors
    /// [`RegistryError::Read`] or [`RegistryError::Damaged`].
    pub async fn certificate_shown(
        &self,
        serial: &CertificateSerial,
    ) -> Result<Option<CertificateShown>, RegistryError> {
        let mut query = select_certificates();
        query.push(" AND serial = ").push_bind(serial.as_str().to_owned());
        Ok(self.certificates_shown(&mut query).await?.pop())
    }

    async fn certificates_shown(
        &self,
        query: &mut QueryBuilder<Sqlite>,
    ) -> Result<Vec<CertificateShown>, RegistryError> {
        let rows: Result<Vec<ShownRow>, _> = query.build_query_as().fetch_all(self.readers()).await;
        let rows = rows.map_err(|source| RegistryError::Read { what: "certificates", source })?;
        let shown = |(serial, lamppost, issued, not_after, revoked, authority, is_replaced)| {
            let row: Row = (serial, lamppost, issued, not_after, revoked, authority);
            Ok(CertificateShown { record: self.certificate_of(row)?, is_replaced })
        };
        rows.into_iter().map(shown).collect()
    }

    /// The newest records of refusals, at most so many, the newest first. One that nobody who kept the rules has written is
    /// left out: `audit verify` names it.
    ///
    /// # Errors
    /// [`RegistryError::Read`].
    pub async fn refusals(&self, most: u32) -> Result<Vec<AuditedRefusal>, RegistryError> {
        let reading = |source| RegistryError::Read { what: "refusals", source };
        let mut connection = self.readers().acquire().await.map_err(reading)?;
        let found = audit::newest(&mut connection, Action::Refused, most).await.map_err(reading)?;
        let refusal = |stored: audit::Stored| {
            let record = stored.record?;
            let RefusalDetail { reason, times, last_peer } = serde_json::from_str(&record.detail).ok()?;
            let lamppost = record.subject.strip_prefix("lamppost:").and_then(|number| number.parse().ok());
            Some(AuditedRefusal { at: record.at, lamppost, reason, times, peer: last_peer })
        };
        Ok(found.into_iter().filter_map(refusal).collect())
    }

    /// What [`import`](Self::import) would do with these lampposts, if it were done now. Changes nothing.
    ///
    /// # Errors
    /// [`RegistryError::Read`] or [`RegistryError::Damaged`].
    pub async fn rehearse_import(&self, rows: &[Lamppost]) -> Result<Imported, RegistryError> {
        let registered = self.lampposts(None, u32::MAX).await?;
        let registered: HashMap<&LamppostNumber, &Lamppost> =
            registered.iter().map(|lamppost| (&lamppost.number, lamppost)).collect();
        let mut imported = Imported { added: 0, changed: 0, unchanged: 0 };
        for row in rows {
            let count = match registered.get(&row.number) {
                None => &mut imported.added,
                Some(there) if *there == row => &mut imported.unchanged,
                Some(_) => &mut imported.changed,
            };
            *count += 1;
        }
        Ok(imported)
    }
}

/// Whether a row's lamppost has a newer certificate that is not revoked.
const REPLACED: &str = "EXISTS (SELECT 1 FROM certificates newer WHERE newer.lamppost = certificates.lamppost \
                        AND newer.issued > certificates.issued AND newer.revoked IS NULL)";

/// All of them; further conditions begin with AND.
fn select_certificates() -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("SELECT serial, lamppost, issued, not_after, revoked, authority, ");
    query.push(REPLACED).push(" FROM certificates WHERE 1 = 1");
    query
}

fn certificate_query(
    asked: &CertificatesAsked,
    after: Option<&CertificateRecord>,
    most: u32,
    now: UtcMillis,
) -> QueryBuilder<Sqlite> {
    let mut query = select_certificates();
    if let Some(lamppost) = &asked.lamppost {
        query.push(" AND lamppost = ").push_bind(lamppost.as_str().to_owned());
    }
    if asked.only_newest {
        query.push(" AND NOT ").push(REPLACED);
    }
    if let Some(state) = asked.state {
        push_state(&mut query, state, now);
    }
    let (key, direction, beyond) = match asked.state {
        Some(CertificateState::Soon) => ("not_after", "", ">"),
        Some(CertificateState::Revoked) => ("revoked", " DESC", "<"),
        Some(CertificateState::Good | CertificateState::Expired) | None => ("not_after", " DESC", "<"),
    };
    if let Some(after) = after {
        let value = if key == "revoked" { after.revoked.unwrap_or_default() } else { after.not_after };
        query.push(format!(" AND ({key}, serial) {beyond} (")).push_bind(value.0);
        query.push(", ").push_bind(after.serial.as_str().to_owned()).push(")");
    }
    query.push(format!(" ORDER BY {key}{direction}, serial{direction} LIMIT ")).push_bind(i64::from(most));
    query
}

/// As [`CertificateRecord::state`] judges.
fn push_state(query: &mut QueryBuilder<Sqlite>, state: CertificateState, now: UtcMillis) {
    let soon = |query: &mut QueryBuilder<Sqlite>, relation| {
        query.push(format!(
            " AND not_after - CASE WHEN (not_after - issued) / 4 < {SOON_MS} THEN (not_after - issued) / 4 \
             ELSE {SOON_MS} END {relation} "
        ));
        query.push_bind(now.0);
    };
    match state {
        CertificateState::Revoked => {
            query.push(" AND revoked IS NOT NULL");
        }
        CertificateState::Expired => {
            query.push(" AND revoked IS NULL AND not_after < ").push_bind(now.0);
        }
        CertificateState::Soon => {
            query.push(" AND revoked IS NULL AND not_after >= ").push_bind(now.0);
            soon(query, "<");
        }
        CertificateState::Good => {
            query.push(" AND revoked IS NULL AND not_after >= ").push_bind(now.0);
            soon(query, ">=");
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tempfile::TempDir;
    use tokio::runtime::Builder;

    use super::*;
    use crate::audit::Actor;
    use crate::registry::{Coordinates, Revoke};

    const NOW: UtcMillis = UtcMillis(1_760_000_000_000);
    const DAY_MS: i64 = 86_400_000;
    const STATES: [CertificateState; 4] = [
        CertificateState::Good,
        CertificateState::Soon,
        CertificateState::Expired,
        CertificateState::Revoked,
    ];

    async fn registry(directory: &TempDir) -> Registry {
        let registry = Registry::open(&directory.path().join(Registry::FILE_NAME)).await.unwrap();
        registry.import(vec![lamppost("A1", 8.0), lamppost("A2", 8.0)], NOW, &Actor::Server).await.unwrap();
        registry
    }

    fn lamppost(number: &str, height_m: f64) -> Lamppost {
        Lamppost {
            number: number.parse().unwrap(),
            coordinates: Coordinates::new(22.32, 114.21).unwrap(),
            road: "Wang Chiu Road".to_owned(),
            district: "Kwun Tong".to_owned(),
            feeder: None,
            pillar: None,
            height_m: Some(height_m),
            remarks: None,
        }
    }

    /// The serials of the pages of three, one after the other.
    async fn serials(registry: &Registry, asked: &CertificatesAsked) -> Vec<String> {
        let (mut all, mut last) = (Vec::new(), None);
        loop {
            let page = registry.certificate_page(asked, last.as_ref(), 3, NOW).await.unwrap();
            let Some(end) = page.last() else { return all };
            last = Some(end.record.clone());
            all.extend(page.into_iter().map(|shown| shown.record.serial.to_string()));
        }
    }

    async fn add(registry: &Registry, serial: u64, lamppost: &str, issued: UtcMillis, not_after: UtcMillis) {
        let record = CertificateRecord {
            serial: format!("{serial:x}").parse().unwrap(),
            lamppost: lamppost.parse().unwrap(),
            issued,
            not_after,
            revoked: None,
            authority: None,
        };
        registry.record_certificate(&record, &Actor::Server).await.unwrap();
    }

    #[tokio::test]
    async fn what_a_renewal_has_replaced_is_said_to_be_and_left_out_where_the_newest_are_asked_for() {
        let directory = TempDir::new().unwrap();
        let registry = registry(&directory).await;
        let day = |day: i64| NOW.plus_ms(day * DAY_MS);
        add(&registry, 1, "A1", day(-25), day(5)).await;
        add(&registry, 2, "A1", day(-5), day(25)).await;
        add(&registry, 3, "A2", day(-25), day(5)).await;
        let soon = CertificatesAsked { state: Some(CertificateState::Soon), ..CertificatesAsked::default() };
        assert_eq!(serials(&registry, &soon).await, ["01", "03"]);
        let newest = CertificatesAsked { only_newest: true, ..soon };
        assert_eq!(serials(&registry, &newest).await, ["03"]);
        let of_one = CertificatesAsked { lamppost: "A1".parse().ok(), ..CertificatesAsked::default() };
        let page = registry.certificate_page(&of_one, None, 9, NOW).await.unwrap();
        assert_eq!(page.iter().map(|shown| shown.is_replaced).collect::<Vec<_>>(), [false, true]);

        let revoke = Revoke::Certificate("02".parse().unwrap());
        registry.revoke(&revoke, None, NOW, &Actor::Server).await.unwrap();
        assert_eq!(serials(&registry, &newest).await, ["01", "03"], "what replaced it is revoked");
    }

    #[tokio::test]
    async fn a_rehearsal_counts_what_the_import_then_does() {
        let directory = TempDir::new().unwrap();
        let registry = registry(&directory).await;
        let rows = vec![lamppost("A1", 8.0), lamppost("A2", 9.0), lamppost("A3", 8.0)];
        let rehearsed = registry.rehearse_import(&rows).await.unwrap();
        assert_eq!(rehearsed, Imported { added: 1, changed: 1, unchanged: 1 });
        assert_eq!(registry.count().await.unwrap(), 2, "nothing was done");
        assert_eq!(registry.import(rows, NOW, &Actor::Server).await.unwrap(), rehearsed);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]
        #[test]
        fn a_page_has_what_the_record_itself_judges_and_all_pages_have_everything(
            certificates in prop::collection::vec((-900..0_i64, 1..1000_i64, any::<bool>()), 1..12),
        ) {
            let directory = TempDir::new().unwrap();
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let registry = registry(&directory).await;
                for (serial, (issued, life, is_revoked)) in (1..).zip(&certificates) {
                    let issued = NOW.plus_ms(issued * DAY_MS);
                    add(&registry, serial, "A1", issued, issued.plus_ms(life * DAY_MS)).await;
                    if *is_revoked {
                        let what = Revoke::Certificate(format!("{serial:x}").parse().unwrap());
                        registry.revoke(&what, None, NOW, &Actor::Server).await.unwrap();
                    }
                }
                let all = registry.certificates(None, None).await.unwrap();
                let mut seen = 0;
                for state in STATES {
                    let asked = CertificatesAsked { state: Some(state), ..CertificatesAsked::default() };
                    let mut found = serials(&registry, &asked).await;
                    let judged = all.iter().filter(|record| record.state(NOW) == state);
                    let mut expected: Vec<_> = judged.map(|record| record.serial.to_string()).collect();
                    seen += found.len();
                    found.sort();
                    expected.sort();
                    assert_eq!(found, expected, "{state:?}");
                }
                assert_eq!(seen, certificates.len());
                assert_eq!(serials(&registry, &CertificatesAsked::default()).await.len(), certificates.len());
            });
        }
    }
}
