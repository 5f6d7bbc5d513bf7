//! Trains autoencoders with Burn's Learner, and uses them: the library behind the command line `ae`.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use ae_train::{Config, Fitted, Trainer, reporter::Lines};
//! use burn::{tensor::Device, train::Interrupter};
//!
//! // Rows in memory; no files are written.
//! let rows: Vec<f32> = std::iter::repeat_n([0.1, 0.7, 0.3, 0.9], 500).flatten().collect();
//! let mut config = Config::of_variant("undercomplete")?;
//! config.training.epochs = 20;
//! let fitted = Trainer::new(config.clone()).fit((rows.as_slice(), 4))?;
//! println!("test sse {:.3}, PCA {:.3}", fitted.summary.test.model.sse, fitted.summary.test.pca.sse);
//! let scores = fitted.score((rows.as_slice(), 4))?;
//!
//! // A file, with a run folder, progress on standard error, and a way to stop the training.
//! let interrupter = Interrupter::new();
//! let trainer = Trainer::new(config)
//!     .on(Device::default())
//!     .in_folder("run")
//!     .reporting_to(Arc::new(Lines))
//!     .stopped_by(interrupter);
//! trainer.fit("customers.csv")?;
//! let fitted = Fitted::open("run".as_ref(), Device::default())?;
//! # let _ = (scores, fitted);
//! # Ok::<(), ae_train::Error>(())
//! ```
//!
//! Start with:
//!
//! | item | what it does |
//! |---|---|
//! | [`Config`] | all settings of a training, as TOML and as Rust |
//! | [`Trainer`], [`Fitted`] | training on rows in memory or from a file, and using the model |
//! | [`Run`], [`Trained`] | a training with a folder that can be resumed, and results as tables for data of any size |
//! | [`Reporter`] | receives the progress of a training |
//! | [`cli::run`] | the command line, also for programs with their own penalties, codes, corruptions and losses |
//!
//! The modules, from the data to the result:
//!
//! | module | contents |
//! |---|---|
//! | [`config`], [`fields`] | settings, and their documentation |
//! | [`rows`] | what a program can train on |
//! | [`device`] | devices by name |
//! | [`learner`], [`pretrain`], [`step`], [`metrics`] | Burn's Learner, pre-training, a training step, its metrics |
//! | [`history`], [`checkpoint`], [`early_stopping`], [`ending`] | metrics, checkpoints, when a training ends |
//! | [`run`], [`run_folder`] | a run and the files of its folder |
//! | [`trained`], [`results`] | encoding, decoding and reconstructing rows, as tables |
//! | [`baseline`], [`evaluation`], [`probe`], [`knn`], [`image_quality`], [`likelihood`] | evaluation, with baselines |
//! | [`known_features`] | data of known features, and how much of them a dictionary has found |
//! | [`anomaly`], [`auroc`] | anomaly scores, and how well they separate anomalies |
//! | [`impute`] | filling in missing values |
//! | [`generate`], [`mixture`], [`sample_quality`] | new rows, and their quality |
//! | [`export`], [`tensorboard`], [`report`] | ONNX and PyTorch, event files, the HTML report of a run |

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

#[cfg(feature = "cli")]
pub mod allocator;
pub mod anomaly;
pub mod auroc;
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
mod digits;
pub mod early_stopping;
pub mod ending;
pub mod error;
pub mod estimate;
pub mod evaluation;
#[cfg(feature = "export")]
pub mod export;
pub mod fields;
mod files;
pub mod generate;
pub mod history;
pub mod image_quality;
pub mod impute;
pub mod knn;
pub mod known_features;
pub mod learner;
pub mod likelihood;
mod matrix;
mod measure;
pub mod metrics;
pub mod mixture;
pub mod peers;
pub mod pretrain;
pub mod probe;
mod random;
mod reconstruction_error;
#[cfg(feature = "remote")]
pub mod remote;
#[cfg(feature = "report")]
pub mod report;
pub mod reporter;
pub mod results;
pub mod rows;
pub mod run;
pub mod run_folder;
pub mod sample_quality;
mod schema;
pub mod step;
mod step_counter;
mod strategy;
mod summary;
#[cfg(feature = "tensorboard")]
pub mod tensorboard;
mod tensors;
pub mod trained;
pub mod trainer;
mod training_loop;

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
