//! Directions that are nearly orthogonal.

use burn::tensor::Tensor;

/// Unit vectors near `atoms`, `[count, width]`, with smaller cosines between them: steps of Adam on `sum_(i != j) (d_i
/// d_j)^2 + n sum_i (|d_i|^2 - 1)^2`. More vectors than dimensions cannot all be orthogonal.
pub(super) fn more_orthogonal(atoms: Tensor<2>, steps: i32, rate: f64) -> Tensor<2> {
    let (count, device) = (atoms.dims()[0], atoms.device());
    let mut atoms = of_length_one(atoms);
    let same = Tensor::<2>::eye(count, &device);
    let (mut mean, mut square) = (atoms.zeros_like(), atoms.zeros_like());
    for step in 1..=steps {
        let products = ae_kernels::matmul(atoms.clone(), atoms.clone().transpose());
        // On the diagonal n (|d_i|^2 - 1), elsewhere d_i d_j.
        let excess = products.clone().sub_scalar(1.0).mul_scalar(count as f64);
        let weights = products.clone() + same.clone() * (excess - products);
        let gradient = ae_kernels::matmul(weights, atoms.clone()).mul_scalar(4.0);
        mean = mean.mul_scalar(0.9) + gradient.clone().mul_scalar(0.1);
        square = square.mul_scalar(0.999) + gradient.square().mul_scalar(0.001);
        let unbiased = |moment: &Tensor<2>, decay: f64| moment.clone().div_scalar(1.0 - decay.powi(step));
        atoms = atoms - unbiased(&mean, 0.9) / (unbiased(&square, 0.999).sqrt() + 1e-8) * rate;
    }
    of_length_one(atoms)
}

fn of_length_one(atoms: Tensor<2>) -> Tensor<2> {
    let lengths = atoms.clone().square().sum_dim(1).sqrt().clamp_min(1e-8);
    atoms / lengths
}
