//! The model card of a run: `README.md` with the front matter that the Hugging Face Hub reads, and `config.json` with
//! the architecture as data, so that the folder of a run can be uploaded as it is.
//!
//! Both are written when a run has been measured, and by `ae report`. A file that a person has changed since (which its
//! digest in `files.json` tells) is kept. Neither holds a path of the machine.

use std::fs;

use ae_data::{Dataset, Kind};
use serde_json::{Value, json};

use crate::{
    Result, Run,
    anomaly::Detection,
    baseline::Matrix,
    digits::fixed,
    evaluation::ReconstructionErrors as Figures,
    files::bytes,
    measure::Measured,
    run_folder::{CARD, RunFolder},
    trained::Trained,
};

/// The version of Burn that this program is built on.
const BURN: &str = "0.22.1";
/// Columns that are listed, at most.
const LISTED: usize = 40;
/// Test rows that anomalies are told apart among, at most.
const SCORED: usize = 2000;

/// Writes the card of a run that was measured on `test`. `hardware` is what it was trained on, where that is this
/// machine; else it is what the card said before.
///
/// # Errors
/// A file that cannot be written, or a device that fails.
pub(crate) fn write(
    folder: &RunFolder,
    trained: &Trained,
    measured: &Measured,
    test: &Dataset,
    hardware: Option<String>,
) -> Result<()> {
    let [card_name, config_name] = CARD;
    let before = bytes(&folder.path().join(config_name)).ok();
    let before = before.and_then(|text| serde_json::from_slice::<Value>(&text).ok());
    let before = before.and_then(|config| Some(config.get("hardware")?.as_str()?.to_string()));
    let hardware = hardware.or(before);
    let detection = match &trained.schema.normal {
        Some(normal) => match &measured.detector {
            Some(detector) => detector.detection(trained, &measured.pca, &test.thin(SCORED), normal)?,
            None => None,
        },
        None => None,
    };
    let config = serde_json::to_string_pretty(&config(trained, measured, hardware.as_deref())).expect("data is JSON");
    folder.put_unless_changed(config_name, &(config + "\n"))?;
    let found = Found { trained, measured, detection, pca: pca_beside(trained, measured, test)?, hardware };
    folder.put_unless_changed(card_name, &card(&found))
}

/// What a card is made of.
struct Found<'a> {
    trained: &'a Trained,
    measured: &'a Measured,
    detection: Option<Detection>,
    /// Name and test errors of the PCA beside the model.
    pca: (String, Figures),
    hardware: Option<String>,
}

/// PCA with as many components as the code has units, or active units if it is sparse, and its errors on the test rows.
/// With as many components as features it reconstructs everything, which says nothing: then it is the one that explains
/// 90% of the variance.
fn pca_beside(trained: &Trained, measured: &Measured, test: &Dataset) -> Result<(String, Figures)> {
    let (k, width) = (measured.summary.components(), trained.schema.d_input);
    if k < width || trained.schema.target.is_some() {
        return Ok((measured.summary.baseline(), measured.summary.test.pca));
    }
    let pca = measured.pca.beside(k);
    let values = test.sample(ae_data::fit::SAMPLE).scaled(&trained.schema.scaling)?;
    let name = format!("PCA ({}, 90% of the variance)", pca.components());
    Ok((name, pca.errors(Matrix { values: &values, width }).figures()))
}

/// Writes the card of a run that was measured before.
///
/// # Errors
/// A file that cannot be written, a device that fails, or data of the run that is gone.
pub fn refresh(run: &Run, device: impl Into<burn::tensor::Device>) -> Result<()> {
    let Some(summary) = run.folder.summary()? else { return Ok(()) };
    let trained = run.trained(device)?;
    let test = run.rows(&trained, crate::Which::Test)?;
    let measured = Measured { summary, pca: run.folder.pca()?, detector: run.folder.detector_if_any()? };
    let _lock = run.folder.lock()?;
    write(&run.folder, &trained, &measured, &test, None)
}

/// What is to be said of files that a person has changed, in sentences.
///
/// # Errors
/// Digests that cannot be read.
pub fn kept(run: &Run) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    for name in CARD {
        if run.folder.is_changed(name)? {
            let path = run.folder.path().join(name);
            notes
                .push(format!("{} was changed by hand and is kept: remove it to have it written anew", path.display()));
        }
    }
    Ok(notes)
}

/// The machine that this program runs on: processor, threads, system.
pub(crate) fn hardware() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let name = model.map_or(String::new(), |(_, name)| format!("{}, ", name.trim()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{name}{threads} threads, {} {}", std::env::consts::OS, std::env::consts::ARCH)
}

/// `config.json`.
fn config(trained: &Trained, measured: &Measured, hardware: Option<&str>) -> Value {
    let (schema, summary) = (&trained.schema, &measured.summary);
    let columns: Vec<Value> = schema
        .columns
        .iter()
        .map(|column| {
            let kind = match column.kind {
                Kind::Number => "number",
                Kind::Boolean => "boolean",
                Kind::Category => "category",
            };
            json!({ "name": column.name, "kind": kind, "levels": column.levels })
        })
        .collect();
    json!({
        "model_type": "autoencoder",
        "variant": summary.variant,
        "d_input": schema.d_input,
        "d_output": schema.d_output(),
        "code_dim": summary.code_dim,
        "parameters": summary.parameters,
        "image": schema.geometry.map(|geometry| [geometry.channels, geometry.height, geometry.width]),
        "columns": columns,
        "scaling": schema.scaling.method,
        "model": trained.config.model,
        "training": trained.config.training,
        "seed": summary.seed,
        "data": {
            "name": schema.name,
            "fingerprint": schema.fingerprint,
            "train_rows": schema.train_rows,
            "validation_rows": schema.validation_rows,
            "test_rows": schema.test_rows,
            "normal": schema.normal,
        },
        "device": summary.device,
        "hardware": hardware,
        "versions": { "ae-train": env!("CARGO_PKG_VERSION"), "burn": BURN },
    })
}

/// A text as a string of YAML.
fn yaml(text: &str) -> String {
    serde_json::to_string(text).expect("a text is JSON")
}

/// A text as Markdown that stays text.
fn plain(text: &str) -> String {
    let mut shown = String::new();
    for letter in text.chars() {
        match letter {
            '<' => shown += "&lt;",
            '>' => shown += "&gt;",
            '&' => shown += "&amp;",
            '\\' | '`' | '*' | '_' | '[' | ']' | '(' | ')' | '|' | '#' | '!' | '$' => shown.extend(['\\', letter]),
            letter if letter.is_control() => shown.push(' '),
            letter => shown.push(letter),
        }
    }
    shown
}

/// The tags of the run.
fn tags(trained: &Trained) -> Vec<&str> {
    let schema = &trained.schema;
    let mut tags = vec!["autoencoder", trained.config.variant.as_str()];
    tags.push(if schema.geometry.is_some() { "image" } else { "tabular" });
    if schema.normal.is_some() {
        tags.push("anomaly-detection");
    }
    if trained.model.mask_input {
        tags.push("imputation");
    }
    tags.extend(["rust", "safetensors"]);
    tags
}

/// The front matter: what the Hub sorts models by.
fn front(trained: &Trained, measured: &Measured, detection: Option<&Detection>) -> String {
    let (schema, test) = (&trained.schema, &measured.summary.test.model);
    let mut figures = vec![("mse", "Mean squared error, scaled data", test.mse)];
    figures.push(("fvu", "Fraction of variance unexplained", test.fvu));
    if let Some(detection) = detection {
        figures.push(("roc_auc", "AUROC", detection.model.auroc));
        figures.push(("average_precision", "Average precision", detection.model.average_precision));
    }
    figures.retain(|figure| figure.2.is_finite());
    let mut text = "---\nlibrary_name: burn\ntags:\n".to_string();
    tags(trained).iter().for_each(|tag| text += &format!("- {}\n", yaml(tag)));
    if let Some(set) = hub_name(&trained.config.data.source) {
        text += &format!("datasets:\n- {set}\n");
    }
    text += "metrics:\n";
    figures.iter().for_each(|(kind, ..)| text += &format!("- {kind}\n"));
    let (name, task) =
        (yaml(&schema.name), if schema.normal.is_some() { "anomaly-detection" } else { "reconstruction" });
    text += &format!(
        "model-index:\n- name: {}\n  results:\n",
        yaml(&format!("{}-{}", trained.config.variant, schema.name))
    );
    text += &format!(
        "  - task:\n      type: {task}\n    dataset:\n      name: {name}\n      type: {name}\n      split: test\n"
    );
    text += "    metrics:\n";
    for (kind, title, value) in figures {
        // Six digits: reading a figure back from JSON may change its last.
        let value: f64 = format!("{value:.5e}").parse().expect("a number was written");
        text += &format!("    - type: {kind}\n      name: {title}\n      value: {value}\n");
    }
    text + "---\n"
}

/// A built-in data set under its name on the Hub.
fn hub_name(source: &str) -> Option<&'static str> {
    match source {
        "mnist" => Some("ylecun/mnist"),
        "fashion-mnist" => Some("zalando-datasets/fashion_mnist"),
        _ => None,
    }
}

/// The lines of a table, the model's first.
fn line(name: &str, of: &Figures) -> String {
    format!("| {name} | {} | {} | {} |\n", fixed(of.mse, 6), fixed(of.sse, 4), fixed(of.fvu, 4))
}

fn results(Found { trained, measured, detection, pca, .. }: &Found) -> String {
    let summary = &measured.summary;
    let model = format!("{} ({})", summary.variant, summary.code_dim);
    let mut text = "| | mse | sse | fvu |\n|---|---:|---:|---:|\n".to_string();
    text += &line(&format!("{model}, test rows"), &summary.test.model);
    text += &line(&format!("{}, test rows", pca.0), &pca.1);
    if let Some(map) = &summary.linear_map {
        text += &line("linear map, test rows", map);
    }
    text += &line("mean of the training rows, test rows", &summary.test.mean);
    text += &line(&format!("{model}, training rows"), &summary.train.model);
    let ([train, test], code) = (summary.measured_rows, &summary.code);
    text += &format!(
        "\nmse: mean squared error per value. sse: sum of squared errors per row. fvu: fraction of variance \
         unexplained. In units of the scaled data, on {test} test rows and {train} training rows (validation rows \
         included).\n\n\
         Of {} units of the code {:.1} are active per row; dead units: {}.\n",
        summary.code_dim, code.l0, code.dead_units
    );
    if let (Some(detection), Some(normal)) = (detection, &trained.schema.normal) {
        text += &format!(
            "\nAnomaly scores of {} labeled test rows, of which {} are not of class {}:\n\n\
             | | AUROC | average precision | F1 |\n|---|---:|---:|---:|\n",
            detection.labelled,
            detection.anomalies,
            plain(normal)
        );
        for (name, of) in [
            (model.as_str(), &detection.model),
            ("5th nearest neighbor", &detection.neighbours),
            ("PCA (90% of the variance)", &detection.pca),
            ("distance to the mean", &detection.mean),
        ] {
            text += &format!("| {name} | {:.3} | {:.3} | {:.3} |\n", of.auroc, of.average_precision, of.f1);
        }
    }
    text
}

fn data(trained: &Trained) -> String {
    let schema = &trained.schema;
    let shape = match schema.geometry {
        Some(geometry) => format!("images of {geometry} (channels, height, width), {} features", schema.d_input),
        None => format!("rows of {} features", schema.d_input),
    };
    let mut text = format!("- Data: {}, {shape}\n", plain(&schema.name));
    if let Some(target) = &schema.target {
        let scaling = plain(&target.scaling.describe());
        text += &format!("- Target: rows of {} features, scaling {scaling}\n", target.d_output);
    }
    text += &format!(
        "- Rows: {} training, {} validation, {} test (split seed {})\n",
        schema.train_rows,
        schema.validation_rows,
        schema.test_rows,
        trained.config.data.split_seed.unwrap_or(trained.config.seed)
    );
    if let Some(normal) = &schema.normal {
        text += &format!("- Trained on rows of class {} only\n", plain(normal));
    }
    text += &format!("- Scaling: {}\n- Fingerprint: `{}`\n", plain(&schema.scaling.describe()), schema.fingerprint);
    if !schema.columns.is_empty() {
        let names: Vec<String> = schema.columns.iter().take(LISTED).map(|column| plain(&column.name)).collect();
        let more = schema.columns.len() - names.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        text += &format!("- Columns: {}{more}\n", names.join(", "));
    }
    text
}

/// Commands, to be typed in the folder of the card.
fn usage(trained: &Trained) -> String {
    let schema = &trained.schema;
    let file = match trained.config.data.source.as_str() {
        source if ae_data::BUILTIN.iter().any(|set| set.name == source) => source,
        _ if schema.geometry.is_some() => "IMAGES",
        _ if schema.target.is_some() => "ROWS.npy",
        _ => "ROWS.csv",
    };
    if schema.target.is_some() {
        let decode =
            if trained.model.parts().decoder.reads_input() { "" } else { "ae decode . codes.npy --out d.npy\n" };
        return format!(
            "In this folder, with the command line `ae`:\n\n```sh\nae encode . --data {file} --out \
             codes.npy\n{decode}ae reconstruct . --data {file} --out predictions.npy\nae report .\nae export . \
             --format saelens\n```\n\nFrom \
             Rust, with the crate `ae-train`:\n\n```rust\nlet fitted = ae_train::Fitted::open(\"RUN\".as_ref(), \
             burn::tensor::Device::default())?;\nlet predictions = fitted.reconstruct({file:?})?;\n```\n\n\
             `model.safetensors` holds the weights under Burn's names, `model.bpk` the same as Burn's own \
             record,\n`config.toml` the settings, `data.toml` the scaling, `config.json` the architecture as data.\n"
        );
    }
    let impute = format!("ae impute . --data {file} --out imputed.csv");
    let lines = [
        "In this folder, with the command line `ae`:\n\n```sh",
        &format!("ae encode . --data {file} --out codes.csv"),
        "ae decode . codes.csv --out decoded.csv",
        &format!("ae reconstruct . --data {file} --out reconstructions.csv"),
        &format!("ae score . --data {file} --out scores.csv"),
        if schema.columns.is_empty() { "" } else { &impute },
        "ae report .",
        "```\n\nFor PyTorch and ONNX; `export/model.py` loads `export/model.safetensors`:\n\n```sh",
        "ae export .",
        "cd export",
        "python3 -c \"import torch; from model import encode, decode; \\",
        &format!("    print(decode(encode(torch.rand(1, {}))))\"", schema.d_input),
        "```\n\nFrom Rust, with the crate `ae-train`:\n\n```rust",
        "let fitted = ae_train::Fitted::open(\"RUN\".as_ref(), burn::tensor::Device::default())?;",
        &format!("let codes = fitted.encode({file:?})?;"),
        "```\n\n`model.safetensors` holds the weights under Burn's names, `model.bpk` the same as Burn's own record,",
        "`config.toml` the settings, `data.toml` the columns and the scaling, `config.json` the architecture as data.",
    ];
    lines.into_iter().filter(|line| !line.is_empty()).map(|line| format!("{line}\n")).collect()
}

/// The card.
fn card(found: &Found) -> String {
    let Found { trained, measured, detection, hardware, .. } = found;
    let (schema, summary, config) = (&trained.schema, &measured.summary, &trained.config);
    let variant = config.variant();
    let idea = variant.as_ref().map_or(String::new(), |variant| {
        let is = if schema.target.is_some() { "It is" } else { "What keeps it from copying its input:" };
        format!(" {is} {} ({}).", variant.idea, variant.reference)
    });
    let shape = match schema.geometry {
        Some(geometry) => format!("images of {geometry}"),
        None => format!("{} features", schema.d_input),
    };
    let target = schema.target.as_ref().map(|target| format!(", a target of {} features", target.d_output));
    let shape = shape + &target.unwrap_or_default();
    let mut settings = config.clone();
    if let Some(name) = std::path::Path::new(&settings.data.source).file_name() {
        settings.data.source = name.to_string_lossy().into_owned();
    }
    let target = settings.data.read.target.take();
    settings.data.read.target = target
        .as_deref()
        .map(std::path::Path::new)
        .and_then(|path| path.file_name().map(|name| name.to_string_lossy().into_owned()));
    // Without the explanations, which `ae config` prints.
    let settings = settings.to_toml();
    let settings: String =
        settings.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect();
    let trained_on = match summary.epochs {
        0 => "- Trained elsewhere\n".to_string(),
        epochs => format!(
            "- Epochs: {epochs} (epoch {} kept), {:.1} s\n- Device: {}\n- Hardware: {}\n",
            summary.best_epoch,
            summary.train_seconds,
            plain(&summary.device),
            hardware.as_deref().map_or("not known".to_string(), plain)
        ),
    };
    let fence = "`".repeat(longest_run(&settings, '`').max(2) + 1);
    format!(
        "{}\n# {} on {}\n\nAn autoencoder: {shape}, a code of {} units, {} parameters.{idea}\n\n## Data\n\n{}\n## \
         Results\n\n{}\n## Usage\n\n{}\n## Training\n\n{trained_on}- Seed: {}\n- Versions: ae-train {}, Burn \
         {BURN}\n\n{fence}toml\n{settings}{fence}\n\n## Limits\n\n{}",
        front(trained, measured, detection.as_ref()),
        plain(&config.variant),
        plain(&schema.name),
        summary.code_dim,
        summary.parameters,
        data(trained),
        results(found),
        usage(trained),
        summary.seed,
        env!("CARGO_PKG_VERSION"),
        limits(trained, summary.diverged)
    )
}

fn limits(trained: &Trained, diverged: Option<usize>) -> String {
    let has_categories = trained.schema.columns.iter().any(|column| column.kind == Kind::Category);
    let mut lines = vec![
        "The figures are those of one training with one seed.",
        "They were measured on rows of the same source as the training rows: others may be reconstructed worse.",
        "`config.toml` and `experiment.log` may name files of the machine that it was trained on, and \
         `neighbours.safetensors` holds training rows: look at them before you publish the folder.",
        "No license is named here: add `license:` to the front matter of this file before you publish it.",
    ];
    if trained.schema.normal.is_none() && trained.schema.target.is_none() {
        lines.push("Anomaly scores are relative to the training rows, which may include anomalies.");
    }
    if has_categories {
        lines.push("A category's value that training did not have counts as a level of its own.");
    }
    let diverged =
        diverged.map(|epoch| format!("The loss became infinite in epoch {epoch}; the best epoch before it was kept."));
    lines.extend(diverged.as_deref());
    lines.into_iter().map(|line| format!("- {line}\n")).collect()
}

/// The longest run of a letter in a text.
fn longest_run(text: &str, letter: char) -> usize {
    text.split(|other| other != letter).map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_data_are_neither_markup_nor_yaml() {
        let name = "a\"\n- <b>|`x`[y](z)";
        assert_eq!(plain(name), "a\" - &lt;b&gt;\\|\\`x\\`\\[y\\]\\(z\\)");
        assert_eq!(yaml(name), "\"a\\\"\\n- <b>|`x`[y](z)\"");
        assert_eq!(longest_run("a```b``", '`'), 3);
    }
}
