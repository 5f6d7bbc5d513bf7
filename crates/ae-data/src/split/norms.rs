//! Rows whose norm is an outlier. The first token of a text often has activations a hundred times as long as those of
//! all others; a few such rows decide the scale of the data and the squared error.

use super::Split;
use crate::{DataError, Dataset, progress::Progress, words::counted};

/// Rows of which the median norm is taken.
const SAMPLED: usize = 20_000;

/// How many times the median norm a row has to exceed to be reported.
pub const OUTLIER: f64 = 10.0;

impl Split {
    /// The norm that is `times` the median norm of the training rows, in the units of the data; of at most 20,000 of
    /// them, spread evenly. A missing value counts as 0.
    ///
    /// # Errors
    /// A file that can no longer be read.
    pub fn norm_limit(&self, times: f64) -> Result<f64, DataError> {
        let some = self.train.sample(SAMPLED * self.train.rows().width()).thin(SAMPLED);
        let mut norms = norms(&some, |_| {})?;
        let middle = norms.len() / 2;
        Ok(match norms.is_empty() {
            true => 0.0,
            false => times * *norms.select_nth_unstable_by(middle, f64::total_cmp).1,
        })
    }

    /// How many training rows have a norm of more than [`OUTLIER`] times the median, and how many rows were looked at:
    /// at most 20,000, spread evenly.
    ///
    /// # Errors
    /// As [`norm_limit`](Self::norm_limit).
    pub fn norm_outliers(&self) -> Result<(usize, usize), DataError> {
        let limit = self.norm_limit(OUTLIER)?;
        let some = self.train.sample(SAMPLED * self.train.rows().width()).thin(SAMPLED);
        let norms = norms(&some, |_| {})?;
        Ok((norms.iter().filter(|norm| **norm > limit).count(), norms.len()))
    }

    /// The split without rows whose norm is more than `times` the median norm of the training rows, and a note on how
    /// many were left out.
    ///
    /// # Errors
    /// A part that has no rows left; a file that can no longer be read.
    pub fn within_norm(mut self, times: f64) -> Result<Self, DataError> {
        let limit = self.norm_limit(times)?;
        let all: usize = [&self.train, &self.validation, &self.test].iter().map(|part| part.indices().len()).sum();
        let mut progress = Progress::new("measuring the norms of rows", all);
        let mut left_out = 0;
        for (part, name) in
            [(&mut self.train, "train on"), (&mut self.validation, "validate on"), (&mut self.test, "test on")]
        {
            let norms = norms(part, |_| progress.step())?;
            let kept: Vec<usize> =
                part.indices().iter().zip(&norms).filter(|(_, norm)| **norm <= limit).map(|(row, _)| *row).collect();
            left_out += norms.len() - kept.len();
            if kept.is_empty() {
                let advice = "raise `--max-norm`".to_string();
                return Err(DataError::EmptySplit { rows: norms.len(), part: name, advice });
            }
            *part = part.select(kept);
        }
        self.notes.push(format!(
            "left out of every part: {} with a norm above {limit:.4}, {times} times the median of {}",
            counted(left_out, "row"),
            counted(self.train.indices().len().min(SAMPLED), "training row")
        ));
        Ok(self)
    }
}

/// The Euclidean norm of each row, in the units of the data.
fn norms(rows: &Dataset, mut seen: impl FnMut(usize)) -> Result<Vec<f64>, DataError> {
    let norm = |&row: &usize| {
        let mut sum = 0.0;
        rows.rows().each_cell(row, |value| sum += if value.is_nan() { 0.0 } else { value * value })?;
        seen(row);
        Ok(sum.sqrt())
    };
    rows.indices().iter().map(norm).collect()
}

#[cfg(test)]
mod tests {
    use crate::{Rows, Sets, Split, SplitConfig, Values};

    #[test]
    fn rows_of_outlying_norm_are_counted_and_left_out() {
        let mut values: Vec<f32> = (0..400).map(|value| 1.0 + (value % 7) as f32 * 0.1).collect();
        for row in [3, 50, 120, 199] {
            values[2 * row] = 500.0;
        }
        let sets = Sets { name: "x".into(), train: Rows::new(Values::F32(values), 2), test: None };
        let split = Split::new(sets, &SplitConfig::default()).unwrap();
        let is_outlier = |row: &usize| [3, 50, 120, 199].contains(row);
        let in_training = split.train.indices().iter().filter(|row| is_outlier(row)).count();
        assert_eq!(split.norm_outliers().unwrap(), (in_training, split.train.indices().len()));
        let kept = split.clone().within_norm(10.0).unwrap();
        let parts = [&kept.train, &kept.validation, &kept.test];
        assert_eq!(parts.iter().map(|part| part.indices().len()).sum::<usize>(), 196);
        assert!(!parts.iter().any(|part| part.indices().iter().any(is_outlier)));
        let note = kept.notes.last().expect("a note on the rows that were left out");
        assert!(note.starts_with("left out of every part: 4 rows with a norm above"), "{note}");
        let said = split.within_norm(1e-3).unwrap_err().to_string();
        assert!(said.contains("--max-norm"), "{said}");
    }
}
