//! Selecting a device by name.

use super::found::{Found, HAS_GPU_BACKENDS};
use crate::{Error, Result};

/// A selected device.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The device.
    pub found: Found,
    /// Something a person should know about the choice, in one line.
    pub note: Option<String>,
}

/// Names of backends and interfaces that select an adapter.
const ADAPTERS: [&str; 4] = ["wgpu", "vulkan", "metal", "dx12"];

/// Advice if there is no usable adapter.
const INSTALL: &str = "install the driver of your GPU with Vulkan (NVIDIA's own; for AMD and Intel \
                       `mesa-vulkan-drivers` on Debian, Ubuntu and Fedora)";

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{arranged, found::Place};

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
}
