//! Scaling: `s = (x - offset) / scale`. It is fitted on the training rows, saved with the run, and inverted on output.
//!
//! Images are scaled as a whole, with one offset and one scale for all pixels. Tables are scaled column by column. With
//! `centered` both have an offset for each feature, and one scale.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::words::plural;

/// How the values are scaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScalingMethod {
    /// `min_max` for images, `standard` for tables.
    #[default]
    Auto,
    /// No scaling.
    None,
    /// To `[0, 1]` on the training rows.
    MinMax,
    /// To mean 0 and variance 1 on the training rows.
    Standard,
    /// To mean 0 in each column, and with one scale for all columns to a mean variance of 1 on the training rows: the
    /// ratios of distances between rows stay as they are.
    Centered,
    /// To median 0 and interquartile range 1 on the training rows; robust to outliers.
    Robust,
}

/// A fitted scaling. There is one offset and one scale for all features, or one per feature. They are in double
/// precision, so that large numbers with small differences (seconds since 1970) keep their digits.
///
/// ```
/// use ae_data::{Dataset, Rows, Scaling, ScalingMethod, Values};
///
/// let rows = Dataset::new(Rows::new(Values::F32(vec![0.0, 5.0, 10.0]), 1));
/// let scaling = Scaling::fit(ScalingMethod::MinMax, &rows)?;
/// assert_eq!(rows.scaled(&scaling)?, [0.0, 0.5, 1.0]);
/// assert_eq!(scaling.invert(&[0.5], 1), [5.0]);
/// # Ok::<(), ae_data::DataError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scaling {
    /// The method that was fitted; never `auto`.
    pub method: ScalingMethod,
    /// Subtracted first, in the units of the data.
    pub offset: Vec<f64>,
    /// Then divided by, in the units of the data; never 0.
    pub scale: Vec<f64>,
    /// Features that are constant in the training rows, with their value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constant: Vec<(usize, f64)>,
}

impl Scaling {
    /// The identity: offset 0 and scale 1.
    pub fn identity() -> Self {
        Self { method: ScalingMethod::None, offset: vec![0.0], scale: vec![1.0], constant: Vec::new() }
    }

    /// Checks that the scaling fits rows of `width` features and can be inverted.
    ///
    /// # Errors
    /// A description of what is wrong.
    pub fn check(&self, width: usize) -> Result<(), String> {
        let count = self.offset.len();
        if count != self.scale.len() || count != 1 && count != width {
            return Err(format!(
                "its scaling has {count} offset{} and {} scale{} for {width} features",
                plural(count),
                self.scale.len(),
                plural(self.scale.len())
            ));
        }
        if !self.offset.iter().all(|offset| offset.is_finite())
            || !self.scale.iter().all(|scale| scale.is_finite() && *scale != 0.0)
        {
            return Err("its scaling has a number that is not finite, or a scale of 0".to_string());
        }
        match self.constant.iter().find(|(feature, value)| *feature >= width || !value.is_finite()) {
            Some((feature, value)) => {
                Err(format!("its scaling has an impossible constant feature: {feature} of {width}, value {value}"))
            }
            None => Ok(()),
        }
    }

    /// Whether the scaled training rows lie in `[0, 1]`.
    pub fn is_unit_range(&self) -> bool {
        self.method == ScalingMethod::MinMax
    }

    /// Appends the scaled features of some rows to `scaled`. Values outside the range of single precision are clamped.
    pub fn apply(&self, rows: &[f64], scaled: &mut Vec<f32>) {
        let single = |value: f64| value.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32;
        match (self.offset.as_slice(), self.scale.as_slice()) {
            (&[offset], &[scale]) => scaled.extend(rows.iter().map(|value| single((value - offset) / scale))),
            (offsets, scales) => {
                for row in rows.chunks(offsets.len().max(1)) {
                    let columns = row.iter().zip(offsets.iter().zip(scales));
                    scaled.extend(columns.map(|(value, (offset, scale))| single((value - offset) / scale)));
                }
            }
        }
    }

    /// The offset and the scale of a feature.
    pub fn of(&self, feature: usize) -> (f64, f64) {
        let group = if self.offset.len() == 1 { 0 } else { feature };
        (self.offset[group], self.scale[group])
    }

    /// The inverse: scaled values of rows of `width` features in the units of the data.
    pub fn invert(&self, scaled: &[f32], width: usize) -> Vec<f64> {
        let value = |(feature, &value): (usize, &f32)| {
            let (offset, scale) = self.of(feature);
            f64::from(value) * scale + offset
        };
        scaled.chunks(width.max(1)).flat_map(|row| row.iter().enumerate().map(value)).collect()
    }

    /// A short description, such as `standard, column by column`.
    pub fn describe(&self) -> String {
        let each = if self.offset.len() == 1 { "all features together" } else { "column by column" };
        match self.method {
            ScalingMethod::None | ScalingMethod::Auto => "none".to_string(),
            ScalingMethod::MinMax if self.offset.len() == 1 => {
                format!("min_max, {each}: {}..{} -> 0..1", self.offset[0], self.offset[0] + self.scale[0])
            }
            ScalingMethod::MinMax => format!("min_max, {each}"),
            ScalingMethod::Standard => format!("standard, {each}"),
            ScalingMethod::Centered => {
                format!("centered, column by column, then divided by {} together", self.scale.first().unwrap_or(&1.0))
            }
            ScalingMethod::Robust => format!("robust, {each}"),
        }
    }
}
