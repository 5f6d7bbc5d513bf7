//! Encoding, decoding and reconstructing rows.

use ae_data::{Batch, Batcher, Column, Dataset, Options, progress::Progress};
use ae_model::{Corruption, Model};
use burn::{
    data::dataset::Dataset as _,
    tensor::{Device, Tensor, TensorData},
};

use crate::{
    Error, Result,
    config::Config,
    schema::Schema,
    tensors::{BATCH, numbers},
};

/// A trained model, and what is known about the data it was trained on.
///
/// ```no_run
/// use ae_data::Options;
/// use ae_train::{Run, Which};
/// use burn::tensor::Device;
///
/// let trained = Run::open("run".as_ref())?.trained(Device::default())?;
/// let rows = trained.rows(Some("new.csv"), &Options::default(), Which::All)?;
/// trained.encode(&rows).save(Some("codes.parquet".as_ref()))?; // part by part, for data of any size
/// # Ok::<(), ae_train::Error>(())
/// ```
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

impl Trained {
    /// Combines a model with its schema and configuration.
    pub fn new(model: Model, schema: Schema, config: Config, device: Device) -> Self {
        let batcher = schema.batcher();
        Self { model, schema, config, device, batcher }
    }

    /// Number of principal components that describe a row by as many numbers as this code: the width of the code, or,
    /// of a sparse one, the number of active units `l0`.
    pub fn comparable_components(&self, l0: f64) -> usize {
        let width = self.config.model.code_dim;
        match self.config.model.is_sparse() {
            true => (l0.round() as usize).clamp(1, width),
            false => width,
        }
    }

    /// How later rows are read: as in the run, with the overrides in `read`.
    pub fn options(&self, read: &Options) -> Options {
        self.config.reading().overruled_by(read.clone())
    }

    /// The columns that the model reconstructs: those of the table, otherwise `x0`, `x1`, ...; or those of a target
    /// that it predicts, `y0`, `y1`, ...
    pub fn columns(&self) -> Vec<Column> {
        let letter = if self.schema.target.is_some() { 'y' } else { 'x' };
        match self.schema.columns.as_slice() {
            [] => (0..self.schema.d_output()).map(|index| Column::number(format!("{letter}{index}"))).collect(),
            columns => columns.to_vec(),
        }
    }

    /// Converts scaled outputs of the model (`[rows, d_output]`, row by row) to the units of the data.
    pub fn unscale(&self, values: &[f32]) -> Vec<f64> {
        self.schema.output_scaling().invert(values, self.schema.d_output())
    }

    /// Converts scaled inputs (`[rows, d_input]`, row by row) to the units of the data.
    pub fn unscale_inputs(&self, values: &[f32]) -> Vec<f64> {
        self.schema.scaling.invert(values, self.schema.d_input)
    }

    /// The values that are drawn as black and as white in images of the data.
    pub fn shades(&self) -> [f32; 2] {
        match (self.schema.scaling.is_unit_range(), self.schema.shades) {
            (true, _) => {
                let (offset, scale) = self.schema.scaling.of(0);
                [offset as f32, (offset + scale) as f32]
            }
            (false, Some(shades)) => shades.map(|shade| shade as f32),
            // A folder written before they were recorded.
            (false, None) => [0.0, self.schema.white.map_or(1.0, |white| white as f32)],
        }
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
            let mut read = self.unscale_inputs(&numbers(read)?);
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

    /// Decodes `codes` (`[rows, code_dim]`, row by row) to rows in the units of the data (`[rows, d_output]`).
    ///
    /// # Errors
    /// Codes that do not fill whole rows, a decoder that also reads the input, or a device that fails.
    pub fn decode(&self, codes: &[f32]) -> Result<Vec<f64>> {
        Ok(self.unscale(&self.decode_scaled(codes)?))
    }

    /// As [`decode`](Self::decode), in units of the scaled data.
    pub(crate) fn decode_scaled(&self, codes: &[f32]) -> Result<Vec<f32>> {
        let width = self.config.model.code_dim;
        if !codes.len().is_multiple_of(width) {
            return Err(Error::Failed(format!("{} values do not make codes of {width} units", codes.len())));
        }
        if self.model.parts().decoder.reads_input() {
            return Err(Error::Usage(
                "the decoder of this run also reads the input (`model.network.skip`), which codes do not have: use \
                 `ae reconstruct` on the rows"
                    .to_string(),
            ));
        }
        let mut values = Vec::new();
        for chunk in codes.chunks(BATCH * width) {
            let h = Tensor::from_data(TensorData::new(chunk.to_vec(), [chunk.len() / width, width]), &self.device);
            values.extend(numbers(self.model.decode(h))?);
        }
        Ok(values)
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
