//! The adapters of `wgpu`, and whether Burn can use them.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use burn::tensor::wgpu::wgpu::{self, Backend, Backends, DeviceType, DownlevelFlags, Features};

use super::found::{Finding, Found, Place};

/// The interfaces, in the order in which they are queried. OpenGL is queried last, and only to report what is there:
/// Burn's kernels do not run on it.
const APIS: [(&str, Backend); 4] =
    [("Vulkan", Backend::Vulkan), ("Metal", Backend::Metal), ("DirectX 12", Backend::Dx12), ("OpenGL", Backend::Gl)];

/// Reports every adapter of every interface that was built in for this system.
pub fn find(tell: &mut dyn FnMut(Finding)) {
    for (api, backend) in APIS {
        let backends = Backends::from(backend);
        if !wgpu::Instance::enabled_backend_features().contains(backends) {
            continue;
        }
        tell(Finding::Asking(api.to_string()));
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
            backends,
            ..wgpu::InstanceDescriptor::new_without_display_handle()
        });
        let mut seen = Vec::new();
        for adapter in ready(instance.enumerate_adapters(backends)) {
            let info = adapter.get_info();
            let index = seen.iter().filter(|&&kind| kind == info.device_type).count();
            seen.push(info.device_type);
            tell(Finding::Found(Found {
                name: "wgpu".to_string(),
                title: info.name.clone(),
                api: api.to_string(),
                driver: format!("{} {}", info.driver, info.driver_info).trim().to_string(),
                memory: ae_kernels::adapter_memory(&adapter),
                software: info.device_type == DeviceType::Cpu,
                problem: problem(&adapter, info.device_type, index),
                place: Place::Adapter { kind: kind_name(info.device_type).to_string(), index },
            }));
        }
    }
}

/// Outside a browser `wgpu` completes immediately.
fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
        std::thread::yield_now();
    }
}

/// Why Burn cannot use an adapter.
fn problem(adapter: &wgpu::Adapter, kind: DeviceType, index: usize) -> Option<String> {
    if adapter.get_info().backend == Backend::Gl {
        return Some("is only available through OpenGL, which lacks features that Burn's kernels need".to_string());
    }
    if kind == DeviceType::Cpu && index > 0 {
        return Some("is a second software adapter, and Burn can only open the first".to_string());
    }
    let mut lacks = Vec::new();
    if !adapter.get_downlevel_capabilities().flags.contains(DownlevelFlags::COMPUTE_SHADERS) {
        lacks.push("compute shaders".to_string());
    }
    if !adapter.features().contains(Features::SUBGROUP) {
        lacks.push("subgroup operations".to_string());
    }
    let limits = adapter.limits();
    // The limits that WebGPU guarantees, which Burn's kernels rely on.
    let least = wgpu::Limits::default();
    for (what, has, needs) in [
        (
            "invocations in a workgroup",
            u64::from(limits.max_compute_invocations_per_workgroup),
            u64::from(least.max_compute_invocations_per_workgroup),
        ),
        (
            "buffers in a kernel",
            u64::from(limits.max_storage_buffers_per_shader_stage),
            u64::from(least.max_storage_buffers_per_shader_stage),
        ),
        (
            "bytes of workgroup memory",
            u64::from(limits.max_compute_workgroup_storage_size),
            u64::from(least.max_compute_workgroup_storage_size),
        ),
        ("bytes in a buffer", limits.max_storage_buffer_binding_size, least.max_storage_buffer_binding_size),
    ] {
        if has < needs {
            lacks.push(format!("{needs} {what} (it has {has})"));
        }
    }
    (!lacks.is_empty()).then(|| format!("lacks {}", lacks.join(", ")))
}

fn kind_name(kind: DeviceType) -> &'static str {
    match kind {
        DeviceType::DiscreteGpu => "discrete",
        DeviceType::IntegratedGpu => "integrated",
        DeviceType::VirtualGpu => "virtual",
        DeviceType::Cpu => "software",
        DeviceType::Other => "other",
    }
}
