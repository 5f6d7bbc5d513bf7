//! From rows to tensors: a [`Dataset`] selects rows, a [`Sample`] refers to one of them, and the [`Batcher`] gathers
//! rows into one buffer.

use std::sync::Arc;

use burn::{
    data::{dataloader::batcher, dataset, dataset::DatasetError},
    tensor::{Device, Int, Tensor, TensorData},
};

use crate::{DataError, Geometry, Rows, Scaling};

/// A selection of rows of a table, in a fixed order. Cheap to clone: the rows are shared.
///
/// ```
/// use ae_data::{Batcher, Dataset, Rows, Scaling, Values};
/// use burn::tensor::Device;
///
/// let rows = Rows::new(Values::F32(vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]), 2);
/// let dataset = Dataset::new(rows).select(vec![2, 0]);
/// let batch = dataset.batch(0..2, &Batcher::new(Scaling::identity()), &Device::default())?;
/// assert_eq!(batch.x.dims(), [2, 2]);
/// assert_eq!(batch.rows, [2, 0]);
/// # Ok::<(), ae_data::DataError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Dataset {
    rows: Arc<Rows>,
    indices: Arc<[usize]>,
}

/// A reference to one row; nothing is copied.
#[derive(Debug, Clone)]
pub struct Sample {
    rows: Arc<Rows>,
    /// Index of the row in its table, from 0.
    pub index: usize,
}

/// A batch of examples on a device.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The scaled values, `[batch, d_input]`; 0 where missing.
    pub x: Tensor<2>,
    /// 1 where a value is observed and 0 where it is missing, `[batch, d_input]`; `None` if the whole table has no
    /// missing values.
    pub observed: Option<Tensor<2>>,
    /// The scaled values to predict, `[batch, d_output]`, if they are not `x` itself.
    pub target: Option<Tensor<2>>,
    /// Class index of each example, `[batch]`, if there are labels; -1 for an example without a label.
    pub labels: Option<Tensor<1, Int>>,
    /// Shape of the images, if the examples are images.
    pub geometry: Option<Geometry>,
    /// Index of each row in its table.
    pub rows: Vec<usize>,
    /// Whether this is the last batch of an epoch of a [`Loader`](crate::Loader).
    pub is_last: bool,
    /// Whether its row only stands in for none, where a [part](crate::Loader::with_part) of a batch is empty.
    pub is_spare: bool,
    /// Seed for the noise on these examples. Batches of a [`Loader`](crate::Loader) have a different seed in each epoch
    /// and at each position; for [`Dataset::batch`] it is the start of the range. `None` from [`Batcher::gather`],
    /// which only knows the rows: noise that is always the same would be learned.
    pub seed: Option<u64>,
}

impl Dataset {
    /// All rows.
    pub fn new(rows: Rows) -> Self {
        let indices = (0..rows.len()).collect();
        Self { rows: Arc::new(rows), indices }
    }

    /// These rows of the same table, by index.
    ///
    /// # Panics
    /// If the table has no such row.
    pub fn select(&self, indices: Vec<usize>) -> Self {
        assert!(indices.iter().all(|&index| index < self.rows.len()), "the table has only {} rows", self.rows.len());
        Self { rows: self.rows.clone(), indices: indices.into() }
    }

    /// The rows of both, each once and in ascending order.
    ///
    /// # Panics
    /// If the two belong to different tables.
    pub fn union(&self, other: &Self) -> Self {
        assert!(Arc::ptr_eq(&self.rows, &other.rows), "the two belong to different tables");
        let mut indices: Vec<_> = self.indices.iter().chain(other.indices.iter()).copied().collect();
        indices.sort_unstable();
        indices.dedup();
        self.select(indices)
    }

    /// The same rows with one more note.
    pub fn with_note(mut self, note: &str) -> Self {
        Arc::make_mut(&mut self.rows).notes.push(note.to_string());
        self
    }

    /// Whether both belong to the same table.
    pub(crate) fn is_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.rows, &other.rows)
    }

    /// The same rows of another table.
    pub(crate) fn on(&self, rows: Arc<Rows>) -> Self {
        Self { rows, indices: self.indices.clone() }
    }

    /// The table that the rows belong to.
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// What is predicted from these rows, if it is not the rows themselves: the same rows of the target.
    pub fn target(&self) -> Option<Self> {
        let rows = self.rows.target.clone()?;
        Some(Self { rows, indices: self.indices.clone() })
    }

    /// The indices of the rows in their table, in order.
    pub fn indices(&self) -> &[usize] {
        &self.indices
    }

    /// Whether any feature has at least two different observed values.
    ///
    /// # Errors
    /// If a file can no longer be read.
    pub fn varies(&self) -> Result<bool, DataError> {
        let mut first = vec![f64::NAN; self.rows.width()];
        for &index in self.indices.iter() {
            for (first, value) in first.iter_mut().zip(self.rows.row(index)?) {
                if first.is_nan() {
                    *first = value;
                }
                if *first != value && !value.is_nan() {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// A sample of about `values` values: all rows if they are in memory, otherwise rows spread evenly over the file.
    pub fn sample(&self, values: usize) -> Self {
        /// Maximum number of blocks that are read, so that a large file is not read as a whole.
        const BLOCKS: usize = 64;
        let most = (values / self.rows.width()).max(1);
        let Some(store) = self.rows.store().filter(|_| self.indices.len() > most) else { return self.clone() };
        let blocks: Vec<&[usize]> = self.indices.chunk_by(|&a, &b| store.block_of(a) == store.block_of(b)).collect();
        let (count, step) = (blocks.len(), blocks.len().div_ceil(BLOCKS).max(1));
        // From the middle of each section, so that both ends of the file are represented.
        let chosen: Vec<&[usize]> =
            blocks.into_iter().skip((step / 2).min(count.saturating_sub(1))).step_by(step).collect();
        self.select(chosen.concat()).thin(most)
    }

    /// At most `most` rows, spread evenly over all of them.
    pub fn thin(&self, most: usize) -> Self {
        let step = self.indices.len().div_ceil(most.max(1)).max(1);
        if step == 1 { self.clone() } else { self.select(self.indices.iter().copied().step_by(step).collect()) }
    }

    /// The rows that have at least one observed value.
    pub fn without_blank(&self) -> Self {
        let blank = &self.rows.blank_rows;
        match blank.is_empty() {
            true => self.clone(),
            false => {
                self.select(self.indices.iter().copied().filter(|row| blank.binary_search(row).is_err()).collect())
            }
        }
    }

    /// The rows of a class, by its name; `None` if the table has no such class.
    pub fn of_class(&self, class: &str) -> Option<Self> {
        let number = self.rows().classes().iter().position(|name| name == class)? as u32;
        Some(
            self.select(
                self.indices().iter().copied().filter(|&index| self.rows().label(index) == Some(number)).collect(),
            ),
        )
    }

    /// The rows at the positions `range` of this dataset as a batch.
    ///
    /// # Errors
    /// If a file can no longer be read.
    pub fn batch(&self, range: std::ops::Range<usize>, batcher: &Batcher, device: &Device) -> Result<Batch, DataError> {
        let seed = Some(range.start as u64);
        Ok(Batch { seed, ..batcher.gather(&self.rows, &self.indices[range], device)? })
    }

    /// The scaled values of all rows, row by row, `[rows * d_input]`; missing values are `NaN`.
    ///
    /// # Errors
    /// If a file can no longer be read.
    pub fn scaled(&self, scaling: &Scaling) -> Result<Vec<f32>, DataError> {
        let mut values = Vec::with_capacity(self.indices.len() * self.rows.width());
        let mut scratch = Vec::new();
        self.indices.iter().try_for_each(|&index| self.rows.gather(index, scaling, &mut values, &mut scratch))?;
        Ok(values)
    }
}

impl dataset::Dataset<Sample> for Dataset {
    fn get(&self, index: usize) -> Result<Sample, DatasetError> {
        Ok(Sample { rows: self.rows.clone(), index: self.indices[index] })
    }

    fn len(&self) -> usize {
        self.indices.len()
    }
}

/// Gathers rows into one buffer and scales them.
#[derive(Debug, Clone)]
pub struct Batcher {
    scaling: Arc<Scaling>,
    /// Scaling of the target.
    target: Option<Arc<Scaling>>,
}

impl Batcher {
    /// A batcher that scales with `scaling`.
    pub fn new(scaling: Scaling) -> Self {
        Self { scaling: Arc::new(scaling), target: None }
    }

    /// Sets that rows with a [target](Rows::target) are gathered with it, scaled with `scaling`.
    pub fn with_target(mut self, scaling: impl Into<Option<Scaling>>) -> Self {
        self.target = scaling.into().map(Arc::new);
        self
    }

    /// The rows `indices` of `rows`, scaled, on `device`.
    ///
    /// # Errors
    /// If a file can no longer be read, or a value of the target is missing.
    pub fn gather(&self, rows: &Rows, indices: &[usize], device: &Device) -> Result<Batch, DataError> {
        let shape = [indices.len(), rows.width()];
        let mut values = Vec::with_capacity(indices.len() * rows.width());
        let mut scratch = Vec::with_capacity(rows.width());
        indices.iter().try_for_each(|&index| rows.gather(index, &self.scaling, &mut values, &mut scratch))?;
        let observed = rows.has_missing().then(|| {
            let mask: Vec<f32> = values.iter().map(|value| if value.is_nan() { 0.0 } else { 1.0 }).collect();
            values.iter_mut().filter(|value| value.is_nan()).for_each(|value| *value = 0.0);
            Tensor::from_data(TensorData::new(mask, shape), device)
        });
        let labels = rows.labels.as_ref().map(|labels| {
            let labels: Vec<i64> = indices.iter().map(|&index| labels[index].map_or(-1, i64::from)).collect();
            Tensor::from_data(TensorData::new(labels, [indices.len()]), device)
        });
        let target = rows.target.as_ref().zip(self.target.as_ref());
        let target = target.map(|(target, scaling)| complete(target, indices, scaling)).transpose()?;
        Ok(Batch {
            target: target.map(|values| {
                let shape = [indices.len(), values.len() / indices.len().max(1)];
                Tensor::from_data(TensorData::new(values, shape), device)
            }),
            x: Tensor::from_data(TensorData::new(values, shape), device),
            observed,
            labels,
            geometry: rows.geometry,
            rows: indices.to_vec(),
            is_last: false,
            is_spare: false,
            seed: None,
        })
    }
}

/// These rows of a target, scaled, row by row.
fn complete(target: &Rows, indices: &[usize], scaling: &Scaling) -> Result<Vec<f32>, DataError> {
    let mut values = Vec::with_capacity(indices.len() * target.width());
    let mut scratch = Vec::with_capacity(target.width());
    for &index in indices {
        let start = values.len();
        target.gather(index, scaling, &mut values, &mut scratch)?;
        if let Some(column) = values[start..].iter().position(|value| value.is_nan()) {
            let problem =
                format!("row {index}, column {column} (both from 0) is missing, and a target must be complete");
            return Err(DataError::Malformed { path: "the target".into(), problem });
        }
    }
    Ok(values)
}

impl batcher::Batcher<Sample, Batch> for Batcher {
    /// # Panics
    /// If the batch is empty or has samples of two tables, and if a file can no longer be read: Burn's trait cannot
    /// return an error. [`Batcher::gather`] can.
    fn batch(&self, items: Vec<Sample>, device: &Device) -> Batch {
        let rows = items.first().expect("a batch has at least one example").rows.clone();
        assert!(items.iter().all(|item| Arc::ptr_eq(&item.rows, &rows)), "a batch has rows of one table");
        let indices: Vec<usize> = items.iter().map(|item| item.index).collect();
        self.gather(&rows, &indices, device).unwrap_or_else(|error| panic!("{error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ScalingMethod, Values};

    #[test]
    fn rows_are_gathered_in_order_with_their_labels() {
        let mut rows = Rows::new(Values::U8(vec![0, 1, 2, 3, 4, 5]), 2);
        rows.labels = Some(vec![Some(7), None, Some(9)]);
        let dataset = Dataset::new(rows).select(vec![2, 0]);
        let batch = dataset.batch(0..2, &Batcher::new(Scaling::identity()), &Device::default()).unwrap();
        batch.x.into_data().assert_eq(&[[4.0f32, 5.0], [0.0, 1.0]].into(), true);
        assert_eq!(batch.labels.unwrap().into_data().iter::<i64>().collect::<Vec<_>>(), [9, 7]);
        assert_eq!((batch.rows, batch.observed.is_none()), (vec![2, 0], true));
    }

    #[test]
    fn rows_vary_if_two_observed_values_of_a_feature_differ() {
        let varies = |values: Vec<f32>| Dataset::new(Rows::new(Values::F32(values), 2)).varies().unwrap();
        assert!(varies(vec![1.0, 2.0, 1.0, 3.0]));
        assert!(varies(vec![1.0, f32::NAN, 2.0, 5.0]));
        assert!(!varies(vec![1.0, 2.0, 1.0, 2.0]));
        assert!(!varies(vec![1.0, f32::NAN, f32::NAN, 2.0, 1.0, f32::NAN]));
        assert!(!varies(vec![f32::NAN; 4]));
    }

    #[test]
    fn a_sample_is_spread_over_the_file_whatever_its_blocks() {
        #[derive(Debug)]
        struct One(Vec<usize>);
        impl crate::store::Blocks for One {
            fn starts(&self) -> &[usize] {
                &self.0
            }
            fn element(&self) -> crate::Element {
                crate::Element::U16
            }
            fn read(&self, block: usize) -> Result<Values, DataError> {
                Ok(Values::U16((self.0[block]..self.0[block + 1]).map(|row| row as u16).collect()))
            }
        }
        let of = |starts: Vec<usize>| {
            let rows = Rows::stored(crate::store::Store::new(Box::new(One(starts)), 1), 1, false);
            Dataset::new(rows).sample(10).indices().to_vec()
        };
        assert_eq!(of(vec![0, 1000]), (0..10).map(|row| row * 100).collect::<Vec<_>>());
        let many = of((0..=1000).collect());
        assert!(many.len() <= 10 && many[0] < 100 && many[many.len() - 1] > 850, "{many:?}");
    }

    #[test]
    fn a_missing_value_is_zero_and_not_observed() {
        let dataset = Dataset::new(Rows::new(Values::F32(vec![1.0, f32::NAN, 3.0, 4.0]), 2));
        let batcher = Batcher::new(Scaling::fit(ScalingMethod::Standard, &dataset).unwrap());
        let batch = dataset.batch(0..2, &batcher, &Device::default()).unwrap();
        batch.observed.unwrap().into_data().assert_eq(&[[1.0f32, 0.0], [1.0, 1.0]].into(), true);
        batch.x.into_data().assert_eq(&[[-1.0f32, 0.0], [1.0, 0.0]].into(), true);
    }
}
