//! `ae interpolate`: the way from one row to another through the code.

use crate::{Error, Result};
use ae_data::picture::Sheet;
use ae_model::Registry;
use burn::data::dataset::Dataset as _;

use super::{is_picture, is_typed, save_whole, singles};
use crate::cli::args::InterpolateArgs;

/// Writes the way.
pub fn run(args: &InterpolateArgs, registry: &Registry) -> Result<()> {
    let used = super::use_run(&args.rows, registry)?;
    let count = used.rows.len();
    if let Some(row) = [args.from, args.to].into_iter().find(|&row| row == 0 || row > count) {
        return Err(Error::Usage(format!("there is no row {row}: the data has rows 1 to {count}")));
    }
    let ends = used.rows.select([args.from, args.to].map(|row| used.rows.indices()[row - 1]).to_vec());
    super::note(&used.rows.rows().met());
    let values = used.trained.interpolate(&ends, args.steps)?;
    match (&args.out, used.trained.schema.geometry) {
        (Some(path), Some(geometry)) if is_picture(path) => {
            let values = singles(&values);
            let images: Vec<&[f32]> = values.chunks_exact(used.trained.schema.d_input).collect();
            let [low, high] = used.trained.shades();
            Ok(Sheet::new(geometry, images.len(), low, high).save(&images, path)?)
        }
        (path, _) => {
            let trained = &used.trained;
            let table =
                if is_typed(path.as_deref()) { trained.table_of(&values)? } else { trained.text_of(&values)? };
            save_whole(&table, path.as_deref())
        }
    }
}
