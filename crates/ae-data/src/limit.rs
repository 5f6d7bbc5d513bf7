//! How much memory one input may take: what a file claims is weighed before it is believed.
//!
//! Formats that pack their numbers can claim far more than they hold: a few kilobytes that become gigabytes. So an
//! input is refused that claims more than the limit, and one that claims more than 1 GiB and 100 times what its file
//! holds, unless a person has set the limit: whoever says how much memory there is, means it. Rows that stay in their
//! file count by what is read of them at a time.

use std::{
    fmt::{self, Display},
    path::Path,
    str::FromStr,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System, get_current_pid};

use crate::{DataError, Options};

/// The limit where the memory of the machine cannot be found out.
const UNKNOWN_MACHINE: u64 = 4 << 30;
/// What may be taken whatever the file's size is.
const FREE: u64 = 1 << 30;
/// How many times the size of its file an input may take beyond that. Text and pixels shrink to a tenth, seldom to a
/// hundredth.
const GROWTH: u64 = 100;

/// A number of bytes, as a person writes it: `8GB`, `512 MiB`, `1000000`.
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
            None => Err(format!("`{text}` is no size: write a number of bytes with its unit, such as 8GB or 512MB")),
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

/// Such that it is read again as the same number.
impl Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |(_, bytes): &&(&str, u64)| self.0 > 0 && self.0.is_multiple_of(*bytes);
        let (unit, bytes) = UNITS[4..].iter().find(whole).copied().unwrap_or(("B", 1));
        write!(f, "{}{unit}", self.0 / bytes)
    }
}

/// What one input may take of the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    most: u64,
    /// Whether a person has said so.
    said: bool,
}

impl Limit {
    /// What [`Options::max_memory`] says, or what the machine has to give.
    pub(crate) fn of(options: &Options) -> Self {
        match options.max_memory {
            Some(Size(most)) => Self { most, said: true },
            // A tenth is left for everything else.
            None => Self {
                most: Memory::now().map_or(UNKNOWN_MACHINE, |memory| memory.free - memory.free / 10),
                said: false,
            },
        }
    }

    /// The most that is taken at once.
    pub(crate) fn most(&self) -> u64 {
        self.most
    }

    /// Whether an input may take `needed` bytes of memory, of which the file at `path` holds `held`; `what` claims
    /// that.
    pub(crate) fn check(&self, path: &Path, what: impl Display, needed: u64, held: u64) -> Result<(), DataError> {
        let reason = if needed > self.most {
            format!("more than the limit of {}", shown(self.most))
        } else if !self.said && needed > FREE && needed / GROWTH > held {
            format!("more than {GROWTH} times the {} that it holds, as a file made to do harm would", shown(held))
        } else {
            return Ok(());
        };
        // Rounded up, so that what is advised is enough.
        let enough = Size(needed.div_ceil(1_000_000_000).max(1).saturating_mul(1_000_000_000));
        let needed = shown(needed);
        let problem = format!(
            "{what} would take {needed} of memory, {reason}: if that is right, allow it with `--max-memory {enough}` (`data.read.max_memory`)"
        );
        Err(DataError::Malformed { path: path.to_owned(), problem })
    }

    /// What may be made at once of a file of so many bytes.
    pub(crate) fn allowed(&self, held: u64) -> u64 {
        if self.said { self.most } else { self.most.min(held.saturating_mul(GROWTH).max(FREE)) }
    }

    /// What a packed file of so many bytes may become on the disk.
    pub(crate) fn unpacked(&self, packed: u64) -> u64 {
        let free = if self.said { self.most } else { FREE };
        packed.saturating_mul(GROWTH).max(free)
    }
}

/// Bytes, rounded, for people.
pub fn shown(bytes: u64) -> String {
    let (unit, size) = UNITS[4..].iter().find(|(_, size)| bytes >= *size).copied().unwrap_or(("B", 1));
    let number = bytes as f64 / size as f64;
    // What would be rounded to 10.0 is 10.
    if number >= 9.95 || size == 1 { format!("{number:.0} {unit}") } else { format!("{number:.1} {unit}") }
}

/// What the system says of the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Bytes that this process can have beside what it has: within what the machine has free, and within the limits of
    /// its control groups.
    pub free: u64,
    /// Bytes that it has.
    pub taken: u64,
}

impl Memory {
    /// Of this moment; none where the system does not say.
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
        // Without the files that the system keeps in memory while nobody asks for it.
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
    fn sizes_are_read_and_come_back() {
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
    fn what_a_file_justifies_may_be_taken() {
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
        assert!(said.starts_with("f: its array would take 6.4 GB of memory, more than 100 times the 6.3 MB"), "{said}");
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
