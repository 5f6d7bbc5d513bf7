//! Rows of values in the number type of their source. They are converted to `f32` when a batch is gathered.

use std::{fmt, path::Path, sync::Arc};

use arrow_array::{ArrayRef, RecordBatch, StringArray, UInt32Array};
use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_128;

use crate::{
    Column, DataError, Element, Encoding, Missing, Scaling, Values,
    changes::{Change, Changed, changed},
    encode::Encoder,
    store::{Gaps, Store},
    table::{Carried, InMemory, Joined},
};

/// The shape of the images that rows hold. Values are in row-major order `[channels, height, width]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Geometry {
    /// Number of color channels; 1 for grayscale.
    pub channels: usize,
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
}

impl fmt::Display for Geometry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.channels, self.height, self.width)
    }
}

/// Where the cells are stored.
#[derive(Debug, Clone)]
enum Cells {
    /// In memory, row by row.
    Memory(Values),
    /// In their file, read block by block.
    File(Arc<Store>),
}

/// Rows of numbers, with labels, identifiers and other metadata. `NaN` is a missing value.
///
/// ```
/// use ae_data::{Rows, Values};
///
/// let mut rows = Rows::new(Values::F32(vec![1.0, 2.0, f32::NAN, 4.0]), 2);
/// rows.labels = Some(vec![Some(0), Some(1)]);
/// assert_eq!((rows.len(), rows.width(), rows.has_missing()), (2, 2, true));
/// assert_eq!(rows.row(0)?, [1.0, 2.0]);
/// # Ok::<(), ae_data::DataError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Rows {
    values: Cells,
    /// Number of cells of a row.
    cells: usize,
    /// How cells are encoded as features; `None` if each cell is one feature.
    encoding: Option<Encoding>,
    /// Class index of each row, if there are labels; `None` for a row without a label.
    pub labels: Option<Vec<Option<u32>>>,
    /// Names of the classes by index, if they have names.
    pub label_names: Option<Vec<String>>,
    /// Columns that are carried along with the rows and not learned from.
    pub carried: Option<Carried>,
    /// Shape of the images, if the rows are images.
    pub geometry: Option<Geometry>,
    /// The value of white (255 or 65535), if the rows are image files.
    pub white: Option<u32>,
    /// Rows to predict from these, as many and in the same order; `None` if these are reconstructed.
    pub target: Option<Arc<Rows>>,
    /// What was inferred, left out or changed while the rows were read, in sentences.
    pub notes: Vec<String>,
    /// Rows without any value, ascending, as far as known.
    pub(crate) blank_rows: Vec<usize>,
    /// What read the cells; it collects notes.
    pub(crate) encoder: Option<Arc<Encoder>>,
    has_missing: bool,
}

impl Rows {
    /// Rows of `width` numbers each; `NaN` is a missing value.
    ///
    /// # Panics
    /// If the number of values is not a multiple of `width`.
    pub fn new(values: Values, width: usize) -> Self {
        assert!(width > 0 && values.len().is_multiple_of(width), "{} values do not fill rows of {width}", values.len());
        let has_missing = values.has_missing();
        let blank = |row: &usize| {
            let mut blank = true;
            values.each(row * width..(row + 1) * width, |value| blank &= value.is_nan());
            blank
        };
        let blank_rows = if has_missing { (0..values.len() / width).filter(blank).collect() } else { Vec::new() };
        Self { blank_rows, ..Self::of(Cells::Memory(values), width, has_missing) }
    }

    /// Rows of `width` numbers each that stay in their file; `has_missing` tells whether any may be missing.
    pub fn stored(store: Store, width: usize, has_missing: bool) -> Self {
        Self::of(Cells::File(Arc::new(store)), width, has_missing)
    }

    fn of(values: Cells, cells: usize, has_missing: bool) -> Self {
        Self {
            values,
            cells,
            encoding: None,
            labels: None,
            label_names: None,
            carried: None,
            geometry: None,
            white: None,
            target: None,
            notes: Vec::new(),
            blank_rows: Vec::new(),
            encoder: None,
            has_missing,
        }
    }

    /// The same rows with these columns.
    ///
    /// # Panics
    /// If the number of columns is not the number of cells in a row.
    pub fn with_columns(mut self, columns: Vec<Column>) -> Self {
        assert_eq!(columns.len(), self.cells, "one column for each cell");
        self.encoding = Some(Encoding::new(columns));
        self
    }

    /// Rows of a table with these columns; the cell of a category is the index of its level.
    ///
    /// # Panics
    /// If the values do not fill whole rows.
    pub fn table(values: Values, columns: Vec<Column>) -> Self {
        Self::new(values, columns.len()).with_columns(columns)
    }

    /// The same rows with other columns in the same positions, and with cells changed accordingly.
    pub(crate) fn with_changes(&self, columns: Vec<Column>, changes: &[Change]) -> Self {
        let values = match &self.values {
            Cells::Memory(values) => Cells::Memory(changed(values, changes)),
            Cells::File(store) => {
                let blocks = Changed { store: store.clone(), changes: changes.to_vec() };
                Cells::File(Arc::new(Store::new(Box::new(blocks), self.cells)))
            }
        };
        let rows = Self {
            labels: self.labels.clone(),
            label_names: self.label_names.clone(),
            carried: self.carried.clone(),
            geometry: self.geometry,
            white: self.white,
            target: self.target.clone(),
            notes: self.notes.clone(),
            blank_rows: self.blank_rows.clone(),
            encoder: self.encoder.clone(),
            ..Self::of(values, self.cells, self.has_missing || changes.contains(&Change::Blank))
        };
        rows.with_columns(columns)
    }

    /// The rows without any value, ascending, as far as known.
    pub fn blank_rows(&self) -> &[usize] {
        &self.blank_rows
    }

    /// The same rows, with these known to be without any value.
    pub fn with_blank_rows(mut self, blank_rows: Vec<usize>) -> Self {
        self.blank_rows = blank_rows;
        self
    }

    /// Sets the identifier and the class of each row. A class is carried along by its name or, without names, by its
    /// index.
    ///
    /// # Panics
    /// If the number of labels or identifiers is not the number of rows.
    pub fn identify(&mut self, ids: Option<Vec<String>>, labels: Option<Vec<u32>>, names: Option<Vec<String>>) {
        let fits = |count: Option<usize>| count.is_none_or(|count| count == self.len());
        assert!(fits(ids.as_ref().map(Vec::len)) && fits(labels.as_ref().map(Vec::len)), "one for each row");
        let mut columns: Vec<(&str, ArrayRef)> = Vec::new();
        if let Some(ids) = ids {
            columns.push(("id", Arc::new(StringArray::from(ids))));
        }
        let id = (!columns.is_empty()).then_some(0);
        if let Some(labels) = &labels {
            let named = |names: &Vec<String>| {
                labels.iter().map(|&label| names.get(label as usize).cloned()).collect::<Vec<_>>()
            };
            columns.push((
                "label",
                match &names {
                    Some(names) => Arc::new(StringArray::from(named(names))),
                    None => Arc::new(UInt32Array::from(labels.clone())),
                },
            ));
        }
        let label = labels.as_ref().map(|_| columns.len() - 1);
        let table = RecordBatch::try_from_iter(columns).ok();
        let table = table.and_then(|batch| InMemory::new(Path::new("the rows"), batch.schema(), vec![batch]).ok());
        self.carried = table.map(|table| Carried::new(Arc::new(table), id, label, Vec::new()));
        self.labels = labels.map(|labels| labels.into_iter().map(Some).collect());
        self.label_names = names;
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        match &self.values {
            Cells::Memory(values) => values.len() / self.cells,
            Cells::File(store) => store.len(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of features of a row, `d_input`.
    pub fn width(&self) -> usize {
        self.encoding.as_ref().map_or(self.cells, Encoding::width)
    }

    /// The columns and their encoding, if they are known.
    pub fn encoding(&self) -> Option<&Encoding> {
        self.encoding.as_ref()
    }

    /// The number of features that are scaled, which are those that are numbers. They come first.
    pub fn numbers(&self) -> usize {
        self.encoding.as_ref().map_or(self.cells, |encoding| encoding.layout().numbers)
    }

    /// The type of the numbers as they are stored.
    pub fn element(&self) -> Element {
        match &self.values {
            Cells::Memory(values) => values.element(),
            Cells::File(store) => store.element(),
        }
    }

    /// The names of the classes by index, or the indices themselves if the classes have no names. Empty without labels.
    pub fn classes(&self) -> Vec<String> {
        match (&self.label_names, &self.labels) {
            (Some(names), _) => names.clone(),
            (None, Some(labels)) => {
                (0..=labels.iter().flatten().copied().max().unwrap_or(0)).map(|class| class.to_string()).collect()
            }
            (None, None) => Vec::new(),
        }
    }

    /// The class index of a row, if it has a label.
    pub fn label(&self, row: usize) -> Option<u32> {
        self.labels.as_ref().and_then(|labels| labels[row])
    }

    /// The store, if the rows stay in their file.
    pub fn store(&self) -> Option<&Store> {
        match &self.values {
            Cells::Memory(_) => None,
            Cells::File(store) => Some(store),
        }
    }

    /// Number of blocks whose rows can be read in any order, together with those of the target, and each block only
    /// once.
    pub(crate) fn window(&self, store: &Store) -> usize {
        let target = self.target.as_ref().and_then(|target| target.store());
        let Some(target) = target else { return store.capacity() };
        let spans = store.starts().windows(2).filter(|pair| pair[0] < pair[1]);
        let touched = spans.map(|pair| target.block_of(pair[1] - 1) - target.block_of(pair[0]) + 1).max().unwrap_or(1);
        store.capacity().min(target.capacity() / touched).max(1)
    }

    /// The names of the columns that are carried along.
    pub fn carried_names(&self) -> Vec<String> {
        let Some(carried) = &self.carried else { return Vec::new() };
        let places: Vec<usize> = carried.id.iter().chain(&carried.label).chain(&carried.rest).copied().collect();
        carried.fields(&places).iter().map(|field| field.name().clone()).collect()
    }

    /// The largest absolute value; `None` for rows in a file, or if all values are missing or zero.
    pub(crate) fn largest(&self) -> Option<f64> {
        let Cells::Memory(values) = &self.values else { return None };
        let mut largest = 0f64;
        values.each(0..values.len(), |value| largest = largest.max(value.abs()));
        (largest > 0.0).then_some(largest)
    }

    /// Multiplies every value, to convert between 8 and 16 bits.
    pub(crate) fn rescale(&mut self, factor: f64) {
        if let Cells::Memory(values) = &mut self.values {
            let mut scaled = Vec::with_capacity(values.len());
            values.each(0..values.len(), |value| scaled.push((value * factor) as f32));
            *values = Values::F32(scaled);
        }
    }

    /// The same rows, in which these numbers stand for a missing value; and how often each occurs, if that is known.
    pub(crate) fn with_gaps(self, missing: &[f64]) -> (Self, Option<Vec<usize>>) {
        match self.values {
            Cells::Memory(values) => {
                let (values, counts) = values.without(missing);
                let Self { values, blank_rows, has_missing, .. } = Self::new(values, self.cells);
                (Self { values, blank_rows, has_missing, ..self }, Some(counts))
            }
            Cells::File(store) => {
                let store = Store::new(Box::new(Gaps::new(store, missing.to_vec())), self.cells);
                (Self { values: Cells::File(Arc::new(store)), has_missing: true, ..self }, None)
            }
        }
    }

    /// Converts grayscale images to RGB by repeating their channel.
    pub(crate) fn gray_to_rgb(&mut self) {
        if let (Cells::Memory(values), Some(geometry)) = (&mut self.values, &mut self.geometry) {
            let width = self.cells;
            let rows = values.len() / width;
            *values = values.pick((0..rows).flat_map(|row| (0..3).flat_map(move |_| row * width..(row + 1) * width)));
            geometry.channels = 3;
            self.cells = 3 * width;
        }
    }

    /// The strings that stand for a missing cell in the table that the rows are from.
    pub fn missing(&self) -> Missing {
        self.encoder.as_ref().map_or(Missing::Nothing, |encoder| encoder.missing().clone())
    }

    /// What reading has found so far that did not occur in training, in sentences.
    pub fn met(&self) -> Vec<String> {
        self.encoder.as_ref().map_or(Vec::new(), |encoder| encoder.notes())
    }

    /// Makes the system load the bytes of the block with `row` into its memory, and of those of the target's rows.
    pub(crate) fn load_block_of(&self, row: usize) {
        let Some(store) = self.store() else { return };
        let block = store.block_of(row);
        store.load(block);
        if let Some(target) = self.target.as_ref().and_then(|target| target.store()) {
            let rows = store.starts()[block]..store.starts()[block + 1];
            (target.block_of(rows.start)..=target.block_of(rows.end - 1)).for_each(|block| target.load(block));
        }
    }

    /// How the rows lie in their file and how many blocks are shuffled together, on which the order of a
    /// [`Loader`](crate::Loader) depends; empty for rows in memory.
    pub fn layout(&self) -> Vec<usize> {
        let Some(store) = self.store() else { return Vec::new() };
        store.starts().iter().copied().chain([self.window(store)]).collect()
    }

    /// A hash that identifies these rows: of their columns, their labels, all values in order, and their target. For
    /// rows that stay in their file, the values of 64 sections are hashed. The number type and the file format do not
    /// matter.
    ///
    /// # Errors
    /// If a file can no longer be read.
    pub fn fingerprint(&self) -> Result<String, DataError> {
        /// Number of sections of a file, and of rows in each.
        const SECTIONS: usize = 64;
        const LENGTH: usize = 256;
        let mut hash = XxHash3_128::new();
        hash.write(format!("{} {} {:?}", self.len(), self.cells, self.geometry).as_bytes());
        if let Some(encoding) = &self.encoding {
            hash.write(format!("{:?}", encoding.columns()).as_bytes());
        }
        let section = self.len().div_ceil(SECTIONS).max(1);
        let is_read = |row: usize| self.store().is_none() || row % section < LENGTH;
        let mut bytes = Vec::new();
        for row in (0..self.len()).filter(|&row| is_read(row)) {
            bytes.clear();
            // One bit pattern for every `NaN`, and one for both zeros.
            let bits = |value: f64| if value.is_nan() { u64::MAX } else { (value + 0.0).to_bits() };
            self.each_cell(row, |value| bytes.extend_from_slice(&bits(value).to_le_bytes()))?;
            let label = self.label(row).map_or(u64::MAX, u64::from);
            bytes.extend_from_slice(&label.to_le_bytes());
            hash.write(&bytes);
        }
        if let Some(target) = &self.target {
            hash.write(target.fingerprint()?.as_bytes());
        }
        Ok(format!("{:032x}", hash.finish_128()))
    }

    /// Calls `sink` with each cell of row `index`, without encoding or scaling.
    ///
    /// # Errors
    /// If a file can no longer be read.
    pub fn each_cell(&self, index: usize, sink: impl FnMut(f64)) -> Result<(), DataError> {
        match &self.values {
            Cells::Memory(values) => values.each(index * self.cells..(index + 1) * self.cells, sink),
            Cells::File(store) => {
                let (block, place) = store.at(index)?;
                block.each(place * self.cells..(place + 1) * self.cells, sink);
            }
        }
        Ok(())
    }

    /// Whether any value may be missing.
    pub fn has_missing(&self) -> bool {
        self.has_missing
    }

    /// Appends rows with the same columns.
    ///
    /// # Errors
    /// If their carried columns differ.
    ///
    /// # Panics
    /// If their learned columns differ, or if rows stay in their file.
    pub fn append(&mut self, other: Self) -> Result<(), DataError> {
        assert_eq!((self.cells, &self.encoding), (other.cells, &other.encoding), "rows with the same columns");
        let before = self.len();
        match (&mut self.values, other.values) {
            (Cells::Memory(values), Cells::Memory(more)) => values.append(more),
            _ => panic!("rows that stay in their file cannot be joined"),
        }
        self.has_missing |= other.has_missing;
        self.blank_rows.extend(other.blank_rows.iter().map(|row| before + row));
        self.notes.extend(other.notes);
        self.labels = self.labels.take().zip(other.labels).map(|(labels, more)| [labels, more].concat());
        self.carried = match (self.carried.take(), other.carried) {
            (Some(own), Some(more)) => {
                let table = Joined::new(vec![own.table().clone(), more.table().clone()])?;
                Some(Carried::new(Arc::new(table), own.id, own.label, own.rest))
            }
            _ => None,
        };
        Ok(())
    }

    /// The features of row `index` in the units of the data, `[d_input]`.
    ///
    /// # Errors
    /// If a file can no longer be read.
    pub fn row(&self, index: usize) -> Result<Vec<f64>, DataError> {
        let mut features = Vec::with_capacity(self.width());
        self.append_row(index, &mut features)?;
        Ok(features)
    }

    fn append_row(&self, index: usize, features: &mut Vec<f64>) -> Result<(), DataError> {
        match &self.encoding {
            None => match &self.values {
                // The whole row at once, which the compiler vectorizes.
                Cells::Memory(values) => {
                    values.extend(index * self.cells..(index + 1) * self.cells, features);
                    Ok(())
                }
                Cells::File(store) => {
                    let (block, place) = store.at(index)?;
                    block.extend(place * self.cells..(place + 1) * self.cells, features);
                    Ok(())
                }
            },
            Some(encoding) => {
                let mut cells = Vec::with_capacity(self.cells);
                self.each_cell(index, |value| cells.push(value))?;
                encoding.encode(|column| cells[column], features);
                Ok(())
            }
        }
    }

    /// Appends row `index`, scaled, to `buffer`. Missing values stay `NaN`. `scratch` is a reusable buffer for one row.
    ///
    /// # Errors
    /// If a file can no longer be read.
    pub fn gather(
        &self,
        index: usize,
        scaling: &Scaling,
        buffer: &mut Vec<f32>,
        scratch: &mut Vec<f64>,
    ) -> Result<(), DataError> {
        scratch.clear();
        self.append_row(index, scratch)?;
        scaling.apply(scratch, buffer);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_keep_their_units_and_find_missing_values() {
        let bytes = Rows::new(Values::U8(vec![1, 2, 3, 4]), 2);
        assert_eq!((bytes.len(), bytes.row(1).unwrap(), bytes.has_missing()), (2, vec![3.0, 4.0], false));
        let reals = Rows::new(Values::F32(vec![0.5, f32::NAN, f32::NAN, f32::NAN]), 2);
        assert!(reals.has_missing());
        assert_eq!(reals.blank_rows, [1]);
    }

    #[test]
    fn identifiers_and_labels_are_joined_with_rows() {
        let rows = |ids: [&str; 2]| {
            let ids = ids.map(str::to_string).to_vec();
            let mut rows = Rows::new(Values::U8(vec![1, 2]), 1);
            rows.identify(Some(ids), Some(vec![0, 1]), Some(vec!["x".into(), "y".into()]));
            rows
        };
        let mut all = rows(["a", "b"]);
        all.append(rows(["c", "d"])).unwrap();
        let carried = all.carried.as_ref().unwrap();
        let texts = |column: Option<usize>| carried.texts(&[3, 0], column.unwrap()).unwrap();
        assert_eq!(texts(carried.id), ["d", "a"].map(|text| Some(text.to_string())));
        assert_eq!(texts(carried.label), ["y", "x"].map(|text| Some(text.to_string())));
        assert_eq!(all.label(2), Some(0));
    }
}
