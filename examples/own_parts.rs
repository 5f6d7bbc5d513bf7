//! Expected: a test sse of 0.49 (PCA 0.76), about 15 of 16 units active, and the report of a run; about 3 seconds.
//!
//! The command line with a code, a penalty, a corruption and a reconstruction loss of your own:
//! `cargo run --example own_parts -- train --config examples/own_parts.toml`

use ae_model::prelude::*;
use burn::tensor::{Distribution, Tensor};

settings! {
    /// Soft threshold: the magnitude of each unit is reduced, to no less than 0.
    struct Shrink("shrink") {
        /// Amount by which the magnitude is reduced, 0 or more. Default: 0.1.
        by: f64 = 0.1,
    }
    /// A Student-t prior on the code, `sum_j log(1 + h_j^2)`.
    struct StudentT("student_t") {
        /// Factor of the penalty in the loss, 0 or more. Default: 0.01.
        weight: f64 = 0.01,
    }
    /// Each row loses contrast by a random factor.
    struct Fading("fading");
    /// Log-cosh: `sum_i log cosh(x_i - r_i)`, like half a squared error near 0, and like an absolute error far from it.
    struct LogCosh("log_cosh");
}

impl Code for Shrink {
    fn forward(&self, z: Tensor<2>) -> Latent {
        (z.clone().abs().sub_scalar(self.by).clamp_min(0.0) * z.sign()).into()
    }
}

impl Penalty for StudentT {
    fn weight(&self, _progress: f64) -> f64 {
        self.weight
    }
    fn value(&self, context: &Context) -> Tensor<1> {
        context.latent.code.clone().square().log1p().sum_dim(1).squeeze_dim(1)
    }
}

impl Corrupt for Fading {
    fn apply(&self, x: Tensor<2>, _columns: &Layout) -> Change {
        let factor = x.clone().slice([0..x.dims()[0], 0..1]).random_like(Distribution::Uniform(0.5, 1.0));
        Change { x: x * factor, replaced: None, hidden: None }
    }
}

impl Loss for LogCosh {
    fn loss(&self, x: Tensor<2>, output: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1> {
        let error = (x - output).abs();
        let value = error.clone() + error.mul_scalar(-2.0).exp().log1p().sub_scalar(std::f64::consts::LN_2);
        weights.map_or(value.clone(), |weights| value * weights).sum_dim(1).squeeze_dim(1)
    }
}

fn main() -> std::process::ExitCode {
    let registry = Registry::default().with_code::<Shrink>().with_penalty::<StudentT>().with_corruption::<Fading>();
    ae_train::cli::run(registry.with_loss::<LogCosh>())
}
