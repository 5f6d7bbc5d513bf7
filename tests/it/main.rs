//! The workspace's integration tests: one binary, so that Burn is linked once.

mod apply;
mod conformance;
mod errors;
mod exact;
mod fixtures;
mod formats;
mod gaussian;
mod golden;
mod hostile;
mod library;
mod own_parts;
mod training;

use std::{
    path::Path,
    process::{Command, Output},
};

/// Runs `ae` in `folder`.
fn ae(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ae")).args(args).current_dir(folder).output().expect("ae can be started")
}

/// What a finished process printed, as text.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs `ae` and expects it to succeed.
fn ae_ok(folder: &Path, args: &[&str]) -> String {
    let output = ae(folder, args);
    assert!(output.status.success(), "ae {args:?} failed:\n{}", text(&output.stderr));
    text(&output.stdout)
}
