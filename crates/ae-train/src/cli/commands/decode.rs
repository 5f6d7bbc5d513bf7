//! `ae decode`: what the decoder makes of codes.

use crate::{Error, Result};
use ae_data::{Known, Options, open_known, sink};
use ae_model::Registry;

use super::{file_options, is_picture, is_typed, save, singles};
use crate::cli::{args::DecodeArgs, devices::open_for_results};

/// Writes the decoded codes.
pub fn run(args: &DecodeArgs, registry: &Registry) -> Result<()> {
    let trained =
        crate::Run::open_with(&args.run, registry)?.trained(open_for_results(args.device.as_deref())?.device)?;
    let units = trained.config.model.code_dim;
    // What identifies rows stands beside codes that `ae encode` wrote.
    let columns: Vec<ae_data::Column> = (0..units).map(|unit| ae_data::Column::number(format!("h{unit}"))).collect();
    let keep = columns.iter().map(|column| column.name.clone()).collect();
    let own = trained.options(&Options::default());
    let said = file_options(&args.read);
    let read = Options { keep, id: own.id, label: own.label, ..said };
    let known =
        Known { columns: &columns, carried: &[], width: units, geometry: None, white: None, element: "", range: None };
    let codes = ae_data::Dataset::new(open_known(&args.codes, &read, &known)?.train);
    let carried = codes.rows().carried_names();
    let unit = |name: &str| name.strip_prefix('h').and_then(|unit| unit.parse::<usize>().ok());
    let is_own = |name: &String| trained.schema.carried.contains(name);
    if let Some(other) = carried.iter().find(|name| unit(name).is_some_and(|unit| unit >= units) && !is_own(name)) {
        return Err(Error::Failed(format!(
            "{}: its column `{other}` is a unit that this run has not, whose code is `h0` to `h{}`: these are codes of another run",
            args.codes,
            units - 1
        )));
    }
    if carried.iter().any(|name| name.trim_end_matches('_') == "h0" && name != "h0") {
        return Err(Error::Failed(format!(
            "{}: its column `h0` is no unit of the code, which is called `h0_` there: rename both",
            args.codes
        )));
    }
    if codes.rows().has_missing() && codes.scaled(&ae_data::Scaling::identity())?.iter().any(|value| value.is_nan()) {
        return Err(Error::Failed(format!(
            "{}: a unit of some code is missing: every code needs all {units}",
            args.codes
        )));
    }
    match (&args.out, trained.schema.geometry) {
        (Some(path), Some(geometry)) if is_picture(path) => {
            let values = trained.decode(&codes.scaled(&ae_data::Scaling::identity())?)?;
            Ok(sink::write_images(path, geometry, &singles(&values), 0, trained.shades())?)
        }
        (path, _) => save(trained.decoded(&codes, is_typed(path.as_deref())), &codes, path.as_deref()),
    }
}
