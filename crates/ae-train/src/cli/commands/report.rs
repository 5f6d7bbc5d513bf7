//! `ae report`: the page of a run, or of several.

use std::path::PathBuf;

use ae_data::sink::write_bytes;
use ae_model::Registry;
use clap::{Args, ValueHint};
use serde_json::json;

use crate::{
    Result, Run, card,
    cli::{
        devices::open_for_results,
        entry::{Entry, Group},
        json::document,
        output::print,
    },
    report,
};

/// What to show.
#[derive(Debug, Clone, Args)]
pub struct ReportArgs {
    /// Folders of runs.
    #[arg(value_name = "RUN", required = true, value_hint = ValueHint::DirPath)]
    pub runs: Vec<PathBuf>,
    /// File to write; by default report.html in the run's folder, or in the current folder for several runs.
    #[arg(short, long, value_name = "FILE.html", value_hint = ValueHint::FilePath)]
    pub out: Option<PathBuf>,
    /// Units of a sparse code to show one by one, by number from 0, such as 3,17; by default those that contribute
    /// most.
    #[arg(long, value_name = "UNITS", value_delimiter = ',')]
    pub units: Vec<usize>,
    /// Device to compute on, one that `ae devices` lists; by default the CPU, whatever the run was trained on.
    #[arg(long, value_name = "NAME")]
    pub device: Option<String>,
    /// Print JSON: the path of the page.
    #[arg(long)]
    pub json: bool,
}

/// The command.
pub fn entry() -> Entry {
    let examples = &[
        ("ae report runs/undercomplete-digits-001", "write report.html into the run's folder"),
        ("ae report runs/undercomplete-digits-001 -o page.html", "write it elsewhere"),
        ("ae train --variant k_sparse -o sparse", "a sparse code"),
        ("ae report sparse --units 3,17", "its page, with these units one by one"),
    ];
    let about = "Write the page of a run, or of several: images, curves, and every figure that was measured";
    Entry::new(Group::Use, "report", about, examples, run)
}

/// Writes the page.
fn run(args: &ReportArgs, registry: &Registry) -> Result<()> {
    let device = open_for_results(args.device.as_deref())?.device;
    let runs = args.runs.iter().map(|path| Run::open_with(path, registry)).collect::<Result<Vec<_>>>()?;
    runs.iter().for_each(super::say_source);
    let page = report::page(&runs, &device, &args.units)?;
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
    match args.json {
        true => document(&json!({ "report": path.display().to_string() })),
        false => print(&format!("{}\n", path.display())),
    }
}
