//! The catalogue of observed properties.

use axum::Json;
use axum::extract::State;
use lamplighter_protocol::{Privacy, Property, PropertyName, Theme, ValueType};
use serde::Serialize;
use utoipa::ToSchema;

use super::app::App;
use super::observation::StatisticName;
use super::openapi::problems;
use super::problem::Problem;
use super::query::{Asked, NoParameters};

/// All properties that the server knows.
#[derive(Serialize, ToSchema)]
pub(super) struct CatalogueDocument {
    /// In order of their names.
    properties: Vec<PropertyDocument>,
}

/// One observed property.
#[derive(Serialize, ToSchema)]
pub(super) struct PropertyDocument {
    /// Its name, everywhere.
    #[schema(value_type = String, example = "air_temperature")]
    name: PropertyName,
    /// What people call it in English.
    title_en: String,
    /// What people call it in Traditional Chinese.
    title_zh: String,
    /// UCUM.
    #[schema(example = "Cel")]
    unit: String,
    /// Quantity, or count over the period that ends at the observation's time.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "quantity")]
    value_type: ValueType,
    /// Values are whole numbers of this; a decimal, as text so that it stays exact.
    #[schema(example = "0.01")]
    resolution: String,
    /// Least and greatest value that is believed, in the unit.
    valid: (f64, f64),
    /// How it is summed up over time.
    statistic: StatisticName,
    /// What it is about.
    #[schema(value_type = String, example = "weather")]
    theme: Theme,
    /// Who may see it.
    #[schema(value_type = String, example = "public")]
    privacy: Privacy,
    /// Days for which raw observations are kept by default.
    retention_days: u32,
    /// What exactly is meant: a URI.
    #[schema(format = "uri")]
    definition: String,
}

/// The catalogue of observed properties
///
/// What lampposts can observe, in which unit, and how it is summed up over time.
#[utoipa::path(
    get, path = "/api/v1/catalogue", tag = "observations",
    responses((status = 200, description = "All properties", body = CatalogueDocument), CatalogueProblems)
)]
pub(super) async fn list_properties(
    State(app): State<App>,
    _: Asked<NoParameters>,
) -> Result<Json<CatalogueDocument>, Problem> {
    Ok(Json(CatalogueDocument { properties: app.catalogue.iter().map(document).collect() }))
}

fn document(property: &Property) -> PropertyDocument {
    PropertyDocument {
        name: property.name.clone(),
        title_en: property.title_en.clone(),
        title_zh: property.title_zh.clone(),
        unit: property.unit.clone(),
        value_type: property.value_type,
        resolution: property.resolution.to_string(),
        valid: property.valid,
        statistic: StatisticName::from(property.statistic),
        theme: property.theme,
        privacy: property.privacy,
        retention_days: property.retention_days,
        definition: property.definition.clone(),
    }
}

problems!(CatalogueProblems: UnknownParameter);
