//! The command line, for `ae` and for programs with parts of their own.
//!
//! ```no_run
//! fn main() -> std::process::ExitCode {
//!     ae_train::cli::run(ae_model::Registry::default())
//! }
//! ```

mod args;
mod commands;
mod devices;
mod log;
mod output;
mod signals;
mod terminal;

use std::{path::Path, process::ExitCode, sync::Arc};

use ae_model::Registry;
use clap::{CommandFactory, FromArgMatches, error::ErrorKind};

use crate::{
    fields,
    reporter::{Reporter, heard},
};
use output::say;
use terminal::Terminal;

/// Fields of a configuration that have a flag of another name.
const NAMED_OTHERWISE: &[(&str, &str)] =
    &[("data", "data.source"), ("code_dim", "model.code_dim"), ("epochs", "training.epochs")];

/// Reads the arguments of this program and does what they ask for, with the parts of the registry: every command of
/// `ae`. The exit status is 0, 1 if something failed, 2 for arguments that cannot be used, and 130 if it was
/// interrupted.
///
/// It takes over signals, panics and standard error of the process, and is to be called once, by `main`.
pub fn run(registry: Registry) -> ExitCode {
    let parsed = command(&registry).try_get_matches().and_then(|matches| args::Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            if program() == NAME {
                let _ = error.print();
            } else {
                let _ = output::print(&renamed(&error.to_string()));
            }
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            say(&one_line(&error.to_string()));
            return ExitCode::from(2);
        }
    };
    let work = || heard(&(Arc::new(Terminal::default()) as Arc<dyn Reporter>), || commands::run(cli, &registry));
    match signals::watch().and_then(|()| signals::guarded(work)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error}"));
            ExitCode::from(error.exit_code())
        }
    }
}

/// What clap reads, named as the program is; a flag that sets a field of the configuration is explained as the field
/// is.
fn command(registry: &Registry) -> clap::Command {
    let fields = fields::fields(registry);
    let explained = |arg: clap::Arg| {
        if arg.get_help().is_some() {
            return arg;
        }
        let id = arg.get_id().as_str();
        let path = NAMED_OTHERWISE.iter().find(|(flag, _)| *flag == id).map(|(_, path)| path.to_string());
        let paths = [path.unwrap_or_else(|| id.to_string()), format!("data.{id}"), format!("data.read.{id}")];
        let field = paths.iter().find_map(|path| fields.iter().find(|field| field.path == *path));
        match field {
            Some(field) => arg.help(field.meaning.trim_end_matches('.').to_string()),
            None => arg,
        }
    };
    fn all(command: clap::Command, explained: &dyn Fn(clap::Arg) -> clap::Arg) -> clap::Command {
        command.mut_args(explained).mut_subcommands(|command| all(command, explained))
    }
    all(args::Cli::command(), &explained).name(program())
}

/// The program that messages and documents speak of.
const NAME: &str = "ae";

/// The name of this program.
fn program() -> String {
    let called = std::env::args_os().next();
    let name =
        called.as_deref().and_then(|path| Path::new(path).file_name()).map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_else(|| NAME.to_string());
    name.strip_suffix(std::env::consts::EXE_SUFFIX).map(str::to_string).unwrap_or(name)
}

/// A text in which commands of `ae` are those of this program: it has them all, under its own name.
fn renamed(text: &str) -> String {
    let program = program();
    if program == NAME { text.to_string() } else { text.replace("`ae ", &format!("`{program} ")) }
}

/// Clap's message without its usage text: what is wrong, and its tips.
fn one_line(message: &str) -> String {
    let lines = message.lines().map(str::trim).filter(|line| !line.is_empty());
    let said: Vec<_> =
        lines.take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information")).collect();
    format!("{} (see `ae --help`)", said.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_argument_of_every_command_is_explained() {
        fn check(command: &clap::Command) {
            for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
                assert!(arg.get_help().is_some(), "{}: {}", command.get_name(), arg.get_id());
            }
            command.get_subcommands().for_each(check);
        }
        check(&command(&Registry::default()));
    }
}
