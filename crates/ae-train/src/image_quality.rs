//! Similarity of images: peak signal-to-noise ratio (PSNR), and structural similarity (SSIM; Wang et al. 2004).
//!
//! `psnr = 10 log10(range^2 / mse)` in decibels.
//!
//! `ssim = mean over windows of (2 m_x m_y + c_1)(2 s_xy + c_2) / ((m_x^2 + m_y^2 + c_1)(s_x^2 + s_y^2 + c_2))` with
//! means, variances and covariance under a Gaussian window of standard deviation 1.5, `c_1 = (0.01 range)^2` and
//! `c_2 = (0.03 range)^2`; 1 for equal images.
//!
//! Burn has metrics of these names, but behind a feature with vision code that adds half a minute to every build.

use ae_data::Geometry;

/// PSNR in decibels of a pair of images whose values span `range`; 100 for equal images.
pub fn psnr_db(x: &[f32], r: &[f32], range: f64) -> f64 {
    let mse = x.iter().zip(r).map(|(x, r)| f64::from(x - r).powi(2)).sum::<f64>() / x.len() as f64;
    (10.0 * (range * range / mse).log10()).min(100.0)
}

/// Side of the window for images of this size: the usual 11 pixels, 7 or fewer for small images; none if they are
/// smaller than 3 pixels.
pub fn window(geometry: Geometry) -> Option<usize> {
    let side = geometry.height.min(geometry.width);
    [(11, 24), (7, 7), (5, 5), (3, 3)].into_iter().find(|(_, least)| side >= *least).map(|(window, _)| window)
}

/// SSIM of a pair of images whose values span `range`, mean over channels and over all positions of a window of `side`
/// pixels.
pub fn ssim(x: &[f32], r: &[f32], geometry: Geometry, side: usize, range: f64) -> f64 {
    let Geometry { channels, height, width } = geometry;
    let weights: Vec<f64> =
        (0..side).map(|index| (-0.5 * ((index as f64 - (side / 2) as f64) / 1.5).powi(2)).exp()).collect();
    let total: f64 = weights.iter().sum();
    let weights: Vec<f64> = weights.into_iter().map(|weight| weight / total).collect();
    let (rows, columns) = (height + 1 - side, width + 1 - side);
    // The window is separable: along the rows first, then along the columns.
    let blur = |plane: &[f64]| -> Vec<f64> {
        let (mut lines, mut blurred) = (vec![0.0; height * columns], vec![0.0; rows * columns]);
        let add = |sums: &mut [f64], weight: f64, values: &[f64]| {
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * value);
        };
        for (line, row) in lines.chunks_exact_mut(columns).zip(plane.chunks_exact(width)) {
            weights.iter().enumerate().for_each(|(tap, &weight)| add(line, weight, &row[tap..]));
        }
        for (y, line) in blurred.chunks_exact_mut(columns).enumerate() {
            weights.iter().enumerate().for_each(|(tap, &weight)| add(line, weight, &lines[(y + tap) * columns..]));
        }
        blurred
    };
    let (c1, c2) = ((0.01 * range).powi(2), (0.03 * range).powi(2));
    let mut sum = 0.0;
    for channel in 0..channels {
        let pixels = channel * height * width..(channel + 1) * height * width;
        let pairs = || x[pixels.clone()].iter().zip(&r[pixels.clone()]).map(|(&x, &r)| (f64::from(x), f64::from(r)));
        let plane = |of: fn((f64, f64)) -> f64| blur(&pairs().map(of).collect::<Vec<_>>());
        let (mx, mr) = (plane(|(x, _)| x), plane(|(_, r)| r));
        let (xx, rr, xr) = (plane(|(x, _)| x.powi(2)), plane(|(_, r)| r.powi(2)), plane(|(x, r)| x * r));
        for place in 0..mx.len() {
            let (m, n) = (mx[place], mr[place]);
            let (vx, vr, vxr) = (xx[place] - m * m, rr[place] - n * n, xr[place] - m * n);
            sum += (2.0 * m * n + c1) * (2.0 * vxr + c2) / ((m * m + n * n + c1) * (vx + vr + c2));
        }
    }
    sum / (channels * rows * columns) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_images_have_ssim_1_and_constant_images_differ_only_in_their_means() {
        let geometry = Geometry { channels: 1, height: 8, width: 8 };
        let x: Vec<f32> = (0..64).map(|place| (place * 37 % 64) as f32 / 64.0).collect();
        assert!((ssim(&x, &x, geometry, 7, 1.0) - 1.0).abs() < 1e-12);
        assert_eq!(psnr_db(&x, &x, 1.0), 100.0);
        // Two constant images, 0.5 and 0.7: only the first factor remains, (0.7 + c1) / (0.74 + c1).
        let found = ssim(&[0.5; 64], &[0.7; 64], geometry, 7, 1.0);
        assert!((found - (0.7 + 1e-4) / (0.74 + 1e-4)).abs() < 1e-6, "{found}");
        assert!((psnr_db(&[0.5; 64], &[0.6; 64], 1.0) - 20.0).abs() < 1e-5);
        let inverse: Vec<f32> = x.iter().map(|value| 1.0 - value).collect();
        assert!(ssim(&x, &inverse, geometry, 7, 1.0) < 0.0);
    }
}
