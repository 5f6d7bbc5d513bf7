//! Accuracy of classifiers on the code, on the input and on principal components.

use ae_data::Dataset;
use burn::data::dataset::Dataset as _;
use serde::{Deserialize, Serialize};

use crate::{
    Result,
    baseline::Pca,
    knn,
    matrix::Matrix,
    probe::{self, Labelled},
    trained::Trained,
};

/// Maximum number of training rows for classifiers on the code.
const PROBED: usize = 10_000;

/// Accuracy of classifiers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Classes {
    /// Of a linear classifier ([`probe`]).
    pub linear: Accuracies,
    /// Of a vote of the five nearest training rows ([`knn`]).
    pub neighbours: Accuracies,
    /// Of always naming the class that most training rows have; none in results that were written before it was
    /// measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most_frequent: Option<f64>,
}

/// Accuracy of a classifier by its input features.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Accuracies {
    /// On the code.
    pub code: f64,
    /// On the input.
    pub input: f64,
    /// On as many principal components as the code has units.
    pub pca: f64,
}

impl Trained {
    /// Accuracy of classifiers trained on `train` and tested on `rows`.
    /// None if `train` and `rows` have no class in common, or only one class.
    pub(super) fn classes(&self, train: &Dataset, rows: &Dataset, pca: &Pca) -> Result<Option<Classes>> {
        let labeled = |rows: &Dataset| {
            rows.select(rows.indices().iter().copied().filter(|&row| rows.rows().label(row).is_some()).collect())
        };
        let train = labeled(train).thin(PROBED);
        if train.is_empty() {
            return Ok(None);
        }
        // Other data may number its classes differently: their names decide.
        let known = train.rows().classes();
        let classes = rows.rows().classes();
        let Some(labels) = &rows.rows().labels else { return Ok(None) };
        let number = |index: usize| {
            known.iter().position(|name| labels[index].is_some_and(|label| *name == classes[label as usize]))
        };
        let rows =
            rows.select(rows.indices().iter().copied().filter(|&index| number(index).is_some()).take(PROBED).collect());
        if rows.is_empty() {
            return Ok(None);
        }
        let test_labels: Vec<u32> =
            rows.indices().iter().filter_map(|&index| number(index)).map(|class| class as u32).collect();
        let train_labels: Vec<u32> = train.indices().iter().filter_map(|&index| train.rows().label(index)).collect();
        if train_labels.iter().all(|label| *label == train_labels[0]) {
            return Ok(None); // with one class there is nothing to classify
        }
        let filled = |dataset: &Dataset| -> Result<Vec<f32>> {
            Ok(dataset
                .scaled(&self.schema.scaling)?
                .into_iter()
                .map(|value| if value.is_nan() { 0.0 } else { value })
                .collect())
        };
        let inputs = [filled(&train)?, filled(&rows)?];
        let width = self.schema.d_input;
        let both = |features: &[Vec<f32>; 2], width: usize| -> Result<(f64, f64)> {
            let part = |values, labels| Labelled { features: Matrix { values, width }, labels };
            let (train, test) = (part(&features[0], &train_labels), part(&features[1], &test_labels));
            Ok((probe::accuracy(train, test, &self.device)?, knn::accuracy(train, test, &self.device)?))
        };
        let code = both(&[self.codes(&train)?, self.codes(&rows)?], self.config.model.code_dim)?;
        let input = both(&inputs, width)?;
        let pca = both(&[&inputs[0], &inputs[1]].map(|values| pca.encode(Matrix { values, width })), pca.components())?;
        let mut counts = vec![0; known.len()];
        train_labels.iter().for_each(|&label| counts[label as usize] += 1);
        let largest = (0..known.len()).max_by_key(|&class| (counts[class], std::cmp::Reverse(class))).unwrap_or(0);
        let right = test_labels.iter().filter(|&&label| label as usize == largest).count();
        Ok(Some(Classes {
            most_frequent: Some(right as f64 / test_labels.len() as f64),
            linear: Accuracies { code: code.0, input: input.0, pca: pca.0 },
            neighbours: Accuracies { code: code.1, input: input.1, pca: pca.1 },
        }))
    }
}
