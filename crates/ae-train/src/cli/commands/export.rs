//! `ae export`: the model for other programs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use ae_data::sink::write_bytes;
use ae_model::Registry;
use burn::module::Module;
use clap::{Args, ValueEnum, ValueHint};
use serde_json::json;

use crate::{
    Error, Result, Run, Trained,
    cli::{
        devices::open_for_results,
        entry::{Entry, Group},
        json::document,
        output::{note, print},
    },
    export::{
        dictionaries::{self, Sae},
        far, features, onnx, pytorch, scaling,
    },
    run_folder::{own_file, own_folder},
};

/// Files for PyTorch: weights, and the lines that load them.
const WEIGHTS: &str = "model.safetensors";
const SCRIPT: &str = "model.py";

/// What to write for other programs.
#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    /// Folder of the run.
    #[arg(value_name = "RUN", value_hint = ValueHint::DirPath)]
    pub run: PathBuf,
    /// One format; by default all, and saelens of a dictionary.
    #[arg(short, long, value_enum)]
    pub format: Option<ExportFormat>,
    /// Folder to write to; by default the folder export of the run.
    #[arg(short, long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub out: Option<PathBuf>,
    /// Print JSON: the files that were written.
    #[arg(long)]
    pub json: bool,
}

/// A format for other programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// Weights under PyTorch's names, and the lines that load them.
    Safetensors,
    /// Burn's own record.
    Burn,
    /// Encoder, decoder and both, scaling included.
    Onnx,
    /// A folder that SAELens loads, scaling included; only of dictionaries: a single layer on each side.
    Saelens,
}

/// The command.
pub fn entry() -> Entry {
    let examples = &[
        ("ae export runs/undercomplete-digits-001", "every format, into the run's folder"),
        ("ae export runs/undercomplete-digits-001 --format onnx -o exported", "ONNX, elsewhere"),
    ];
    let about = "Write the model for other programs: safetensors for PyTorch with the lines that load it, ONNX, \
                 SAELens, Burn's record";
    Entry::new(Group::Use, "export", about, examples, run)
}

/// Writes the files.
fn run(args: &ExportArgs, registry: &Registry) -> Result<()> {
    let run = Run::open_with(&args.run, registry)?;
    let trained = run.trained(open_for_results(None)?.device)?;
    let folder = match &args.out {
        Some(out) => out.clone(),
        None => {
            let folder = run.folder.path().join("export");
            own_folder(&folder)?;
            folder
        }
    };
    fs::create_dir_all(&folder).map_err(|error| Error::at("create", &folder, error))?;
    // What predicts a target has no lines for PyTorch and no ONNX: left out here, and refused where it is asked for.
    let left_out = |format: ExportFormat| {
        trained.schema.target.is_some() && matches!(format, ExportFormat::Safetensors | ExportFormat::Onnx)
    };
    let wanted = |format: ExportFormat| match args.format {
        None => !left_out(format),
        Some(chosen) => chosen == format,
    };
    if args.format.is_none() && trained.schema.target.is_some() {
        note("a transcoder is written for SAELens and Burn; PyTorch's layers and ONNX are left out");
    }
    let (mut text, mut files) = (String::new(), Vec::new());
    let mut written = |path: &Path, format: &str| {
        files.push(json!({ "path": path.display().to_string(), "format": format }));
    };
    if wanted(ExportFormat::Safetensors) {
        text += &safetensors(&trained, &folder)?;
        written(&folder.join(WEIGHTS), "safetensors");
        written(&folder.join(SCRIPT), "python");
    }
    if wanted(ExportFormat::Burn) {
        let path = folder.join("model.bpk");
        own_file(&path)?;
        trained.model.clone().into_record().save(&path).map_err(|error| Error::at("write", &path, error))?;
        text += &format!("{}: Burn's own record\n", path.display());
        written(&path, "burn");
    }
    if wanted(ExportFormat::Onnx) {
        let far = far(&trained);
        let precision = if far.is_empty() { "" } else { ", rows in double precision" };
        if !far.is_empty() {
            let what = "the ONNX models read and give rows in double precision: single precision would cut digits off";
            note(&format!("{what} {}", few(&far)));
        }
        for (name, bytes) in onnx::export(&trained)? {
            let path = folder.join(format!("{name}.onnx"));
            write_bytes(&path, &bytes)?;
            text += &format!("{}: ONNX, scaling included{precision}\n", path.display());
            written(&path, "onnx");
        }
    }
    if args.format == Some(ExportFormat::Saelens)
        || args.format.is_none() && trained.config.model.network.is_dictionary()
    {
        let sae = Sae::of(&trained)?;
        let place = if args.format.is_none() { folder.join("saelens") } else { folder.clone() };
        fs::create_dir_all(&place).map_err(|error| Error::at("create", &place, error))?;
        for (name, bytes) in dictionaries::FILES.iter().zip(sae.files(&trained, run.folder.summary()?.as_ref())?) {
            write_bytes(&place.join(name), &bytes)?;
            written(&place.join(name), "saelens");
        }
        text += &format!(
            "{}: {} for SAELens, scaling included, for rows without missing values\n",
            place.display(),
            sae.architecture
        );
    }
    let list = match args.format {
        Some(ExportFormat::Burn | ExportFormat::Saelens) => None,
        Some(ExportFormat::Onnx) => Some("`features` in the models' metadata"),
        Some(ExportFormat::Safetensors) | None => Some("`features` in model.py"),
    };
    if let Some(list) = list.filter(|_| !trained.schema.columns.is_empty()) {
        note(&format!("features of a row, in the order of {list}: {}", few(&features(&trained))));
    }
    match args.json {
        true => document(&json!({ "files": files })),
        false => print(&text),
    }
}

/// The first of some names.
fn few(names: &[String]) -> String {
    const SHOWN: usize = 12;
    let more = names.len().saturating_sub(SHOWN);
    let names = names[..names.len() - more].join(", ");
    if more == 0 { names } else { format!("{names} and {more} more") }
}

fn safetensors(trained: &Trained, folder: &Path) -> Result<String> {
    let path = folder.join(WEIGHTS);
    let (state, python) = pytorch::export(trained, WEIGHTS)?;
    write_bytes(&path, &pytorch::serialize(&state, &scaling(trained))?)?;
    let script = folder.join(SCRIPT);
    write_bytes(&script, python.as_bytes())?;
    Ok(format!(
        "{}: for PyTorch, loaded by these lines, which {} holds:\n\n{python}\n",
        path.display(),
        script.display()
    ))
}
