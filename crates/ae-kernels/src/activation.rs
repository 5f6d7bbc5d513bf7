//! Activations, and what of them the backward pass reads.
//!
//! The slope of most follows from the value, so that the result is all that is kept. GELU and SiLU fall before they
//! rise: two places have the same value, and the slope itself is kept, which the forward pass has nearly computed
//! already. Either way one buffer is read on the way back.

use burn::{
    backend::{
        Flex,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::NoCheckpointing},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        flex::FlexTensor,
    },
    tensor::Tensor,
};

use crate::{
    Activation, buffer,
    cpu::{self, Operand},
    math,
    simd::vectorised,
    threads,
};

/// Names of a GPU's operations with an activation, one for each: fusion remembers what it decided by the name.
#[cfg(feature = "gpu")]
macro_rules! names {
    ($($(#[$doc:meta])* $function:ident: $name:literal;)*) => {
        impl Activation {
            $($(#[$doc])*
            pub(crate) fn $function(self) -> &'static str {
                match self {
                    Self::Identity => concat!($name, "_identity"),
                    Self::Relu => concat!($name, "_relu"),
                    Self::LeakyRelu(_) => concat!($name, "_leaky_relu"),
                    Self::Elu => concat!($name, "_elu"),
                    Self::Tanh => concat!($name, "_tanh"),
                    Self::Sigmoid => concat!($name, "_sigmoid"),
                    Self::Softplus => concat!($name, "_softplus"),
                    Self::Gelu => concat!($name, "_gelu"),
                    Self::Silu => concat!($name, "_silu"),
                }
            })*
        }
    };
}

#[cfg(feature = "gpu")]
names! {
    /// Bias and activation of a layer.
    layer_name: "ae_layer";
    /// The gradient before them, and its sums.
    layer_gradient_name: "ae_layer_gradient";
    /// The squared norm of a layer's derivative.
    contraction_name: "ae_contraction";
    /// Its gradient.
    contraction_gradient_name: "ae_contraction_gradient";
}

/// An activation's function, and what makes of a gradient after it the gradient before it.
trait Function: Copy {
    fn value(self, z: f32) -> f32;
    /// `gradient * phi'`, where `kept` is what was kept of the forward pass: the value of `phi`, or its slope.
    fn pull(self, gradient: f32, kept: f32) -> f32;
}

/// One whose slope follows from its value, which is what is kept.
trait OfValue: Function {
    /// `phi'` and its derivative by the value `y`.
    fn slope(self, y: f32) -> (f32, f32);
}

/// One whose slope is kept.
trait Sloped: Function {
    /// `phi` and `phi'`.
    fn both(self, z: f32) -> (f32, f32);
}

/// Declares a [`Function`] [`OfValue`], which is inlined whatever the compiler thinks of its length.
macro_rules! function {
    ($name:ident $(($field:ident))?, |$z:ident| $value:expr, |$gradient:ident, $y:ident| $pull:expr, |$at:ident| $slope:expr) => {
        #[derive(Clone, Copy)]
        struct $name $((function!(@type $field)))?;

        impl Function for $name {
            #[inline(always)]
            fn value(self, $z: f32) -> f32 {
                $(let Self($field) = self;)?
                $value
            }

            #[inline(always)]
            fn pull(self, $gradient: f32, $y: f32) -> f32 {
                $(let Self($field) = self;)?
                $pull
            }
        }

        impl OfValue for $name {
            #[inline(always)]
            fn slope(self, $at: f32) -> (f32, f32) {
                $(let Self($field) = self;)?
                $slope
            }
        }
    };
    (@type $field:ident) => { f32 };
}

function!(Identity, |z| z, |gradient, _y| gradient, |_y| (1.0, 0.0));
// NaN stays NaN, as in Burn.
function!(
    Relu,
    |z| if z < 0.0 { 0.0 } else { z },
    |gradient, y| if y <= 0.0 { 0.0 } else { gradient },
    |y| if y <= 0.0 { (0.0, 0.0) } else { (1.0, 0.0) }
);
function!(
    LeakyRelu(below),
    |z| if z < 0.0 { z * below } else { z },
    |gradient, y| if y < 0.0 { gradient * below } else { gradient },
    |y| if y < 0.0 { (below, 0.0) } else { (1.0, 0.0) }
);
function!(
    Elu,
    |z| {
        let below = math::exp_m1_below(if z > 0.0 { 0.0 } else { z });
        if z > 0.0 { z } else { below }
    },
    |gradient, y| if y > 0.0 { gradient } else { gradient * (y + 1.0) },
    |y| if y > 0.0 { (1.0, 0.0) } else { (y + 1.0, 1.0) }
);
function!(Tanh, |z| math::tanh(z), |gradient, y| gradient * math::fma(-y, y, 1.0), |y| (
    math::fma(-y, y, 1.0),
    -2.0 * y
));
function!(Sigmoid, |z| math::sigmoid(z), |gradient, y| gradient * math::fma(-y, y, y), |y| (
    math::fma(-y, y, y),
    math::fma(-2.0, y, 1.0)
));
function!(
    Softplus,
    |z| math::ln_1p_exp(-z.abs()) + if z < 0.0 { 0.0 } else { z },
    // 1 - e^-y is the sigmoid of z.
    |gradient, y| gradient * -math::exp_m1_below(-y),
    |y| {
        let slope = -math::exp_m1_below(-y);
        (slope, 1.0 - slope)
    }
);

/// Declares a [`Function`] that is [`Sloped`].
macro_rules! sloped {
    ($name:ident, |$z:ident| $value:expr, |$at:ident| $both:expr) => {
        #[derive(Clone, Copy)]
        struct $name;

        impl Function for $name {
            #[inline(always)]
            fn value(self, $z: f32) -> f32 {
                $value
            }

            #[inline(always)]
            fn pull(self, gradient: f32, slope: f32) -> f32 {
                gradient * slope
            }
        }

        impl Sloped for $name {
            #[inline(always)]
            fn both(self, $at: f32) -> (f32, f32) {
                $both
            }
        }
    };
}

sloped!(Gelu, |z| z * math::normal(z).0, |z| {
    let (distribution, density) = math::normal(z);
    (z * distribution, math::fma(z, density, distribution))
});
sloped!(Silu, |z| z * math::sigmoid(z), |z| {
    let s = math::sigmoid(z);
    let y = z * s;
    (y, math::fma(y, 1.0 - s, s))
});

/// Runs `$work` with `$function` bound to the activation's [`Function`].
macro_rules! with_function {
    ($activation:expr, |$function:ident| $work:expr) => {
        match $activation {
            Activation::Gelu => {
                let $function = Gelu;
                $work
            }
            Activation::Silu => {
                let $function = Silu;
                $work
            }
            activation => with_value!(activation, |$function| $work),
        }
    };
}

/// The same where the slope is kept.
macro_rules! with_sloped {
    ($activation:expr, |$function:ident| $work:expr) => {
        match $activation {
            Activation::Gelu => {
                let $function = Gelu;
                $work
            }
            Activation::Silu => {
                let $function = Silu;
                $work
            }
            _ => unreachable!("its value says its slope"),
        }
    };
}

/// The same where the value is kept.
macro_rules! with_value {
    ($activation:expr, |$function:ident| $work:expr) => {
        match $activation {
            Activation::Identity => {
                let $function = Identity;
                $work
            }
            Activation::Relu => {
                let $function = Relu;
                $work
            }
            Activation::LeakyRelu(below) => {
                assert!(below > 0.0, "a leaky slope of {below}, which has to be positive");
                let $function = LeakyRelu(below as f32);
                $work
            }
            Activation::Elu => {
                let $function = Elu;
                $work
            }
            Activation::Tanh => {
                let $function = Tanh;
                $work
            }
            Activation::Sigmoid => {
                let $function = Sigmoid;
                $work
            }
            Activation::Softplus => {
                let $function = Softplus;
                $work
            }
            Activation::Gelu | Activation::Silu => unreachable!("its value does not say its slope"),
        }
    };
}

vectorised! {
    fn apply<F: Function>(function: F, z: &mut [f32], bias: f32) {
        for z in z {
            *z = function.value(*z + bias);
        }
    }

    fn apply_biased<F: Function>(function: F, rows: &mut [f32], bias: &[f32]) {
        for row in rows.chunks_exact_mut(bias.len()) {
            for (z, b) in row.iter_mut().zip(bias) {
                *z = function.value(*z + b);
            }
        }
    }

    /// [`apply`], with the slopes in a buffer of their own.
    fn apply_sloped<F: Sloped>(function: F, z: &mut [f32], bias: f32, slopes: &mut [f32]) {
        for (z, slope) in z.iter_mut().zip(slopes) {
            (*z, *slope) = function.both(*z + bias);
        }
    }

    fn apply_biased_sloped<F: Sloped>(function: F, rows: &mut [f32], bias: &[f32], slopes: &mut [f32]) {
        for (row, slopes) in rows.chunks_exact_mut(bias.len()).zip(slopes.chunks_exact_mut(bias.len())) {
            for ((z, slope), b) in row.iter_mut().zip(slopes).zip(bias) {
                (*z, *slope) = function.both(*z + b);
            }
        }
    }

    /// `z` becomes the value, `t` its tangent.
    fn push_forward<F: Sloped>(function: F, z: &mut [f32], t: &mut [f32]) {
        for (z, t) in z.iter_mut().zip(t) {
            let (y, slope) = function.both(*z);
            (*z, *t) = (y, *t * slope);
        }
    }

    fn pull_back<F: Function>(function: F, gradient: &mut [f32], kept: &[f32]) {
        for (g, kept) in gradient.iter_mut().zip(kept) {
            *g = function.pull(*g, *kept);
        }
    }

    fn pull_back_rows<F: Function>(function: F, gradient: &mut [f32], kept: &[f32], sums: &mut [f32]) -> usize {
        let mut active = 0;
        for (row, kept) in gradient.chunks_exact_mut(sums.len()).zip(kept.chunks_exact(sums.len())) {
            // Wrapping, though a row is never so long: a check at each number would keep a debug build from being
            // vectorised.
            let mut count = 0u32;
            for ((g, kept), sum) in row.iter_mut().zip(kept).zip(sums.iter_mut()) {
                *g = function.pull(*g, *kept);
                *sum += *g;
                count = count.wrapping_add(u32::from(*g != 0.0));
            }
            active += count as usize;
        }
        active
    }

    /// `sum_j phi'(y_j)^2 factors_j`, in sixteen partial sums.
    fn squared_slopes<F: OfValue>(function: F, y: &[f32], factors: &[f32]) -> f32 {
        let mut sums = [0.0f32; 16];
        let mut add = |lane: usize, y: f32, factor: f32| {
            let (slope, _) = function.slope(y);
            sums[lane] = math::fma(slope * slope, factor, sums[lane]);
        };
        let ((blocks, rest), (factors, factors_rest)) = (y.as_chunks::<16>(), factors.as_chunks::<16>());
        for (block, factors) in blocks.iter().zip(factors) {
            for lane in 0..16 {
                add(lane, block[lane], factors[lane]);
            }
        }
        for (lane, (y, factor)) in rest.iter().zip(factors_rest).enumerate() {
            add(lane, *y, *factor);
        }
        sums.iter().sum()
    }

    /// The gradient of `gradient` times that by `y`, in `dy`; that by the factors is added to `totals`.
    fn squared_slopes_gradient<F: OfValue>(function: F, y: &[f32], factors: &[f32], gradient: f32, dy: &mut [f32], totals: &mut [f32]) {
        for ((y, factor), (dy, total)) in y.iter().zip(factors).zip(dy.iter_mut().zip(totals.iter_mut())) {
            let (slope, change) = function.slope(*y);
            *dy = 2.0 * gradient * *factor * slope * change;
            *total = math::fma(gradient * slope, slope, *total);
        }
    }

    /// Sums of the columns of `rows`, added to `sums`; gives how many numbers are not 0.
    pub(crate) fn sum_rows(rows: &[f32], sums: &mut [f32]) -> usize {
        let mut active = 0;
        for row in rows.chunks_exact(sums.len()) {
            let mut count = 0u32;
            for (value, sum) in row.iter().zip(sums.iter_mut()) {
                *sum += *value;
                count = count.wrapping_add(u32::from(*value != 0.0));
            }
            active += count as usize;
        }
        active
    }
}

impl Activation {
    /// Whether the backward pass reads slopes of the forward pass, not values. Such an activation is no function of
    /// growing values either, and what is said of a layer by its values alone (the largest ones, its derivative) cannot
    /// be said of this one.
    pub(crate) fn keeps_slopes(self) -> bool {
        matches!(self, Self::Gelu | Self::Silu)
    }

    /// `z = phi(z)`.
    pub(crate) fn apply(self, z: &mut [f32]) {
        self.apply_shifted(z, 0.0);
    }

    /// `z = phi(z + bias)`.
    pub(crate) fn apply_shifted(self, z: &mut [f32], bias: f32) {
        with_function!(self, |function| apply(function, z, bias));
    }

    /// `z = phi(z + bias)` in every row.
    pub(crate) fn apply_biased(self, rows: &mut [f32], bias: &[f32]) {
        if !bias.is_empty() {
            with_function!(self, |function| apply_biased(function, rows, bias));
        }
    }

    /// `z = phi(z + bias)`, and `phi'(z + bias)` in `slopes` where slopes are kept.
    pub(crate) fn apply_shifted_keeping(self, z: &mut [f32], bias: f32, slopes: Option<&mut [f32]>) {
        match slopes {
            Some(slopes) => with_sloped!(self, |function| apply_sloped(function, z, bias, slopes)),
            None => self.apply_shifted(z, bias),
        }
    }

    /// The same in every row, with a bias for each column.
    pub(crate) fn apply_biased_keeping(self, rows: &mut [f32], bias: &[f32], slopes: Option<&mut [f32]>) {
        match slopes {
            Some(slopes) if !bias.is_empty() => {
                with_sloped!(self, |function| apply_biased_sloped(function, rows, bias, slopes))
            }
            _ => self.apply_biased(rows, bias),
        }
    }

    /// `z` becomes `phi(z)`, and `t` becomes `phi'(z) t`.
    fn push_forward(self, z: &mut [f32], t: &mut [f32]) {
        if self.keeps_slopes() {
            with_sloped!(self, |function| push_forward(function, z, t));
        } else {
            self.apply(z);
            self.pull_back(t, z);
        }
    }

    /// `sum_j phi'(y_j)^2 factors_j`.
    pub(crate) fn squared_slopes(self, y: &[f32], factors: &[f32]) -> f32 {
        with_value!(self, |function| squared_slopes(function, y, factors))
    }

    /// The gradient of `gradient` times that by `y`, in `dy`; that by the factors is added to `totals`.
    pub(crate) fn squared_slopes_gradient(
        self,
        y: &[f32],
        factors: &[f32],
        gradient: f32,
        dy: &mut [f32],
        totals: &mut [f32],
    ) {
        with_value!(self, |function| squared_slopes_gradient(function, y, factors, gradient, dy, totals));
    }

    /// `gradient *= phi'`, where `kept` holds the values of `phi`, or its slopes where those are kept.
    pub(crate) fn pull_back(self, gradient: &mut [f32], kept: &[f32]) {
        with_function!(self, |function| pull_back(function, gradient, kept));
    }

    /// `gradient *= phi'` in every row, its columns summed into `sums`; gives how many numbers are left that are not 0.
    pub(crate) fn pull_back_rows(self, gradient: &mut [f32], kept: &[f32], sums: &mut [f32]) -> usize {
        with_function!(self, |function| pull_back_rows(function, gradient, kept, sums))
    }
}

/// `phi(z)`, element by element.
pub fn activate<const D: usize>(activation: Activation, z: Tensor<D>) -> Tensor<D> {
    if activation == Activation::Identity {
        return z;
    }
    let Some(operand) = Operand::new(&z) else { return activation.by_burn(z) };
    drop(z);
    let context = cpu::context([&operand]);
    if !operand.is_autodiff() {
        return cpu::plain(forward(operand.into_primitive(), activation, false).0);
    }
    let (z, node) = operand.tracked().into_parts();
    let prepared = Step { activation }.prepare::<NoCheckpointing>([node]).compute_bound().stateful();
    let y = match prepared {
        OpsKind::Tracked(step) => {
            let (y, slopes) = forward(z, activation, true);
            step.finish(slopes.unwrap_or_else(|| y.clone()), y)
        }
        OpsKind::UnTracked(step) => step.finish(forward(z, activation, false).0),
    };
    cpu::wrap(y, context)
}

/// The values, and the slopes if those are kept and asked for.
fn forward(z: FlexTensor, activation: Activation, keep: bool) -> (FlexTensor, Option<FlexTensor>) {
    let z = cpu::in_order(z);
    let shape = z.layout().shape().clone();
    let mut values = cpu::into_vec(z);
    let length = values.len().div_ceil(threads::parts(4 * values.len())).max(1);
    if !(keep && activation.keeps_slopes()) {
        threads::for_each_part(values.chunks_mut(length).collect(), |part| activation.apply(part));
        return (cpu::primitive(values, shape), None);
    }
    let mut slopes = buffer::numbers(values.len());
    let parts = values.chunks_mut(length).zip(slopes.chunks_mut(length)).collect();
    threads::for_each_part(parts, |(values, slopes): (&mut [f32], &mut [f32])| {
        activation.apply_shifted_keeping(values, 0.0, Some(slopes));
    });
    (cpu::primitive(values, shape.clone()), Some(cpu::primitive(slopes, shape)))
}

/// `(phi(z), phi'(z) * t)`, element by element. None where there is no kernel for the tensors, or a gradient flows into
/// one of them.
pub fn jvp<const D: usize>(activation: Activation, z: &Tensor<D>, t: &Tensor<D>) -> Option<(Tensor<D>, Tensor<D>)> {
    let (z, t) = (Operand::new(z)?, Operand::new(t)?);
    if z.is_autodiff() || t.is_autodiff() || z.primitive().layout().shape() != t.primitive().layout().shape() {
        return None;
    }
    let shape = z.primitive().layout().shape().clone();
    let [mut y, mut t] = [z, t].map(|operand| cpu::into_vec(cpu::in_order(operand.into_primitive())));
    let length = y.len().div_ceil(threads::parts(4 * y.len())).max(1);
    let parts = y.chunks_mut(length).zip(t.chunks_mut(length)).collect();
    threads::for_each_part(parts, |(y, t)| {
        activation.push_forward(y, t);
    });
    Some((cpu::plain(cpu::primitive(y, shape.clone())), cpu::plain(cpu::primitive(t, shape))))
}

#[derive(Debug)]
struct Step {
    activation: Activation,
}

impl Backward<Flex, 1> for Step {
    type State = FlexTensor;

    fn backward(self, ops: Ops<FlexTensor, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = cpu::in_order(gradients.consume::<Flex>(&ops.node));
        let [Some(parent)] = ops.parents else { return };
        let shape = gradient.layout().shape().clone();
        let mut gradient = cpu::into_vec(gradient);
        let kept = cpu::numbers(&ops.state);
        let length = gradient.len().div_ceil(threads::parts(gradient.len())).max(1);
        let parts = gradient.chunks_mut(length).zip(kept.chunks(length)).collect();
        threads::for_each_part(parts, |(gradient, kept)| self.activation.pull_back(gradient, kept));
        gradients.register::<Flex>(parent.id, cpu::primitive(gradient, shape));
    }
}
