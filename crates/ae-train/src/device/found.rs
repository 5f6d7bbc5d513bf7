//! Devices, and opening them.

use std::sync::{Mutex, PoisonError};

use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Whether a backend that needs a GPU and its driver was built in.
pub const HAS_GPU_BACKENDS: bool = cfg!(any(feature = "wgpu", feature = "cuda", feature = "rocm"));

/// A device that `--device` can name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// Name for `--device`: a backend, or `backend:index` for further devices of it.
    pub name: String,
    /// Name of the hardware.
    pub title: String,
    /// The interface to it: `CPU`, `Vulkan`, `Metal`, `DirectX 12`, `OpenGL`, `CUDA`, `ROCm`.
    pub api: String,
    /// The driver and its version; empty if unknown.
    pub driver: String,
    /// Memory in bytes; none if unknown.
    pub memory: Option<u64>,
    /// Whether it is a software implementation of a GPU that runs on the CPU.
    pub software: bool,
    /// Why Burn cannot use it; none if it can be used, as far as is known.
    pub problem: Option<String>,
    pub(super) place: Place,
}

/// How to open the device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Place {
    /// A CPU backend.
    Cpu,
    /// A device of a backend, by its index.
    Index(usize),
    /// An adapter of a kind, by its index among those of the same interface.
    Adapter { kind: String, index: usize },
    /// A device of another machine: its address, and its index among those that are served there.
    Remote { address: String, index: usize },
}

/// An event while [`find`](super::find()) looks for devices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Finding {
    /// The drivers of this interface are queried next.
    Asking(String),
    /// They have this device.
    Found(Found),
}

/// An opened device.
#[derive(Debug, Clone)]
pub struct Available {
    /// Its name for `--device`.
    pub name: String,
    /// The device.
    pub device: Device,
}

/// Devices that have been opened: the runtime of a GPU is set up once per process.
static OPENED: Mutex<Vec<(Found, Device)>> = Mutex::new(Vec::new());

impl Found {
    #[cfg_attr(not(any(feature = "flex", feature = "ndarray")), expect(dead_code))]
    pub(super) fn cpu(name: &str) -> Self {
        Self {
            name: name.to_string(),
            title: "the processor".to_string(),
            api: "CPU".to_string(),
            driver: String::new(),
            memory: None,
            software: false,
            problem: None,
            place: Place::Cpu,
        }
    }

    /// A device that `ae worker` serves: `ws://HOST:PORT` or `iroh://ID@HOST:PORT`, with `#INDEX` for another one than
    /// its first. `None` if the name is none.
    pub fn remote(name: &str) -> Option<Self> {
        let (address, index) = match name.split_once('#') {
            Some((address, index)) => (address, index.parse().ok()?),
            None => (name, 0),
        };
        let place = Place::Remote { address: address.to_string(), index };
        ["ws://", "iroh://"].iter().any(|scheme| name.starts_with(scheme)).then(|| Self {
            name: name.to_string(),
            title: address.to_string(),
            api: "remote".to_string(),
            driver: String::new(),
            memory: None,
            software: false,
            problem: None,
            place,
        })
    }

    /// Whether it is on another machine.
    pub fn is_remote(&self) -> bool {
        matches!(self.place, Place::Remote { .. })
    }

    /// Whether it needs a GPU's driver.
    pub fn is_gpu(&self) -> bool {
        !matches!(self.place, Place::Cpu | Place::Remote { .. })
    }

    /// Name of its backend.
    pub(super) fn backend(&self) -> &str {
        self.name.split(':').next().unwrap_or(&self.name)
    }

    /// Whether `name` selects it, possibly among others.
    pub(super) fn answers_to(&self, name: &str) -> bool {
        match (&self.place, name) {
            (Place::Adapter { .. }, "wgpu") => true,
            (Place::Adapter { .. }, "vulkan") => self.api == "Vulkan",
            (Place::Adapter { .. }, "metal") => self.api == "Metal",
            (Place::Adapter { .. }, "dx12") => self.api == "DirectX 12",
            _ => self.name == name,
        }
    }

    /// A description for messages, such as `llvmpipe (Vulkan)`.
    pub fn describe(&self) -> String {
        format!("{} ({})", self.title, self.api)
    }

    pub(super) fn slowness(&self) -> Option<String> {
        self.software.then(|| {
            format!(
                "{} is a software adapter that computes on the CPU: `--device flex` is about 20 times as fast",
                self.describe()
            )
        })
    }

    /// Opens the device.
    ///
    /// # Errors
    /// A driver that refuses.
    pub fn open(&self) -> Result<Available> {
        let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
        let known = opened
            .iter()
            .find(|(found, _)| found.place == self.place && found.api == self.api && found.backend() == self.backend());
        let device = match known {
            Some((_, device)) => device.clone(),
            None => {
                let device = self.device()?;
                opened.push((self.clone(), device.clone()));
                device
            }
        };
        Ok(Available { name: self.name.clone(), device })
    }

    fn device(&self) -> Result<Device> {
        if cfg!(not(feature = "remote")) && self.is_remote() {
            return Err(Error::Usage(format!("`--device {}` needs a program with the feature `remote`", self.name)));
        }
        match (&self.place, self.backend()) {
            #[cfg(feature = "flex")]
            (Place::Cpu, "flex") => Ok(Device::flex()),
            #[cfg(feature = "ndarray")]
            #[expect(
                deprecated,
                reason = "upstream drops the backend in its next version; until then it can be chosen"
            )]
            (Place::Cpu, "ndarray") => Ok(Device::ndarray()),
            #[cfg(feature = "cuda")]
            (Place::Index(index), "cuda") => Ok(Device::cuda(*index)),
            #[cfg(feature = "rocm")]
            (Place::Index(index), "rocm") => Ok(Device::rocm(*index)),
            #[cfg(feature = "wgpu")]
            (Place::Adapter { kind, index }, _) => {
                super::open_adapter::open(&self.api, kind, *index).map_err(|reason| {
                    Error::Failed(format!("`--device {}`, {}, cannot be opened: {reason}", self.name, self.describe()))
                })
            }
            #[cfg(feature = "remote")]
            (Place::Remote { address, index }, _) => crate::remote::device(address, *index),
            _ => Err(Error::Failed(format!("this program was built without the backend of `--device {}`", self.name))),
        }
    }

    /// Opens the device and runs a small computation, forward and backward.
    ///
    /// # Errors
    /// A device that fails, or whose result is wrong.
    ///
    /// # Panics
    /// If the backend panics.
    pub fn test(&self) -> Result<()> {
        let wrong = |what: String| Error::Failed(format!("{} {what}", self.describe()));
        let device = self.open()?.device.autodiff();
        let x = Tensor::<2>::from_floats([[1.0, -2.0, 3.0], [0.5, 0.25, -1.0]], &device).require_grad();
        let sums = (x.clone() * x.clone() + 1.0).sum_dim(1); // [2, 1]
        let gradient = x.grad(&sums.clone().sum().backward()).ok_or_else(|| wrong("gives no gradient".to_string()))?;
        let found: Vec<f32> = [sums.try_into_data(), gradient.try_into_data()]
            .into_iter()
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(|error| wrong(format!("fails: {error}")))?
            .iter()
            .flat_map(|data| data.iter::<f32>().collect::<Vec<_>>())
            .collect();
        let expected = [17.0, 4.3125, 2.0, -4.0, 6.0, 1.0, 0.5, -2.0];
        match found.len() == expected.len()
            && found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-4)
        {
            true => Ok(()),
            false => Err(wrong(format!("computes wrongly: {found:?} instead of {expected:?}"))),
        }
    }
}

/// The CPU backends, which need no driver.
pub fn found_cpu() -> Vec<Found> {
    vec![
        #[cfg(feature = "flex")]
        Found::cpu("flex"),
        #[cfg(feature = "ndarray")]
        Found::cpu("ndarray"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_backends_pass_their_test() {
        for found in found_cpu() {
            found.test().unwrap();
        }
    }
}
