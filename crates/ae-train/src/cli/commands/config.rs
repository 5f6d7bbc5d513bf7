//! `ae config`: prints a configuration, every field with its meaning.

use ae_train::Result;

use crate::{cli::ConfigArgs, output::print};

/// Prints the configuration that `ae train` would use with the same flags.
pub fn run(args: &ConfigArgs) -> Result<()> {
    print(&super::configuration(args)?.to_toml())
}
