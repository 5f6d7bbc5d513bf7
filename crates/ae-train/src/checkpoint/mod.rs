//! Checkpoints: Burn's records of model, optimizer and schedule after each epoch.
//!
//! Epochs shorter than a second (of at most 5 million parameters) are saved once a second, and at the end of the
//! training the best and the last one are. An epoch counts as saved once a fourth file exists, which is written
//! last: `epoch-N.json` holds the size and the digest of each of the three records. Records that a crash leaves
//! behind without this file are ignored, and a record that has changed since is detected before it is used.
//!
//! Long epochs also have checkpoints within them (`checkpoint.every`): `step-N.json` says where the checkpoint was
//! taken and holds the digests of the records of model and optimizer; the state of the schedule follows from the number
//! of steps. There is at most one of these, and it is removed when its epoch is saved.

mod keep;
mod memory;
mod records;
mod saved;
mod steps;
mod writer;

pub use self::{
    keep::{BestAndLast, Keep},
    memory::{Memory, Nothing},
    records::{PARTS, Within, epochs, fitted, load, load_step, path, restore},
    saved::{Saved, clean, clear},
    steps::Steps,
    writer::{Epochs, files},
};
pub use crate::early_stopping::{Patience, best_epoch};
