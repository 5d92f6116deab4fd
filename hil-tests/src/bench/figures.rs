//! What a benchmark found.

use std::borrow::Cow;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// One figure: sizes in bytes, latencies in ms, longer times in s, rates per s.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// Its name: `agent.rss`.
    pub figure: Cow<'static, str>,
    /// What was measured.
    pub value: f64,
    /// In this unit.
    pub unit: &'static str,
}

/// The figures of one benchmark.
#[derive(Clone, Debug, Default)]
pub struct Figures(Vec<Figure>);

impl Figures {
    /// Adds one.
    pub fn add(&mut self, figure: impl Into<Cow<'static, str>>, value: f64, unit: &'static str) {
        self.0.push(Figure { figure: figure.into(), value, unit });
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Prints the table.
    ///
    /// # Errors
    /// If `out` cannot be written.
    pub fn print(&self, out: &mut dyn Write) -> std::io::Result<()> {
        writeln!(out, "{:<32} {:>16}  unit", "figure", "value")?;
        self.0
            .iter()
            .try_for_each(|one| writeln!(out, "{:<32} {:>16.3}  {}", one.figure, one.value, one.unit))
    }

    /// Writes `FOLDER/NAME.json`.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, folder: &Path, name: &str) -> anyhow::Result<PathBuf> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join(format!("{name}.json"));
        let mut file = std::fs::File::create(&path)?;
        serde_json::to_writer_pretty(&mut file, &self.0)?;
        writeln!(file)?;
        Ok(path)
    }
}

/// The value below which this share of the sorted values lies; 0 without any.
pub(super) fn quantile(sorted: &[f64], share: f64) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index"
    )]
    let place = (share * sorted.len() as f64) as usize;
    sorted.get(place.min(sorted.len().saturating_sub(1))).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert!((quantile(&values, 0.5) - 51.0).abs() < 1e-9);
        assert!((quantile(&values, 0.99) - 100.0).abs() < 1e-9);
        assert!(quantile(&[], 0.5).abs() < 1e-9);
    }
}
