//! Rows of values as they came from their source: bytes stay bytes until a batch is gathered.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Scaling;

/// The shape of an image that a row holds, in row-major order `channels, height, width`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Geometry {
    /// Colour channels; 1 for grey.
    pub channels: usize,
    /// Rows of pixels.
    pub height: usize,
    /// Columns of pixels.
    pub width: usize,
}

impl fmt::Display for Geometry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.channels, self.height, self.width)
    }
}

/// The numbers of a table, row by row.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Bytes, such as grey levels.
    U8(Vec<u8>),
    /// Real numbers; `NaN` is a missing value.
    F32(Vec<f32>),
}

/// A table of `len` rows and `width` features, with what is known about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    values: Values,
    width: usize,
    /// Class of each row, if there are labels.
    pub labels: Option<Vec<u32>>,
    /// Shape of the images that the rows hold, if they do.
    pub geometry: Option<Geometry>,
    has_missing: bool,
}

impl Rows {
    /// Rows of `width` features; `NaN` counts as missing.
    ///
    /// # Panics
    /// If the values do not fill whole rows: a reader checks that first.
    pub fn new(values: Values, width: usize) -> Self {
        let count = match &values {
            Values::U8(values) => values.len(),
            Values::F32(values) => values.len(),
        };
        assert!(width > 0 && count.is_multiple_of(width), "{count} values do not fill rows of {width}");
        let has_missing = matches!(&values, Values::F32(values) if values.iter().any(|value| value.is_nan()));
        Self { values, width, labels: None, geometry: None, has_missing }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        match &self.values {
            Values::U8(values) => values.len() / self.width,
            Values::F32(values) => values.len() / self.width,
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Features of a row, `d_input`.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Whether any value is missing.
    pub fn has_missing(&self) -> bool {
        self.has_missing
    }

    /// The values of row `index`, in their own units.
    pub fn row(&self, index: usize) -> impl Iterator<Item = f32> + '_ {
        let range = index * self.width..(index + 1) * self.width;
        let (bytes, reals) = match &self.values {
            Values::U8(values) => (Some(values[range].iter().map(|&value| f32::from(value))), None),
            Values::F32(values) => (None, Some(values[range].iter().copied())),
        };
        bytes.into_iter().flatten().chain(reals.into_iter().flatten())
    }

    /// Appends row `index`, scaled, to `buffer`. Missing values stay `NaN`.
    pub fn gather(&self, index: usize, scaling: &Scaling, buffer: &mut Vec<f32>) {
        let range = index * self.width..(index + 1) * self.width;
        match &self.values {
            Values::U8(values) => scaling.apply(values[range].iter().map(|&value| f32::from(value)), buffer),
            Values::F32(values) => scaling.apply(values[range].iter().copied(), buffer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_keep_their_units_and_know_what_is_missing() {
        let bytes = Rows::new(Values::U8(vec![1, 2, 3, 4]), 2);
        assert_eq!((bytes.len(), bytes.row(1).collect::<Vec<_>>(), bytes.has_missing()), (2, vec![3.0, 4.0], false));
        let reals = Rows::new(Values::F32(vec![0.5, f32::NAN]), 2);
        assert!(reals.has_missing());
    }
}
