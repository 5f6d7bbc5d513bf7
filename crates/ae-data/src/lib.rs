//! Data for autoencoders: reading rows, splitting and scaling them, and making batches on a device.
//!
//! ```text
//! source -> rows -> split -> dataset -> batcher (gathers, scales) -> loader -> batches
//! ```
//!
//! | module | purpose |
//! |---|---|
//! | [`source`] | opens a built-in data set, a path, a pattern or standard input as [`Rows`] |
//! | [`idx`] | the IDX format of MNIST, plain or gzipped |
//! | [`options`] | options for reading |
//! | [`table`] | tables as Arrow record batches with their own types |
//! | [`array`](mod@array) | arrays of numbers with a shape |
//! | [`survey`](mod@survey) | decides once what each column of a table is, and reports it |
//! | [`column`](mod@column) | the learned columns, and their encoding as features |
//! | [`tabular`] | rows of a table: the learned columns as numbers, the others carried along |
//! | [`patch`] | fills in the missing cells of a column and changes nothing else |
//! | [`rows`] | values in the type of their source, with labels, identifiers and image geometry |
//! | [`store`] | rows that stay in their file and are read block by block |
//! | [`limit`] | the memory that one input may take |
//! | [`progress`] | progress of long reads |
//! | [`caught`](mod@caught) | catches panics of libraries on damaged files |
//! | [`split`] | training, validation and test sets |
//! | [`scaling`], [`fit`] | scaling, fitted on the training rows, applied and inverted |
//! | [`batch`] | [`Dataset`], [`Sample`], and the [`Batcher`], which gathers rows into one buffer |
//! | [`loader`] | Burn's `DataLoader`; the order of epoch `n` depends only on the seed and on `n` |
//! | [`sink`] | writes results as CSV, Parquet, Arrow, NumPy or safetensors |
//! | [`picture`] | draws images side by side |
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

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod ahead;
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
pub mod sharing;
pub mod sink;
pub mod source;
pub mod split;
pub mod store;
pub mod survey;
pub mod table;
pub mod tabular;
mod trained_on;
pub mod values;
mod words;

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
pub use words::did_you_mean;
