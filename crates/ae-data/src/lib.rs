//! Data for autoencoders: where rows come from, how they are split and scaled, and how they become batches on a device.
//!
//! ```text
//! source -> rows -> split -> dataset -> batcher (gathers, scales) -> loader -> batches
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`source`] | a name, a path, a pattern or standard input becomes [`Rows`]: built-in sets, CSV, Parquet, Arrow, NumPy, safetensors, IDX, images |
//! | [`idx`] | the IDX format, plain or gzipped |
//! | [`options`] | what a person says about how to read |
//! | [`table`], [`array`](mod@array) | what was read: Arrow record batches with their own types, or numbers with a shape |
//! | [`survey`](mod@survey) | what each column of a table is: decided once, and said |
//! | [`column`](mod@column) | the columns that are learned from, and the features that a network sees of them |
//! | [`tabular`] | rows of a table: its learned columns as numbers, the others carried along |
//! | [`patch`] | a column with its blanks filled in, and nothing else changed |
//! | [`rows`] | values as they came (bytes stay bytes), labels, identifiers, image geometry |
//! | [`store`] | rows that stay in their file, read block by block |
//! | [`limit`] | how much memory one input may take |
//! | [`progress`] | how far a long read is |
//! | [`caught`](mod@caught) | panics of libraries on damaged files |
//! | [`split`] | train, validation and test; columns as the training rows know them |
//! | [`scaling`], [`fit`] | fitted on the training rows, saved, applied and inverted |
//! | [`batch`] | [`Dataset`], [`Sample`], and the [`Batcher`] that gathers rows straight into one buffer |
//! | [`sink`] | where results go: CSV, Parquet, Arrow, NumPy, safetensors, by the ending of the file |
//! | [`picture`] | images side by side |
//! | [`loader`] | Burn's `DataLoader` whose order in epoch `n` depends on the seed and `n` alone |
//!
//! ```
//! use ae_data::{Batcher, Dataset, Scaling, ScalingMethod, source};
//! use burn::{data::{dataloader::batcher::Batcher as _, dataset::Dataset as _}, tensor::Device};
//!
//! let digits = source::open("digits")?;
//! let train = Dataset::new(digits.train);
//! let scaling = Scaling::fit(ScalingMethod::MinMax, &train)?;
//! let items = (0..8).map(|index| train.get(index)).collect::<Result<Vec<_>, _>>()?;
//! let batch = Batcher::new(scaling).batch(items, &Device::default());
//! assert_eq!(batch.x.dims(), [8, 64]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod array;
pub mod batch;
pub mod caught;
mod cell;
mod changes;
pub mod column;
mod encode;
pub mod error;
pub mod fit;
pub mod idx;
pub mod limit;
pub mod loader;
pub mod options;
pub mod patch;
pub mod picture;
mod place;
pub mod progress;
pub mod rows;
pub mod scaling;
pub mod sink;
pub mod source;
pub mod split;
pub mod store;
pub mod survey;
pub mod table;
pub mod tabular;
mod trained_on;
pub mod values;

pub use array::Array;
pub use batch::{Batch, Batcher, Dataset, Sample};
pub use cell::{Missing, Style};
pub use column::{Column, Encoding, Kind, Layout};
pub use error::DataError;
pub use limit::Size;
pub use loader::{Loader, Order};
pub use options::{Options, Unknown};
pub use rows::{Geometry, Rows};
pub use scaling::{Scaling, ScalingMethod};
pub use source::{BUILTIN, FORMATS, Sets, open, open_known, open_with};
pub use split::{Split, SplitConfig};
pub use tabular::Known;
pub use values::{Element, Values};
