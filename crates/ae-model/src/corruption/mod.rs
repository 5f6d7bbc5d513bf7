//! Corruption: random changes of the input in training, from which the network must reconstruct the clean target.
//!
//! A denoising autoencoder minimizes `L(x, g(f(x~)))` with a new `x~ ~ q(x~|x)` in each step (Vincent et al. 2008,
//! 2010). Several corruptions are applied one after the other, in the order in which they were added; those of a
//! configuration file in the order of the registry. The emphasized loss weights changed values by `alpha` and the
//! others by `beta`.
//!
//! A corruption knows the columns of a table: it changes all levels of a category together, and booleans stay booleans.
//!
//! For a corruption of your own, implement [`Corrupt`] and pass it to
//! [`Objective::with_corruption`](crate::Objective::with_corruption). One that a [`Recipe`](crate::Recipe) can name
//! also has [`Settings`](crate::Settings), and a line in the [`Registry`](crate::Registry).

mod config;
pub mod gaussian;
pub mod masking;
pub mod salt_and_pepper;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, fmt::Debug, sync::Arc};

use burn::{
    serde::{Deserialize, Serialize},
    tensor::Tensor,
};
use schemars::JsonSchema;

pub use config::{CorruptSettings, CorruptionConfig};
pub use gaussian::{Gaussian, GaussianConfig, Level};
pub use masking::Masking;
pub use salt_and_pepper::SaltAndPepper;

use crate::{ConfigError, Layout, registry::settings::name_of};

/// A random change of the input.
///
/// ```
/// use ae_model::{Corrupt, Layout, Objective, corruption::Change};
/// use burn::tensor::{Distribution, Tensor};
///
/// /// Each row loses contrast by a random factor.
/// #[derive(Debug)]
/// struct Fading;
///
/// impl Corrupt for Fading {
///     fn apply(&self, x: Tensor<2>, _columns: &Layout) -> Change {
///         let factor = x.clone().slice([0..x.dims()[0], 0..1]).random_like(Distribution::Uniform(0.5, 1.0));
///         Change { x: x * factor, replaced: None, hidden: None }
///     }
/// }
///
/// let objective = Objective::default().with_corruption(Fading);
/// assert_eq!(objective.corruption.parts[0].name(), "fading");
/// ```
pub trait Corrupt: Debug + Send + Sync {
    /// Name in messages. Default: the name of the type, `salt_and_pepper` for `SaltAndPepper`.
    fn name(&self) -> Cow<'static, str> {
        name_of::<Self>()
    }

    /// Changes `x` (`[batch, d_input]`, with the given columns), with new random numbers from the device's generator.
    ///
    /// For given random numbers the change must be affine in each value: `x~_i = a_i x_i + b_i`.
    fn apply(&self, x: Tensor<2>, columns: &Layout) -> Change;

    /// Checks the settings.
    ///
    /// # Errors
    /// A field is outside its range.
    fn check(&self) -> Result<(), ConfigError> {
        Ok(())
    }

    /// Whether it replaces or hides individual values, to which an emphasis can apply. Noise that is added to all
    /// values does not. Default: true.
    fn replaces(&self) -> bool {
        true
    }
}

/// The result of a corruption.
#[derive(Debug, Clone)]
pub struct Change {
    /// The changed input, `[batch, d_input]`.
    pub x: Tensor<2>,
    /// 1 where a value was replaced, of the shape of `x`; `None` if no value was.
    pub replaced: Option<Tensor<2>>,
    /// 1 where a value is hidden from the network, of the shape of `x`; `None` if no value is.
    pub hidden: Option<Tensor<2>>,
}

/// Weights of the loss on changed and on unchanged features: `changed * sum over changed + intact * sum over intact`
/// (Vincent et al. 2010, section 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "burn::serde", default, deny_unknown_fields, expecting = "a table of weights")]
pub struct Emphasis {
    /// Weight `alpha` of the features that were replaced or hidden, 0 or more. Default: 1.
    pub changed: f64,
    /// Weight `beta` of the other features, 0 or more; 0 is full emphasis. Default: 0.5.
    pub intact: f64,
}

impl Default for Emphasis {
    fn default() -> Self {
        Self { changed: 1.0, intact: 0.5 }
    }
}

/// The corruption of the input in training; none by default.
#[derive(Debug, Clone, Default)]
pub struct Corruption {
    /// The corruptions, in the order in which they are applied.
    pub parts: Vec<Arc<dyn Corrupt>>,
    /// Weights of the loss on changed and on unchanged features; all weights are 1 if `None`.
    pub emphasis: Option<Emphasis>,
}

/// A corrupted batch.
#[derive(Debug, Clone)]
pub struct Corrupted {
    /// The input of the network, `[batch, d_input]`; 0 where a value is not visible.
    pub x: Tensor<2>,
    /// 1 where a value is visible to the network, 0 where it is missing or hidden; all are visible if `None`.
    pub visible: Option<Tensor<2>>,
    /// Weight of each feature in the reconstruction loss, 0 where it is missing; all weights are 1 if `None`.
    pub weights: Option<Tensor<2>>,
    /// 1 where an observed value is hidden; `None` if none is.
    pub hidden: Option<Tensor<2>>,
}

impl Corruption {
    /// Whether there is no corruption.
    pub fn is_none(&self) -> bool {
        self.parts.is_empty()
    }

    /// Corrupts `x` (`[batch, d_input]`, 0 where not `observed`) with new random numbers from the device's generator.
    /// All columns are numeric if `columns` is `None`.
    pub fn apply(&self, x: Tensor<2>, observed: Option<Tensor<2>>, columns: Option<&Layout>) -> Corrupted {
        let all_numeric;
        let columns = match columns {
            Some(columns) => columns,
            None => {
                all_numeric = Layout::of_numbers(x.dims()[1]);
                &all_numeric
            }
        };
        let or = |before: Option<Tensor<2>>, mask: Option<Tensor<2>>| match (before, mask) {
            (Some(before), Some(mask)) => Some((before + mask).clamp_max(1.0)),
            (before, mask) => before.or(mask),
        };
        let (mut noisy, mut replaced, mut hidden) = (x, None, None);
        for part in &self.parts {
            let change = part.apply(noisy, columns);
            noisy = change.x;
            replaced = or(replaced, change.replaced);
            hidden = or(hidden, change.hidden);
        }
        let shown = hidden.clone().map(|hidden: Tensor<2>| hidden.neg().add_scalar(1.0));
        let visible = match (&observed, shown) {
            (Some(observed), Some(shown)) => Some(observed.clone() * shown),
            (observed, shown) => shown.or(observed.clone()),
        };
        if let Some(visible) = &visible {
            noisy = noisy * visible.clone();
        }
        let hidden = match (&observed, hidden) {
            (Some(observed), Some(hidden)) => Some(observed.clone() * hidden),
            (_, hidden) => hidden,
        };
        let emphasis = self.emphasis.zip(or(replaced, hidden.clone())).map(|(emphasis, changed)| {
            // beta for unchanged features, alpha for changed ones
            changed.mul_scalar(emphasis.changed - emphasis.intact).add_scalar(emphasis.intact)
        });
        let weights = match (observed, emphasis) {
            (Some(observed), Some(emphasis)) => Some(observed * emphasis),
            (observed, emphasis) => observed.or(emphasis),
        };
        Corrupted { x: noisy, visible, weights, hidden }
    }
}
