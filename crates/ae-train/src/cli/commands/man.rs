//! `ae man`: a manual page for each command.

use std::{fs, path::PathBuf};

use ae_model::Registry;
use clap::{Args, ValueHint};

use crate::{
    Error, Result,
    cli::{
        self,
        entry::{Entry, Group},
        output::print,
    },
};

/// Where to.
#[derive(Debug, Clone, Args)]
pub struct ManArgs {
    /// Folder to write to.
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub folder: PathBuf,
}

/// The command.
pub fn entry() -> Entry {
    let examples = &[
        ("ae man man1", "write man1/ae.1, man1/ae-train.1 and so on"),
        ("ae man ~/.local/share/man/man1", "where `man ae-train` finds them"),
    ];
    Entry::new(Group::Shell, "man", "Write a manual page for each command", examples, run)
}

/// Writes the pages.
fn run(args: &ManArgs, registry: &Registry) -> Result<()> {
    let folder = &args.folder;
    fs::create_dir_all(folder).map_err(|error| Error::at("create", folder, error))?;
    let command = cli::command(registry, &super::all());
    clap_mangen::generate_to(command, folder).map_err(|error| Error::at("write to", folder, error))?;
    let pages = fs::read_dir(folder).map_err(|error| Error::at("read", folder, error))?;
    let prefix = cli::program();
    let own = pages.flatten().filter(|page| page.file_name().to_string_lossy().starts_with(&prefix)).count();
    print(&format!("{}: {own} manual pages\n", folder.display()))
}
