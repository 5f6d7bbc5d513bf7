//! The TOML that a run is made from.
//!
//! Settings come in layers, each over the one before: the variant's defaults, `--config FILE`, `--set key=value`, and the short flags. What
//! results is checked field by field, written to the run folder before training starts, and read back from there by everything later.

use std::{fs, path::Path};

use ae_data::{Options, ScalingMethod, Sets, Split, SplitConfig};
use ae_model::{
    ConfigError, Hints, Recipe, VARIANTS, Variant,
    network::{MlpConfig, Network, NormKind},
};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::{Error, Result, anomaly::normal_class};

/// The variant that is trained when none is named.
pub const DEFAULT_VARIANT: &str = "undercomplete";
/// The variant that is trained on one class when none is named.
pub const ONE_CLASS_VARIANT: &str = "denoising";

/// Everything that decides a run, apart from the device and the folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name of the variant whose rules the model keeps.
    pub variant: String,
    /// Seed of weights, splits and order.
    pub seed: u64,
    /// Rows to train on.
    pub data: DataConfig,
    /// Parts of the model.
    pub model: Recipe,
    /// How to train.
    pub training: TrainingConfig,
}

/// Rows to train on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// Built-in name or path.
    pub source: String,
    /// How values are scaled.
    pub scaling: ScalingMethod,
    /// Share of the training rows held out for validation, in `(0, 1)`.
    pub validation: f64,
    /// Share of all rows held out for the test where there is no official test set, in `(0, 1)`.
    pub test: f64,
    /// Whether to train on rows of the normal class alone: half of them, or those of the official training set. The rest and every other row
    /// are tested on.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub normal_only: bool,
    /// Name of the normal class; found out if none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normal: Option<String>,
    /// Seed of the split; the run's if none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split_seed: Option<u64>,
    /// Whether each class has the same share of every part.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stratify: bool,
    /// Column whose equal values stay in one part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Column that orders the rows: the last ones are the test.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// How files are read.
    pub read: Options,
}

impl Default for DataConfig {
    fn default() -> Self {
        let split = SplitConfig::default();
        Self {
            source: "digits".to_string(),
            scaling: ScalingMethod::Auto,
            validation: split.validation,
            test: split.test,
            normal_only: false,
            normal: None,
            split_seed: None,
            stratify: false,
            group: None,
            time: None,
            read: Options::default(),
        }
    }
}

/// The optimizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Optimizer {
    /// Adam (Kingma and Ba 2015); `weight_decay` is an L2 penalty.
    Adam,
    /// AdamW (Loshchilov and Hutter 2019); `weight_decay` is decoupled.
    AdamW,
}

/// The learning rate over the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// The same throughout.
    Constant,
    /// Down to 0 along half a cosine (Loshchilov and Hutter 2017).
    Cosine,
}

/// How to train.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingConfig {
    /// Passes over the training rows.
    pub epochs: usize,
    /// Passes for each layer of a perceptron before that, in which it is trained as an autoencoder of the layer below.
    pub pretrain_epochs: usize,
    /// Examples in a step.
    pub batch_size: usize,
    /// The optimizer.
    pub optimizer: Optimizer,
    /// Its step size.
    pub learning_rate: f64,
    /// Its weight decay.
    pub weight_decay: f64,
    /// How the learning rate changes.
    pub schedule: Schedule,
    /// Epochs over which the learning rate first grows linearly from near 0.
    pub warmup_epochs: usize,
    /// Largest norm of a parameter's gradient; 0 for no clipping.
    pub gradient_clip: f64,
    /// Epochs without a better validation loss before training stops; 0 for never.
    pub patience: usize,
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            epochs: 100,
            pretrain_epochs: 0,
            batch_size: 64,
            optimizer: Optimizer::Adam,
            learning_rate: 1e-3,
            weight_decay: 0.0,
            schedule: Schedule::Cosine,
            warmup_epochs: 0,
            gradient_clip: 0.0,
            patience: 20,
        }
    }
}

/// What each field means, for the printed configuration: path, and meaning with unit and range.
const FIELDS: &[(&str, &str)] = &[
    ("variant", "which rules the model keeps: see `ae variants`"),
    ("seed", "of weights, splits and order; 0 or more"),
    ("data.source", "a built-in set (see `ae datasets`) or a path"),
    ("data.scaling", "auto (min_max for images, standard for tables), none, min_max, standard, robust (median and interquartile range)"),
    ("data.validation", "share of the training rows held out for validation, in (0, 1)"),
    ("data.test", "share of all rows held out for the test, if there is no official test set, in (0, 1)"),
    ("data.normal_only", "whether to train on rows of the normal class alone, and to test on the rest"),
    ("data.normal", "name of the normal class"),
    ("data.split_seed", "seed of the split into train, validation and test, 0 or more; the run's if it is not said"),
    ("data.stratify", "whether each class has the same share of train, validation and test"),
    ("data.group", "column whose equal values stay in one part"),
    ("data.time", "column that orders the rows: the last ones are the test, the last of the rest the validation"),
    (
        "data.read",
        "how files are read: label = \"COLUMN\" and id = \"COLUMN\" (carried along, not learned from), drop = [\"COLUMN\"], keep = [\"COLUMN\"], \
         tensor = \"NAME\" (of several arrays), resize = [HEIGHT, WIDTH] and grey = true (images), delimiter = \";\" and header = false (text tables), \
         stream = true (rows stay in their file)",
    ),
    ("data.read.label", "column with each row's class: shown, not learned from"),
    ("data.read.id", "column that identifies each row: carried along, not learned from"),
    ("data.read.drop", "columns not to learn from"),
    ("data.read.keep", "columns to learn from, if not all"),
    ("data.read.categorical", "columns whose cells are names, even where they look like numbers"),
    ("data.read.boolean", "columns with two different values"),
    ("data.read.numeric", "columns of numbers"),
    ("data.read.integer", "columns of whole numbers: what is filled in is rounded"),
    ("data.read.missing", "texts and numbers that stand for a missing value, such as -999; in a text table in place of NA, ? and the like"),
    ("data.read.unknown", "what becomes of a category's value that training did not have: score, refuse"),
    ("data.read.tensor", "name of the array, where a file holds several"),
    ("data.read.resize", "height and width that images are brought to"),
    ("data.read.grey", "whether images are read in shades of grey"),
    ("data.read.delimiter", "what separates the cells of text tables"),
    ("data.read.decimal", "the decimal mark of text tables, `.` or `,`"),
    ("data.read.comment", "lines of text tables that begin so are left out"),
    ("data.read.encoding", "encoding of text tables, such as latin1"),
    (
        "data.read.stream",
        "whether rows stay in their npy, safetensors, Parquet or Arrow file and are read block by block; those of large files do",
    ),
    ("data.read.header", "whether the first line of text tables names the columns"),
    ("model.code_dim", "units of the code, 1 or more"),
    ("model.reconstruction", "squared_error, bernoulli (inputs in [0, 1])"),
    (
        "model.variance",
        "of numbers around their reconstruction, for a likelihood in nats: none (a squared error alone), learned (one for all), per_column, or a number",
    ),
    ("model.output", "the decoder's last activation: auto, or any activation"),
    ("model.mask_input", "whether the encoder also reads which values are there, as a second half of its input"),
    ("model.network.kind", "mlp, conv (images)"),
    ("model.network.hidden", "mlp: widths of the encoder's hidden layers; the decoder mirrors them"),
    (
        "model.network.decoder_hidden",
        "mlp: widths of the decoder's hidden layers, code side first, if they are not the encoder's in reverse; not with tied or pre-training",
    ),
    ("model.network.channels", "conv: channels of the encoder's layers; the decoder mirrors them"),
    ("model.network.kernel", "conv: side of the kernels in pixels, odd"),
    ("model.network.stride", "conv: what each layer divides the sides of the image by, 1 or more"),
    ("model.network.norm", "of the hidden layers: none, layer, batch"),
    ("model.network.dropout", "share of the hidden units switched off in each training step, in [0, 1)"),
    ("model.network.activation", "of the hidden layers: identity, relu, leaky_relu, elu, gelu, silu, tanh, sigmoid, softplus"),
    (
        "model.network.initializer",
        "how the weights are drawn before training: auto (uniform in +-1/sqrt(d_in)), xavier_uniform, xavier_normal, kaiming_uniform, \
         kaiming_normal, orthogonal",
    ),
    ("model.network.tied", "whether the decoder reads the encoder's weights transposed"),
    ("model.code.kind", "deterministic, top_k, lifetime, gaussian"),
    ("model.code.activation", "of the code: any activation"),
    ("model.code.k", "top_k: units kept for each example, 1 to code_dim"),
    ("model.code.k_start", "top_k: units kept when training begins, k to code_dim; 0 for k throughout"),
    ("model.code.anneal", "top_k: share of the training after which k is reached, in (0, 1]"),
    (
        "model.code.beta",
        "gaussian: factor of the divergence from the prior, 0 or more, or { from = 0.0, to = 1.0, over = 0.2 } of the training",
    ),
    ("model.code.beta.from", "gaussian: the factor when training begins, 0 or more"),
    ("model.code.beta.to", "gaussian: the factor that is reached, 0 or more"),
    ("model.code.beta.over", "gaussian: the share of the training that it takes, in (0, 1]"),
    ("model.code.free_bits", "gaussian: nats of each unit's divergence that are not penalised, 0 or more"),
    ("model.code.rate", "lifetime: share of the batch's examples that each unit keeps, in (0, 1]"),
    (
        "model.corruption",
        "what is done to the input in training: [model.corruption.gaussian] std = \"auto\", [model.corruption.salt_and_pepper] rate = 0.1 low = 0.0 \
         high = 1.0, [model.corruption.masking] rate = 0.25 rate_max = 0.0; weights of the loss on what it changed and on the rest: \
         [model.corruption.emphasis] changed = 1.0 intact = 0.5",
    ),
    (
        "model.corruption.gaussian.std",
        "standard deviation of the noise, in units of the scaled data, more than 0; auto for 0.3 in [0, 1] and 1 elsewhere",
    ),
    ("model.corruption.salt_and_pepper.rate", "share of the values set to an extreme, in (0, 1)"),
    ("model.corruption.salt_and_pepper.low", "the lower extreme, in units of the scaled data"),
    ("model.corruption.salt_and_pepper.high", "the upper extreme"),
    ("model.corruption.masking.rate", "share of the values hidden, in (0, 1)"),
    ("model.corruption.masking.rate_max", "each example draws its own share from rate to this; 0 for rate always"),
    ("model.corruption.emphasis.changed", "weight of the loss on changed features, 0 or more"),
    ("model.corruption.emphasis.intact", "weight of the loss on intact features, 0 or more"),
    (
        "model.penalty",
        "what the loss asks for beside copying: [model.penalty.l1] weight = 0.01, [model.penalty.kl_rate] weight = 0.1 rate = 0.05, \
         [model.penalty.contractive] weight = 0.1 method = \"auto\" probes = 1, [model.penalty.contractive_hessian] weight = 0.1 std = 0.1",
    ),
    (
        "model.penalty.l1.weight",
        "factor in the loss, 0 or more, or { from = 0.0, to = 0.1, over = 0.2 } of the training; with 0 it is only measured",
    ),
    (
        "model.penalty.kl_rate.weight",
        "factor in the loss, 0 or more, or { from = 0.0, to = 0.1, over = 0.2 } of the training; with 0 it is only measured",
    ),
    ("model.penalty.kl_rate.rate", "mean activity that each unit is to have, in (0, 1)"),
    (
        "model.penalty.contractive.weight",
        "factor in the loss, 0 or more, or { from = 0.0, to = 0.1, over = 0.2 } of the training; with 0 it is only measured",
    ),
    ("model.penalty.contractive.method", "auto (closed form, exact for small inputs, else hutchinson), exact, hutchinson"),
    ("model.penalty.contractive.probes", "random directions of hutchinson, 1 or more"),
    (
        "model.penalty.contractive_hessian.weight",
        "factor in the loss, 0 or more, or { from = 0.0, to = 0.1, over = 0.2 } of the training; with 0 it is only measured",
    ),
    ("model.penalty.contractive_hessian.std", "standard deviation of the displacement, in units of the scaled data, more than 0"),
    ("model.penalty.contractive_hessian.samples", "displacements drawn for each example, 1 or more"),
    ("model.penalty.contractive_hessian.method", "as for contractive"),
    ("model.penalty.contractive_hessian.probes", "as for contractive"),
    (
        "model.constraint",
        "what is kept of the decoder's first weight after each step: [model.constraint] unit_norm = true, non_negative = true",
    ),
    ("model.constraint.unit_norm", "rows of length 1, so that a penalty on the code cannot be escaped by scaling; not with tied weights"),
    ("model.constraint.non_negative", "no entry below 0; not with tied weights"),
    ("training.epochs", "passes over the training rows, 1 or more"),
    ("training.pretrain_epochs", "passes for each layer of an mlp first, as an autoencoder of the layer below; 0 for none"),
    ("training.batch_size", "examples in a step, 1 or more"),
    ("training.optimizer", "adam, adam_w"),
    ("training.learning_rate", "the optimizer's step size, in (0, 1]"),
    ("training.weight_decay", "0 or more: an L2 penalty with adam, decoupled with adam_w"),
    ("training.schedule", "constant, cosine (down to 0)"),
    ("training.warmup_epochs", "epochs of linear warm-up, less than `epochs`"),
    ("training.gradient_clip", "largest norm of a parameter's gradient, 0 for no clipping"),
    ("training.patience", "epochs without a better validation loss before training stops, 0 for never"),
];

/// Where settings come from.
#[derive(Debug, Clone, Default)]
pub struct Layers<'a> {
    /// What is known beforehand, such as the sizes of weights that are there already, as `(key, value)`.
    pub given: Vec<(&'static str, Value)>,
    /// `--variant`.
    pub variant: Option<&'a str>,
    /// `--config`.
    pub file: Option<&'a Path>,
    /// `--set key=value`, in order.
    pub set: &'a [String],
    /// The short flags, as `(key, value)`.
    pub flags: Vec<(&'static str, Value)>,
}

impl Config {
    /// The defaults of a variant.
    ///
    /// # Errors
    /// An unknown variant: the message lists the known ones.
    pub fn of_variant(name: &str) -> Result<Self> {
        let variant = find_variant(name)?;
        let Hints { learning_rate, pretrain_epochs } = variant.training;
        let training = TrainingConfig { learning_rate, pretrain_epochs, ..TrainingConfig::default() };
        Ok(Self { variant: name.to_string(), seed: 0, data: DataConfig::default(), model: (variant.recipe)(), training })
    }

    /// The settings of all layers, checked.
    ///
    /// # Errors
    /// A file that cannot be read, a field that does not exist, a value of the wrong type or outside its range.
    pub fn from_layers(layers: &Layers) -> Result<Self> {
        let file = layers.file.map(read_table).transpose()?.unwrap_or_default();
        let mut said = Table::new();
        for (key, value) in layers.given.iter().cloned() {
            merge(&mut said, nested(key, value));
        }
        merge(&mut said, file);
        for setting in layers.set {
            let (key, value) = parse_setting(setting)?;
            merge(&mut said, nested(key, value));
        }
        for (key, value) in layers.flags.iter().cloned() {
            merge(&mut said, nested(key, value));
        }
        let in_file = match said.get("variant") {
            Some(Value::String(name)) => Some(name.clone()),
            Some(other) => return Err(Error::Usage(format!("`variant` is {other}, but must be a name in quotes"))),
            None => None,
        };
        let variant = layers.variant.map(str::to_string).or(in_file).unwrap_or_else(|| {
            // What is normal is learned best from rows that were moved away from it.
            let one_class = said.get("data").and_then(|data| data.get("normal_only")) == Some(&Value::Boolean(true));
            if one_class { ONE_CLASS_VARIANT } else { DEFAULT_VARIANT }.to_string()
        });
        let mut table = Table::try_from(Self::of_variant(&variant)?).expect("a configuration is a table");
        merge(&mut table, said);
        table.insert("variant".to_string(), Value::String(variant));
        let config = Self::from_table(table)?;
        config.check()?;
        Ok(config)
    }

    /// The settings in a file that a run wrote.
    ///
    /// # Errors
    /// As [`from_layers`](Self::from_layers).
    pub fn load(path: &Path) -> Result<Self> {
        let config = Self::from_table(read_table(path)?).map_err(|error| Error::Failed(format!("{}: {error}", path.display())))?;
        config.check()?;
        Ok(config)
    }

    fn from_table(table: Table) -> Result<Self> {
        Self::deserialize(Value::Table(table)).map_err(|error| {
            let message = error.to_string();
            let mut lines = message.lines().map(str::trim).filter(|line| !line.is_empty());
            let what = lines.next().unwrap_or("cannot be read").to_string();
            let place = lines.next().and_then(|line| line.strip_prefix("in ")).map(|path| format!(" in {path}")).unwrap_or_default();
            Error::Usage(format!("configuration{place}: {what} (`ae config` prints every field)"))
        })
    }

    /// Whether every field is in its range, as far as that can be said without the data.
    ///
    /// # Errors
    /// The first field that is not.
    pub fn check(&self) -> Result<()> {
        find_variant(&self.variant)?;
        self.model.check().map_err(|error| error.within("model"))?;
        let share = |field: &str, value: f64| match value > 0.0 && value < 1.0 {
            true => Ok(()),
            false => Err(ConfigError::new(field, value, "greater than 0 and less than 1")),
        };
        share("data.validation", self.data.validation)?;
        share("data.test", self.data.test)?;
        let training = &self.training;
        let at_least_one = |field: &str, value: usize| match value {
            0 => Err(ConfigError::new(field, 0, "at least 1")),
            _ => Ok(()),
        };
        at_least_one("training.epochs", training.epochs)?;
        at_least_one("training.batch_size", training.batch_size)?;
        let check =
            |good: bool, field: &str, value: f64, allowed: &str| if good { Ok(()) } else { Err(ConfigError::new(field, value, allowed)) };
        let rate = training.learning_rate;
        check(rate > 0.0 && rate <= 1.0, "training.learning_rate", rate, "greater than 0 and at most 1")?;
        let decay = training.weight_decay;
        check(decay >= 0.0 && decay.is_finite(), "training.weight_decay", decay, "0 or more")?;
        let clip = training.gradient_clip;
        check(clip >= 0.0 && clip.is_finite(), "training.gradient_clip", clip, "0 (no clipping) or more")?;
        if let Some(size) = self.data.read.resize.filter(|size| size.contains(&0)) {
            return Err(ConfigError::new("data.read.resize", format!("{size:?}"), "a height and a width of at least 1 pixel").into());
        }
        for (field, character) in [("data.read.delimiter", self.data.read.delimiter), ("data.read.comment", self.data.read.comment)] {
            if let Some(character) = character.filter(|character| !character.is_ascii()) {
                return Err(ConfigError::new(field, character, "a plain character, such as , or ;").into());
            }
        }
        if let Some(decimal) = self.data.read.decimal.filter(|decimal| !matches!(decimal, '.' | ',')) {
            return Err(ConfigError::new("data.read.decimal", decimal, "`.` or `,`").into());
        }
        if training.pretrain_epochs > 0 && !matches!(&self.model.network, Network::Mlp(MlpConfig { norm: NormKind::None, .. })) {
            let allowed = "0 unless `model.network` is an mlp without `norm`: only its layers are autoencoders by themselves";
            return Err(ConfigError::new("training.pretrain_epochs", training.pretrain_epochs, allowed).into());
        }
        if let Network::Mlp(network) = &self.model.network
            && training.pretrain_epochs > 0
            && !network.is_mirrored()
        {
            let allowed = "0 with `model.network.decoder_hidden`: each layer is trained with its mirror in the decoder";
            return Err(ConfigError::new("training.pretrain_epochs", training.pretrain_epochs, allowed).into());
        }
        if training.warmup_epochs >= training.epochs {
            let allowed = format!("less than `training.epochs`, which is {}", training.epochs);
            return Err(ConfigError::new("training.warmup_epochs", training.warmup_epochs, allowed).into());
        }
        Ok(())
    }

    /// The variant.
    pub fn variant(&self) -> Result<&'static Variant> {
        find_variant(&self.variant)
    }

    /// How the data is read: as it is said, and the columns that it is cut by are not learned from.
    pub fn reading(&self) -> Options {
        let cut_by = self.data.group.iter().chain(&self.data.time).filter(|name| !self.data.read.keep.contains(name));
        let mut read = self.data.read.clone();
        read.cut_by = cut_by.cloned().collect();
        read
    }

    /// The parts of the data, and the normal class if one was learned from alone.
    ///
    /// # Errors
    /// A part without rows, a class that the data does not have, or classes of which none can be told to be the normal one.
    pub fn cut(&self, sets: Sets) -> Result<(Split, Option<String>)> {
        let data = &self.data;
        let config = SplitConfig {
            validation: data.validation,
            test: data.test,
            seed: data.split_seed.unwrap_or(self.seed),
            stratify: data.stratify,
            group: data.group.clone(),
            time: data.time.clone(),
        };
        if !self.data.normal_only {
            return Ok((Split::new(sets, &config)?, None));
        }
        let normal = normal_class(self.data.normal.as_deref(), &sets.train.classes())?;
        Ok((Split::one_class(sets, &normal, &config)?, Some(normal)))
    }

    /// The configuration as TOML, with the meaning of each field beside it.
    pub fn to_toml(&self) -> String {
        let plain = toml::to_string(self).expect("a configuration is TOML");
        let mut table = String::new();
        let mut text = String::from("# Every field of a run, with its meaning, unit and range. Read with `ae train --config FILE`.\n");
        for line in plain.lines() {
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                // A table of parts that come and go explains all of them, whichever are there.
                let parent = name.rsplit_once('.').map_or("", |(parent, _)| parent);
                let explained = FIELDS.iter().find(|(field, _)| *field == name || *field == parent);
                if let Some((_, meaning)) = explained.filter(|(_, meaning)| !text.contains(meaning)) {
                    text.push_str(&format!("# {meaning}\n"));
                }
                table = format!("{name}.");
            } else if let Some((key, _)) = line.split_once(" = ") {
                let path = format!("{table}{key}");
                if let Some((_, meaning)) = FIELDS.iter().find(|(field, _)| *field == path) {
                    text.push_str(&format!("# {meaning}\n"));
                }
            }
            text.push_str(line);
            text.push('\n');
        }
        text
    }
}

fn find_variant(name: &str) -> Result<&'static Variant> {
    Variant::find(name).ok_or_else(|| {
        let names: Vec<_> = VARIANTS.iter().map(|variant| variant.name).collect();
        Error::Usage(format!("unknown variant `{name}`, expected one of {} (see `ae variants`)", names.join(", ")))
    })
}

fn read_table(path: &Path) -> Result<Table> {
    let text = fs::read_to_string(path).map_err(|error| Error::at("read", path, error))?;
    text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map(|span| text[..span.start.min(text.len())].lines().count().max(1)).unwrap_or(1);
        Error::Usage(format!("{}, line {line}: {}", path.display(), error.message().replace('\n', " ")))
    })
}

/// `key=value` with a dotted key; a value that is no TOML is taken as text.
fn parse_setting(setting: &str) -> Result<(&str, Value)> {
    let (key, value) = setting
        .split_once('=')
        .filter(|(key, _)| !key.trim().is_empty())
        .ok_or_else(|| Error::Usage(format!("`--set {setting}` is not KEY=VALUE, such as training.epochs=50")))?;
    let parsed = format!("value = {value}").parse::<Table>().ok().and_then(|mut table| table.remove("value"));
    Ok((key.trim(), parsed.unwrap_or_else(|| Value::String(value.trim().to_string()))))
}

/// A table that holds `value` at the dotted `key`.
fn nested(key: &str, value: Value) -> Table {
    let (first, value) = match key.split_once('.') {
        Some((first, rest)) => (first, Value::Table(nested(rest, value))),
        None => (key, value),
    };
    Table::from_iter([(first.to_string(), value)])
}

/// Puts `layer` over `base`. A part of another `kind` replaces the one below: its fields are others.
fn merge(base: &mut Table, layer: Table) {
    for (key, value) in layer {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(base)), Value::Table(layer)) if layer.get("kind").is_none_or(|kind| base.get("kind") == Some(kind)) => {
                merge(base, layer);
            }
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(settings: &[&str]) -> Result<Config> {
        let set: Vec<_> = settings.iter().map(|setting| setting.to_string()).collect();
        Config::from_layers(&Layers { set: &set, ..Default::default() })
    }

    #[test]
    fn layers_lie_over_each_other() {
        let config = set(&["training.epochs=7", "model.network.activation=gelu", "model.network.hidden=[5, 4]"]).unwrap();
        assert_eq!(config.training.epochs, 7);
        let text = toml::to_string(&config.model.network).unwrap();
        assert!(text.contains("\"gelu\"") && text.contains("[5, 4]"), "{text}");
        let conv = set(&["model.network.kind=conv"]).unwrap();
        assert!(matches!(conv.model.network, ae_model::network::Network::Conv(_)));
    }

    #[test]
    fn the_printed_configuration_explains_every_field_and_reads_back() {
        for variant in VARIANTS {
            let config = Config::of_variant(variant.name).unwrap();
            let text = config.to_toml();
            assert_eq!(Config::from_table(text.parse().unwrap()).unwrap(), config);
            let lines: Vec<_> = text.lines().collect();
            for pair in lines.windows(2).filter(|pair| pair[1].contains(" = ") && !pair[1].starts_with('#')) {
                assert!(pair[0].starts_with("# "), "no meaning given for `{}`", pair[1]);
            }
        }
    }

    #[test]
    fn every_bad_setting_is_refused_by_name_in_one_line() {
        let cases = [
            ("training.epochs=0", "`training.epochs` is 0, but must be at least 1"),
            ("training.batch_size=0", "training.batch_size"),
            ("training.learning_rate=-1", "training.learning_rate"),
            ("training.learning_rate=2", "greater than 0 and at most 1"),
            ("training.weight_decay=-0.1", "training.weight_decay"),
            ("training.gradient_clip=-1", "training.gradient_clip"),
            ("training.warmup_epochs=100", "training.warmup_epochs"),
            ("training.epohcs=3", "epohcs"),
            ("training.epochs=many", "training.epochs"),
            ("model.code_dim=0", "model.code_dim"),
            ("model.code_dim=-3", "model.code_dim"),
            ("model.network.kind=transformer", "transformer"),
            ("model.network.hidden=[4, 0]", "model.network.hidden[1]"),
            ("model.network.activation=reul", "unknown activation `reul`"),
            ("model.reconstruction=huber", "huber"),
            ("data.validation=1", "data.validation"),
            ("data.test=0", "data.test"),
            ("seed=-1", "seed"),
            ("nonsense", "KEY=VALUE"),
        ];
        for (setting, expected) in cases {
            let error = set(&[setting]).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{setting}");
            let message = error.to_string();
            assert!(message.contains(expected) && !message.contains('\n'), "{setting}: {message}");
        }
    }
}
