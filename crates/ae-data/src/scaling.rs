//! Scaling: `s = (x - offset) / scale`, fitted on training rows, saved with the run, inverted on output.
//!
//! Images are scaled as a whole (one offset and one scale, so that pixels keep their relations); tables column by
//! column.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How to scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScalingMethod {
    /// `min_max` for images, `standard` for tables.
    #[default]
    Auto,
    /// The values as they are.
    None,
    /// To `[0, 1]` on the training rows.
    MinMax,
    /// To mean 0 and variance 1 on the training rows.
    Standard,
    /// To median 0 and interquartile range 1 on the training rows: outliers do not move it.
    Robust,
}

/// A fitted scaling. Offsets and scales are one number for all features, or one for each; in double precision, so that
/// what is far from zero and close together (seconds since 1970) keeps its digits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scaling {
    /// What was fitted; never `auto`.
    pub method: ScalingMethod,
    /// Subtracted first.
    pub offset: Vec<f64>,
    /// Divided by then; never 0.
    pub scale: Vec<f64>,
    /// Features that have one value in all training rows, and that value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constant: Vec<(usize, f64)>,
}

impl Scaling {
    /// The scaling that changes nothing.
    pub fn identity() -> Self {
        Self { method: ScalingMethod::None, offset: vec![0.0], scale: vec![1.0], constant: Vec::new() }
    }

    /// Whether rows of `width` features can be scaled and brought back.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn check(&self, width: usize) -> Result<(), String> {
        let count = self.offset.len();
        if count != self.scale.len() || count != 1 && count != width {
            return Err(format!(
                "its scaling has {count} offsets and {} scales for {width} features",
                self.scale.len()
            ));
        }
        if !self.offset.iter().all(|offset| offset.is_finite())
            || !self.scale.iter().all(|scale| scale.is_finite() && *scale != 0.0)
        {
            return Err("its scaling holds a number that is not finite, or a scale of 0".to_string());
        }
        match self.constant.iter().find(|(feature, value)| *feature >= width || !value.is_finite()) {
            Some((feature, value)) => {
                Err(format!("its scaling says that feature {feature} of {width} is always {value}"))
            }
            None => Ok(()),
        }
    }

    /// Whether the scaled training rows lie in `[0, 1]`.
    pub fn is_unit_range(&self) -> bool {
        self.method == ScalingMethod::MinMax
    }

    /// The scaled features of some rows, appended to `scaled`. What is beyond single precision becomes its largest
    /// number.
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

    /// Offset and scale of a feature.
    pub fn of(&self, feature: usize) -> (f64, f64) {
        let group = if self.offset.len() == 1 { 0 } else { feature };
        (self.offset[group], self.scale[group])
    }

    /// The scaled values of some rows of `width` features, back in the units of the data.
    pub fn invert(&self, scaled: &[f32], width: usize) -> Vec<f64> {
        let value = |(feature, &value): (usize, &f32)| {
            let (offset, scale) = self.of(feature);
            f64::from(value) * scale + offset
        };
        scaled.chunks(width.max(1)).flat_map(|row| row.iter().enumerate().map(value)).collect()
    }

    /// What was done, in words.
    pub fn describe(&self) -> String {
        let each = if self.offset.len() == 1 { "all features together" } else { "column by column" };
        match self.method {
            ScalingMethod::None | ScalingMethod::Auto => "none".to_string(),
            ScalingMethod::MinMax if self.offset.len() == 1 => {
                format!("min_max, {each}: {}..{} -> 0..1", self.offset[0], self.offset[0] + self.scale[0])
            }
            ScalingMethod::MinMax => format!("min_max, {each}"),
            ScalingMethod::Standard => format!("standard, {each}"),
            ScalingMethod::Robust => format!("robust, {each}"),
        }
    }
}
