//! Trains autoencoders with Burn's Learner: the library behind the command line `ae`.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use ae_train::{Config, Outcome, Run, reporter::Lines};
//! use burn::{tensor::Device, train::Interrupter};
//!
//! // In one line, leaving nothing behind:
//! let mut config = Config::of_variant("undercomplete")?;
//! config.training.epochs = 20;
//! let fitted = ae_train::fit(config.clone(), Device::default())?;
//! println!("test sse {:.3}, PCA {:.3}", fitted.summary.test.model.sse, fitted.summary.test.pca.sse);
//!
//! // With a run folder, progress, and a way to stop it:
//! let run = Run::create(config, None)?;
//! if let Outcome::Finished(summary) = run.train(Device::default(), "default", Arc::new(Lines), Interrupter::new())? {
//!     println!("test sse {:.3}, PCA {:.3}", summary.test.model.sse, summary.test.pca.sse);
//! }
//! let model = run.model(Device::default())?;
//! # let _ = model;
//! # Ok::<(), ae_train::Error>(())
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`config`], [`fields`] | the TOML that a run is made from, and what its fields mean |
//! | [`cli`] | the command line, for programs with parts of their own, too |
//! | [`reporter`] | what hears of a training |
//! | [`ending`] | how a training stands |
//! | [`run`] | a run from its configuration to its result |
//! | [`pretrain`] | greedy layer-wise pre-training of deep networks |
//! | [`learner`] | Burn's Learner, put together from a configuration |
//! | [`step`] | [`trainee`] makes any [`ae_model::Autoencoder`] trainable on the batches of `ae-data` |
//! | [`metrics`] | what every step measures |
//! | [`history`], [`checkpoint`], [`run_folder`] | what is kept |
//! | [`baseline`], [`evaluation`], [`probe`] | the result, beside PCA and the mean |
//! | [`device`] | devices by name |

pub mod allocator;
pub mod anomaly;
pub mod baseline;
pub mod checkpoint;
pub mod cli;
pub mod compare;
pub mod config;
pub mod device;
mod digest;
pub mod ending;
pub mod error;
pub mod estimate;
pub mod evaluate;
pub mod evaluation;
pub mod export;
pub mod fields;
pub mod generate;
pub mod history;
pub mod impute;
pub mod learner;
pub mod likelihood;
pub mod likeness;
mod log;
pub mod metrics;
pub mod mixture;
mod nearest;
pub mod neighbours;
pub mod pretrain;
pub mod probe;
pub mod ranking;
pub mod report;
pub mod reporter;
pub mod results;
pub mod run;
pub mod run_folder;
pub mod sample_quality;
pub mod step;
pub mod tensorboard;
pub mod trained;

pub use anomaly::Detector;
pub use config::Config;
pub use ending::Ending;
pub use error::{Error, Result};
pub use reporter::{Quiet, Reporter};
pub use results::Table;
pub use run::{Fitted, Outcome, Run, fit, fit_on};
pub use step::{Trainee, trainee};
pub use trained::{Trained, Which};
