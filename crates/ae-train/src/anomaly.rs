//! Anomaly scores: how much worse a row is reconstructed than the rows that were trained on.
//!
//! `score(x) = mean over copies and columns of e_c(x~) / s_c`, where `e_c` is the squared error of column `c` (summed over a category's levels)
//! between the clean row and the reconstruction of a corrupted copy, and `s_c` is its mean over the training rows. So a typical training row
//! scores about 1, and so does each of its columns. A model that was trained with a corruption scores [`COPIES`] copies, corrupted as in
//! training, which averages the error over the row's surroundings (compare Alain and Bengio 2014: a denoiser moves points towards where the data
//! lies, by about the gradient of the log-density); any other model scores the row as it is. The noise of the copies is the same for every
//! row, so that a row's score depends on no other row.

use ae_data::Dataset;
use ae_model::Corruption;
use burn::{
    data::dataset::Dataset as _,
    tensor::{Device, Tensor},
};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    baseline::{Matrix, Pca},
    evaluation::numbers,
    ranking::{Ranking, quantile},
    trained::{Table, Trained},
};

/// Corrupted copies that a row's score is the mean over.
pub const COPIES: usize = 16;
/// Rows that a detector is fitted to, at most.
const MOST_ROWS: usize = 20_000;
/// Share of anomalies that is expected if none is named.
pub const CONTAMINATION: f64 = 0.1;
/// Share of the variance that the components of the PCA baseline explain.
pub const PCA_SHARE: f64 = 0.9;
/// Quantiles that are kept of the training scores.
const QUANTILES: usize = 1000;

/// What the scores of training rows are like: what later scores are measured by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detector {
    /// Scores above this are anomalies.
    pub threshold: f64,
    /// Share of the training rows that lie above it.
    pub contamination: f64,
    /// Mean squared error of each column over the training rows: the unit of its scores.
    pub column_errors: Vec<f64>,
    /// Quantiles of the training rows' scores, from the lowest to the highest.
    pub quantiles: Vec<f64>,
    /// The same of the squared errors of PCA with components for 90% of the variance.
    pub pca_quantiles: Vec<f64>,
    /// The same of the squared distances to the mean.
    pub mean_quantiles: Vec<f64>,
    /// Seed of the copies' noise.
    pub seed: u64,
}

/// Scores of some rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scores {
    /// One for each row: about 1 for a typical training row.
    pub rows: Vec<f64>,
    /// One for each row and column, row by row, `NaN` where the value is missing.
    pub columns: Vec<f64>,
}

/// The corruption of each copy as what is done to each value, `x~ = factor * x + offset`, and what stays visible; each `[copies, d_input]`.
struct Copies {
    factor: Tensor<2>,
    offset: Tensor<2>,
    visible: Option<Tensor<2>>,
    count: usize,
}

impl Copies {
    /// Every corruption is affine in each value once its noise is drawn: two inputs say how.
    fn draw(corruption: &Corruption, width: usize, seed: u64, device: &Device) -> Option<Self> {
        if corruption.is_none() {
            return None;
        }
        let zeros = Tensor::<2>::zeros([COPIES, width], device);
        device.seed(seed);
        let offset = corruption.apply(zeros.clone(), None);
        device.seed(seed);
        let factor = corruption.apply(zeros.ones_like(), None).x - offset.x.clone();
        Some(Self { factor, offset: offset.x, visible: offset.visible, count: COPIES })
    }
}

/// The error of each column of each row, and how many values of it are there.
struct ColumnErrors {
    /// First feature and the one behind the last, for each column.
    ranges: Vec<(usize, usize)>,
}

impl Trained {
    /// The squared error of each column of each row of a batch, mean over the copies, row by row; `NaN` where the value is missing.
    fn column_errors(
        &self,
        x: Tensor<2>,
        observed: Option<Tensor<2>>,
        copies: Option<&Copies>,
        columns: &ColumnErrors,
    ) -> Result<Vec<f64>> {
        let width = self.schema.d_input;
        let error = |read: Tensor<2>, visible: Option<Tensor<2>>| (self.model.reconstruct_visible(read, visible) - x.clone()).square();
        let errors = match copies {
            None => error(x.clone(), observed.clone()),
            Some(copies) => {
                let sum = (0..copies.count).map(|copy| {
                    let of = |tensor: &Tensor<2>| tensor.clone().slice([copy..copy + 1, 0..width]); // [1, d_input]
                    let read = x.clone() * of(&copies.factor) + of(&copies.offset);
                    let visible = match (&copies.visible, &observed) {
                        (None, observed) => observed.clone(),
                        (Some(visible), None) => Some(of(visible) * x.ones_like()),
                        (Some(visible), Some(observed)) => Some(of(visible) * observed.clone()),
                    };
                    error(read, visible)
                });
                sum.reduce(|sum, error| sum + error).expect("there is a copy").div_scalar(copies.count as f64)
            }
        };
        let (errors, observed) = (numbers(errors)?, observed.map(numbers).transpose()?);
        let row = |row: usize| {
            let (errors, observed) = (&errors, &observed);
            columns.ranges.iter().map(move |&(start, end)| {
                let missing = observed.as_ref().is_some_and(|observed| observed[row * width + start] < 0.5);
                let sum: f64 = errors[row * width + start..row * width + end].iter().map(|&error| f64::from(error)).sum();
                if missing { f64::NAN } else { sum }
            })
        };
        Ok((0..errors.len() / width).flat_map(row).collect())
    }

    fn score_columns(&self) -> ColumnErrors {
        let encoding = ae_data::Encoding::new(self.columns());
        ColumnErrors { ranges: encoding.ranges() }
    }

    /// The errors of each column of each row, in batches.
    fn each_error<'a>(&'a self, rows: &'a Dataset, seed: u64) -> impl Iterator<Item = Result<Vec<f64>>> + 'a {
        let corruption = self.config.model.corruption.for_inputs(self.schema.inputs().unit_range);
        let copies = Copies::draw(&corruption, self.schema.d_input, seed, &self.device);
        let columns = self.score_columns();
        let batches =
            self.batches(rows, "scoring rows", move |batch| self.column_errors(batch.x, batch.observed, copies.as_ref(), &columns));
        batches.map(|batch| batch.map(|(_, errors)| errors))
    }
}

impl Detector {
    /// Learns from training rows what scores are usual, and puts the threshold where the share `contamination` of them lies above it. PCA and the
    /// mean beside it are given the same rows.
    ///
    /// # Errors
    /// A device that fails, or a file that can no longer be read.
    pub fn fit(trained: &Trained, rows: &Dataset, pca: &Pca, contamination: f64) -> Result<Self> {
        let step = rows.len().div_ceil(MOST_ROWS).max(1);
        let rows = rows.select(rows.indices().iter().copied().step_by(step).collect());
        let pca = pca.first(pca.components_for(PCA_SHARE));
        let seed = trained.config.seed;
        let width = trained.columns().len();
        let (mut errors, mut sums) = (Vec::new(), vec![(0.0, 0.0f64); width]);
        for batch in trained.each_error(&rows, seed) {
            let batch = batch?;
            for (index, error) in batch.iter().enumerate().filter(|(_, error)| !error.is_nan()) {
                let sum = &mut sums[index % width];
                *sum = (sum.0 + error, sum.1 + 1.0);
            }
            errors.extend(batch);
        }
        let means: Vec<f64> = sums.into_iter().map(|(sum, count)| sum / count.max(1.0)).collect();
        // A column that never errs, such as a pixel that is always black, would make nothing of every other: it counts as one that errs little.
        let least = (0.05 * means.iter().sum::<f64>() / width as f64).max(1e-12);
        let column_errors: Vec<f64> = means.into_iter().map(|mean| mean.max(least)).collect();
        let sorted = |mut scores: Vec<f64>| {
            scores.sort_by(f64::total_cmp);
            (0..=QUANTILES).map(|index| quantile(&scores, index as f64 / QUANTILES as f64)).collect::<Vec<_>>()
        };
        let values = rows.scaled(&trained.schema.scaling)?;
        let matrix = Matrix { values: &values, width: trained.schema.d_input };
        let mut detector = Self {
            threshold: 0.0,
            contamination,
            column_errors,
            quantiles: Vec::new(),
            pca_quantiles: sorted(pca.row_errors(matrix)),
            mean_quantiles: sorted(pca.first(0).row_errors(matrix)),
            seed,
        };
        detector.quantiles = sorted(errors.chunks_exact(width).map(|row| detector.row(row).0).collect());
        Ok(detector.with_contamination(contamination))
    }

    /// The same with the threshold where the share `contamination` of the training rows lies above it.
    pub fn with_contamination(mut self, contamination: f64) -> Self {
        self.contamination = contamination;
        self.threshold = quantile(&self.quantiles, 1.0 - contamination);
        self
    }

    /// The score of a row of column errors, and those of its columns.
    fn row<'a>(&'a self, errors: &'a [f64]) -> (f64, impl Iterator<Item = f64> + 'a) {
        let columns = || errors.iter().zip(&self.column_errors).map(|(error, unit)| error / unit);
        let (sum, count) = columns().filter(|score| !score.is_nan()).fold((0.0, 0.0f64), |(sum, count), score| (sum + score, count + 1.0));
        (sum / count.max(1.0), columns())
    }

    /// The scores of `rows`.
    ///
    /// # Errors
    /// A device that fails, or a file that can no longer be read.
    pub fn score(&self, trained: &Trained, rows: &Dataset) -> Result<Scores> {
        let mut scores = Scores::default();
        for batch in trained.each_error(rows, self.seed) {
            self.add(&batch?, &mut scores);
        }
        Ok(scores)
    }

    fn add(&self, errors: &[f64], scores: &mut Scores) {
        for row in errors.chunks_exact(self.column_errors.len()) {
            let (score, columns) = self.row(row);
            scores.rows.push(score);
            scores.columns.extend(columns);
        }
    }

    /// Whether each score is that of an anomaly.
    pub fn predict(&self, scores: &[f64]) -> Vec<bool> {
        scores.iter().map(|&score| score > self.threshold).collect()
    }

    /// The scores of `rows` as a table: `score`, `flagged` (1 if it is above the threshold, else 0) and the score of each column, behind the rows'
    /// identifiers and labels.
    pub fn table<'a>(&'a self, trained: &'a Trained, rows: &'a Dataset) -> Table<'a> {
        let columns: Vec<String> = trained.columns().into_iter().map(|column| column.name).collect();
        let names: Vec<String> =
            ["score", "flagged"].map(str::to_string).into_iter().chain(columns.iter().map(|name| format!("score_{name}"))).collect();
        let mut start = 0;
        let batches = trained.each_error(rows, self.seed).map(move |errors| {
            let mut scores = Scores::default();
            self.add(&errors?, &mut scores);
            let range = start..start + scores.rows.len();
            start = range.end;
            let flags = self.predict(&scores.rows);
            let width = self.column_errors.len();
            let values = scores.rows.iter().zip(flags).zip(scores.columns.chunks_exact(width)).flat_map(|((&score, flag), columns)| {
                [score as f32, f32::from(u8::from(flag))].into_iter().chain(columns.iter().map(|&score| score as f32))
            });
            Ok((range, values.collect()))
        });
        trained.numbers_table(rows, names, batches)
    }
}

/// How well anomalies are told from the rest, beside the baselines.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// Of the model.
    #[serde(flatten)]
    pub model: Ranking,
    /// Rows.
    pub rows: usize,
    /// Those of them that are anomalies.
    pub anomalies: usize,
    /// Scores above this are anomalies.
    pub threshold: f64,
    /// Share of the training rows that lie above it.
    pub contamination: f64,
    /// Of the squared error of PCA with components for 90% of the variance.
    pub pca: Ranking,
    /// Of the squared distance to the mean.
    pub mean: Ranking,
}

impl Detector {
    /// How well `scores` tell the rows that are not of the class `normal` from the rest, beside the baselines; none if the rows have no
    /// labels, or all are of one kind.
    ///
    /// # Errors
    /// Labels that do not know the class, or a file that can no longer be read.
    pub fn detection(&self, trained: &Trained, pca: &Pca, rows: &Dataset, scores: &Scores, normal: &str) -> Result<Option<Detection>> {
        let Some(labels) = &rows.rows().labels else { return Ok(None) };
        let classes = rows.rows().classes();
        let anomalies: Vec<bool> = rows.indices().iter().map(|&index| classes[labels[index] as usize] != normal).collect();
        let values = rows.scaled(&trained.schema.scaling)?;
        let matrix = Matrix { values: &values, width: trained.schema.d_input };
        let baseline = |pca: &Pca, quantiles: &[f64]| {
            let scores = pca.row_errors(matrix);
            Ranking::of(&scores, &anomalies, quantile(quantiles, 1.0 - self.contamination))
        };
        let parts = (
            Ranking::of(&scores.rows, &anomalies, self.threshold),
            baseline(&pca.first(pca.components_for(PCA_SHARE)), &self.pca_quantiles),
            baseline(&pca.first(0), &self.mean_quantiles),
        );
        let (Some(model), Some(pca), Some(mean)) = parts else { return Ok(None) };
        Ok(Some(Detection {
            model,
            rows: rows.len(),
            anomalies: anomalies.iter().filter(|&&anomaly| anomaly).count(),
            threshold: self.threshold,
            contamination: self.contamination,
            pca,
            mean,
        }))
    }
}

/// What the normal class is often called.
const NORMAL: [&str; 12] = ["0", "0.0", "normal", "inlier", "false", "no", "n", "good", "ok", "benign", "healthy", "regular"];

/// The normal one of `classes`: the one that is named, else the one with a name that says so. Of -1 and 1 it is 1, as scikit-learn has it.
///
/// # Errors
/// No labels, or none or several that can be told to be normal.
pub fn normal_class(named: Option<&str>, classes: &[String]) -> Result<String> {
    if let Some(name) = named {
        return Ok(name.to_string());
    }
    if classes.is_empty() {
        return Err(Error::Usage(
            "training on normal rows alone needs labels: name the column that holds them with `--label COLUMN`".to_string(),
        ));
    }
    let number = |class: &String, value: f64| class.parse() == Ok(value);
    if classes.len() == 2 && classes.iter().any(|class| number(class, -1.0)) && classes.iter().any(|class| number(class, 1.0)) {
        return Ok(classes.iter().find(|class| number(class, 1.0)).expect("it was just seen").clone());
    }
    let candidates: Vec<&String> = classes.iter().filter(|class| NORMAL.contains(&class.to_lowercase().as_str())).collect();
    match candidates.as_slice() {
        [one] if classes.len() <= 2 => Ok((*one).clone()),
        _ => {
            let shown: Vec<String> = classes.iter().take(12).map(|class| format!("`{class}`")).collect();
            Err(Error::Usage(format!("which class is the normal one? It is one of {}: name it with `--normal CLASS`", shown.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_normal_class_is_known_by_its_name_or_asked_for() {
        let find = |classes: &[&str]| normal_class(None, &classes.iter().map(|class| class.to_string()).collect::<Vec<_>>());
        assert_eq!(find(&["0", "1"]).unwrap(), "0");
        assert_eq!(find(&["-1", "1"]).unwrap(), "1");
        assert_eq!(find(&["fraud", "Normal"]).unwrap(), "Normal");
        assert!(find(&["0", "1", "2"]).unwrap_err().to_string().contains("--normal"));
        assert!(find(&[]).unwrap_err().to_string().contains("--label"));
    }

    #[test]
    fn copies_are_what_the_corruption_makes_of_a_row() {
        let device = Device::default();
        let corruption = Corruption {
            gaussian: Some(ae_model::corruption::Gaussian::new(0.5)),
            masking: Some(ae_model::corruption::Masking { rate: 0.4, rate_max: 0.0 }),
            ..Corruption::default()
        };
        let copies = Copies::draw(&corruption, 3, 7, &device).unwrap();
        let x = Tensor::<2>::from_floats([[1.0, -2.0, 0.5]], &device).repeat_dim(0, COPIES);
        device.seed(7);
        let direct = corruption.apply(x.clone(), None);
        let difference = (x * copies.factor + copies.offset - direct.x).abs().max().into_scalar::<f32>();
        assert!(difference < 1e-5, "{difference}");
        copies.visible.unwrap().into_data().assert_eq(&direct.visible.unwrap().into_data(), true);
    }
}
