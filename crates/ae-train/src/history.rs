//! What each epoch measured: kept for Burn's best-epoch search, written to `metrics.csv`, and printed as one line where there is no dashboard.
//!
//! A resumed run reads its rows back first, so that the best epoch so far and the patience left are those of a run never interrupted.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use burn::train::{
    logger::MetricLogger,
    metric::{
        MetricDefinition, MetricId, NumericEntry,
        store::{EpochSummary, MetricsUpdate, Split},
    },
};

use crate::{Error, Result, metrics::LOSS};

/// Column of the epoch's number.
const EPOCH: &str = "epoch";
/// Column of the seconds that the epoch took.
const SECONDS: &str = "seconds";

/// The record of a run's epochs.
pub struct History {
    path: PathBuf,
    file: File,
    columns: Vec<String>,
    /// Value by epoch and column.
    values: BTreeMap<(usize, String), f64>,
    names: Vec<(MetricId, String)>,
    epochs: usize,
    first: usize,
    began: Instant,
    epoch_began: Instant,
    print: bool,
}

impl History {
    /// Opens `path` for a run of `epochs` epochs, of which the first `done` are read back; `print` says whether each epoch prints a line.
    ///
    /// # Errors
    /// A file that cannot be written, or whose rows cannot be read back.
    pub fn open(path: &Path, epochs: usize, done: usize, print: bool) -> Result<Self> {
        let values = if done > 0 { read(path, done)? } else { BTreeMap::new() };
        let file =
            OpenOptions::new().create(true).write(true).truncate(true).open(path).map_err(|error| Error::at("write", path, error))?;
        let now = Instant::now();
        let mut history = Self {
            path: path.to_owned(),
            file,
            columns: Vec::new(),
            values,
            names: Vec::new(),
            epochs,
            first: done + 1,
            began: now,
            epoch_began: now,
            print,
        };
        (1..=done).for_each(|epoch| history.write(epoch));
        Ok(history)
    }

    fn key(name: &str, split: &Split) -> String {
        format!("{split}_{}", name.to_lowercase().replace(' ', "_"))
    }

    /// The row of an epoch in the file. The first row also writes the header, from what was measured.
    fn write(&mut self, epoch: usize) {
        let row: Vec<(&String, &f64)> =
            self.values.range((epoch, String::new())..(epoch + 1, String::new())).map(|((_, column), value)| (column, value)).collect();
        let mut text = String::new();
        if self.columns.is_empty() {
            self.columns = row.iter().map(|(column, _)| column.to_string()).collect();
            text.push_str(&format!("{EPOCH},{}\n", self.columns.join(",")));
        }
        let cell = |column: &String| row.iter().find(|(other, _)| *other == column).map(|(_, value)| value.to_string()).unwrap_or_default();
        text.push_str(&format!("{epoch},{}\n", self.columns.iter().map(cell).collect::<Vec<_>>().join(",")));
        if let Err(error) = self.file.write_all(text.as_bytes()).and_then(|()| self.file.flush()) {
            tracing::error!("cannot write {}: {error}", self.path.display());
            eprintln!("warning: cannot write {}: {error}", self.path.display());
        }
    }

    /// `epoch  12/100  loss 0.41 / 0.43 ...`: training and validation of each loss, then the validation error.
    fn line(&self, epoch: usize) -> String {
        let value = |column: &str| self.values.get(&(epoch, column.to_string())).copied();
        let mut parts = vec![format!("epoch {epoch:>4}/{}", self.epochs)];
        for column in &self.columns {
            let Some(name) = column.strip_prefix("train_") else { continue };
            if ["mse", "fvu", "code_l0", "dead_units", "mean_activation", "saturation", "learning_rate"].contains(&name) {
                continue;
            }
            if let (Some(train), Some(valid)) = (value(column), value(&format!("valid_{name}"))) {
                parts.push(format!("{name} {train:.4} (validation {valid:.4})"));
            }
        }
        for name in ["mse", "fvu"] {
            parts.extend(value(&format!("valid_{name}")).map(|value| format!("validation {name} {value:.5}")));
        }
        parts.extend(value("valid_dead_units").filter(|&units| units > 0.0).map(|units| format!("{units} dead units")));
        let per_epoch = self.began.elapsed().as_secs_f64() / (epoch + 1 - self.first) as f64;
        let left = Duration::from_secs_f64(per_epoch * self.epochs.saturating_sub(epoch) as f64);
        parts.push(format!("{:.2} s", value(SECONDS).unwrap_or_default()));
        parts.push(format!("{} left", clock(left)));
        parts.join("  ")
    }
}

/// Seconds below two minutes, minutes and hours above.
fn clock(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{:.1} h", seconds as f64 / 3600.0),
    }
}

/// The first `epochs` rows of the file.
fn read(path: &Path, epochs: usize) -> Result<BTreeMap<(usize, String), f64>> {
    let damaged = |reason: String| Error::Failed(format!("{}: {reason}; without it the best epoch so far is unknown", path.display()));
    let mut reader = csv::Reader::from_path(path).map_err(|error| damaged(error.to_string()))?;
    let header = reader.headers().map_err(|error| damaged(error.to_string()))?.clone();
    let mut values = BTreeMap::new();
    for (row, record) in reader.records().take(epochs).enumerate() {
        let record = record.map_err(|error| damaged(error.to_string()))?;
        for (column, cell) in header.iter().zip(&record).skip(1).filter(|(_, cell)| !cell.is_empty()) {
            let value = cell.parse().map_err(|_| damaged(format!("`{cell}` in row {}, column `{column}` is no number", row + 1)))?;
            values.insert((row + 1, column.to_string()), value);
        }
    }
    match (1..=epochs).find(|&epoch| !values.contains_key(&(epoch, History::key(LOSS, &Split::Valid)))) {
        Some(epoch) => Err(damaged(format!("holds no row of epoch {epoch}"))),
        None => Ok(values),
    }
}

/// What is needed of an epoch afterwards.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Epoch {
    /// Its number, from 1.
    pub epoch: usize,
    /// Its validation loss.
    pub loss: f64,
    /// What it took.
    pub seconds: f64,
}

/// Every epoch that `path` holds.
///
/// # Errors
/// A file that cannot be read.
pub fn losses(path: &Path) -> Result<Vec<Epoch>> {
    let text = std::fs::read_to_string(path).map_err(|error| Error::at("read", path, error))?;
    let rows = text.lines().count().saturating_sub(1);
    let values = read(path, rows)?;
    let value = |epoch: usize, column: String| values.get(&(epoch, column)).copied().unwrap_or(f64::NAN);
    let epoch = |epoch| Epoch { epoch, loss: value(epoch, History::key(LOSS, &Split::Valid)), seconds: value(epoch, SECONDS.to_string()) };
    Ok((1..=rows).map(epoch).collect())
}

/// Every column that `path` holds, by name, epoch by epoch; `NaN` where nothing was measured.
///
/// # Errors
/// A file that cannot be read.
pub fn columns(path: &Path) -> Result<Vec<(String, Vec<f64>)>> {
    let text = std::fs::read_to_string(path).map_err(|error| Error::at("read", path, error))?;
    let rows = text.lines().count().saturating_sub(1);
    let values = read(path, rows)?;
    let names: std::collections::BTreeSet<&String> = values.keys().map(|(_, name)| name).collect();
    let column = |name: &String| (1..=rows).map(|epoch| values.get(&(epoch, name.clone())).copied().unwrap_or(f64::NAN)).collect();
    Ok(names.into_iter().map(|name| (name.clone(), column(name))).collect())
}

impl MetricLogger for History {
    fn log(&mut self, update: MetricsUpdate, epoch: usize, split: &Split) {
        for metric in update.entries_numeric {
            let Some(NumericEntry::Final(value)) = metric.numeric_entry else { continue };
            if let Some((_, name)) = self.names.iter().find(|(id, _)| *id == metric.entry.metric_id) {
                self.values.insert((epoch, Self::key(name, split)), value);
            }
        }
    }

    fn read_numeric(&mut self, name: &str, epoch: usize, split: &Split) -> std::result::Result<Vec<NumericEntry>, String> {
        let value = self.values.get(&(epoch, Self::key(name, split)));
        Ok(value.map(|&value| NumericEntry::Final(value)).into_iter().collect())
    }

    fn log_metric_definition(&mut self, definition: MetricDefinition) {
        self.names.push((definition.metric_id, definition.name.to_string()));
        self.epoch_began = Instant::now();
    }

    fn log_epoch_summary(&mut self, summary: EpochSummary) {
        let epoch = summary.epoch_number;
        // An interrupted epoch ends its training split without a validation: it will be trained again, and leaves no row.
        if summary.split != Split::Valid {
            return;
        }
        self.values.insert((epoch, SECONDS.to_string()), self.epoch_began.elapsed().as_secs_f64());
        self.epoch_began = Instant::now();
        self.write(epoch);
        if self.print {
            eprintln!("{}", self.line(epoch));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_back_and_a_gap_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.csv");
        std::fs::write(&path, "epoch,seconds,valid_loss\n1,0.5,3\n2,0.5,2\n3,0.5,1\n").unwrap();
        let mut history = History::open(&path, 5, 2, false).unwrap();
        assert!(matches!(history.read_numeric("loss", 2, &Split::Valid).unwrap()[..], [NumericEntry::Final(2.0)]));
        assert!(history.read_numeric("loss", 3, &Split::Valid).unwrap().is_empty());
        drop(history);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "epoch,seconds,valid_loss\n1,0.5,3\n2,0.5,2\n");
        let error = History::open(&path, 5, 3, false).err().unwrap().to_string();
        assert!(error.contains("no row of epoch 3"), "{error}");
    }

    #[test]
    fn times_are_said_in_the_unit_that_fits() {
        assert_eq!([5, 600, 9000].map(|seconds| clock(Duration::from_secs(seconds))), ["5 s", "10 min", "2.5 h"]);
    }
}
