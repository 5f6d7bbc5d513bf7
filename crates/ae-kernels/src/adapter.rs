//! What `wgpu` does not say of an adapter.

use burn::tensor::wgpu::wgpu::{self, hal::api::Vulkan};

/// Bytes of the largest memory that is the adapter's own; none if its interface does not say, as all but Vulkan do not.
pub fn adapter_memory(adapter: &wgpu::Adapter) -> Option<u64> {
    // SAFETY: the handles are only read, while `adapter` is alive; the physical device belongs to the instance that is
    // asked about it.
    let memory = unsafe {
        let adapter = adapter.as_hal::<Vulkan>()?;
        adapter.shared_instance().raw_instance().get_physical_device_memory_properties(adapter.raw_physical_device())
    };
    const DEVICE_LOCAL: u32 = 1; // VK_MEMORY_HEAP_DEVICE_LOCAL_BIT
    let heaps = &memory.memory_heaps[..memory.memory_heap_count as usize];
    heaps.iter().filter(|heap| heap.flags.as_raw() & DEVICE_LOCAL != 0).map(|heap| heap.size).max()
}
