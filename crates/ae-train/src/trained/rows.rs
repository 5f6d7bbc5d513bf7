//! Choosing the rows to use a model on.

use std::sync::Arc;

use ae_data::{Dataset, Known, Options, Sets, Split, open_known, tabular};
use arrow_array::RecordBatch;

use super::model::Trained;
use crate::{Error, Result, config::located, data::fingerprint};

/// Which rows of a data source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The held-out rows of the run's own data; every row of other data.
    Unseen,
    /// Training rows; of other data the official training set.
    Train,
    /// Validation rows, which only the run's own data has.
    Validation,
    /// Test rows; of other data the official test set.
    Test,
    /// Every row.
    All,
}

/// What is said of all rows of the run's own data.
pub(crate) const ALL_ROWS: &str = "these are all rows that the run was trained and tested on, and the model is better \
                                   on its training rows than on new ones: `--rows test` selects only the held-out ones";

impl Trained {
    /// Rows to use the model on: those of `source` (every row, unless a part is requested), or those of the run's own
    /// data if there is no source. `read` overrides how the run reads files.
    ///
    /// # Errors
    /// Data that cannot be read, that has other columns than the run's, or that does not have the requested rows; data
    /// of the run that has changed.
    pub fn rows(&self, source: Option<&str>, read: &Options, which: Which) -> Result<Dataset> {
        let own = &self.config.data.source;
        let Some(source) = source else {
            if own == "-" {
                return Err(Error::Usage(
                    "this run was trained on standard input: name data with `--data`".to_string(),
                ));
            }
            if own.is_empty() {
                return Err(Error::Usage(
                    "this run was trained on rows that a program gave it: name data with `--data`".to_string(),
                ));
            }
            if let Some(label) = read.label.as_ref().filter(|label| self.config.data.read.label.as_ref() != Some(label))
            {
                return Err(Error::Usage(format!(
                    "`--label {label}` is not the label of the run's own data: name the data with `--data` to use \
                     every row of it"
                )));
            }
            let sets = self.open(own, read)?;
            if fingerprint(&sets)? != self.schema.fingerprint {
                return Err(Error::Failed(format!(
                    "`{own}` has changed since the run was trained on it: restore the original data, or name other \
                     rows with `--data`"
                )));
            }
            return match which {
                Which::All => Ok(all_rows(sets)?.with_note(ALL_ROWS)),
                which => self.part_of_own(sets, which),
            };
        };
        // The target of the run belongs to its own data.
        let mut options = self.options(read);
        if located(source) != located(own) && read.target.is_none() {
            (options.target, options.target_tensor) = (None, None);
        }
        let sets = self.open_with(source, read, &options)?;
        self.choose(sets, which)
    }

    /// Opens `source`, read as in the run, with the overrides in `read`.
    fn open(&self, source: &str, read: &Options) -> Result<Sets> {
        self.open_with(source, read, &self.options(read))
    }

    /// As [`open`](Self::open), with all `options`; `read` are those that were given for these rows.
    fn open_with(&self, source: &str, read: &Options, options: &Options) -> Result<Sets> {
        let sets = open_known(source, options, &self.known())?;
        let names = sets.train.carried.as_ref().map(|carried| ae_data::table::names(carried.table().as_ref()));
        // For an array or for images, identifiers and labels are not columns that could be chosen.
        let names = names.filter(|_| sets.train.encoding().is_some());
        read.check_later(&self.schema.columns, names.as_deref(), source.as_ref())?;
        Ok(sets)
    }

    /// As [`rows`](Self::rows), for rows in memory: batches of a table with the columns of the run.
    ///
    /// # Errors
    /// Other columns than the run's, or a cell that does not match the kind of its column.
    pub fn rows_of(&self, batches: Vec<RecordBatch>) -> Result<Dataset> {
        let schema = batches.first().map(RecordBatch::schema);
        let schema = schema.ok_or_else(|| Error::Usage("there is no batch of rows".to_string()))?;
        let table = ae_data::table::InMemory::new("the rows".as_ref(), schema, batches)?;
        let known = self.known();
        Ok(Dataset::new(tabular::rows_of(Arc::new(table), &self.options(&Options::default()), Some(&known), false)?))
    }

    fn known(&self) -> Known<'_> {
        let schema = &self.schema;
        Known {
            columns: &schema.columns,
            carried: &schema.carried,
            width: schema.d_input,
            geometry: schema.geometry,
            white: schema.white,
            element: &schema.element,
            target: schema.target.as_ref().map(|target| target.d_output),
            range: (schema.geometry.is_some() && schema.scaling.is_unit_range()).then(|| {
                let (offset, scale) = schema.scaling.of(0);
                [offset, offset + scale]
            }),
        }
    }

    /// Selects the requested rows.
    fn choose(&self, sets: Sets, which: Which) -> Result<Dataset> {
        let lacks = |name: &str, what: &str| {
            Error::Usage(format!(
                "`{name}` has no {what}: the run's own data has some; leave `--rows` out for all rows"
            ))
        };
        match which {
            Which::Unseen | Which::All => {
                let is_own = fingerprint(&sets)? == self.schema.fingerprint;
                let mut rows = all_rows(sets)?;
                if is_own {
                    rows = rows.with_note(ALL_ROWS);
                }
                Ok(rows)
            }
            _ if fingerprint(&sets)? == self.schema.fingerprint => self.part_of_own(sets, which),
            Which::Train => Ok(Dataset::new(sets.train)),
            Which::Test => {
                let name = sets.name.clone();
                sets.test.map(Dataset::new).ok_or_else(|| lacks(&name, "test set of its own"))
            }
            Which::Validation => Err(lacks(&sets.name, "validation rows")),
        }
    }

    /// A part of the split of the run's own data.
    fn part_of_own(&self, mut sets: Sets, which: Which) -> Result<Dataset> {
        // Split exactly as in the run: the blank rows were determined from all rows at that time.
        if !self.schema.columns.is_empty() {
            sets.train = sets.train.with_blank_rows(self.schema.blank_rows.clone());
        }
        let Split { train, validation, test, .. } = self.config.split(sets)?.0;
        Ok(match which {
            Which::Train => train,
            Which::Validation => validation,
            Which::Unseen | Which::Test | Which::All => test,
        })
    }
}

/// Every row: those of an official test set follow the training rows.
fn all_rows(sets: Sets) -> Result<Dataset> {
    let Sets { name, mut train, test } = sets;
    let Some(test) = test else { return Ok(Dataset::new(train)) };
    if train.store().is_some() || test.store().is_some() {
        return Err(Error::Usage(format!(
            "`{name}` is too large to read all of its rows at once: use `--rows train`, then `--rows test`"
        )));
    }
    train.append(test)?;
    Ok(Dataset::new(train))
}
