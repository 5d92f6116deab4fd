//! The import of a whole city's lampposts, as CSV and as GeoJSON, each into a registry that is empty.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use super::figures::Figures;
use super::large_city;
use crate::fleet::{Binaries, monotonic};

/// Imports so many lampposts from files that were made before; what is exported in between has to be the same city.
///
/// # Errors
/// What the server's commands say.
#[expect(clippy::disallowed_methods, reason = "files that only this measurement reads")]
pub fn import(binaries: &Binaries, directory: &Path, lampposts: u32) -> anyhow::Result<Figures> {
    let (csv, geojson) = (directory.join("city.csv"), directory.join("city.geojson"));
    std::fs::write(&csv, large_city::csv(lampposts))?;
    let mut figures = Figures::default();
    figures.add("import.rows", f64::from(lampposts), "");
    let csv_data = directory.join("from-csv");
    let csv_s = seconds(binaries, &csv, &csv_data, lampposts)?;
    let mut export = binaries.server();
    export.args(["lamppost", "export", "--format", "geojson", "--data"]).arg(&csv_data);
    let exported = export.stdout(std::fs::File::create(&geojson)?).status()?;
    ensure!(exported.success(), "the export ended with {exported}");
    let geojson_s = seconds(binaries, &geojson, &directory.join("from-geojson"), lampposts)?;
    let export_of = |data: &str| -> anyhow::Result<Vec<u8>> {
        let mut export = binaries.server();
        export.args(["lamppost", "export", "--data"]).arg(directory.join(data));
        Ok(export.stderr(Stdio::inherit()).output()?.stdout)
    };
    ensure!(export_of("from-csv")? == export_of("from-geojson")?, "the two imports came to different cities");
    figures.add("import.csv_bytes", bytes(&csv)?, "bytes");
    figures.add("import.csv_s", csv_s, "s");
    figures.add("import.geojson_bytes", bytes(&geojson)?, "bytes");
    figures.add("import.geojson_s", geojson_s, "s");
    Ok(figures)
}

/// How long the command takes, from its start to its end.
fn seconds(binaries: &Binaries, list: &Path, data: &Path, lampposts: u32) -> anyhow::Result<f64> {
    let mut import: Command = binaries.server();
    import.args(["lamppost", "import"]).arg(list).arg("--data").arg(data);
    let began = monotonic();
    let output = import.stderr(Stdio::inherit()).output().context("cannot start the import")?;
    let took = began.elapsed().as_secs_f64();
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(said.starts_with(&format!("{lampposts} added, 0 changed, 0 unchanged;")), "{said}");
    Ok(took)
}

#[expect(clippy::cast_precision_loss, reason = "a figure")]
fn bytes(file: &Path) -> anyhow::Result<f64> {
    Ok(std::fs::metadata(file)?.len() as f64)
}
