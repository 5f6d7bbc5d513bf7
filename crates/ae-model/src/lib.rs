//! Autoencoders as Burn modules.
//!
//! An autoencoder reconstructs its input through an encoder `h = f(x)` and a decoder `r = g(h)`. It is useful only if
//! something keeps it from learning the identity: a **code** narrower than the input (undercomplete), or a loss with
//! more terms than the reconstruction (regularized). Each part is a module of this crate, and the parts compose freely:
//!
//! - [`network`]: encoder `f` and decoder `g`, as [`mlp`](network::mlp), [`conv`](network::conv) or
//!   [`dictionary`](network::dictionary), or your own [`Encoder`] and [`Decoder`];
//! - [`code`]: the code `h`, as [`deterministic`](code::deterministic), [`top_k`](code::top_k),
//!   [`batch_top_k`](code::batch_top_k), [`jump_relu`](code::jump_relu), [`gated`](code::gated),
//!   [`lifetime`](code::lifetime) or [`gaussian`](code::gaussian), or your own [`Code`];
//! - [`corruption`]: random changes of the input in training, as [`gaussian`](corruption::gaussian),
//!   [`masking`](corruption::masking) or [`salt_and_pepper`](corruption::salt_and_pepper), or your own [`Corrupt`];
//! - [`reconstruction`]: the reconstruction loss `L`, as squared error, Bernoulli or categorical cross-entropy, a
//!   different one for each kind of column, or your own [`Loss`];
//! - [`variance`]: the variance of a Gaussian reconstruction, fixed, fitted, or fitted for each column;
//! - [`penalty`]: the regularization `Omega`, as [`l1`](penalty::l1), [`tanh`](penalty::tanh),
//!   [`kl_rate`](penalty::kl_rate), [`contractive`](penalty::contractive),
//!   [`contractive_hessian`](penalty::contractive_hessian), [`aux_k`](penalty::aux_k) and
//!   [`pre_activation`](penalty::pre_activation) for units that are never active, [`matryoshka`](penalty::matryoshka),
//!   [`gate`](penalty::gate) and [`gate_reconstruction`](penalty::gate_reconstruction), or your own [`Penalty`];
//! - [`constraint`]: unit-norm rows or non-negative weights of the decoder, or your own [`Constraint`];
//! - [`objective`]: weights, sums and averages the terms of the loss, and makes a training step;
//! - [`variants`]: named recipes of these parts, with their references and defaults.
//!
//! In addition there are:
//!
//! - [`recipe`], [`registry`]: models that a configuration file describes;
//! - [`jacobian`]: the derivative of the code;
//! - [`activity`]: when each unit was last active in training; [`resample`]: units that never are start again;
//! - [`likelihood`]: the likelihood `log p(x)` of a model with a stochastic code;
//! - [`pretrain`]: greedy layer-wise pre-training;
//! - `train` (feature `train`): training with Burn's Learner.
//!
//! # Conventions
//!
//! - Every tensor between parts is `[batch, features]`; `x` is the input, `h` the code, `r` the reconstruction.
//! - Every loss term is per example: `[batch]`, summed over features. Likelihoods and divergences are in nats.
//! - Training behavior (corruption, dropout, running statistics) acts on an autodiff device, and in a module only if
//!   its training flag is on. A frozen part of a larger model does not change.
//!
//! # Features
//!
//! - `kernels` (default): fast CPU kernels from `ae-kernels`, and Burn's Flex backend, whose tensors they read. Without
//!   it no backend is included, and everything is computed with Burn's operations on the backend of your choice.
//! - `train`: the module `train`, for Burn's Learner.
//!
//! # Examples
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
//! A training loop of your own uses [`Objective::step`]:
//!
//! ```
//! use ae_model::{Objective, Recipe, Inputs, penalty::L1};
//! use burn::{optim::{AdamConfig, ModuleOptimizer}, tensor::{Device, Distribution, Tensor}};
//!
//! let device = Device::default().autodiff();
//! let mut model = Recipe::default().init(&Inputs::unit(64), &device);
//! let mut objective = Objective::default().with_penalty(L1::new(0.01));
//! let mut optimizer: ModuleOptimizer = AdamConfig::new().init();
//! let x = Tensor::<2>::random([32, 64], Distribution::Uniform(0.0, 1.0), &device);
//! let steps = 20;
//! for step in 0..steps {
//!     let progress = step as f64 / steps as f64;
//!     (model, _) = objective.step(model, &mut optimizer, 1e-3, x.clone(), progress);
//! }
//! ```
//!
//! Burn's Learner takes a `Trainee`, with the feature `train`:
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
//! /// Makes a tensor of rows. `Trainee::of_batches` is for batches of another type.
//! struct Gather;
//!
//! impl Batcher<[f32; 8], Tensor<2>> for Gather {
//!     fn batch(&self, rows: Vec<[f32; 8]>, device: &Device) -> Tensor<2> {
//!         Tensor::from_data(TensorData::new(rows.concat(), [rows.len(), 8]), device)
//!     }
//! }
//!
//! let rows: Vec<[f32; 8]> = (0..64).map(|row| std::array::from_fn(|i| ((row * (i + 1)) % 7) as f32 / 6.0)).collect();
//! let loader = |rows: &[[f32; 8]]| {
//!     DataLoaderBuilder::new(Gather).batch_size(16).build(InMemDataset::new(rows.to_vec()))
//! };
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
pub mod activity;
pub mod autoencoder;
pub mod code;
pub mod constraint;
pub mod corruption;
mod data_dependent;
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
pub mod resample;
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
pub use activity::Activity;
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
pub use resample::Resample;
#[cfg(feature = "train")]
pub use train::Trainee;
pub use variance::{Variance, VarianceConfig};
pub use variants::{Hints, VARIANTS, Variant};
pub use weight::Weight;

/// Compiles and runs the example in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
