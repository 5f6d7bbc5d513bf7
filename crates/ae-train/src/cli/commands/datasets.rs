//! `ae datasets`: what is known by name.

use ae_data::BUILTIN;
use ae_model::Registry;
use clap::Args;
use serde_json::json;

use crate::{
    Result,
    cli::{
        entry::{Entry, Group},
        json::document,
        output::print,
    },
};

/// What to print.
#[derive(Debug, Clone, Args)]
pub struct DatasetsArgs {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// The command.
pub fn entry() -> Entry {
    let examples =
        &[("ae datasets", "every data set that has a name"), ("ae data fashion-mini", "what one of them holds")];
    Entry::new(Group::LookUp, "datasets", "List the built-in data sets", examples, run)
}

/// Lists the built-in sets.
fn run(args: &DatasetsArgs, _: &Registry) -> Result<()> {
    if args.json {
        let sets = BUILTIN.iter().map(
            |set| json!({ "name": set.name, "about": set.about, "license": set.licence, "is_built_in": set.embedded }),
        );
        return document(&sets.collect::<Vec<_>>());
    }
    let mut text = String::new();
    for set in BUILTIN {
        let place = if set.embedded { "built in" } else { "fetched on first use" };
        text.push_str(&format!("{}\n    {}\n    {}; {place}\n", set.name, set.about, set.license));
    }
    text.push_str(
        "Or a path: a file or a folder of any format that is read, or a folder of IDX files with MNIST's names.\n",
    );
    print(&text)
}
