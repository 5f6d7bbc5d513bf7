//! `ae completions`: what a shell needs to complete commands.

use ae_model::{Registry, VARIANTS};
use clap::{Args, builder::PossibleValuesParser};
use clap_complete::Shell;

use crate::{
    Result,
    cli::{
        self,
        entry::{Entry, Group},
        output::print_as_it_is,
    },
};

/// For which shell.
#[derive(Debug, Clone, Args)]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: Shell,
}

/// The command.
pub fn entry() -> Entry {
    let examples = &[
        ("ae completions bash > ~/.local/share/bash-completion/completions/ae", "for bash"),
        ("ae completions zsh > ~/.zfunc/_ae", "for zsh, with `fpath+=~/.zfunc` above `compinit` in ~/.zshrc"),
        ("ae completions fish > ~/.config/fish/completions/ae.fish", "for fish"),
    ];
    let about = "Print a script that completes commands, options, variants and paths in a shell";
    Entry::new(Group::Shell, "completions", about, examples, run)
}

/// Prints the script.
fn run(args: &CompletionsArgs, registry: &Registry) -> Result<()> {
    let variants = || PossibleValuesParser::new(VARIANTS.iter().map(|variant| variant.name));
    let named = move |arg: clap::Arg| match arg.get_id().as_str() {
        "variant" | "variants" => arg.value_parser(variants()),
        _ => arg,
    };
    let entries = super::all();
    let command = cli::command(registry, &entries);
    let mut command = command.mut_args(named).mut_subcommands(|command| command.mut_args(named));
    let name = cli::program();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    print_as_it_is(&script)
}
