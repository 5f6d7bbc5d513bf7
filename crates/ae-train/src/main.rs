//! `ae`: parse, run, exit code.

mod cli;
mod commands;
mod devices;
mod ending;
mod output;

use std::process::ExitCode;

use clap::{Parser, error::ErrorKind};
use output::say;

#[global_allocator]
static ALLOCATOR: ae_train::allocator::Allocator = ae_train::allocator::Allocator;

fn main() -> ExitCode {
    ae_train::allocator::keep_freed_memory();
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            say(&one_line(&error.to_string()));
            return ExitCode::from(2);
        }
    };
    ae_data::progress::report_to(|what, done, of| say(&format!("{what}: {done} of {of} ({}%)", 100 * done / of.max(1))));
    match ending::watch().and_then(|()| ending::guarded(|| commands::run(cli))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error}"));
            ExitCode::from(error.exit_code())
        }
    }
}

/// Clap's message without its usage text: what is wrong, and its tips.
fn one_line(message: &str) -> String {
    let lines = message.lines().map(str::trim).filter(|line| !line.is_empty());
    let said: Vec<_> = lines.take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information")).collect();
    format!("{} (see `ae --help`)", said.join("; "))
}
