#![doc = include_str!("../README.md")]

pub use ae_data as data;
pub use ae_kernels as kernels;
pub use ae_model as model;
pub use ae_train as train;
