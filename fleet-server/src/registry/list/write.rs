//! Lampposts into a file that can be imported again.

use std::io::{self, Write};

use serde::Serialize;

use super::column::Column;
use crate::registry::Lamppost;

/// Writes lampposts as CSV.
///
/// # Errors
/// If `out` cannot be written.
pub fn write_csv(lampposts: &[Lamppost], out: &mut dyn Write) -> io::Result<()> {
    let mut rows = csv::Writer::from_writer(out);
    rows.write_record(Column::ALL.map(Column::name))?;
    for lamppost in lampposts {
        let text = |column| match column {
            Column::Number => lamppost.number.as_str().to_owned(),
            Column::Latitude => lamppost.coordinates.latitude_deg().to_string(),
            Column::Longitude => lamppost.coordinates.longitude_deg().to_string(),
            Column::Road => lamppost.road.clone(),
            Column::District => lamppost.district.clone(),
            Column::Feeder => lamppost.feeder.clone().unwrap_or_default(),
            Column::Pillar => lamppost.pillar.clone().unwrap_or_default(),
            Column::Height => lamppost.height_m.map(|height| height.to_string()).unwrap_or_default(),
            Column::Remarks => lamppost.remarks.clone().unwrap_or_default(),
        };
        rows.write_record(Column::ALL.map(text))?;
    }
    rows.flush()
}

/// Writes lampposts as GeoJSON, a feature in each line.
///
/// # Errors
/// If `out` cannot be written.
pub fn write_geojson(lampposts: &[Lamppost], out: &mut dyn Write) -> io::Result<()> {
    write!(out, r#"{{"type":"FeatureCollection","features":["#)?;
    let mut separator = "\n";
    for lamppost in lampposts {
        write!(out, "{separator}{}", serde_json::to_string(&Feature::of(lamppost))?)?;
        separator = ",\n";
    }
    writeln!(out, "\n]}}")
}

#[derive(Serialize)]
struct Feature<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    geometry: Point,
    properties: Properties<'a>,
}

#[derive(Serialize)]
struct Point {
    #[serde(rename = "type")]
    kind: &'static str,
    coordinates: [f64; 2],
}

#[derive(Serialize)]
struct Properties<'a> {
    number: &'a str,
    road: &'a str,
    district: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    feeder: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pillar: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    height_m: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remarks: Option<&'a str>,
}

impl<'a> Feature<'a> {
    fn of(lamppost: &'a Lamppost) -> Self {
        let Lamppost { number, coordinates, road, district, feeder, pillar, height_m, remarks } = lamppost;
        Self {
            kind: "Feature",
            geometry: Point {
                kind: "Point",
                coordinates: [coordinates.longitude_deg(), coordinates.latitude_deg()],
            },
            properties: Properties {
                number: number.as_str(),
                road,
                district,
                feeder: feeder.as_deref(),
                pillar: pillar.as_deref(),
                height_m: *height_m,
                remarks: remarks.as_deref(),
            },
        }
    }
}
