//! Data that consist of known features, and how much of them a dictionary has found.
//!
//! On real data nobody knows which features there are, and a dictionary that reconstructs well need not have found
//! them. Here rows are sums of [`KnownFeatures`], so that the atoms and the units of a trained dictionary can be
//! [compared](agreement) with them. [`matched`] compares any two dictionaries, such as two of different seeds.
//!
//! ```
//! use ae_train::{
//!     baseline::Matrix,
//!     known_features::{FeaturesConfig, KnownFeatures, agreement},
//! };
//!
//! # fn main() -> ae_train::Result<()> {
//! let known = KnownFeatures::new(&FeaturesConfig::default(), 42)?;
//! let drawn = known.draw(1000, 0);
//! let features = Matrix { values: &known.atoms, width: 64 };
//! let strengths = Matrix { values: &drawn.strengths, width: 256 };
//! // A dictionary that has found everything: its atoms are the features, and its code is their strengths.
//! let found = agreement(features, strengths, features, strengths)?;
//! assert!(found.mcc > 0.999 && found.uniqueness == 1.0 && found.f1 > 0.9);
//! # Ok(())
//! # }
//! ```

mod assignment;
mod data;
mod measures;
mod orthogonal;

pub use self::{
    data::{Drawn, FeaturesConfig, KnownFeatures},
    measures::{Agreement, HUNGARIAN_UP_TO, Matching, agreement, directions, matched},
};
