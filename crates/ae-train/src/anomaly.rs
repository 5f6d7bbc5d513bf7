//! Anomaly scores: how badly a row is reconstructed, and how far it lies from the rows that were trained on.
//!
//! `score(x) = (E(x) / mean E + D(x) / mean D) / 2`, each part over its mean for training rows, so that a typical row
//! scores about 1:
//!
//! - `E(x) = mean over copies and columns of e_c(x~) / s_c`: `e_c` is the squared error of column `c` (summed over a
//!   category's levels) between the clean row and the reconstruction of a corrupted copy, `s_c` its mean over the
//!   training rows. A model that was trained with a corruption scores [`COPIES`] copies, corrupted as in training,
//!   which averages the error over the row's surroundings (compare Alain and Bengio 2014: a denoiser moves points
//!   towards where the data lies, by about the gradient of the log-density); any other model scores the row as it is.
//!   The noise of the copies is the same for every row, so that a row's score depends on no other row.
//! - `D(x)` is the mean Euclidean distance to the [`NEAREST`] nearest training rows, in units of the scaled data
//!   (Ramaswamy et al. 2000).
//!
//! A column's score is its part of both sums, times the number of columns: the mean over the columns is the row's
//! score. A value that training did not have counts as a level that the network gives no chance at all. A row of which
//! no value is there has no score.
//!
//! The share of the held-out rows with a score as high gives a p-value, `p = (1 + #{held-out scores >= score}) / (m +
//! 1)` (Vovk et al. 2005): of rows that come from where the held-out ones do, the share `alpha` at most has `p <=
//! alpha`, on average over the held-out rows.

use std::{cell::RefCell, ops::Range, sync::Arc};

use ae_data::{Dataset, Encoding};
use ae_model::{Corruption, Layout};
use arrow_array::{ArrayRef, Float32Array, Float64Array, StringArray};
use arrow_schema::{DataType, Field};
use burn::{
    data::dataset::Dataset as _,
    tensor::{Device, Tensor, TensorData},
};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    baseline::{Matrix, Pca},
    evaluation::numbers,
    nearest::{Reference, Search},
    ranking::Ranking,
    results::{Table, results},
    trained::Trained,
};

/// Corrupted copies that a row's error is the mean over.
pub const COPIES: usize = 16;
/// Nearest training rows that a row's distance is the mean over.
pub const NEAREST: usize = 3;
/// The neighbour whose distance is the score of the baseline.
pub const NEIGHBOUR: usize = 5;
/// Training rows that a detector keeps, at most; and values of theirs, as long as that leaves enough rows.
const MOST_ROWS: usize = 10_000;
const MOST_VALUES: usize = 1 << 20;
const LEAST_ROWS: usize = 256;
/// Held-out rows that later scores are measured by, at most.
const HELD_OUT: usize = 20_000;
/// Training rows that the units of the scores are measured on, at most.
const MEASURED: usize = 2_000;
/// Share of false alarms that the threshold allows for if nothing is said.
pub const FALSE_ALARMS: f64 = 0.05;
/// Share of the variance that the components of the PCA baseline explain.
pub const PCA_SHARE: f64 = 0.9;
/// Beyond this a squared error cannot be told from infinity in single precision.
const FAR: f32 = 1e15;

/// Training rows of this many features that a detector keeps, at most.
pub(crate) fn kept_rows(features: usize) -> usize {
    (MOST_VALUES / features).clamp(LEAST_ROWS, MOST_ROWS)
}

/// What the scores of rows like the training rows are like: what later scores are measured by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detector {
    /// Share of false alarms that the threshold allows for.
    pub false_alarms: f64,
    /// Mean squared error of each column over the training rows.
    pub column_errors: Vec<f64>,
    /// Mean of the rows' errors and of their distances over the training rows.
    pub units: [f64; 2],
    /// Scores of held-out rows, ascending: the validation rows.
    pub held_out: Vec<f64>,
    /// The same of the baselines: the distance to the fifth nearest training row, the squared error of PCA with
    /// components for 90% of the variance, the squared distance to the mean.
    pub held_out_baselines: [Vec<f64>; 3],
    /// Seed of the copies' noise.
    pub seed: u64,
    /// The training rows that others are measured by, and how far their values reach.
    #[serde(skip)]
    pub(crate) reference: Arc<Reference>,
}

/// Scores of some rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scores {
    /// One for each row: about 1 for a typical row; `NaN` for a row of which no value is there.
    pub rows: Vec<f64>,
    /// One for each row and column, row by row, `NaN` where the value is missing. Their mean over a row is the row's
    /// score.
    pub columns: Vec<f64>,
}

/// A batch of scored rows.
struct Scored {
    /// Positions of the rows in their dataset.
    range: Range<usize>,
    scores: Scores,
    /// The scores of the baselines, by baseline.
    baselines: [Vec<f64>; 3],
}

/// The corruption of each copy as what is done to each value, `x~ = factor * x + offset`, and what stays visible; each
/// `[copies, d_input]`.
struct Copies {
    factor: Tensor<2>,
    offset: Tensor<2>,
    visible: Option<Tensor<2>>,
    count: usize,
}

impl Copies {
    /// Every corruption is affine in each value once its noise is drawn: two inputs say how.
    fn draw(corruption: &Corruption, layout: &Layout, seed: u64, device: &Device) -> Option<Self> {
        if corruption.is_none() {
            return None;
        }
        let zeros = Tensor::<2>::zeros([COPIES, layout.width()], device);
        let apply = |x: Tensor<2>| ae_kernels::seeded(seed, device, || corruption.apply(x, None, Some(layout)));
        let offset = apply(zeros.clone());
        let factor = apply(zeros.ones_like()).x - offset.x.clone();
        Some(Self { factor, offset: offset.x, visible: offset.visible, count: COPIES })
    }
}

/// The parts of some rows' scores.
struct Parts {
    /// Squared error of each column of each row, row by row, mean over the copies; `NaN` where the value is missing.
    errors: Vec<f64>,
    /// Part of each column in each row's distance, row by row; they add up to it.
    distances: Vec<f64>,
    /// Distance to the fifth nearest training row.
    fifth: Vec<f64>,
}

/// What is needed to score batches of rows.
struct Scorer<'a> {
    trained: &'a Trained,
    reference: Arc<Reference>,
    search: Search,
    copies: Option<Copies>,
    /// First feature and the one behind the last, for each column.
    ranges: Vec<(usize, usize)>,
    /// Which columns are categories.
    categories: Vec<bool>,
}

impl<'a> Scorer<'a> {
    fn new(trained: &'a Trained, reference: Arc<Reference>, seed: u64) -> Self {
        let inputs = trained.schema.inputs();
        let layout = inputs.layout.clone().unwrap_or_else(|| Layout::of_numbers(inputs.features));
        let copies = Copies::draw(&trained.config.model.corruption.init(&inputs), &layout, seed, &trained.device);
        let encoding = Encoding::new(trained.columns());
        let categories = encoding
            .columns()
            .iter()
            .map(|column| column.width() > 1 || column.kind == ae_data::Kind::Category)
            .collect();
        let search = reference.search(&trained.device);
        Self { trained, reference, search, copies, ranges: encoding.ranges(), categories }
    }

    /// The parts of the scores of scaled rows, `NaN` where a value is missing. `own` are the places of the rows in the
    /// reference, if they are some of its rows.
    fn parts(&self, values: &[f32], own: Option<&[usize]>) -> Result<Parts> {
        let width = self.trained.schema.d_input;
        let shape = [values.len() / width, width];
        let tensor = |values: Vec<f32>| Tensor::<2>::from_data(TensorData::new(values, shape), &self.trained.device);
        // One absurd value is not to spoil the reconstruction of all others: the network reads what it has seen the
        // like of.
        let read_values = self.reference.within_reach(values);
        let read = tensor(read_values.iter().map(|value| if value.is_nan() { 0.0 } else { *value }).collect());
        let x = tensor(values.iter().map(|value| if value.is_nan() { 0.0 } else { value.clamp(-FAR, FAR) }).collect());
        let is_missing = values.iter().any(|value| value.is_nan());
        let observed =
            is_missing.then(|| tensor(values.iter().map(|value| f32::from(u8::from(!value.is_nan()))).collect()));
        let model = &self.trained.model;
        let error = |read: Tensor<2>, visible: Option<Tensor<2>>| {
            let r = model.reconstruct_visible(read, visible);
            ((r.clone() - x.clone()).square(), r)
        };
        let (errors, r) = match &self.copies {
            None => error(read, observed),
            Some(copies) => {
                let sum = (0..copies.count).map(|copy| {
                    let of = |tensor: &Tensor<2>| tensor.clone().slice([copy..copy + 1, 0..width]); // [1, d_input]
                    let noisy = read.clone() * of(&copies.factor) + of(&copies.offset);
                    let visible = match (&copies.visible, &observed) {
                        (None, observed) => observed.clone(),
                        (Some(visible), None) => Some(of(visible) * read.ones_like()),
                        (Some(visible), Some(observed)) => Some(of(visible) * observed.clone()),
                    };
                    error(noisy, visible)
                });
                let sum = sum.reduce(|sum, copy| (sum.0 + copy.0, sum.1 + copy.1));
                let (errors, r) = sum.ok_or_else(|| Error::Failed("no copy was drawn".to_string()))?;
                (errors.div_scalar(copies.count as f64), r.div_scalar(copies.count as f64))
            }
        };
        let (errors, r) = (numbers(errors)?, numbers(r)?);
        let columns = self.ranges.len();
        let mut by_column = Vec::with_capacity(shape[0] * columns);
        for (row, values) in values.chunks_exact(width).enumerate() {
            for (&(start, end), is_category) in self.ranges.iter().zip(&self.categories) {
                let features = row * width + start..row * width + end;
                let sum: f64 = errors[features.clone()].iter().map(|&error| f64::from(error)).sum();
                // None of the levels: what training did not have. The network gave it no chance, as if it were a level
                // of its own.
                let is_unseen = *is_category && values[start..end].iter().all(|value| *value == 0.0);
                let unseen = || 1.0 + r[features].iter().map(|&r| f64::from(r).powi(2)).sum::<f64>();
                by_column.push(if values[start].is_nan() {
                    f64::NAN
                } else if is_unseen {
                    unseen()
                } else {
                    sum
                });
            }
        }
        let near = self.reference.nearest(&self.search, values, &read_values, NEIGHBOUR, own)?;
        let mut distances = vec![0.0; shape[0] * columns];
        let mut fifth = Vec::with_capacity(shape[0]);
        for (row, (values, near)) in values.chunks_exact(width).zip(&near).enumerate() {
            fifth.push(near.last().map_or(f64::NAN, |(_, distance)| *distance));
            let nearest = &near[..near.len().min(NEAREST)];
            for (other, distance) in nearest.iter().filter(|(_, distance)| *distance > 0.0) {
                let other = self.reference.row(*other);
                let observed = values.iter().filter(|value| !value.is_nan()).count().max(1);
                // Of a row with holes the rest stands for all of it.
                let share = width as f64 / observed as f64 / (distance * nearest.len() as f64);
                for (column, &(start, end)) in self.ranges.iter().enumerate() {
                    let both = values[start..end].iter().zip(&other[start..end]).filter(|(value, _)| !value.is_nan());
                    let squares: f64 = both.map(|(value, other)| (f64::from(*value) - f64::from(*other)).powi(2)).sum();
                    distances[row * columns + column] += squares * share;
                }
            }
        }
        Ok(Parts { errors: by_column, distances, fifth })
    }
}

impl Detector {
    /// Learns from training rows what errors and distances are usual, and from `held_out` rows what scores are: rows
    /// that nothing was fitted to, such as the validation rows. PCA and the mean beside it are given the same rows.
    /// It keeps some training rows, 10,000 at most, to measure later rows by. The share of `false_alarms` becomes
    /// `1 / (m + 1)` where so few as `m` held-out rows tell no smaller one.
    ///
    /// # Errors
    /// A device that fails, or a file that can no longer be read.
    pub fn fit(trained: &Trained, train: &Dataset, held_out: &Dataset, pca: &Pca, false_alarms: f64) -> Result<Self> {
        let width = trained.schema.d_input;
        let kept = train.thin(kept_rows(width));
        let reference = Arc::new(Reference::of(kept.scaled(&trained.schema.scaling)?, width));
        let seed = trained.config.seed;
        let columns = trained.columns().len();
        let scorer = Scorer::new(trained, reference.clone(), seed);
        let measured = kept.len().div_ceil(MEASURED).max(1);
        let places: Vec<usize> = (0..kept.len()).step_by(measured).collect();
        let (mut sums, mut all, mut distances) = (vec![(0.0, 0.0f64); columns], Vec::new(), Vec::new());
        let mut progress = ae_data::progress::Progress::new("measuring the scores of training rows", places.len());
        for chunk in places.chunks(BATCH) {
            let values: Vec<f32> = chunk.iter().flat_map(|&place| reference.row(place).to_vec()).collect();
            let parts = scorer.parts(&reference.with_holes(chunk, values), Some(chunk))?;
            for (index, error) in parts.errors.iter().enumerate().filter(|(_, error)| !error.is_nan()) {
                let sum = &mut sums[index % columns];
                *sum = (sum.0 + error, sum.1 + 1.0);
            }
            distances.extend(parts.distances.chunks_exact(columns).map(|row| row.iter().sum::<f64>()));
            all.extend(parts.errors);
            progress.steps(chunk.len());
        }
        let means: Vec<f64> = sums.into_iter().map(|(sum, count)| sum / count.max(1.0)).collect();
        // A column that never errs, such as a pixel that is always black, would make nothing of every other: it counts
        // as one that errs little.
        let least = (0.05 * means.iter().sum::<f64>() / columns as f64).max(1e-12);
        let column_errors: Vec<f64> = means.into_iter().map(|mean| mean.max(least)).collect();
        let error = |row: &[f64]| {
            mean(row.iter().zip(&column_errors).map(|(error, unit)| error / unit).filter(|error| !error.is_nan()))
        };
        let unit = |values: &mut dyn Iterator<Item = f64>| {
            Some(mean(values.filter(|value| !value.is_nan()))).filter(|unit| *unit > 0.0).unwrap_or(1.0)
        };
        let units = [unit(&mut all.chunks_exact(columns).map(error)), unit(&mut distances.into_iter())];
        let mut detector = Self {
            false_alarms,
            column_errors,
            units,
            held_out: Vec::new(),
            held_out_baselines: Default::default(),
            seed,
            reference,
        };
        let held_out = held_out.thin(HELD_OUT);
        let pca = pca.first(pca.components_for(PCA_SHARE));
        let mut all: [Vec<f64>; 4] = Default::default();
        for batch in detector.scored(trained, &held_out, Some(&pca)) {
            let batch = batch?;
            let scores = std::iter::once(batch.scores.rows).chain(batch.baselines);
            all.iter_mut()
                .zip(scores)
                .for_each(|(all, scores)| all.extend(scores.into_iter().filter(|score| !score.is_nan())));
        }
        all.iter_mut().for_each(|scores| scores.sort_by(f64::total_cmp));
        let [scores, neighbours, components, mean_row] = all;
        // Few rows tell a small share from none at all only with a threshold that flags nothing.
        detector.false_alarms = false_alarms.max(1.0 / (scores.len() + 1) as f64);
        detector.held_out = scores;
        detector.held_out_baselines = [neighbours, components, mean_row];
        Ok(detector)
    }

    /// Whether it can be that of a run with so many columns.
    pub(crate) fn is_sound(&self, columns: usize) -> bool {
        let is_unit = |unit: &f64| unit.is_finite() && *unit > 0.0;
        let is_ascending = |values: &Vec<f64>| values.iter().all(|value| value.is_finite()) && values.is_sorted();
        self.false_alarms > 0.0
            && self.false_alarms <= 1.0
            && self.column_errors.len() == columns
            && self.column_errors.iter().chain(&self.units).all(is_unit)
            && std::iter::once(&self.held_out).chain(&self.held_out_baselines).all(is_ascending)
    }

    /// What it measures by, by name: what is kept to the last digit.
    pub(crate) fn numbers(&self) -> [(&'static str, &[f64]); 6] {
        let [neighbours, components, mean_row] = &self.held_out_baselines;
        [
            ("column_errors", &self.column_errors),
            ("units", &self.units),
            ("held_out", &self.held_out),
            ("held_out_neighbours", neighbours),
            ("held_out_components", components),
            ("held_out_mean", mean_row),
        ]
    }

    /// The same, to be set.
    pub(crate) fn numbers_mut(&mut self) -> [(&'static str, &mut [f64]); 6] {
        let [neighbours, components, mean_row] = &mut self.held_out_baselines;
        [
            ("column_errors", &mut self.column_errors),
            ("units", &mut self.units),
            ("held_out", &mut self.held_out),
            ("held_out_neighbours", neighbours),
            ("held_out_components", components),
            ("held_out_mean", mean_row),
        ]
    }

    /// The same with a threshold for another share of false alarms.
    pub fn with_false_alarms(self, false_alarms: f64) -> Self {
        Self { false_alarms, ..self }
    }

    /// Rows that score above this are flagged; none where the held-out rows are too few for so small a share of false
    /// alarms, so that no row is.
    pub fn threshold(&self) -> Option<f64> {
        threshold(&self.held_out, self.false_alarms)
    }

    /// The p-value of a score: the chance that a row like the held-out ones scores as high.
    pub fn p_value(&self, score: f64) -> f64 {
        match score.is_nan() {
            true => f64::NAN,
            false => {
                let below = self.held_out.partition_point(|other| *other < score);
                (1 + self.held_out.len() - below) as f64 / (self.held_out.len() + 1) as f64
            }
        }
    }

    /// The scores of `rows`.
    ///
    /// # Errors
    /// A device that fails, or a file that can no longer be read.
    pub fn score(&self, trained: &Trained, rows: &Dataset) -> Result<Scores> {
        let mut scores = Scores::default();
        for batch in self.scored(trained, rows, None) {
            let batch = batch?.scores;
            scores.rows.extend(batch.rows);
            scores.columns.extend(batch.columns);
        }
        Ok(scores)
    }

    /// The same beside the scores of the baselines: the distance to the fifth nearest training row, the squared error
    /// of PCA with components for 90% of the variance, the squared distance to the mean.
    ///
    /// # Errors
    /// As [`score`](Self::score).
    pub fn score_beside(&self, trained: &Trained, rows: &Dataset, pca: &Pca) -> Result<(Scores, [Vec<f64>; 3])> {
        let (mut scores, mut baselines) = (Scores::default(), <[Vec<f64>; 3]>::default());
        let pca = pca.first(pca.components_for(PCA_SHARE));
        for batch in self.scored(trained, rows, Some(&pca)) {
            let batch = batch?;
            scores.rows.extend(batch.scores.rows);
            scores.columns.extend(batch.scores.columns);
            baselines.iter_mut().zip(batch.baselines).for_each(|(all, batch)| all.extend(batch));
        }
        Ok((scores, baselines))
    }

    /// How well the scores of some rows, the model's and those of the three baselines, tell the `anomalies` among them
    /// from the rest; none without both kinds.
    pub fn detection_of(&self, scores: &[Vec<f64>; 4], anomalies: &[bool]) -> Option<Detection> {
        let all = std::iter::once(&self.held_out).chain(&self.held_out_baselines);
        let mut rankings = scores.iter().zip(all).map(|(scores, held_out)| {
            let threshold = threshold(held_out, self.false_alarms).unwrap_or(f64::INFINITY);
            Ranking::of(scores, anomalies, threshold)
        });
        let mut next = || rankings.next().flatten();
        Some(Detection {
            model: next()?,
            neighbours: next()?,
            pca: next()?,
            mean: next()?,
            anomalies: anomalies.iter().filter(|anomaly| **anomaly).count(),
            labelled: anomalies.len(),
        })
    }

    /// The scores of rows in batches; with a PCA those of the baselines, too.
    fn scored<'a>(
        &'a self,
        trained: &'a Trained,
        rows: &'a Dataset,
        pca: Option<&'a Pca>,
    ) -> impl Iterator<Item = Result<Scored>> + use<'a> {
        let width = trained.schema.d_input;
        let scorer = Scorer::new(trained, self.reference.clone(), self.seed);
        let mean_row = pca.map(|pca| pca.first(0));
        let mut progress = ae_data::progress::Progress::new("scoring rows", rows.len());
        (0..rows.len()).step_by(BATCH).map(move |start| {
            let range = start..rows.len().min(start + BATCH);
            let values = rows.select(rows.indices()[range.clone()].to_vec()).scaled(&trained.schema.scaling)?;
            let parts = scorer.parts(&values, None)?;
            let mut scores = Scores::default();
            let columns = self.column_errors.len();
            for (errors, distances) in parts.errors.chunks_exact(columns).zip(parts.distances.chunks_exact(columns)) {
                self.add(errors, distances, &mut scores);
            }
            let baselines = match (pca, &mean_row) {
                (Some(pca), Some(mean_row)) => {
                    let matrix = Matrix { values: &values, width };
                    [parts.fifth, pca.row_errors(matrix), mean_row.row_errors(matrix)]
                }
                _ => Default::default(),
            };
            progress.steps(range.len());
            Ok(Scored { range, scores, baselines })
        })
    }

    /// Adds the score of a row and those of its columns.
    fn add(&self, errors: &[f64], distances: &[f64], scores: &mut Scores) {
        let observed = errors.iter().filter(|error| !error.is_nan()).count() as f64;
        let columns = errors.iter().zip(&self.column_errors).zip(distances).map(|((error, unit), distance)| {
            0.5 * (error / unit / self.units[0] + distance * observed / self.units[1])
        });
        let before = scores.columns.len();
        scores.columns.extend(columns);
        let sum: f64 = scores.columns[before..].iter().filter(|score| !score.is_nan()).sum();
        scores.rows.push(if observed > 0.0 { sum / observed } else { f64::NAN });
    }

    /// Whether each score is that of an anomaly.
    pub fn predict(&self, scores: &[f64]) -> Vec<bool> {
        let threshold = self.threshold();
        scores.iter().map(|&score| threshold.is_some_and(|threshold| score > threshold)).collect()
    }

    /// The scores of `rows` as a table: `score`, `p_value`, `flagged` (1 if the score is above the threshold, else 0)
    /// and the score of each column, or names and scores of the `top` columns that score highest, behind the rows'
    /// identifiers and labels. What is counted on the way is added to `tally`.
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
            let scores = &batch.scores;
            let width = columns.len();
            let some = |score: f64| (!score.is_nan()).then_some(score.min(f64::from(f32::MAX)) as f32);
            let flag = |score: &f64| {
                (!score.is_nan()).then(|| f32::from(u8::from(threshold.is_some_and(|threshold| *score > threshold))))
            };
            let p_value = |score: &f64| Some(self.p_value(*score)).filter(|p| !p.is_nan());
            let mut arrays: Vec<ArrayRef> = vec![
                Arc::new(scores.rows.iter().map(|score| some(*score)).collect::<Float32Array>()),
                Arc::new(scores.rows.iter().map(p_value).collect::<Float64Array>()),
                Arc::new(scores.rows.iter().map(flag).collect::<Float32Array>()),
            ];
            match top {
                None => arrays.extend((0..width).map(|column| {
                    Arc::new(
                        scores
                            .columns
                            .iter()
                            .skip(column)
                            .step_by(width)
                            .map(|score| some(*score))
                            .collect::<Float32Array>(),
                    ) as ArrayRef
                })),
                Some(top) => {
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
                    for place in 0..top.min(width) {
                        let names = orders.iter().map(|order| order.get(place).map(|&column| columns[column].as_str()));
                        let values = orders.iter().enumerate().map(|(row, order)| {
                            order
                                .get(place)
                                .map(|column| scores.columns[row * width + column].min(f64::from(f32::MAX)) as f32)
                        });
                        arrays.push(Arc::new(names.collect::<StringArray>()));
                        arrays.push(Arc::new(values.collect::<Float32Array>()));
                    }
                }
            }
            Ok((batch.range, arrays))
        });
        results(rows, fields, made)
    }

    /// How well scores tell the rows that are not of the class `normal` from the rest, beside the baselines; none if
    /// the rows have no labels, or all are of one kind.
    ///
    /// # Errors
    /// A device that fails, or a file that can no longer be read.
    pub fn detection(&self, trained: &Trained, pca: &Pca, rows: &Dataset, normal: &str) -> Result<Option<Detection>> {
        let pca = pca.first(pca.components_for(PCA_SHARE));
        let mut tally = Tally::new(Some((&pca, normal)));
        for batch in self.scored(trained, rows, Some(&pca)) {
            tally.add(&batch?, rows, self.threshold());
        }
        Ok(tally.detection(self))
    }
}

/// Rows that are scored at a time.
const BATCH: usize = 1024;

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0f64), |(sum, count), value| (sum + value, count + 1.0));
    sum / count.max(1.0)
}

/// The score above which the share `alpha` of rows like the `held_out` ones (ascending) lies at most; none where they
/// are too few for that.
fn threshold(held_out: &[f64], alpha: f64) -> Option<f64> {
    // A share such as .1 of 9 + 1 is one row, whatever rounding makes of it.
    let above = ((held_out.len() + 1) as f64 * alpha + 1e-9).floor() as usize;
    (above > 0).then(|| held_out.get(held_out.len() - above.min(held_out.len())).copied()).flatten()
}

/// What is counted while rows are scored: it does not grow with the rows unless they have labels.
#[derive(Debug, Default)]
pub struct Tally<'a> {
    /// Rows.
    pub rows: usize,
    /// Those of them that score above the threshold.
    pub flagged: usize,
    /// Those of them of which no value is there, so that they have no score.
    pub without: usize,
    labels: Option<Labels<'a>>,
}

/// Scores of labelled rows.
#[derive(Debug)]
struct Labels<'a> {
    pca: &'a Pca,
    normal: String,
    anomalies: Vec<bool>,
    /// Of the model and of the baselines.
    scores: [Vec<f64>; 4],
}

impl<'a> Tally<'a> {
    /// Nothing counted yet. With principal components (those that the baseline has) and the name of the normal class,
    /// scores are kept to be ranked.
    pub fn new(labels: Option<(&'a Pca, &str)>) -> Self {
        let labels = labels.map(|(pca, normal)| Labels {
            pca,
            normal: normal.to_string(),
            anomalies: Vec::new(),
            scores: Default::default(),
        });
        Self { labels, ..Self::default() }
    }

    fn add(&mut self, batch: &Scored, rows: &Dataset, threshold: Option<f64>) {
        let scores = &batch.scores.rows;
        self.rows += scores.len();
        self.without += scores.iter().filter(|score| score.is_nan()).count();
        self.flagged += scores.iter().filter(|score| threshold.is_some_and(|threshold| **score > threshold)).count();
        let Some(labels) = &mut self.labels else { return };
        let classes = rows.rows().classes();
        for (index, &row) in rows.indices()[batch.range.clone()].iter().enumerate() {
            // A row without a label, or without a score, tells nothing.
            let Some(label) = rows.rows().label(row).filter(|_| !scores[index].is_nan()) else { continue };
            labels.anomalies.push(classes[label as usize] != labels.normal);
            let all = std::iter::once(&batch.scores.rows).chain(&batch.baselines);
            labels.scores.iter_mut().zip(all).for_each(|(kept, scores)| kept.push(scores[index]));
        }
    }

    /// How well the scores tell anomalies from the rest; none without labels of both kinds.
    pub fn detection(&self, detector: &Detector) -> Option<Detection> {
        let labels = self.labels.as_ref()?;
        detector.detection_of(&labels.scores, &labels.anomalies)
    }
}

/// How well anomalies are told from the rest, beside the baselines.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// Of the model.
    #[serde(flatten)]
    pub model: Ranking,
    /// Of the distance to the fifth nearest training row.
    pub neighbours: Ranking,
    /// Of the squared error of PCA with components for 90% of the variance.
    pub pca: Ranking,
    /// Of the squared distance to the mean.
    pub mean: Ranking,
    /// Rows with a label.
    pub labelled: usize,
    /// Those of them that are anomalies.
    pub anomalies: usize,
}

/// What the normal class is often called.
const NORMAL: [&str; 12] =
    ["0", "0.0", "normal", "inlier", "false", "no", "n", "good", "ok", "benign", "healthy", "regular"];

/// The normal one of `classes`: the one that is named, else the one with a name that says so. Of -1 and 1 it is 1, as
/// scikit-learn has it.
///
/// # Errors
/// No labels, or none or several that can be told to be normal.
pub fn normal_class(named: Option<&str>, classes: &[String]) -> Result<String> {
    if let Some(name) = named {
        return Ok(name.to_string());
    }
    if classes.is_empty() {
        return Err(Error::Usage(
            "training on normal rows alone needs labels: name the column of a table that holds them with `--label COLUMN`; beside an array `x` \
             they are the array `y`"
                .to_string(),
        ));
    }
    let number = |class: &String, value: f64| class.parse() == Ok(value);
    if classes.len() == 2
        && classes.iter().any(|class| number(class, -1.0))
        && classes.iter().any(|class| number(class, 1.0))
    {
        return Ok(classes.iter().find(|class| number(class, 1.0)).expect("it was just seen").clone());
    }
    let candidates: Vec<&String> =
        classes.iter().filter(|class| NORMAL.contains(&class.to_lowercase().as_str())).collect();
    match candidates.as_slice() {
        [one] if classes.len() <= 2 => Ok((*one).clone()),
        _ => {
            let shown: Vec<String> = classes.iter().take(12).map(|class| format!("`{class}`")).collect();
            Err(Error::Usage(format!(
                "which class is the normal one? It is one of {}: name it with `--normal CLASS`",
                shown.join(", ")
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ae_model::{
        Inputs,
        corruption::{CorruptionConfig, GaussianConfig, Masking, SaltAndPepper},
    };

    #[test]
    fn the_normal_class_is_known_by_its_name_or_asked_for() {
        let find =
            |classes: &[&str]| normal_class(None, &classes.iter().map(|class| class.to_string()).collect::<Vec<_>>());
        assert_eq!(find(&["0", "1"]).unwrap(), "0");
        assert_eq!(find(&["-1", "1"]).unwrap(), "1");
        assert_eq!(find(&["fraud", "Normal"]).unwrap(), "Normal");
        assert!(find(&["0", "1", "2"]).unwrap_err().to_string().contains("--normal"));
        assert!(find(&[]).unwrap_err().to_string().contains("--label"));
    }

    #[test]
    fn copies_are_what_the_corruption_makes_of_a_row() {
        let device = Device::default();
        let corruption = CorruptionConfig::from(GaussianConfig::new(0.5))
            .with(SaltAndPepper { rate: 0.3, ..SaltAndPepper::default() })
            .with(Masking { rate: 0.4, rate_max: 0.0 });
        // A number, a truth value and a category of three levels.
        let layout = Layout { numbers: 1, booleans: 1, categories: vec![3] };
        let corruption = corruption.init(&Inputs::real(5));
        let copies = Copies::draw(&corruption, &layout, 7, &device).unwrap();
        let x = Tensor::<2>::from_floats([[-2.0, 1.0, 0.0, 0.0, 1.0]], &device).repeat_dim(0, COPIES);
        let direct = ae_kernels::seeded(7, &device, || corruption.apply(x.clone(), None, Some(&layout)));
        let difference = (x * copies.factor + copies.offset - direct.x).abs().max().into_scalar::<f32>();
        assert!(difference < 1e-5, "{difference}");
        copies.visible.unwrap().into_data().assert_eq(&direct.visible.unwrap().into_data(), true);
    }

    #[test]
    fn p_values_keep_their_promise_on_exchangeable_rows() {
        // Ranks of a value among 99 others, of all that are drawn alike: p <= alpha in the share alpha of cases.
        let mut state = 7u64;
        let mut draw = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) as f64 / (1u64 << 31) as f64).powi(3)
        };
        for (count, alpha, expected) in
            [(99, 0.05, 0.05), (200, 0.01, 2.0 / 201.0), (200, 0.1, 20.0 / 201.0), (50, 0.01, 0.0)]
        {
            let (mut alarms, mut by_p, repeats) = (0, 0, 4000);
            for _ in 0..repeats {
                let mut held_out: Vec<f64> = (0..count).map(|_| draw()).collect();
                held_out.sort_by(f64::total_cmp);
                let detector = Detector {
                    false_alarms: alpha,
                    column_errors: vec![1.0],
                    units: [1.0; 2],
                    held_out,
                    held_out_baselines: Default::default(),
                    seed: 0,
                    reference: Arc::default(),
                };
                let score = draw();
                let flagged = detector.predict(&[score])[0];
                alarms += usize::from(flagged);
                by_p += usize::from(detector.p_value(score) <= alpha + 1e-12);
            }
            assert_eq!(alarms, by_p, "flagged is p <= alpha");
            let rate = alarms as f64 / repeats as f64;
            // Four standard errors.
            assert!(
                (rate - expected).abs() <= 4.0 * (expected * (1.0 - expected) / repeats as f64).sqrt(),
                "{count}, {alpha}: {rate}"
            );
        }
    }
}
