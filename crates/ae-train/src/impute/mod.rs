//! Imputation: missing values are filled in by the model from the observed ones. Its quality is measured on values that
//! were observed and then hidden.

mod files;
mod fill;
mod table;

pub use self::fill::{Filled, HELD_OUT, HeldOut};
