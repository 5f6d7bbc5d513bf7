//! The metrics of each epoch: kept for Burn's best-epoch search, appended to `metrics.csv`, and reported in one line.
//!
//! A resumed run reads its rows back first, so that the best epoch so far and the remaining patience are those of an
//! uninterrupted run. Rows are identified by their epoch: the last of several counts, and an incomplete last line does
//! not.

mod logger;
mod metrics_file;

pub use self::{
    logger::{History, Losses},
    metrics_file::{Epoch, columns, losses, value},
};
