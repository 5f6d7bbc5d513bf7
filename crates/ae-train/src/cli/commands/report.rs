//! `ae report`: the page of a run, or of several.

use ae_model::Registry;
use std::path::PathBuf;

use crate::{Result, Run, card, report};
use ae_data::sink::write_bytes;

use crate::cli::{args::ReportArgs, devices::open_for_results, output::print};

/// Writes the page.
pub fn run(args: &ReportArgs, registry: &Registry) -> Result<()> {
    let device = open_for_results(args.device.as_deref())?.device;
    let runs = args.runs.iter().map(|path| Run::open_with(path, registry)).collect::<Result<Vec<_>>>()?;
    runs.iter().for_each(super::say_source);
    let page = report::page(&runs, &device)?;
    let path = match (&args.out, runs.as_slice()) {
        (None, [run]) => {
            run.folder.write_report(&page)?;
            card::refresh(run, device)?;
            super::note(&card::kept(run)?);
            run.folder.report_file()
        }
        (out, _) => {
            let path = out.clone().unwrap_or_else(|| PathBuf::from("report.html"));
            write_bytes(&path, page.as_bytes())?;
            path
        }
    };
    print(&format!("{}\n", path.display()))
}
