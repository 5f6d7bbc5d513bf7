//! Estimates what a training needs before it starts: memory during training and during the measurements after it, and
//! disk space for checkpoints.
//!
//! Weights, gradients, moments and checkpoints follow exactly from the sizes of the network. The memory for a batch and
//! for the measurements is estimated from the largest tensors that exist at the same time, with factors measured with
//! the CPU kernels: for fifteen trainings of 0.04 to 39 million parameters, fully connected and convolutional, the sum
//! was 0.95 to 1.23 times the peak memory of the process. The estimate exists to refuse what would end hours later with
//! the system killing the program; it does not account for every byte.

mod resources;
#[cfg(test)]
mod tests;

use std::path::Path;

use ae_data::{Rows, Split, fit::SAMPLE, limit::shown, store};
use ae_model::{Inputs, Recipe, jacobian::ROWS, network::Network};
use burn::data::dataset::Dataset as _;

use crate::{
    Error, Result, anomaly, baseline,
    config::TrainingConfig,
    evaluation::{JACOBIAN_UP_TO, has_spectrum, spectrum_at_once},
    matrix,
    tensors::BATCH,
};

pub use self::resources::{available_memory, free_disk};

/// Bytes of a number in a tensor.
const NUMBER: u64 = 4;
/// Bytes that the program needs without a network, including its code.
const PROGRAM: u64 = 60 << 20;
/// Bytes that the measurements need for any network: results, their texts, the report.
const FIXED: u64 = 40 << 20;
/// Tensors of the size of a layer that exist at the same time while the Jacobian of the code is computed, in quarters:
/// values, tangents, slopes, and freed memory that has not been reused yet.
const QUARTERS: u64 = 19;
/// Copies of the Jacobian of some rows while its spectrum is computed: in parts, complete, and copied from the device.
const SPECTRUM: u64 = 3;
/// Copies of the parameters while a model is trained: the initial and the current ones.
const WEIGHTS: u64 = 2;
/// Gradients, and as much again, which was measured.
const GRADIENTS: u64 = 2;
/// Adam's running averages of the gradient and of its square.
const MOMENTS: u64 = 2;
/// Weights and moments in a checkpoint: on disk, and in memory until they are written.
const SAVED: u64 = 3;
/// Maximum number of checkpoints on disk: the best, the last three, and the one that is being written.
const KEPT: u64 = 5;
/// Bytes of a checkpoint in addition to its numbers: per layer for the names and shapes of its tensors and of their
/// moments, and once.
const OF_LAYER: u64 = 1100;
const OF_CHECKPOINT: u64 = 600;
/// Copies of the model in the run folder: Burn's record and safetensors.
const FILES: u64 = 2;
/// Share of the available memory or disk above which a warning is given.
const MUCH: f64 = 0.8;

/// The amount of work of a training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// Rows of a batch.
    pub batch_size: usize,
    /// Number of epochs.
    pub epochs: usize,
    /// Number of training rows.
    pub train: usize,
    /// Number of training and validation rows that are measured: all, or a sample if they stay in their file.
    pub measured: usize,
    /// Number of test rows that are measured.
    pub test: usize,
    /// Bytes of the rows in memory.
    pub held: u64,
}

impl Work {
    /// The work of a training with this configuration on these rows.
    pub fn new(config: &TrainingConfig, split: &Split) -> Self {
        let measured =
            |rows: usize, of: &Rows| if of.store().is_some() { rows.min((SAMPLE / of.width()).max(1)) } else { rows };
        let (train, test) = (split.train.rows(), split.test.rows());
        // Test rows belong to the same table, unless they are an official test set.
        let shared = std::ptr::eq(train, test);
        Self {
            batch_size: config.batch_size,
            epochs: config.epochs,
            train: split.train.len(),
            measured: measured(split.train.len() + split.validation.len(), train),
            test: measured(split.test.len(), test),
            held: held(train).saturating_add(if shared { 0 } else { held(test) }),
        }
    }
}

/// Bytes of `rows` and their target in memory: all of them, or the cached blocks if they stay in their file.
fn held(rows: &Rows) -> u64 {
    let all = product(&[rows.len(), rows.width(), rows.element().bytes()]);
    let own = if rows.store().is_some() { all.min(store::KEPT as u64) } else { all };
    own.saturating_add(rows.target.as_ref().map_or(0, |target| held(target)))
}

/// A product of sizes, saturating: a typing error can make it larger than any number.
fn product(sizes: &[usize]) -> u64 {
    sizes.iter().fold(1, |product: u64, &size| product.saturating_mul(size as u64))
}

/// Estimated resources of a training, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// Number of parameters of the model.
    pub parameters: usize,
    /// The current and the initial weights.
    pub weights: u64,
    /// Its gradients.
    pub gradients: u64,
    /// The optimizer's running averages.
    pub moments: u64,
    /// A checkpoint in memory until it is on disk.
    pub saving: u64,
    /// The activations of the layers for one batch, forward and backward.
    pub activations: u64,
    /// The data that stays in memory.
    pub rows: u64,
    /// The measurements after the training, and the report.
    pub measuring: u64,
    /// One checkpoint on disk.
    pub checkpoint: u64,
    /// The maximum number of checkpoints on disk.
    pub checkpoints: u64,
    /// The trained model on disk.
    pub files: u64,
    /// The setting that reduces the size of the network.
    widths: Option<&'static str>,
}

/// A saturating sum of sizes.
fn sum(parts: &[u64]) -> u64 {
    parts.iter().fold(0, |sum, &part| sum.saturating_add(part))
}

impl Estimate {
    /// The estimate for training `recipe` on rows like `inputs`.
    ///
    /// # Panics
    /// If the recipe [refuses](Recipe::check_inputs) the inputs.
    pub fn of(recipe: &Recipe, inputs: &Inputs, work: &Work) -> Self {
        let counts = recipe.counts(inputs);
        let parameters = NUMBER.saturating_mul(counts.parameters as u64);
        let layers = (counts.encoder.len() + counts.decoder.len() - 2) as u64;
        let checkpoint = (SAVED * parameters).saturating_add(OF_CHECKPOINT + OF_LAYER * layers);
        let numbers: usize = counts.encoder.iter().chain(&counts.decoder).sum();
        let batch = work.batch_size.min(work.train);
        Self {
            parameters: counts.parameters,
            weights: WEIGHTS * parameters,
            gradients: GRADIENTS * parameters,
            moments: MOMENTS * parameters,
            // The last checkpoint is written when training is over.
            saving: if work.epochs > 1 { SAVED * parameters } else { 0 },
            activations: (2 * NUMBER).saturating_mul(product(&[batch, numbers])),
            rows: work.held,
            measuring: measuring(&counts.encoder, &counts.decoder, inputs.features, recipe.code_dim, work),
            checkpoint,
            checkpoints: checkpoint.saturating_mul(KEPT.min(work.epochs as u64)),
            files: FILES * parameters,
            widths: match recipe.network {
                Network::Mlp(_) => Some("model.network.hidden"),
                Network::Conv(_) => Some("model.network.channels"),
                Network::Dictionary(_) => None,
            },
        }
    }

    /// Peak memory: of the training or of the measurements, whichever is larger, plus what is needed all the time.
    pub fn memory(&self) -> u64 {
        let training = sum(&[self.weights, self.gradients, self.moments, self.saving, self.activations]);
        let measuring = sum(&[self.weights, self.measuring]);
        sum(&[PROGRAM, self.rows, training.max(measuring)])
    }

    /// Peak disk usage.
    pub fn disk(&self) -> u64 {
        self.checkpoints.saturating_add(self.files)
    }

    /// The estimate in one line. On a GPU the memory is that of the device, which is unknown.
    pub fn describe(&self, is_gpu: bool) -> String {
        let memory = match is_gpu {
            true => "memory of the device unknown".to_string(),
            false => format!(
                "about {} of memory (weights {}, gradients {}, moments {}, a batch {}, rows {}; measuring {})",
                shown(self.memory()),
                shown(self.weights),
                shown(self.gradients),
                shown(self.moments),
                shown(self.activations),
                shown(self.rows),
                shown(self.measuring),
            ),
        };
        format!(
            "{} parameters; {memory}; up to {} of disk (a checkpoint {})",
            self.parameters,
            shown(self.disk()),
            shown(self.checkpoint)
        )
    }

    /// Checks that the training fits into the available memory (see [`available_memory`]) and disk space, as far as
    /// they are known. Returns a warning if it needs most of them. For a GPU pass no memory.
    ///
    /// # Errors
    /// A training that does not fit: what it needs, what is available, and what to reduce.
    pub fn check(&self, memory: Option<u64>, disk: Option<u64>, folder: &Path) -> Result<Option<String>> {
        let (needed, kept) = (self.memory(), self.disk());
        let of_memory = |free: u64| {
            format!("this training needs about {} of memory, and {} are available", shown(needed), shown(free))
        };
        let of_disk = |free: u64| {
            format!(
                "the checkpoints of this training need up to {} of disk space, and {} are free in {}",
                shown(kept),
                shown(free),
                folder.display()
            )
        };
        if let Some(free) = memory.filter(|&free| needed > free) {
            return Err(Error::TooLarge(format!("{}: reduce {}", of_memory(free), self.largest())));
        }
        if let Some(free) = disk.filter(|&free| kept > free) {
            let advice = "free some space, or choose another folder with `--out`";
            return Err(Error::TooLarge(format!("{}: {advice}", of_disk(free))));
        }
        let much = |needed: u64, free: &u64| needed as f64 > MUCH * *free as f64;
        let warnings = [
            memory
                .filter(|free| much(needed, free))
                .map(|free| format!("{}: reduce {} to need less", of_memory(free), self.largest())),
            disk.filter(|free| much(kept, free)).map(of_disk),
        ];
        let warnings: Vec<String> = warnings.into_iter().flatten().collect();
        Ok((!warnings.is_empty()).then(|| warnings.join("; ")))
    }

    /// The settings that determine most of the memory.
    fn largest(&self) -> String {
        let network = sum(&[self.weights, self.gradients, self.moments, self.saving]);
        let widths = match self.widths {
            Some(widths) => format!("`{widths}` or `model.code_dim`"),
            None => "`model.code_dim`".to_string(),
        };
        let parts = [
            (network.max(self.measuring.saturating_sub(FIXED)), widths.as_str()),
            (self.activations, "`training.batch_size`"),
            (self.rows, "the number of rows (`--stream` leaves the rows of some formats in their file)"),
        ];
        parts.into_iter().max_by_key(|(size, _)| *size).map(|(_, what)| what.to_string()).unwrap_or_default()
    }
}

/// Bytes needed for the measurements: the Jacobian of the code, or the rows and their principal components, and the
/// distances between rows.
fn measuring(encoder: &[usize], decoder: &[usize], features: usize, units: usize, work: &Work) -> u64 {
    let numbers = |times: u64, sizes: &[usize]| product(sizes).saturating_mul(times * NUMBER);
    let rows = work.test.min(BATCH);

    let at_once = |rows: usize| rows.saturating_mul(features).min(ROWS);
    let norm = if features <= JACOBIAN_UP_TO { at_once(rows) } else { rows };
    let has_spectrum = has_spectrum(features, units);
    let together = spectrum_at_once(features, units);
    let spectrum = if has_spectrum { at_once(together) } else { 0 };
    let tangents = numbers(QUARTERS, &[norm.max(spectrum), encoder.iter().sum()]) / 4;
    let matrix = if has_spectrum { numbers(SPECTRUM, &[together, features, units]) } else { 0 };
    let derivative = sum(&[tangents, matrix]);

    let copies = numbers(2, &[rows, encoder.iter().chain(decoder).sum()]);

    let (train, test) = (numbers(1, &[work.measured, features]), numbers(1, &[work.test, features]));
    // Some rows in double precision, their covariance, and its decomposition.
    let side = features.min(baseline::SMALL);
    let centered = train.saturating_mul(2).min(matrix::CHUNK as u64);
    let components = sum(&[train, test, centered, numbers(3 * 2, &[side, side])]);

    let distances = numbers(2, &[rows, anomaly::kept_rows(features).min(work.train)]);
    sum(&[FIXED, derivative.max(copies).max(components), distances])
}
