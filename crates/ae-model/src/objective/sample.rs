//! The rows to train on or to evaluate.

use burn::tensor::Tensor;

use crate::parts::mask_missing;

/// Rows to train on or to evaluate.
///
/// ```
/// use ae_model::Sample;
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::default();
/// let x = Tensor::<2>::from_floats([[0.5, f32::NAN]], &device);
/// let observed = x.clone().is_nan().bool_not().float();
/// let sample = Sample::from(x).with_observed(observed).with_seed(7);
/// assert!(sample.target.is_none());
/// ```
#[derive(Debug, Clone)]
pub struct Sample {
    /// The input of the network, `[batch, d_input]`.
    pub input: Tensor<2>,
    /// The target of the reconstruction, `[batch, d_output]`; the input itself if `None`.
    pub target: Option<Tensor<2>>,
    /// 1 where a value of the input is observed and 0 where it is missing, `[batch, d_input]`; all are observed if
    /// `None`. Missing values are ignored, even if `input` holds `NaN` there. If the target is the input, they do not
    /// count in the loss either.
    pub observed: Option<Tensor<2>>,
    /// Seed of the random numbers in [`Objective::evaluate`](crate::Objective::evaluate) (see
    /// [`seeded`](ae_kernels::seeded)); they come from the device's generator if `None`.
    pub seed: Option<u64>,
}

impl From<Tensor<2>> for Sample {
    fn from(input: Tensor<2>) -> Self {
        Self { input, target: None, observed: None, seed: None }
    }
}

impl Sample {
    /// Sets which values are observed.
    pub fn with_observed(mut self, observed: impl Into<Option<Tensor<2>>>) -> Self {
        self.observed = observed.into();
        self
    }

    /// Sets the seed of the sample's random numbers. `ae_data::Loader` derives it from the seed of the run, the epoch
    /// and the position of the batch.
    pub fn with_seed(mut self, seed: impl Into<Option<u64>>) -> Self {
        self.seed = seed.into();
        self
    }

    /// Runs `work` with the random numbers of this sample.
    pub(crate) fn seeded<T>(&self, work: impl FnOnce() -> T) -> T {
        match self.seed {
            Some(seed) => ae_kernels::seeded(seed, &self.input.device().inner(), work),
            None => work(),
        }
    }

    /// Sets a target other than the input: the outputs of another layer, the next row, the image in full resolution.
    pub fn with_target(mut self, target: Tensor<2>) -> Self {
        self.target = Some(target);
        self
    }
}

/// The sample with 0 where nothing was observed, so that the values there reach no loss.
pub(crate) fn clean(sample: Sample) -> Sample {
    match &sample.observed {
        Some(observed) => Sample { input: mask_missing(sample.input, observed), ..sample },
        None => sample,
    }
}
