//! The items that a program with models, or with parts of its own, needs most.

pub use crate::{
    Activation, Autoencoder, Code, ConfigError, Corrupt, Decoder, Encoder, Evaluation, Latent, Layout, Loss, Objective,
    Penalty, Recipe, Registry, Sample, Settings, Weight, corruption::Change, penalty::Context, settings,
};
