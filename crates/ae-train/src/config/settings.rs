//! All settings of a run.

use std::{collections::BTreeMap, fs, path::Path};

use ae_data::ScalingMethod;
use ae_data::{Options, Sets, Split, did_you_mean};
use ae_model::{ConfigError, Hints, Recipe, Registry, VARIANTS, Variant};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use toml::{Table, Value};

use super::{checkpoint::CheckpointConfig, data::DataConfig, training::TrainingConfig};
use crate::{Error, Result, fields};

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

impl Config {
    /// The defaults of a variant.
    ///
    /// ```
    /// use ae_train::Config;
    ///
    /// let mut config = Config::of_variant("denoising")?;
    /// config.model.code_dim = 16;
    /// config.training.epochs = 30;
    /// config.check()?; // every field is in its range
    /// println!("{}", config.to_toml()); // every field with its meaning, unit and range
    /// # Ok::<(), ae_train::Error>(())
    /// ```
    ///
    /// # Errors
    /// An unknown variant: the message lists the known ones.
    pub fn of_variant(name: &str) -> Result<Self> {
        let variant = find_variant(name)?;
        let Hints { learning_rate, pretrain_epochs, batch_size, gradient_clip, one_scale, target: _ } =
            variant.training;
        let training =
            TrainingConfig { learning_rate, pretrain_epochs, batch_size, gradient_clip, ..TrainingConfig::default() };
        let scaling = if one_scale { ScalingMethod::Centered } else { ScalingMethod::Auto };
        let (data, model) = (DataConfig { scaling, ..DataConfig::default() }, (variant.recipe)());
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

    /// Whether both name the same data and split it in the same way.
    pub fn has_data_of(&self, other: &Self) -> bool {
        (self.data.located(), self.seed) == (other.data.located(), other.seed)
    }

    /// Whether both train on the same batches, if what they name is the same data.
    pub fn has_batches_of(&self, other: &Self) -> bool {
        let reading = |config: &Self| {
            let mut data = config.data.clone();
            data.source.clear();
            data.read.target = None;
            data
        };
        let batches = |config: &Self| (config.seed, config.training.batch_size, config.training.epoch_rows);
        reading(self) == reading(other) && batches(self) == batches(other)
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

    pub(super) fn from_table(table: Table, registry: &Registry) -> Result<Self> {
        let cannot = |place: String, what: &str| {
            let meant = meant(what).map(|question| format!("; {question}")).unwrap_or_default();
            Error::Usage(format!("configuration{place}: {what}{meant} (`ae config` prints every field)"))
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
        self.data.check()?;
        self.training.check(&self.model.network)
    }

    /// How the data is read: as configured, and without learning from the columns that split it.
    pub fn reading(&self) -> Options {
        self.data.reading()
    }

    /// Splits the data; also returns the normal class if only that class is trained on.
    ///
    /// # Errors
    /// As [`DataConfig::split`].
    pub fn split(&self, sets: Sets) -> Result<(Split, Option<String>)> {
        self.data.split(sets, self.seed)
    }

    /// The variant.
    pub fn variant(&self) -> Result<&'static Variant> {
        find_variant(&self.variant)
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

    /// Every setting as text, by its dotted path.
    pub(crate) fn by_path(&self) -> BTreeMap<String, String> {
        fn flatten(prefix: &str, table: Table, into: &mut BTreeMap<String, String>) {
            for (key, value) in table {
                match value {
                    Value::Table(inner) => flatten(&format!("{prefix}{key}."), inner, into),
                    Value::String(text) => drop(into.insert(format!("{prefix}{key}"), text)),
                    other => drop(into.insert(format!("{prefix}{key}"), other.to_string())),
                }
            }
        }
        let mut all = BTreeMap::new();
        flatten("", Table::try_from(self).expect("a configuration is a table"), &mut all);
        all
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
        let meant = did_you_mean(name, names.iter().copied());
        let meant = meant.map(|question| question + " ").unwrap_or_default();
        Error::Usage(format!("unknown variant `{name}`; {meant}it is one of {} (see `ae variants`)", names.join(", ")))
    })
}

/// The question whether another name was meant, from a message about a name that is unknown and the names that are
/// expected.
fn meant(message: &str) -> Option<String> {
    let mut names = message.strip_prefix("unknown ")?.split('`').skip(1).step_by(2);
    did_you_mean(names.next()?, names)
}

/// Reads a TOML file.
pub(super) fn read_table(path: &Path) -> Result<Table> {
    let text = fs::read_to_string(path).map_err(|error| Error::at("read", path, error))?;
    text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map(|span| text[..span.start.min(text.len())].lines().count().max(1)).unwrap_or(1);
        Error::Usage(format!("{}, line {line}: {}", path.display(), error.message().replace('\n', " ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelled_name_is_answered_with_the_one_that_was_meant() {
        let said =
            |text: &str| Config::from_table(text.parse().unwrap(), &Registry::default()).unwrap_err().to_string();
        let config = Config::of_variant("sparse").unwrap().to_toml();
        let wrong = said(&config.replace("\nepochs =", "\nepoch ="));
        assert!(wrong.contains("did you mean `epochs`?"), "{wrong}");
        let wrong = said(&config.replace("code_dim =", "codedim ="));
        assert!(wrong.contains("did you mean `code_dim`?"), "{wrong}");
        let wrong = Config::of_variant("sprase").unwrap_err().to_string();
        assert!(wrong.contains("unknown variant `sprase`; did you mean `sparse`? it is one of"), "{wrong}");
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
}
