use burn::tensor::Tensor;

use super::*;
use crate::units;

#[test]
fn statistics_of_units() {
    let device = seeded(12).inner();
    for shape in [[1, 1], [5, 3], [33, 70], [257, 513]] {
        let code: Tensor<2> = random(shape, &device);
        for bounds in [[None, None], [Some(-0.5), None], [Some(-0.5), Some(0.75)]] {
            let (ours, burn) =
                (units(&code, 0.3, bounds).unwrap(), crate::burn_ops::units(&code, 0.3, bounds).unwrap());
            assert_eq!(
                (ours.active, ours.saturated, &ours.peak),
                (burn.active, burn.saturated, &burn.peak),
                "{shape:?} {bounds:?}"
            );
            assert!((ours.size - burn.size).abs() <= 1e-5 * burn.size, "{} and {} by Burn", ours.size, burn.size);
        }
    }
    let code = Tensor::<2>::from_floats([[0.0, f32::NAN, -1e30], [f32::INFINITY, 1e-30, -0.0]], &device);
    let ours = units(&code, 1e-6, [Some(-1.0), Some(1.0)]).unwrap();
    assert_eq!((ours.active, ours.saturated), (2.0, 2.0));
    assert!(ours.size.is_nan(), "a sum hides NaN");
}
