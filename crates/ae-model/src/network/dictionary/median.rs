//! The geometric median.

use burn::tensor::Tensor;

/// The most iterations.
const ITERATIONS: usize = 200;
/// Movement of the estimate, relative to the mean distance of the points from it, below which it has converged.
const CONVERGED: f64 = 1e-7;

/// The point with the smallest sum of distances to the rows of `x`, `[rows, width] -> [width]`, by Weiszfeld's
/// iteration (Weiszfeld 1937). Up to half of the rows can lie anywhere without moving it far. It is the mean of one
/// row, and 0 without rows.
pub fn geometric_median(x: &Tensor<2>) -> Tensor<1> {
    let [rows, width] = x.dims();
    if rows == 0 {
        return Tensor::zeros([width], &x.device());
    }
    // From the median of each column, which far rows do not move.
    let (sorted, middle) = (x.clone().sort(0), rows / 2);
    let mut center = match rows % 2 {
        1 => sorted.narrow(0, middle, 1),
        _ => (sorted.clone().narrow(0, middle - 1, 1) + sorted.narrow(0, middle, 1)).div_scalar(2.0),
    };
    for _ in 0..ITERATIONS {
        let distance = (x.clone() - center.clone()).square().sum_dim(1).sqrt();
        let mean = distance.clone().mean().into_scalar::<f64>();
        if mean == 0.0 {
            break;
        }
        // A row at the estimate itself has the weight of one at a tiny distance.
        let weight = distance.clamp_min(mean * 1e-9).recip();
        let next = (x.clone() * weight.clone()).sum_dim(0) / weight.sum_dim(0);
        let moved = (next.clone() - center).square().sum().sqrt().into_scalar::<f64>();
        center = next;
        if moved <= CONVERGED * mean {
            break;
        }
    }
    center.squeeze_dim(0)
}
