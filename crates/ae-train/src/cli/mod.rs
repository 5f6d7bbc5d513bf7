//! The command line, for `ae` and for programs with parts of their own.
//!
//! ```no_run
//! fn main() -> std::process::ExitCode {
//!     ae_train::cli::run(ae_model::Registry::default())
//! }
//! ```

mod args;
mod bar;
mod chart;
mod commands;
mod devices;
mod entry;
mod glossary;
mod json;
#[cfg(feature = "remote")]
mod launcher;
#[cfg(feature = "remote")]
mod listening;
mod log;
mod many;
mod output;
#[cfg(feature = "remote")]
mod peers;
mod printable;
mod signals;
mod table;
mod terminal;
mod version;

use std::{io, path::Path, process::ExitCode, sync::Arc};

use ae_model::Registry;
use clap::{
    ArgMatches, Args, Command, FromArgMatches, builder::styling::Styles, error::ErrorKind, parser::ValueSource,
};

use crate::{
    fields,
    reporter::{Reporter, heard},
};
use args::OutputArgs;
use commands::train;
use entry::{Entry, Group, examples, styled};
use output::{detail, has_color, say};
use terminal::Terminal;

/// Fields of a configuration that have a flag of another name.
const NAMED_OTHERWISE: &[(&str, &str)] =
    &[("data", "data.source"), ("code_dim", "model.code_dim"), ("epochs", "training.epochs")];

/// What can be done without a command.
const EXAMPLES: &[(&str, &str)] = &[
    ("ae", "train the default on handwritten digits: a result beside PCA, and a report"),
    ("ae -d customers.csv -l churned", "train it on your own table"),
    ("ae compare --variants undercomplete,denoising --epochs 10", "several variants side by side"),
    ("ae explain fvu", "what a figure or a setting means"),
];

/// Reads the arguments of this program and does what they ask for, with the parts of the registry: every command of
/// `ae`. The exit status is 0, 1 if something failed, 2 for arguments that cannot be used, and 130 if it was
/// interrupted.
///
/// It takes over signals, panics and standard error of the process, and is to be called once, by `main`.
pub fn run(registry: Registry) -> ExitCode {
    output::choose_color(std::env::args_os());
    let entries = commands::all();
    let mut command = command(&registry, &entries);
    let parsed = command.try_get_matches_from_mut(std::env::args_os());
    let matches = match parsed.and_then(|matches| checked(&mut command, matches)) {
        Ok(matches) => matches,
        Err(error) => return show(&error),
    };
    output::configure(&OutputArgs::from_arg_matches(&matches).unwrap_or_default());
    let work = || {
        let entry = |name| entries.iter().find(|entry| entry.name == name).expect("clap knows no other command");
        match matches.subcommand() {
            Some((name, matches)) => {
                if name != "train" {
                    log::show();
                }
                entry(name).run(matches, &registry)
            }
            None => entry("train").run(&matches, &registry),
        }
    };
    let work = || heard(&(Arc::new(Terminal::default()) as Arc<dyn Reporter>), work);
    let done = signals::watch().and_then(|()| signals::guarded(work));
    output::end();
    match done {
        Ok(()) => {
            detail("done");
            ExitCode::SUCCESS
        }
        Err(error) => {
            say(&format!("error: {error}"));
            ExitCode::from(error.exit_code())
        }
    }
}

/// What clap says instead of arguments: help, the version, or what is wrong, as it says it.
fn show(error: &clap::Error) -> ExitCode {
    let text = error.render();
    let text = |has_color| renamed(&if has_color { text.ansi().to_string() } else { text.to_string() });
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        let _ = output::print_as_it_is(&text(has_color(&io::stdout())));
        return ExitCode::SUCCESS;
    }
    let text = text(has_color(&io::stderr()));
    text.trim_end().lines().for_each(output::write_line);
    ExitCode::from(2)
}

/// The arguments of a training are those of the program, too, but not in front of another command.
fn checked(command: &mut Command, matches: ArgMatches) -> clap::error::Result<ArgMatches> {
    let Some(name) = matches.subcommand_name().map(str::to_string) else { return Ok(matches) };
    let is_said = |arg: &&clap::Arg| {
        !arg.is_global_set()
            && matches.try_contains_id(arg.get_id().as_str()).unwrap_or_default()
            && matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine)
    };
    let before = command.get_arguments().find(is_said).and_then(clap::Arg::get_long).map(str::to_string);
    match before {
        None => Ok(matches),
        Some(option) => {
            let advice = format!("the option `--{option}` stands in front of the command `{name}`: put it behind it");
            Err(command.error(ErrorKind::ArgumentConflict, advice))
        }
    }
}

/// What clap reads, named as the program is; a flag that sets a field of the configuration is explained as the field
/// is.
fn command(registry: &Registry, entries: &[Entry]) -> Command {
    let fields = fields::fields(registry);
    let explained = |arg: clap::Arg| {
        // Clap's own have none yet, and get theirs when they are added.
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
    let of_training = train::augment(Command::new(program())).mut_args(explained).mut_args(|arg| arg.hide(true));
    OutputArgs::augment_args(of_training)
        .about("Autoencoders for Burn: train one and see what it learned")
        .long_about(None)
        .version(version::VERSION)
        .long_version(version::long())
        .subcommands(entries.iter().map(|entry| entry.command().mut_args(explained)))
        .help_template(overview(entries))
        .after_help(examples(EXAMPLES))
}

/// The help of the program: its commands by what they are for.
fn overview(entries: &[Entry]) -> String {
    let styles = Styles::styled();
    let mut text = "{about-with-newline}\n{usage-heading} {usage}\n".to_string();
    for (group, heading) in Group::SHOWN {
        text += &format!("\n{}\n", styled(styles.get_header(), &format!("{heading}:")));
        for entry in entries.iter().filter(|entry| entry.group == group) {
            text += &format!("  {}  {}\n", styled(styles.get_literal(), &format!("{:<12}", entry.name)), entry.about);
        }
    }
    text += "\nWithout a command, a model is trained: the options of `ae train` can follow `ae`.\n\
             `ae help COMMAND` explains a command.\n\n";
    text += &format!("{}\n{{options}}{{after-help}}", styled(styles.get_header(), "Options:"));
    text
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Every command with its examples, as they are printed.
    fn help() -> Vec<(String, String)> {
        // Wide enough for the name of the test program, which is in every example.
        let command = command(&Registry::default(), &commands::all());
        let visible = command.get_subcommands().filter(|command| !command.is_hide_set());
        visible
            .map(|command| (command.get_name().to_string(), command.clone().term_width(400).render_help().to_string()))
            .collect()
    }

    #[test]
    fn every_argument_of_every_command_is_explained() {
        fn check(command: &clap::Command) {
            for arg in command.get_arguments() {
                assert!(arg.get_help().is_some(), "{}: {}", command.get_name(), arg.get_id());
            }
            command.get_subcommands().for_each(check);
        }
        check(&command(&Registry::default(), &commands::all()));
    }

    #[test]
    fn short_options_mean_the_same_everywhere() {
        let command = command(&Registry::default(), &commands::all());
        let mut known: std::collections::BTreeMap<char, String> = Default::default();
        for arg in command.get_subcommands().flat_map(clap::Command::get_arguments) {
            if let (Some(short), Some(long)) = (arg.get_short(), arg.get_long()) {
                let before = known.entry(short).or_insert_with(|| long.to_string());
                assert_eq!(before, long, "-{short}");
            }
        }
        assert!(known.len() > 5);
    }

    #[test]
    fn every_example_can_be_typed() {
        let program = program();
        for (name, help) in help() {
            let (_, examples) = help.split_once("Examples:").unwrap_or_default();
            let lines = examples.lines().filter(|line| line.starts_with(&format!("  {program}")));
            let lines: Vec<&str> = lines.map(str::trim).collect();
            let own = format!("{program} {name}");
            assert!(lines.iter().any(|line| line.starts_with(&own)), "{name} has no example:\n{help}");
            for line in lines {
                let typed = line.split('>').next().unwrap_or_default().split_whitespace();
                let read = command(&Registry::default(), &commands::all()).try_get_matches_from(typed);
                assert!(read.is_ok(), "{line}: {}", read.unwrap_err());
            }
        }
    }

    #[test]
    fn the_overview_has_every_command_once() {
        let entries = commands::all();
        let overview = command(&Registry::default(), &entries).render_help().to_string();
        for entry in entries.iter().filter(|entry| entry.group != Group::Hidden) {
            assert!(overview.matches(&format!("\n  {} ", entry.name)).count() == 1, "{}:\n{overview}", entry.name);
        }
        assert!(!overview.contains("--code-dim") && overview.contains("--quiet"), "{overview}");
    }

    #[test]
    fn an_option_of_a_training_in_front_of_a_command_is_refused_with_advice() {
        let mut command = command(&Registry::default(), &commands::all());
        let mut read = |args: &[&str]| {
            let matches = command.try_get_matches_from_mut(args).unwrap();
            checked(&mut command, matches).map(drop).map_err(|error| error.to_string())
        };
        assert!(read(&["ae", "-e", "3", "variants"]).unwrap_err().contains("`--epochs` stands in front"));
        assert_eq!(read(&["ae", "-q", "train", "-e", "3"]), Ok(()));
        assert_eq!(read(&["ae", "variants", "--verbose"]), Ok(()));
        assert_eq!(read(&["ae", "-e", "3"]), Ok(()));
    }
}
