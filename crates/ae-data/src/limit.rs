//! A limit on the memory that one input may take. The sizes that a file claims are checked before memory is allocated.
//!
//! In compressed formats a few kilobytes can claim to become gigabytes. An input is therefore refused if it claims more
//! than the limit, or more than 1 GiB and more than 100 times the size of its file. The second rule does not apply if
//! the user has set the limit. For rows that stay in their file, only what is read at a time counts.

use std::{
    fmt::{self, Display},
    path::Path,
    str::FromStr,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System, get_current_pid};

use crate::{DataError, Options};

/// The limit if the memory of the machine is unknown.
const UNKNOWN_MACHINE: u64 = 4 << 30;
/// Bytes that any input may take, whatever the size of its file.
const FREE: u64 = 1 << 30;
/// Maximum ratio of memory to file size beyond that. Text and pixels are typically compressed to a tenth, rarely to a
/// hundredth.
const GROWTH: u64 = 100;

/// A number of bytes, written such as `8GB`, `512 MiB` or `1000000`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Size(pub u64);

const UNITS: [(&str, u64); 9] = [
    ("TIB", 1 << 40),
    ("GIB", 1 << 30),
    ("MIB", 1 << 20),
    ("KIB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1000),
    ("B", 1),
];

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let upper = text.trim().to_ascii_uppercase();
        let unit = UNITS.iter().find_map(|(unit, bytes)| Some((upper.strip_suffix(unit)?, *bytes)));
        let (number, unit) = unit.unwrap_or((upper.as_str(), 1));
        let bytes = number.trim().parse::<f64>().ok().map(|number| number * unit as f64);
        match bytes.filter(|bytes| (1.0..9e15).contains(bytes)) {
            Some(bytes) => Ok(Self(bytes as u64)),
            None => Err(format!("`{text}` is not a size: write a number of bytes with its unit, such as 8GB or 512MB")),
        }
    }
}

impl TryFrom<String> for Size {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Size> for String {
    fn from(size: Size) -> Self {
        size.to_string()
    }
}

/// Written so that parsing it gives the same number.
impl Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |(_, bytes): &&(&str, u64)| self.0 > 0 && self.0.is_multiple_of(*bytes);
        let (unit, bytes) = UNITS[4..].iter().find(whole).copied().unwrap_or(("B", 1));
        write!(f, "{}{unit}", self.0 / bytes)
    }
}

/// A limit on the memory that one input may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    most: u64,
    /// Whether the user has set it.
    said: bool,
}

impl Limit {
    /// The limit from [`Options::max_memory`], or 90% of the free memory of the machine.
    pub(crate) fn of(options: &Options) -> Self {
        match options.max_memory {
            Some(Size(most)) => Self { most, said: true },
            None => Self {
                most: Memory::now().map_or(UNKNOWN_MACHINE, |memory| memory.free - memory.free / 10),
                said: false,
            },
        }
    }

    /// The limit in bytes.
    pub(crate) fn most(&self) -> u64 {
        self.most
    }

    /// Checks whether an input may take `needed` bytes of memory. `held` is the size of the file at `path` in bytes,
    /// and `what` names the input in the error.
    pub(crate) fn check(&self, path: &Path, what: impl Display, needed: u64, held: u64) -> Result<(), DataError> {
        let reason = if needed > self.most {
            format!("more than the limit of {}", shown(self.most))
        } else if !self.said && needed > FREE && needed / GROWTH > held {
            format!(
                "more than {GROWTH} times the size of the file ({}), which suggests a decompression bomb",
                shown(held)
            )
        } else {
            return Ok(());
        };
        // Rounded up, so that the advised limit is large enough.
        let enough = Size(needed.div_ceil(1_000_000_000).max(1).saturating_mul(1_000_000_000));
        let needed = shown(needed);
        let problem = format!(
            "{what} would take {needed} of memory, {reason}: if that is correct, allow it with `--max-memory \
             {enough}` (`data.read.max_memory`)"
        );
        Err(DataError::Malformed { path: path.to_owned(), problem })
    }

    /// The memory in bytes that may be allocated at once for a file of `held` bytes.
    pub(crate) fn allowed(&self, held: u64) -> u64 {
        if self.said { self.most } else { self.most.min(held.saturating_mul(GROWTH).max(FREE)) }
    }

    /// The maximum size in bytes to which a compressed file of `packed` bytes may be decompressed on disk.
    pub(crate) fn unpacked(&self, packed: u64) -> u64 {
        let free = if self.said { self.most } else { FREE };
        packed.saturating_mul(GROWTH).max(free)
    }
}

/// A number of bytes, rounded, such as `1.5 KB`.
pub fn shown(bytes: u64) -> String {
    let (unit, size) = UNITS[4..].iter().find(|(_, size)| bytes >= *size).copied().unwrap_or(("B", 1));
    let number = bytes as f64 / size as f64;
    // No `10.0`.
    if number >= 9.95 || size == 1 { format!("{number:.0} {unit}") } else { format!("{number:.1} {unit}") }
}

/// The memory of the machine and of this process, as the system reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Bytes that this process can still allocate: the free memory of the machine, limited by the control groups of the
    /// process.
    pub free: u64,
    /// Bytes that this process uses.
    pub taken: u64,
}

impl Memory {
    /// The current state; `None` if the system does not report it.
    pub fn now() -> Option<Self> {
        let pid = get_current_pid().ok()?;
        let mut system = System::new();
        system.refresh_memory();
        system.refresh_processes_specifics(
            ProcessesToUpdate::Some(&[pid]),
            false,
            ProcessRefreshKind::nothing().with_memory(),
        );
        let process = system.process(pid)?;
        // Resident memory: the page cache does not count.
        let limits = [system.cgroup_limits(), process.cgroup_limits()].into_iter().flatten();
        let free =
            limits.map(|limit| limit.total_memory.saturating_sub(limit.rss)).fold(system.available_memory(), u64::min);
        (system.total_memory() > 0).then(|| Self { free, taken: process.memory() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_parsed_and_written() {
        for (text, bytes) in
            [("8GB", 8_000_000_000), ("1.5 gb", 1_500_000_000), ("512MiB", 512 << 20), ("7", 7), ("12b", 12)]
        {
            let size: Size = text.parse().unwrap();
            assert_eq!(size, Size(bytes), "{text}");
            assert_eq!(size.to_string().parse::<Size>(), Ok(size), "{text}");
        }
        for text in ["", "GB", "-1GB", "0", "1e400", "nan", "8XB", "eight"] {
            assert!(text.parse::<Size>().unwrap_err().contains("such as 8GB"), "{text}");
        }
        assert_eq!((shown(999), shown(1500), shown(10_700_000_000)), ("999 B".into(), "1.5 KB".into(), "11 GB".into()));
    }

    #[test]
    fn the_limit_depends_on_the_size_of_the_file() {
        let machine = Limit { most: 8 << 30, said: false };
        let person = Limit { most: 8 << 30, said: true };
        let check = |limit: Limit, needed: u64, held: u64| {
            limit
                .check("f".as_ref(), "its array", needed, held)
                .map_err(|error| error.to_string())
                .err()
                .unwrap_or_default()
        };
        assert_eq!(check(machine, FREE, 1), "");
        assert_eq!(check(machine, 6 << 30, 1 << 30), "");
        let said = check(machine, 6_442_450_944, 6 << 20);
        assert!(
            said.starts_with(
                "f: its array would take 6.4 GB of memory, more than 100 times the size of the file (6.3 MB)"
            ),
            "{said}"
        );
        assert!(said.ends_with("`--max-memory 7GB` (`data.read.max_memory`)"), "{said}");
        assert_eq!(check(person, 6 << 30, 1), "");
        for limit in [machine, person] {
            assert!(check(limit, 9 << 30, 1 << 40).contains("9.7 GB of memory, more than the limit of 8.6 GB"));
            assert!(check(limit, u64::MAX, u64::MAX).lines().count() == 1);
        }
        assert_eq!((machine.unpacked(1), person.unpacked(1), machine.unpacked(1 << 30)), (FREE, 8 << 30, 100 << 30));
        assert!(Memory::now().is_none_or(|memory| memory.free > 0 && memory.taken > 0));
    }
}
