//! `ae variants`: what can be trained.

use crate::{Result, config::DEFAULT_VARIANT};
use ae_model::VARIANTS;

use crate::cli::output::print;

/// Lists the variants.
pub fn run() -> Result<()> {
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
