//! `ae variants`: what can be trained.

use ae_model::{Registry, VARIANTS};
use clap::Args;
use serde_json::json;

use crate::{
    Result,
    cli::{
        entry::{Entry, Group},
        json::document,
        output::print,
    },
    config::DEFAULT_VARIANT,
};

/// What to print.
#[derive(Debug, Clone, Args)]
pub struct VariantsArgs {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// The command.
pub fn entry() -> Entry {
    let examples = &[
        ("ae variants", "every variant with its idea, formula and paper"),
        ("ae train --variant denoising --epochs 20", "train one of them"),
    ];
    Entry::new(Group::LookUp, "variants", "List the variants that can be trained", examples, run)
}

/// Lists the variants.
fn run(args: &VariantsArgs, _: &Registry) -> Result<()> {
    if args.json {
        let variants = VARIANTS.iter().map(|variant| {
            json!({
                "name": variant.name,
                "is_default": variant.name == DEFAULT_VARIANT,
                "idea": variant.idea,
                "formula": variant.formula,
                "reference": variant.reference,
            })
        });
        return document(&variants.collect::<Vec<_>>());
    }
    let mut text = String::new();
    for variant in VARIANTS {
        let default = if variant.name == DEFAULT_VARIANT { " (default)" } else { "" };
        text.push_str(&format!(
            "{}{default}\n    {}\n    {}\n    {}\n",
            variant.name, variant.idea, variant.formula, variant.reference
        ));
    }
    print(&text)
}
