//! Matryoshka: the first units alone must reconstruct the row, too, for several numbers of first units (Bussmann et al.
//! 2025; Kusupati et al. 2022).
//!
//! `Omega = sum_w L(x, r_w)` with the reconstruction `r_w` from the first `w` units, for widths `w` less than that of
//! the code, whose own reconstruction is the first term of the loss. So the first units learn what is common, and are
//! not split up as the code becomes wider.

use burn::{
    serde::{Deserialize, Serialize},
    tensor::{Int, Tensor},
};
use schemars::JsonSchema;

use super::{Context, Penalty};
use crate::{ConfigError, Latent, Settings, Weight, precision::indicator};

/// Matryoshka: the reconstruction loss of the first `w` units alone, summed over several widths `w` (Bussmann et al.
/// 2025).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "burn::serde", default, deny_unknown_fields)]
pub struct Matryoshka {
    /// Factor of the penalty in the loss, 0 or more; with 0 it is only measured. Default: 1.
    pub weight: Weight,
    /// Widths as fractions of the code's, in ascending order, each greater than 0 and less than 1. Default: `[0.0625,
    /// 0.125, 0.25, 0.5]`.
    pub widths: Vec<f64>,
}

crate::macros::setters! {
    Matryoshka {
        with_weight(weight: impl Into<Weight>),
    }
}

impl Matryoshka {
    /// The penalty for these widths, as fractions of the code's.
    pub fn new(widths: impl Into<Vec<f64>>) -> Self {
        Self { widths: widths.into(), ..Self::default() }
    }
}

impl Default for Matryoshka {
    fn default() -> Self {
        Self { weight: 1.0.into(), widths: vec![0.0625, 0.125, 0.25, 0.5] }
    }
}

impl Settings for Matryoshka {
    const NAME: &'static str = "matryoshka";
}

impl Penalty for Matryoshka {
    fn weight(&self, progress: f64) -> f64 {
        self.weight.at(progress)
    }

    fn check(&self) -> Result<(), ConfigError> {
        self.weight.check("weight")?;
        let good = self.widths.iter().all(|width| *width > 0.0 && *width < 1.0)
            && self.widths.windows(2).all(|pair| pair[0] < pair[1]);
        match good {
            true => Ok(()),
            false => {
                let allowed = "fractions of the code's width in ascending order, each greater than 0 and less than 1";
                Err(ConfigError::new("widths", format!("{:?}", self.widths), allowed))
            }
        }
    }

    fn value(&self, context: &Context) -> Tensor<1> {
        let (target, latent) = (context.target.clone(), context.latent);
        let ([rows, _], units) = (target.dims(), latent.code.dims()[1]);
        let mut widths: Vec<usize> =
            self.widths.iter().map(|share| ((share * units as f64).round() as usize).clamp(1, units)).collect();
        // Small codes have fewer widths.
        widths.dedup();
        widths.retain(|width| *width < units);
        if widths.is_empty() {
            return Tensor::zeros([rows], &target.device());
        }
        let (decoder, encoder) = (context.model.decoder, context.model.encoder);
        let Some(output) = decoder.prefixes(latent, encoder, &widths) else {
            let of = |width: &usize| {
                let output = decoder.decode(&first(latent, *width), encoder);
                context.loss(target.clone(), output, context.weights.clone())
            };
            return widths.iter().map(of).reduce(|sum, loss| sum + loss).expect("at least one width");
        };
        let repeated = |x: Tensor<2>| Tensor::cat(vec![x; widths.len()], 0);
        let loss = context.loss(repeated(target), output, context.weights.clone().map(repeated));
        loss.reshape([widths.len(), rows]).sum_dim(0).squeeze_dim(0)
    }
}

/// The latent with only the first `width` units.
fn first(latent: &Latent, width: usize) -> Latent {
    let units = latent.code.dims()[1];
    let is_first = Tensor::<1, Int>::arange(0..units as i64, &latent.code.device()).lower_elem(width as i64);
    let mask = indicator(is_first.unsqueeze::<2>().expand(latent.code.shape()), &latent.code);
    Latent { input: latent.input.clone(), ..(latent.code.clone() * mask).into() }
}
