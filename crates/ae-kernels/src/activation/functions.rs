//! The functions and slopes of the activations, for a single value.

use crate::math;

/// An activation, and its backward pass.
pub(super) trait Function: Copy {
    fn value(self, z: f32) -> f32;
    /// `gradient * phi'`, where `kept` is what the forward pass kept: the value of `phi`, or its slope.
    fn backward(self, gradient: f32, kept: f32) -> f32;
}

/// An activation whose slope follows from its value; the value is kept.
pub(super) trait SlopeFromValue: Function {
    /// `phi'` and its derivative by the value `y`, as functions of `y`.
    fn slope(self, y: f32) -> (f32, f32);
}

/// An activation whose slope is kept.
pub(super) trait SlopeKept: Function {
    /// `phi` and `phi'`.
    fn both(self, z: f32) -> (f32, f32);
}

/// Declares a [`Function`] that is [`SlopeFromValue`]. Its methods are always inlined.
macro_rules! slope_from_value {
    (
        $name:ident $(($field:ident))?, |$z:ident| $value:expr, |$gradient:ident, $y:ident| $backward:expr,
        |$at:ident| $slope:expr
    ) => {
        #[derive(Clone, Copy)]
        pub(super) struct $name $((pub(super) slope_from_value!(@type $field)))?;

        impl Function for $name {
            #[inline(always)]
            fn value(self, $z: f32) -> f32 {
                $(let Self($field) = self;)?
                $value
            }

            #[inline(always)]
            fn backward(self, $gradient: f32, $y: f32) -> f32 {
                $(let Self($field) = self;)?
                $backward
            }
        }

        impl SlopeFromValue for $name {
            #[inline(always)]
            fn slope(self, $at: f32) -> (f32, f32) {
                $(let Self($field) = self;)?
                $slope
            }
        }
    };
    (@type $field:ident) => { f32 };
}

slope_from_value!(Identity, |z| z, |gradient, _y| gradient, |_y| (1.0, 0.0));

// NaN stays NaN, as in Burn.
slope_from_value!(
    Relu,
    |z| if z < 0.0 { 0.0 } else { z },
    |gradient, y| if y <= 0.0 { 0.0 } else { gradient },
    |y| if y <= 0.0 { (0.0, 0.0) } else { (1.0, 0.0) }
);

slope_from_value!(
    LeakyRelu(below),
    |z| if z < 0.0 { z * below } else { z },
    |gradient, y| if y < 0.0 { gradient * below } else { gradient },
    |y| if y < 0.0 { (below, 0.0) } else { (1.0, 0.0) }
);

slope_from_value!(
    Elu,
    |z| {
        let below = math::exp_m1_below(if z > 0.0 { 0.0 } else { z });
        if z > 0.0 { z } else { below }
    },
    |gradient, y| if y > 0.0 { gradient } else { gradient * (y + 1.0) },
    |y| if y > 0.0 { (1.0, 0.0) } else { (y + 1.0, 1.0) }
);

slope_from_value!(Tanh, |z| math::tanh(z), |gradient, y| gradient * math::fma(-y, y, 1.0), |y| (
    math::fma(-y, y, 1.0),
    -2.0 * y
));

slope_from_value!(Sigmoid, |z| math::sigmoid(z), |gradient, y| gradient * math::fma(-y, y, y), |y| (
    math::fma(-y, y, y),
    math::fma(-2.0, y, 1.0)
));

slope_from_value!(
    Softplus,
    |z| math::ln_1p_exp(-z.abs()) + if z < 0.0 { 0.0 } else { z },
    // 1 - e^-y is the sigmoid of z.
    |gradient, y| gradient * -math::exp_m1_below(-y),
    |y| {
        let slope = -math::exp_m1_below(-y);
        (slope, 1.0 - slope)
    }
);

/// Declares a [`Function`] that is [`SlopeKept`].
macro_rules! slope_kept {
    ($name:ident, |$z:ident| $value:expr, |$at:ident| $both:expr) => {
        #[derive(Clone, Copy)]
        pub(super) struct $name;

        impl Function for $name {
            #[inline(always)]
            fn value(self, $z: f32) -> f32 {
                $value
            }

            #[inline(always)]
            fn backward(self, gradient: f32, slope: f32) -> f32 {
                gradient * slope
            }
        }

        impl SlopeKept for $name {
            #[inline(always)]
            fn both(self, $at: f32) -> (f32, f32) {
                $both
            }
        }
    };
}

slope_kept!(Gelu, |z| z * math::normal(z).0, |z| {
    let (distribution, density) = math::normal(z);
    (z * distribution, math::fma(z, density, distribution))
});

slope_kept!(Silu, |z| z * math::sigmoid(z), |z| {
    let s = math::sigmoid(z);
    let y = z * s;
    (y, math::fma(y, 1.0 - s, s))
});
