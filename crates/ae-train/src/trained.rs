//! What was trained, ready to be used on rows: encode, decode, reconstruct, walk between two codes.
//!
//! Everything goes through the model in batches, and comes out as a [`Table`], part by part, so that data of any size passes.

use std::{fmt, path::Path};

use ae_data::{
    Batch, Batcher, Column, Dataset, Encoding, Known, Options, Sets, Split,
    frame::{Cells, Frame},
    open_known,
    progress::Progress,
    sink::{CellKind, Shape, Writer},
};
use ae_model::{Corruption, Model};
use burn::{
    data::dataset::Dataset as _,
    tensor::{Device, Tensor, TensorData},
};

use crate::{
    Error, Result,
    config::Config,
    evaluation::{BATCH, numbers},
    run_folder::Schema,
};

/// A trained model, and what is known about the data that it was trained on.
#[derive(Debug, Clone)]
pub struct Trained {
    /// The model of the best epoch, for rows scaled by the schema's scaling.
    pub model: Model,
    /// What is known about the data.
    pub schema: Schema,
    /// What the run was made from.
    pub config: Config,
    /// Where it is computed.
    pub device: Device,
    pub(crate) batcher: Batcher,
}

/// Which rows of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The test rows where there are some (of the run's own data those that were held out, else an official test set); else all.
    Unseen,
    /// Rows that were trained on; of other data the official training set.
    Train,
    /// Rows that the best epoch was chosen by; the run's own data alone has them.
    Validation,
    /// Rows that were held out; of other data the official test set.
    Test,
    /// Every row.
    All,
}

impl Trained {
    /// A model and what belongs to it.
    pub fn new(model: Model, schema: Schema, config: Config, device: Device) -> Self {
        let batcher = Batcher::new(schema.scaling.clone());
        Self { model, schema, config, device, batcher }
    }

    /// Rows to use the model on: of `source`, or of the run's own data if there is none. `read` says how they are read, over what the run says.
    ///
    /// # Errors
    /// Data that cannot be read, that has other columns than the run's, or that does not have such rows; data of the run that has changed.
    pub fn rows(&self, source: Option<&str>, read: &Options, which: Which) -> Result<Dataset> {
        let own = &self.config.data.source;
        let is_own =
            source.is_none_or(|source| source == own || std::path::absolute(source).is_ok_and(|path| path.as_path() == Path::new(own)));
        if source.is_none() && own == "-" {
            return Err(Error::Usage("this run was trained on standard input: name data with `--data`".to_string()));
        }
        let options = self.options(read);
        let known = Known { columns: &self.schema.columns, width: self.schema.d_input, geometry: self.schema.geometry };
        let sets = open_known(source.unwrap_or(own), &options, &known)?;
        if is_own && which != Which::All {
            let split = self.split(sets)?;
            return Ok(match which {
                Which::Train => split.train,
                Which::Validation => split.validation,
                _ => split.test,
            });
        }
        let Sets { name, mut train, test } = sets;
        let lacks =
            |what: &str| Error::Usage(format!("`{name}` has no {what}: the run's own data has some; leave `--rows` out for all rows"));
        match (which, test) {
            (Which::Unseen | Which::Test, Some(test)) => Ok(Dataset::new(test)),
            (Which::Unseen, None) | (Which::Train, _) | (Which::All, None) => Ok(Dataset::new(train)),
            (Which::Test, None) => Err(lacks("test set of its own")),
            (Which::Validation, _) => Err(lacks("validation rows")),
            (Which::All, Some(test)) => {
                if train.store().is_some() || test.store().is_some() {
                    return Err(Error::Usage(format!("`{name}` is too large for `--rows all` at once: take `train`, then `test`")));
                }
                train.append(test);
                Ok(Dataset::new(train))
            }
        }
    }

    /// How later rows are read: as the run's, and what a person says over it.
    pub fn options(&self, read: &Options) -> Options {
        let run = &self.config.data.read;
        let read = read.clone();
        Options {
            label: read.label.or_else(|| run.label.clone()),
            id: read.id.or_else(|| run.id.clone()),
            drop: [run.drop.clone(), read.drop].concat(),
            keep: if read.keep.is_empty() { run.keep.clone() } else { read.keep },
            tensor: read.tensor.or_else(|| run.tensor.clone()),
            resize: read.resize.or(run.resize),
            grey: read.grey || run.grey,
            delimiter: read.delimiter.or(run.delimiter),
            header: read.header.or(run.header),
            stream: read.stream.or(run.stream),
        }
    }

    /// The parts that the run's own data was cut into.
    fn split(&self, sets: Sets) -> Result<Split> {
        let name = sets.name.clone();
        let split = self.config.cut(sets)?.0;
        let found = [&split.train, &split.validation, &split.test].map(Dataset::len);
        let known = [self.schema.train_rows, self.schema.validation_rows, self.schema.test_rows];
        match found == known {
            true => Ok(split),
            false => {
                let [found, known] = [found, known].map(|rows| rows.map(|count| count.to_string()).join(" / "));
                Err(Error::Failed(format!(
                    "`{name}` has changed since the run: it gives {found} train / validation / test rows, then {known}; bring the old data back, or \
                     name rows with `--data`"
                )))
            }
        }
    }

    /// What `f` makes of each batch of `rows`, with the positions of the batch's rows; `what` is said of long work.
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

    /// The code of each row: columns `h0`, `h1`, ... behind the rows' identifiers and labels.
    pub fn encode<'a>(&'a self, rows: &'a Dataset) -> Table<'a> {
        let names = (0..self.config.model.code_dim).map(|unit| format!("h{unit}")).collect();
        let codes = self.batches(rows, "encoding rows", |batch| numbers(self.model.encode_visible(batch.x, batch.observed)));
        self.numbers_table(rows, names, codes)
    }

    /// Columns of numbers for rows of the data, made batch by batch, behind what identifies the rows.
    pub(crate) fn numbers_table<'a>(
        &'a self,
        rows: &'a Dataset,
        names: Vec<String>,
        batches: impl Iterator<Item = Result<(std::ops::Range<usize>, Vec<f32>)>> + 'a,
    ) -> Table<'a> {
        let carried = Carried::of(rows, &self.config.data.read);
        let mut columns = carried.columns();
        columns.extend(names.iter().map(|name| (name.clone(), CellKind::Number)));
        let width = names.len();
        let parts = batches.map(move |batch| {
            let (range, values) = batch?;
            let mut frame = carried.part(rows, range);
            for (index, name) in names.iter().enumerate() {
                frame.columns.push((name.clone(), Cells::Numbers(values.iter().skip(index).step_by(width).copied().collect())));
            }
            Ok(frame)
        });
        Table { shape: Shape { columns, rows: rows.len() }, parts: Box::new(parts) }
    }

    /// The columns of the data that the model gives back: those of the table, else `x0`, `x1`, ...
    pub fn columns(&self) -> Vec<Column> {
        match self.schema.columns.as_slice() {
            [] => (0..self.schema.d_input).map(|index| Column::number(format!("x{index}"))).collect(),
            columns => columns.to_vec(),
        }
    }

    /// The values of scaled rows (`[rows, d_input]`, row by row), back in the units of the data.
    pub fn unscale(&self, mut values: Vec<f32>) -> Vec<f32> {
        values.chunks_exact_mut(self.schema.d_input).for_each(|row| self.schema.scaling.invert(row));
        values
    }

    /// The reconstruction of each row in the units of the data, in batches; of rows corrupted first, if a corruption is given. Beside it, what
    /// the network read.
    pub fn reconstructions<'a>(
        &'a self,
        rows: &'a Dataset,
        corruption: Option<&'a Corruption>,
    ) -> impl Iterator<Item = Result<Reconstructed>> + 'a {
        let corruption = corruption.map(|corruption| corruption.for_inputs(self.schema.inputs().unit_range));
        let batches = self.batches(rows, "reconstructing rows", move |batch| {
            let (read, visible) = match &corruption {
                Some(corruption) => {
                    let corrupted = corruption.apply(batch.x, batch.observed);
                    (corrupted.x, corrupted.visible)
                }
                None => (batch.x, batch.observed),
            };
            let hidden = visible.clone().map(numbers).transpose()?;
            let values = numbers(self.model.reconstruct_visible(read.clone(), visible))?;
            let mut read = self.unscale(numbers(read)?);
            if let Some(visible) = hidden {
                read.iter_mut().zip(visible).filter(|(_, visible)| *visible < 0.5).for_each(|(value, _)| *value = f32::NAN);
            }
            Ok((read, self.unscale(values)))
        });
        batches.map(|batch| batch.map(|(range, (read, values))| Reconstructed { range, read, values }))
    }

    /// The reconstruction of each row as a table in the units of the data, behind the rows' identifiers and labels.
    pub fn reconstruct<'a>(&'a self, rows: &'a Dataset, corruption: Option<&'a Corruption>) -> Table<'a> {
        let batches = self.reconstructions(rows, corruption);
        self.data_table(rows, batches.map(|batch| batch.map(|batch| (batch.range, batch.values))))
    }

    /// Rows like the data's, made batch by batch in its units, behind what identifies them.
    pub(crate) fn data_table<'a>(
        &'a self,
        rows: &'a Dataset,
        batches: impl Iterator<Item = Result<(std::ops::Range<usize>, Vec<f32>)>> + 'a,
    ) -> Table<'a> {
        let encoding = Encoding::new(self.columns());
        let carried = Carried::of(rows, &self.config.data.read);
        let mut columns = carried.columns();
        columns.extend(data_columns(&encoding));
        let parts = batches.map(move |batch| {
            let (range, values) = batch?;
            let mut frame = carried.part(rows, range);
            frame.columns.extend(Frame::from_features(&encoding, &values, None).columns);
            Ok(frame)
        });
        Table { shape: Shape { columns, rows: rows.len() }, parts: Box::new(parts) }
    }

    /// What the decoder makes of `codes` (`[rows, code_dim]`, row by row), in the units of the data (`[rows, d_input]`).
    ///
    /// # Errors
    /// Codes that do not fill whole rows, or a device that fails.
    pub fn decode(&self, codes: &[f32]) -> Result<Vec<f32>> {
        let width = self.config.model.code_dim;
        if !codes.len().is_multiple_of(width) {
            return Err(Error::Failed(format!("{} values are no codes of {width} units", codes.len())));
        }
        let mut values = Vec::new();
        for chunk in codes.chunks(BATCH * width) {
            let h = Tensor::from_data(TensorData::new(chunk.to_vec(), [chunk.len() / width, width]), &self.device);
            values.extend(numbers(self.model.decode(h))?);
        }
        Ok(self.unscale(values))
    }

    /// Rows like the data's, in its units, as a table.
    pub fn table_of(&self, values: &[f32]) -> Frame {
        Frame::from_features(&Encoding::new(self.columns()), values, None)
    }

    /// The codes of `rows`, row by row.
    ///
    /// # Errors
    /// A device that fails, or a file that can no longer be read.
    pub fn codes(&self, rows: &Dataset) -> Result<Vec<f32>> {
        let mut codes = Vec::new();
        for batch in self.batches(rows, "encoding rows", |batch| numbers(self.model.encode_visible(batch.x, batch.observed))) {
            codes.extend(batch?.1);
        }
        Ok(codes)
    }

    /// The way from the code of one row to that of another in `steps` equal steps, both ends included, decoded: in the units of the data.
    /// `rows` are those two.
    ///
    /// # Errors
    /// As [`codes`](Self::codes); fewer than two steps, or another number of rows.
    pub fn interpolate(&self, rows: &Dataset, steps: usize) -> Result<Vec<f32>> {
        if steps < 2 || rows.len() != 2 {
            return Err(Error::Usage("an interpolation is between two rows, in 2 steps or more".to_string()));
        }
        let codes = self.codes(rows)?;
        let (from, to) = codes.split_at(self.config.model.code_dim);
        let way = (0..steps).flat_map(|step| {
            let share = step as f32 / (steps - 1) as f32;
            from.iter().zip(to).map(move |(from, to)| from + (to - from) * share)
        });
        self.decode(&way.collect::<Vec<_>>())
    }

    /// The values that images of the data are drawn with in black and in white.
    pub fn shades(&self) -> [f32; 2] {
        let mut shades = [0.0, 1.0];
        if self.schema.scaling.is_unit_range() {
            self.schema.scaling.invert(&mut shades);
        }
        shades
    }
}

/// A batch of rows and what became of them.
#[derive(Debug, Clone)]
pub struct Reconstructed {
    /// Positions of the rows in their dataset.
    pub range: std::ops::Range<usize>,
    /// What the network read, in the units of the data; `NaN` where nothing was visible.
    pub read: Vec<f32>,
    /// The reconstructions, in the units of the data.
    pub values: Vec<f32>,
}

/// Name and kind of each column of the data.
fn data_columns(encoding: &Encoding) -> Vec<(String, CellKind)> {
    let kind = |column: &Column| match column.kind {
        ae_data::Kind::Number => CellKind::Number,
        ae_data::Kind::Boolean => CellKind::Boolean,
        ae_data::Kind::Category => CellKind::Text,
    };
    encoding.columns().iter().map(|column| (column.name.clone(), kind(column))).collect()
}

/// What is carried along with rows: what identifies them, and their labels.
struct Carried {
    id: Option<String>,
    label: Option<(String, Vec<String>)>,
}

impl Carried {
    fn of(rows: &Dataset, read: &Options) -> Self {
        let table = rows.rows();
        let id = table.ids.as_ref().map(|_| read.id.clone().unwrap_or_else(|| "id".to_string()));
        let label = table.labels.as_ref().map(|_| (read.label.clone().unwrap_or_else(|| "label".to_string()), table.classes()));
        Self { id, label }
    }

    fn columns(&self) -> Vec<(String, CellKind)> {
        let id = self.id.iter().map(|id| (id.clone(), CellKind::Text));
        let numbers = |classes: &[String]| classes.iter().all(|class| class.parse::<f32>().is_ok());
        let kind = |classes: &[String]| if numbers(classes) { CellKind::Number } else { CellKind::Text };
        id.chain(self.label.iter().map(|(name, classes)| (name.clone(), kind(classes)))).collect()
    }

    fn part(&self, rows: &Dataset, range: std::ops::Range<usize>) -> Frame {
        let indices = &rows.indices()[range];
        let mut columns = Vec::new();
        if let (Some(name), Some(ids)) = (&self.id, &rows.rows().ids) {
            columns.push((name.clone(), Cells::Texts(indices.iter().map(|&index| Some(ids[index].clone())).collect())));
        }
        if let (Some((name, classes)), Some(labels)) = (&self.label, &rows.rows().labels) {
            let named = indices.iter().map(|&index| &classes[labels[index] as usize]);
            let cells = match self.columns().last() {
                Some((_, CellKind::Number)) => Cells::Numbers(named.map(|class| class.parse().expect("all classes are numbers")).collect()),
                _ => Cells::Texts(named.map(|class| Some(class.clone())).collect()),
            };
            columns.push((name.clone(), cells));
        }
        Frame { columns }
    }
}

/// A table that is made part by part.
pub struct Table<'a> {
    /// Its columns, and how many rows there will be.
    pub shape: Shape,
    parts: Box<dyn Iterator<Item = Result<Frame>> + 'a>,
}

impl fmt::Debug for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("shape", &self.shape).finish_non_exhaustive()
    }
}

impl Iterator for Table<'_> {
    type Item = Result<Frame>;

    fn next(&mut self) -> Option<Self::Item> {
        self.parts.next()
    }
}

impl Table<'_> {
    /// Writes the table in the format that the ending of `path` names; as CSV to standard output if there is none.
    ///
    /// # Errors
    /// Whatever making a part fails with, or a place that cannot be written: what was there before stays.
    pub fn save(self, path: Option<&Path>) -> Result<()> {
        let mut writer = match path {
            Some(path) => Writer::create(path, &self.shape)?,
            None => Writer::standard_output(&self.shape)?,
        };
        self.parts.into_iter().try_for_each(|part| Ok::<_, Error>(writer.write(&part?)?))?;
        Ok(writer.finish()?)
    }
}
