//! `exp` and functions based on it, as straight-line code that the compiler vectorizes.
//!
//! Polynomials and range reductions follow Cephes (Moshier), with errors of 1 to 3 units in the last place over the
//! whole range. NaN is propagated.

/// `a b + c`, rounded once.
#[inline(always)]
pub(crate) fn fma(a: f32, b: f32, c: f32) -> f32 {
    a.mul_add(b, c)
}

/// Above this bound `exp` is infinite.
const EXP_MAX: f32 = 88.72;
/// Below this bound `exp` returns its value at the bound, twice the smallest normal number.
const EXP_MIN: f32 = -86.6;
/// Adding this constant rounds a number to an integer, which is then in the lowest bits.
const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23

/// The range reduction `x = n ln 2 + r` with `|r| <= ln 2 / 2`. Returns a number with `n` in its lowest bits, `r`, and
/// `p` of `e^r = 1 + r + p r^2`.
#[inline(always)]
fn reduced(x: f32) -> (f32, f32, f32) {
    let shifted = fma(x, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = fma(n, -0.693_359_4, x);
    let r = fma(n, 2.121_944_4e-4, r);
    let p = fma(r, 1.987_569_1e-4, 1.398_199_9e-3);
    let p = fma(p, r, 8.333_452e-3);
    let p = fma(p, r, 4.166_579_6e-2);
    let p = fma(p, r, 1.666_666_5e-1);
    (shifted, r, fma(p, r, 5e-1))
}

/// `e^x`; infinite above 88.72, and never below 2.4e-38.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // Written so that NaN fails every comparison and is kept.
    let bounded = if x < EXP_MIN { EXP_MIN } else { x };
    let bounded = if bounded > EXP_MAX { EXP_MAX } else { bounded };
    let (shifted, r, p) = reduced(bounded);
    let y = fma(p * r, r, r + 1.0);
    // 2^n as two factors, since 2^128 is not finite.
    let half = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f00_0000));
    let y = y * half * 2.0;
    if x > EXP_MAX { f32::INFINITY } else { y }
}

/// `e^x - 1` for `x <= 0`, accurate to a few units in the last place even near 0.
#[inline(always)]
pub(crate) fn exp_m1_below(x: f32) -> f32 {
    let bounded = if x < EXP_MIN { EXP_MIN } else { x };
    let (shifted, r, p) = reduced(bounded);
    // 2^n (e^r - 1) + (2^n - 1): for small x, n is 0 and no digits are lost.
    let y = fma(p * r, r, r);
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    fma(y, power, power - 1.0)
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// `ln(1 + e^x)` for `x <= 0`.
#[inline(always)]
pub(crate) fn ln_1p_exp(x: f32) -> f32 {
    // ln(1 + e) = 2 atanh(s) with s = e / (2 + e), at most 1/3: the series is accurate for small e.
    let e = exp(x);
    let s = e / (2.0 + e);
    let z = s * s;
    let p = fma(z, 1.0 / 15.0, 1.0 / 13.0);
    let p = fma(p, z, 1.0 / 11.0);
    let p = fma(p, z, 1.0 / 9.0);
    let p = fma(p, z, 1.0 / 7.0);
    let p = fma(p, z, 1.0 / 5.0);
    let p = fma(p, z, 1.0 / 3.0);
    2.0 * fma(p * z, s, s)
}

/// Beyond this bound the tail of the normal distribution, less than 3e-39, is rounded to 0.
const NORMAL_MAX: f32 = 13.1;

/// Distribution function and density of the standard normal distribution at `x`, both accurate to a few units in the
/// last place in either tail.
#[inline(always)]
pub(crate) fn normal(x: f32) -> (f32, f32) {
    let size = x.abs();
    let bounded = if size > NORMAL_MAX { NORMAL_MAX } else { size };
    let square = bounded * bounded;
    let e = exp(-0.5 * square);
    // Corrects for the rounding of the square: in an exponent it becomes a relative error of the result.
    let e = fma(-0.5 * e, fma(bounded, bounded, -square), e);
    let e = if size > NORMAL_MAX { 0.0 } else { e };
    // The tail is e^(-x^2/2) times a function without exponential growth: a polynomial in t = 1 / (1 + c |x|),
    // interpolated at Chebyshev points between 0 and the bound, with a relative error of 6.4e-8.
    let t = 1.0 / fma(bounded, 0.34, 1.0);
    let p = fma(t, -0.027_873_195, 0.147_664_59);
    let p = fma(p, t, -0.289_211_63);
    let p = fma(p, t, 0.219_603_1);
    let p = fma(p, t, -0.056_033_9);
    let p = fma(p, t, 0.119_854_41);
    let p = fma(p, t, 0.114_134_83);
    let p = fma(p, t, 0.136_248_54);
    let p = fma(p, t, 0.135_613_25);
    let tail = p * t * e;
    (if x < 0.0 { tail } else { 1.0 - tail }, e * 0.398_942_3)
}

/// Hyperbolic tangent.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    let z = x * x;
    let p = fma(z, -5.704_988_7e-3, 2.063_909e-2);
    let p = fma(p, z, -5.373_971_5e-2);
    let p = fma(p, z, 1.333_144_1e-1);
    let p = fma(p, z, -3.333_328e-1);
    let near = fma(p * z, x, x);
    let size = x.abs();
    let far = (1.0 - 2.0 / (exp(2.0 * size) + 1.0)).copysign(x);
    if size < 0.625 { near } else { far }
}

/// `ln x` for normal positive `x`.
#[inline(always)]
pub(crate) fn ln(x: f32) -> f32 {
    let bits = x.to_bits();
    // Mantissa in [sqrt(1/2), sqrt(2)).
    let shifted = bits.wrapping_sub(0x3f35_04f3);
    let exponent = ((shifted as i32) >> 23) as f32;
    let m = f32::from_bits((shifted & 0x007f_ffff).wrapping_add(0x3f35_04f3)) - 1.0;
    let z = m * m;
    let p = fma(m, 7.037_683_6e-2, -1.151_461e-1);
    let p = fma(p, m, 1.167_699_9e-1);
    let p = fma(p, m, -1.242_014_1e-1);
    let p = fma(p, m, 1.424_932_3e-1);
    let p = fma(p, m, -1.666_805_8e-1);
    let p = fma(p, m, 2.000_071_5e-1);
    let p = fma(p, m, -2.499_999_4e-1);
    let p = fma(p, m, 0.333_333_3);
    let y = p * m * z;
    let y = fma(exponent, -2.121_944_4e-4, y);
    let y = fma(-0.5, z, y);
    fma(exponent, 0.693_359_4, m + y)
}

/// `(sin, cos)` of `2 pi t` for `t` in `[0, 1)`.
#[inline(always)]
pub(crate) fn sin_cos_turns(t: f32) -> (f32, f32) {
    // The angle to the nearest quarter turn is at most pi/4.
    let shifted = fma(t, 4.0, ROUND);
    let quarter = shifted.to_bits() & 3;
    let r = (fma(t, 4.0, -(shifted - ROUND))) * std::f32::consts::FRAC_PI_2;
    let z = r * r;
    let s = fma(z, -1.951_529_6e-4, 8.332_161e-3);
    let s = fma(s, z, -1.666_665_5e-1);
    let s = fma(s * z, r, r);
    let c = fma(z, 2.443_315_7e-5, -1.388_731_6e-3);
    let c = fma(c, z, 4.166_664_6e-2);
    let c = fma(c * z, z, fma(-0.5, z, 1.0));
    let (sin, cos) = if quarter & 1 == 1 { (c, s) } else { (s, c) };
    let sin = f32::from_bits(sin.to_bits() ^ ((quarter & 2) << 30));
    let cos = f32::from_bits(cos.to_bits() ^ (((quarter + 1) & 2) << 30));
    (sin, cos)
}

/// `sum += factor * row`.
#[inline(always)]
pub(crate) fn add_scaled(sum: &mut [f32], factor: f32, row: &[f32]) {
    for (sum, value) in sum.iter_mut().zip(row) {
        *sum = fma(factor, *value, *sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Largest relative error of `ours` against `exact` (in double precision) over `points`.
    fn relative(points: impl Iterator<Item = f32>, ours: fn(f32) -> f32, exact: fn(f64) -> f64) -> f64 {
        points.map(|x| ((f64::from(ours(x)) - exact(f64::from(x))) / exact(f64::from(x))).abs()).fold(0.0, f64::max)
    }

    fn range(from: f32, to: f32) -> impl Iterator<Item = f32> {
        (0..=200_000).map(move |i| from + (to - from) * i as f32 / 200_000.0).filter(|&x| x != 0.0)
    }

    #[test]
    fn errors_are_a_few_units_in_the_last_place() {
        let unit = f64::from(f32::EPSILON);
        assert!(relative(range(-86.5, 88.5), exp, f64::exp) < 2.0 * unit);
        assert!(relative(range(-86.5, 0.0), exp_m1_below, f64::exp_m1) < 2.0 * unit);
        assert!(relative((0..200).map(|i| -(0.9f32.powi(i))), exp_m1_below, f64::exp_m1) < unit, "next to 0");
        assert!(relative(range(-80.0, 80.0), sigmoid, |x| 1.0 / (1.0 + (-x).exp())) < 3.0 * unit);
        assert!(relative(range(-80.0, 0.0), ln_1p_exp, |x| x.exp().ln_1p()) < 3.0 * unit);
        assert!(relative(range(-12.0, 12.0), tanh, f64::tanh) < 4.0 * unit);
        assert!(relative(range(1e-6, 0.9), ln, f64::ln) < 4.0 * unit);
        assert!(
            relative(range(-13.0, 13.0), |x| normal(x).1, |x| (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt())
                < 4.0 * unit
        );
        // The upper tail is 1 minus the lower one, which the asymptotic series gives below -8.
        let below = |x: f64| (-0.5 * x * x).exp() / (-x * std::f64::consts::TAU.sqrt());
        let series = |x: f64| {
            below(x)
                * (1.0 - 1.0 / (x * x) + 3.0 / x.powi(4) - 15.0 / x.powi(6) + 105.0 / x.powi(8) - 945.0 / x.powi(10))
        };
        for x in range(-13.0, -8.0) {
            let exact = series(f64::from(x));
            assert!(
                (f64::from(normal(x).0) / exact - 1.0).abs() < 2e-6 && normal(-x).0 == 1.0,
                "{x}: {}, not {exact}",
                normal(x).0
            );
        }
        // Tabulated values: Phi(-1), Phi(-2), Phi(-4), Phi(-6).
        let table = [
            (0.0f32, 0.5),
            (-1.0, 0.158_655_253_931),
            (-2.0, 0.022_750_131_948),
            (-4.0, 3.167_124_183_3e-5),
            (-6.0, 9.865_876_450_4e-10),
        ];
        for (x, exact) in table {
            assert!((f64::from(normal(x).0) / exact - 1.0).abs() < 4.0 * unit, "{x}: {}, not {exact}", normal(x).0);
        }
        for t in range(0.0, 1.0).filter(|&t| t < 1.0) {
            let (sin, cos) = sin_cos_turns(t);
            let (s, c) = (f64::from(t) * std::f64::consts::TAU).sin_cos();
            assert!(
                (f64::from(sin) - s).abs() < 2e-7 && (f64::from(cos) - c).abs() < 2e-7,
                "{t}: {sin} {cos}, not {s} {c}"
            );
        }
    }

    #[test]
    fn extreme_inputs_have_the_limit_values() {
        assert_eq!(exp(f32::INFINITY), f32::INFINITY);
        assert_eq!(exp(100.0), f32::INFINITY);
        assert!(exp(f32::NEG_INFINITY) < 2.5e-38 && exp(f32::NEG_INFINITY) >= 0.0);
        assert_eq!((sigmoid(f32::INFINITY), sigmoid(1e4)), (1.0, 1.0));
        assert!(sigmoid(-1e4) < 1e-37 && sigmoid(f32::NEG_INFINITY) < 1e-37);
        assert_eq!((tanh(1e4), tanh(-1e4), tanh(0.0)), (1.0, -1.0, 0.0));
        assert_eq!((exp_m1_below(0.0), exp_m1_below(-1e4), exp_m1_below(f32::NEG_INFINITY)), (0.0, -1.0, -1.0));
        assert_eq!((normal(1e30), normal(-1e30), normal(f32::NEG_INFINITY)), ((1.0, 0.0), (0.0, 0.0), (0.0, 0.0)));
        assert!(exp_m1_below(f32::NAN).is_nan() && normal(f32::NAN).0.is_nan() && normal(f32::NAN).1.is_nan());
        assert!(exp(f32::NAN).is_nan() && sigmoid(f32::NAN).is_nan() && tanh(f32::NAN).is_nan());
    }
}
