//! `ae report`: the page of a run, or of several.

use ae_model::Registry;
use std::path::PathBuf;

use crate::{Result, Run, report};
use ae_data::sink::write_bytes;

use crate::cli::{args::ReportArgs, devices::open_for_results, output::print};

/// Writes the page.
pub fn run(args: &ReportArgs, registry: &Registry) -> Result<()> {
    let device = open_for_results(args.device.as_deref())?.device;
    let runs = args.runs.iter().map(|path| Run::open_with(path, registry)).collect::<Result<Vec<_>>>()?;
    let path = match (&args.out, runs.as_slice()) {
        (Some(out), _) => out.clone(),
        (None, [run]) => run.folder.report_file(),
        (None, _) => PathBuf::from("report.html"),
    };
    write_bytes(&path, report::page(&runs, &device)?.as_bytes())?;
    print(&format!("{}\n", path.display()))
}
