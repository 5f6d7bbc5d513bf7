//! Anomaly scores: how badly a row is reconstructed, and how far it is from the training rows.
//!
//! `score(x) = (E(x) / mean E + D(x) / mean D) / 2`, each term divided by its mean over training rows, so that a
//! typical row scores about 1:
//!
//! - `E(x) = mean over copies and columns of e_c(x~) / s_c`, where `e_c` is the squared error of column `c` (summed
//!   over the levels of a category) between the clean row and the reconstruction of a corrupted copy, and `s_c` its
//!   mean over the training rows. A model that was trained with a corruption scores [`COPIES`] copies, corrupted as in
//!   training, which averages the error over the neighborhood of the row (compare Alain and Bengio 2014: a denoiser
//!   moves points towards the data, by about the gradient of the log-density). Any other model scores the row as it is.
//!   The noise of the copies is the same for every row, so that the score of a row depends on no other row.
//! - `D(x)` is the mean Euclidean distance to the [`NEAREST`] nearest training rows, in units of the scaled data
//!   (Ramaswamy et al. 2000).
//!
//! The score of a column is its share of both terms, times the number of columns: the mean over the columns is the
//! score of the row. A category level that was not in the training data counts as a level to which the network gives
//! probability 0. A row in which every value is missing has no score.
//!
//! The share of held-out rows with a score at least as high gives a p-value,
//! `p = (1 + #{held-out scores >= score}) / (m + 1)` for `m` held-out rows (Vovk et al. 2005): among rows from the same
//! distribution as the held-out ones, at most a share `alpha` has `p <= alpha`, on average over the held-out rows.

mod copies;
mod detector;
mod fit;
mod reasons;
mod reference;
mod scorer;
mod table;
mod tally;

#[cfg(feature = "report")]
pub(crate) use self::reasons::{Reason, odd_columns};
pub use self::{
    copies::COPIES,
    detector::{Detector, FALSE_ALARMS, Scores},
    scorer::{NEAREST, NEIGHBOR},
    tally::{Detection, Tally, WORST, Worst},
};
pub(crate) use self::{fit::kept_rows, reference::Reference};
pub use crate::{
    baseline::PCA_SHARE,
    config::{normal_by_name, normal_class},
};
