//! Opening an adapter of `wgpu`.

use burn::tensor::{Device, DeviceKind, wgpu::WgpuBackend};

/// Sets up Burn's runtime on the adapter with this interface, kind and index.
pub fn open(api: &str, kind: &str, index: usize) -> Result<Device, String> {
    let kind = match kind {
        "discrete" => DeviceKind::DiscreteGpu(index),
        "integrated" => DeviceKind::IntegratedGpu(index),
        "virtual" => DeviceKind::VirtualGpu(index),
        "software" => DeviceKind::Cpu,
        _ => return Err("Burn cannot open adapters of unknown kind".to_string()),
    };
    let api = match api {
        "Vulkan" => WgpuBackend::Vulkan,
        "Metal" => WgpuBackend::Metal,
        "DirectX 12" => WgpuBackend::Dx12,
        _ => return Err(format!("Burn's kernels do not run on {api}")),
    };
    Device::wgpu_options()
        .graphics_api(api)
        .device_kind(kind)
        .init()
        .map_err(|error| error.to_string().replace('\n', " "))
}
