//! `ae devices`: where can be trained.

use crate::{Result, device::Found};

use crate::cli::{devices, output::print};

/// Lists the devices, best first, and why some cannot be used.
pub fn run() -> Result<()> {
    let found = devices::found();
    let cells: Vec<[String; 5]> = found.iter().map(cells).collect();
    let head = ["device", "hardware", "interface", "driver", "memory"].map(str::to_string);
    let mut widths = [0; 5];
    for row in cells.iter().chain([&head]) {
        widths.iter_mut().zip(row).for_each(|(width, cell)| *width = (*width).max(cell.chars().count()));
    }
    let line = |row: &[String; 5], last: &str| {
        let cells: String = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}  ")).collect();
        format!("{}\n", format!("{cells}{last}").trim_end())
    };
    let mut text = line(&head, "usable");
    for (found, cells) in found.iter().zip(&cells) {
        let usable = match (&found.problem, found.software) {
            (Some(problem), _) => format!("no: {problem}"),
            (None, true) => "only by its name: it computes on the CPU, slowly".to_string(),
            (None, false) => "yes".to_string(),
        };
        text += &line(cells, &usable);
    }
    print(&text)
}

fn cells(found: &Found) -> [String; 5] {
    let memory = match found.memory {
        Some(bytes) => format!("{:.1} GB", bytes as f64 / 1e9),
        None => "-".to_string(),
    };
    let driver = if found.driver.is_empty() { "-".to_string() } else { found.driver.clone() };
    [found.name.clone(), found.title.clone(), found.api.clone(), driver, memory]
}
