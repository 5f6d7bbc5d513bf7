//! What the codes that select units share: the selection itself, and a number of units that falls during training.

use ae_kernels::{Rule, Sparse};
use burn::tensor::{Bool, IndexingUpdateOp, Tensor};

use crate::{Activation, ConfigError, Latent, precision::indicator};

/// `phi` of the units of `z` (`[batch, d_code]`) that `rule` selects, and 0 elsewhere, compared by `z` times the
/// `lengths` (`[d_code]`) if given: in sparse form where `is_few` and there is a kernel.
pub(super) fn selected(
    z: Tensor<2>,
    rule: Rule,
    lengths: Option<&Tensor<1>>,
    activation: Activation,
    is_few: bool,
) -> Latent {
    // `None` for activations that are not monotonic; for the others the largest `z` have the largest `phi(z)`.
    if is_few && let Some(h) = Sparse::select(&z, rule, lengths, None, activation.kernel()) {
        drop(z); // the widest tensor of all: its memory becomes the code's
        return h.into();
    }
    let y = activation.forward(z);
    let kept = kept(&y, rule, lengths, None);
    (y * kept).into()
}

/// As [`selected`], with the derivative along the tangent `t`.
pub(super) fn selected_jvp(
    z: Tensor<2>,
    t: Tensor<2>,
    rule: Rule,
    lengths: Option<&Tensor<1>>,
    activation: Activation,
) -> (Tensor<2>, Tensor<2>) {
    let (y, t) = activation.jvp(z, t);
    let kept = kept(&y, rule, lengths, None);
    (y * kept.clone(), t * kept)
}

/// 1 for the values of `y` that `rule` selects and 0 for the others, a constant with respect to `y`. If several values
/// tie for the last place, only as many as fit are kept. Where `excluded` is true nothing is selected.
pub(crate) fn kept(
    y: &Tensor<2>,
    rule: Rule,
    lengths: Option<&Tensor<1>>,
    excluded: Option<Tensor<2, Bool>>,
) -> Tensor<2> {
    // Without autodiff, which would sort on the host and copy the values from a GPU.
    let scores = scores(y, lengths);
    let scores = match excluded {
        Some(excluded) => scores.mask_fill(excluded, f32::NEG_INFINITY),
        None => scores,
    };
    let largest = |scores: Tensor<2>, count: usize| {
        let (values, indices) = scores.clone().topk_with_indices(count, 1);
        scores.zeros_like().scatter(1, indices, values.ones_like(), IndexingUpdateOp::Add)
    };
    let [rows, width] = scores.dims();
    match rule {
        Rule::Largest(k) => largest(scores, k),
        Rule::LargestOfAll(count) => largest(scores.reshape([1, rows * width]), count).reshape([rows, width]),
        Rule::Above(threshold) => indicator(scores.clone().greater_elem(threshold), &scores),
    }
}

/// `y` times the lengths, if given, without autodiff.
pub(super) fn scores(y: &Tensor<2>, lengths: Option<&Tensor<1>>) -> Tensor<2> {
    let y = y.clone().without_autodiff();
    match lengths {
        Some(lengths) => y * lengths.clone().without_autodiff().unsqueeze::<2>(),
        None => y,
    }
}

/// A number of units that falls linearly from `from` to `to` over the fraction `over` of the training, when the
/// fraction `progress` is done. It is always `to` if that is not less than `from`.
pub(super) fn annealed(from: f64, to: f64, over: f64, progress: f64) -> f64 {
    to + (from - to).max(0.0) * (1.0 - (progress / over).min(1.0))
}

/// Checks `k`, `k_start` and `anneal` of a code of `d_code` units, of which `least` may be active at the least.
pub(super) fn check_annealed([k, k_start, anneal]: [f64; 3], least: &str, d_code: usize) -> Result<(), ConfigError> {
    let most = d_code as f64;
    if !(k > 0.0 && k <= most) {
        return Err(ConfigError::new("k", k, format!("{least} to the width of the code, which is {d_code}")));
    }
    if k_start != 0.0 && !(k_start >= k && k_start <= most) {
        let allowed = format!("0 (no annealing), or `k` ({k}) to the width of the code ({d_code})");
        return Err(ConfigError::new("k_start", k_start, allowed));
    }
    if anneal > 0.0 && anneal <= 1.0 {
        return Ok(());
    }
    Err(ConfigError::new("anneal", anneal, "greater than 0 and at most 1"))
}
