//! A trained model with its schema, ready to be used on rows: encode, decode, reconstruct, interpolate.
//!
//! All methods process rows in batches and return a [`Table`](crate::Table) that is produced part by part, so that data
//! of any size can be processed.

#[cfg(feature = "report")]
mod cells;
mod model;
mod pairs;
mod rows;
mod table;

#[cfg(feature = "report")]
pub(crate) use self::cells::Cells;
pub(crate) use self::pairs::Pairs;
#[cfg(feature = "cli")]
pub(crate) use self::rows::ALL_ROWS;
pub use self::{
    model::{Reconstructed, Trained},
    rows::Which,
};
