//! `ae probe`, which `ae` calls itself: looks for devices, or tests one, in a process that may crash or hang in a
//! driver.

use ae_model::Registry;
use clap::Args;

use crate::{
    Error, Result,
    cli::{
        entry::{Entry, Group},
        output::print,
    },
    device::{self, Finding, Found},
};

/// What to look for.
#[derive(Debug, Clone, Args)]
pub struct ProbeArgs {
    /// Device to test, as `ae` says it to itself.
    #[arg(value_name = "JSON")]
    pub device: Option<String>,
}

/// The command.
pub fn entry() -> Entry {
    Entry::new(Group::Hidden, "probe", "Look for devices, or test one, and be allowed to crash", &[], run)
}

/// Prints every finding as a line of JSON, or nothing if the device passes its test.
fn run(args: &ProbeArgs, _: &Registry) -> Result<()> {
    if let Some(device) = &args.device {
        let found: Found = serde_json::from_str(device).map_err(|error| Error::Usage(format!("no device: {error}")))?;
        return found.test();
    }
    let mut result = Ok(());
    device::find(|finding: Finding| {
        let line = serde_json::to_string(&finding).expect("a finding is JSON");
        if let Err(error) = print(&format!("{line}\n")) {
            result = Err(error);
        }
    });
    result
}
