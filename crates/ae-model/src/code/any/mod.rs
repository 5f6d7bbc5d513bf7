//! A code of any type, so that a program that selects one at run time is compiled once.

mod erased;
mod visit;

use std::{
    borrow::Cow,
    fmt::{self, Debug},
};

use burn::{
    module::{Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor},
    tensor::{Device, Tensor},
};
use erased::{AnyModule, Fixed};

use super::{Code, Deterministic, Plain};
use crate::{Activation, ConfigError, Latent, ModuleCode, macros::delegate, objective::term::Term};

/// Any code. Its parameters have at most 6 dimensions.
///
/// ```
/// use ae_model::{Activation, AnyCode, Code, code::{TopK, TopKConfig}};
/// use burn::tensor::Device;
///
/// let code = AnyCode::new(TopKConfig::new(3).init(16, &Device::default()));
/// assert_eq!(code.activation(), Activation::Relu);
/// assert_eq!(code.get::<TopK>().unwrap().k, 3);
/// ```
#[derive(Debug)]
pub struct AnyCode(Box<dyn AnyModule>);

impl AnyCode {
    /// Wraps a code that is a Burn module.
    pub fn new(code: impl ModuleCode + Sync) -> Self {
        Self(Box::new(code))
    }

    /// Wraps a code without parameters.
    pub fn fixed(code: impl Code + Debug + Clone + Send + Sync + 'static) -> Self {
        Self(Box::new(Fixed(code)))
    }

    /// The code, if it is of type `C`.
    pub fn get<C: Code + 'static>(&self) -> Option<&C> {
        self.0.as_any().downcast_ref()
    }

    /// Mutable access to the code, if it is of type `C`.
    pub fn get_mut<C: Code + 'static>(&mut self) -> Option<&mut C> {
        self.0.as_any_mut().downcast_mut()
    }

    fn part(&self) -> &dyn Code {
        self.0.code()
    }
}

impl Clone for AnyCode {
    fn clone(&self) -> Self {
        Self(self.0.cloned())
    }
}

impl From<Activation> for AnyCode {
    /// `h = phi(z)`.
    fn from(activation: Activation) -> Self {
        Self::new(Deterministic { activation })
    }
}

impl Code for AnyCode {
    delegate! {
        fn check(&self, d_code: usize) -> Result<(), ConfigError>;
        fn reads(&self, d_code: usize) -> usize;
        fn forward(&self, z: Tensor<2>) -> Latent;
        fn forward_by(&self, z: Tensor<2>, lengths: &Tensor<1>) -> Latent;
        fn given(&self, h: Tensor<2>) -> Latent;
        fn jvp(&self, z: Tensor<2>, t: Tensor<2>) -> Option<(Tensor<2>, Tensor<2>)>;
        fn jvp_by(&self, z: Tensor<2>, t: Tensor<2>, lengths: &Tensor<1>) -> Option<(Tensor<2>, Tensor<2>)>;
        fn is_diagonal(&self) -> bool;
        fn is_elementwise(&self) -> bool;
        fn activation(&self) -> Activation;
        fn is_stochastic(&self) -> bool;
        fn draw(&self, z: Tensor<2>) -> Latent;
        fn log_ratio(&self, latent: &Latent) -> Option<Tensor<1>>;
        fn divergence(&self, latent: &Latent) -> Option<Tensor<1>>;
        fn terms(&self, latent: &Latent, progress: f64) -> Vec<Term>;
        fn term_names(&self) -> Vec<Cow<'static, str>>;
        fn thresholds(&self) -> Option<Tensor<1>>;
        fn sample(&self, count: usize, d_code: usize, device: &Device) -> Option<Tensor<2>>;
        fn plain(&self) -> Option<Plain>;
    }

    fn start(&mut self, z: Tensor<2>) {
        self.0.code_mut().start(z);
    }

    fn calibrate(&mut self, scores: &mut dyn Iterator<Item = Tensor<2>>) -> Option<String> {
        self.0.code_mut().calibrate(scores)
    }

    fn rescale(&mut self, factors: &Tensor<1>) {
        self.0.code_mut().rescale(factors);
    }

    fn after_step(&mut self, progress: f64) {
        self.0.code_mut().after_step(progress);
    }
}

impl Module for AnyCode {
    fn collect_devices(&self, devices: Devices) -> Devices {
        self.0.collected(devices)
    }

    fn fork(self, device: &Device) -> Self {
        Self(self.0.forked(device))
    }

    fn to_device(self, device: &Device) -> Self {
        Self(self.0.moved(device))
    }

    fn train(self) -> Self {
        Self(self.0.trained())
    }

    fn valid(&self) -> Self {
        Self(self.0.validated())
    }

    fn materialize(self) -> Self {
        Self(self.0.materialized())
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        self.0.visited(visitor);
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        Self(self.0.mapped(mapper))
    }
}

impl ModuleDisplayDefault for AnyCode {
    fn content(&self, content: Content) -> Option<Content> {
        self.0.shown(content)
    }

    fn num_params(&self) -> usize {
        Module::num_params(self)
    }
}

impl ModuleDisplay for AnyCode {}

impl fmt::Display for AnyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.format(Default::default()))
    }
}
