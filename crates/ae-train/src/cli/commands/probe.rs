//! `ae probe`, which `ae` calls itself: looks for devices, or tests one, in a process that may crash or hang in a
//! driver.

use crate::{
    Error, Result,
    device::{self, Finding, Found},
};

use crate::cli::{args::ProbeArgs, output::print};

/// Prints every finding as a line of JSON, or nothing if the device passes its test.
pub fn run(args: &ProbeArgs) -> Result<()> {
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
