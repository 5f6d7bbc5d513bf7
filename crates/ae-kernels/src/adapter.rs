//! The memory of a GPU, which `wgpu` does not report.

use burn::tensor::wgpu::wgpu::{self, hal::api::Vulkan};

/// The size in bytes of the largest device-local memory heap of `adapter`.
///
/// `None` if its graphics interface does not report it; only Vulkan does.
pub fn adapter_memory(adapter: &wgpu::Adapter) -> Option<u64> {
    // SAFETY: the handles are only read, and only while `adapter` is alive; the physical device belongs to the
    // instance that is queried.
    let memory = unsafe {
        let adapter = adapter.as_hal::<Vulkan>()?;
        adapter.shared_instance().raw_instance().get_physical_device_memory_properties(adapter.raw_physical_device())
    };
    const DEVICE_LOCAL: u32 = 1; // VK_MEMORY_HEAP_DEVICE_LOCAL_BIT
    let heaps = &memory.memory_heaps[..memory.memory_heap_count as usize];
    heaps.iter().filter(|heap| heap.flags.as_raw() & DEVICE_LOCAL != 0).map(|heap| heap.size).max()
}
