//! The columns that make a row anomalous, with what they hold and what the model expected there.

#[cfg(feature = "report")]
use ae_data::Dataset;

#[cfg(feature = "report")]
use super::detector::Detector;
#[cfg(feature = "report")]
use crate::{Result, trained::Trained};

/// Columns that are named of a row, at most.
const NAMED: usize = 3;

/// The columns of a row that score highest, with their scores, the highest first; only those above the score of a
/// typical row, 1.
pub(crate) fn odd_columns(scores: &[f64]) -> Vec<(usize, f64)> {
    let mut columns: Vec<(usize, f64)> = scores.iter().copied().enumerate().filter(|(_, score)| *score > 1.0).collect();
    columns.sort_by(|a, b| b.1.total_cmp(&a.1));
    columns.truncate(NAMED);
    columns
}

/// Why a row is anomalous, in the units of the data.
#[cfg(feature = "report")]
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reason {
    /// The name of a column.
    pub column: String,
    /// What the row holds there.
    pub value: String,
    /// The reconstruction that the score is measured by; of a category the most probable level.
    pub expected: String,
}

#[cfg(feature = "report")]
impl Detector {
    /// The reasons of some rows; `columns` are the columns that [`odd_columns`] chose of each.
    pub(crate) fn reasons(
        &self,
        trained: &Trained,
        rows: &Dataset,
        columns: &[Vec<(usize, f64)>],
    ) -> Result<Vec<Vec<Reason>>> {
        let read = trained.cells_read(rows)?;
        let expected = trained.expected_cells(&self.reconstructions(trained, rows)?);
        let names = trained.columns();
        let reason = |row: usize, column: usize| Reason {
            column: names[column].name.clone(),
            value: read[column][row].clone().unwrap_or_default(),
            expected: expected[column][row].clone().unwrap_or_default(),
        };
        let of_row = |(row, columns): (usize, &Vec<(usize, f64)>)| {
            columns.iter().map(|(column, _)| reason(row, *column)).collect()
        };
        Ok(columns.iter().enumerate().map(of_row).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_that_scores_like_a_typical_row_is_no_reason() {
        assert_eq!(odd_columns(&[0.2, 7.0, f64::NAN, 1.0, 1.5]), [(1, 7.0), (4, 1.5)]);
        assert_eq!(odd_columns(&[2.0, 3.0, 4.0, 5.0]).len(), 3);
        assert_eq!(odd_columns(&[0.9]), []);
    }
}
