//! Networks: the functions `f` and `g` of an autoencoder, without the code between them.
//!
//! A [`Network`] configuration selects one of the networks here. For a network of your own, implement [`Encoder`] and
//! [`Decoder`], and pass them to [`Autoencoder::new`](crate::Autoencoder::new).

pub mod affine;
mod config;
pub mod conv;
pub mod dictionary;
mod dropout;
pub mod initialization;
pub mod layers;
pub mod mlp;
pub mod norm;
mod sizes;
#[cfg(test)]
mod tests;
mod traits;

pub use affine::{Affine, AffineConfig};
pub use config::{Network, NetworkDecoder, NetworkEncoder};
pub use conv::{ConvConfig, ConvDecoder, ConvEncoder, ConvLayer, ConvLayerConfig};
pub use dictionary::{DictionaryConfig, DictionaryDecoder, DictionaryEncoder};
pub use initialization::Initialization;
pub use mlp::{Mlp, MlpConfig, TiedMlp};
pub use norm::{Norm, NormKind};
pub use sizes::{Counts, MAX_WEIGHTS, Sizes};
pub use traits::{Decode, Decoder, Encoder, finite_difference_jvp};
