//! The workspace's integration tests: one binary, so that Burn is linked once.

mod apply;
mod cli;
mod conformance;
mod dictionary_files;
mod errors;
mod exact;
mod fixtures;
mod formats;
mod gaussian;
mod golden;
#[cfg(unix)]
mod guide;
mod hostile;
mod known_features;
mod library;
mod own_parts;
mod page;
mod saelens;
mod training;
mod transcoders;

use std::{
    path::Path,
    process::{Command, Output},
};

/// Runs `ae` in `folder`.
fn ae(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ae")).args(args).current_dir(folder).output().expect("ae can be started")
}

/// Runs an ignored test in a separate process and returns what it printed. The initial weights of a model are drawn by
/// Burn's generator, which all threads of a process share, and other tests use it at the same time.
fn in_its_own_process(folder: &Path, test: &str) -> [String; 2] {
    let command = &mut Command::new(std::env::current_exe().unwrap());
    let output =
        command.args(["--exact", test, "--ignored", "--nocapture", "-q"]).current_dir(folder).output().unwrap();
    let printed = [text(&output.stdout), text(&output.stderr)];
    assert!(output.status.success() && printed[0].contains("1 passed"), "{}{}", printed[0], printed[1]);
    printed
}

/// The output of a finished process as a string.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs `ae` and expects it to succeed.
fn ae_ok(folder: &Path, args: &[&str]) -> String {
    let output = ae(folder, args);
    assert!(output.status.success(), "ae {args:?} failed:\n{}", text(&output.stderr));
    text(&output.stdout)
}
