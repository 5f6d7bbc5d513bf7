//! Object-safe module visitors and mappers.
//!
//! Burn's visitors and mappers are generic over the rank of a tensor, so that neither they nor
//! [`Module`](burn::module::Module) are object-safe. A pair of adapters between a visitor and a code of unknown type
//! passes each parameter as a `dyn Any`.

use std::any::Any;

use burn::{
    module::{Flag, ModuleMapper, ModuleVisitor, Param},
    tensor::{Bool, Int, Tensor},
};

/// An object-safe module visitor.
pub(super) trait AnyVisitor {
    fn enter(&mut self, name: &str, container: &str);
    fn exit(&mut self, name: &str, container: &str);
    fn visit_any(&mut self, param: &dyn Any);
}

/// An object-safe module mapper.
pub(super) trait AnyMapper {
    fn enter(&mut self, name: &str, container: &str);
    fn exit(&mut self, name: &str, container: &str);
    fn map_any(&mut self, param: Box<dyn Any>) -> Box<dyn Any>;
}

/// Makes a Burn visitor or mapper of an object-safe one.
pub(super) struct Adapter<'a, T: ?Sized>(pub(super) &'a mut T);

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
        panic!("{MAX_RANK}");
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
        panic!("{MAX_RANK}");
    }
}

const MAX_RANK: &str = "a parameter of a code has at most 6 dimensions";

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
        *mapped.expect("a mapper returns the type that it was given")
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
