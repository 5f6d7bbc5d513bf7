//! `ae report`: the page of a run, or of several.

use std::path::PathBuf;

use ae_data::sink::write_bytes;
use ae_train::{Result, Run, report};

use crate::{cli::ReportArgs, devices::open_for_results, output::print};

/// Writes the page.
pub fn run(args: &ReportArgs) -> Result<()> {
    let device = open_for_results(args.device.as_deref())?.device;
    let runs = args.runs.iter().map(|path| Run::open(path)).collect::<Result<Vec<_>>>()?;
    let path = match (&args.out, runs.as_slice()) {
        (Some(out), _) => out.clone(),
        (None, [run]) => run.folder.report_file(),
        (None, _) => PathBuf::from("report.html"),
    };
    write_bytes(&path, report::page(&runs, &device)?.as_bytes())?;
    print(&format!("{}\n", path.display()))
}
