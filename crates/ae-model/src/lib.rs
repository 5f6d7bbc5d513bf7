//! Autoencoders as Burn modules.
//!
//! An autoencoder copies its input through an encoder `h = f(x)` and a decoder `r = g(h)`, and is useful only because something keeps it
//! from copying perfectly: a **code** narrower than the input (undercomplete), or a loss that asks for more than copying (regularized).
//! The parts of that sentence are the modules of this crate, and they compose:
//!
//! | part | module | rooms |
//! |---|---|---|
//! | network `f`, `g` | [`network`] | [`network::linear`], [`network::mlp`], [`network::conv`], or your own: implement [`Encoder`] and [`Decoder`] |
//! | code `h` | [`code`] | [`code::deterministic`], [`code::top_k`], [`code::lifetime`] |
//! | corruption | [`corruption`] | [`corruption::gaussian`], [`corruption::masking`], [`corruption::salt_and_pepper`]: in training only, the target stays clean |
//! | reconstruction loss `L` | [`reconstruction`] | squared error, Bernoulli with logits, categorical; by kind of column |
//! | penalty `Omega` | [`penalty`] | [`penalty::l1`], [`penalty::kl_rate`], [`penalty::contractive`], [`penalty::contractive_hessian`] |
//! | derivative of the code | [`jacobian`] | closed form, exact by forward mode, Hutchinson's estimate |
//! | objective | [`objective`] | the only place where terms are weighted, summed and averaged |
//! | variant | [`variants`] | recipes of the parts above, each with its reference and its defaults |
//!
//! Conventions: every tensor between parts is `[batch, features]`; `x` is the input, `h` the code, `r` the reconstruction; every loss term is
//! per example (`[batch]`, in nats, summed over features). As everywhere in Burn, training is what happens on an autodiff device: corruption,
//! dropout and what else belongs to training alone act there and nowhere else. The crate depends on `burn` alone and runs on every backend of Burn.
//!
//! ```
//! use ae_model::{Activation, Autoencoder, network::{MlpConfig, Network, Sizes}};
//! use burn::tensor::{Device, Tensor};
//!
//! let device = Device::default();
//! let network = MlpConfig { hidden: vec![32], activation: Activation::Relu, ..Default::default() };
//! let (encoder, decoder) = Network::from(network).init(&Sizes::new(64, 10), Activation::Sigmoid, &device);
//! let model = Autoencoder::new(encoder, decoder);
//! let x = Tensor::<2>::zeros([4, 64], &device);
//! assert_eq!(model.encode(x.clone()).dims(), [4, 10]);
//! assert_eq!(model.reconstruct(x).dims(), [4, 64]);
//! ```

pub mod activation;
pub mod autoencoder;
pub mod code;
pub mod corruption;
pub mod error;
pub mod jacobian;
pub mod network;
pub mod objective;
pub mod penalty;
pub mod recipe;
pub mod reconstruction;
pub mod variants;

pub use activation::Activation;
pub use autoencoder::{Autoencoder, Forward};
pub use code::Code;
pub use corruption::Corruption;
pub use error::ConfigError;
pub use jacobian::Jacobian;
pub use network::{Decoder, Encoder};
pub use objective::{Evaluation, Objective, Term};
pub use penalty::Penalties;
pub use recipe::{Inputs, Model, Recipe};
pub use reconstruction::{Head, Layout, Reconstruction};
pub use variants::{Hints, VARIANTS, Variant};
