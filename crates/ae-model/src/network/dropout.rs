//! Dropout (Srivastava et al. 2014).

use burn::{
    nn::{Dropout, DropoutConfig},
    tensor::Tensor,
};

use crate::ConfigError;

/// Checks that `dropout` is a fraction less than 1.
pub(super) fn check_dropout(dropout: f64) -> Result<(), ConfigError> {
    if (0.0..1.0).contains(&dropout) {
        return Ok(());
    }
    Err(ConfigError::new("dropout", dropout, "at least 0 and less than 1"))
}

/// Dropout of this fraction of the units; `None` for 0.
pub(super) fn dropout(share: f64) -> Option<Dropout> {
    (share > 0.0).then(|| DropoutConfig::new(share).init())
}

/// Burn's dropout of `x`, with random numbers that [`ae_kernels::seeded`] controls. Burn's own come from the device's
/// generator.
pub(super) fn dropped<const D: usize>(dropout: &Dropout, x: Tensor<D>) -> Tensor<D> {
    if !dropout.training.is_enabled() || !x.device().is_autodiff() || dropout.prob == 0.0 {
        return x;
    }
    let kept = 1.0 - dropout.prob;
    let mask = ae_kernels::bernoulli_like(&x, kept).div_scalar(kept);
    x * mask
}
