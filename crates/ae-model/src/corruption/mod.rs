//! Corruption: what is done to the input in training, so that the network must know what belongs there. The target stays clean.
//!
//! A denoising autoencoder minimises `L(x, g(f(x~)))` for a fresh `x~ ~ q(x~|x)` at each step (Vincent et al. 2008, 2010). Several corruptions
//! act in the order of the fields. The emphasised loss weights what was changed by `alpha` and what stayed intact by `beta`.

pub mod gaussian;
pub mod masking;
pub mod salt_and_pepper;

use burn::{
    serde::{Deserialize, Serialize},
    tensor::Tensor,
};

pub use gaussian::{Gaussian, Level};
pub use masking::Masking;
pub use salt_and_pepper::SaltAndPepper;

use crate::ConfigError;

/// Which corruptions act in training; none by default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(crate = "burn::serde", default, deny_unknown_fields)]
pub struct Corruption {
    /// Additive noise: [`gaussian`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gaussian: Option<Gaussian>,
    /// Values set to an extreme: [`salt_and_pepper`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub salt_and_pepper: Option<SaltAndPepper>,
    /// Values hidden: [`masking`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub masking: Option<Masking>,
    /// Weights of the loss on what was changed and on what was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emphasis: Option<Emphasis>,
}

/// The emphasised loss `alpha * sum over changed + beta * sum over intact` (Vincent et al. 2010, section 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(crate = "burn::serde", default, deny_unknown_fields)]
pub struct Emphasis {
    /// `alpha`, weight of the features that were changed, at least 0. Default: 1.
    pub changed: f64,
    /// `beta`, weight of the features that stayed intact, at least 0; 0 is full emphasis. Default: 0.5.
    pub intact: f64,
}

impl Default for Emphasis {
    fn default() -> Self {
        Self { changed: 1.0, intact: 0.5 }
    }
}

/// A corrupted batch.
#[derive(Debug, Clone)]
pub struct Corrupted {
    /// What the network reads, `[batch, d_input]`; 0 where nothing is visible.
    pub x: Tensor<2>,
    /// 1 where the network sees a value, 0 where it is missing or hidden; none if all is visible.
    pub visible: Option<Tensor<2>>,
    /// Weight of each feature in the reconstruction loss; none if all are 1. 0 where the data has no value.
    pub weights: Option<Tensor<2>>,
}

impl Corruption {
    /// Whether the settings can be used.
    ///
    /// # Errors
    /// A field outside its range, or an emphasis on nothing.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.gaussian.map_or(Ok(()), |part| part.check()).map_err(|error| error.within("gaussian"))?;
        self.salt_and_pepper.map_or(Ok(()), |part| part.check()).map_err(|error| error.within("salt_and_pepper"))?;
        self.masking.map_or(Ok(()), |part| part.check()).map_err(|error| error.within("masking"))?;
        if let Some(Emphasis { changed, intact }) = self.emphasis {
            if !(changed >= 0.0 && changed.is_finite()) {
                return Err(ConfigError::new("emphasis.changed", changed, "0 or more"));
            }
            if !(intact >= 0.0 && intact.is_finite() && changed + intact > 0.0) {
                return Err(ConfigError::new("emphasis.intact", intact, "0 or more, and more than 0 if `emphasis.changed` is 0"));
            }
            if self.is_none() {
                let allowed = "left out unless one of `gaussian`, `salt_and_pepper`, `masking` is there";
                return Err(ConfigError::new("emphasis", "set", allowed));
            }
        }
        Ok(())
    }

    /// The same with every level that follows the data fixed, for data that lies in `[0, 1]` or not.
    pub fn for_inputs(&self, unit_range: bool) -> Self {
        let gaussian = self.gaussian.map(|gaussian| Gaussian::new(gaussian.std.value(unit_range)));
        Self { gaussian, ..self.clone() }
    }

    /// Whether nothing is corrupted.
    pub fn is_none(&self) -> bool {
        self.gaussian.is_none() && self.salt_and_pepper.is_none() && self.masking.is_none()
    }

    /// `x` (`[batch, d_input]`, 0 where not `observed`) with fresh noise from the device's generator.
    pub fn apply(&self, x: Tensor<2>, observed: Option<Tensor<2>>) -> Corrupted {
        let mut changed: Option<Tensor<2>> = None;
        let mut also = |mask: Tensor<2>| {
            changed = Some(match changed.take() {
                Some(before) => (before + mask).clamp_max(1.0),
                None => mask,
            });
        };
        let mut noisy = x.clone();
        if let Some(gaussian) = &self.gaussian {
            noisy = gaussian.apply(noisy);
            if self.emphasis.is_some() {
                also(x.ones_like());
            }
        }
        if let Some(salt_and_pepper) = &self.salt_and_pepper {
            let (corrupted, mask) = salt_and_pepper.apply(noisy);
            noisy = corrupted;
            also(mask);
        }
        let mut visible = observed.clone();
        if let Some(masking) = &self.masking {
            let hidden = masking.hidden(&x);
            let shown = hidden.clone().neg().add_scalar(1.0);
            visible = Some(match visible {
                Some(visible) => visible * shown,
                None => shown,
            });
            also(hidden);
        }
        if let Some(visible) = &visible {
            noisy = noisy * visible.clone();
        }
        let emphasis = self.emphasis.zip(changed).map(|(emphasis, changed)| {
            // beta where intact, alpha where changed
            changed.mul_scalar(emphasis.changed - emphasis.intact).add_scalar(emphasis.intact)
        });
        let weights = match (observed, emphasis) {
            (Some(observed), Some(emphasis)) => Some(observed * emphasis),
            (observed, emphasis) => observed.or(emphasis),
        };
        Corrupted { x: noisy, visible, weights }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn values(tensor: Tensor<2>) -> Vec<f32> {
        tensor.into_data().iter::<f32>().collect()
    }

    #[test]
    fn each_noise_has_its_own_statistics() {
        let x = Tensor::<2>::full([200, 50], 0.5, &Device::default());
        let gaussian = values(Corruption { gaussian: Some(Gaussian::new(0.3)), ..Default::default() }.apply(x.clone(), None).x);
        let mean = gaussian.iter().sum::<f32>() / 1e4;
        let std = (gaussian.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / 1e4).sqrt();
        // Ten thousand draws: three deviations of the mean are 0.009, of the standard deviation 0.0064.
        assert!((mean - 0.5).abs() < 0.012 && (std - 0.3).abs() < 0.01, "{mean} {std}");

        let salt = values(SaltAndPepper { rate: 0.2, ..Default::default() }.apply(x.clone()).0);
        let share = |value: f32| salt.iter().filter(|&&seen| seen == value).count() as f32 / 1e4;
        assert!((share(0.0) - 0.1).abs() < 0.015 && (share(1.0) - 0.1).abs() < 0.015 && (share(0.5) - 0.8).abs() < 0.02);

        let masking = Masking { rate: 0.1, rate_max: 0.6 };
        let hidden = masking.hidden(&x).sum_dim(1).div_scalar(50.0);
        let rates = values(hidden);
        assert!((rates.iter().sum::<f32>() / 200.0 - 0.35).abs() < 0.06);
        assert!(rates.iter().any(|&rate| rate < 0.2) && rates.iter().any(|&rate| rate > 0.5), "each example draws its own rate");
    }

    #[test]
    fn what_is_missing_stays_hidden_and_uncounted() {
        let device = Device::default();
        let observed = Tensor::<2>::from_floats([[1.0, 0.0, 1.0, 0.0]], &device);
        let x = Tensor::<2>::from_floats([[0.7, 0.0, 0.2, 0.0]], &device);
        let corruption = Corruption {
            gaussian: Some(Gaussian::default()),
            masking: Some(Masking { rate: 0.5, rate_max: 0.0 }),
            emphasis: Some(Emphasis { changed: 3.0, intact: 1.0 }),
            ..Default::default()
        };
        for _ in 0..20 {
            let corrupted = corruption.apply(x.clone(), Some(observed.clone()));
            let (x, visible, weights) = (values(corrupted.x), values(corrupted.visible.unwrap()), values(corrupted.weights.unwrap()));
            assert_eq!((x[1], x[3], visible[1], visible[3]), (0.0, 0.0, 0.0, 0.0));
            assert!(x.iter().zip(&visible).all(|(x, visible)| *visible == 1.0 || *x == 0.0));
            assert_eq!(weights, [3.0, 0.0, 3.0, 0.0], "the Gaussian changes everything that was observed");
        }
    }

    #[test]
    fn emphasis_weights_the_hidden_by_alpha_and_the_rest_by_beta() {
        let corruption = Corruption {
            masking: Some(Masking { rate: 0.5, rate_max: 0.0 }),
            emphasis: Some(Emphasis { changed: 2.0, intact: 0.5 }),
            ..Default::default()
        };
        let corrupted = corruption.apply(Tensor::ones([4, 8], &Device::default()), None);
        for (visible, weight) in values(corrupted.visible.unwrap()).iter().zip(values(corrupted.weights.unwrap())) {
            assert_eq!(weight, if *visible == 1.0 { 0.5 } else { 2.0 });
        }
    }

    #[test]
    fn settings_outside_their_range_are_refused_by_name() {
        let refused = |corruption: Corruption| corruption.check().unwrap_err().field;
        assert_eq!(refused(Corruption { gaussian: Some(Gaussian::new(0.0)), ..Default::default() }), "gaussian.std");
        assert_eq!(refused(Corruption { masking: Some(Masking { rate: 1.0, rate_max: 0.0 }), ..Default::default() }), "masking.rate");
        assert_eq!(refused(Corruption { masking: Some(Masking { rate: 0.5, rate_max: 0.4 }), ..Default::default() }), "masking.rate_max");
        let upside_down = SaltAndPepper { low: 1.0, high: 0.0, ..Default::default() };
        assert_eq!(refused(Corruption { salt_and_pepper: Some(upside_down), ..Default::default() }), "salt_and_pepper.high");
        assert_eq!(refused(Corruption { emphasis: Some(Emphasis::default()), ..Default::default() }), "emphasis");
    }
}
