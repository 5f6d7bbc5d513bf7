//! Reading `metrics.csv`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use burn::train::metric::store::Split;

use crate::{Error, Result, files::bytes, metrics::LOSS};

/// Column with the number of the epoch.
pub(super) const EPOCH: &str = "epoch";

/// Column with the duration of the epoch, in seconds.
pub(super) const SECONDS: &str = "seconds";

/// The content of `metrics.csv`.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) columns: Vec<String>,
    /// Values by epoch and column.
    pub(super) values: BTreeMap<(usize, String), f64>,
}

impl Table {
    fn epochs(&self) -> BTreeSet<usize> {
        self.values.keys().map(|(epoch, _)| *epoch).collect()
    }

    fn value(&self, epoch: usize, column: &str) -> f64 {
        self.values.get(&(epoch, column.to_string())).copied().unwrap_or(f64::NAN)
    }
}

/// Reads the file, without an incomplete last line.
pub(super) fn read(path: &Path) -> Result<Table> {
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
            damaged(path, &format!("`{cell}` in row {}, column `{column}` is not a number", row + 1))
        };
        // Bounded, so that the epoch after it is a number, too.
        let epoch: u32 = record[0].parse().map_err(|_| number(EPOCH, &record[0]))?;
        if epoch == 0 || epoch == u32::MAX {
            return Err(damaged(path, &format!("`{epoch}` in row {} is not an epoch, which count from 1", row + 1)));
        }
        let epoch = epoch as usize;
        for (column, cell) in header.iter().zip(&record).skip(1).filter(|(_, cell)| !cell.is_empty()) {
            let value = cell.parse().map_err(|_| number(column, cell))?;
            table.values.insert((epoch, column.to_string()), value);
        }
    }
    Ok(table)
}

pub(super) fn damaged(path: &Path, reason: &str) -> Error {
    // A cell of a damaged file can contain half of the file, with many lines.
    let reason: String =
        reason.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(300).collect();
    Error::Failed(format!(
        "{}: {reason}; without it the best epoch so far is unknown: restore the file, or train again",
        path.display()
    ))
}

/// Summary of an epoch, for decisions after it.
#[derive(Debug, Clone, PartialEq)]
pub struct Epoch {
    /// Its number, from 1.
    pub epoch: usize,
    /// Its validation loss.
    pub loss: f64,
    /// Its duration in seconds.
    pub seconds: f64,
    /// The term of the loss that is infinite or NaN, if the loss is.
    pub infinite: Option<String>,
}

impl Epoch {
    /// From the values of an epoch, by column.
    pub(super) fn of<'a>(epoch: usize, values: impl Iterator<Item = (&'a str, f64)> + Clone) -> Self {
        let value =
            |wanted: &str| values.clone().find(|(column, _)| *column == wanted).map_or(f64::NAN, |(_, value)| value);
        let loss = value(&key(LOSS, &Split::Valid));
        // Every column that is not one of the other metrics is a term of the loss; terms become infinite in training
        // first.
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

/// Columns that are not terms of the loss.
pub(super) const FIGURES: [&str; 8] =
    ["mse", "fvu", "code_l0", "dead_units", "mean_activation", "saturation", "jacobian_norm2", "learning_rate"];

/// Every epoch in `path`, in order.
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

/// The value of a column of `path` in an epoch; `NaN` where nothing was measured.
///
/// # Errors
/// A file that cannot be read.
pub fn value(path: &Path, epoch: usize, column: &str) -> Result<f64> {
    Ok(read(path)?.value(epoch, column))
}

/// Every column of `path` by name, one value for each epoch; `NaN` where nothing was measured.
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

/// Column of a metric of a split.
pub(super) fn key(name: &str, split: &Split) -> String {
    format!("{split}_{}", name.to_lowercase().replace(' ', "_"))
}
