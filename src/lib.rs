#![doc = include_str!("../README.md")]

pub use ae_data as data;
pub use ae_kernels as kernels;
pub use ae_model as model;
pub use ae_train as train;

/// The Rust code of the guide.
#[cfg(doctest)]
mod guide {
    #[doc = include_str!("../docs/guide/library.md")]
    pub struct Library;
    #[doc = include_str!("../docs/guide/own-network-and-parts.md")]
    pub struct OwnNetworkAndParts;
}
