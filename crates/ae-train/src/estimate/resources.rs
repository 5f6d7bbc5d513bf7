//! Memory and disk space of this machine.

use std::path::Path;

use ae_data::limit::Memory;

/// Bytes of memory that this program can use in total, including what it uses already, within the free memory of the
/// machine and the limits of its control groups; none if the system does not tell.
pub fn available_memory() -> Option<u64> {
    Memory::now().map(|memory| memory.free.saturating_add(memory.taken))
}

/// Bytes free on the disk of `path`, which need not exist yet; none if the system does not tell.
pub fn free_disk(path: &Path) -> Option<u64> {
    let path = std::path::absolute(path).ok()?;
    fs4::available_space(path.ancestors().find(|folder| folder.exists())?).ok()
}
