//! Trains autoencoders with Burn's Learner: the library behind the command line `ae`.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use ae_train::{Config, Fitted, Trainer, reporter::Lines};
//! use burn::{tensor::Device, train::Interrupter};
//!
//! // Rows in memory, leaving nothing behind:
//! let rows: Vec<f32> = std::iter::repeat_n([0.1, 0.7, 0.3, 0.9], 500).flatten().collect();
//! let mut config = Config::of_variant("undercomplete")?;
//! config.training.epochs = 20;
//! let fitted = Trainer::new(config.clone()).fit((rows.as_slice(), 4))?;
//! println!("test sse {:.3}, PCA {:.3}", fitted.summary.test.model.sse, fitted.summary.test.pca.sse);
//! let scores = fitted.score((rows.as_slice(), 4))?;
//!
//! // A file, with a run folder, progress, and a way to stop it:
//! let interrupter = Interrupter::new();
//! let trainer = Trainer::new(config).on(Device::default()).in_folder("run").reporting_to(Arc::new(Lines)).stopped_by(interrupter);
//! trainer.fit("customers.csv")?;
//! let fitted = Fitted::open("run".as_ref(), Device::default())?;
//! # let _ = (scores, fitted);
//! # Ok::<(), ae_train::Error>(())
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`config`], [`fields`] | the TOML that a run is made from, and what its fields mean |
//! | [`cli`] | the command line, for programs with parts of their own, too |
//! | [`trainer`], [`rows`] | training on rows that a program has, and using the model |
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

#[cfg(feature = "cli")]
pub mod allocator;
pub mod anomaly;
pub mod baseline;
pub mod card;
pub mod checkpoint;
#[cfg(feature = "cli")]
pub mod cli;
pub mod compare;
pub mod config;
mod data;
pub mod device;
mod digest;
pub mod ending;
pub mod error;
pub mod estimate;
pub mod evaluate;
pub mod evaluation;
#[cfg(feature = "export")]
pub mod export;
pub mod fields;
pub mod generate;
pub mod history;
pub mod impute;
pub mod learner;
pub mod likelihood;
pub mod likeness;
pub mod metrics;
pub mod mixture;
mod nearest;
pub mod neighbours;
pub mod pretrain;
pub mod probe;
pub mod ranking;
#[cfg(feature = "report")]
pub mod report;
pub mod reporter;
pub mod results;
pub mod rows;
pub mod run;
pub mod run_folder;
pub mod sample_quality;
mod saving;
pub mod step;
#[cfg(feature = "tensorboard")]
pub mod tensorboard;
pub mod trained;
pub mod trainer;
mod training;

pub use anomaly::Detector;
pub use config::Config;
pub use data::data_fingerprint;
pub use ending::Ending;
pub use error::{Error, Result};
pub use reporter::{EpochReport, Quiet, Reporter};
pub use results::Table;
pub use rows::IntoRows;
pub use run::{Outcome, Run};
pub use step::{Trainee, trainee};
#[cfg(feature = "tensorboard")]
pub use tensorboard::TensorBoard;
pub use trained::{Trained, Which};
pub use trainer::{Fitted, Trainer, fit};
