//! JumpReLU: a unit is `z` where `z` is greater than a threshold of its own, which is trained, and 0 elsewhere
//! (Erichson et al. 2019; Rajamanoharan et al. 2024).
//!
//! `h_j = z_j [z_j > theta_j]` jumps, so that its derivative by the threshold is 0 almost everywhere. In training it is
//! estimated from the values within half a `bandwidth` of the threshold, as is that of the number of active units `L0`:
//! `dh/dtheta = -theta/e [|z - theta| < e/2]` and `dL0/dtheta = -1/e [|z - theta| < e/2]`. Their averages over a batch
//! estimate the derivatives of the averages. The derivatives by `z` are estimated in the same way (Conerly et al.
//! 2025).
//!
//! The term `l0_penalty` of the loss is `(mean L0 - k)^2 / k` for a target `k`, with the mean over the batch, which
//! brings the average number of active units to the target. With `each` it is `(L0 - k)^2 / k` of each example: then
//! rows that would need more units get fewer, and the average comes out below the target. Without a target it is `L0`
//! itself.
//!
//! The threshold itself is trained, not its logarithm, which Adam moves so slowly that `L0` never falls.

use std::borrow::Cow;

use ae_kernels::Sparse;
use burn::{
    module::{Flag, Module, Param},
    serde::{Deserialize, Serialize},
    tensor::{Bool, Device, Tensor},
};
use schemars::JsonSchema;

use super::{AnyCode, CodeSettings, Plain};
use crate::{
    Activation, Code, ConfigError, Latent, Settings, Term, Weight, network::affine::replaced, precision::indicator,
};

/// JumpReLU: each unit is 0 up to a threshold that is trained (Rajamanoharan et al. 2024).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "burn::serde", default, deny_unknown_fields)]
pub struct JumpReluConfig {
    /// Number of active units of an example that the loss aims at, greater than 0; or 0 for as few as possible.
    /// Default: 32.
    pub target: f64,
    /// Factor of the term `l0_penalty` in the loss, 0 or more. Default: 10.
    pub weight: Weight,
    /// Width of the interval around the threshold from which derivatives are estimated, in units of `z`, greater than
    /// 0. Default: 0.5.
    pub bandwidth: f64,
    /// Threshold at the start, 0 or more; with 0, the value above which `target` units are active on average over some
    /// training rows. Default: 0.
    pub threshold: f64,
    /// Whether each example should have `target` active units, instead of all on average: true or false. Default:
    /// false.
    pub each: bool,
    /// Whether the encoder, too, gets the estimated derivatives: true or false. With the thresholds alone, which move
    /// slowly, the number of active units follows its target only over many steps. Default: true.
    pub through_input: bool,
}

crate::macros::setters! {
    JumpReluConfig {
        with_weight(weight: impl Into<Weight>),
        with_bandwidth(bandwidth: f64),
        with_threshold(threshold: f64),
        with_each(each: bool),
        with_through_input(through_input: bool),
    }
}

impl JumpReluConfig {
    /// A code whose loss aims at this number of active units, greater than 0; or at as few as possible, with 0.
    pub fn new(target: f64) -> Self {
        Self { target, ..Self::default() }
    }

    /// The code, for `d_code` units.
    pub fn init(&self, d_code: usize, device: &Device) -> JumpRelu {
        JumpRelu {
            training: Param::from_bool(true),
            threshold: Param::from_tensor(Tensor::full([d_code], self.threshold, device)),
            target: self.target,
            weight: self.weight,
            bandwidth: self.bandwidth,
            each: self.each,
            through_input: self.through_input,
        }
    }
}

impl Default for JumpReluConfig {
    fn default() -> Self {
        Self { target: 32.0, weight: 10.0.into(), bandwidth: 0.5, threshold: 0.0, each: false, through_input: true }
    }
}

impl Settings for JumpReluConfig {
    const NAME: &'static str = "jump_relu";
}

impl CodeSettings for JumpReluConfig {
    fn check(&self, d_code: usize) -> Result<(), ConfigError> {
        self.weight.check("weight")?;
        let check = |good: bool, field: &str, value: f64, allowed: &str| {
            if good { Ok(()) } else { Err(ConfigError::new(field, value, allowed)) }
        };
        if !(self.target >= 0.0 && self.target <= d_code as f64) {
            let allowed = format!("0 (as few as possible) to the width of the code, which is {d_code}");
            return Err(ConfigError::new("target", self.target, allowed));
        }
        check(self.bandwidth > 0.0 && self.bandwidth.is_finite(), "bandwidth", self.bandwidth, "greater than 0")?;
        check(self.threshold >= 0.0 && self.threshold.is_finite(), "threshold", self.threshold, "0 or more")
    }

    fn activation(&self) -> Activation {
        Activation::Relu
    }

    fn fixes_activity(&self) -> bool {
        true
    }

    fn compares_rows(&self) -> bool {
        true
    }

    fn reads_rows(&self) -> bool {
        true
    }

    fn build(&self, d_code: usize, device: &Device) -> AnyCode {
        AnyCode::new(self.init(d_code, device))
    }
}

/// Each unit is `z` above its threshold and 0 elsewhere.
#[derive(Module, Debug)]
pub struct JumpRelu {
    /// Whether derivatives by the threshold are estimated; off in a frozen part of a model.
    pub training: Param<Flag>,
    /// The threshold of each unit, `[d_code]`, 0 or more.
    pub threshold: Param<Tensor<1>>,
    /// Number of active units that the loss aims at; 0 for as few as possible.
    #[module(skip)]
    pub target: f64,
    /// Factor of the term `l0_penalty` in the loss.
    #[module(skip)]
    pub weight: Weight,
    /// Width of the interval around the threshold from which derivatives are estimated.
    #[module(skip)]
    pub bandwidth: f64,
    /// Whether each example should have `target` active units, instead of all on average.
    #[module(skip)]
    pub each: bool,
    /// Whether the encoder gets the estimated derivatives, too.
    #[module(skip)]
    pub through_input: bool,
}

impl Code for JumpRelu {
    fn forward(&self, z: Tensor<2>) -> Latent {
        if let Some(few) = self.few(&z) {
            let sparse = few.at.with_values(few.code());
            let code = sparse.dense();
            let z = self.is_training(&z).then_some(z);
            return Latent { z, sparse: Some(sparse), ..code.into() };
        }
        let h = self.dense(&z);
        let z = self.is_training(&z).then_some(z);
        Latent { z, ..h.into() }
    }

    fn jvp(&self, z: Tensor<2>, t: Tensor<2>) -> Option<(Tensor<2>, Tensor<2>)> {
        let inactive = self.is_active(&z).bool_not();
        Some((z.mask_fill(inactive.clone(), 0.0), t.mask_fill(inactive, 0.0)))
    }

    fn is_diagonal(&self) -> bool {
        true
    }

    fn activation(&self) -> Activation {
        Activation::Relu
    }

    fn terms(&self, latent: &Latent, progress: f64) -> Vec<Term> {
        let sum = |count: Tensor<2>| count.sum_dim(1).squeeze_dim::<1>(1);
        let l0 = match &latent.z {
            Some(z) => match self.few(z) {
                Some(few) => few.at.with_values(few.count()).row_sums(),
                None => sum(self.count(z)),
            },
            None => sum(indicator(latent.code.clone().detach().greater_elem(0.0), &latent.code)),
        };
        let from_target = |l0: Tensor<1>| l0.sub_scalar(self.target).square().div_scalar(self.target);
        let value = match (self.target > 0.0, self.each) {
            (false, _) => l0,
            (true, true) => from_target(l0),
            // The same for each example.
            (true, false) => {
                let rows = l0.dims()[0];
                from_target(l0.mean()).expand([rows])
            }
        };
        vec![Term { name: "l0_penalty".into(), weight: self.weight.at(progress), value }]
    }

    fn term_names(&self) -> Vec<Cow<'static, str>> {
        vec!["l0_penalty".into()]
    }

    fn thresholds(&self) -> Option<Tensor<1>> {
        Some(self.threshold.val())
    }

    fn start(&mut self, z: Tensor<2>) {
        let [rows, width] = z.dims();
        let active = (self.target * rows as f64).round() as usize;
        if active == 0 || active >= rows * width || self.threshold.val().detach().abs().sum().into_scalar::<f64>() > 0.0
        {
            return;
        }
        let mut values: Vec<f32> = z.into_data().iter::<f32>().collect();
        let threshold = *values.select_nth_unstable_by(active, |a, b| b.total_cmp(a)).1;
        self.set(&|old| old.zeros_like().add_scalar(threshold.max(0.0)));
    }

    fn rescale(&mut self, factors: &Tensor<1>) {
        self.set(&|old| {
            let factors = factors.clone().without_autodiff().to_device(&old.device());
            old * factors
        });
    }

    fn after_step(&mut self, _progress: f64) {
        self.set(&|old| old.clamp_min(0.0));
    }

    fn plain(&self) -> Option<Plain> {
        Some(Plain::Above(Box::new(self.threshold.val())))
    }
}

/// The kernels for few values are used where at most one in so many values matters.
const FEW: usize = 8;

/// The values that are active or, in training, near their threshold, if they are few: all others are 0 and have no
/// derivative.
struct Few {
    /// The values of `z`.
    at: Sparse,
    /// The threshold of each, a constant, `[entries]`.
    threshold: Tensor<1>,
    /// 1 where a value is active and 0 elsewhere, a constant, `[entries]`.
    active: Tensor<1>,
    /// As [`JumpRelu::near`] and [`JumpRelu::moved`], their product, `[entries]`; `None` after training.
    slope: Option<Tensor<1>>,
}

impl Few {
    /// The code of the entries.
    fn code(&self) -> Tensor<1> {
        let z = self.at.values();
        // Not a product, which would be -0 for negative values.
        let h = z.mask_fill(self.active.clone().lower_elem(0.5), 0.0);
        match &self.slope {
            Some(slope) => h - slope.clone() * self.threshold.clone(),
            None => h,
        }
    }

    /// 1 where a value is active and 0 elsewhere, with the derivative by the thresholds.
    fn count(&self) -> Tensor<1> {
        match &self.slope {
            Some(slope) => self.active.clone() - slope.clone(),
            None => self.active.clone(),
        }
    }
}

impl JumpRelu {
    /// The values that matter, if they are few and there are kernels for them.
    fn few(&self, z: &Tensor<2>) -> Option<Few> {
        let trains = self.is_training(z);
        let threshold = self.threshold.val();
        // Slightly more than half a bandwidth: which ones are near is decided by the entries themselves.
        let reach = if trains { 0.501 * self.bandwidth } else { 0.0 };
        let at = Sparse::above(z, &threshold.clone().without_autodiff().sub_scalar(reach))?;
        if at.entries() * FEW > z.shape().num_elements() {
            return None;
        }
        let of_entry = threshold.select(0, at.columns());
        let (value, constant) = (at.values(), of_entry.clone().detach());
        let over = value.clone().detach() - constant.clone();
        let active = indicator(over.clone().greater_elem(0.0), &value);
        let slope = trains.then(|| {
            let near = indicator(over.abs().lower_elem(self.bandwidth / 2.0), &value).div_scalar(self.bandwidth);
            let moved = of_entry - constant.clone();
            let moved = if self.through_input { moved - (value.clone() - value.detach()) } else { moved };
            near * moved
        });
        Some(Few { at, threshold: constant, active, slope })
    }

    /// The code, from all values.
    fn dense(&self, z: &Tensor<2>) -> Tensor<2> {
        // Not a product, which would be -0 for negative values.
        let h = z.clone().mask_fill(self.is_active(z).bool_not(), 0.0);
        if !self.is_training(z) {
            return h;
        }
        let slope = self.near(z) * self.threshold.val().detach().unsqueeze::<2>();
        h - slope * self.moved(z)
    }

    /// 1 where a unit is active and 0 elsewhere, with the derivative by the thresholds.
    fn count(&self, z: &Tensor<2>) -> Tensor<2> {
        self.active(z) - self.near(z) * self.moved(z)
    }

    fn is_training(&self, z: &Tensor<2>) -> bool {
        self.training.is_enabled() && z.device().is_autodiff()
    }

    /// Replaces the thresholds.
    fn set(&mut self, change: &dyn Fn(Tensor<1>) -> Tensor<1>) {
        self.threshold = replaced(self.threshold.clone(), change);
    }

    fn over(&self, z: &Tensor<2>) -> Tensor<2> {
        z.clone().detach() - self.threshold.val().detach().unsqueeze::<2>()
    }

    /// Whether each unit is active.
    fn is_active(&self, z: &Tensor<2>) -> Tensor<2, Bool> {
        let threshold = self.threshold.val().detach().unsqueeze::<2>().expand(z.shape());
        z.clone().detach().greater(threshold)
    }

    /// 1 where a unit is active and 0 elsewhere, a constant.
    fn active(&self, z: &Tensor<2>) -> Tensor<2> {
        indicator(self.is_active(z), z)
    }

    /// `1/e` within half a bandwidth of the threshold and 0 elsewhere, a constant.
    fn near(&self, z: &Tensor<2>) -> Tensor<2> {
        indicator(self.over(z).abs().lower_elem(self.bandwidth / 2.0), z).div_scalar(self.bandwidth)
    }

    /// 0, with the derivative 1 by the threshold, and -1 by `z` if derivatives are estimated for that, too.
    fn moved(&self, z: &Tensor<2>) -> Tensor<2> {
        let threshold = self.threshold.val();
        let moved = (threshold.clone() - threshold.detach()).unsqueeze::<2>();
        match self.through_input {
            true => moved - (z.clone() - z.clone().detach()),
            false => moved.expand(z.shape()),
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Distribution, Tolerance};

    use super::*;

    #[test]
    fn few_values_give_the_same_code_count_and_gradients_as_all() {
        let device = Device::default().autodiff();
        for through_input in [false, true] {
            let config = JumpReluConfig { through_input, bandwidth: 0.3, ..JumpReluConfig::new(3.0) };
            let mut code = config.with_threshold(0.5).init(200, &device);
            let thresholds = Tensor::<1>::random([200], Distribution::Uniform(1.6, 2.4), &device.clone().inner());
            code.set(&|_| thresholds.clone());
            let z = Tensor::<2>::random([64, 200], Distribution::Normal(0.0, 1.0), &device).require_grad();
            let weights = Tensor::<2>::random([64, 200], Distribution::Normal(0.0, 1.0), &device);
            let few = code.few(&z).expect("few values are above these thresholds");
            let sparse = few.at.with_values(few.code());
            assert!(sparse.entries() > 100 && sparse.entries() * FEW < 64 * 200);
            let of = |h: Tensor<2>, l0: Tensor<1>| {
                let loss = (h.clone() * weights.clone()).sum() + l0.clone().square().sum();
                let gradients = loss.backward();
                let threshold = code.threshold.val().grad(&gradients).expect("thresholds are trained");
                [h.into_data(), l0.into_data(), z.grad(&gradients).expect("z is").into_data(), threshold.into_data()]
            };
            let found = of(sparse.dense(), few.at.with_values(few.count()).row_sums());
            let wanted = of(code.dense(&z), code.count(&z).sum_dim(1).squeeze_dim(1));
            for (found, wanted) in found.iter().zip(&wanted) {
                found.assert_approx_eq::<f32>(wanted, Tolerance::relative(1e-4).set_absolute(1e-4));
            }
            // Without autodiff the same code.
            let (plain, latent) = (z.clone().inner(), code.clone().valid().forward(z.clone().inner()));
            assert!(latent.sparse.is_some() && latent.z.is_none());
            latent.code.into_data().assert_eq(&code.valid().dense(&plain).into_data(), true);
        }
    }
}
