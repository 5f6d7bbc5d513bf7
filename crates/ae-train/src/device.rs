//! Devices by name: the only file that knows which backends were built in.

use burn::tensor::{Device, DeviceType};

use crate::{Error, Result};

/// A backend that was built in.
struct Backend {
    name: &'static str,
    kind: DeviceType,
}

/// What was built in, the fastest kind first.
fn backends() -> Vec<Backend> {
    vec![
        #[cfg(feature = "cuda")]
        Backend { name: "cuda", kind: DeviceType::Cuda },
        #[cfg(feature = "rocm")]
        Backend { name: "rocm", kind: DeviceType::Rocm },
        #[cfg(feature = "metal")]
        Backend { name: "metal", kind: DeviceType::Metal },
        #[cfg(feature = "vulkan")]
        Backend { name: "vulkan", kind: DeviceType::Vulkan },
        #[cfg(feature = "wgpu")]
        Backend { name: "wgpu", kind: DeviceType::Wgpu },
        #[cfg(feature = "flex")]
        Backend { name: "flex", kind: DeviceType::Flex },
        #[cfg(feature = "ndarray")]
        Backend { name: "ndarray", kind: DeviceType::NdArray },
    ]
}

/// A device that can be asked for.
#[derive(Debug, Clone)]
pub struct Available {
    /// What to pass to `--device`: a backend, or `backend:index` for a further device of it.
    pub name: String,
    /// The device.
    pub device: Device,
}

/// Every device of every backend that was built in, the fastest kind first.
pub fn available() -> Vec<Available> {
    let mut found = Vec::new();
    for backend in backends() {
        // A driver that is missing makes some backends panic while they look for hardware; there is then no device to offer.
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let devices = std::panic::catch_unwind(|| Device::enumerate(backend.kind).into_iter().collect::<Vec<_>>());
        std::panic::set_hook(hook);
        for (index, device) in devices.unwrap_or_default().into_iter().enumerate() {
            let name = if index == 0 { backend.name.to_string() } else { format!("{}:{index}", backend.name) };
            found.push(Available { name, device });
        }
    }
    found
}

/// The device called `name`; `auto` is the fastest kind that is there.
///
/// # Errors
/// A device that is not there: the message lists those that are.
pub fn open(name: &str) -> Result<Available> {
    let devices = available();
    let names: Vec<_> = devices.iter().map(|device| device.name.clone()).collect();
    let wanted = name.strip_suffix(":0").unwrap_or(name);
    devices.into_iter().find(|device| name == "auto" || device.name == wanted).ok_or_else(|| {
        let names = if names.is_empty() { "none".to_string() } else { names.join(", ") };
        Error::Usage(format!(
            "device `{name}` is not available here; available: {names} (other backends are built in with `--features wgpu`, `vulkan`, `metal`, \
             `cuda`, `rocm` or `ndarray`)"
        ))
    })
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
