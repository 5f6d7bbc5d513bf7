//! Activations whose slope follows from their value.

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
    Activation,
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
    /// `gradient * phi'`, where `y` is the value of `phi`.
    fn pull(self, gradient: f32, y: f32) -> f32;
    /// `phi'` and its derivative by the value `y`.
    fn slope(self, y: f32) -> (f32, f32);
}

/// Declares a [`Function`], which is inlined whatever the compiler thinks of its length.
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
function!(Relu, |z| if z < 0.0 { 0.0 } else { z }, |gradient, y| if y <= 0.0 { 0.0 } else { gradient }, |y| if y <= 0.0 {
    (0.0, 0.0)
} else {
    (1.0, 0.0)
});
function!(
    LeakyRelu(below),
    |z| if z < 0.0 { z * below } else { z },
    |gradient, y| if y < 0.0 { gradient * below } else { gradient },
    |y| if y < 0.0 { (below, 0.0) } else { (1.0, 0.0) }
);
function!(
    Elu,
    |z| {
        let below = math::exp(if z > 0.0 { 0.0 } else { z }) - 1.0;
        if z > 0.0 { z } else { below }
    },
    |gradient, y| if y > 0.0 { gradient } else { gradient * (y + 1.0) },
    |y| if y > 0.0 { (1.0, 0.0) } else { (y + 1.0, 1.0) }
);
function!(Tanh, |z| math::tanh(z), |gradient, y| gradient * math::fma(-y, y, 1.0), |y| (math::fma(-y, y, 1.0), -2.0 * y));
function!(Sigmoid, |z| math::sigmoid(z), |gradient, y| gradient * math::fma(-y, y, y), |y| (math::fma(-y, y, y), math::fma(-2.0, y, 1.0)));

/// Runs `$work` with `$function` bound to the activation's [`Function`].
macro_rules! with_function {
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

    fn pull_back<F: Function>(function: F, gradient: &mut [f32], y: &[f32]) {
        for (g, y) in gradient.iter_mut().zip(y) {
            *g = function.pull(*g, *y);
        }
    }

    fn pull_back_rows<F: Function>(function: F, gradient: &mut [f32], y: &[f32], sums: &mut [f32]) -> usize {
        let mut active = 0;
        for (row, y) in gradient.chunks_exact_mut(sums.len()).zip(y.chunks_exact(sums.len())) {
            let mut count = 0u32;
            for ((g, y), sum) in row.iter_mut().zip(y).zip(sums.iter_mut()) {
                *g = function.pull(*g, *y);
                *sum += *g;
                count += u32::from(*g != 0.0);
            }
            active += count as usize;
        }
        active
    }

    /// `sum_j phi'(y_j)^2 factors_j`, in sixteen partial sums.
    fn squared_slopes<F: Function>(function: F, y: &[f32], factors: &[f32]) -> f32 {
        let mut sums = [0.0f32; 16];
        for (y, factors) in y.chunks(16).zip(factors.chunks(16)) {
            for ((y, factor), sum) in y.iter().zip(factors).zip(&mut sums) {
                let (slope, _) = function.slope(*y);
                *sum = math::fma(slope * slope, *factor, *sum);
            }
        }
        sums.iter().sum()
    }

    /// The gradient of `gradient` times that by `y`, in `dy`; that by the factors is added to `totals`.
    fn squared_slopes_gradient<F: Function>(function: F, y: &[f32], factors: &[f32], gradient: f32, dy: &mut [f32], totals: &mut [f32]) {
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
                count += u32::from(*value != 0.0);
            }
            active += count as usize;
        }
        active
    }
}

impl Activation {
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

    /// `sum_j phi'(y_j)^2 factors_j`.
    pub(crate) fn squared_slopes(self, y: &[f32], factors: &[f32]) -> f32 {
        with_function!(self, |function| squared_slopes(function, y, factors))
    }

    /// The gradient of `gradient` times that by `y`, in `dy`; that by the factors is added to `totals`.
    pub(crate) fn squared_slopes_gradient(self, y: &[f32], factors: &[f32], gradient: f32, dy: &mut [f32], totals: &mut [f32]) {
        with_function!(self, |function| squared_slopes_gradient(function, y, factors, gradient, dy, totals));
    }

    /// `gradient *= phi'`, where `y` holds the values of `phi`.
    pub(crate) fn pull_back(self, gradient: &mut [f32], y: &[f32]) {
        with_function!(self, |function| pull_back(function, gradient, y));
    }

    /// `gradient *= phi'` in every row, its columns summed into `sums`; gives how many numbers are left that are not 0.
    pub(crate) fn pull_back_rows(self, gradient: &mut [f32], y: &[f32], sums: &mut [f32]) -> usize {
        with_function!(self, |function| pull_back_rows(function, gradient, y, sums))
    }
}

/// `phi(z)`, element by element.
pub fn activate<const D: usize>(activation: Activation, z: Tensor<D>) -> Tensor<D> {
    if activation == Activation::Identity {
        return z;
    }
    let Some(operand) = Operand::new(&z) else { return activation.by_burn(z) };
    drop(z);
    let forward = |z: FlexTensor| {
        let z = cpu::in_order(z);
        let shape = z.layout().shape().clone();
        let mut values = cpu::into_vec(z);
        let parts = threads::parts(4 * values.len());
        let length = values.len().div_ceil(parts).max(1);
        threads::for_each_part(values.chunks_mut(length).collect(), |part| activation.apply(part));
        cpu::primitive(values, shape)
    };
    let context = cpu::context([&operand]);
    if !operand.is_autodiff() {
        return cpu::plain(forward(operand.into_primitive()));
    }
    let (z, node) = operand.tracked().into_parts();
    let prepared = Step { activation }.prepare::<NoCheckpointing>([node]).compute_bound().stateful();
    let y = match prepared {
        OpsKind::Tracked(step) => {
            let y = forward(z);
            step.finish(y.clone(), y)
        }
        OpsKind::UnTracked(step) => step.finish(forward(z)),
    };
    cpu::wrap(y, context)
}

/// `(phi(z), phi'(z) * t)`, element by element. None where there is no kernel for the tensors, or a gradient flows into one of them.
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
        activation.apply(y);
        activation.pull_back(t, y);
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
        let y = cpu::numbers(&ops.state);
        let length = gradient.len().div_ceil(threads::parts(gradient.len())).max(1);
        let parts = gradient.chunks_mut(length).zip(y.chunks(length)).collect();
        threads::for_each_part(parts, |(gradient, y)| self.activation.pull_back(gradient, y));
        gradients.register::<Flex>(parent.id, cpu::primitive(gradient, shape));
    }
}
