//! `ae encode`: the code of each row.

use ae_train::Result;

use crate::cli::OutArgs;

/// Writes the codes.
pub fn run(args: &OutArgs) -> Result<()> {
    let used = super::use_run(&args.rows)?;
    super::is_free(args.out.as_deref(), &args.rows, &used.run)?;
    super::save(used.trained.encode(&used.rows), &used.rows, args.out.as_deref())
}
