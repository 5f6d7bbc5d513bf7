//! A run: from its configuration to its measured result.

mod import;
mod learn;
mod state;

pub use self::state::{Ended, Learned, Outcome, Run};
