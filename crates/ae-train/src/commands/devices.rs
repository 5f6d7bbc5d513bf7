//! `ae devices`: where can be trained.

use ae_train::{Result, device};

use crate::output::print;

/// Lists the devices, the one that `auto` takes first.
pub fn run() -> Result<()> {
    let mut text = String::new();
    for (index, device) in device::available().iter().enumerate() {
        text.push_str(&format!("{}{}\n", device.name, if index == 0 { " (auto)" } else { "" }));
    }
    print(&text)
}
