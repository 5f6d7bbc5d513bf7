//! `ae devices`: where a model can be trained.

use ae_model::Registry;
use clap::Args;
use serde_json::json;

use crate::{
    Result,
    cli::{
        devices,
        entry::{Entry, Group},
        json::document,
        output::{print, shown},
        table::Table,
    },
    device::Found,
};

/// What to print.
#[derive(Debug, Clone, Args)]
pub struct DevicesArgs {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// The command.
pub fn entry() -> Entry {
    let examples =
        &[("ae devices", "every device, the best first"), ("ae train --device flex --epochs 20", "train on the CPU")];
    let about = "List the devices of the backends that were built in, and why some cannot be used";
    Entry::new(Group::LookUp, "devices", about, examples, run)
}

/// Lists the devices, best first, and why some cannot be used.
fn run(args: &DevicesArgs, _: &Registry) -> Result<()> {
    let found = devices::found();
    if args.json {
        let devices = found.iter().map(|found| {
            json!({
                "name": found.name,
                "hardware": found.title,
                "interface": found.api,
                "driver": Some(&found.driver).filter(|driver| !driver.is_empty()),
                "memory_bytes": found.memory,
                "is_software": found.software,
                "problem": found.problem,
            })
        });
        return document(&devices.collect::<Vec<_>>());
    }
    let mut table = Table::new(["device", "hardware", "interface", "driver", "memory", "usable"]).left(6);
    found.iter().for_each(|found| table.row(cells(found)));
    print(&shown(&table))
}

fn cells(found: &Found) -> [String; 6] {
    let memory = match found.memory {
        Some(bytes) => format!("{:.1} GB", bytes as f64 / 1e9),
        None => "-".to_string(),
    };
    let driver = if found.driver.is_empty() { "-".to_string() } else { found.driver.clone() };
    let usable = match (&found.problem, found.software) {
        (Some(problem), _) => format!("no: {problem}"),
        (None, true) => "only by its name: it computes on the CPU, slowly".to_string(),
        (None, false) => "yes".to_string(),
    };
    [found.name.clone(), found.title.clone(), found.api.clone(), driver, memory, usable]
}
