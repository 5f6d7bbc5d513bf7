//! Layers of settings, each overriding the one before.

use std::path::Path;

use ae_model::Registry;
use toml::{Table, Value};

use super::settings::{Config, read_table};
use crate::{Error, Result};

/// The variant that is trained when none is named.
pub const DEFAULT_VARIANT: &str = "undercomplete";

/// The variant that is trained on one class when none is named.
pub const ONE_CLASS_VARIANT: &str = "denoising";

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
    /// Combines the settings of all layers and checks the result; parts come from the registry.
    ///
    /// ```
    /// use ae_model::prelude::*;
    /// use ae_train::{Config, config::Layers};
    /// use burn::tensor::Tensor;
    ///
    /// settings! {
    ///     /// A Student-t prior on the code.
    ///     struct StudentT("student_t") {
    ///         /// Factor of the penalty in the loss, 0 or more. Default: 0.02.
    ///         weight: Weight = 0.02.into(),
    ///     }
    /// }
    ///
    /// impl Penalty for StudentT {
    ///     fn weight(&self, progress: f64) -> f64 {
    ///         self.weight.at(progress)
    ///     }
    ///
    ///     fn check(&self) -> Result<(), ConfigError> {
    ///         self.weight.check("weight")
    ///     }
    ///
    ///     fn value(&self, context: &Context) -> Tensor<1> {
    ///         context.latent.code.clone().square().log1p().sum_dim(1).squeeze_dim(1) // [batch]
    ///     }
    /// }
    ///
    /// let registry = Registry::default().with_penalty::<StudentT>();
    /// let set = ["model.code_dim=8".to_string(), "model.penalty.student_t.weight=0.01".to_string()];
    /// let layers = Layers { variant: Some("undercomplete"), set: &set, ..Layers::default() };
    /// let config = Config::from_layers(&layers, &registry)?;
    /// assert_eq!(config.model.code_dim, 8);
    /// # Ok::<(), ae_train::Error>(())
    /// ```
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
    use ae_model::network::Network;

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
