//! What each epoch measured: kept for Burn's best-epoch search, appended to `metrics.csv`, and told to the reporter in
//! one line.
//!
//! A resumed run reads its rows back first, so that the best epoch so far and the patience left are those of a run
//! never interrupted. Rows are known by their epoch, of several the last one counts, and a last line that was cut off
//! does not.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use ae_data::sink::write_bytes;

use burn::train::{
    logger::MetricLogger,
    metric::{
        MetricDefinition, MetricId, NumericEntry,
        store::{EpochSummary, MetricsUpdate, Split},
    },
};

use crate::{
    Error, Reporter, Result,
    metrics::LOSS,
    reporter::EpochReport,
    run_folder::{bytes, own_file},
};

/// Column of the epoch's number.
const EPOCH: &str = "epoch";
/// Column of the seconds that the epoch took.
const SECONDS: &str = "seconds";

/// The epochs of a training that leaves no file.
pub type Losses = Arc<Mutex<Vec<Epoch>>>;

/// The record of a run's epochs.
pub struct History {
    path: PathBuf,
    file: Option<File>,
    columns: Vec<String>,
    /// Value by epoch and column.
    values: BTreeMap<(usize, String), f64>,
    names: Vec<(MetricId, String)>,
    /// Where the losses go, of a training that leaves no file.
    losses: Option<Losses>,
    epochs: usize,
    /// Optimizer steps of an epoch.
    batches: usize,
    first: usize,
    began: Instant,
    epoch_began: Instant,
    reporter: Arc<dyn Reporter>,
}

impl History {
    /// Of a training of `epochs` epochs of so many batches that leaves no file.
    pub fn in_memory(losses: Losses, epochs: usize, batches: usize, reporter: Arc<dyn Reporter>) -> Self {
        Self { losses: Some(losses), ..Self::new(epochs, batches, reporter) }
    }

    fn new(epochs: usize, batches: usize, reporter: Arc<dyn Reporter>) -> Self {
        let now = Instant::now();
        Self {
            path: PathBuf::new(),
            file: None,
            columns: Vec::new(),
            values: BTreeMap::new(),
            names: Vec::new(),
            losses: None,
            epochs,
            batches,
            first: 1,
            began: now,
            epoch_began: now,
            reporter,
        }
    }

    /// Opens `path` for a run of `epochs` epochs of so many batches, of which the first `done` are read back.
    ///
    /// # Errors
    /// A file that cannot be written, or whose rows cannot be read back.
    pub fn open(path: &Path, epochs: usize, batches: usize, done: usize, reporter: Arc<dyn Reporter>) -> Result<Self> {
        let Table { columns, values } = if done > 0 { read(path)? } else { Table::default() };
        let rows = values
            .range(..(done + 1, String::new()))
            .map(|((epoch, column), value)| ((*epoch, column.clone()), *value));
        let values: BTreeMap<(usize, String), f64> = rows.collect();
        if let Some(epoch) = (1..=done).find(|&epoch| !values.contains_key(&(epoch, Self::key(LOSS, &Split::Valid)))) {
            return Err(damaged(path, &format!("holds no row of epoch {epoch}")));
        }
        let mut history =
            Self { path: path.to_owned(), columns, values, first: done + 1, ..Self::new(epochs, batches, reporter) };
        // What is there beyond these rows: a line that was cut off, or epochs that are trained again. A whole file
        // takes its place.
        let text = if done > 0 { history.text(done) } else { String::new() };
        own_file(path)?;
        if fs::read(path).map_or(done > 0, |before| before != text.as_bytes()) {
            write_bytes(path, text.as_bytes())?;
        }
        let file =
            File::options().create(true).append(true).open(path).map_err(|error| Error::at("write", path, error))?;
        history.file = Some(file);
        Ok(history)
    }

    /// The file of the first `epochs` epochs.
    fn text(&self, epochs: usize) -> String {
        let rows: String = (1..=epochs).map(|epoch| self.row(epoch)).collect();
        format!("{}{rows}", self.header())
    }

    fn header(&self) -> String {
        format!("{EPOCH},{}\n", self.columns.join(","))
    }

    fn row(&self, epoch: usize) -> String {
        let cell = |column: &String| self.values.get(&(epoch, column.clone())).map(f64::to_string).unwrap_or_default();
        format!("{epoch},{}\n", self.columns.iter().map(cell).collect::<Vec<_>>().join(","))
    }

    fn key(name: &str, split: &Split) -> String {
        format!("{split}_{}", name.to_lowercase().replace(' ', "_"))
    }

    /// Appends the row of an epoch; the first also writes the header, from what was measured. It is on the disk before
    /// the epoch's checkpoint is.
    fn write(&mut self, epoch: usize) {
        let mut text = String::new();
        if self.columns.is_empty() {
            let row = self.values.range((epoch, String::new())..(epoch + 1, String::new()));
            self.columns = row.map(|((_, column), _)| column.clone()).collect();
            text = self.header();
        }
        text += &self.row(epoch);
        let Some(file) = &mut self.file else { return };
        if let Err(error) = file.write_all(text.as_bytes()).and_then(|()| file.sync_data()) {
            tracing::error!("cannot write {}: {error}", self.path.display());
            self.reporter.warning(&format!("cannot write {}: {error}", self.path.display()));
        }
    }

    /// `epoch  12/100  loss 0.41 / 0.43 ...`: training and validation of each loss, then the validation error.
    fn line(&self, epoch: usize) -> String {
        let value = |column: &str| self.values.get(&(epoch, column.to_string())).copied();
        let mut parts = vec![format!("epoch {epoch:>4}/{}", self.epochs)];
        for column in &self.columns {
            let Some(name) = column.strip_prefix("train_") else { continue };
            if FIGURES.contains(&name) {
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
        let left =
            Duration::try_from_secs_f64(per_epoch * self.epochs.saturating_sub(epoch) as f64).unwrap_or(Duration::MAX);
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

fn damaged(path: &Path, reason: &str) -> Error {
    // A cell of a damaged file can be half of it, in many lines.
    let reason: String =
        reason.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(300).collect();
    Error::Failed(format!(
        "{}: {reason}; without it the best epoch so far is unknown: bring the file back, or train anew",
        path.display()
    ))
}

/// What `metrics.csv` holds.
#[derive(Debug, Default)]
struct Table {
    columns: Vec<String>,
    /// Value by epoch and column.
    values: BTreeMap<(usize, String), f64>,
}

impl Table {
    fn epochs(&self) -> BTreeSet<usize> {
        self.values.keys().map(|(epoch, _)| *epoch).collect()
    }

    fn value(&self, epoch: usize, column: &str) -> f64 {
        self.values.get(&(epoch, column.to_string())).copied().unwrap_or(f64::NAN)
    }
}

/// Reads the file, without a last line that was cut off.
fn read(path: &Path) -> Result<Table> {
    let text = bytes(path).and_then(|bytes| String::from_utf8(bytes).map_err(|error| error.to_string()));
    let text = text.map_err(|error| damaged(path, &error))?;
    let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
    let mut reader = csv::Reader::from_reader(whole.as_bytes());
    let header = reader.headers().map_err(|error| damaged(path, &error.to_string()))?.clone();
    if header.get(0) != Some(EPOCH) {
        return Err(damaged(path, &format!("its first column is not `{EPOCH}`")));
    }
    let mut table = Table { columns: header.iter().skip(1).map(str::to_string).collect(), values: BTreeMap::new() };
    for (row, record) in reader.records().enumerate() {
        let record = record.map_err(|error| damaged(path, &error.to_string()))?;
        let number = |column: &str, cell: &str| {
            damaged(path, &format!("`{cell}` in row {}, column `{column}` is no number", row + 1))
        };
        let epoch: usize = record[0].parse().map_err(|_| number(EPOCH, &record[0]))?;
        for (column, cell) in header.iter().zip(&record).skip(1).filter(|(_, cell)| !cell.is_empty()) {
            let value = cell.parse().map_err(|_| number(column, cell))?;
            table.values.insert((epoch, column.to_string()), value);
        }
    }
    Ok(table)
}

/// What is needed of an epoch afterwards.
#[derive(Debug, Clone, PartialEq)]
pub struct Epoch {
    /// Its number, from 1.
    pub epoch: usize,
    /// Its validation loss.
    pub loss: f64,
    /// What it took.
    pub seconds: f64,
    /// The term of the loss that is infinite or none, if the loss is.
    pub infinite: Option<String>,
}

impl Epoch {
    /// Of the values of an epoch, by column.
    fn of<'a>(epoch: usize, values: impl Iterator<Item = (&'a str, f64)> + Clone) -> Self {
        let value =
            |wanted: &str| values.clone().find(|(column, _)| *column == wanted).map_or(f64::NAN, |(_, value)| value);
        let loss = value(&History::key(LOSS, &Split::Valid));
        // Of the terms, which are the columns that are none of the other figures; in training they are infinite first.
        let is_term = |column: &str| {
            let name = column.strip_prefix("train_").or(column.strip_prefix("valid_"));
            name.filter(|name| *name != LOSS && !FIGURES.contains(name)).map(str::to_string)
        };
        let infinite =
            || values.clone().filter(|(_, value)| !value.is_finite()).find_map(|(column, _)| is_term(column));
        let infinite = (!loss.is_finite()).then(|| infinite().unwrap_or_else(|| LOSS.to_string()));
        Self { epoch, loss, seconds: value(SECONDS), infinite }
    }
}

/// Columns that are no terms of the loss.
const FIGURES: [&str; 8] =
    ["mse", "fvu", "code_l0", "dead_units", "mean_activation", "saturation", "jacobian_norm2", "learning_rate"];

/// Every epoch that `path` holds, in their order.
///
/// # Errors
/// A file that cannot be read.
pub fn losses(path: &Path) -> Result<Vec<Epoch>> {
    let table = read(path)?;
    let epoch = |epoch| {
        let row = table.values.range((epoch, String::new())..(epoch + 1, String::new()));
        Epoch::of(epoch, row.map(|((_, column), value)| (column.as_str(), *value)))
    };
    Ok(table.epochs().into_iter().map(epoch).collect())
}

/// The value of a column in an epoch that `path` holds; `NaN` where nothing was measured.
///
/// # Errors
/// A file that cannot be read.
pub fn value(path: &Path, epoch: usize, column: &str) -> Result<f64> {
    Ok(read(path)?.value(epoch, column))
}

/// Every column that `path` holds, by name, epoch by epoch; `NaN` where nothing was measured.
///
/// # Errors
/// A file that cannot be read.
pub fn columns(path: &Path) -> Result<Vec<(String, Vec<f64>)>> {
    let table = read(path)?;
    let names: BTreeSet<&String> = table.values.keys().map(|(_, name)| name).collect();
    let epochs = table.epochs();
    Ok(names
        .into_iter()
        .map(|name| (name.clone(), epochs.iter().map(|&epoch| table.value(epoch, name)).collect()))
        .collect())
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

    fn read_numeric(
        &mut self,
        name: &str,
        epoch: usize,
        split: &Split,
    ) -> std::result::Result<Vec<NumericEntry>, String> {
        let value = self.values.get(&(epoch, Self::key(name, split)));
        Ok(value.map(|&value| NumericEntry::Final(value)).into_iter().collect())
    }

    fn log_metric_definition(&mut self, definition: MetricDefinition) {
        self.names.push((definition.metric_id, definition.name.to_string()));
        self.epoch_began = Instant::now();
    }

    fn log_epoch_summary(&mut self, summary: EpochSummary) {
        let epoch = summary.epoch_number;
        // An interrupted epoch ends its training split without a validation: it will be trained again, and leaves no
        // row.
        if summary.split != Split::Valid {
            return;
        }
        self.values.insert((epoch, SECONDS.to_string()), self.epoch_began.elapsed().as_secs_f64());
        self.epoch_began = Instant::now();
        self.write(epoch);
        if let Some(losses) = &self.losses {
            let row = self.values.range((epoch, String::new())..(epoch + 1, String::new()));
            let epoch = Epoch::of(epoch, row.map(|((_, column), value)| (column.as_str(), *value)));
            losses.lock().unwrap_or_else(PoisonError::into_inner).push(epoch);
        }
        self.reporter.progress(&self.line(epoch));
        let row = self.values.range((epoch, String::new())..(epoch + 1, String::new()));
        let figures = row.map(|((_, column), value)| (column.clone(), *value)).collect();
        self.reporter.epoch(&EpochReport { epoch, epochs: self.epochs, steps: epoch * self.batches, figures });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reporter::Quiet;

    #[test]
    fn rows_are_read_back_and_a_gap_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.csv");
        let open = |done: usize| History::open(&path, 5, 10, done, Arc::new(Quiet));
        // The second epoch was trained twice, and the last line was cut off.
        std::fs::write(&path, "epoch,seconds,valid_loss\n1,0.5,3\n2,0.5,9\n2,0.5,2\n3,0.5,1\n4,0.5,0.").unwrap();
        let mut history = open(2).unwrap();
        assert!(matches!(history.read_numeric("loss", 2, &Split::Valid).unwrap()[..], [NumericEntry::Final(2.0)]));
        assert!(history.read_numeric("loss", 3, &Split::Valid).unwrap().is_empty());
        history.values.insert((3, "valid_loss".to_string()), 0.25);
        history.write(3);
        drop(history);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "epoch,seconds,valid_loss\n1,0.5,3\n2,0.5,2\n3,,0.25\n");
        std::fs::write(
            folder.path().join("wild.csv"),
            "epoch,train_l1,valid_kl,valid_loss\n1,0.5,NaN,inf\n2,1,1,1\n3,1,1,NaN\n",
        )
        .unwrap();
        let wild = losses(&folder.path().join("wild.csv")).unwrap();
        let infinite: Vec<_> = wild.iter().map(|epoch| epoch.infinite.as_deref()).collect();
        assert_eq!(infinite, [Some("kl"), None, Some("loss")]);
        assert_eq!(losses(&path).unwrap().iter().map(|epoch| epoch.loss).collect::<Vec<_>>(), [3.0, 2.0, 0.25]);
        let error = open(4).err().unwrap().to_string();
        assert!(error.contains("no row of epoch 4"), "{error}");
        let torn = folder.path().join("torn.csv");
        std::fs::write(&torn, "epoch,loss\n1,\"2\n3\"\n").unwrap();
        let said = losses(&torn).unwrap_err().to_string();
        assert!(said.contains("`2 3` in row 1") && said.lines().count() == 1, "{said}");
        // A training from the start leaves nothing of the one before.
        drop(open(0).unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
    }

    #[test]
    fn times_are_said_in_the_unit_that_fits() {
        assert_eq!([5, 600, 9000].map(|seconds| clock(Duration::from_secs(seconds))), ["5 s", "10 min", "2.5 h"]);
    }
}
