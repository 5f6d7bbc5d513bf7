//! Corruption: what is done to the input in training, so that the network must know what belongs there. The target
//! stays clean.
//!
//! A denoising autoencoder minimises `L(x, g(f(x~)))` for a fresh `x~ ~ q(x~|x)` at each step (Vincent et al. 2008,
//! 2010). Several corruptions act one after the other, in the order in which they were added; those of a configuration
//! in the order of the registry. The emphasised loss weights what was replaced or hidden by `alpha` and the rest by
//! `beta`.
//!
//! Every corruption knows the columns of a table: what happens to a category happens to all its levels, and a truth
//! value stays one.
//!
//! A corruption of another crate implements [`Corrupt`] and is handed to
//! [`Objective::with_corruption`](crate::Objective::with_corruption). One that a [`Recipe`](crate::Recipe) can name is
//! one file with its [`Settings`], and one line in a [`Registry`].

pub mod gaussian;
pub mod masking;
pub mod salt_and_pepper;

use std::{borrow::Cow, fmt::Debug, sync::Arc};

use burn::{
    serde::{Deserialize, Serialize, Serializer},
    tensor::Tensor,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

pub use gaussian::{Gaussian, GaussianConfig, Level};
pub use masking::Masking;
pub use salt_and_pepper::SaltAndPepper;

use crate::{
    ConfigError, Inputs, Layout, Registry, Settings,
    registry::{self, Part, ReadError},
};

/// A random change of the input.
pub trait Corrupt: Debug + Send + Sync {
    /// Name in messages; by default that of the type, `salt_and_pepper` for `SaltAndPepper`.
    fn name(&self) -> Cow<'static, str> {
        registry::name_of::<Self>()
    }

    /// What becomes of `x`, `[batch, d_input]`, whose features `columns` tells apart; with fresh noise from the
    /// device's generator. For a given draw of the noise it must be affine in each value: `x~_i = a_i x_i + b_i`.
    fn apply(&self, x: Tensor<2>, columns: &Layout) -> Change;

    /// Whether the settings can be used.
    ///
    /// # Errors
    /// A field outside its range.
    fn check(&self) -> Result<(), ConfigError> {
        Ok(())
    }

    /// Whether it replaces or hides values, which an emphasis can tell from the others; noise that is added everywhere
    /// does not.
    fn replaces(&self) -> bool {
        true
    }
}

/// What a corruption did.
#[derive(Debug, Clone)]
pub struct Change {
    /// The changed input, `[batch, d_input]`.
    pub x: Tensor<2>,
    /// 1 where a value was replaced, of the shape of `x`; none if none was.
    pub replaced: Option<Tensor<2>>,
    /// 1 where a value is hidden from the network, of the shape of `x`; none if none is.
    pub hidden: Option<Tensor<2>>,
}

/// Weights of the loss on what a corruption changed and on the rest: `changed * sum over changed + intact * sum over
/// intact` (Vincent et al. 2010, section 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "burn::serde", default, deny_unknown_fields, expecting = "a table of weights")]
pub struct Emphasis {
    /// `alpha`, weight of the features that were replaced or hidden, at least 0. Default: 1.
    pub changed: f64,
    /// `beta`, weight of the features that stayed, at least 0; 0 is full emphasis. Default: 0.5.
    pub intact: f64,
}

impl Default for Emphasis {
    fn default() -> Self {
        Self { changed: 1.0, intact: 0.5 }
    }
}

/// Settings of a corruption that a [`Recipe`](crate::Recipe) can name. A [`Corrupt`] that needs to know nothing of the
/// data is its own settings.
pub trait CorruptSettings: Debug + Send + Sync {
    /// Whether the settings can be used.
    ///
    /// # Errors
    /// A field outside its range.
    fn check(&self) -> Result<(), ConfigError>;

    /// The corruption, for data like `inputs`.
    fn init(&self, inputs: &Inputs) -> Arc<dyn Corrupt>;
}

impl<C: Corrupt + Clone + 'static> CorruptSettings for C {
    fn check(&self) -> Result<(), ConfigError> {
        Corrupt::check(self)
    }

    fn init(&self, _inputs: &Inputs) -> Arc<dyn Corrupt> {
        Arc::new(self.clone())
    }
}

/// Which corruptions act in training, one after the other; none by default. A table of them by name, and perhaps an
/// `emphasis`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CorruptionConfig {
    parts: Vec<Part<dyn CorruptSettings>>,
    /// Weights of the loss on what was replaced or hidden, and on the rest.
    pub emphasis: Option<Emphasis>,
}

impl<C: CorruptSettings + Settings> From<C> for CorruptionConfig {
    fn from(corruption: C) -> Self {
        Self::default().with(corruption)
    }
}

impl Serialize for CorruptionConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(crate = "burn::serde")]
        struct Written<'a> {
            #[serde(flatten)]
            parts: registry::Named<'a, dyn CorruptSettings>,
            #[serde(skip_serializing_if = "Option::is_none")]
            emphasis: Option<Emphasis>,
        }
        Written { parts: registry::Named(&self.parts), emphasis: self.emphasis }.serialize(serializer)
    }
}

/// What is known without a registry.
impl JsonSchema for CorruptionConfig {
    fn schema_name() -> Cow<'static, str> {
        "CorruptionConfig".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "properties": { "emphasis": generator.subschema_for::<Emphasis>() } })
    }
}

impl CorruptionConfig {
    /// The same with one more corruption after the others, or in the place of one of the same name.
    pub fn with<C: CorruptSettings + Settings>(mut self, corruption: C) -> Self {
        self.put(corruption.into());
        self
    }

    /// As [`with`](Self::with), for a corruption of any type.
    pub fn put(&mut self, corruption: Part<dyn CorruptSettings>) {
        registry::put(&mut self.parts, corruption);
    }

    /// The same with these weights of the loss on what was replaced or hidden, and on the rest.
    pub fn with_emphasis(mut self, emphasis: Emphasis) -> Self {
        self.emphasis = Some(emphasis);
        self
    }

    /// The corruption of this type, if it is there.
    pub fn get<C: Settings>(&self) -> Option<&C> {
        registry::find(&self.parts)
    }

    /// The settings of the corruption of this name, as they are written; none if it is not there.
    pub fn settings(&self, name: &str) -> Option<Value> {
        serde_json::to_value(registry::Named(&self.parts)).ok()?.get(name).cloned()
    }

    /// From a table of corruptions by name.
    ///
    /// # Errors
    /// A corruption or a field that there is not, or a value of another type.
    pub fn read(mut value: Value, registry: &Registry) -> Result<Self, ReadError> {
        let emphasis = value.as_object_mut().and_then(|table| table.remove("emphasis"));
        let emphasis = emphasis.map(|emphasis| registry::read_at("corruption.emphasis", emphasis)).transpose()?;
        Ok(Self { parts: registry::read_named(registry.corruptions(), "corruption", value)?, emphasis })
    }

    /// Whether the settings can be used.
    ///
    /// # Errors
    /// A field outside its range, or an emphasis on nothing.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.parts.iter().try_for_each(|part| part.check().map_err(|error| error.within(part.name())))?;
        let Some(Emphasis { changed, intact }) = self.emphasis else { return Ok(()) };
        if !(changed >= 0.0 && changed.is_finite()) {
            return Err(ConfigError::new("emphasis.changed", changed, "0 or more"));
        }
        if !(intact >= 0.0 && intact.is_finite() && changed + intact > 0.0) {
            return Err(ConfigError::new(
                "emphasis.intact",
                intact,
                "0 or more, and more than 0 if `emphasis.changed` is 0",
            ));
        }
        if !self.init(&Inputs::real(1)).parts.iter().any(|part| part.replaces()) {
            let allowed = "left out unless a corruption replaces or hides values, such as salt_and_pepper and masking: the weights would be the same everywhere";
            return Err(ConfigError::new("emphasis", "set", allowed));
        }
        Ok(())
    }

    /// The corruption, for data like `inputs`.
    pub fn init(&self, inputs: &Inputs) -> Corruption {
        Corruption { parts: self.parts.iter().map(|part| part.init(inputs)).collect(), emphasis: self.emphasis }
    }

    /// Whether nothing is corrupted.
    pub fn is_none(&self) -> bool {
        self.parts.is_empty()
    }
}

/// What is done to the input in training; nothing by default.
#[derive(Debug, Clone, Default)]
pub struct Corruption {
    /// One after the other.
    pub parts: Vec<Arc<dyn Corrupt>>,
    /// Weights of the loss on what was replaced or hidden, and on the rest; 1 everywhere if none.
    pub emphasis: Option<Emphasis>,
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
    /// 1 where a value that the data has is hidden; none if none is.
    pub hidden: Option<Tensor<2>>,
}

impl Corruption {
    /// Whether nothing is corrupted.
    pub fn is_none(&self) -> bool {
        self.parts.is_empty()
    }

    /// `x` (`[batch, d_input]`, 0 where not `observed`) with fresh noise from the device's generator; `columns` tells
    /// its features apart, all of them numbers if none.
    pub fn apply(&self, x: Tensor<2>, observed: Option<Tensor<2>>, columns: Option<&Layout>) -> Corrupted {
        let numbers;
        let columns = match columns {
            Some(columns) => columns,
            None => {
                numbers = Layout::of_numbers(x.dims()[1]);
                &numbers
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
            // beta where intact, alpha where changed
            changed.mul_scalar(emphasis.changed - emphasis.intact).add_scalar(emphasis.intact)
        });
        let weights = match (observed, emphasis) {
            (Some(observed), Some(emphasis)) => Some(observed * emphasis),
            (observed, emphasis) => observed.or(emphasis),
        };
        Corrupted { x: noisy, visible, weights, hidden }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn values(tensor: Tensor<2>) -> Vec<f32> {
        tensor.into_data().iter::<f32>().collect()
    }

    fn of(config: impl Into<CorruptionConfig>) -> Corruption {
        config.into().init(&Inputs::unit(1))
    }

    #[test]
    fn each_noise_has_its_own_statistics() {
        let x = Tensor::<2>::full([200, 50], 0.5, &Device::default());
        let gaussian = values(of(GaussianConfig::new(0.3)).apply(x.clone(), None, None).x);
        let mean = gaussian.iter().sum::<f32>() / 1e4;
        let std = (gaussian.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / 1e4).sqrt();
        // Ten thousand draws: three deviations of the mean are 0.009, of the standard deviation 0.0064.
        assert!((mean - 0.5).abs() < 0.012 && (std - 0.3).abs() < 0.01, "{mean} {std}");

        let salt = values(of(SaltAndPepper { rate: 0.2, ..Default::default() }).apply(x.clone(), None, None).x);
        let share = |value: f32| salt.iter().filter(|&&seen| seen == value).count() as f32 / 1e4;
        assert!(
            (share(0.0) - 0.1).abs() < 0.015 && (share(1.0) - 0.1).abs() < 0.015 && (share(0.5) - 0.8).abs() < 0.02
        );

        let masking = of(Masking { rate: 0.1, rate_max: 0.6 });
        let hidden = masking.apply(x, None, None).hidden.unwrap().sum_dim(1).div_scalar(50.0);
        let rates = values(hidden);
        assert!((rates.iter().sum::<f32>() / 200.0 - 0.35).abs() < 0.06);
        assert!(
            rates.iter().any(|&rate| rate < 0.2) && rates.iter().any(|&rate| rate > 0.5),
            "each example draws its own rate"
        );
    }

    #[test]
    fn what_is_missing_stays_hidden_and_uncounted() {
        let device = Device::default();
        let observed = Tensor::<2>::from_floats([[1.0, 0.0, 1.0, 0.0]], &device);
        let x = Tensor::<2>::from_floats([[0.7, 0.0, 0.2, 0.0]], &device);
        let masking = Masking { rate: 0.5, rate_max: 0.0 };
        let emphasis = Emphasis { changed: 3.0, intact: 1.0 };
        let corruption = of(CorruptionConfig::from(GaussianConfig::default()).with(masking).with_emphasis(emphasis));
        for _ in 0..20 {
            let corrupted = corruption.apply(x.clone(), Some(observed.clone()), None);
            let (x, visible, weights) =
                (values(corrupted.x), values(corrupted.visible.unwrap()), values(corrupted.weights.unwrap()));
            assert_eq!((x[1], x[3], visible[1], visible[3]), (0.0, 0.0, 0.0, 0.0));
            assert!(x.iter().zip(&visible).all(|(x, visible)| *visible == 1.0 || *x == 0.0));
            for (place, expected) in [(0, 3.0 - 2.0 * visible[0]), (1, 0.0), (2, 3.0 - 2.0 * visible[2]), (3, 0.0)] {
                assert_eq!(weights[place], expected, "noise that is added everywhere changes no weight");
            }
        }
    }

    #[test]
    fn emphasis_weights_the_hidden_by_alpha_and_the_rest_by_beta() {
        let masking = CorruptionConfig::from(Masking { rate: 0.5, rate_max: 0.0 });
        let corruption = of(masking.with_emphasis(Emphasis { changed: 2.0, intact: 0.5 }));
        let corrupted = corruption.apply(Tensor::ones([4, 8], &Device::default()), None, None);
        for (visible, weight) in values(corrupted.visible.unwrap()).iter().zip(values(corrupted.weights.unwrap())) {
            assert_eq!(weight, if *visible == 1.0 { 0.5 } else { 2.0 });
        }
    }

    /// Rows of one number, one truth value that is true, and a category of three levels of which the second is the
    /// row's.
    fn table(rows: usize) -> (Tensor<2>, Layout) {
        let row = Tensor::<2>::from_floats([[0.5, 1.0, 0.0, 1.0, 0.0]], &Device::default());
        (row.repeat_dim(0, rows), Layout { numbers: 1, booleans: 1, categories: vec![3] })
    }

    #[test]
    fn whatever_happens_to_a_table_leaves_a_table() {
        let (x, layout) = table(4000);
        // P(a normal number of deviation 0.5 is above 0.5) = 0.1587.
        for (corruption, flips, moves) in [
            (of(GaussianConfig::new(0.5)), 0.1587, 2.0 * 0.1587 * 2.0 / 3.0),
            (of(SaltAndPepper { rate: 0.3, ..Default::default() }), 0.15, 0.3 * 2.0 / 3.0),
        ] {
            let rows = values(corruption.apply(x.clone(), None, Some(&layout)).x);
            let rows: Vec<&[f32]> = rows.chunks_exact(5).collect();
            for row in &rows {
                assert!(
                    row[1..].iter().all(|&value| value == 0.0 || value == 1.0) && row[2..].iter().sum::<f32>() == 1.0,
                    "{row:?}"
                );
            }
            let share = |is: &dyn Fn(&[f32]) -> bool| rows.iter().filter(|row| is(row)).count() as f64 / 4000.0;
            assert!((share(&|row| row[1] == 0.0) - flips).abs() < 0.025, "{corruption:?}: truth values");
            assert!((share(&|row| row[3] == 0.0) - moves).abs() < 0.03, "{corruption:?}: categories");
            assert!(share(&|row| row[0] == 0.5) < 0.75, "{corruption:?}: numbers");
        }
        let hidden = values(of(Masking { rate: 0.3, rate_max: 0.0 }).apply(x, None, Some(&layout)).hidden.unwrap());
        for row in hidden.chunks_exact(5) {
            assert!(row[2] == row[3] && row[3] == row[4], "a category is hidden with all its levels: {row:?}");
        }
        let share = hidden.chunks_exact(5).map(|row| row[2]).sum::<f32>() / 4000.0;
        assert!((share - 0.3).abs() < 0.03, "{share}");
    }

    #[test]
    fn settings_outside_their_range_are_refused_by_name() {
        let refused = |corruption: CorruptionConfig| corruption.check().unwrap_err().field;
        assert_eq!(refused(GaussianConfig::new(0.0).into()), "gaussian.std");
        assert_eq!(refused(Masking { rate: 1.0, rate_max: 0.0 }.into()), "masking.rate");
        assert_eq!(refused(Masking { rate: 0.5, rate_max: 0.4 }.into()), "masking.rate_max");
        assert_eq!(refused(SaltAndPepper { low: 1.0, high: 0.0, ..Default::default() }.into()), "salt_and_pepper.high");
        assert_eq!(refused(CorruptionConfig::default().with_emphasis(Emphasis::default())), "emphasis");
        assert_eq!(
            refused(CorruptionConfig::from(GaussianConfig::new(0.3)).with_emphasis(Emphasis::default())),
            "emphasis"
        );
    }
}
