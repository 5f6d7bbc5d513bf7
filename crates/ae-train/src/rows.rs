//! What a program can train on and use a model on: arrays, record batches, rows that it read, a source by its name.

use ae_data::{Dataset, Options, Rows, Sets, Split, Values, source};
use arrow_array::RecordBatch;

use crate::{Config, Error, Result, Trained, Which, data::Data};

/// Rows that a program gives.
#[derive(Debug)]
pub struct Given(Kind);

#[derive(Debug)]
enum Kind {
    /// To be cut as the configuration says.
    Sets { sets: Box<Sets>, source: String },
    /// Cut already.
    Split(Box<Split>),
}

/// What rows can be had from: `(&[f32], width)` and `(Vec<f32>, width)` (row by row, `NaN` for what is missing), Arrow
/// record batches, [`Rows`], a whole [`Dataset`], [`Sets`], a [`Split`] of one's own, or the name of a source such as
/// `"customers.csv"`.
pub trait IntoRows {
    /// The rows; a table or a file is read as `read` says.
    ///
    /// # Errors
    /// Values that do not fill rows, and whatever reading a source fails with.
    fn into_rows(self, read: &Options) -> Result<Given>;

    /// The rows for a model that is trained: with its columns.
    ///
    /// # Errors
    /// Other columns than the model's, and as [`into_rows`](Self::into_rows).
    fn into_known(self, trained: &Trained) -> Result<Dataset>
    where
        Self: Sized,
    {
        let rows = match self.into_rows(&trained.options(&Options::default()))?.0 {
            Kind::Sets { sets, .. } if sets.test.is_none() => sets.train,
            _ => return Err(Error::Usage("these rows are of several parts: give those of one".to_string())),
        };
        let schema = &trained.schema;
        if rows.width() != schema.d_input {
            return Err(Error::Usage(format!(
                "these rows have {} values, but the model was trained on {}",
                rows.width(),
                schema.d_input
            )));
        }
        if schema.columns.iter().any(|column| column.kind != ae_data::Kind::Number) && rows.encoding().is_none() {
            let advice = "give Arrow record batches with the columns that it was trained on";
            return Err(Error::Usage(format!(
                "the model was trained on a table with columns that are not numbers: {advice}"
            )));
        }
        Ok(Dataset::new(rows))
    }
}

/// What rows in memory are called.
const NAME: &str = "rows";

impl Given {
    fn of(sets: Sets) -> Self {
        Self(Kind::Sets { sets: Box::new(sets), source: String::new() })
    }

    /// Where they come from; nothing if only the program knows.
    pub(crate) fn source(&self) -> &str {
        match &self.0 {
            Kind::Sets { source, .. } => source,
            Kind::Split(_) => "",
        }
    }

    /// The rows, cut and described.
    pub(crate) fn prepared(self, config: &Config) -> Result<Data> {
        match self.0 {
            Kind::Sets { sets, .. } => Data::of(config, *sets),
            Kind::Split(split) => Data::of_split(config, NAME, *split),
        }
    }
}

/// Rows of `width` values.
pub(crate) fn array(values: Vec<f32>, width: usize) -> Result<Rows> {
    if width == 0 || values.is_empty() || !values.len().is_multiple_of(width) {
        return Err(Error::Usage(format!("{} values do not fill rows of {width}", values.len())));
    }
    Ok(Rows::new(Values::F32(values), width))
}

impl IntoRows for Given {
    fn into_rows(self, _: &Options) -> Result<Given> {
        Ok(self)
    }
}

impl IntoRows for (Vec<f32>, usize) {
    fn into_rows(self, read: &Options) -> Result<Given> {
        array(self.0, self.1)?.into_rows(read)
    }
}

impl IntoRows for (&[f32], usize) {
    fn into_rows(self, read: &Options) -> Result<Given> {
        (self.0.to_vec(), self.1).into_rows(read)
    }
}

impl IntoRows for RecordBatch {
    fn into_rows(self, read: &Options) -> Result<Given> {
        vec![self].into_rows(read)
    }

    fn into_known(self, trained: &Trained) -> Result<Dataset> {
        trained.rows_of(vec![self])
    }
}

impl IntoRows for Vec<RecordBatch> {
    fn into_rows(self, read: &Options) -> Result<Given> {
        Ok(Given::of(source::from_batches(NAME, self, read)?))
    }

    fn into_known(self, trained: &Trained) -> Result<Dataset> {
        trained.rows_of(self)
    }
}

impl IntoRows for Rows {
    fn into_rows(self, _: &Options) -> Result<Given> {
        Ok(Given::of(Sets { name: NAME.to_string(), train: self, test: None }))
    }
}

impl IntoRows for Dataset {
    fn into_rows(self, read: &Options) -> Result<Given> {
        let is_whole = self.indices().iter().copied().eq(0..self.rows().len());
        match is_whole {
            true => self.rows().clone().into_rows(read),
            false => Err(Error::Usage(
                "this is a part of a table: give its parts as a `Split`, or the whole table".to_string(),
            )),
        }
    }

    fn into_known(self, _: &Trained) -> Result<Dataset> {
        Ok(self)
    }
}

impl IntoRows for Sets {
    fn into_rows(self, _: &Options) -> Result<Given> {
        Ok(Given::of(self))
    }
}

impl IntoRows for Split {
    fn into_rows(self, _: &Options) -> Result<Given> {
        Ok(Given(Kind::Split(Box::new(self))))
    }
}

impl IntoRows for &str {
    fn into_rows(self, read: &Options) -> Result<Given> {
        Ok(Given(Kind::Sets { sets: Box::new(source::open_with(self, read)?), source: self.to_string() }))
    }

    fn into_known(self, trained: &Trained) -> Result<Dataset> {
        trained.rows(Some(self), &Options::default(), Which::Unseen)
    }
}
