//! `ae config`: prints a configuration, every field with its meaning.

use crate::Result;
use ae_model::Registry;

use crate::cli::{args::ConfigArgs, output::print};

/// Prints the configuration that `ae train` would use with the same flags.
pub fn run(args: &ConfigArgs, registry: &Registry) -> Result<()> {
    print(&crate::cli::renamed(&super::configuration(args, registry)?.to_toml()))
}
