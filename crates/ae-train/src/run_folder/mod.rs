//! The folder of a run. All file names are defined here.

mod detector;
mod folder;
mod lock;
mod pca;
mod weights;

pub use self::{folder::RunFolder, lock::Lock};
#[cfg(feature = "cli")]
pub(crate) use crate::files::{own_file, own_folder};
pub use crate::{
    reconstruction_error::Comparison,
    schema::{FORMAT, Schema},
    summary::Summary,
};
