//! A recipe: the parts of a model, as they are written in a configuration file.

mod inputs;
mod output;

use burn::{
    module::{Module, ModuleVisitor, Param},
    serde::{Deserialize, Deserializer, Serialize, de::Error},
    tensor::{Device, Tensor},
};
use schemars::JsonSchema;
use serde_json::{Map, Value};

pub use inputs::Inputs;
pub use output::Output;

use crate::{
    Activation, Activity, Autoencoder, ConfigError, Head, Objective, Registry,
    code::{CodeConfig, JumpReluConfig},
    constraint::ConstraintConfig,
    corruption::CorruptionConfig,
    network::{Counts, MlpConfig, Network, NetworkDecoder, NetworkEncoder, Sizes},
    penalty::{KlRate, PenaltyConfig},
    reconstruction::{LossConfig, SquaredError},
    registry::read::{ReadError, read_at},
    resample::Resample,
    variance::VarianceConfig,
};

/// The model that a [`Recipe`] builds.
pub type Model = Autoencoder<NetworkEncoder, NetworkDecoder>;

/// The settings of a model: which parts it has, and their settings.
///
/// ```
/// use ae_model::{Activation, Inputs, Recipe, code::TopKConfig, network::MlpConfig, penalty::Contractive};
/// use burn::tensor::{Device, Tensor};
///
/// let recipe = Recipe {
///     code_dim: 16,
///     network: MlpConfig::new().with_hidden([32]).with_activation(Activation::Relu).into(),
///     code: TopKConfig::new(4).into(),
///     penalty: Contractive::new(0.1).into(),
///     ..Recipe::default()
/// };
/// recipe.check().unwrap();
///
/// let (inputs, device) = (Inputs::unit(64), Device::default());
/// let (model, objective) = (recipe.init(&inputs, &device), recipe.objective(&inputs));
/// let x = Tensor::<2>::ones([2, 64], &device);
/// assert_eq!(model.encode(x.clone()).dims(), [2, 16]);
/// assert!(objective.evaluate(&model, x).loss().into_scalar::<f32>() > 0.0);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(crate = "burn::serde")]
pub struct Recipe {
    /// Width of the code `d_code`, in units, at least 1; some variants require it to be less than the number of inputs.
    pub code_dim: usize,
    /// Reconstruction loss of numeric features.
    #[schemars(with = "Value")]
    pub reconstruction: LossConfig,
    /// Variance of numeric features around their reconstruction, for a Gaussian likelihood in nats: `learned` (one for
    /// all columns), `per_column`, or a number of at least 1e-8; `none` for a squared error.
    pub variance: VarianceConfig,
    /// Activation of the decoder's last layer; `auto` is sigmoid for data in `[0, 1]`, and identity for other data and
    /// for logits.
    pub output: Output,
    /// Whether the encoder also reads which values are visible, as a second half of its input: true or false.
    pub mask_input: bool,
    /// Networks of the encoder `f` and the decoder `g`.
    pub network: Network,
    /// How the code `h` is computed from the encoder's output `f(x)`.
    #[schemars(with = "Value")]
    pub code: CodeConfig,
    /// Random changes of the input in training, from which the clean target is reconstructed.
    pub corruption: CorruptionConfig,
    /// Regularization terms of the loss, in addition to the reconstruction.
    #[schemars(with = "Value")]
    pub penalty: PenaltyConfig,
    /// Constraints on the decoder's first weight; without one, or tied weights, the model can evade a penalty on the
    /// code by scaling encoder and decoder against each other.
    pub constraint: ConstraintConfig,
    /// When units that are never active start again.
    #[serde(skip_serializing_if = "is_default")]
    pub resample: Resample,
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
            resample: Resample::default(),
        }
    }
}

/// A recipe whose parts have not been looked up in a registry.
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
    #[serde(default)]
    resample: Resample,
}

/// Reads a recipe with the parts of this crate. [`Recipe::read`] takes a registry with others.
impl<'de> Deserialize<'de> for Recipe {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(deserializer, &Registry::default()).map_err(D::Error::custom)
    }
}

impl Recipe {
    /// Reads a recipe with the parts of `registry`.
    ///
    /// # Errors
    /// There is no such field or part, or a value has the wrong type.
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
            resample,
        } = read_at("", deserializer)?;
        Ok(Self {
            code_dim,
            reconstruction: LossConfig::read(reconstruction, registry.losses())?,
            variance,
            output,
            mask_input,
            network,
            code: CodeConfig::read(code, registry.codes())?,
            corruption: CorruptionConfig::read(Value::Object(corruption), registry.corruptions())?,
            penalty: PenaltyConfig::read(Value::Object(penalty), registry.penalties())?,
            constraint,
            resample,
        })
    }

    /// Checks the settings, as far as possible without the data.
    ///
    /// # Errors
    /// A field is outside its range, or two settings exclude each other.
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
                format!("`auto` or `identity` with a {} reconstruction, whose decoder outputs logits", loss.name());
            return Err(ConfigError::new("output", output, allowed));
        }
        self.variance.check()?;
        if self.variance != VarianceConfig::default() && loss.get::<SquaredError>().is_none() {
            let allowed = "squared_error with a `variance`; for another loss set `model.variance` to none";
            return Err(ConfigError::new("reconstruction", loss.name(), allowed));
        }
        self.network.check().map_err(|error| error.within("network"))?;
        if self.mask_input && matches!(&self.network, Network::Dictionary(config) if config.center) {
            let allowed = "false with `mask_input`, which makes the input wider than the center";
            return Err(ConfigError::new("network.center", true, allowed));
        }
        self.code.check(self.code_dim).map_err(|error| error.within("code"))?;
        self.corruption.check().map_err(|error| error.within("corruption"))?;
        self.penalty.check().map_err(|error| error.within("penalty"))?;
        if self.constraint != ConstraintConfig::default() && self.network.is_tied() {
            let allowed = "false with a `constraint`, because a tied decoder has no weights of its own";
            return Err(ConfigError::new("network.tied", true, allowed));
        }
        if let Some(name) = self.needing_atoms() {
            if !self.network.has_atoms() {
                let allowed = format!("a dictionary, or an mlp without hidden layers, with `{name}`");
                return Err(ConfigError::new("network.kind", self.network.name(), allowed));
            }
            if let Output::Fixed(output) = self.output
                && output != Activation::Identity
            {
                return Err(ConfigError::new("output", output, format!("identity with `{name}`")));
            }
        }
        self.check_resample()?;
        if self.penalty.get::<KlRate>().is_some() {
            if self.code.fixes_activity() {
                let allowed = "another with `penalty.kl_rate`, such as deterministic: this one \
                               sets the number of active units itself";
                return Err(ConfigError::new("code.kind", self.code.name(), allowed));
            }
            if self.code.activation() != Activation::Sigmoid {
                let allowed = "sigmoid with `penalty.kl_rate`, which needs units in [0, 1]";
                return Err(ConfigError::new("code.activation", self.code.activation(), allowed));
            }
        }
        Ok(())
    }

    /// Checks the settings for data like `inputs`.
    ///
    /// # Errors
    /// The network or the output activation does not suit the data.
    pub fn check_inputs(&self, inputs: &Inputs) -> Result<(), ConfigError> {
        if let (Some(_), Output::Fixed(output)) = (&inputs.layout, self.output)
            && output != Activation::Identity
        {
            let allowed =
                "`auto` or `identity` for tables with booleans or categories, for which the decoder outputs logits";
            return Err(ConfigError::new("output", output, allowed));
        }
        if let Some(name) = self.needing_atoms()
            && self.output_for(inputs) != Activation::Identity
        {
            let allowed = format!("identity with `{name}` (for data in [0, 1], auto is sigmoid)");
            return Err(ConfigError::new("output", self.output, allowed));
        }
        self.check_target(inputs)?;
        self.network.check_sizes(&self.sizes(inputs)).map_err(|error| error.within("network"))
    }

    /// The setting that needs a decoder of a single layer without activation, if there is one.
    fn needing_atoms(&self) -> Option<String> {
        let penalty = self.penalty.needing_atoms().map(|name| format!("penalty.{name}"));
        penalty.or((!self.resample.is_off()).then(|| "resample.every".to_string()))
    }

    /// Checks what resampling needs.
    fn check_resample(&self) -> Result<(), ConfigError> {
        if self.resample.is_off() {
            return Ok(());
        }
        let has_layers = matches!(&self.network, Network::Mlp(config) if !config.hidden.is_empty());
        if has_layers || self.network.is_tied() {
            let allowed = "a dictionary, or an mlp without hidden layers and tied weights, with `resample.every`";
            return Err(ConfigError::new("network.kind", self.network.name(), allowed));
        }
        if self.code.reads(self.code_dim) != self.code_dim || self.code.get::<JumpReluConfig>().is_some() {
            let allowed = "another with `resample.every`: the units of this one have parameters besides their weights \
                           and bias, such as a threshold, which would keep them inactive";
            return Err(ConfigError::new("code.kind", self.code.name(), allowed));
        }
        Ok(())
    }

    /// Checks what depends on whether the target is the input.
    fn check_target(&self, inputs: &Inputs) -> Result<(), ConfigError> {
        let Network::Dictionary(dictionary) = &self.network else {
            let allowed = "dictionary with a target other than the input";
            return match inputs.target {
                Some(_) => Err(ConfigError::new("network.kind", self.network.name(), allowed)),
                None => Ok(()),
            };
        };
        let refused = |field, allowed| Err(ConfigError::new(field, true, allowed));
        match inputs.target {
            None if dictionary.skip => {
                refused("network.skip", "false without a target other than the input, which it would copy")
            }
            Some(_) if dictionary.center => {
                refused("network.center", "false with a target other than the input, which has another center")
            }
            Some(_) if self.mask_input => refused("mask_input", "false with a target other than the input"),
            _ => Ok(()),
        }
    }

    /// The size of the model's networks, before it is [built](Self::init).
    ///
    /// # Panics
    /// [`check_inputs`](Self::check_inputs) refuses the inputs.
    pub fn counts(&self, inputs: &Inputs) -> Counts {
        self.network.counts(&self.sizes(inputs))
    }

    /// The number of weights of encoder and decoder for data like `inputs`; `None` if it overflows.
    pub fn weights(&self, inputs: &Inputs) -> Option<usize> {
        self.network.weights(&self.sizes(inputs))
    }

    fn sizes(&self, inputs: &Inputs) -> Sizes {
        let reads = self.code.reads(self.code_dim);
        let sizes = Sizes::new(inputs.features, self.code_dim).with_image(inputs.image).with_reads(reads);
        let sizes = if self.mask_input { sizes.with_mask() } else { sizes };
        match inputs.target {
            Some(width) => sizes.with_output(width),
            None => sizes,
        }
    }

    /// The activation of the decoder's last layer for data like `inputs`.
    fn output_for(&self, inputs: &Inputs) -> Activation {
        let gives_values = !self.reconstruction.reads_logits() && inputs.layout.is_none();
        match self.output {
            Output::Fixed(activation) => activation,
            Output::Auto if inputs.unit_range && gives_values && !self.network.is_dictionary() => Activation::Sigmoid,
            Output::Auto => Activation::Identity,
        }
    }

    /// The model for data like `inputs`, with the recipe's constraints enforced. Its weights are drawn from the
    /// device's generator: seed that first for a reproducible start.
    ///
    /// # Panics
    /// [`check_inputs`](Self::check_inputs) refuses the inputs.
    pub fn init(&self, inputs: &Inputs, device: &Device) -> Model {
        let (encoder, decoder) = self.network.init(&self.sizes(inputs), self.output_for(inputs), device);
        let model = Autoencoder::new(encoder, decoder)
            .with_code(self.code.build(self.code_dim, device))
            .with_reconstruction(
                Head::of(self.reconstruction.shared(), inputs.layout.clone()).with_name(self.reconstruction.name()),
            )
            .with_variance(self.variance.init(inputs.numbers(), device))
            .with_mask_input(self.mask_input);
        model.visit(&mut Draw);
        let objective = self.objective(inputs);
        let activity = objective.reads_activity().then(|| Activity::new(self.code_dim, device));
        objective.constrained(model.with_activity(activity))
    }

    /// Whether few units of the code are active, by the code itself: what it can explain depends on their number, not
    /// on the width of the code.
    pub fn is_sparse(&self) -> bool {
        self.code.fixes_activity() || self.network.is_dictionary()
    }

    /// Whether a model is [started on](Model::started_on) training rows or [calibrated on](Model::calibrated_on)
    /// held-out rows.
    pub fn reads_rows(&self) -> bool {
        self.network.is_dictionary() || self.code.reads_rows()
    }

    /// The settings under which the rows of a batch depend on each other, or on random numbers: with another division
    /// of the batches such a model is trained a little differently.
    pub fn reads_batches(&self) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        let mut if_so = |is_so: bool, setting: &str| found.extend(is_so.then(|| setting.to_string()));
        if_so(self.network.norms_batches(), "network.norm");
        if_so(self.network.dropout() > 0.0, "network.dropout");
        if_so(self.code.compares_rows(), "code");
        if_so(self.corruption != CorruptionConfig::default(), "corruption");
        let of_penalties = self.penalty.comparing_rows().into_iter().map(|name| format!("penalty.{name}"));
        found.into_iter().chain(of_penalties).map(|setting| format!("model.{setting}")).collect()
    }

    /// A setting that a training in several processes cannot have: it needs all rows of a batch in one place.
    pub fn single_process(&self) -> Option<&'static str> {
        (!self.resample.is_off()).then_some("model.resample.every")
    }

    /// The objective to train the model for, on data like `inputs`.
    pub fn objective(&self, inputs: &Inputs) -> Objective {
        Objective {
            penalties: self.penalty.init(),
            corruption: self.corruption.init(inputs),
            constraints: self.constraint.init(),
            resample: self.resample,
            ..Objective::default()
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Draws each parameter now. By default Burn draws a parameter when it is first used, after other random numbers.
struct Draw;

impl ModuleVisitor for Draw {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        param.val();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{penalty::AuxK, reconstruction::Bernoulli};

    #[test]
    fn a_penalty_on_the_atoms_needs_a_decoder_without_activation() {
        let recipe = Recipe { penalty: AuxK::default().into(), ..(crate::variants::k_sparse::VARIANT.recipe)() };
        recipe.check().unwrap();
        recipe.check_inputs(&Inputs::real(64)).unwrap();
        let error = recipe.check_inputs(&Inputs::unit(64)).unwrap_err();
        assert!(
            error.to_string().starts_with("`output` is auto, but must be identity with `penalty.aux_k`"),
            "{error}"
        );
    }

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
