//! Batch top-k: the `k B` largest values of a batch of `B` rows are kept, so that `k` units are active in a row on
//! average, and rows differ in how many they need (Bussmann et al. 2024).
//!
//! After training there is no batch to compare with. A unit is then active where `z_j`, or `z_j |d_j|` with the atoms
//! of a [dictionary](crate::network::dictionary), is greater than one threshold. During training that is a running
//! average of the smallest value kept in a batch, which need not leave `k` units active on other rows. So the threshold
//! is [calibrated](crate::Code::calibrate) when training is over: it is the value above which `k` units are active on
//! average over rows that the model was not trained on.

use ae_kernels::{Rule, Sparse};
use burn::{
    module::{Flag, Module, Param, RunningState},
    serde::{Deserialize, Serialize},
    tensor::{DType, Device, Tensor},
};
use schemars::JsonSchema;

use super::{
    AnyCode, CodeSettings, Plain,
    selection::{annealed, check_annealed, scores, selected, selected_jvp},
    top_k::SPARSE,
};
use crate::{Activation, Code, ConfigError, Latent, Settings};

/// Weight of a batch in the running average of the threshold.
const MOMENTUM: f64 = 0.01;
/// How many times as many values as are active are kept in a calibration, before all rows are known.
const SPARE: usize = 4;

/// Batch top-k: the `k B` largest values of a batch of `B` rows are kept, the others are 0 (Bussmann et al. 2024).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "burn::serde", default, deny_unknown_fields)]
pub struct BatchTopKConfig {
    /// Number of units that a row keeps on average, greater than 0 and at most the width of the code; it may have a
    /// fraction. Default: 32.
    pub k: f64,
    /// Number of units kept at the start of training, from which it decreases linearly to `k`; `k` up to the width of
    /// the code, or 0 for always `k`. Default: 0.
    pub k_start: f64,
    /// Fraction of the training after which `k` is reached, in `(0, 1]`. Default: 0.5.
    pub anneal: f64,
}

crate::macros::setters! {
    BatchTopKConfig {
        with_k_start(k_start: f64),
        with_anneal(anneal: f64),
    }
}

impl BatchTopKConfig {
    /// A code of which a row keeps `k` units on average, greater than 0 and at most the width of the code.
    pub fn new(k: f64) -> Self {
        Self { k, ..Self::default() }
    }

    /// The code, for `d_code` units. It keeps `k` units in training too, until [`Code::after_step`] is called.
    pub fn init(&self, _d_code: usize, device: &Device) -> BatchTopK {
        let unset = || RunningState::new(Tensor::zeros([1], &device.clone().inner()));
        BatchTopK {
            training: Param::from_bool(true),
            running: unset(),
            calibrated: unset(),
            k: self.k,
            k_start: self.k_start.max(self.k),
            anneal: self.anneal,
            k_training: self.k,
        }
    }
}

impl Default for BatchTopKConfig {
    fn default() -> Self {
        Self { k: 32.0, k_start: 0.0, anneal: 0.5 }
    }
}

impl Settings for BatchTopKConfig {
    const NAME: &'static str = "batch_top_k";
}

impl CodeSettings for BatchTopKConfig {
    fn check(&self, d_code: usize) -> Result<(), ConfigError> {
        check_annealed([self.k, self.k_start, self.anneal], "greater than 0, up", d_code)
    }

    fn activation(&self) -> Activation {
        Activation::Relu
    }

    fn fixes_activity(&self) -> bool {
        true
    }

    fn compares_rows(&self) -> bool {
        true
    }

    fn reads_rows(&self) -> bool {
        true
    }

    fn build(&self, d_code: usize, device: &Device) -> AnyCode {
        AnyCode::new(self.init(d_code, device))
    }
}

/// Keeps the `k B` largest values of a batch in training, and those above a threshold afterwards.
#[derive(Module, Debug)]
pub struct BatchTopK {
    /// Whether the units of a batch compete in training; off in a frozen part of a model, which uses the threshold.
    pub training: Param<Flag>,
    /// Running average of the smallest positive value kept in a batch, `[1]`; 0 before the first.
    pub running: RunningState<Tensor<1>>,
    /// The calibrated threshold, `[1]`; 0 before the calibration.
    pub calibrated: RunningState<Tensor<1>>,
    /// Units kept in a row on average after training.
    #[module(skip)]
    pub k: f64,
    /// Units kept at the start of training.
    #[module(skip)]
    pub k_start: f64,
    /// Fraction of the training after which `k` is reached.
    #[module(skip)]
    pub anneal: f64,
    /// Units currently kept in training.
    #[module(skip)]
    pub k_training: f64,
}

impl Code for BatchTopK {
    fn forward(&self, z: Tensor<2>) -> Latent {
        self.selected(z, None)
    }

    fn forward_by(&self, z: Tensor<2>, lengths: &Tensor<1>) -> Latent {
        self.selected(z, Some(lengths))
    }

    fn given(&self, h: Tensor<2>) -> Latent {
        let few = self.k as usize * SPARSE <= h.dims()[1];
        // The number of active units is an average: single rows have more.
        let sparse = if few { Sparse::of(&h, self.k as usize * SPARSE / 2 + 1) } else { None };
        Latent { sparse, ..h.into() }
    }

    fn jvp(&self, z: Tensor<2>, t: Tensor<2>) -> Option<(Tensor<2>, Tensor<2>)> {
        Some(selected_jvp(z, t, self.above(), None, Activation::Relu))
    }

    fn jvp_by(&self, z: Tensor<2>, t: Tensor<2>, lengths: &Tensor<1>) -> Option<(Tensor<2>, Tensor<2>)> {
        Some(selected_jvp(z, t, self.above(), Some(lengths), Activation::Relu))
    }

    fn is_diagonal(&self) -> bool {
        true
    }

    fn activation(&self) -> Activation {
        Activation::Relu
    }

    fn after_step(&mut self, progress: f64) {
        self.k_training = annealed(self.k_start, self.k, self.anneal, progress);
    }

    fn calibrate(&mut self, scores: &mut dyn Iterator<Item = Tensor<2>>) -> Option<String> {
        let (mut rows, mut largest, mut left_out) = (0, Vec::new(), 0.0f32);
        let descending = |a: &f32, b: &f32| b.total_cmp(a);
        for scores in scores {
            rows += scores.dims()[0];
            let spare = ((self.k * rows as f64).ceil() as usize + 1) * SPARE;
            // What is not above a value that was left out would be left out, too.
            let values = scores.cast(DType::F32).into_data();
            let values = values.as_slice::<f32>().expect("the scores were cast to f32");
            largest.extend(values.iter().copied().filter(|score| *score > left_out));
            if largest.len() > spare {
                left_out = left_out.max(*largest.select_nth_unstable_by(spare, descending).1);
                largest.truncate(spare);
            }
        }
        let wanted = (self.k * rows as f64).round() as usize;
        if wanted == 0 {
            return None;
        }
        // Between the last value that is active and the first that is not.
        let threshold = match wanted < largest.len() {
            true => {
                let (before, first, _) = largest.select_nth_unstable_by(wanted, descending);
                let last = before.iter().copied().fold(f32::INFINITY, f32::min);
                // The middle of two neighbors rounds to one of them, and must not be the larger.
                let middle = *first + (last - *first) / 2.0;
                if middle < last { middle } else { *first }
            }
            false => f32::MIN_POSITIVE,
        };
        // Below the values that were left out it is not known how many are active.
        let threshold = threshold.max(left_out);
        let active = largest.iter().filter(|score| **score > threshold).count() as f64 / rows as f64;
        let device = self.calibrated.value_sync().device();
        let running = self.running.value_sync().into_scalar::<f32>();
        self.calibrated = RunningState::new(Tensor::from_floats([threshold], &device));
        Some(format!(
            "a unit is active above {threshold:.4}, calibrated for k = {}: on {rows} held-out rows {active:.2} units \
             are active on average (the running average of training was {running:.4})",
            self.k
        ))
    }

    fn plain(&self) -> Option<Plain> {
        Some(Plain::Above(Box::new(Tensor::from_floats([self.threshold()], &Device::default()))))
    }
}

impl BatchTopK {
    /// The threshold above which a unit is active after training: the calibrated one, or else the running average.
    pub fn threshold(&self) -> f32 {
        let of = |state: &RunningState<Tensor<1>>| state.value_sync().into_scalar::<f32>();
        let calibrated = of(&self.calibrated);
        if calibrated > 0.0 { calibrated } else { of(&self.running) }
    }

    fn is_training(&self, z: &Tensor<2>) -> bool {
        self.training.is_enabled() && z.device().is_autodiff() && z.dims()[0] > 0
    }

    /// The rule after training.
    fn above(&self) -> Rule {
        Rule::Above(self.threshold().max(0.0))
    }

    /// The code, of units that are compared by the lengths of their atoms, if given.
    fn selected(&self, z: Tensor<2>, lengths: Option<&Tensor<1>>) -> Latent {
        if !self.is_training(&z) {
            return selected(z, self.above(), lengths, Activation::Relu, true);
        }
        let [rows, width] = z.dims();
        let count = ((self.k_training * rows as f64).round() as usize).clamp(1, rows * width);
        let latent = selected(z, Rule::LargestOfAll(count), lengths, Activation::Relu, true);
        let least = match &latent.sparse {
            Some(h) => {
                h.least_positive(lengths).map(|least| Tensor::from_floats([least], &latent.code.device().inner()))
            }
            None => Some(smallest(&latent.code, lengths)),
        };
        least.into_iter().for_each(|least| self.observe(least));
        latent
    }

    /// Adds the smallest positive value kept in a batch to the running average, which starts at the first.
    fn observe(&self, least: Tensor<1>) {
        let running = self.running.value_sync().to_device(&least.device()).cast(least.dtype());
        // Without a positive value there is nothing to average.
        let none = least.clone().is_finite().bool_not();
        let first = running.clone().lower_equal_elem(0.0);
        let average = running.clone() + (least.clone() - running.clone()).mul_scalar(MOMENTUM);
        let next = average.mask_where(first, least).mask_where(none, running);
        self.running.update(next.detach());
        // A record has only what was synchronized.
        self.running.value_sync();
    }
}

/// The smallest positive score of a code, `[1]`; infinite if there is none.
fn smallest(h: &Tensor<2>, lengths: Option<&Tensor<1>>) -> Tensor<1> {
    let scores = scores(h, lengths);
    let inactive = scores.clone().lower_equal_elem(0.0);
    scores.mask_fill(inactive, f32::INFINITY).min()
}
