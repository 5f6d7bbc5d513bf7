//! `ae export`: the model for other programs.

use ae_model::Registry;
use std::{fs, path::Path};

use crate::{
    Error, Result, Run, Trained,
    export::{far, features, onnx, pytorch, scaling},
    run_folder::{own_file, own_folder},
};
use ae_data::sink::write_bytes;
use burn::module::Module;

use crate::cli::{
    args::{ExportArgs, ExportFormat},
    devices::open_for_results,
    output::{print, say},
};

/// Writes the files.
pub fn run(args: &ExportArgs, registry: &Registry) -> Result<()> {
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
    let wanted = |format: ExportFormat| args.format.is_none_or(|chosen| chosen == format);
    let mut text = String::new();
    if wanted(ExportFormat::Safetensors) {
        text += &safetensors(&trained, &folder)?;
    }
    if wanted(ExportFormat::Burn) {
        let path = folder.join("model.bpk");
        own_file(&path)?;
        trained.model.clone().into_record().save(&path).map_err(|error| Error::at("write", &path, error))?;
        text += &format!("{}: Burn's own record\n", path.display());
    }
    if wanted(ExportFormat::Onnx) {
        let far = far(&trained);
        let precision = if far.is_empty() { "" } else { ", rows in double precision" };
        if !far.is_empty() {
            let what = "the ONNX models read and give rows in double precision: single precision would cut digits off";
            say(&format!("note: {what} {}", few(&far)));
        }
        for (name, bytes) in onnx::export(&trained)? {
            let path = folder.join(format!("{name}.onnx"));
            write_bytes(&path, &bytes)?;
            text += &format!("{}: ONNX, scaling included{precision}\n", path.display());
        }
    }
    let list = match args.format {
        Some(ExportFormat::Burn) => None,
        Some(ExportFormat::Onnx) => Some("`features` in the models' metadata"),
        Some(ExportFormat::Safetensors) | None => Some("`features` in model.py"),
    };
    if let Some(list) = list.filter(|_| !trained.schema.columns.is_empty()) {
        say(&format!("note: features of a row, in the order of {list}: {}", few(&features(&trained))));
    }
    print(&text)
}

/// The first of some names.
fn few(names: &[String]) -> String {
    const SHOWN: usize = 12;
    let more = names.len().saturating_sub(SHOWN);
    let names = names[..names.len() - more].join(", ");
    if more == 0 { names } else { format!("{names} and {more} more") }
}

fn safetensors(trained: &Trained, folder: &Path) -> Result<String> {
    let path = folder.join("model.safetensors");
    let (state, python) = pytorch::export(trained, "model.safetensors")?;
    write_bytes(&path, &pytorch::serialize(&state, &scaling(trained))?)?;
    let script = folder.join("model.py");
    write_bytes(&script, python.as_bytes())?;
    Ok(format!(
        "{}: for PyTorch, loaded by these lines, which {} holds:\n\n{python}\n",
        path.display(),
        script.display()
    ))
}
