//! A code that is also a module, as an object-safe trait.

use std::{any::Any, fmt::Debug};

use burn::{
    module::{Content, Devices},
    tensor::Device,
};

use super::visit::{Adapter, AnyMapper, AnyVisitor};
use crate::{ModuleCode, code::Code};

/// A code that is also a module, as an object-safe trait.
pub(super) trait AnyModule: Debug + Send + Sync {
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

/// A code without parameters, which is not a module.
#[derive(Debug, Clone)]
pub(super) struct Fixed<C>(pub(super) C);

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
