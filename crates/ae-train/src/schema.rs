//! What is known about the data of a run: `data.toml`.

use std::collections::BTreeSet;

use ae_data::{Batcher, Column, Geometry, Scaling};
use ae_model::{Inputs, Layout};
use serde::{Deserialize, Serialize};

/// Version of the folders this program writes. It reads folders of every version up to this one.
pub const FORMAT: u32 = 1;

/// What is known about the target of a run that predicts other rows than its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Number of features of a row of the target.
    pub d_output: usize,
    /// Its scaling, fitted on the training rows.
    pub scaling: Scaling,
}

/// What is known about a run's data: enough to check other data against it and to scale it the same way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    /// Version of the folder's format; 0 for folders written before it was recorded.
    #[serde(default)]
    pub format: u32,
    /// Short name of the source.
    pub name: String,
    /// Number of features of a row.
    pub d_input: usize,
    /// Number of rows trained on.
    pub train_rows: usize,
    /// Number of rows used to choose the best epoch.
    pub validation_rows: usize,
    /// Number of rows used only for the test.
    pub test_rows: usize,
    /// Shape of the images, if the rows are images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub geometry: Option<Geometry>,
    /// The value of white, if the rows are images from files: 255, or 65535 for 16 bits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub white: Option<u32>,
    /// The least and the largest training value, which are drawn as black and white, if the rows are images whose
    /// scaling does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shades: Option<[f64; 2]>,
    /// Type of the values, if the rows are images.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub element: String,
    /// Names of the classes, if the labels have names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_names: Option<Vec<String>>,
    /// The only class trained on, if the run was trained on one class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normal: Option<String>,
    /// Scaling, fitted on the training rows.
    pub scaling: Scaling,
    /// The rows that are predicted, if they are not the rows themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// The columns the model learns from, if the rows are a table: determined once, and used to read all later rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<Column>,
    /// Columns of the table that the model does not learn from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub carried: Vec<String>,
    /// Rows in which every value is missing. They belong to no part of the split.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blank_rows: Vec<usize>,
    /// Fingerprint of the data: see [`Rows::fingerprint`](ae_data::Rows::fingerprint).
    pub fingerprint: String,
}

impl Schema {
    /// Checks that the fields are consistent with each other.
    ///
    /// # Errors
    /// A description of the first inconsistency.
    pub fn check(&self) -> std::result::Result<(), String> {
        let width = self.d_input;
        if width == 0 {
            return Err("its rows have no features".to_string());
        }
        if let Some(Geometry { channels, height, width: columns }) = self.geometry
            && [height, columns].iter().try_fold(channels, |size, &side| size.checked_mul(side)) != Some(width)
        {
            return Err(format!("images of {channels}x{height}x{columns} do not match rows of {width} values"));
        }
        if !self.columns.is_empty() {
            self.columns.iter().try_for_each(Column::check)?;
            let names: BTreeSet<&String> = self.columns.iter().map(|column| &column.name).collect();
            if names.len() < self.columns.len() {
                return Err("two of its columns have the same name".to_string());
            }
            let found = ae_data::Encoding::new(self.columns.clone()).width();
            if found != width {
                return Err(format!("its columns make {found} features, but its rows have {width}"));
            }
        }
        if self.white.is_some_and(|white| !matches!(white, 255 | 65_535)) {
            return Err("`white` is neither 255 nor 65535".to_string());
        }
        if self.shades.is_some_and(|[low, high]| !(low.is_finite() && high.is_finite() && low < high)) {
            return Err("`shades` are not two numbers of which the second is larger".to_string());
        }
        if let (Some(normal), Some(names)) = (&self.normal, &self.label_names)
            && !names.contains(normal)
        {
            return Err(format!("its normal class `{normal}` is not one of its classes"));
        }
        if !self.blank_rows.is_sorted_by(|before, after| before < after) {
            return Err("its blank rows are not in ascending order".to_string());
        }
        if let Some(Target { d_output, scaling }) = &self.target {
            if *d_output == 0 || self.geometry.is_some() || !self.columns.is_empty() {
                return Err("its target has no features, or its rows are not those of an array".to_string());
            }
            scaling.check(*d_output)?;
        }
        self.scaling.check(width)
    }

    /// Number of features of a row that the model reconstructs or predicts.
    pub fn d_output(&self) -> usize {
        self.target.as_ref().map_or(self.d_input, |target| target.d_output)
    }

    /// Scaling of what the model reconstructs or predicts.
    pub fn output_scaling(&self) -> &Scaling {
        self.target.as_ref().map_or(&self.scaling, |target| &target.scaling)
    }

    /// The batcher of rows like those of the run.
    pub fn batcher(&self) -> Batcher {
        Batcher::new(self.scaling.clone()).with_target(self.target.as_ref().map(|target| target.scaling.clone()))
    }

    /// The inputs the model is built for.
    pub fn inputs(&self) -> Inputs {
        let image = self.geometry.map(|geometry| [geometry.channels, geometry.height, geometry.width]);
        let layout = ae_data::Encoding::new(self.columns.clone()).layout();
        let layout = Layout { numbers: layout.numbers, booleans: layout.booleans, categories: layout.categories };
        let layout = Some(layout).filter(|layout| !self.columns.is_empty() && !layout.is_numbers());
        let target = self.target.as_ref().map(|target| target.d_output);
        Inputs { features: self.d_input, image, unit_range: self.scaling.is_unit_range(), layout, target }
    }
}
