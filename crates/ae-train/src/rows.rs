//! Rows that a program can pass: arrays, record batches, rows it has read, or a source by its name.

use ae_data::{Dataset, Options, Rows, Sets, Split, Values, source};
use arrow_array::RecordBatch;

use crate::{Config, Error, Result, Trained, Which, data::Data};

/// Rows from a program.
#[derive(Debug)]
pub struct Given(Kind);

#[derive(Debug)]
enum Kind {
    /// To be split as configured.
    Sets { sets: Box<Sets>, source: String },
    /// Already split.
    Split(Box<Split>),
}

/// Types that can be converted to rows: `(&[f32], width)` and `(Vec<f32>, width)` (row by row, `NaN` for missing
/// values), Arrow record batches, [`Rows`], a whole [`Dataset`], [`Sets`], a custom [`Split`], or the name of a source
/// such as `"customers.csv"`.
pub trait IntoRows {
    /// Converts to rows; a table or a file is read as `read` says.
    ///
    /// # Errors
    /// Values that do not make whole rows, and any error of reading a source.
    fn into_rows(self, read: &Options) -> Result<Given>;

    /// Converts to rows for a trained model, with its columns.
    ///
    /// # Errors
    /// Other columns than the model's, and as [`into_rows`](Self::into_rows).
    fn into_known(self, trained: &Trained) -> Result<Dataset>
    where
        Self: Sized,
    {
        // The target of the run belongs to its own data.
        let options = Options { target: None, target_tensor: None, ..trained.options(&Options::default()) };
        let rows = match self.into_rows(&options)?.0 {
            Kind::Sets { sets, .. } if sets.test.is_none() => sets.train,
            _ => return Err(Error::Usage("these rows belong to several sets: pass the rows of one".to_string())),
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
            let advice = "pass Arrow record batches with the columns that it was trained on";
            return Err(Error::Usage(format!(
                "the model was trained on a table with columns that are not numbers: {advice}"
            )));
        }
        Ok(Dataset::new(rows))
    }
}

/// The name of rows in memory.
const NAME: &str = "rows";

impl Given {
    fn of(sets: Sets) -> Self {
        Self(Kind::Sets { sets: Box::new(sets), source: String::new() })
    }

    /// Name of the source; empty if only the program knows it.
    pub(crate) fn source(&self) -> &str {
        match &self.0 {
            Kind::Sets { source, .. } => source,
            Kind::Split(_) => "",
        }
    }

    /// Splits and describes the rows.
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
        return Err(Error::Usage(format!("{} values do not make whole rows of {width}", values.len())));
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
                "this is a part of a table: pass all parts as a `Split`, or the whole table".to_string(),
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
