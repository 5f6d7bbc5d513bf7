//! Looking for devices.

#[cfg(any(feature = "cuda", feature = "rocm"))]
use burn::tensor::Device;

#[cfg(any(feature = "cuda", feature = "rocm"))]
use super::found::Place;
use super::found::{Finding, Found};

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
    super::adapters::find(&mut tell);
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
