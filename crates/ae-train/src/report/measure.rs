//! What is computed for the page only.

use ae_data::{Dataset, Encoding};
use ae_model::Jacobian;
use burn::tensor::{Tensor, TensorData};

use super::material::Material;
use crate::{
    Result,
    baseline::{Matrix, eigenvalues},
    evaluation::{Errors, Figures, SPECTRUM_ROWS, has_spectrum, numbers, spectrum_at_once},
    impute::HELD_OUT,
};

/// Rows of `width` values.
pub fn matrix(values: &[f32], width: usize) -> Matrix<'_> {
    Matrix { values, width }
}

/// The rows of the sample in the order of their squared errors, the smallest first: row and error.
///
/// # Errors
/// A device that fails, or a file that can no longer be read.
pub fn by_error(material: &Material) -> Result<Vec<(usize, f64)>> {
    let width = material.width();
    let inputs = material.some.scaled(&material.trained.schema.scaling)?;
    let mut outputs = Vec::with_capacity(inputs.len());
    material.trained.schema.scaling.apply(&material.reconstructed(&material.some)?, &mut outputs);
    let error = |(x, r): (&[f32], &[f32])| {
        x.iter().zip(r).filter(|(x, _)| !x.is_nan()).map(|(x, r)| f64::from(x - r).powi(2)).sum::<f64>()
    };
    let errors = inputs.chunks_exact(width).zip(outputs.chunks_exact(width)).map(error);
    let mut errors: Vec<(usize, f64)> = material.some.indices().iter().copied().zip(errors).collect();
    errors.sort_by(|a, b| a.1.total_cmp(&b.1));
    Ok(errors)
}

/// Errors of the model and of PCA on some rows.
///
/// # Errors
/// As [`by_error`].
pub fn errors_on(material: &Material, rows: &Dataset) -> Result<[Figures; 2]> {
    let values = rows.scaled(&material.trained.schema.scaling)?;
    let rows_of = matrix(&values, material.width());
    let mut outputs = Vec::with_capacity(values.len());
    material.trained.schema.scaling.apply(&material.reconstructed(rows)?, &mut outputs);
    let mut errors = Errors::new(&rows_of);
    for (row, output) in values.chunks_exact(rows_of.width).zip(outputs.chunks_exact(rows_of.width)) {
        errors.add(row, |column| f64::from(output[column]));
    }
    let pca = material.pca.first(material.evaluation.pca_components).errors(rows_of);
    Ok([errors.figures(), pca.figures()])
}

/// The units with the largest spread, most spread first, and mean and standard deviation of every unit.
pub fn spread(material: &Material) -> (Vec<usize>, Vec<(f32, f32)>) {
    let units = material.units();
    let rows = (material.codes.len() / units) as f64;
    let figure = |unit: usize| {
        let values = || material.codes.iter().skip(unit).step_by(units).map(|&value| f64::from(value));
        let mean = values().sum::<f64>() / rows;
        (mean as f32, (values().map(|value| (value - mean).powi(2)).sum::<f64>() / rows).sqrt() as f32)
    };
    let figures: Vec<(f32, f32)> = (0..units).map(figure).collect();
    let mut order: Vec<usize> = (0..units).collect();
    order.sort_by(|&a, &b| figures[b].1.total_cmp(&figures[a].1));
    (order, figures)
}

/// The derivative of the code at the mean test row, `[d_input, units]`, row by row.
///
/// # Errors
/// A device that fails, or a file that can no longer be read.
pub fn jacobian_at_mean(material: &Material) -> Result<Vec<f32>> {
    let values = material.some.scaled(&material.trained.schema.scaling)?;
    let mean: Vec<f32> = matrix(&values, material.width()).mean().into_iter().map(|value| value as f32).collect();
    let mean = Tensor::from_data(TensorData::new(mean, [1, material.width()]), &material.trained.device);
    numbers(Jacobian::matrix(&material.trained.model.parts(), mean, None))
}

/// The singular values of the code's derivative, falling, mean over some test rows; and how many rows. None where the
/// derivative is too large to decompose.
///
/// # Errors
/// As [`jacobian_at_mean`].
pub fn spectrum(material: &Material) -> Result<Option<(Vec<f64>, usize)>> {
    let (width, units) = (material.width(), material.units());
    if !has_spectrum(width, units) {
        return Ok(None);
    }
    let rows = material.some.select(material.some.indices().iter().copied().take(SPECTRUM_ROWS).collect());
    let count = rows.indices().len();
    let mut sums = vec![0.0; width.min(units)];
    let together = spectrum_at_once(width, units);
    for first in (0..count).step_by(together) {
        let some = first..count.min(first + together);
        let batch = rows.batch(some, &material.trained.batcher, &material.trained.device)?;
        let values = numbers(Jacobian::matrix(&material.trained.model.parts(), batch.x, batch.observed))?;
        for row in values.chunks_exact(width * units) {
            let matrix = faer::Mat::from_fn(width, units, |input, unit| f64::from(row[input * units + unit]));
            // The eigenvalues of the smaller product are the squares of the singular values.
            let gram = if width < units { &matrix * matrix.transpose() } else { matrix.transpose() * &matrix };
            sums.iter_mut().zip(eigenvalues(&gram)?).for_each(|(sum, value)| *sum += value.sqrt());
        }
    }
    Ok(Some((sums.into_iter().map(|sum| sum / count as f64).collect(), count)))
}

/// A column, and how well its hidden values are filled in.
pub struct FilledColumn {
    /// Its name.
    pub name: String,
    /// Share of the rows where it is missing.
    pub missing: f64,
    /// Mean squared error at hidden values: of the model, of PCA, and of the mean; `NaN` where nothing was hidden.
    pub errors: [f64; 3],
}

impl FilledColumn {
    fn new(name: &str) -> Self {
        Self { name: name.to_string(), missing: 0.0, errors: [0.0; 3] }
    }
}

/// Each column's share of missing values in the training and test rows, and the error at values of the test rows that
/// were hidden to be filled in.
///
/// # Errors
/// As [`jacobian_at_mean`].
pub fn filled_columns(material: &Material) -> Result<Vec<FilledColumn>> {
    let (trained, width) = (&material.trained, material.width());
    let values = material.some.scaled(&trained.schema.scaling)?;
    let known = matrix(&values, width);
    let holes = trained.hide(known, HELD_OUT);
    let holes = matrix(&holes, width);
    let pca = material.pca.first(material.evaluation.pca_components);
    let filled = [trained.fill(holes.values)?, pca.impute(holes), pca.first(0).impute(holes)];
    let train = material.train.sample(ae_data::fit::SAMPLE).scaled(&trained.schema.scaling)?;
    let encoding = Encoding::new(trained.columns());
    let mut columns: Vec<FilledColumn> =
        encoding.columns().iter().map(|column| FilledColumn::new(&column.name)).collect();
    let ranges = encoding.ranges();
    let rows = train.chunks_exact(width).chain(values.chunks_exact(width));
    let count = rows.clone().count().max(1) as f64;
    for row in rows {
        for (column, (start, _)) in columns.iter_mut().zip(&ranges) {
            column.missing += f64::from(u8::from(row[*start].is_nan())) / count;
        }
    }
    let mut hidden = vec![0.0; columns.len()];
    for first in (0..values.len()).step_by(width) {
        for ((column, hidden), &(start, end)) in columns.iter_mut().zip(&mut hidden).zip(&ranges) {
            let features = first + start..first + end;
            for place in features.filter(|&place| holes.values[place].is_nan() && !values[place].is_nan()) {
                *hidden += 1.0;
                for (error, filled) in column.errors.iter_mut().zip(&filled) {
                    *error += f64::from(values[place] - filled[place]).powi(2);
                }
            }
        }
    }
    for (column, hidden) in columns.iter_mut().zip(hidden) {
        column.errors.iter_mut().for_each(|error| *error /= hidden);
    }
    Ok(columns)
}
