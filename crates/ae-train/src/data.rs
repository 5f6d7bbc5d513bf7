//! The data of a training: read, split, and described.

use std::io::{self, IsTerminal};

use ae_data::{
    Batcher, DataError, Dataset, Rows, Scaling, ScalingMethod, Sets, Split, Unknown, source, split::OUTLIER,
};
use burn::data::dataset::Dataset as _;

use crate::{
    Error, Result,
    config::{Config, normal_by_name},
    schema::{FORMAT, Schema, Target},
};

/// Fingerprint of the data that a configuration names, which is read for this.
///
/// # Errors
/// Data that cannot be read.
pub fn data_fingerprint(config: &Config) -> Result<String> {
    Ok(Parts::cut(config, source::open_with(&config.data.source, &config.reading())?)?.fingerprint)
}

/// The split of some data; the encoding of its columns follows from the training rows.
struct Parts {
    split: Split,
    /// The only class that is trained on, if it is restricted to one.
    normal: Option<String>,
    fingerprint: String,
}

impl Parts {
    fn cut(config: &Config, sets: Sets) -> Result<Self> {
        let has_test = sets.test.is_some();
        let (split, normal) = config.split(sets)?;
        Self::of(config, split, normal, has_test)
    }

    fn of(config: &Config, split: Split, normal: Option<String>, has_test: bool) -> Result<Self> {
        let split = split.as_trained_on(config.data.read.unknown == Some(Unknown::Refuse))?;
        let fingerprint = fingerprint_of(split.train.rows(), has_test.then(|| split.test.rows()))?;
        Ok(Self { split, normal, fingerprint })
    }
}

/// The data of a training, ready for batching.
#[derive(Debug)]
pub(crate) struct Data {
    pub split: Split,
    pub schema: Schema,
    pub batcher: Batcher,
    /// What was guessed, left out or looks doubtful, one sentence each.
    pub notes: Vec<String>,
}

impl Data {
    /// Reads the data that the configuration names.
    pub fn open(config: &Config) -> Result<Self> {
        if config.data.source == "-" && io::stdin().is_terminal() {
            return Err(Error::Usage(
                "`--data -` reads a table from standard input: pipe one in, such as `ae --data - < rows.csv`"
                    .to_string(),
            ));
        }
        Self::of(config, source::open_with(&config.data.source, &config.reading())?)
    }

    /// Splits these rows as configured.
    pub fn of(config: &Config, sets: Sets) -> Result<Self> {
        let name = sets.name.clone();
        let mut notes = sets.train.notes.clone();
        notes.extend(sets.test.iter().flat_map(|test| [test.notes.clone(), test.met()].concat()));
        let parts = Parts::cut(config, sets)?;
        if let Some(normal) = parts.normal.as_ref().filter(|_| config.data.normal.is_none()) {
            notes.push(normal_by_name(normal));
        }
        for column in config.data.group.iter().chain(&config.data.time) {
            notes.push(format!("column `{column}` splits the data and is not learned from"));
        }
        Self::ready(config, name, parts, notes)
    }

    /// Uses rows that the caller has split.
    pub fn of_split(config: &Config, name: &str, split: Split) -> Result<Self> {
        let is_apart = !std::ptr::eq(split.train.rows(), split.test.rows());
        Self::ready(config, name.to_string(), Parts::of(config, split, None, is_apart)?, Vec::new())
    }

    fn ready(config: &Config, name: String, parts: Parts, mut notes: Vec<String>) -> Result<Self> {
        let Parts { split, normal, fingerprint } = parts;
        notes.splice(0..0, split.notes.clone());
        if !split.train.varies()? {
            return Err(DataError::Constant { name, rows: split.train.len() }.into());
        }
        let rows = split.train.rows();
        // A table's rows have no norm: their columns have units of their own.
        if config.model.network.is_dictionary() && rows.encoding().is_none() && config.data.max_norm.is_none() {
            let (outliers, of) = split.norm_outliers()?;
            if outliers > 0 {
                let sampled = if of < split.train.len() { "sampled " } else { "" };
                notes.push(format!(
                    "{outliers} of {of} {sampled}training rows have a norm of more than {OUTLIER} times the median: \
                     `--max-norm {OUTLIER}` leaves such rows out"
                ));
            }
        }
        let scaling = Scaling::fit(config.data.scaling, &split.train)?;
        let target = target(config, &name, &split.train)?;
        if let Some(rows) = split.train.target() {
            let (outliers, of) = Split { train: rows, ..split.clone() }.norm_outliers()?;
            if outliers > 0 {
                notes.push(format!(
                    "target: {outliers} of {of} training rows that were looked at have a norm of more than {OUTLIER} \
                     times the median (`--max-norm` goes by the norms of the data): they decide much of the error"
                ));
            }
        }
        let shades = match rows.geometry.is_some() && !scaling.is_unit_range() {
            true => {
                let (low, range) = Scaling::fit(ScalingMethod::MinMax, &split.train)?.of(0);
                Some([low, low + range])
            }
            false => None,
        };
        let schema = Schema {
            format: FORMAT,
            name,
            d_input: rows.width(),
            train_rows: split.train.len(),
            validation_rows: split.validation.len(),
            test_rows: split.test.len(),
            geometry: rows.geometry,
            label_names: rows.label_names.clone(),
            normal,
            scaling: scaling.clone(),
            target,
            columns: rows.encoding().map(|encoding| encoding.columns().to_vec()).unwrap_or_default(),
            carried: if rows.encoding().is_some() { rows.carried_names() } else { Vec::new() },
            white: rows.white,
            shades,
            element: rows.geometry.map_or(String::new(), |_| rows.element().name().to_string()),
            blank_rows: if rows.encoding().is_some() { rows.blank_rows().to_vec() } else { Vec::new() },
            fingerprint,
        };
        let data = Self { batcher: schema.batcher(), schema, split, notes };
        data.suits(config)?;
        Ok(data)
    }

    /// Checks that a model with these settings can be trained on it.
    pub fn suits(&self, config: &Config) -> Result<()> {
        config.variant()?.check(&config.model, &self.schema.inputs()).map_err(|error| error.within("model"))?;
        let loss = &config.model.reconstruction;
        if loss.reads_logits() && !self.schema.scaling.is_unit_range() {
            let advice = "which needs inputs in [0, 1]: set `data.scaling` to min_max";
            return Err(Error::Usage(format!("`model.reconstruction` is {}, {advice}", loss.name())));
        }
        Ok(())
    }

    /// The training rows and the test rows on which a result is measured: all of them, or a sample if they stay in
    /// their file. Of a dictionary, which is measured on other rows than it is trained on, the training rows are a
    /// sample in any case: measuring all of them would take longer than a pass of training.
    pub fn measured(&self, model: &ae_model::Recipe) -> [Dataset; 2] {
        let train = self.split.train.union(&self.split.validation);
        let [train, test] = [train, self.split.test.clone()].map(|rows| rows.sample(ae_data::fit::SAMPLE));
        match model.network.is_dictionary() {
            true => [train.thin(ae_data::fit::SAMPLE / self.schema.d_input.max(1)), test],
            false => [train, test],
        }
    }
}

/// What is known about the target of these training rows, if they have one.
fn target(config: &Config, name: &str, train: &Dataset) -> Result<Option<Target>> {
    let Some(target) = train.target() else {
        let variant = config.variant()?;
        return match variant.training.target {
            true => Err(Error::Usage(format!(
                "`{}` predicts other rows than its input: name them with `--target PATH`, an array with as many rows \
                 as the data",
                variant.name
            ))),
            false => Ok(None),
        };
    };
    if !config.model.network.is_dictionary() {
        return Err(Error::Usage(format!(
            "`{}` reconstructs its rows and cannot predict a target: train `--variant transcoder` or \
             `skip_transcoder`, or leave out `--target`",
            config.variant
        )));
    }
    let (rows, of_target) = (train.rows().len(), target.rows().len());
    if rows != of_target {
        return Err(Error::Usage(format!("the target of {name} has {of_target} rows, but {name} has {rows}")));
    }
    if !target.varies()? {
        return Err(DataError::Constant { name: format!("the target of {name}"), rows: train.len() }.into());
    }
    let scaling = Scaling::fit(config.data.scaling, &target)?;
    Ok(Some(Target { d_output: target.rows().width(), scaling }))
}

/// Identifies a data set: a hash of its columns and of every value, or of a sample of the values if they stay in their
/// file.
///
/// # Errors
/// A file that can no longer be read.
pub(crate) fn fingerprint(sets: &Sets) -> Result<String> {
    fingerprint_of(&sets.train, sets.test.as_ref())
}

/// As [`fingerprint`], of the rows and those of an official test set.
pub(crate) fn fingerprint_of(train: &Rows, test: Option<&Rows>) -> Result<String> {
    let mut text = train.fingerprint()?;
    if let Some(test) = test {
        text += &format!("-{}", test.fingerprint()?);
    }
    Ok(text)
}
