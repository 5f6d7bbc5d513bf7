//! Fitting a [`Scaling`] to rows.

use crate::{DataError, Dataset, Scaling, ScalingMethod, progress::Progress};

/// Number of values in a sample, where all values would be too many.
pub const SAMPLE: usize = 8 << 20;

/// Running statistics of one feature.
#[derive(Clone, Copy)]
struct Statistics {
    count: f64,
    min: f64,
    max: f64,
    mean: f64,
    squares: f64,
}

impl Statistics {
    const NONE: Self = Self { count: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY, mean: 0.0, squares: 0.0 };

    /// Welford's update, which stays accurate if the mean is much larger than the standard deviation.
    fn add(&mut self, value: f64) {
        if value.is_nan() {
            return;
        }
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.count += 1.0;
        let difference = value - self.mean;
        self.mean += difference / self.count;
        self.squares += difference * (value - self.mean);
    }

    /// Median and interquartile range, by linear interpolation between order statistics (type 7 of Hyndman and Fan
    /// 1996).
    fn robust(mut values: Vec<f64>) -> (f64, f64) {
        values.retain(|value| !value.is_nan());
        values.sort_unstable_by(f64::total_cmp);
        let quantile = |share: f64| {
            let place = share * values.len().saturating_sub(1) as f64;
            let (low, high) = (place.floor() as usize, place.ceil() as usize);
            let value = |index: usize| values.get(index).copied().unwrap_or(0.0);
            value(low) + (value(high) - value(low)) * (place - low as f64)
        };
        (quantile(0.5), quantile(0.75) - quantile(0.25))
    }

    /// Offset and scale. A constant feature is shifted but not divided; a feature that is never observed is unchanged.
    fn fit(self, method: ScalingMethod) -> (f64, f64) {
        let (offset, scale) = match method {
            ScalingMethod::MinMax => (self.min, self.max - self.min),
            ScalingMethod::Standard | ScalingMethod::Centered => (self.mean, (self.squares / self.count).sqrt()),
            ScalingMethod::None | ScalingMethod::Auto | ScalingMethod::Robust => (0.0, 1.0),
        };
        Self::usable(offset, scale)
    }

    /// Offset and scale if they are usable; otherwise 0 and 1.
    fn usable(offset: f64, scale: f64) -> (f64, f64) {
        let offset = if offset.is_finite() { offset } else { 0.0 };
        (offset, if scale.is_finite() && scale > 0.0 { scale } else { 1.0 })
    }
}

impl Scaling {
    /// Fits a scaling to these rows; missing values are ignored. For rows that stay in their file, medians and
    /// quartiles are estimated from a sample of about 8 million values.
    ///
    /// # Errors
    /// If a file can no longer be read, or values are too large to be scaled.
    pub fn fit(method: ScalingMethod, rows: &Dataset) -> Result<Self, DataError> {
        let image = rows.rows().geometry.is_some();
        let method = match method {
            ScalingMethod::Auto if image => ScalingMethod::MinMax,
            ScalingMethod::Auto => ScalingMethod::Standard,
            method => method,
        };
        if method == ScalingMethod::None {
            return Ok(Self::identity());
        }
        let groups = if image && method != ScalingMethod::Centered { 1 } else { rows.rows().width() };
        let (fitted, mut constant) = match method {
            ScalingMethod::Robust => robust(rows, groups)?,
            _ => moments(rows, groups, method)?,
        };
        let rows_of = rows.rows();
        // Booleans and levels are 0 or 1 and are not scaled.
        let numbers = if image { groups } else { rows_of.numbers() };
        let together = match method {
            ScalingMethod::Centered => Some(one_scale(&fitted[..numbers], &constant)),
            _ => None,
        };
        // Constant pixels and constant levels are not recorded.
        let known = rows_of
            .encoding()
            .map_or(rows_of.width(), |encoding| encoding.layout().numbers + encoding.layout().booleans);
        constant.retain(|(feature, _)| !image && *feature < known);
        let (offset, scale) = fitted
            .into_iter()
            .enumerate()
            .map(|(feature, (offset, scale))| match feature < numbers {
                true => (offset, together.unwrap_or(scale)),
                false => (0.0, 1.0),
            })
            .unzip();
        Ok(Self { method, offset, scale, constant })
    }
}

/// The root mean variance of features with these offsets and standard deviations, of which the `constant` ones have
/// none; 1 if all are constant.
fn one_scale(fitted: &[(f64, f64)], constant: &[(usize, f64)]) -> f64 {
    let varies = |feature: &usize| !constant.iter().any(|(constant, _)| constant == feature);
    let squares = (0..fitted.len()).filter(varies).map(|feature| fitted[feature].1.powi(2));
    let mean = squares.sum::<f64>() / fitted.len().max(1) as f64;
    if mean > 0.0 { mean.sqrt() } else { 1.0 }
}

/// The offset and the scale of each group of features, and the constant groups with their value.
type Fitted = (Vec<(f64, f64)>, Vec<(usize, f64)>);

/// The group of a feature: all features of an image are one group.
fn group(feature: usize, groups: usize) -> usize {
    if groups == 1 { 0 } else { feature }
}

/// From medians and interquartile ranges.
fn robust(rows: &Dataset, groups: usize) -> Result<Fitted, DataError> {
    let mut values = vec![Vec::new(); groups];
    for &index in rows.sample(SAMPLE).indices() {
        let row = rows.rows().row(index)?.into_iter().enumerate();
        row.for_each(|(feature, value)| values[group(feature, groups)].push(value));
    }
    let one = |values: &Vec<f64>| {
        let mut there = values.iter().copied().filter(|value| !value.is_nan());
        there.next().filter(|first| there.all(|value| value == *first))
    };
    let constant = values.iter().map(one).enumerate().filter_map(|(feature, value)| Some((feature, value?))).collect();
    let fitted = values.into_iter().map(Statistics::robust);
    Ok((fitted.map(|(offset, scale)| Statistics::usable(offset, scale)).collect(), constant))
}

/// From running statistics of all rows.
fn moments(rows: &Dataset, groups: usize, method: ScalingMethod) -> Result<Fitted, DataError> {
    let mut statistics = vec![Statistics::NONE; groups];
    let mut progress = Progress::new("fitting the scaling: rows", rows.indices().len());
    for &index in rows.indices() {
        progress.step();
        let row = rows.rows().row(index)?.into_iter().enumerate();
        row.for_each(|(feature, value)| statistics[group(feature, groups)].add(value));
    }
    // The squares of such numbers would overflow.
    let size = |feature: &Statistics| feature.min.abs().max(feature.max.abs());
    if let Some(feature) = statistics.iter().position(|feature| feature.count > 0.0 && size(feature) > 1e150) {
        return Err(too_large(rows, feature, size(&statistics[feature])));
    }
    let is_constant = |(_, feature): &(usize, &Statistics)| feature.min == feature.max;
    let constant = statistics.iter().enumerate().filter(is_constant);
    let constant = constant.map(|(feature, found)| (feature, found.min)).collect();
    Ok((statistics.into_iter().map(|feature| feature.fit(method)).collect(), constant))
}

fn too_large(rows: &Dataset, feature: usize, size: f64) -> DataError {
    let column = rows.rows().encoding().map(|encoding| {
        let is_in = |(first, end): &(usize, usize)| (*first..*end).contains(&feature);
        let place = encoding.ranges().iter().position(is_in).unwrap_or(0);
        encoding.columns()[place].name.clone()
    });
    let name = column.map_or(format!("feature {feature}"), |name| format!("column `{name}`"));
    let problem = format!(
        "{name} has values as large as {size:e}, too large to be scaled: correct them, or leave the column out with \
         `--drop`"
    );
    DataError::Malformed { path: "the training rows".into(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Geometry, Rows, Values};

    fn table() -> Dataset {
        // The last column is constant, the middle one has a missing value.
        Dataset::new(Rows::new(Values::F32(vec![1.0, 10.0, 5.0, 3.0, f32::NAN, 5.0, 5.0, 30.0, 5.0]), 3))
    }

    #[test]
    fn centered_values_keep_their_proportions() {
        // Columns 0, 2, 4 and 3, 3, 3 and 0, 10, 20: variances 8/3, 0 and 200/3, whose mean is 208/9.
        let values = vec![0.0, 3.0, 0.0, 2.0, 3.0, 10.0, 4.0, 3.0, 20.0];
        let rows = Dataset::new(Rows::new(Values::F32(values), 3));
        let scaling = Scaling::fit(ScalingMethod::Centered, &rows).unwrap();
        assert_eq!(scaling.offset, [2.0, 3.0, 10.0]);
        let scale = (208.0f64 / 9.0).sqrt();
        assert!(scaling.scale.iter().all(|found| (found - scale).abs() < 1e-12), "{:?}", scaling.scale);
        let scaled = rows.scaled(&scaling).unwrap();
        let mean_square = scaled.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>() / 9.0;
        assert!((mean_square - 1.0).abs() < 1e-6, "{mean_square}");
        assert!(scaling.describe().starts_with("centered, column by column, then divided by 4.80"));
        let mut images = Rows::new(Values::F32(vec![0.0, 4.0, 2.0, 4.0]), 2);
        images.geometry = Some(Geometry { channels: 1, height: 1, width: 2 });
        let scaling = Scaling::fit(ScalingMethod::Centered, &Dataset::new(images)).unwrap();
        assert_eq!(
            (scaling.offset, scaling.scale),
            (vec![1.0, 4.0], vec![0.5f64.sqrt(); 2]),
            "each pixel has its mean"
        );
    }

    #[test]
    fn columns_of_a_table_are_scaled_separately() {
        let scaling = Scaling::fit(ScalingMethod::MinMax, &table()).unwrap();
        assert_eq!((scaling.offset.clone(), scaling.scale.clone()), (vec![1.0, 10.0, 5.0], vec![4.0, 20.0, 1.0]));
        let mut row = Vec::new();
        table().rows().gather(2, &scaling, &mut row, &mut Vec::new()).unwrap();
        assert_eq!(row, [1.0, 1.0, 0.0]);
        assert_eq!(scaling.invert(&row, 3), [5.0, 30.0, 5.0]);
    }

    #[test]
    fn seconds_since_1970_keep_their_digits() {
        let seconds = [1.7e9, 1.7e9 + 1.0, 1.7e9 + 2.0];
        for values in [Values::F64(seconds.to_vec()), Values::I64(seconds.map(|value| value as i64).to_vec())] {
            let rows = Dataset::new(Rows::new(values, 1));
            let scaling = Scaling::fit(ScalingMethod::MinMax, &rows).unwrap();
            assert_eq!(rows.scaled(&scaling).unwrap(), [0.0, 0.5, 1.0]);
            assert_eq!(scaling.invert(&[0.5], 1), [1_700_000_001.0]);
        }
    }

    #[test]
    fn standard_gives_mean_zero_and_variance_one() {
        let scaling = Scaling::fit(ScalingMethod::Standard, &table()).unwrap();
        assert_eq!(scaling.offset, [3.0, 20.0, 5.0]);
        assert!((scaling.scale[0] - (8.0f64 / 3.0).sqrt()).abs() < 1e-12, "{:?}", scaling.scale);
        assert_eq!(scaling.scale[2], 1.0);
    }

    #[test]
    fn constant_features_are_recorded() {
        for method in [ScalingMethod::Standard, ScalingMethod::MinMax, ScalingMethod::Robust] {
            assert_eq!(Scaling::fit(method, &table()).unwrap().constant, [(2, 5.0)], "{method:?}");
        }
    }

    #[test]
    fn robust_scaling_ignores_an_outlier() {
        let rows = Dataset::new(Rows::new(Values::F32(vec![1.0, 2.0, 3.0, 4.0, 1e6]), 1));
        let scaling = Scaling::fit(ScalingMethod::Robust, &rows).unwrap();
        assert_eq!((scaling.offset, scaling.scale), (vec![3.0], vec![2.0]));
    }

    #[test]
    fn an_image_is_scaled_as_a_whole() {
        let mut rows = Rows::new(Values::U8(vec![0, 4, 16, 8]), 2);
        rows.geometry = Some(Geometry { channels: 1, height: 1, width: 2 });
        let scaling = Scaling::fit(ScalingMethod::Auto, &Dataset::new(rows)).unwrap();
        assert_eq!((scaling.method, scaling.offset, scaling.scale), (ScalingMethod::MinMax, vec![0.0], vec![16.0]));
    }
}
