//! Arrays of numbers, as stored in IDX, NumPy and safetensors files, and their interpretation as rows.

use std::{
    io::{Read, Write},
    path::Path,
};

use crate::{DataError, Element, Geometry, Rows, Values};

/// Numbers with a shape; the first dimension is the number of rows.
///
/// ```
/// use ae_data::{Array, Values};
///
/// let array = Array { dims: vec![2, 3], values: Values::F32(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]) };
/// let rows = array.into_rows("in memory".as_ref())?;
/// assert_eq!((rows.len(), rows.width()), (2, 3));
/// # Ok::<(), ae_data::DataError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Sizes of the dimensions; the first is the number of rows.
    pub dims: Vec<usize>,
    /// The values in row-major order.
    pub values: Values,
}

/// What the sizes of an array mean: the number of features of a row, the shape of the images, if the rows are images,
/// and whether the channels come last.
///
/// # Errors
/// No rows, no features, or more than four dimensions.
pub(crate) fn shape_of_rows(dims: &[usize], origin: &Path) -> Result<(usize, Option<Geometry>, bool), DataError> {
    let malformed = |problem: String| DataError::Malformed { path: origin.to_owned(), problem };
    if dims.is_empty() || dims.contains(&0) {
        return Err(malformed(format!("holds no rows: its shape is {dims:?}")));
    }
    let is_channels = |size: usize| matches!(size, 1 | 3 | 4);
    let (geometry, channels_last) = match dims[1..] {
        [] | [_] => (None, false),
        [height, width] => (Some(Geometry { channels: 1, height, width }), false),
        [height, width, channels] if is_channels(channels) && !is_channels(height) => {
            (Some(Geometry { channels, height, width }), true)
        }
        [channels, height, width] => (Some(Geometry { channels, height, width }), false),
        _ => {
            return Err(malformed(format!(
                "has {} dimensions, {dims:?}, but 1 to 4 are supported: reshape it",
                dims.len()
            )));
        }
    };
    Ok((dims[1..].iter().product(), geometry, channels_last && dims[3] > 1))
}

impl Array {
    /// The rows of an array of shape `[rows, features]`, or of images of shape `[rows, height, width]` or `[rows,
    /// channels, height, width]` (or `[rows, height, width, channels]`, if the last of four dimensions is 1, 3 or 4 and
    /// the second is not). An array of one dimension becomes rows of one feature.
    ///
    /// # Errors
    /// No rows, no features, more than four dimensions, or an infinite number.
    pub fn into_rows(self, origin: &Path) -> Result<Rows, DataError> {
        let (width, geometry, channels_last) = shape_of_rows(&self.dims, origin)?;
        if let Some(index) = self.values.first_infinite() {
            let problem =
                format!("holds an infinite value in row {}, column {} (both from 0)", index / width, index % width);
            return Err(DataError::Malformed { path: origin.to_owned(), problem });
        }
        let values = match geometry {
            Some(Geometry { channels, height, width }) if channels_last => {
                channels_first(&self.values, self.dims[0], height * width, channels)
            }
            _ => self.values,
        };
        let mut rows = Rows::new(values, width);
        rows.geometry = geometry;
        Ok(rows)
    }

    /// Class labels: one integer from 0 per row.
    ///
    /// # Errors
    /// More than one dimension, or values that are not integers from 0 to 2^24.
    pub fn into_labels(self, origin: &Path) -> Result<Vec<u32>, DataError> {
        let malformed = |problem: &str| DataError::Malformed { path: origin.to_owned(), problem: problem.to_string() };
        if self.dims.iter().skip(1).any(|&size| size != 1) {
            return Err(malformed("is not a label file: labels have one dimension"));
        }
        let mut labels = Vec::with_capacity(self.values.len());
        let mut good = true;
        self.values.each(0..self.values.len(), |label| {
            good &= label >= 0.0 && label.fract() == 0.0 && label <= 16_777_216.0;
            labels.push(label as u32);
        });
        if good {
            Ok(labels)
        } else {
            Err(malformed("holds labels that are not integers from 0 to 16777216: convert them to class numbers"))
        }
    }
}

/// Maximum number of classes in an array of labels: with more, the values are not treated as classes.
const MOST_CLASSES: usize = 1000;

/// The contents of an array of labels.
pub(crate) enum Labels {
    Numbers(Array),
    /// One string per row.
    Texts(Vec<String>),
}

impl Labels {
    /// The class index of each row and the names of the classes, sorted. The labels are integers or strings.
    ///
    /// # Errors
    /// Why the values are not classes.
    pub(crate) fn into_classes(self) -> Result<(Vec<u32>, Vec<String>), String> {
        let array = match self {
            Self::Numbers(array) => array,
            Self::Texts(texts) => {
                let mut classes = texts.clone();
                classes.sort_unstable();
                classes.dedup();
                if classes.len() > MOST_CLASSES {
                    return Err(format!(
                        "holds {} different strings, too many to be classes (at most {MOST_CLASSES})",
                        classes.len()
                    ));
                }
                let number = |text: &String| classes.binary_search(text).map_or(0, |place| place as u32);
                return Ok((texts.iter().map(number).collect(), classes));
            }
        };
        if array.dims.iter().skip(1).any(|&size| size != 1) {
            return Err(format!("has the shape {:?}, but classes have one dimension", array.dims));
        }
        let mut values = Vec::with_capacity(array.values.len());
        array.values.each(0..array.values.len(), |value| values.push(value));
        if let Some(value) = values.iter().find(|value| value.fract() != 0.0 || value.abs() > 9e15) {
            return Err(format!("holds numbers such as {value}, which are not class labels"));
        }
        let mut classes: Vec<i64> = values.iter().map(|&value| value as i64).collect();
        classes.sort_unstable();
        classes.dedup();
        if classes.len() > MOST_CLASSES {
            return Err(format!(
                "holds {} different numbers, too many to be classes (at most {MOST_CLASSES})",
                classes.len()
            ));
        }
        let number = |value: &f64| classes.binary_search(&(*value as i64)).map_or(0, |place| place as u32);
        Ok((values.iter().map(number).collect(), classes.iter().map(i64::to_string).collect()))
    }
}

/// Values of shape `[count, pixels, channels]` as `[count, channels, pixels]`.
fn channels_first(values: &Values, count: usize, pixels: usize, channels: usize) -> Values {
    let image = pixels * channels;
    let indices = (0..count).flat_map(|row| {
        (0..channels).flat_map(move |channel| (0..pixels).map(move |pixel| row * image + pixel * channels + channel))
    });
    values.pick(indices)
}

/// Gives the replacement of a missing value from its row and feature; called in the order of the rows.
pub type Replace<'a> = dyn FnMut(usize, usize) -> Result<Option<f64>, DataError> + 'a;

/// How numbers are stored in a file: their type, byte order, sizes and memory order, and which numbers beside `NaN`
/// stand for a missing value.
pub(crate) struct Layout {
    pub(crate) element: Element,
    pub(crate) big_endian: bool,
    pub(crate) dims: Vec<usize>,
    pub(crate) column_major: bool,
    pub(crate) missing: Vec<f64>,
}

impl Layout {
    /// Copies the numbers of an array from `input` to `output` and replaces the missing ones; every other byte stays
    /// the same.
    ///
    /// # Errors
    /// No rows, a file that ends too early, or an error of `replace`.
    pub(crate) fn fill(
        &self,
        input: &mut dyn Read,
        output: &mut dyn Write,
        origin: &Path,
        replace: &mut Replace,
    ) -> Result<(), DataError> {
        let (width, geometry, channels_last) = shape_of_rows(&self.dims, origin)?;
        let (rows, size) = (self.dims[0], self.element.bytes());
        // Row-major arrays are copied in blocks of rows; column-major arrays are needed as a whole.
        let block = if self.column_major { rows } else { ((8 << 20) / (width * size)).clamp(1, rows) };
        let mut strides = vec![1usize; self.dims.len()];
        (1..self.dims.len()).for_each(|axis| strides[axis] = strides[axis - 1] * self.dims[axis - 1]);
        let place = |row: usize, feature: usize| {
            // The position of the feature in its row in the file.
            let mut inside = match geometry {
                Some(Geometry { channels, height, width }) if channels_last => {
                    feature % (height * width) * channels + feature / (height * width)
                }
                _ => feature,
            };
            if !self.column_major {
                return row * width + inside;
            }
            let mut offset = row * strides[0];
            for axis in (1..self.dims.len()).rev() {
                offset += inside % self.dims[axis] * strides[axis];
                inside /= self.dims[axis];
            }
            offset
        };
        for first in (0..rows).step_by(block) {
            let count = block.min(rows - first);
            let mut bytes = vec![0; count * width * size];
            input.read_exact(&mut bytes).map_err(|source| DataError::Io { path: origin.to_owned(), source })?;
            for row in (0..count).filter(|_| self.element.is_float() || !self.missing.is_empty()) {
                for feature in 0..width {
                    let at = place(row, feature) * size;
                    let value = self.element.decode(&bytes[at..at + size], self.big_endian).get(0);
                    if !value.is_nan() && !self.missing.contains(&value) {
                        continue;
                    }
                    if let Some(value) = replace(first + row, feature)? {
                        bytes[at..at + size].copy_from_slice(&self.element.encode(value, self.big_endian));
                    }
                }
            }
            output
                .write_all(&bytes)
                .map_err(|error| DataError::Write { path: origin.to_owned(), reason: error.to_string() })?;
        }
        Ok(())
    }
}

/// Column-major values of shape `dims` in row-major order.
pub(crate) fn row_major(values: &Values, dims: &[usize]) -> Values {
    let mut strides = vec![1usize; dims.len()];
    (1..dims.len()).for_each(|axis| strides[axis] = strides[axis - 1] * dims[axis - 1]);
    let place = |mut index: usize| {
        let mut offset = 0;
        for axis in (0..dims.len()).rev() {
            offset += index % dims[axis] * strides[axis];
            index /= dims[axis];
        }
        offset
    };
    values.pick((0..values.len()).map(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(dims: &[usize]) -> Result<Rows, String> {
        let count = dims.iter().product::<usize>();
        let array = Array { dims: dims.to_vec(), values: Values::U8((0..count).map(|value| value as u8).collect()) };
        array.into_rows(Path::new("some.npy")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_shape_is_interpreted_as_rows_or_images() {
        assert_eq!(rows(&[5]).unwrap().width(), 1);
        assert_eq!(rows(&[5, 3]).unwrap().geometry, None);
        assert_eq!(rows(&[5, 3, 2]).unwrap().geometry.unwrap().to_string(), "1x3x2");
        assert_eq!(rows(&[2, 3, 5, 4]).unwrap().geometry.unwrap().to_string(), "3x5x4");
        let color_last = rows(&[2, 2, 2, 3]).unwrap();
        assert_eq!(color_last.geometry.unwrap().to_string(), "3x2x2");
        assert_eq!(color_last.row(0).unwrap(), [0.0, 3.0, 6.0, 9.0, 1.0, 4.0, 7.0, 10.0, 2.0, 5.0, 8.0, 11.0]);
        assert!(rows(&[0, 3]).unwrap_err().contains("no rows"));
        assert!(rows(&[1, 1, 1, 1, 1]).unwrap_err().contains("5 dimensions"));
    }

    #[test]
    fn only_missing_numbers_are_replaced_in_every_memory_order() {
        let value =
            |row: usize, feature: usize| if (row + feature) % 4 == 1 { f32::NAN } else { (row * 10 + feature) as f32 };
        // 3 images of 2x2 with 3 channels, which come last in the file.
        for (dims, column_major, big_endian) in [
            (vec![3, 12], false, false),
            (vec![3, 12], true, true),
            (vec![3, 2, 2, 3], false, true),
            (vec![3, 2, 2, 3], true, false),
        ] {
            let is_image = dims.len() == 4;
            let in_file = |row: usize, place: usize| {
                if is_image { value(row, place % 3 * 4 + place / 3) } else { value(row, place) }
            };
            let row_major: Vec<f32> = (0..3).flat_map(|row| (0..12).map(move |place| in_file(row, place))).collect();
            let order: Vec<f32> = match column_major {
                false => row_major,
                true => {
                    let mut values = vec![0.0; 36];
                    let mut strides = vec![1; dims.len()];
                    (1..dims.len()).for_each(|axis| strides[axis] = strides[axis - 1] * dims[axis - 1]);
                    for (index, value) in row_major.into_iter().enumerate() {
                        let (mut rest, mut at) = (index, 0);
                        for axis in (0..dims.len()).rev() {
                            at += rest % dims[axis] * strides[axis];
                            rest /= dims[axis];
                        }
                        values[at] = value;
                    }
                    values
                }
            };
            let bytes: Vec<u8> = order
                .iter()
                .flat_map(|value| if big_endian { value.to_be_bytes() } else { value.to_le_bytes() })
                .collect();
            let layout =
                Layout { element: Element::F32, big_endian, dims: dims.clone(), column_major, missing: Vec::new() };
            let (mut made, mut asked) = (Vec::new(), Vec::new());
            let mut replace = |row: usize, feature: usize| {
                asked.push((row, feature));
                Ok((row != 2).then_some(100.0 + (row * 12 + feature) as f64))
            };
            layout.fill(&mut bytes.as_slice(), &mut made, Path::new("t"), &mut replace).unwrap();
            assert!(asked.is_sorted() && asked.iter().all(|(row, feature)| value(*row, *feature).is_nan()), "{dims:?}");
            let values = Element::F32.decode(&made, big_endian);
            let array =
                Array { dims: dims.clone(), values: if column_major { row_major_of(&values, &dims) } else { values } };
            let rows = array.into_rows(Path::new("t")).unwrap();
            for row in 0..3 {
                for (feature, found) in rows.row(row).unwrap().into_iter().enumerate() {
                    let expected = match (value(row, feature).is_nan(), row) {
                        (false, _) => f64::from(value(row, feature)),
                        (true, 2) => f64::NAN,
                        (true, _) => 100.0 + (row * 12 + feature) as f64,
                    };
                    assert!(
                        found == expected || found.is_nan() && expected.is_nan(),
                        "{dims:?} {row} {feature}: {found} for {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn user_defined_missing_values_are_replaced_in_integers() {
        let layout = Layout {
            element: Element::I16,
            big_endian: true,
            dims: vec![2, 2],
            column_major: false,
            missing: vec![-999.0],
        };
        let bytes: Vec<u8> = [7i16, -999, -999, 8].iter().flat_map(|value| value.to_be_bytes()).collect();
        let mut made = Vec::new();
        let mut replace = |row: usize, _: usize| Ok(Some(if row == 0 { 2.6 } else { 1e9 }));
        layout.fill(&mut bytes.as_slice(), &mut made, Path::new("t"), &mut replace).unwrap();
        assert_eq!(Element::I16.decode(&made, true), Values::I16(vec![7, 3, 32767, 8]));
    }

    fn row_major_of(values: &Values, dims: &[usize]) -> Values {
        super::row_major(values, dims)
    }

    #[test]
    fn column_major_values_are_reordered() {
        let values = Values::U8(vec![0, 3, 1, 4, 2, 5]); // [[0, 1, 2], [3, 4, 5]]
        assert_eq!(row_major(&values, &[2, 3]), Values::U8(vec![0, 1, 2, 3, 4, 5]));
    }
}
