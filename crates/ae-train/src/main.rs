//! `ae`: the command line with the parts of this project.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: ae_train::allocator::Allocator = ae_train::allocator::Allocator;

fn main() -> ExitCode {
    ae_train::allocator::keep_freed_memory();
    ae_train::cli::run(ae_model::Registry::default())
}
