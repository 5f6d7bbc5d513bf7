//! The configuration of a run, as TOML.
//!
//! Settings come in layers, each overriding the one before: the variant's defaults, `--config FILE`, `--set key=value`,
//! and the short flags. The result is checked field by field, written to the run folder before training starts, and
//! read from there by everything that follows.

use std::{fs, path::Path};

use ae_data::{Options, ScalingMethod, Sets, Split, SplitConfig};
use ae_model::{
    ConfigError, Hints, Recipe, Registry, VARIANTS, Variant,
    network::{MlpConfig, Network, NormKind},
};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use toml::{Table, Value};

pub use crate::saving::{CheckpointConfig, Every, Keep};
use crate::{Error, Result, anomaly::normal_class, fields, history::Epoch, metrics::LOSS};

/// The variant that is trained when none is named.
pub const DEFAULT_VARIANT: &str = "undercomplete";
/// The variant that is trained on one class when none is named.
pub const ONE_CLASS_VARIANT: &str = "denoising";

/// Maximum number of epochs, so that the steps of all epochs can still be counted.
const MOST_EPOCHS: usize = 1_000_000_000;

/// Everything that determines a run, apart from the device and the folder.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Config {
    /// Variant to start from: its defaults apply, and the model has to keep its rules (see `ae variants`).
    pub variant: String,
    /// Seed of the initial weights, the split and the order of the rows, an integer of at least 0. Default: 0.
    pub seed: u64,
    /// The data to train on.
    pub data: DataConfig,
    /// Components of the model.
    pub model: Recipe,
    /// How to train.
    pub training: TrainingConfig,
    /// When to save the training.
    pub checkpoint: CheckpointConfig,
    /// The parts that `model` can name.
    #[serde(skip)]
    pub registry: Registry,
}

/// A configuration whose model may not have been read yet: its parts are looked up in a registry.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unread<M> {
    variant: String,
    seed: u64,
    data: DataConfig,
    model: M,
    training: TrainingConfig,
    #[serde(default)]
    checkpoint: CheckpointConfig,
}

/// Reads a configuration with the parts of `ae-model`.
impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let Unread { variant, seed, data, model, training, checkpoint } = Unread::deserialize(deserializer)?;
        Ok(Self { variant, seed, data, model, training, checkpoint, registry: Registry::default() })
    }
}

/// The data to train on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// Built-in data set (see `ae datasets`), file, folder, pattern such as 'part-*.csv', or - for CSV on standard
    /// input. Default: digits.
    pub source: String,
    /// How values are scaled: `auto` means `min_max` for images and `standard` for tables. Default: auto.
    pub scaling: ScalingMethod,
    /// Share of the training rows held out for validation, in (0, 1). Default: 0.1.
    pub validation: f64,
    /// Share of all rows held out for the test set, in (0, 1); unused if the data has an official test set. Default:
    /// 0.2.
    pub test: f64,
    /// Train only on rows of the normal class and test on the others, for anomaly detection. It trains on half of the
    /// normal rows, or on those of the official training set. Needs labels. Default: false.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub normal_only: bool,
    /// Name of the normal class; by default the class called 0, normal, inlier, false or similar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normal: Option<String>,
    /// Seed of the split into training, validation and test set, an integer of at least 0; by default the run's `seed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split_seed: Option<u64>,
    /// Stratified split: give each class the same share of training, validation and test set. Needs labels. Default:
    /// false.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stratify: bool,
    /// Column that groups rows, such as a customer with several rows: rows with equal values stay in the same set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Column of times, dates or numbers that orders the rows: the last rows become the test set, and the last of the
    /// remaining ones the validation set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// How files are read; what is not set is detected.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Optimizer {
    /// Adam (Kingma and Ba 2015); `weight_decay` is an L2 penalty.
    Adam,
    /// AdamW (Loshchilov and Hutter 2019); `weight_decay` is decoupled.
    AdamW,
}

/// How the learning rate changes during training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Constant.
    Constant,
    /// Decreases to 0 along half a cosine (Loshchilov and Hutter 2017).
    Cosine,
}

/// How to train.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingConfig {
    /// Number of passes over the training rows, at least 1. Default: 100.
    pub epochs: usize,
    /// Epochs of greedy layer-wise pre-training for each layer of an mlp, which is trained as an autoencoder of the
    /// layer below it (Bengio et al. 2007); 0 turns it off. Default: 0.
    pub pretrain_epochs: usize,
    /// Number of rows in a step (mini-batch), at least 1. Default: 64.
    pub batch_size: usize,
    /// The optimizer. Default: adam.
    pub optimizer: Optimizer,
    /// Learning rate of the optimizer, the largest one if it changes, in (0, 1]. Default: 0.001.
    pub learning_rate: f64,
    /// Weight decay, at least 0: an L2 penalty with adam, decoupled with adam_w. Default: 0.
    pub weight_decay: f64,
    /// How the learning rate changes: `constant`, or `cosine`, which decreases it to 0. Default: cosine.
    pub schedule: Schedule,
    /// Epochs of warm-up, in which the learning rate increases linearly from near 0; fewer than `epochs`. Default: 0.
    pub warmup_epochs: usize,
    /// Gradient clipping: largest L2 norm of the gradient of each parameter tensor; 0 turns it off. Default: 0.
    pub gradient_clip: f64,
    /// Early stopping: number of epochs without a better validation loss after which training stops; 0 turns it off.
    /// Default: 20.
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

/// Where settings come from.
#[derive(Debug, Clone, Default)]
pub struct Layers<'a> {
    /// Settings that follow from something else, such as the sizes of imported weights, as `(key, value)`.
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
        let (data, model) = (DataConfig::default(), (variant.recipe)());
        let checkpoint = CheckpointConfig::default();
        Ok(Self {
            variant: name.to_string(),
            seed: 0,
            data,
            model,
            training,
            checkpoint,
            registry: Registry::default(),
        })
    }

    /// Combines the settings of all layers and checks the result; parts come from the registry.
    ///
    /// # Errors
    /// A file that cannot be read, a field that does not exist, a value of the wrong type or outside its range.
    pub fn from_layers(layers: &Layers, registry: &Registry) -> Result<Self> {
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
            // Normal rows are learned best from corrupted rows that have been moved away from them.
            let one_class = said.get("data").and_then(|data| data.get("normal_only")) == Some(&Value::Boolean(true));
            if one_class { ONE_CLASS_VARIANT } else { DEFAULT_VARIANT }.to_string()
        });
        let mut table = Table::try_from(Self::of_variant(&variant)?).expect("a configuration is a table");
        merge(&mut table, said);
        table.insert("variant".to_string(), Value::String(variant));
        let config = Self::from_table(table, registry)?;
        config.check()?;
        Ok(config)
    }

    /// Reads a file that a run has written; parts come from the registry.
    ///
    /// # Errors
    /// As [`from_layers`](Self::from_layers).
    pub fn load(path: &Path, registry: &Registry) -> Result<Self> {
        let config = Self::from_table(read_table(path)?, registry)
            .map_err(|error| Error::Failed(format!("{}: {error}", path.display())))?;
        config.check()?;
        Ok(config)
    }

    fn from_table(table: Table, registry: &Registry) -> Result<Self> {
        let cannot = |place: String, what: &str| {
            Error::Usage(format!("configuration{place}: {what} (`ae config` prints every field)"))
        };
        let unread = Unread::<Value>::deserialize(Value::Table(table)).map_err(|error| {
            let message = error.to_string();
            let mut lines = message.lines().map(str::trim).filter(|line| !line.is_empty());
            let what = lines.next().unwrap_or("cannot be read").to_string();
            let place = lines
                .next()
                .and_then(|line| line.strip_prefix("in "))
                .map(|path| format!(" in {path}"))
                .unwrap_or_default();
            cannot(place, &what)
        })?;
        let Unread { variant, seed, data, model, training, checkpoint } = unread;
        if let Some((place, number)) = not_finite("model", &model) {
            return Err(ConfigError::new(place, number, "a finite number").into());
        }
        let model = Recipe::read(model, registry).map_err(|error| {
            let place = if error.place.is_empty() { "model".to_string() } else { format!("model.{}", error.place) };
            cannot(format!(" in `{place}`"), &error.what)
        })?;
        Ok(Self { variant, seed, data, model, training, checkpoint, registry: registry.clone() })
    }

    /// Checks that every field is in its range, as far as that is possible without the data.
    ///
    /// # Errors
    /// The first field that is out of range.
    pub fn check(&self) -> Result<()> {
        find_variant(&self.variant)?;
        self.model.check().map_err(|error| error.within("model"))?;
        self.checkpoint.check()?;
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
        if training.epochs > MOST_EPOCHS {
            return Err(ConfigError::new("training.epochs", training.epochs, format!("at most {MOST_EPOCHS}")).into());
        }
        at_least_one("training.batch_size", training.batch_size)?;
        let check = |good: bool, field: &str, value: f64, allowed: &str| {
            if good { Ok(()) } else { Err(ConfigError::new(field, value, allowed)) }
        };
        let rate = training.learning_rate;
        check(rate > 0.0 && rate <= 1.0, "training.learning_rate", rate, "greater than 0 and at most 1")?;
        let decay = training.weight_decay;
        check(decay >= 0.0 && decay.is_finite(), "training.weight_decay", decay, "0 or more")?;
        let clip = training.gradient_clip;
        check(clip >= 0.0 && clip.is_finite(), "training.gradient_clip", clip, "0 (no clipping) or more")?;
        if let Some(size) = self.data.read.resize.filter(|size| size.contains(&0)) {
            return Err(ConfigError::new(
                "data.read.resize",
                format!("{size:?}"),
                "a height and a width of at least 1 pixel",
            )
            .into());
        }
        for (field, character) in
            [("data.read.delimiter", self.data.read.delimiter), ("data.read.comment", self.data.read.comment)]
        {
            if let Some(character) = character.filter(|character| !character.is_ascii()) {
                return Err(ConfigError::new(field, character, "an ASCII character, such as , or ;").into());
            }
        }
        if let Some(decimal) = self.data.read.decimal.filter(|decimal| !matches!(decimal, '.' | ',')) {
            return Err(ConfigError::new("data.read.decimal", decimal, "`.` or `,`").into());
        }
        if training.pretrain_epochs > 0
            && !matches!(&self.model.network, Network::Mlp(MlpConfig { norm: NormKind::None, .. }))
        {
            let allowed =
                "0 unless `model.network` is an mlp without `norm`: only its layers can be trained as autoencoders";
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

    /// Advice for a loss that diverges.
    pub(crate) fn slower(&self) -> String {
        format!("lower `training.learning_rate` (now {}) or set `training.gradient_clip`", self.training.learning_rate)
    }

    /// The error for a loss that became infinite in this epoch; another epoch may have been kept.
    pub(crate) fn diverged(&self, epoch: usize, kept: Option<usize>, epochs: &[Epoch]) -> Error {
        let infinite = epochs.iter().find(|other| other.epoch == epoch).and_then(|epoch| epoch.infinite.clone());
        let kept = kept.map(|kept| format!("epoch {kept} was kept; ")).unwrap_or_default();
        Error::Diverged { epoch, term: infinite.unwrap_or_else(|| LOSS.to_string()), advice: kept + &self.slower() }
    }

    /// The variant.
    pub fn variant(&self) -> Result<&'static Variant> {
        find_variant(&self.variant)
    }

    /// How the data is read: as configured, and without learning from the columns that split it.
    pub fn reading(&self) -> Options {
        let cut_by = self.data.group.iter().chain(&self.data.time).filter(|name| !self.data.read.keep.contains(name));
        let mut read = self.data.read.clone();
        read.cut_by = cut_by.cloned().collect();
        read
    }

    /// Splits the data; also returns the normal class if only that class is trained on.
    ///
    /// # Errors
    /// A set without rows, a class that the data does not have, or classes of which none is recognizably the normal
    /// one.
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

    /// Checks that the written configuration can be read again unchanged: its parts are in its registry, and TOML can
    /// represent their settings.
    ///
    /// # Errors
    /// A part that the registry does not know, or settings that change when they are written.
    pub fn check_written(&self) -> Result<()> {
        let text = toml::to_string(self)
            .map_err(|error| Error::Usage(format!("this configuration cannot be written as TOML: {error}")))?;
        let advice = "add parts of your own to its `registry`, such as \
                      `config.registry = Registry::default().with_penalty::<Mine>()`";
        let again = text
            .parse()
            .map_err(|error: toml::de::Error| error.to_string())
            .and_then(|table| Self::from_table(table, &self.registry).map_err(|error| error.to_string()));
        match again {
            Ok(again) if again == *self => Ok(()),
            Ok(_) => Err(Error::Usage(
                "this configuration changes when it is written and read again: its parts are in another order than in \
                 its `registry`, or a setting has a value that TOML cannot represent"
                    .to_string(),
            )),
            Err(reason) => {
                let reason = reason.replace('\n', " ");
                Err(Error::Usage(format!("this configuration cannot be read again: {reason}; {advice}")))
            }
        }
    }

    /// The configuration as TOML, with the meaning of each field above it and the parts that could be added.
    pub fn to_toml(&self) -> String {
        let plain = toml::to_string(self).expect("a configuration is TOML");
        let header = "\
            # Every field of a run, with its meaning, unit and range. Read with `ae train --config FILE`.\n\
            # A field that is left out has the variant's value; the defaults named here are those of each part by \
            itself.\n";
        format!("{header}{}", fields::explained(&plain, self))
    }
}

/// The first number that is infinite or NaN, with its path.
fn not_finite(place: &str, value: &Value) -> Option<(String, f64)> {
    match value {
        Value::Float(number) if !number.is_finite() => Some((place.to_string(), *number)),
        Value::Table(table) => table.iter().find_map(|(key, value)| not_finite(&format!("{place}.{key}"), value)),
        Value::Array(values) => {
            values.iter().enumerate().find_map(|(index, value)| not_finite(&format!("{place}[{index}]"), value))
        }
        _ => None,
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

/// Parses `key=value` with a dotted key; a value that is not TOML is taken as a string.
fn parse_setting(setting: &str) -> Result<(&str, Value)> {
    let (key, value) = setting
        .split_once('=')
        .filter(|(key, _)| !key.trim().is_empty())
        .ok_or_else(|| Error::Usage(format!("`--set {setting}` is not KEY=VALUE, such as training.epochs=50")))?;
    let parsed = format!("value = {value}").parse::<Table>().ok().and_then(|mut table| table.remove("value"));
    Ok((key.trim(), parsed.unwrap_or_else(|| Value::String(value.trim().to_string()))))
}

/// A table with `value` at the dotted `key`.
fn nested(key: &str, value: Value) -> Table {
    let (first, value) = match key.split_once('.') {
        Some((first, rest)) => (first, Value::Table(nested(rest, value))),
        None => (key, value),
    };
    Table::from_iter([(first.to_string(), value)])
}

/// Tables of optional parts: an empty table removes all of them.
const PARTS: [&str; 3] = ["corruption", "penalty", "constraint"];

/// Puts `layer` over `base`. A part of another `kind` replaces the one below, because its fields differ. A part can be
/// set by its name only: `code = "top_k"` stands for a table with this kind.
fn merge(base: &mut Table, layer: Table) {
    for (key, mut value) in layer {
        if PARTS.contains(&key.as_str()) && value.as_table().is_some_and(Table::is_empty) {
            base.insert(key, value);
            continue;
        }
        if let (Some(Value::String(kind)), Value::Table(layer)) = (base.get(&key), &mut value)
            && !layer.contains_key("kind")
        {
            layer.insert("kind".to_string(), Value::String(kind.clone()));
        }
        if let (Some(Value::Table(_)), Value::String(kind)) = (base.get(&key), &value)
            && ["network", "code", "reconstruction"].contains(&key.as_str())
        {
            value = Value::Table(Table::from_iter([("kind".to_string(), Value::String(kind.clone()))]));
        }
        match (base.get_mut(&key), value) {
            (Some(Value::Table(base)), Value::Table(layer))
                if layer.get("kind").is_none_or(|kind| base.get("kind") == Some(kind)) =>
            {
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
        Config::from_layers(&Layers { set: &set, ..Default::default() }, &Registry::default())
    }

    #[test]
    fn later_layers_override_earlier_ones() {
        let config =
            set(&["training.epochs=7", "model.network.activation=gelu", "model.network.hidden=[5, 4]"]).unwrap();
        assert_eq!(config.training.epochs, 7);
        let text = toml::to_string(&config.model.network).unwrap();
        assert!(text.contains("\"gelu\"") && text.contains("[5, 4]"), "{text}");
        let conv = set(&["model.network.kind=conv"]).unwrap();
        assert!(matches!(conv.model.network, ae_model::network::Network::Conv(_)));
    }

    #[test]
    fn a_part_set_by_its_name_is_kept_by_later_settings() {
        for parts in
            [["model.code=top_k", "model.code.activation=elu"], ["model.code.activation=elu", "model.code=top_k"]]
        {
            let settings = ["model.code_dim=40", parts[0], parts[1]];
            assert_eq!(set(&settings).unwrap().model.code.name(), "top_k", "{settings:?}");
        }
        let conv = set(&["model.network=conv", "model.network.activation=relu"]).unwrap();
        assert!(matches!(conv.model.network, Network::Conv(_)));
        let sparse = ["variant=sparse", "model.penalty={}"];
        assert!(set(&sparse[..1]).unwrap().model.penalty.get::<ae_model::penalty::L1>().is_some());
        assert!(set(&sparse).unwrap().model.penalty.is_empty());
    }

    #[test]
    fn a_string_of_several_lines_is_kept_unchanged() {
        let mut config = Config::of_variant("undercomplete").unwrap();
        config.data.group = Some("a\nsource = \"x\"\n[data]".to_string());
        assert_eq!(Config::from_table(config.to_toml().parse().unwrap(), &Registry::default()).unwrap(), config);
    }

    #[test]
    fn the_printed_configuration_explains_every_field_and_reads_back() {
        for variant in VARIANTS {
            let config = Config::of_variant(variant.name).unwrap();
            let text = config.to_toml();
            assert_eq!(Config::from_table(text.parse().unwrap(), &Registry::default()).unwrap(), config);
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
