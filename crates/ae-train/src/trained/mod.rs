//! A trained model with its schema, ready to be used on rows: encode, decode, reconstruct, interpolate.
//!
//! All methods process rows in batches and return a [`Table`] that is produced part by part, so that data of any size
//! can be processed.

mod model;
mod rows;
mod table;

pub use self::{
    model::{Reconstructed, Trained},
    rows::Which,
};
