//! Reconstruction errors of a model.

use std::ops::Range;

use ae_data::{Batcher, Dataset, progress::Progress};
use ae_model::{Autoencoder, Forward, ModuleCode, ModuleDecoder, ModuleEncoder};
use burn::{
    data::dataset::Dataset as _,
    tensor::{Device, Tensor},
};

use super::code::{CodeStatistics, Measuring};

use crate::{
    Result,
    matrix::Matrix,
    reconstruction_error::Errors,
    tensors::{BATCH, numbers},
};

/// The errors of `model` on `dataset`, for which it should give `rows`: the scaled rows themselves, or their target.
///
/// # Errors
/// A device that fails to return its results.
pub fn model_errors<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode>(
    model: &Autoencoder<E, D, C>,
    dataset: &Dataset,
    batcher: &Batcher,
    rows: Matrix,
    device: &Device,
) -> Result<Errors> {
    let mut errors = Errors::new(&rows);
    let width = rows.width;
    let mut progress = Progress::new("measuring rows", dataset.len());
    for start in (0..dataset.len()).step_by(BATCH) {
        let end = dataset.len().min(start + BATCH);
        progress.steps(end - start);
        let batch = dataset.batch(start..end, batcher, device)?;
        let reconstructed = numbers(model.reconstruct_visible(batch.x, batch.observed))?;
        for (row, r) in
            rows.values[start * width..end * width].chunks_exact(width).zip(reconstructed.chunks_exact(width))
        {
            errors.add(row, |column| f64::from(r[column]));
        }
    }
    Ok(errors)
}

/// A batch of rows that went through a model: the range of their positions, their codes `[batch, d_code]`, and their
/// reconstructions, row by row.
pub(crate) type Through<'a> = (Range<usize>, &'a Tensor<2>, &'a [f32]);

/// Encodes and reconstructs all rows of `dataset`: the statistics of the code, after each
/// batch has been shown to `visit`.
///
/// # Errors
/// As [`model_errors`]; and what `visit` returns.
pub(crate) fn through<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode>(
    model: &Autoencoder<E, D, C>,
    dataset: &Dataset,
    batcher: &Batcher,
    device: &Device,
    mut visit: impl FnMut(Through) -> Result<()>,
) -> Result<CodeStatistics> {
    let mut measured = Measuring::new(model, dataset);
    let mut progress = Progress::new("measuring rows", dataset.len());
    for start in (0..dataset.len()).step_by(BATCH) {
        let end = dataset.len().min(start + BATCH);
        progress.steps(end - start);
        let batch = dataset.batch(start..end, batcher, device)?;
        let Forward { latent, output } = model.forward(batch.x.clone(), batch.observed.clone());
        measured.add(start, &batch, &latent.code)?;
        visit((start..end, &latent.code, &numbers(model.reconstruction.mean(output))?))?;
    }
    Ok(measured.statistics())
}

/// Mean squared error of each feature over the observed values.
pub(super) fn feature_errors<'a>(rows: Matrix, copy: impl Fn(usize) -> &'a [f32]) -> Vec<f64> {
    let mut sums = vec![(0.0, 0.0f64); rows.width];
    for (index, row) in rows.values.chunks_exact(rows.width).enumerate() {
        for ((sum, &value), &copy) in
            sums.iter_mut().zip(row).zip(copy(index)).filter(|((_, value), _)| !value.is_nan())
        {
            *sum = (sum.0 + f64::from(value - copy).powi(2), sum.1 + 1.0);
        }
    }
    sums.into_iter().map(|(sum, count)| sum / count.max(1.0)).collect()
}
