//! The history as a logger of Burn's Learner.

use std::{
    collections::BTreeMap,
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

use super::metrics_file::{EPOCH, Epoch, FIGURES, SECONDS, Table, damaged, key, read};
use crate::{Error, Reporter, Result, files::own_file, metrics::LOSS, reporter::EpochReport};

/// The epochs of a training that writes no file.
pub type Losses = Arc<Mutex<Vec<Epoch>>>;

/// The history of a run's epochs.
pub struct History {
    path: PathBuf,
    file: Option<File>,
    columns: Vec<String>,
    /// Values by epoch and column.
    values: BTreeMap<(usize, String), f64>,
    names: Vec<(MetricId, String)>,
    /// Where the losses go in a training that writes no file.
    losses: Option<Losses>,
    epochs: usize,
    /// Number of optimizer steps of an epoch.
    batches: usize,
    first: usize,
    began: Instant,
    epoch_began: Instant,
    reporter: Arc<dyn Reporter>,
}

impl History {
    /// For a training of `epochs` epochs of this many batches that writes no file.
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

    /// Opens `path` for a run of `epochs` epochs of this many batches; the first `done` epochs are read back.
    ///
    /// # Errors
    /// A file that cannot be written, or whose rows cannot be read back.
    pub fn open(path: &Path, epochs: usize, batches: usize, done: usize, reporter: Arc<dyn Reporter>) -> Result<Self> {
        let Table { columns, values } = if done > 0 { read(path)? } else { Table::default() };
        let rows = values
            .range(..(done + 1, String::new()))
            .map(|((epoch, column), value)| ((*epoch, column.clone()), *value));
        let values: BTreeMap<(usize, String), f64> = rows.collect();
        if let Some(epoch) = (1..=done).find(|&epoch| !values.contains_key(&(epoch, key(LOSS, &Split::Valid)))) {
            return Err(damaged(path, &format!("it has no row of epoch {epoch}")));
        }
        let mut history =
            Self { path: path.to_owned(), columns, values, first: done + 1, ..Self::new(epochs, batches, reporter) };
        // The file may hold more than these rows: an incomplete line, or epochs that are trained again. Then a new file
        // replaces it.
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

    /// The file, if there is one: whoever saves an epoch brings its row to the disk first.
    ///
    /// # Errors
    /// No more files can be opened.
    pub fn file(&self) -> Result<Option<File>> {
        let again = self.file.as_ref().map(File::try_clone).transpose();
        again.map_err(|error| Error::at("open", &self.path, error))
    }

    /// The content of the file after the first `epochs` epochs.
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

    /// Appends the row of an epoch; the first row also writes the header, from what was measured.
    fn write(&mut self, epoch: usize) {
        let mut text = String::new();
        if self.columns.is_empty() {
            let row = self.values.range((epoch, String::new())..(epoch + 1, String::new()));
            self.columns = row.map(|((_, column), _)| column.clone()).collect();
            text = self.header();
        }
        text += &self.row(epoch);
        let Some(file) = &mut self.file else { return };
        if let Err(error) = file.write_all(text.as_bytes()) {
            tracing::error!("cannot write {}: {error}", self.path.display());
            self.reporter.warning(&format!("cannot write {}: {error}", self.path.display()));
        }
    }

    /// `epoch  12/100  loss 0.41 (validation 0.43) ...`: each loss on training and validation rows, then the validation
    /// error.
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

/// Seconds below two minutes, then minutes, then hours.
fn clock(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{:.1} h", seconds as f64 / 3600.0),
    }
}

impl MetricLogger for History {
    fn log(&mut self, update: MetricsUpdate, epoch: usize, split: &Split) {
        for metric in update.entries_numeric {
            let Some(NumericEntry::Final(value)) = metric.numeric_entry else { continue };
            if let Some((_, name)) = self.names.iter().find(|(id, _)| *id == metric.entry.metric_id) {
                self.values.insert((epoch, key(name, split)), value);
            }
        }
    }

    fn read_numeric(
        &mut self,
        name: &str,
        epoch: usize,
        split: &Split,
    ) -> std::result::Result<Vec<NumericEntry>, String> {
        let value = self.values.get(&(epoch, key(name, split)));
        Ok(value.map(|&value| NumericEntry::Final(value)).into_iter().collect())
    }

    fn log_metric_definition(&mut self, definition: MetricDefinition) {
        self.names.push((definition.metric_id, definition.name.to_string()));
        self.epoch_began = Instant::now();
    }

    fn log_epoch_summary(&mut self, summary: EpochSummary) {
        let epoch = summary.epoch_number;
        // An interrupted epoch ends its training split without a validation: it will be trained again, and gets no row.
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
    use crate::{history::losses, reporter::Quiet};

    #[test]
    fn rows_are_read_back_and_a_gap_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.csv");
        let open = |done: usize| History::open(&path, 5, 10, done, Arc::new(Quiet));
        // The second epoch was trained twice, and the last line is incomplete.
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
        // A training that starts again leaves nothing of the previous one.
        drop(open(0).unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
    }

    #[test]
    fn durations_are_printed_in_a_suitable_unit() {
        assert_eq!([5, 600, 9000].map(|seconds| clock(Duration::from_secs(seconds))), ["5 s", "10 min", "2.5 h"]);
    }
}
