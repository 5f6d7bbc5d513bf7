//! `ae datasets`: what is known by name.

use crate::Result;
use ae_data::BUILTIN;

use crate::cli::output::print;

/// Lists the built-in sets.
pub fn run() -> Result<()> {
    let mut text = String::new();
    for set in BUILTIN {
        let place = if set.embedded { "built in" } else { "fetched on first use" };
        text.push_str(&format!("{}\n    {}\n    {}; {place}\n", set.name, set.about, set.license));
    }
    text.push_str("Or a path: an IDX file, or a folder of IDX files with the names of MNIST.\n");
    print(&text)
}
