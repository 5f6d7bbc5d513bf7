//! Devices by name. Only this folder knows which backends were built in.
//!
//! [`found`] lists the devices of the machine, [`choose`] selects one by name, and [`Found::open`] opens it as a Burn
//! [`Device`]. Looking for hardware runs code of its drivers, and a driver can crash or hang. A program that must
//! survive this calls [`find`] and [`Found::test`] in a separate process, as `ae` does, and passes the results to
//! [`choose`].

#[cfg(feature = "wgpu")]
mod adapters;
mod choose;
mod find;
mod found;
#[cfg(feature = "wgpu")]
mod open_adapter;

use burn::tensor::Device;

use crate::Result;

pub use self::{
    choose::{Choice, choose},
    find::{arranged, find, found},
    found::{Available, Finding, Found, HAS_GPU_BACKENDS, found_cpu},
};

/// Every device that can be opened, as in [`found`]. Runs drivers in this process.
pub fn available() -> Vec<Available> {
    found().iter().filter(|found| found.problem.is_none()).filter_map(|found| found.open().ok()).collect()
}

/// Opens the device called `name` (see [`choose`]). Runs drivers in this process and trusts what they report.
///
/// # Errors
/// As [`choose`] and [`Found::open`].
pub fn open(name: &str) -> Result<Available> {
    let cpu = if name == "auto" && HAS_GPU_BACKENDS { None } else { open_cpu(name) };
    cpu.unwrap_or_else(|| choose(&found(), name, |_| Ok(()))?.found.open())
}

/// Opens the CPU backend called `name`, or the first one for `auto`; none if no such backend was built in. Queries no
/// driver.
pub fn open_cpu(name: &str) -> Option<Result<Available>> {
    let found = found_cpu().into_iter().find(|found| name == "auto" || found.name == name)?;
    Some(found.open())
}

/// The device for everything after training: the CPU, where results are available immediately. It is `trained_on` if no
/// CPU backend was built in, or if a model with this many parameters does not fit into free memory.
pub fn for_results(trained_on: &Device, parameters: usize) -> Device {
    // The weights, and as much again for intermediate results.
    let fits = crate::estimate::available_memory().is_none_or(|free| 8 * parameters as u64 <= free);
    match open_cpu("auto").filter(|_| fits) {
        Some(Ok(cpu)) => cpu.device,
        _ => trained_on.clone(),
    }
}

/// Whether a device computes synchronously, so that reading a result costs nothing more.
pub fn is_cpu(device: &Device) -> bool {
    let device = device.clone().inner();
    found_cpu().iter().any(|cpu| cpu.open().is_ok_and(|cpu| cpu.device == device))
}

/// The name of a device in a result.
pub(crate) fn name_of(device: &Device) -> String {
    let device = device.clone().inner();
    let cpu = found_cpu().into_iter().find(|cpu| cpu.open().is_ok_and(|cpu| cpu.device == device));
    cpu.map_or_else(|| format!("{device:?}"), |cpu| cpu.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_device_lists_the_known_ones() {
        let error = open("abacus").unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let message = error.to_string();
        assert!(available().iter().all(|device| message.contains(&device.name)), "{message}");
    }
}
