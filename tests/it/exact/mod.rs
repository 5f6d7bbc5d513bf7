//! Data is read and written exactly: untouched cells, keys, dates, types and rows stay the same, and files are read as
//! people and programs write them.

mod arrays;
mod carried;
mod imputing;
mod rows;
mod tables;
mod text_files;

use std::path::Path;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::{ae, text};

/// Settings for a quick training of a small model.
const QUICK: [&str; 6] = ["--epochs", "1", "--set", "model.network.hidden=[8]", "--code-dim", "1"];

fn train(here: &Path, data: &str, out: &str, more: &[&str]) -> String {
    let output = ae(here, &[&["train", "--data", data, "--out", out][..], &QUICK, more].concat());
    assert!(output.status.success(), "{data}: {}", text(&output.stderr));
    text(&output.stderr)
}

/// Standard output and standard error of a command that succeeds.
fn both(here: &Path, args: &[&str]) -> (String, String) {
    let output = ae(here, args);
    assert!(output.status.success(), "ae {args:?}: {}", text(&output.stderr));
    (text(&output.stdout), text(&output.stderr))
}

fn refused(here: &Path, args: &[&str], parts: &[&str]) {
    let output = ae(here, args);
    let said = text(&output.stderr);
    let errors: Vec<_> = said.lines().filter(|line| line.starts_with("error: ")).collect();
    assert!(!output.status.success() && errors.len() == 1, "ae {args:?}: {said}");
    assert!(parts.iter().all(|part| errors[0].contains(part)), "ae {args:?}: {parts:?} not in {said}");
}

/// A random number with three decimals.
fn number(random: &mut ChaCha8Rng) -> f64 {
    f64::from(random.random_range(-5000..5000)) / 1000.0
}
