//! Checks the sizes that compressed parts of Parquet and Arrow files claim, before the libraries allocate memory for
//! them, which they do without a limit.

mod batches;
mod input;
mod page_header;
mod parquet_pages;

pub(super) use self::{
    batches::{Span, of_cells, of_file, of_stream},
    input::Source,
    parquet_pages::of_pages,
};
