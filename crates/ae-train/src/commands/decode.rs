//! `ae decode`: what the decoder makes of codes.

use ae_data::{Known, Options, open_known, sink};
use ae_train::{Error, Result};
use burn::data::dataset::Dataset as _;

use super::{is_picture, save_whole, singles};
use crate::{cli::DecodeArgs, devices::open_for_results};

/// Writes the decoded codes.
pub fn run(args: &DecodeArgs) -> Result<()> {
    let trained = ae_train::Run::open(&args.run)?.trained(open_for_results(args.device.as_deref())?.device)?;
    let units = trained.config.model.code_dim;
    // What identifies rows stands beside codes that `ae encode` wrote.
    let columns: Vec<ae_data::Column> = (0..units).map(|unit| ae_data::Column::number(format!("h{unit}"))).collect();
    let keep = columns.iter().map(|column| column.name.clone()).collect();
    let read = Options { keep, ..Options::default() };
    let known = Known { columns: &columns, carried: &[], width: units, geometry: None, white: None, element: "", range: None };
    let codes = ae_data::Dataset::new(open_known(&args.codes, &read, &known)?.train);
    if codes.rows().carried_names().iter().any(|name| name.trim_end_matches('_') == "h0" && name != "h0") {
        return Err(Error::Failed(format!(
            "{}: its column `h0` is no unit of the code, which is called `h0_` there: rename both",
            args.codes
        )));
    }
    if codes.rows().has_missing() && codes.scaled(&ae_data::Scaling::identity())?.iter().any(|value| value.is_nan()) {
        return Err(Error::Failed(format!("{}: a unit of some code is missing: every code needs all {units}", args.codes)));
    }
    let values = trained.decode(&codes.scaled(&ae_data::Scaling::identity())?)?;
    match (&args.out, trained.schema.geometry) {
        (Some(path), Some(geometry)) if is_picture(path) => Ok(sink::write_images(path, geometry, &singles(&values), 0, trained.shades())?),
        (path, _) => {
            debug_assert_eq!(values.len(), codes.len() * trained.schema.d_input);
            save_whole(&trained.table_of(&values)?, path.as_deref())
        }
    }
}
