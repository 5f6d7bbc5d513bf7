//! What `--version` says.

/// The version of Burn that this program is built with; a test compares it with `Cargo.lock`.
pub const BURN: &str = "0.22.1";

/// The version of this crate.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What can be left out of a build, and whether it is in this one.
macro_rules! built_in {
    ($($name:literal),*) => {
        [$(($name, cfg!(feature = $name))),*]
    };
}

/// The names of those that are in.
fn names(features: &[(&'static str, bool)]) -> String {
    let names: Vec<_> = features.iter().filter(|(_, is_in)| *is_in).map(|(name, _)| *name).collect();
    if names.is_empty() { "none".to_string() } else { names.join(", ") }
}

/// Version, backends, features and Burn's version, a line each.
pub fn long() -> String {
    let backends = built_in!("flex", "ndarray", "wgpu", "vulkan", "metal", "cuda", "rocm");
    let features = built_in!("cli", "download", "export", "report", "tensorboard", "tui");
    format!("{VERSION}\nbackends: {}\nfeatures: {}\nburn {BURN}", names(&backends), names(&features))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_burn_is_that_of_the_build() {
        let lock = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock")).unwrap();
        let lock = lock.replace("\r\n", "\n");
        assert!(lock.contains(&format!("name = \"burn\"\nversion = \"{BURN}\"\n")), "burn is not {BURN}");
        assert!(long().starts_with(VERSION) && long().contains("backends: ") && long().contains(", "));
    }
}
