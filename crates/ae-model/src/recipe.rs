//! A recipe: which parts a model is made of, as a person writes them down.

use std::fmt;

use burn::{
    module::{Module, ModuleVisitor, Param},
    serde::{Deserialize, Deserializer, Serialize, de::Error},
    tensor::{Device, Tensor},
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value};

use crate::{
    Activation, Autoencoder, ConfigError, Head, Layout, Objective, Registry,
    code::CodeConfig,
    constraint::ConstraintConfig,
    corruption::CorruptionConfig,
    network::{Counts, MlpConfig, Network, NetworkDecoder, NetworkEncoder, Sizes},
    penalty::{KlRate, PenaltyConfig},
    reconstruction::{LossConfig, SquaredError},
    registry::{self, ReadError},
    variance::VarianceConfig,
};

/// The model that a [`Recipe`] builds.
pub type Model = Autoencoder<NetworkEncoder, NetworkDecoder>;

/// What is known about the data that a model is built for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inputs {
    /// Features of a row, `d_input`.
    pub features: usize,
    /// Channels, height and width, if the rows are images.
    pub image: Option<[usize; 3]>,
    /// Whether the values lie in `[0, 1]`.
    pub unit_range: bool,
    /// How many features are of each kind, if not all are numbers.
    pub layout: Option<Layout>,
}

impl Inputs {
    /// Rows of `features` values in `[0, 1]`.
    pub fn unit(features: usize) -> Self {
        Self { features, image: None, unit_range: true, layout: None }
    }

    /// Rows of `features` values of any size.
    pub fn real(features: usize) -> Self {
        Self { features, image: None, unit_range: false, layout: None }
    }

    /// The same rows, whose features are of these kinds.
    pub fn with_layout(mut self, layout: Layout) -> Self {
        self.layout = Some(layout).filter(|layout| !layout.is_numbers());
        self
    }

    /// How many of the features are numbers.
    fn numbers(&self) -> usize {
        self.layout.as_ref().map_or(self.features, |layout| layout.numbers)
    }

    /// The same rows, which are images of `channels, height, width`.
    pub fn with_image(mut self, image: [usize; 3]) -> Self {
        self.image = Some(image);
        self
    }
}

/// The decoder's last activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(crate = "burn::serde", try_from = "String", into = "String")]
pub enum Output {
    /// Follows the data: `sigmoid` where it lies in `[0, 1]`, else `identity`; `identity` for logits.
    #[default]
    Auto,
    /// This one.
    Fixed(Activation),
}

impl TryFrom<String> for Output {
    type Error = String;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        match name.as_str() {
            "auto" => Ok(Self::Auto),
            name => name.parse().map(Self::Fixed).map_err(|error: String| format!("{error}, auto")),
        }
    }
}

impl From<Output> for String {
    fn from(output: Output) -> Self {
        output.to_string()
    }
}

impl JsonSchema for Output {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Output".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        let names: Vec<_> = std::iter::once("auto").chain(Activation::ALL.map(Activation::name)).collect();
        json_schema!({ "type": "string", "enum": names })
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Fixed(activation) => activation.fmt(f),
        }
    }
}

/// The settings of a model.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(crate = "burn::serde")]
pub struct Recipe {
    /// Units of the code, `d_code`, at least 1; a variant may set an upper bound.
    pub code_dim: usize,
    /// The reconstruction loss.
    #[schemars(with = "Value")]
    pub reconstruction: LossConfig,
    /// The variance of numbers around their reconstruction, for a Gaussian likelihood in nats: `learned` (one for
    /// all), `per_column`, or a number of at least 1e-8; `none` for a squared error alone.
    pub variance: VarianceConfig,
    /// Activation of the decoder's last layer; `auto` is sigmoid for data in `[0, 1]`, and identity for other data and
    /// for logits.
    pub output: Output,
    /// Whether the encoder also reads which values are visible, as a second half of its input.
    pub mask_input: bool,
    /// The networks `f` and `g`.
    pub network: Network,
    /// What is done to `f(x)` before it is the code.
    #[schemars(with = "Value")]
    pub code: CodeConfig,
    /// What is done to the input in training; the target stays clean.
    pub corruption: CorruptionConfig,
    /// What the loss asks for beside copying.
    #[schemars(with = "Value")]
    pub penalty: PenaltyConfig,
    /// What is kept of the decoder's first weight: without it, or tied weights, a penalty on the code can be escaped
    /// by scaling.
    pub constraint: ConstraintConfig,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            code_dim: 10,
            reconstruction: LossConfig::default(),
            variance: VarianceConfig::default(),
            output: Output::Auto,
            mask_input: false,
            network: Network::Mlp(MlpConfig::default()),
            code: CodeConfig::default(),
            corruption: CorruptionConfig::default(),
            penalty: PenaltyConfig::default(),
            constraint: ConstraintConfig::default(),
        }
    }
}

/// A recipe whose parts have not been looked up.
#[derive(Deserialize)]
#[serde(crate = "burn::serde", deny_unknown_fields, expecting = "a table of the parts of a model")]
struct Unread {
    code_dim: usize,
    reconstruction: Value,
    #[serde(default)]
    variance: VarianceConfig,
    output: Output,
    #[serde(default)]
    mask_input: bool,
    network: Network,
    code: Value,
    #[serde(default)]
    corruption: Map<String, Value>,
    #[serde(default)]
    penalty: Map<String, Value>,
    #[serde(default)]
    constraint: ConstraintConfig,
}

/// With the parts of this crate; [`Recipe::read`] knows others.
impl<'de> Deserialize<'de> for Recipe {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(deserializer, &Registry::default()).map_err(D::Error::custom)
    }
}

impl Recipe {
    /// The recipe that was written down, of parts in the registry.
    ///
    /// # Errors
    /// A field or a part that there is not, or a value of another type.
    pub fn read<'de, D: Deserializer<'de>>(deserializer: D, registry: &Registry) -> Result<Self, ReadError> {
        let Unread {
            code_dim,
            reconstruction,
            variance,
            output,
            mask_input,
            network,
            code,
            corruption,
            penalty,
            constraint,
        } = registry::read_at("", deserializer)?;
        Ok(Self {
            code_dim,
            reconstruction: LossConfig::read(reconstruction, registry)?,
            variance,
            output,
            mask_input,
            network,
            code: CodeConfig::read(code, registry)?,
            corruption: CorruptionConfig::read(Value::Object(corruption), registry)?,
            penalty: PenaltyConfig::read(Value::Object(penalty), registry)?,
            constraint,
        })
    }

    /// Whether the settings can be built for data of any width.
    ///
    /// # Errors
    /// A field outside its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.code_dim == 0 {
            return Err(ConfigError::new("code_dim", 0, "at least 1"));
        }
        let loss = &self.reconstruction;
        loss.check().map_err(|error| error.within("reconstruction"))?;
        if loss.reads_logits()
            && let Output::Fixed(output) = self.output
            && output != Activation::Identity
        {
            let allowed =
                format!("`auto` or `identity` with a {} reconstruction, whose decoder gives logits", loss.name());
            return Err(ConfigError::new("output", output, allowed));
        }
        self.variance.check()?;
        if self.variance != VarianceConfig::default() && loss.get::<SquaredError>().is_none() {
            let allowed =
                "squared_error with a `variance`, which is that of numbers around a mean: set `model.variance` to none";
            return Err(ConfigError::new("reconstruction", loss.name(), allowed));
        }
        self.network.check().map_err(|error| error.within("network"))?;
        self.code.check(self.code_dim).map_err(|error| error.within("code"))?;
        self.corruption.check().map_err(|error| error.within("corruption"))?;
        self.penalty.check().map_err(|error| error.within("penalty"))?;
        if self.constraint != ConstraintConfig::default() && self.network.is_tied() {
            let allowed = "false with a `constraint`: a tied decoder has no weight of its own to keep";
            return Err(ConfigError::new("network.tied", true, allowed));
        }
        if self.penalty.get::<KlRate>().is_some() {
            if self.code.fixes_activity() {
                let allowed =
                    "another with `penalty.kl_rate`, such as deterministic: it fixes how many units are active already";
                return Err(ConfigError::new("code.kind", self.code.name(), allowed));
            }
            if self.code.activation() != Activation::Sigmoid {
                let allowed = "sigmoid with `penalty.kl_rate`, whose rate is that of units in [0, 1]";
                return Err(ConfigError::new("code.activation", self.code.activation(), allowed));
            }
        }
        Ok(())
    }

    /// Whether the settings can be built for data like `inputs`.
    ///
    /// # Errors
    /// A network that does not suit the data.
    pub fn check_inputs(&self, inputs: &Inputs) -> Result<(), ConfigError> {
        if let (Some(_), Output::Fixed(output)) = (&inputs.layout, self.output)
            && output != Activation::Identity
        {
            let allowed =
                "`auto` or `identity` for tables with truth values or categories, for which the decoder gives logits";
            return Err(ConfigError::new("output", output, allowed));
        }
        self.network.check_sizes(&self.sizes(inputs)).map_err(|error| error.within("network"))
    }

    /// How large the networks of the model will be, which can be asked before it is [built](Self::init).
    ///
    /// # Panics
    /// Inputs that [`check_inputs`](Self::check_inputs) refuses.
    pub fn counts(&self, inputs: &Inputs) -> Counts {
        self.network.counts(&self.sizes(inputs))
    }

    /// The weights of encoder and decoder for data like `inputs`; none if there are more than can be counted.
    pub fn weights(&self, inputs: &Inputs) -> Option<usize> {
        self.network.weights(&self.sizes(inputs))
    }

    fn sizes(&self, inputs: &Inputs) -> Sizes {
        let reads = self.code.reads(self.code_dim);
        let sizes = Sizes::new(inputs.features, self.code_dim).with_image(inputs.image).with_reads(reads);
        if self.mask_input { sizes.with_mask() } else { sizes }
    }

    /// The model for data like `inputs`, within the recipe's constraint. Weights are drawn from the device's generator:
    /// seed it first for a repeatable start.
    ///
    /// # Panics
    /// Inputs that [`check_inputs`](Self::check_inputs) refuses.
    pub fn init(&self, inputs: &Inputs, device: &Device) -> Model {
        let gives_values = !self.reconstruction.reads_logits() && inputs.layout.is_none();
        let output = match self.output {
            Output::Fixed(activation) => activation,
            Output::Auto if inputs.unit_range && gives_values => Activation::Sigmoid,
            Output::Auto => Activation::Identity,
        };
        let (encoder, decoder) = self.network.init(&self.sizes(inputs), output, device);
        let model = Autoencoder::new(encoder, decoder)
            .with_code(self.code.build(self.code_dim, device))
            .with_reconstruction(
                Head::of(self.reconstruction.shared(), inputs.layout.clone()).called(self.reconstruction.name()),
            )
            .with_variance(self.variance.init(inputs.numbers(), device))
            .with_mask_input(self.mask_input);
        model.visit(&mut Draw);
        self.objective(inputs).constrained(model)
    }

    /// What the model is trained for, on data like `inputs`.
    pub fn objective(&self, inputs: &Inputs) -> Objective {
        Objective {
            penalties: self.penalty.init(),
            corruption: self.corruption.init(inputs),
            constraints: self.constraint.init(),
            ..Objective::default()
        }
    }
}

/// Draws each parameter. Burn draws them when they are first asked for, after whatever else has been drawn by then.
struct Draw;

impl ModuleVisitor for Draw {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        param.val();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconstruction::Bernoulli;

    #[test]
    fn logits_and_a_squashing_output_exclude_each_other() {
        let recipe = Recipe {
            reconstruction: Bernoulli.into(),
            output: Output::Fixed(Activation::Sigmoid),
            ..Default::default()
        };
        assert_eq!(recipe.check().unwrap_err().field, "output");
    }
}
