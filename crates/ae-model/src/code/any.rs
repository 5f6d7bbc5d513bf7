//! A code of any type, so that a program that chooses one at run time is compiled once.
//!
//! Burn's [`Module`] is not object-safe: its visitors and mappers are generic over the rank of a tensor. Between a
//! visitor and a code whose type is not known stands a pair of adapters, through which each parameter goes as a `dyn
//! Any`.

use std::{
    any::Any,
    borrow::Cow,
    fmt::{self, Debug},
};

use burn::{
    module::{Content, Devices, Flag, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor, Param},
    tensor::{Bool, Device, Int, Tensor},
};

use super::{Code, Deterministic, Plain};
use crate::{Activation, ConfigError, Latent, ModuleCode, Term};

/// Any code. Its parameters have at most 6 dimensions.
#[derive(Debug)]
pub struct AnyCode(Box<dyn AnyModule>);

impl AnyCode {
    /// This code.
    pub fn new(code: impl ModuleCode + Sync) -> Self {
        Self(Box::new(code))
    }

    /// This code, which has no parameters.
    pub fn fixed(code: impl Code + Debug + Clone + Send + Sync + 'static) -> Self {
        Self(Box::new(Fixed(code)))
    }

    /// The code, if it is of type `C`.
    pub fn get<C: Code + 'static>(&self) -> Option<&C> {
        self.0.as_any().downcast_ref()
    }

    /// The code, if it is of type `C`, to be changed.
    pub fn get_mut<C: Code + 'static>(&mut self) -> Option<&mut C> {
        self.0.as_any_mut().downcast_mut()
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
    fn check(&self, d_code: usize) -> Result<(), ConfigError> {
        self.0.code().check(d_code)
    }

    fn reads(&self, d_code: usize) -> usize {
        self.0.code().reads(d_code)
    }

    fn forward(&self, z: Tensor<2>) -> Latent {
        self.0.code().forward(z)
    }

    fn given(&self, h: Tensor<2>) -> Latent {
        self.0.code().given(h)
    }

    fn jvp(&self, z: Tensor<2>, t: Tensor<2>) -> Option<(Tensor<2>, Tensor<2>)> {
        self.0.code().jvp(z, t)
    }

    fn is_diagonal(&self) -> bool {
        self.0.code().is_diagonal()
    }

    fn is_elementwise(&self) -> bool {
        self.0.code().is_elementwise()
    }

    fn activation(&self) -> Activation {
        self.0.code().activation()
    }

    fn is_stochastic(&self) -> bool {
        self.0.code().is_stochastic()
    }

    fn draw(&self, z: Tensor<2>) -> Latent {
        self.0.code().draw(z)
    }

    fn log_ratio(&self, latent: &Latent) -> Option<Tensor<1>> {
        self.0.code().log_ratio(latent)
    }

    fn divergence(&self, latent: &Latent) -> Option<Tensor<1>> {
        self.0.code().divergence(latent)
    }

    fn terms(&self, latent: &Latent, progress: f64) -> Vec<Term> {
        self.0.code().terms(latent, progress)
    }

    fn term_names(&self) -> Vec<Cow<'static, str>> {
        self.0.code().term_names()
    }

    fn sample(&self, count: usize, d_code: usize, device: &Device) -> Option<Tensor<2>> {
        self.0.code().sample(count, d_code, device)
    }

    fn plain(&self) -> Option<Plain> {
        self.0.code().plain()
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

/// A code and a module, object-safe.
trait AnyModule: Debug + Send + Sync {
    fn code(&self) -> &dyn Code;
    fn code_mut(&mut self) -> &mut dyn Code;
    fn as_any(&self) -> &dyn Any;
    fn as_any_mut(&mut self) -> &mut dyn Any;
    fn cloned(&self) -> Box<dyn AnyModule>;
    fn collected(&self, devices: Devices) -> Devices;
    fn forked(self: Box<Self>, device: &Device) -> Box<dyn AnyModule>;
    fn moved(self: Box<Self>, device: &Device) -> Box<dyn AnyModule>;
    fn trained(self: Box<Self>) -> Box<dyn AnyModule>;
    fn validated(&self) -> Box<dyn AnyModule>;
    fn materialized(self: Box<Self>) -> Box<dyn AnyModule>;
    fn visited(&self, visitor: &mut dyn AnyVisitor);
    fn mapped(self: Box<Self>, mapper: &mut dyn AnyMapper) -> Box<dyn AnyModule>;
    fn shown(&self, content: Content) -> Option<Content>;
}

impl<C: ModuleCode + Sync> AnyModule for C {
    fn code(&self) -> &dyn Code {
        self
    }

    fn code_mut(&mut self) -> &mut dyn Code {
        self
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn AnyModule> {
        Box::new(self.clone())
    }

    fn collected(&self, devices: Devices) -> Devices {
        self.collect_devices(devices)
    }

    fn forked(self: Box<Self>, device: &Device) -> Box<dyn AnyModule> {
        Box::new(self.fork(device))
    }

    fn moved(self: Box<Self>, device: &Device) -> Box<dyn AnyModule> {
        Box::new(self.to_device(device))
    }

    fn trained(self: Box<Self>) -> Box<dyn AnyModule> {
        Box::new(self.train())
    }

    fn validated(&self) -> Box<dyn AnyModule> {
        Box::new(self.valid())
    }

    fn materialized(self: Box<Self>) -> Box<dyn AnyModule> {
        Box::new(self.materialize())
    }

    fn visited(&self, visitor: &mut dyn AnyVisitor) {
        self.visit(&mut Adapter(visitor));
    }

    fn mapped(self: Box<Self>, mapper: &mut dyn AnyMapper) -> Box<dyn AnyModule> {
        Box::new(self.map(&mut Adapter(mapper)))
    }

    fn shown(&self, content: Content) -> Option<Content> {
        self.content(content)
    }
}

/// A code that is no module, because it has no parameters.
#[derive(Debug, Clone)]
struct Fixed<C>(C);

impl<C: Code + Debug + Clone + Send + Sync + 'static> AnyModule for Fixed<C> {
    fn code(&self) -> &dyn Code {
        &self.0
    }

    fn code_mut(&mut self) -> &mut dyn Code {
        &mut self.0
    }

    fn as_any(&self) -> &dyn Any {
        &self.0
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        &mut self.0
    }

    fn cloned(&self) -> Box<dyn AnyModule> {
        Box::new(self.clone())
    }

    fn collected(&self, devices: Devices) -> Devices {
        devices
    }

    fn forked(self: Box<Self>, _device: &Device) -> Box<dyn AnyModule> {
        self
    }

    fn moved(self: Box<Self>, _device: &Device) -> Box<dyn AnyModule> {
        self
    }

    fn trained(self: Box<Self>) -> Box<dyn AnyModule> {
        self
    }

    fn validated(&self) -> Box<dyn AnyModule> {
        self.cloned()
    }

    fn materialized(self: Box<Self>) -> Box<dyn AnyModule> {
        self
    }

    fn visited(&self, _visitor: &mut dyn AnyVisitor) {}

    fn mapped(self: Box<Self>, _mapper: &mut dyn AnyMapper) -> Box<dyn AnyModule> {
        self
    }

    fn shown(&self, content: Content) -> Option<Content> {
        content.add_debug_attribute("code", &self.0).optional()
    }
}

/// A visitor of any type.
trait AnyVisitor {
    fn enter(&mut self, name: &str, container: &str);
    fn exit(&mut self, name: &str, container: &str);
    fn visit_any(&mut self, param: &dyn Any);
}

/// A mapper of any type.
trait AnyMapper {
    fn enter(&mut self, name: &str, container: &str);
    fn exit(&mut self, name: &str, container: &str);
    fn map_any(&mut self, param: Box<dyn Any>) -> Box<dyn Any>;
}

/// What a module is shown in the place of a visitor or mapper of any type.
struct Adapter<'a, T: ?Sized>(&'a mut T);

impl<V: ModuleVisitor> AnyVisitor for V {
    fn enter(&mut self, name: &str, container: &str) {
        self.enter_module(name, container);
    }

    fn exit(&mut self, name: &str, container: &str) {
        self.exit_module(name, container);
    }

    fn visit_any(&mut self, param: &dyn Any) {
        macro_rules! if_it_is {
            ($type:ty, $visit:ident) => {
                if let Some(param) = param.downcast_ref::<$type>() {
                    return self.$visit(param);
                }
            };
        }
        macro_rules! rank {
            ($($rank:literal)*) => {$(
                if_it_is!(Param<Tensor<$rank>>, visit_float);
                if_it_is!(Param<Tensor<$rank, Int>>, visit_int);
                if_it_is!(Param<Tensor<$rank, Bool>>, visit_bool);
            )*};
        }
        if_it_is!(Param<Flag>, visit_flag);
        rank!(1 2 3 4 5 6);
        panic!("{MOST_DIMENSIONS}");
    }
}

impl<M: ModuleMapper> AnyMapper for M {
    fn enter(&mut self, name: &str, container: &str) {
        self.enter_module(name, container);
    }

    fn exit(&mut self, name: &str, container: &str) {
        self.exit_module(name, container);
    }

    fn map_any(&mut self, mut param: Box<dyn Any>) -> Box<dyn Any> {
        macro_rules! if_it_is {
            ($type:ty, $map:ident) => {
                param = match param.downcast::<$type>() {
                    Ok(param) => return Box::new(self.$map(*param)),
                    Err(param) => param,
                };
            };
        }
        macro_rules! rank {
            ($($rank:literal)*) => {$(
                if_it_is!(Param<Tensor<$rank>>, map_float);
                if_it_is!(Param<Tensor<$rank, Int>>, map_int);
                if_it_is!(Param<Tensor<$rank, Bool>>, map_bool);
            )*};
        }
        if_it_is!(Param<Flag>, map_flag);
        rank!(1 2 3 4 5 6);
        drop(param);
        panic!("{MOST_DIMENSIONS}");
    }
}

const MOST_DIMENSIONS: &str = "a parameter of a code has at most 6 dimensions";

impl ModuleVisitor for Adapter<'_, dyn AnyVisitor + '_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.visit_any(param);
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.0.visit_any(param);
    }

    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        self.0.visit_any(param);
    }

    fn visit_flag(&mut self, flag: &Param<Flag>) {
        self.0.visit_any(flag);
    }

    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.0.enter(name, container_type);
    }

    fn exit_module(&mut self, name: &str, container_type: &str) {
        self.0.exit(name, container_type);
    }
}

impl Adapter<'_, dyn AnyMapper + '_> {
    fn mapped<P: Any>(&mut self, param: P) -> P {
        let mapped = self.0.map_any(Box::new(param)).downcast();
        *mapped.expect("a mapper gives back what it was given")
    }
}

impl ModuleMapper for Adapter<'_, dyn AnyMapper + '_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.mapped(param)
    }

    fn map_int<const D: usize>(&mut self, param: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        self.mapped(param)
    }

    fn map_bool<const D: usize>(&mut self, param: Param<Tensor<D, Bool>>) -> Param<Tensor<D, Bool>> {
        self.mapped(param)
    }

    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        self.mapped(flag)
    }

    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.0.enter(name, container_type);
    }

    fn exit_module(&mut self, name: &str, container_type: &str) {
        self.0.exit(name, container_type);
    }
}
