//! Similarity of images and their reconstructions.

use ae_data::{Geometry, progress::beat};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{image_quality, matrix::Matrix, trained::Trained};

/// Maximum number of images that are measured.
const MEASURED: usize = 4096;

/// Similarity of images and their reconstructions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ImageQuality {
    /// Peak signal-to-noise ratio in decibels, mean over the images.
    pub psnr_db: f64,
    /// The same of PCA.
    pub psnr_db_pca: f64,
    /// Structural similarity (Wang et al. 2004), mean over the images; none if the images are smaller than the window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssim: Option<f64>,
    /// The same of PCA.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssim_pca: Option<f64>,
}

impl Trained {
    /// Compares the images `rows` with their reconstructions by the model and by PCA.
    pub(super) fn image_quality(&self, geometry: Geometry, rows: Matrix, copies: &[f32], pca: &[f32]) -> ImageQuality {
        let range: f64 = match self.schema.scaling.is_unit_range() {
            true => 1.0,
            false => {
                let observed = || rows.values.iter().copied().filter(|value| !value.is_nan());
                (observed().fold(f32::MIN, f32::max) - observed().fold(f32::MAX, f32::min))
                    .max(f32::MIN_POSITIVE)
                    .into()
            }
        };
        let window = image_quality::window(geometry);
        let of = |copies: &[f32]| {
            let measured = rows.count().min(MEASURED) * rows.width;
            let pairs = rows.values[..measured].par_chunks_exact(rows.width).zip(copies.par_chunks_exact(rows.width));
            let pairs = pairs.filter(|(row, _)| !row.iter().any(|value| value.is_nan())).map(|(row, copy)| {
                let ssim = window.map_or(0.0, |window| image_quality::ssim(row, copy, geometry, window, range));
                (image_quality::psnr_db(row, copy, range), ssim)
            });
            let measured: Vec<(f64, f64)> = pairs.collect();
            beat();
            let (psnr, ssim) = measured.iter().fold((0.0, 0.0), |sum, of| (sum.0 + of.0, sum.1 + of.1));
            let count = measured.len() as f64;
            (psnr / count, window.map(|_| ssim / count))
        };
        let ((psnr_db, ssim), (psnr_db_pca, ssim_pca)) = (of(copies), of(pca));
        ImageQuality { psnr_db, psnr_db_pca, ssim, ssim_pca }
    }
}
