//! What a training will take, reckoned before it starts: memory while it trains and while it is measured, and disk for
//! its checkpoints.
//!
//! The sizes of the network give weights, gradients, moments and checkpoints exactly. What a batch and the measuring
//! take is reckoned from the largest tensors that are there at once, by factors that were measured with the CPU's
//! kernels: for fifteen trainings of 0.04 to 39 million parameters, fully connected and convolutional, the sum was 0.95
//! to 1.23 times the largest memory that the process had. It is there to refuse what would end in the system killing
//! the program, after hours; not to account for every byte.

use std::path::Path;

use ae_data::{
    Rows, Split,
    fit::SAMPLE,
    limit::{Memory, shown},
    store,
};
use ae_model::{Inputs, Recipe, jacobian::ROWS, network::Network};
use burn::data::dataset::Dataset as _;

use crate::{
    Error, Result, anomaly, baseline,
    config::TrainingConfig,
    evaluation::{BATCH, JACOBIAN_UP_TO, SPECTRUM_ROWS, has_spectrum},
};

/// Bytes of a number of a tensor.
const NUMBER: u64 = 4;
/// Bytes that the program takes without a network, its code included.
const PROGRAM: u64 = 60 << 20;
/// Bytes that measuring takes whatever the network: rows of figures, their texts, the page.
const FIXED: u64 = 40 << 20;
/// Tensors of a layer's size that are there at once while the derivative of the code is computed, in quarters: values,
/// tangents, slopes and what of them has been freed, but not yet asked for again.
const QUARTERS: u64 = 19;
/// Copies of the derivative of some rows while its spectrum is computed: in parts, whole, and off the device.
const SPECTRUM: u64 = 3;
/// Parameters' worth of memory while a model is trained: what it started from and what it is.
const WEIGHTS: u64 = 2;
/// Gradients, and as much again that was measured beside them.
const GRADIENTS: u64 = 2;
/// Adam's running averages of the gradient and of its square.
const MOMENTS: u64 = 2;
/// Weights and moments in a checkpoint: on the disk, and in memory until they are there.
const SAVED: u64 = 3;
/// Checkpoints that can be on the disk at once: the best, the last three, and the one that is being written.
const KEPT: u64 = 5;
/// Bytes of a checkpoint beside its numbers: the names and shapes of a layer's tensors and of their moments, and what
/// there is once.
const OF_LAYER: u64 = 1100;
const OF_CHECKPOINT: u64 = 600;
/// Copies of the model in the run's folder: Burn's and safetensors.
const FILES: u64 = 2;
/// Of what there is, the share above which a training is warned of.
const MUCH: f64 = 0.8;

/// What a training reads, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// Rows of a batch.
    pub batch_size: usize,
    /// Epochs in all.
    pub epochs: usize,
    /// Rows that are trained on.
    pub train: usize,
    /// Rows of the training and of the validation that are measured: all, or a sample of those that stay in their
    /// file.
    pub measured: usize,
    /// The same of the test.
    pub test: usize,
    /// Bytes that the rows take in memory.
    pub held: u64,
}

impl Work {
    /// Of a training of this configuration on these rows.
    pub fn new(config: &TrainingConfig, split: &Split) -> Self {
        let measured =
            |rows: usize, of: &Rows| if of.store().is_some() { rows.min((SAMPLE / of.width()).max(1)) } else { rows };
        let (train, test) = (split.train.rows(), split.test.rows());
        // The test is of the same table, unless it came with one of its own.
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

/// Bytes that `rows` take in memory: all of them, or the blocks that are kept of those that stay in their file.
fn held(rows: &Rows) -> u64 {
    let all = product(&[rows.len(), rows.width(), rows.element().bytes()]);
    if rows.store().is_some() { all.min(store::KEPT as u64) } else { all }
}

/// A product of sizes, which a slip of the keyboard can make larger than any number.
fn product(sizes: &[usize]) -> u64 {
    sizes.iter().fold(1, |product: u64, &size| product.saturating_mul(size as u64))
}

/// What a training will take, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// Parameters of the model.
    pub parameters: usize,
    /// The model, and what it started from.
    pub weights: u64,
    /// Its gradients.
    pub gradients: u64,
    /// The optimizer's running averages.
    pub moments: u64,
    /// What a checkpoint keeps in memory until it is on the disk.
    pub saving: u64,
    /// What the layers give for one batch, forward and backward.
    pub activations: u64,
    /// What stays in memory of the data.
    pub rows: u64,
    /// What the measuring takes that follows the training, and the page.
    pub measuring: u64,
    /// One checkpoint on the disk.
    pub checkpoint: u64,
    /// As many of them as there can be at once.
    pub checkpoints: u64,
    /// The trained model on the disk.
    pub files: u64,
    /// The setting that makes the network smaller.
    widths: &'static str,
}

/// The sum of sizes, of which none is too large.
fn sum(parts: &[u64]) -> u64 {
    parts.iter().fold(0, |sum, &part| sum.saturating_add(part))
}

impl Estimate {
    /// Of a training of `recipe` on rows like `inputs`.
    ///
    /// # Panics
    /// Inputs that the recipe [refuses](Recipe::check_inputs).
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
            // The last checkpoint is written when nothing is trained any more.
            saving: if work.epochs > 1 { SAVED * parameters } else { 0 },
            activations: (2 * NUMBER).saturating_mul(product(&[batch, numbers])),
            rows: work.held,
            measuring: measuring(&counts.encoder, &counts.decoder, inputs.features, recipe.code_dim, work),
            checkpoint,
            checkpoints: checkpoint.saturating_mul(KEPT.min(work.epochs as u64)),
            files: FILES * parameters,
            widths: match recipe.network {
                Network::Mlp(_) => "model.network.hidden",
                Network::Conv(_) => "model.network.channels",
            },
        }
    }

    /// The most memory that is taken at once: by the training or by the measuring, whichever takes more, and by what is
    /// there all the while.
    pub fn memory(&self) -> u64 {
        let training = sum(&[self.weights, self.gradients, self.moments, self.saving, self.activations]);
        let measuring = sum(&[self.weights, self.measuring]);
        sum(&[PROGRAM, self.rows, training.max(measuring)])
    }

    /// The most disk that is taken at once.
    pub fn disk(&self) -> u64 {
        self.checkpoints.saturating_add(self.files)
    }

    /// The estimate in a line. On a GPU, the memory is the device's, and unknown.
    pub fn describe(&self, is_gpu: bool) -> String {
        let memory = match is_gpu {
            true => "memory of the GPU unknown".to_string(),
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

    /// Whether it fits into the memory and the disk that are [there](available_memory), as far as they are known; a
    /// warning if it takes most of them. For a GPU leave the memory out.
    ///
    /// # Errors
    /// A training that does not fit: what it takes, what there is, and what to lower.
    pub fn check(&self, memory: Option<u64>, disk: Option<u64>, folder: &Path) -> Result<Option<String>> {
        let (needed, kept) = (self.memory(), self.disk());
        let of_memory =
            |free: u64| format!("this training takes about {} of memory, and {} are there", shown(needed), shown(free));
        let of_disk = |free: u64| {
            format!(
                "the checkpoints of this training take up to {} of disk, and {} are free in {}",
                shown(kept),
                shown(free),
                folder.display()
            )
        };
        if let Some(free) = memory.filter(|&free| needed > free) {
            return Err(Error::TooLarge(format!("{}: lower {}", of_memory(free), self.largest())));
        }
        if let Some(free) = disk.filter(|&free| kept > free) {
            return Err(Error::TooLarge(format!("{}: free some, or name another folder with `--out`", of_disk(free))));
        }
        let much = |needed: u64, free: &u64| needed as f64 > MUCH * *free as f64;
        let warnings = [
            memory
                .filter(|free| much(needed, free))
                .map(|free| format!("{}: {} would take less", of_memory(free), self.largest())),
            disk.filter(|free| much(kept, free)).map(of_disk),
        ];
        let warnings: Vec<String> = warnings.into_iter().flatten().collect();
        Ok((!warnings.is_empty()).then(|| warnings.join("; ")))
    }

    /// The settings that most of the memory hangs on.
    fn largest(&self) -> String {
        let network = sum(&[self.weights, self.gradients, self.moments, self.saving]);
        let widths = format!("`{}` or `model.code_dim`", self.widths);
        let parts = [
            (network.max(self.measuring.saturating_sub(FIXED)), widths.as_str()),
            (self.activations, "`training.batch_size`"),
            (self.rows, "the number of rows (`--stream` leaves those of some formats in their file)"),
        ];
        parts.into_iter().max_by_key(|(size, _)| *size).map(|(_, what)| what.to_string()).unwrap_or_default()
    }
}

/// Bytes that measuring takes: the derivative of the code, or the rows beside their principal components, and the
/// distances between rows.
fn measuring(encoder: &[usize], decoder: &[usize], features: usize, units: usize, work: &Work) -> u64 {
    let numbers = |times: u64, sizes: &[usize]| product(sizes).saturating_mul(times * NUMBER);
    let rows = work.test.min(BATCH);

    let at_once = |rows: usize| rows.saturating_mul(features).min(ROWS);
    let norm = if features <= JACOBIAN_UP_TO { at_once(rows) } else { rows };
    let has_spectrum = has_spectrum(features, units);
    let spectrum = if has_spectrum { at_once(SPECTRUM_ROWS) } else { 0 };
    let tangents = numbers(QUARTERS, &[norm.max(spectrum), encoder.iter().sum()]) / 4;
    let matrix = if has_spectrum { numbers(SPECTRUM, &[SPECTRUM_ROWS, features, units]) } else { 0 };
    let derivative = sum(&[tangents, matrix]);

    let copies = numbers(2, &[rows, encoder.iter().chain(decoder).sum()]);

    let (train, test) = (numbers(1, &[work.measured, features]), numbers(1, &[work.test, features]));
    // Some of them in double precision, their covariance, and what it is decomposed into.
    let side = features.min(baseline::SMALL);
    let centred = train.saturating_mul(2).min(baseline::CHUNK as u64);
    let components = sum(&[train, test, centred, numbers(3 * 2, &[side, side])]);

    let distances = numbers(2, &[rows, anomaly::kept_rows(features).min(work.train)]);
    sum(&[FIXED, derivative.max(copies).max(components), distances])
}

/// Bytes of memory that this program can have in all, with what it has already: within what the machine has free, and
/// within the limits of its control groups; none where the system does not say.
pub fn available_memory() -> Option<u64> {
    Memory::now().map(|memory| memory.free.saturating_add(memory.taken))
}

/// Bytes that are free where `path` is, or will be; none where the system does not say.
pub fn free_disk(path: &Path) -> Option<u64> {
    let path = std::path::absolute(path).ok()?;
    fs4::available_space(path.ancestors().find(|folder| folder.exists())?).ok()
}

#[cfg(test)]
mod tests {
    use ae_data::{Dataset, Values};
    use ae_model::network::{ConvConfig, MlpConfig};

    use super::*;

    const MB: u64 = 1_000_000;

    fn work() -> Work {
        Work { batch_size: 100, epochs: 20, train: 5000, measured: 6000, test: 1000, held: 784 * 7000 }
    }

    fn wide(hidden: &[usize]) -> Recipe {
        Recipe { code_dim: 30, network: MlpConfig::new().with_hidden(hidden).into(), ..Recipe::default() }
    }

    #[test]
    fn the_estimate_of_a_known_network_is_what_mathematics_says() {
        let estimate = Estimate::of(&wide(&[2000, 1000, 500]), &Inputs::unit(784), &work());
        // One way 784-2000-1000-500-30 and the other way back: the same weights, and a bias for each unit that a layer
        // gives.
        let weights = 784 * 2000 + 2000 * 1000 + 1000 * 500 + 500 * 30;
        let parameters = 2 * weights + (2000 + 1000 + 500 + 30) + (500 + 1000 + 2000 + 784);
        assert_eq!(estimate.parameters, parameters);
        let bytes = 4 * parameters as u64;
        assert_eq!((estimate.weights, estimate.gradients, estimate.moments), (2 * bytes, 2 * bytes, 2 * bytes));
        assert_eq!(estimate.saving, 3 * bytes);
        // What the encoder reads and each layer gives, and what the decoder reads: 100 rows, forward and backward.
        assert_eq!(estimate.activations, 2 * 4 * 100 * 2 * (784 + 2000 + 1000 + 500 + 30));
        assert_eq!(estimate.rows, 784 * 7000);
        assert!(estimate.checkpoint > 3 * bytes && estimate.checkpoint < 3 * bytes + 20_000, "{}", estimate.checkpoint);
        assert_eq!(estimate.checkpoints, 5 * estimate.checkpoint);
        assert_eq!(estimate.disk(), 5 * estimate.checkpoint + 2 * bytes);
        let training = 9 * bytes + estimate.activations;
        assert_eq!(estimate.memory(), PROGRAM + estimate.rows + training.max(2 * bytes + estimate.measuring));

        let short = Estimate::of(&wide(&[2000, 1000, 500]), &Inputs::unit(784), &Work { epochs: 1, ..work() });
        assert_eq!((short.saving, short.checkpoints), (0, short.checkpoint));
    }

    #[test]
    fn batches_of_more_rows_than_there_are_and_numbers_beyond_counting() {
        let of = |batch_size| Estimate::of(&wide(&[100]), &Inputs::unit(784), &Work { batch_size, ..work() });
        assert_eq!(of(5000), of(usize::MAX));
        let endless = Work {
            batch_size: usize::MAX,
            train: usize::MAX / 2,
            measured: usize::MAX,
            test: usize::MAX,
            held: u64::MAX,
            epochs: usize::MAX,
        };
        let estimate = Estimate::of(&wide(&[100]), &Inputs::unit(784), &endless);
        assert_eq!(estimate.memory(), u64::MAX);
        assert!(estimate.check(Some(8000 * MB), None, Path::new("runs")).is_err());
    }

    #[test]
    fn what_does_not_fit_is_refused_in_a_line_that_says_what_to_lower() {
        let folder = Path::new("runs/one");
        let estimate = Estimate::of(&wide(&[2000, 1000, 500]), &Inputs::unit(784), &work());
        let (memory, disk) = (estimate.memory(), estimate.disk());
        assert_eq!(estimate.check(None, None, folder).unwrap(), None);
        assert_eq!(estimate.check(Some(2 * memory), Some(2 * disk), folder).unwrap(), None);
        let warning = |memory, disk| estimate.check(memory, disk, folder).unwrap().unwrap();
        let error = |memory, disk| {
            let message = estimate.check(memory, disk, folder).unwrap_err().to_string();
            assert!(!message.contains('\n'), "{message}");
            message
        };
        assert!(warning(Some(memory * 11 / 10), None).contains("of memory"));
        assert!(warning(None, Some(disk * 11 / 10)).contains("runs/one"));
        assert!(warning(Some(memory), Some(disk)).contains("; the checkpoints"));
        assert_eq!(
            error(Some(100 * MB), None),
            format!(
                "this training takes about {} of memory, and 100 MB are there: lower `model.network.hidden` or `model.code_dim`",
                shown(memory)
            )
        );
        assert!(error(None, Some(9 * MB)).contains("9.0 MB are free in runs/one"));

        let of = |recipe: &Recipe, inputs: &Inputs, work: Work| {
            Estimate::of(recipe, inputs, &work).check(Some(MB), None, folder)
        };
        let large = Work { batch_size: 100_000, train: 100_000, ..work() };
        assert!(of(&wide(&[256]), &Inputs::unit(784), large).unwrap_err().to_string().contains("training.batch_size"));
        let many = Work { held: 9000 * MB, ..work() };
        assert!(of(&wide(&[256]), &Inputs::unit(784), many).unwrap_err().to_string().contains("--stream"));
        let conv = Recipe { network: ConvConfig::new().into(), ..Recipe::default() };
        let image = Inputs::unit(784).with_image([1, 28, 28]);
        assert!(of(&conv, &image, work()).unwrap_err().to_string().contains("model.network.channels"));
    }

    #[test]
    fn the_line_names_what_is_needed_and_of_a_gpu_the_disk_alone() {
        let estimate = Estimate::of(&wide(&[2000, 1000, 500]), &Inputs::unit(784), &work());
        let line = estimate.describe(false);
        assert!(
            line.starts_with("8173814 parameters; about ")
                && line.contains("weights 65 MB")
                && line.contains("a batch 6.9 MB"),
            "{line}"
        );
        assert!(line.contains("a checkpoint 98 MB") && !line.contains('\n'), "{line}");
        let line = estimate.describe(true);
        assert!(line.contains("memory of the GPU unknown") && line.contains("a checkpoint 98 MB"), "{line}");
        assert_eq!([9, 9 * MB + 960_000, 999 * MB, 1234 * MB].map(shown), ["9 B", "10 MB", "999 MB", "1.2 GB"]);
    }

    #[test]
    fn rows_of_one_table_are_counted_once() {
        let all = Dataset::new(Rows::new(Values::U8(vec![0; 100 * 6]), 6));
        let part = |range: std::ops::Range<usize>| all.select(range.collect());
        let split = Split { train: part(0..70), validation: part(70..80), test: part(80..100), notes: Vec::new() };
        let config = TrainingConfig { batch_size: 32, epochs: 7, ..TrainingConfig::default() };
        let work = Work::new(&config, &split);
        assert_eq!(work, Work { batch_size: 32, epochs: 7, train: 70, measured: 80, test: 20, held: 600 });
        let of_its_own = Dataset::new(Rows::new(Values::F64(vec![0.0; 10 * 6]), 6));
        let work = Work::new(&config, &Split { test: of_its_own, ..split });
        assert_eq!((work.test, work.held), (10, 600 + 480));
    }

    #[test]
    fn the_machine_says_what_it_has() {
        let place = tempfile::tempdir().unwrap();
        let free = free_disk(&place.path().join("not/there/yet")).unwrap();
        assert!(free > 0 && free_disk(Path::new("not/there")).is_some());
        if cfg!(target_os = "linux") {
            // A test binary holds some megabytes, and no machine has more than 64 TB.
            assert!((MB..64_000_000 * MB).contains(&available_memory().unwrap()));
        }
    }
}
