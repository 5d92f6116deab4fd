//! Where a lamppost stands, and where it stood before it was moved.

use lamplighter_protocol::{LamppostNumber, UtcMillis};

use super::life::in_service;
use super::{Coordinates, Lamppost, LifeError, Registry, RegistryError};
use crate::audit::{self, Action, Actor, Entry, Subject};

/// Where a lamppost stands, and what feeds it there.
#[derive(Clone, Debug, PartialEq)]
pub struct Site {
    /// Where.
    pub coordinates: Coordinates,
    /// The road that it lights.
    pub road: String,
    /// The district that the road is in.
    pub district: String,
    /// The electrical feeder, where it is known.
    pub feeder: Option<String>,
    /// The switching pillar, where it is known.
    pub pillar: Option<String>,
}

/// What is different where a lamppost was moved to; what is not named is as it was.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Relocation {
    /// Where it stands now.
    pub coordinates: Option<Coordinates>,
    /// The road.
    pub road: Option<String>,
    /// The district.
    pub district: Option<String>,
    /// The feeder.
    pub feeder: Option<String>,
    /// The pillar.
    pub pillar: Option<String>,
}

/// A place where a lamppost stood.
#[derive(Clone, Debug, PartialEq)]
pub struct FormerSite {
    /// Until when: from then on it stood at the next one, or stands where it does.
    pub until: UtcMillis,
    /// Where.
    pub site: Site,
}

type Row = (i64, f64, f64, String, String, Option<String>, Option<String>);

impl Site {
    /// That of a lamppost as the register has it.
    pub fn of(lamppost: &Lamppost) -> Self {
        let Lamppost { coordinates, road, district, feeder, pillar, .. } = lamppost.clone();
        Self { coordinates, road, district, feeder, pillar }
    }

    fn moved(&self, relocation: &Relocation) -> Self {
        let Relocation { coordinates, road, district, feeder, pillar } = relocation.clone();
        Self {
            coordinates: coordinates.unwrap_or(self.coordinates),
            road: road.unwrap_or_else(|| self.road.clone()),
            district: district.unwrap_or_else(|| self.district.clone()),
            feeder: feeder.or_else(|| self.feeder.clone()),
            pillar: pillar.or_else(|| self.pillar.clone()),
        }
    }
}

impl Registry {
    /// A lamppost was moved, and has stood elsewhere since then: the register says where, and keeps where it stood before.
    /// What was observed stays with the number. With the site before and the one since.
    ///
    /// # Errors
    /// [`LifeError`]; nothing is changed then.
    pub async fn relocate(
        &self,
        number: &LamppostNumber,
        relocation: &Relocation,
        since: UtcMillis,
        now: UtcMillis,
        by: &Actor,
    ) -> Result<(Site, Site), LifeError> {
        if since > now {
            return Err(LifeError::StillToCome { number: number.clone() });
        }
        let writing = |source| RegistryError::Write { what: "the move of a lamppost", source };
        let mut transaction = self.begin().await.map_err(writing)?;
        in_service(&mut transaction, number).await?;
        // Nobody else writes meanwhile.
        let lamppost = self.lamppost(number).await?;
        let before =
            Site::of(&lamppost.ok_or_else(|| RegistryError::NotRegistered { number: number.clone() })?);
        let after = before.moved(relocation);
        if after == before {
            return Err(LifeError::SameSite { number: number.clone() });
        }
        let last: Option<i64> = sqlx::query_scalar("SELECT MAX(until) FROM former_sites WHERE lamppost = $1")
            .bind(number.as_str())
            .fetch_one(&mut *transaction)
            .await
            .map_err(writing)?;
        if let Some(last) = last.map(UtcMillis).filter(|last| since <= *last) {
            return Err(LifeError::MovedSince { number: number.clone(), last });
        }
        sqlx::query(
            "INSERT INTO former_sites (lamppost, until, latitude, longitude, road, district, feeder, pillar)
             SELECT number, $2, latitude, longitude, road, district, feeder, pillar FROM lampposts WHERE number = $1",
        )
        .bind(number.as_str())
        .bind(since.0)
        .execute(&mut *transaction)
        .await
        .map_err(writing)?;
        sqlx::query(
            "UPDATE lampposts SET latitude = $2, longitude = $3, road = $4, district = $5, feeder = $6, pillar = $7,
                                  changed = $8
             WHERE number = $1",
        )
        .bind(number.as_str())
        .bind(after.coordinates.latitude_deg())
        .bind(after.coordinates.longitude_deg())
        .bind(&after.road)
        .bind(&after.district)
        .bind(&after.feeder)
        .bind(&after.pillar)
        .bind(now.0)
        .execute(&mut *transaction)
        .await
        .map_err(writing)?;
        let entry = Entry::new(now, by.clone(), Action::LamppostRelocated, Subject::Lamppost(number.clone()))
            .number("since_ms", since.0);
        let entry = tell(entry, &before, &after);
        audit::append(&mut transaction, &entry).await.map_err(writing)?;
        transaction.commit().await.map_err(writing)?;
        Ok((before, after))
    }

    /// Where a lamppost stood before it was moved, the first place first.
    ///
    /// # Errors
    /// [`RegistryError::Read`] or [`RegistryError::Damaged`].
    pub async fn former_sites(&self, number: &LamppostNumber) -> Result<Vec<FormerSite>, RegistryError> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT until, latitude, longitude, road, district, feeder, pillar FROM former_sites
             WHERE lamppost = $1 ORDER BY until",
        )
        .bind(number.as_str())
        .fetch_all(self.readers())
        .await
        .map_err(|source| RegistryError::Read { what: "where a lamppost stood", source })?;
        let site = |(until, latitude, longitude, road, district, feeder, pillar): Row| {
            let coordinates = Coordinates::new(latitude, longitude)
                .map_err(|_| self.damaged("a former position of lamppost", number.as_str()))?;
            let site = Site { coordinates, road, district, feeder, pillar };
            Ok(FormerSite { until: UtcMillis(until), site })
        };
        rows.into_iter().map(site).collect()
    }
}

/// What was different before, and what it is now.
fn tell(entry: Entry, before: &Site, after: &Site) -> Entry {
    let position = |site: &Site| format!("{:?}", site.coordinates);
    let known = |text: &Option<String>| text.clone().unwrap_or_default();
    let parts = [
        ("position_before", position(before), "position", position(after)),
        ("road_before", before.road.clone(), "road", after.road.clone()),
        ("district_before", before.district.clone(), "district", after.district.clone()),
        ("feeder_before", known(&before.feeder), "feeder", known(&after.feeder)),
        ("pillar_before", known(&before.pillar), "pillar", known(&after.pillar)),
    ];
    parts
        .into_iter()
        .filter(|(_, before, _, after)| before != after)
        .fold(entry, |entry, (key_before, before, key, after)| {
            entry.text(key_before, before).text(key, after)
        })
}
