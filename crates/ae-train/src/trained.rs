//! A trained model with its schema, ready to be used on rows: encode, decode, reconstruct, interpolate.
//!
//! All methods process rows in batches and return a [`Table`] that is produced part by part, so that data of any size
//! can be processed.

use std::sync::Arc;

use ae_data::{
    Batch, Batcher, Column, Dataset, Encoding, Kind, Known, Options, Rows, Sets, Split, open_known, patch,
    progress::Progress, tabular,
};
use ae_model::{Corruption, Model};
use arrow_array::{ArrayRef, BooleanArray, Float32Array, Float64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema as ArrowSchema};
use burn::{
    data::dataset::Dataset as _,
    tensor::{Device, Tensor, TensorData},
};

use crate::{
    Error, Result,
    config::Config,
    evaluation::{BATCH, numbers},
    results::{Table, results},
    run_folder::Schema,
};

/// A trained model, and what is known about the data it was trained on.
#[derive(Debug, Clone)]
pub struct Trained {
    /// The model of the best epoch, for rows scaled by the schema's scaling.
    pub model: Model,
    /// What is known about the data.
    pub schema: Schema,
    /// The configuration of the run.
    pub config: Config,
    /// The device it computes on.
    pub device: Device,
    pub(crate) batcher: Batcher,
}

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

impl Trained {
    /// Combines a model with its schema and configuration.
    pub fn new(model: Model, schema: Schema, config: Config, device: Device) -> Self {
        let batcher = Batcher::new(schema.scaling.clone());
        Self { model, schema, config, device, batcher }
    }

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
            return if which == Which::All { all_rows(sets) } else { self.part_of_own(sets, which) };
        };
        let sets = self.open(source, read)?;
        self.choose(sets, which)
    }

    /// Opens `source`, read as in the run, with the overrides in `read`.
    fn open(&self, source: &str, read: &Options) -> Result<Sets> {
        let sets = open_known(source, &self.options(read), &self.known())?;
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
                if is_own && which == Which::Unseen {
                    rows = rows.with_note(
                        "these are all rows that the run was trained and tested on: `--rows test` selects only the \
                         held-out ones",
                    );
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
        let Split { train, validation, test, .. } = self.config.cut(sets)?.0;
        Ok(match which {
            Which::Train => train,
            Which::Validation => validation,
            Which::Unseen | Which::Test | Which::All => test,
        })
    }

    /// How later rows are read: as in the run, with the overrides in `read`.
    pub fn options(&self, read: &Options) -> Options {
        self.config.reading().overruled_by(read.clone())
    }

    /// Applies `f` to each batch of `rows`; returns its result with the positions of the rows of the batch. `what`
    /// describes the work in progress reports.
    pub(crate) fn batches<'a, T>(
        &'a self,
        rows: &'a Dataset,
        what: &'static str,
        f: impl Fn(Batch) -> Result<T> + 'a,
    ) -> impl Iterator<Item = Result<(std::ops::Range<usize>, T)>> + 'a {
        let mut progress = Progress::new(what, rows.len());
        (0..rows.len()).step_by(BATCH).map(move |start| {
            let range = start..rows.len().min(start + BATCH);
            let batch = rows.batch(range.clone(), &self.batcher, &self.device)?;
            let made = f(batch)?;
            progress.steps(range.len());
            Ok((range, made))
        })
    }

    /// The code of each row: columns `h0`, `h1`, ... after the rows' identifiers and labels.
    pub fn encode<'a>(&'a self, rows: &'a Dataset) -> Table<'a> {
        let names = (0..self.config.model.code_dim).map(|unit| format!("h{unit}")).collect();
        let codes =
            self.batches(rows, "encoding rows", |batch| numbers(self.model.encode_visible(batch.x, batch.observed)));
        self.numbers_table(rows, names, codes)
    }

    /// A table with columns of numbers for `rows`, produced batch by batch, after the columns that identify the rows.
    pub(crate) fn numbers_table<'a>(
        &'a self,
        rows: &'a Dataset,
        names: Vec<String>,
        batches: impl Iterator<Item = Result<(std::ops::Range<usize>, Vec<f32>)>> + 'a,
    ) -> Table<'a> {
        let fields = names.iter().map(|name| Field::new(name, DataType::Float32, true)).collect();
        let width = names.len();
        let parts = batches.map(move |batch| {
            let (range, values) = batch?;
            let column = |index: usize| {
                Arc::new(Float32Array::from_iter(values.iter().skip(index).step_by(width).copied())) as ArrayRef
            };
            Ok((range, (0..width).map(column).collect()))
        });
        results(rows, fields, parts)
    }

    /// The columns that the model reconstructs: those of the table, otherwise `x0`, `x1`, ...
    pub fn columns(&self) -> Vec<Column> {
        match self.schema.columns.as_slice() {
            [] => (0..self.schema.d_input).map(|index| Column::number(format!("x{index}"))).collect(),
            columns => columns.to_vec(),
        }
    }

    /// Converts scaled rows (`[rows, d_input]`, row by row) to the units of the data.
    pub fn unscale(&self, values: &[f32]) -> Vec<f64> {
        self.schema.scaling.invert(values, self.schema.d_input)
    }

    /// The reconstruction of each row in the units of the data, in batches, together with what the network read. If a
    /// corruption is given, the rows are corrupted first; the noise depends only on the run's seed and on the positions
    /// of the rows.
    pub fn reconstructions<'a>(
        &'a self,
        rows: &'a Dataset,
        corruption: Option<&'a Corruption>,
    ) -> impl Iterator<Item = Result<Reconstructed>> + 'a {
        let layout = self.schema.inputs().layout;
        let batches = self.batches(rows, "reconstructing rows", move |batch| {
            let (read, visible) = match &corruption {
                Some(corruption) => {
                    let seed = self.config.seed.wrapping_add(batch.seed.unwrap_or_default());
                    let apply = || corruption.apply(batch.x, batch.observed, layout.as_ref());
                    let corrupted = ae_kernels::seeded(seed, &self.device, apply);
                    (corrupted.x, corrupted.visible)
                }
                None => (batch.x, batch.observed),
            };
            let hidden = visible.clone().map(numbers).transpose()?;
            let values = numbers(self.model.reconstruct_visible(read.clone(), visible))?;
            let mut read = self.unscale(&numbers(read)?);
            if let Some(visible) = hidden {
                read.iter_mut()
                    .zip(visible)
                    .filter(|(_, visible)| *visible < 0.5)
                    .for_each(|(value, _)| *value = f64::NAN);
            }
            Ok((read, self.unscale(&values)))
        });
        batches.map(|batch| batch.map(|(range, (read, values))| Reconstructed { range, read, values }))
    }

    /// The reconstruction of each row as a table in the units of the data, after the rows' identifiers and labels.
    /// Columns whose numbers are written with marks such as `%`, or with decimal commas, are written the same way
    /// unless `typed` is set.
    pub fn reconstruct<'a>(&'a self, rows: &'a Dataset, corruption: Option<&'a Corruption>, typed: bool) -> Table<'a> {
        let batches = self.reconstructions(rows, corruption);
        self.data_table(rows, typed, batches.map(|batch| batch.map(|batch| (batch.range, batch.values))))
    }

    /// A table of rows with the columns of the data, produced batch by batch in its units, after the columns that
    /// identify the rows.
    pub(crate) fn data_table<'a>(
        &'a self,
        rows: &'a Dataset,
        typed: bool,
        batches: impl Iterator<Item = Result<(std::ops::Range<usize>, Vec<f64>)>> + 'a,
    ) -> Table<'a> {
        let encoding = Encoding::new(self.columns());
        let parts = batches.map(move |batch| {
            let (range, values) = batch?;
            Ok((range, self.arrays(&encoding, &values, typed)))
        });
        results(rows, self.fields(typed), parts)
    }

    /// Name and type of each reconstructed column of the data; a number is a string in the style of its column unless
    /// `typed` is set.
    fn fields(&self, typed: bool) -> Vec<Field> {
        let columns = self.columns();
        let ranges = Encoding::new(columns.clone()).ranges();
        let kind = |column: &Column, feature: usize| match column.kind {
            Kind::Number if !typed && !column.style.is_plain() => DataType::Utf8,
            Kind::Number if self.is_far(feature) => DataType::Float64,
            Kind::Number => DataType::Float32,
            Kind::Boolean if column.levels.is_empty() => DataType::Boolean,
            Kind::Boolean | Kind::Category => DataType::Utf8,
        };
        columns
            .iter()
            .zip(ranges)
            .map(|(column, (first, _))| Field::new(&column.name, kind(column, first), true))
            .collect()
    }

    /// Whether a feature is far from zero compared with its spread, so that it needs double precision.
    fn is_far(&self, feature: usize) -> bool {
        let (offset, scale) = self.schema.scaling.of(feature);
        offset.abs() > scale * 1e4
    }

    /// Converts rows in the units of the data (`[rows, d_input]`, row by row) to columns.
    fn arrays(&self, encoding: &Encoding, values: &[f64], typed: bool) -> Vec<ArrayRef> {
        let (width, ranges) = (encoding.columns().len(), encoding.ranges());
        let cells: Vec<f64> = values.chunks_exact(encoding.width()).flat_map(|row| encoding.decode(row)).collect();
        let array = |(index, field): (usize, Field)| {
            let column = &encoding.columns()[index];
            let cells = cells.iter().skip(index).step_by(width).copied();
            let some = |cell: f64| (!cell.is_nan()).then_some(cell);
            match field.data_type() {
                DataType::Float64 => Arc::new(cells.map(some).collect::<Float64Array>()) as ArrayRef,
                DataType::Boolean => {
                    Arc::new(cells.map(|cell| some(cell).map(|cell| cell >= 0.5)).collect::<BooleanArray>())
                }
                DataType::Utf8 if column.kind == Kind::Number => {
                    let digits = |cell: f64| {
                        if self.is_far(ranges[index].0) { cell.to_string() } else { (cell as f32).to_string() }
                    };
                    Arc::new(
                        cells
                            .map(|cell| some(cell).map(|cell| column.style.write(&digits(cell))))
                            .collect::<StringArray>(),
                    )
                }
                DataType::Utf8 => Arc::new(cells.map(|cell| patch::written(column, cell)).collect::<StringArray>()),
                _ => Arc::new(cells.map(|cell| some(cell).map(|cell| cell as f32)).collect::<Float32Array>()),
            }
        };
        self.fields(typed).into_iter().enumerate().map(array).collect()
    }

    /// Decodes `codes` (`[rows, code_dim]`, row by row) to rows in the units of the data (`[rows, d_input]`).
    ///
    /// # Errors
    /// Codes that do not fill whole rows, or a device that fails.
    pub fn decode(&self, codes: &[f32]) -> Result<Vec<f64>> {
        Ok(self.unscale(&self.decode_scaled(codes)?))
    }

    /// As [`decode`](Self::decode), in units of the scaled data.
    pub(crate) fn decode_scaled(&self, codes: &[f32]) -> Result<Vec<f32>> {
        let width = self.config.model.code_dim;
        if !codes.len().is_multiple_of(width) {
            return Err(Error::Failed(format!("{} values do not make codes of {width} units", codes.len())));
        }
        let mut values = Vec::new();
        for chunk in codes.chunks(BATCH * width) {
            let h = Tensor::from_data(TensorData::new(chunk.to_vec(), [chunk.len() / width, width]), &self.device);
            values.extend(numbers(self.model.decode(h))?);
        }
        Ok(values)
    }

    /// Decodes `codes` to a table in the units of the data, after the columns that identify the codes; for `typed` see
    /// [`reconstruct`](Self::reconstruct).
    pub fn decoded<'a>(&'a self, codes: &'a Dataset, typed: bool) -> Table<'a> {
        let made = (0..codes.len()).step_by(BATCH).map(move |start| {
            let range = start..codes.len().min(start + BATCH);
            let values = codes.select(codes.indices()[range.clone()].to_vec()).scaled(&ae_data::Scaling::identity())?;
            Ok((range, self.decode(&values)?))
        });
        self.data_table(codes, typed, made)
    }

    /// Converts rows in the units of the data (`[rows, d_input]`, row by row) to a record batch.
    ///
    /// # Errors
    /// Columns of the same name.
    pub fn table_of(&self, values: &[f64]) -> Result<RecordBatch> {
        self.batch_of(values, true)
    }

    /// As [`table_of`](Self::table_of), as written to a text file: see [`reconstruct`](Self::reconstruct).
    ///
    /// # Errors
    /// Columns of the same name.
    pub fn text_of(&self, values: &[f64]) -> Result<RecordBatch> {
        self.batch_of(values, false)
    }

    fn batch_of(&self, values: &[f64], typed: bool) -> Result<RecordBatch> {
        let schema = ArrowSchema::new(self.fields(typed));
        let arrays = self.arrays(&Encoding::new(self.columns()), values, typed);
        RecordBatch::try_new(Arc::new(schema), arrays).map_err(|error| Error::Failed(error.to_string()))
    }

    /// The codes of `rows`: `[rows, code_dim]`, row by row.
    ///
    /// # Errors
    /// A device that fails, or a file that can no longer be read.
    pub fn codes(&self, rows: &Dataset) -> Result<Vec<f32>> {
        let mut codes = Vec::new();
        for batch in
            self.batches(rows, "encoding rows", |batch| numbers(self.model.encode_visible(batch.x, batch.observed)))
        {
            codes.extend(batch?.1);
        }
        Ok(codes)
    }

    /// Decodes `steps` codes at equal distances on the line from the code of one row to that of another, both ends
    /// included; in the units of the data. `rows` are the two rows.
    ///
    /// # Errors
    /// As [`codes`](Self::codes); fewer than two steps, or another number of rows.
    pub fn interpolate(&self, rows: &Dataset, steps: usize) -> Result<Vec<f64>> {
        if steps < 2 || rows.len() != 2 {
            return Err(Error::Usage("an interpolation needs two rows and at least 2 steps".to_string()));
        }
        let codes = self.codes(rows)?;
        let (from, to) = codes.split_at(self.config.model.code_dim);
        let way = (0..steps).flat_map(|step| {
            let share = step as f32 / (steps - 1) as f32;
            from.iter().zip(to).map(move |(from, to)| from + (to - from) * share)
        });
        self.decode(&way.collect::<Vec<_>>())
    }

    /// The values that are drawn as black and as white in images of the data.
    pub fn shades(&self) -> [f32; 2] {
        let (offset, scale) = if self.schema.scaling.is_unit_range() { self.schema.scaling.of(0) } else { (0.0, 1.0) };
        [offset as f32, (offset + scale) as f32]
    }
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

/// A batch of rows and their reconstructions.
#[derive(Debug, Clone)]
pub struct Reconstructed {
    /// Positions of the rows in their dataset.
    pub range: std::ops::Range<usize>,
    /// What the network read, in the units of the data; `NaN` where nothing was visible.
    pub read: Vec<f64>,
    /// The reconstructions, in the units of the data.
    pub values: Vec<f64>,
}
