//! The configuration of a run, as TOML.
//!
//! Settings come in layers, each overriding the one before: the variant's defaults, `--config FILE`, `--set key=value`,
//! and the short flags. The result is checked field by field, written to the run folder before training starts, and
//! read from there by everything that follows.

mod checkpoint;
mod data;
mod layers;
mod settings;
mod training;

pub(crate) use self::data::located;
pub use self::{
    checkpoint::{CheckpointConfig, Every, Keep},
    data::{DataConfig, normal_by_name, normal_class},
    layers::{DEFAULT_VARIANT, Layers, ONE_CLASS_VARIANT},
    settings::Config,
    training::{Exchanged, Optimizer, Schedule, TrainingConfig},
};
