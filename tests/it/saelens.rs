//! Folders of SAELens: what is written is read again as the same model, and what others wrote gives their codes.
//!
//! The environment variable `AE_SAELENS_FOLDERS` names a folder of such folders to use instead of
//! `tests/golden/saelens`, such as ones that SAELens wrote. Their codes and reconstructions are in the file that
//! `AE_GOLDEN_BEYOND` names.

use std::{fs, path::Path};

use ae_model::{Inputs, Model, Registry};
use ae_train::{
    Config, Run,
    config::Layers,
    export::dictionaries::{self, FILES, Sae},
};
use burn::tensor::{Device, Tensor, TensorData};
use serde_json::Value;

use crate::ae_ok;

/// The model of a dictionary, on rows of `width` values.
pub(crate) fn model(folder: &Path, width: usize) -> Model {
    let sae = dictionaries::read(folder).unwrap().expect("a dictionary");
    let settings = sae.settings();
    let config = Config::from_layers(&Layers { given: settings, ..Layers::default() }, &Registry::default()).unwrap();
    let device = Device::default();
    let inputs = Inputs::real(width);
    let inputs = if sae.is_transcoder { inputs.with_target(sae.tensors["b_dec"].shape[0]) } else { inputs };
    config.model.check_inputs(&inputs).unwrap();
    sae.load(config.model.init(&inputs, &device), &device).unwrap()
}

pub(crate) fn numbers(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

pub(crate) fn near(what: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(*found != 0.0, *expected != 0.0, "{what}[{index}]: {found}, expected {expected}");
        assert!((found - expected).abs() <= 1e-6 * largest, "{what}[{index}]: {found}, expected {expected}");
    }
}

/// The numbers of rows in JSON.
pub(crate) fn flat(value: &Value) -> Vec<f32> {
    let rows = value.as_array().expect("rows").iter();
    rows.flat_map(|row| row.as_array().unwrap()).map(|value| value.as_f64().unwrap() as f32).collect()
}

#[test]
fn a_dictionary_is_written_and_read_as_the_same_model() {
    let folder = tempfile::tempdir().unwrap();
    let rows: Vec<f32> =
        (0..400 * 6).map(|i| ((i * 37 % 101) as f32 / 50.0).sin() * (i % 6 + 1) as f32 + 3.0).collect();
    let cases = [
        ("batch_top_k", "jumprelu", &["model.code.k=2"][..]),
        ("matryoshka", "jumprelu", &["model.code.k=2"]),
        ("jump_relu", "jumprelu", &["model.code.target=2"]),
        ("k_sparse", "topk", &["model.code.k=2", "model.code.k_start=0", "model.output=identity"]),
        ("sparse", "standard", &["model.output=identity"]),
        ("overcomplete", "gated", &["model.network.kind=dictionary", "model.code.kind=gated"]),
        ("batch_top_k", "topk", &["model.code.kind=top_k", "model.code.k=2", "model.penalty={}"]),
    ];
    for (index, (variant, architecture, settings)) in cases.into_iter().enumerate() {
        let common = ["model.code_dim=20", "training.epochs=2", "training.batch_size=64"];
        let set: Vec<String> = settings.iter().chain(&common).map(|setting| setting.to_string()).collect();
        let layers = Layers { variant: Some(variant), set: &set, ..Layers::default() };
        let config = Config::from_layers(&layers, &Registry::default()).unwrap();
        let fitted = ae_train::Trainer::new(config).fit((rows.as_slice(), 6)).unwrap();
        let trained = &fitted.trained;
        let sae = Sae::of(trained).unwrap();
        assert_eq!(sae.architecture, architecture, "{variant}");
        let written = folder.path().join(index.to_string());
        fs::create_dir_all(&written).unwrap();
        let files = sae.files(trained, Some(&fitted.summary)).unwrap();
        FILES.iter().zip(&files).for_each(|(name, bytes)| fs::write(written.join(name), bytes).unwrap());
        let read = dictionaries::read(&written).unwrap().expect("a dictionary");
        assert_eq!(read, sae);
        assert_eq!(read.files(trained, Some(&fitted.summary)).unwrap(), files, "the same bytes");

        // The run reads scaled rows, the folder's model the rows themselves.
        let x = Tensor::<2>::from_data(TensorData::new(rows.clone(), [400, 6]), &Device::default());
        let mut scaled = Vec::new();
        let doubles: Vec<f64> = rows.iter().map(|&value| f64::from(value)).collect();
        trained.schema.scaling.apply(&doubles, &mut scaled);
        let code = numbers(trained.model.encode(Tensor::from_data(TensorData::new(scaled, [400, 6]), &trained.device)));
        let other = model(&written, 6);
        let found = numbers(other.encode(x.clone()));
        let largest = code.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        let different = found.iter().zip(&code).filter(|(a, b)| (*a - *b).abs() > 1e-5 * largest).count();
        // Rounding can move a value across a threshold.
        assert!(different <= 8, "{variant}: {different} of {} values differ", code.len());
    }
}

#[test]
fn folders_that_cannot_be_read_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("sae");
    let here = folder.path();
    let train = ["train", "--variant", "batch_top_k", "--data", "digits", "--epochs", "1", "--code-dim", "80"];
    ae_ok(here, &[&train[..], &["--out", "run"]].concat());
    ae_ok(here, &["export", "run", "--format", "saelens", "--out", "sae"]);
    let config = fs::read_to_string(out.join(FILES[0])).unwrap();
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut value: Value = serde_json::from_str(&config).unwrap();
        change(&mut value);
        fs::write(out.join(FILES[0]), value.to_string()).unwrap();
        dictionaries::read(&out).unwrap_err().to_string()
    };
    let said = refused(&|value| value["architecture"] = "temporal".into());
    assert!(said.contains("`architecture` is temporal") && said.contains("jumprelu"), "{said}");
    let said = refused(&|value| value["architecture"] = "standard".into());
    assert!(said.contains("has no tensor `threshold`"), "{said}");
    let said = refused(&|value| value["architecture"] = "gated".into());
    assert!(said.contains("has no tensor `b_gate`"), "{said}");
    let said = refused(&|value| value["architecture"] = Value::Null);
    assert!(said.contains("`architecture` is missing"), "{said}");
    let said = refused(&|value| value["normalize_activations"] = "layer_norm".into());
    assert!(said.contains("`normalize_activations` is layer_norm"), "{said}");
    fs::write(out.join(FILES[0]), &config).unwrap();
    ae_ok(here, &["import", "sae", "--data", "digits", "--out", "imported"]);
    let codes = |run: &str| {
        ae_ok(here, &["encode", run, "--out", "codes.csv"]);
        fs::read_to_string(here.join("codes.csv")).unwrap()
    };
    let count =
        |codes: &str| codes.lines().skip(1).flat_map(|line| line.split(',')).filter(|cell| *cell != "0").count();
    let (ours, theirs) = (count(&codes("run")), count(&codes("imported")));
    assert!(ours.abs_diff(theirs) <= 3 && ours > 0, "{ours} and {theirs} active units");
    assert_eq!(Run::open(&here.join("imported")).unwrap().config.model.code.name(), "jump_relu");
}

#[test]
fn folders_of_saelens_give_its_codes() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    let place = |variable: &str, file: &str| std::env::var(variable).map_or_else(|_| own.join(file), Into::into);
    let folders = place("AE_SAELENS_FOLDERS", "saelens");
    let golden = fs::read_to_string(place("AE_GOLDEN_BEYOND", "golden_beyond.json")).unwrap();
    let golden: Value = serde_json::from_str(&golden).unwrap();
    let mut seen = 0;
    for entry in fs::read_dir(folders).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().to_string();
        let (kind, is_folded) = match name.strip_suffix("_folded_norm_0.25") {
            Some(kind) => (kind, true),
            None => (name.as_str(), false),
        };
        let case = &golden[format!("sae_{kind}")];
        let names = if name.contains("transcoder") {
            ["acts", "out"]
        } else if is_folded {
            ["folded_norm_0.25_acts", "folded_norm_0.25_out"]
        } else {
            ["inference_acts", "inference_out"]
        };
        let x = flat(&case["x"]);
        let width = case["x"][0].as_array().unwrap().len();
        let rows = x.len() / width;
        let x = Tensor::<2>::from_data(TensorData::new(x, [rows, width]), &Device::default());
        let model = model(&path, width);
        near(&format!("{name} code"), &numbers(model.encode(x.clone())), &flat(&case[names[0]]));
        near(&format!("{name} reconstruction"), &numbers(model.reconstruct(x)), &flat(&case[names[1]]));
        seen += 1;
    }
    assert!(seen >= 12, "{seen} folders");
}
