//! Anomaly scores as a table.

use std::{cell::RefCell, sync::Arc};

use ae_data::Dataset;
use arrow_array::{ArrayRef, Float32Array, Float64Array, StringArray};
use arrow_schema::{DataType, Field};

use super::{
    detector::{Detector, Scores},
    tally::Tally,
};
use crate::{
    results::{Table, results},
    trained::Trained,
};

impl Detector {
    /// The scores of `rows` as a table: `score`, `p_value`, `flagged` (1 if the score is above the threshold, otherwise
    /// 0), and then either the score of each column or the names and scores of the `top` columns with the highest
    /// scores. Identifiers and labels come first. Counts are added to `tally`.
    pub fn table<'a, 'b: 'a>(
        &'a self,
        trained: &'a Trained,
        rows: &'a Dataset,
        top: Option<usize>,
        tally: &'a RefCell<Tally<'b>>,
    ) -> Table<'a> {
        let columns: Vec<String> = trained.columns().into_iter().map(|column| column.name).collect();
        let number = |name: String| Field::new(name, DataType::Float32, true);
        let mut fields =
            vec![number("score".into()), Field::new("p_value", DataType::Float64, true), number("flagged".into())];
        match top {
            None => fields.extend(columns.iter().map(|name| number(format!("score_{name}")))),
            Some(top) => {
                for place in 1..=top.min(columns.len()) {
                    fields.extend([
                        Field::new(format!("top_{place}"), DataType::Utf8, true),
                        number(format!("top_{place}_score")),
                    ]);
                }
            }
        }
        let pca = tally.borrow().labels.as_ref().map(|labels| labels.pca);
        let threshold = self.threshold();
        let made = self.scored(trained, rows, pca).map(move |batch| {
            let batch = batch?;
            tally.borrow_mut().add(&batch, rows, threshold);
            let mut arrays = self.row_arrays(&batch.scores, threshold);
            match top {
                None => arrays.extend(column_arrays(&batch.scores, columns.len())),
                Some(top) => arrays.extend(top_arrays(&batch.scores, &columns, top)),
            }
            Ok((batch.range, arrays))
        });
        results(rows, fields, made)
    }

    /// Score, p-value and flag of each row.
    fn row_arrays(&self, scores: &Scores, threshold: Option<f64>) -> Vec<ArrayRef> {
        let flag = |score: &f64| {
            (!score.is_nan()).then(|| f32::from(u8::from(threshold.is_some_and(|threshold| *score > threshold))))
        };
        let p_value = |score: &f64| Some(self.p_value(*score)).filter(|p| !p.is_nan());
        vec![
            Arc::new(scores.rows.iter().map(|score| single(*score)).collect::<Float32Array>()),
            Arc::new(scores.rows.iter().map(p_value).collect::<Float64Array>()),
            Arc::new(scores.rows.iter().map(flag).collect::<Float32Array>()),
        ]
    }
}

/// A score in single precision; none if there is none.
fn single(score: f64) -> Option<f32> {
    (!score.is_nan()).then_some(score.min(f64::from(f32::MAX)) as f32)
}

/// The score of each of `width` columns.
fn column_arrays(scores: &Scores, width: usize) -> impl Iterator<Item = ArrayRef> {
    (0..width).map(move |column| {
        let scores = scores.columns.iter().skip(column).step_by(width).map(|score| single(*score));
        Arc::new(scores.collect::<Float32Array>()) as ArrayRef
    })
}

/// Names and scores of the `top` columns with the highest scores in each row.
fn top_arrays(scores: &Scores, columns: &[String], top: usize) -> Vec<ArrayRef> {
    let width = columns.len();
    let order = |row: &[f64]| {
        let mut order: Vec<usize> = (0..width).filter(|&column| !row[column].is_nan()).collect();
        let by_score = |a: &usize, b: &usize| row[*b].total_cmp(&row[*a]).then(a.cmp(b));
        if top < order.len() {
            order.select_nth_unstable_by(top, by_score);
            order.truncate(top);
        }
        order.sort_by(by_score);
        order
    };
    let orders: Vec<Vec<usize>> = scores.columns.chunks_exact(width).map(order).collect();
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(2 * top.min(width));
    for place in 0..top.min(width) {
        let names = orders.iter().map(|order| order.get(place).map(|&column| columns[column].as_str()));
        let values = orders.iter().enumerate().map(|(row, order)| {
            order.get(place).map(|column| scores.columns[row * width + column].min(f64::from(f32::MAX)) as f32)
        });
        arrays.push(Arc::new(names.collect::<StringArray>()));
        arrays.push(Arc::new(values.collect::<Float32Array>()));
    }
    arrays
}
