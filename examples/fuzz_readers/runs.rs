//! The files of a run folder, and how they are read.

use std::{error::Error, fs, path::Path, sync::Arc};

use ae_data::{Dataset, sink};
use ae_train::{Config, Quiet, Run, Which, checkpoint, history};
use burn::{data::dataset::Dataset as _, store::ModuleRecord, tensor::Device, train::Interrupter};

/// The files that are damaged, by their names in the folder.
pub const FILES: [&str; 10] = [
    "config.toml",
    "data.toml",
    "metrics.csv",
    "files.json",
    "summary.json",
    "detector.json",
    "neighbours.safetensors",
    "pca.safetensors",
    "model.safetensors",
    "checkpoint/model-1.bpk",
];

/// Trains a small run on a table with columns of every kind.
pub fn train(place: &Path, name: &str, variant: &str) -> Result<(), Box<dyn Error>> {
    let table = place.join("t.csv");
    if !table.exists() {
        sink::write(&table, &super::table(false)?)?;
    }
    let mut config = Config::of_variant(variant)?;
    config.data.source = table.to_string_lossy().into_owned();
    config.data.read.label = Some("color".to_string());
    config.training.epochs = 1;
    let folder = place.join(name);
    let run = Run::create(config, Some(&folder))?;
    run.train(Device::default(), "default", Arc::new(Quiet), Interrupter::new())?;
    Ok(())
}

/// Reads everything of a run whose file `name` is damaged, and scores a few rows.
pub fn read(folder: &Path, name: &str, rows: &Path) -> Result<(), String> {
    let said = |error: ae_train::Error| error.to_string();
    if name.starts_with("checkpoint/") {
        return checkpoint::load::<ModuleRecord>(&folder.join("checkpoint"), "model", 1).map(drop).map_err(said);
    }
    if name == "files.json" {
        // All other readers read this file.
        return Run::open(folder).and_then(|run| run.folder.schema()).map(drop).map_err(said);
    }
    let run = Run::open(folder).map_err(said)?;
    match name {
        "metrics.csv" => {
            history::losses(&run.folder.metrics_file()).map_err(said)?;
            return history::columns(&run.folder.metrics_file()).map(drop).map_err(said);
        }
        "summary.json" => return run.folder.summary().map(drop).map_err(said),
        "pca.safetensors" => return run.folder.pca().map(drop).map_err(said),
        _ => {}
    }
    let trained = run.trained(Device::default()).map_err(said)?;
    let detector = run.folder.detector().map_err(said)?;
    run.folder.pca().map_err(said)?;
    let rows = trained.rows(rows.to_str(), &Default::default(), Which::All).map_err(said)?;
    let rows: Dataset = rows.select((0..rows.len().min(3)).collect());
    let scores = detector.score(&trained, &rows).map_err(said)?;
    detector.predict(&scores.rows);
    let _ = scores.rows.iter().map(|score| detector.p_value(*score)).sum::<f64>();
    for part in trained.reconstructions(&rows, None) {
        part.map(drop).map_err(said)?;
    }
    Ok(())
}

/// Removes the digests, so that the damage reaches the readers themselves.
pub fn without_digests(folder: &Path) -> std::io::Result<()> {
    fs::remove_file(folder.join("files.json"))
}
