//! `[data]`: the data to train on, and how it is split.

use ae_data::{BUILTIN, Options, ScalingMethod, Sets, Split, SplitConfig};
use ae_model::ConfigError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

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
    /// Leave out rows whose norm is more than so many times the median norm of the training rows, greater than 1; by
    /// default none. For arrays, such as activations, of which a few rows are much longer than the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_norm: Option<f64>,
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
            max_norm: None,
            read: Options::default(),
        }
    }
}

/// The whole path of data that is named by a path.
pub(crate) fn located(source: &str) -> String {
    let is_name = source == "-" || BUILTIN.iter().any(|set| set.name == source);
    let path = if is_name { None } else { std::path::absolute(source).ok() };
    path.map_or_else(|| source.to_string(), |path| path.to_string_lossy().into_owned())
}

impl DataConfig {
    /// The same with whole paths, by which the data is found from any folder.
    pub fn located(&self) -> Self {
        let mut data = self.clone();
        data.source = located(&data.source);
        data.read.target = data.read.target.as_deref().map(located);
        data
    }

    /// How the data is read: as configured, and without learning from the columns that split it.
    pub fn reading(&self) -> Options {
        let splitting = self.group.iter().chain(&self.time).filter(|name| !self.read.keep.contains(name));
        let mut read = self.read.clone();
        read.cut_by = splitting.cloned().collect();
        read
    }

    /// Splits the data; also returns the normal class if only that class is trained on. `seed` is used unless there is
    /// a [`split_seed`](Self::split_seed).
    ///
    /// # Errors
    /// A set without rows, a class that the data does not have, or classes of which none is recognizably the normal
    /// one.
    pub fn split(&self, sets: Sets, seed: u64) -> Result<(Split, Option<String>)> {
        let config = SplitConfig {
            validation: self.validation,
            test: self.test,
            seed: self.split_seed.unwrap_or(seed),
            stratify: self.stratify,
            group: self.group.clone(),
            time: self.time.clone(),
        };
        let is_table = sets.train.encoding().is_some();
        let (split, normal) = match self.normal_only {
            false => (Split::new(sets, &config)?, None),
            true => {
                let normal = normal_class(self.normal.as_deref(), &sets.train.classes())?;
                (Split::one_class(sets, &normal, &config)?, Some(normal))
            }
        };
        match self.max_norm {
            Some(_) if is_table => Err(Error::Usage(
                "`--max-norm` is for arrays: the columns of a table have units of their own, and its rows no norm"
                    .to_string(),
            )),
            Some(times) => Ok((split.within_norm(times)?, normal)),
            None => Ok((split, normal)),
        }
    }

    /// Checks that every field is in its range.
    pub(super) fn check(&self) -> Result<()> {
        let share = |field: &str, value: f64| match value > 0.0 && value < 1.0 {
            true => Ok(()),
            false => Err(ConfigError::new(field, value, "greater than 0 and less than 1")),
        };
        share("data.validation", self.validation)?;
        share("data.test", self.test)?;
        if let Some(times) = self.max_norm.filter(|times| times.is_nan() || *times <= 1.0) {
            return Err(ConfigError::new("data.max_norm", times, "greater than 1").into());
        }
        if let Some(size) = self.read.resize.filter(|size| size.contains(&0)) {
            let allowed = "a height and a width of at least 1 pixel";
            return Err(ConfigError::new("data.read.resize", format!("{size:?}"), allowed).into());
        }
        for (field, character) in
            [("data.read.delimiter", self.read.delimiter), ("data.read.comment", self.read.comment)]
        {
            if let Some(character) = character.filter(|character| !character.is_ascii()) {
                return Err(ConfigError::new(field, character, "an ASCII character, such as , or ;").into());
            }
        }
        match self.read.decimal.filter(|decimal| !matches!(decimal, '.' | ',')) {
            Some(decimal) => Err(ConfigError::new("data.read.decimal", decimal, "`.` or `,`").into()),
            None => Ok(()),
        }
    }
}

/// Common names of the normal class.
const NORMAL: [&str; 12] =
    ["0", "0.0", "normal", "inlier", "false", "no", "n", "good", "ok", "benign", "healthy", "regular"];

/// The normal one of `classes`: the named one, otherwise the one with a name from the list above. Of -1 and 1 it is 1,
/// as in scikit-learn.
///
/// # Errors
/// No labels, or no class or several classes that could be the normal one.
pub fn normal_class(named: Option<&str>, classes: &[String]) -> Result<String> {
    if let Some(name) = named {
        return Ok(name.to_string());
    }
    if classes.is_empty() {
        return Err(Error::Usage(
            "training only on normal rows needs labels: name the column of a table that holds them with \
             `--label COLUMN`; for an array `x` they are the array `y`"
                .to_string(),
        ));
    }
    let number = |class: &String, value: f64| class.parse() == Ok(value);
    if classes.len() == 2
        && classes.iter().any(|class| number(class, -1.0))
        && classes.iter().any(|class| number(class, 1.0))
    {
        return Ok(classes.iter().find(|class| number(class, 1.0)).expect("it was just seen").clone());
    }
    let candidates: Vec<&String> =
        classes.iter().filter(|class| NORMAL.contains(&class.to_lowercase().as_str())).collect();
    match candidates.as_slice() {
        [one] if classes.len() <= 2 => Ok((*one).clone()),
        _ => {
            let shown: Vec<String> = classes.iter().take(12).map(|class| format!("`{class}`")).collect();
            Err(Error::Usage(format!(
                "which class is the normal one? It is one of {}: name it with `--normal CLASS`",
                shown.join(", ")
            )))
        }
    }
}

/// The note that a class was taken for the normal one because of its name.
pub fn normal_by_name(class: &str) -> String {
    format!("`{class}` is used as the normal class (`--normal` sets another one)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_normal_class_is_found_by_its_name_or_has_to_be_given() {
        let find =
            |classes: &[&str]| normal_class(None, &classes.iter().map(|class| class.to_string()).collect::<Vec<_>>());
        assert_eq!(find(&["0", "1"]).unwrap(), "0");
        assert_eq!(find(&["-1", "1"]).unwrap(), "1");
        assert_eq!(find(&["fraud", "Normal"]).unwrap(), "Normal");
        assert!(find(&["0", "1", "2"]).unwrap_err().to_string().contains("--normal"));
        assert!(find(&[]).unwrap_err().to_string().contains("--label"));
    }
}
