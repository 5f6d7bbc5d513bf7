//! Devices by name. Only this folder knows which backends were built in.
//!
//! [`found`] lists the devices of the machine, [`choose`] selects one by name, and [`Found::open`] opens it as a Burn
//! [`Device`]. Looking for hardware runs code of its drivers, and a driver can crash or hang. A program that must
//! survive this calls [`find`] and [`Found::test`] in a separate process, as `ae` does, and passes the results to
//! [`choose`].

#[cfg(feature = "wgpu")]
mod adapters;

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
    place: Place,
}

/// How to open the device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Place {
    /// A CPU backend.
    Cpu,
    /// A device of a backend, by its index.
    Index(usize),
    /// An adapter of a kind, by its index among those of the same interface.
    Adapter { kind: String, index: usize },
}

/// An event while [`find`] looks for devices.
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

/// A selected device.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The device.
    pub found: Found,
    /// Something a person should know about the choice, in one line.
    pub note: Option<String>,
}

/// Looks for every device of every backend that was built in, CPU backends first, and reports each one. Their names are
/// assigned by [`arranged`], which needs all of them.
pub fn find(mut tell: impl FnMut(Finding)) {
    #[cfg(feature = "flex")]
    tell(Finding::Found(Found::cpu("flex")));
    #[cfg(feature = "ndarray")]
    tell(Finding::Found(Found::cpu("ndarray")));
    #[cfg(feature = "cuda")]
    find_indexed("cuda", "CUDA", burn::tensor::DeviceType::Cuda, &mut tell);
    #[cfg(feature = "rocm")]
    find_indexed("rocm", "ROCm", burn::tensor::DeviceType::Rocm, &mut tell);
    #[cfg(feature = "wgpu")]
    adapters::find(&mut tell);
    let _ = &mut tell;
}

/// The devices of a backend with numbered devices.
#[cfg(any(feature = "cuda", feature = "rocm"))]
fn find_indexed(name: &str, api: &str, kind: burn::tensor::DeviceType, tell: &mut dyn FnMut(Finding)) {
    tell(Finding::Asking(api.to_string()));
    // Without its driver such a backend panics during the search: then it has no devices.
    let count = ae_data::caught::caught(|| Device::enumerate(kind).into_iter().count()).unwrap_or_default();
    for index in 0..count {
        tell(Finding::Found(Found {
            name: name.to_string(),
            title: format!("{api} device {index}"),
            api: api.to_string(),
            driver: String::new(),
            memory: None,
            software: false,
            problem: None,
            place: Place::Index(index),
        }));
    }
}

/// The devices in the order of the list, each with its name: GPUs before software adapters, these before the CPU, and
/// devices that cannot be used last.
pub fn arranged(mut found: Vec<Found>) -> Vec<Found> {
    let rank = |found: &Found| (found.problem.is_some(), !found.is_gpu(), found.software);
    found.sort_by_key(rank);
    for index in 0..found.len() {
        let earlier = found[..index].iter().filter(|other| other.backend() == found[index].backend()).count();
        found[index].name = match earlier {
            0 => found[index].backend().to_string(),
            earlier => format!("{}:{earlier}", found[index].backend()),
        };
    }
    found
}

/// Every device of every backend that was built in, as [`arranged`]. Runs drivers in this process.
pub fn found() -> Vec<Found> {
    let mut all = Vec::new();
    find(|finding| {
        if let Finding::Found(found) = finding {
            all.push(found);
        }
    });
    arranged(all)
}

/// Selects the device called `name` from `found`, which must be [`arranged`]. `auto` is the first GPU that passes
/// `test`, otherwise the CPU; `wgpu`, `vulkan`, `metal` and `dx12` are their first adapter that passes it, a hardware
/// adapter if there is one. `test` returns why a device does not work.
///
/// # Errors
/// An unknown name: the message lists the available devices. A device that does not work: the message says why and what
/// to do.
pub fn choose(
    found: &[Found],
    name: &str,
    mut test: impl FnMut(&Found) -> std::result::Result<(), String>,
) -> Result<Choice> {
    let wanted = name.strip_suffix(":0").unwrap_or(name);
    let is_auto = name == "auto";
    let candidates: Vec<&Found> = match is_auto {
        true => found.iter().filter(|found| found.is_gpu()).collect(),
        false => found.iter().filter(|found| found.name == name || found.answers_to(wanted)).collect(),
    };
    let mut reasons = Vec::new();
    for candidate in &candidates {
        let is_software = is_auto && candidate.software;
        let result = match &candidate.problem {
            Some(problem) => Err(problem.clone()),
            None if is_software => {
                Err(format!("computes on the CPU, and is used only if it is named, as `--device {}`", candidate.name))
            }
            None => test(candidate),
        };
        match result {
            Ok(()) => return Ok(Choice { found: (*candidate).clone(), note: candidate.slowness() }),
            Err(reason) => reasons.push(format!("{} {reason}", candidate.describe())),
        }
    }
    let cpu = found.iter().find(|found| !found.is_gpu());
    let seen = if reasons.is_empty() { "no adapter was found".to_string() } else { reasons.join("; ") };
    match cpu {
        Some(cpu) if is_auto => {
            let note = HAS_GPU_BACKENDS.then(|| format!("no usable GPU ({seen}): computing on {}", cpu.name));
            Ok(Choice { found: cpu.clone(), note })
        }
        _ if !candidates.is_empty() || (HAS_GPU_BACKENDS && (is_auto || ADAPTERS.contains(&wanted))) => {
            let instead = cpu.map(|cpu| format!(", or use `--device {}`", cpu.name)).unwrap_or_default();
            Err(Error::Failed(format!("`--device {name}` cannot be used: {seen}; {INSTALL}{instead}")))
        }
        _ => {
            let names = if found.is_empty() {
                "none".to_string()
            } else {
                found.iter().map(|found| found.name.as_str()).collect::<Vec<_>>().join(", ")
            };
            Err(Error::Usage(format!(
                "device `{name}` is not available here; available: {names} (other backends are built in with \
                 `--features wgpu`, `vulkan`, `metal`, `cuda`, `rocm` or `ndarray`)"
            )))
        }
    }
}

/// Names of backends and interfaces that select an adapter.
const ADAPTERS: [&str; 4] = ["wgpu", "vulkan", "metal", "dx12"];

/// Advice if there is no usable adapter.
const INSTALL: &str = "install the driver of your GPU with Vulkan (NVIDIA's own; for AMD and Intel \
                       `mesa-vulkan-drivers` on Debian, Ubuntu and Fedora)";

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

/// The CPU backends, which need no driver.
pub fn found_cpu() -> Vec<Found> {
    vec![
        #[cfg(feature = "flex")]
        Found::cpu("flex"),
        #[cfg(feature = "ndarray")]
        Found::cpu("ndarray"),
    ]
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

/// Devices that have been opened: the runtime of a GPU is set up once per process.
static OPENED: Mutex<Vec<(Found, Device)>> = Mutex::new(Vec::new());

impl Found {
    #[cfg_attr(not(any(feature = "flex", feature = "ndarray")), expect(dead_code))]
    fn cpu(name: &str) -> Self {
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

    /// Whether it needs a GPU's driver.
    pub fn is_gpu(&self) -> bool {
        self.place != Place::Cpu
    }

    /// Name of its backend.
    fn backend(&self) -> &str {
        self.name.split(':').next().unwrap_or(&self.name)
    }

    /// Whether `name` selects it, possibly among others.
    fn answers_to(&self, name: &str) -> bool {
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

    fn slowness(&self) -> Option<String> {
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
            (Place::Adapter { kind, index }, _) => adapters::open(&self.api, kind, *index).map_err(|reason| {
                Error::Failed(format!("`--device {}`, {}, cannot be opened: {reason}", self.name, self.describe()))
            }),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn gpu(title: &str, api: &str, software: bool, problem: Option<&str>) -> Found {
        Found {
            name: "wgpu".to_string(),
            title: title.to_string(),
            api: api.to_string(),
            software,
            problem: problem.map(str::to_string),
            place: Place::Adapter { kind: "discrete".to_string(), index: 0 },
            ..Found::cpu("flex")
        }
    }

    fn machine() -> Vec<Found> {
        arranged(vec![
            Found::cpu("flex"),
            gpu("GL card", "OpenGL", false, Some("is only available through OpenGL")),
            gpu("lavapipe", "Vulkan", true, None),
            gpu("old card", "Vulkan", false, None),
            gpu("card", "DirectX 12", false, None),
        ])
    }

    #[test]
    fn devices_are_listed_best_first_with_unique_names() {
        let listed: Vec<(String, String)> = machine().into_iter().map(|found| (found.name, found.title)).collect();
        let expected = [
            ("wgpu", "old card"),
            ("wgpu:1", "card"),
            ("wgpu:2", "lavapipe"),
            ("flex", "the processor"),
            ("wgpu:3", "GL card"),
        ];
        assert_eq!(listed, expected.map(|(name, title)| (name.to_string(), title.to_string())));
    }

    #[test]
    fn auto_selects_the_first_working_gpu_or_explains_why_there_is_none() {
        let chosen = |broken: &[&str]| {
            let test = |found: &Found| {
                if broken.contains(&found.title.as_str()) { Err("does not answer".to_string()) } else { Ok(()) }
            };
            choose(&machine(), "auto", test).unwrap()
        };
        assert_eq!(chosen(&[]).found.title, "old card");
        assert_eq!(chosen(&["old card"]).found.title, "card");
        let choice = chosen(&["old card", "card"]);
        assert_eq!(choice.found.name, "flex");
        if let Some(note) = choice.note {
            for part in [
                "old card (Vulkan) does not answer",
                "lavapipe (Vulkan) computes on the CPU",
                "--device wgpu:2",
                "only available through OpenGL",
            ] {
                assert!(note.contains(part), "{note}");
            }
        }
    }

    #[test]
    fn a_name_selects_its_device_or_explains_why_not() {
        let choice = |name: &str| choose(&machine(), name, |_| Ok(()));
        assert_eq!(choice("wgpu:0").unwrap().found.title, "old card");
        assert_eq!(choice("wgpu:1").unwrap().found.title, "card");
        assert_eq!(choice("dx12").unwrap().found.title, "card");
        assert!(choice("wgpu:2").unwrap().note.unwrap().contains("20 times"));
        assert_eq!(choice("flex").unwrap(), Choice { found: Found::cpu("flex"), note: None });
        let error = choice("wgpu:3").unwrap_err();
        assert!(error.exit_code() == 1 && error.to_string().contains("only available through OpenGL"), "{error}");
        let error = choose(&machine(), "wgpu", |_| Err("hangs".to_string())).unwrap_err();
        assert!(error.exit_code() == 1 && error.to_string().contains("lavapipe (Vulkan) hangs"), "{error}");
        // A software adapter that is named is used if there is no other.
        let software =
            choose(&machine(), "vulkan", |found| if found.software { Ok(()) } else { Err("hangs".to_string()) })
                .unwrap();
        assert_eq!(software.found.title, "lavapipe");
    }

    #[test]
    fn an_unknown_device_lists_the_known_ones() {
        let error = open("abacus").unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let message = error.to_string();
        assert!(available().iter().all(|device| message.contains(&device.name)), "{message}");
    }

    #[test]
    fn cpu_backends_pass_their_test() {
        for found in found_cpu() {
            found.test().unwrap();
        }
    }
}
