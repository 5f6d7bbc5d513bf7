//! `ae encode`: the code of each row.

use crate::Result;
use ae_model::Registry;

use crate::cli::args::OutArgs;

/// Writes the codes.
pub fn run(args: &OutArgs, registry: &Registry) -> Result<()> {
    let used = super::use_run(&args.rows, registry)?;
    super::is_free(args.out.as_deref(), &args.rows, &used.run)?;
    super::save(used.trained.encode(&used.rows), &used.rows, args.out.as_deref())
}
