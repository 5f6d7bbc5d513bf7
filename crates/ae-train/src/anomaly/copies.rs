//! Corrupted copies of rows.

use ae_model::{Corruption, Layout};
use burn::tensor::{Device, Tensor};

/// Number of corrupted copies over which the error of a row is averaged.
pub const COPIES: usize = 16;

/// The corruption of each copy as an affine map of each value, `x~ = factor * x + offset`, and which values stay
/// visible; each `[copies, d_input]`.
pub(super) struct Copies {
    pub(super) factor: Tensor<2>,
    pub(super) offset: Tensor<2>,
    pub(super) visible: Option<Tensor<2>>,
    pub(super) count: usize,
}

impl Copies {
    /// Every corruption is affine in each value once its noise is drawn, so that two inputs determine it.
    pub(super) fn draw(corruption: &Corruption, layout: &Layout, seed: u64, device: &Device) -> Option<Self> {
        if corruption.is_none() {
            return None;
        }
        let zeros = Tensor::<2>::zeros([COPIES, layout.width()], device);
        let apply = |x: Tensor<2>| ae_kernels::seeded(seed, device, || corruption.apply(x, None, Some(layout)));
        let offset = apply(zeros.clone());
        let factor = apply(zeros.ones_like()).x - offset.x.clone();
        Some(Self { factor, offset: offset.x, visible: offset.visible, count: COPIES })
    }
}

#[cfg(test)]
mod tests {
    use ae_model::{
        Inputs,
        corruption::{CorruptionConfig, GaussianConfig, Masking, SaltAndPepper},
    };

    use super::*;

    #[test]
    fn copies_equal_the_corrupted_row() {
        let device = Device::default();
        let corruption = CorruptionConfig::from(GaussianConfig::new(0.5))
            .with(SaltAndPepper { rate: 0.3, ..SaltAndPepper::default() })
            .with(Masking { rate: 0.4, rate_max: 0.0 });
        // A number, a boolean and a category of three levels.
        let layout = Layout { numbers: 1, booleans: 1, categories: vec![3] };
        let corruption = corruption.init(&Inputs::real(5));
        let copies = Copies::draw(&corruption, &layout, 7, &device).unwrap();
        let x = Tensor::<2>::from_floats([[-2.0, 1.0, 0.0, 0.0, 1.0]], &device).repeat_dim(0, COPIES);
        let direct = ae_kernels::seeded(7, &device, || corruption.apply(x.clone(), None, Some(&layout)));
        let difference = (x * copies.factor + copies.offset - direct.x).abs().max().into_scalar::<f32>();
        assert!(difference < 1e-5, "{difference}");
        copies.visible.unwrap().into_data().assert_eq(&direct.visible.unwrap().into_data(), true);
    }
}
