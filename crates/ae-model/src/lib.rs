//! Autoencoders as Burn modules.
//!
//! An autoencoder copies its input through an encoder `h = f(x)` and a decoder `r = g(h)`, and is useful only because
//! something keeps it from copying perfectly: a **code** narrower than the input (undercomplete), or a loss that asks
//! for more than copying (regularized). The parts of that sentence are the modules of this crate, and they compose:
//!
//! | part | module | what there is |
//! |---|---|---|
//! | network `f`, `g` | [`network`] | [`network::mlp`], [`network::conv`], or your own: implement [`Encoder`] and [`Decoder`] |
//! | code `h` | [`code`] | [`code::deterministic`], [`code::top_k`], [`code::lifetime`], [`code::gaussian`], or your own [`Code`] |
//! | corruption | [`corruption`] | [`corruption::gaussian`], [`corruption::masking`], [`corruption::salt_and_pepper`], or your own [`Corrupt`]: in training only, the target stays clean |
//! | reconstruction loss `L` | [`reconstruction`] | squared error, Bernoulli with logits, categorical; by kind of column; or your own [`Loss`] |
//! | variance of the reconstruction | [`variance`] | fixed, fitted, one for each column |
//! | penalty `Omega` | [`penalty`] | [`penalty::l1`], [`penalty::kl_rate`], [`penalty::contractive`], [`penalty::contractive_hessian`], or your own [`Penalty`] |
//! | constraint | [`constraint`] | rows of length 1, non-negative weights, or your own [`Constraint`] |
//! | derivative of the code | [`jacobian`] | closed form, exact, estimate by probes |
//! | objective | [`objective`] | the only place where terms are weighted, summed and averaged; one step of training |
//! | likelihood | [`likelihood`] | `log p(x)` by importance sampling, where the code is stochastic |
//! | pre-training | [`pretrain`] | the layers of a perceptron one after the other |
//! | Burn's Learner | `train`, a feature | `Trainee`: a model with its objective, as Burn's Learner trains it, with what its metrics read |
//! | parts by name | [`registry`], [`recipe`] | what a configuration can name, and the model that it describes |
//! | variant | [`variants`] | recipes of the parts above, each with its reference and its defaults |
//!
//! Conventions: every tensor between parts is `[batch, features]`; `x` is the input, `h` the code, `r` the
//! reconstruction; every loss term is per example (`[batch]`, summed over features; likelihoods and divergences in
//! nats). What belongs to training alone (corruption, dropout, running statistics) acts on an autodiff device, and in a
//! module only while its training flag is on: a frozen part of a larger model keeps still.
//!
//! The crate runs on every backend of Burn. The feature `kernels` (on by default) brings Burn's backend Flex and fast
//! kernels on its tensors, from `ae-kernels`; without it no backend is chosen, and everything is computed by Burn's
//! operations.
//!
//! ```
//! use ae_model::{Activation, Autoencoder, network::{MlpConfig, Sizes}};
//! use burn::tensor::{Device, Tensor};
//!
//! let device = Device::default();
//! let config = MlpConfig::new().with_hidden([32]).with_activation(Activation::Relu);
//! let sizes = Sizes::new(64, 10);
//! let model = Autoencoder::new(config.encoder(&sizes, &device), config.decoder(&sizes, Activation::Sigmoid, &device));
//! let x = Tensor::<2>::zeros([4, 64], &device);
//! assert_eq!(model.encode(x.clone()).dims(), [4, 10]);
//! assert_eq!(model.reconstruct(x).dims(), [4, 64]);
//! ```
//!
//! A loop of your own takes [`Objective::step`]. Burn's Learner takes a `Trainee`, with the feature `train`:
//!
//! ```
//! # #[cfg(feature = "train")] {
//! use ae_model::{Activation, Autoencoder, Objective, network::{MlpConfig, Sizes}, train::{Silent, Trainee}};
//! use burn::{
//!     data::{dataloader::{DataLoaderBuilder, batcher::Batcher}, dataset::InMemDataset},
//!     optim::AdamConfig,
//!     tensor::{Device, Tensor, TensorData},
//!     train::{Learner, SupervisedTraining, metric::LossMetric},
//! };
//!
//! /// Rows become a tensor. Of batches of another type, `Trainee::of_batches` is told which rows they hold.
//! struct Gather;
//!
//! impl Batcher<[f32; 8], Tensor<2>> for Gather {
//!     fn batch(&self, rows: Vec<[f32; 8]>, device: &Device) -> Tensor<2> {
//!         Tensor::from_data(TensorData::new(rows.concat(), [rows.len(), 8]), device)
//!     }
//! }
//!
//! let rows: Vec<[f32; 8]> = (0..64).map(|row| std::array::from_fn(|i| ((row * (i + 1)) % 7) as f32 / 6.0)).collect();
//! let loader = |rows: &[[f32; 8]]| DataLoaderBuilder::new(Gather).batch_size(16).build(InMemDataset::new(rows.to_vec()));
//!
//! let device = Device::default().autodiff();
//! let (config, sizes) = (MlpConfig { hidden: vec![16], ..Default::default() }, Sizes::new(8, 2));
//! let (encoder, decoder) = (config.encoder(&sizes, &device), config.decoder(&sizes, Activation::Sigmoid, &device));
//! let trainee = Trainee::new(Autoencoder::new(encoder, decoder), Objective::default());
//! let folder = std::env::temp_dir().join("ae-model-learner");
//! let result = SupervisedTraining::new(&folder, loader(&rows[..48]), loader(&rows[48..]))
//!     .metrics((LossMetric::new(),))
//!     .renderer(Box::new(Silent)) // or Burn's dashboard
//!     .num_epochs(2)
//!     .launch(Learner::new(trainee, AdamConfig::new().init(), 1e-3));
//! assert_eq!(result.model.model.encode(Tensor::zeros([1, 8], &Device::default())).dims(), [1, 2]);
//! # std::fs::remove_dir_all(folder).unwrap();
//! # }
//! ```

extern crate self as ae_model;

pub mod activation;
pub mod autoencoder;
pub mod code;
pub mod constraint;
pub mod corruption;
pub mod error;
pub mod jacobian;
pub mod latent;
pub mod layout;
pub mod likelihood;
pub mod network;
pub mod objective;
pub mod parts;
pub mod penalty;
pub mod prelude;
pub mod pretrain;
pub mod recipe;
pub mod reconstruction;
pub mod registry;
#[cfg(feature = "train")]
pub mod train;
pub mod units;
pub mod variance;
pub mod variants;
pub mod weight;

mod macros;
mod precision;
#[cfg(test)]
mod tests;

pub use activation::Activation;
pub use autoencoder::{Autoencoder, Forward, ModuleCode, ModuleDecoder, ModuleEncoder};
pub use code::{AnyCode, Code, CodeSettings};
pub use constraint::Constraint;
pub use corruption::{Corrupt, CorruptSettings, Corruption};
pub use error::ConfigError;
pub use jacobian::Jacobian;
pub use latent::Latent;
pub use layout::Layout;
pub use network::{Decode, Decoder, Encoder};
pub use objective::{Evaluation, Objective, Sample, Term};
pub use parts::Parts;
pub use penalty::Penalty;
pub use recipe::{Inputs, Model, Recipe};
pub use reconstruction::{Bernoulli, Head, Loss, SquaredError};
pub use registry::{Registry, Settings};
#[cfg(feature = "train")]
pub use train::Trainee;
pub use variance::{Variance, VarianceConfig};
pub use variants::{Hints, VARIANTS, Variant};
pub use weight::Weight;
