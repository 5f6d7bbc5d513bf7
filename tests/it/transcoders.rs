//! Models that predict other rows than they read: transcoders.

use std::{fs, path::Path};

use ae_data::{Rows, Values};
use ae_model::{Activation, Inputs, Objective, Recipe, Sample, Variant};
use ae_train::{
    Config, Trainer,
    baseline::{LinearMap, Matrix},
    export::dictionaries::Sae,
};
use burn::{
    module::Param,
    optim::{AdamConfig, ModuleOptimizer},
    tensor::{Device, Tensor, TensorData},
};
use serde_json::Value;

use crate::{ae, ae_ok, saelens, text};

/// Numbers that look random, in (-1, 1).
fn noise(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// `rows` inputs of 12 values and targets of 8: a linear part, and 24 features of which each is above its threshold in
/// some rows.
fn pairs(rows: usize) -> (Vec<f32>, Vec<f32>) {
    let (x, linear) = (noise(rows * 12, 1), noise(12 * 8, 2));
    let (detectors, effects) = (noise(24 * 12, 3), noise(24 * 8, 4));
    let dot = |a: &[f32], b: &mut dyn Iterator<Item = f32>| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let y = x.chunks_exact(12).flat_map(|x| {
        let active: Vec<f32> =
            detectors.chunks_exact(12).map(|of| (dot(x, &mut of.iter().copied()) - 1.0).max(0.0) * 3.0).collect();
        let value = |to: usize| {
            5.0 + dot(x, &mut linear[to..].iter().step_by(8).copied())
                + dot(&active, &mut effects[to..].iter().step_by(8).copied())
        };
        (0..8).map(value).collect::<Vec<f32>>()
    });
    let y = y.collect();
    (x, y)
}

/// Writes an array as NumPy does.
fn npy(path: &Path, values: &[f32], width: usize) {
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {width}), }}", values.len() / width);
    let padded = format!("{header:<117}\n");
    let mut bytes = [b"\x93NUMPY\x01\x00", &(padded.len() as u16).to_le_bytes()[..], padded.as_bytes()].concat();
    values.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
    fs::write(path, bytes).unwrap();
}

fn tensor(values: &[f32], width: usize, device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len() / width, width]), device)
}

#[test]
fn without_active_units_a_skip_connection_learns_least_squares() {
    let (x, y) = pairs(200);
    let map = LinearMap::fit(Matrix { values: &x, width: 12 }, Matrix { values: &y, width: 8 }).unwrap();
    let wanted = map.predict(Matrix { values: &x, width: 12 });
    let variant = Variant::find("skip_transcoder").unwrap();
    let inputs = Inputs::real(12).with_target(8);
    let recipe =
        Recipe { code_dim: 4, code: Activation::Relu.into(), penalty: Default::default(), ..(variant.recipe)() };
    variant.check(&recipe, &inputs).unwrap();
    let device = Device::default().autodiff();
    let mut model = recipe.init(&inputs, &device);
    let ae_model::network::NetworkEncoder::Dictionary(encoder) = &mut model.encoder else { panic!("a dictionary") };
    encoder.bias = Param::from_tensor(Tensor::<1>::full([4], -1e6, &device).require_grad());
    let mut objective = recipe.objective(&inputs);
    let mut optimizer: ModuleOptimizer = AdamConfig::new().init();
    for step in 0..1500 {
        let sample = Sample::from(tensor(&x, 12, &device)).with_target(tensor(&y, 8, &device));
        let rate = if step < 800 { 3e-2 } else { 1e-3 };
        (model, _) = objective.step(model, &mut optimizer, rate, sample, 0.5);
    }
    let found: Vec<f32> = model.reconstruct(tensor(&x, 12, &device)).into_data().iter::<f32>().collect();
    let worst = found.iter().zip(&wanted).map(|(found, wanted)| (found - wanted).abs()).fold(0.0, f32::max);
    assert!(worst < 2e-3, "{worst}");
    // At the optimum nothing is left that a linear map explains: the gradient by the connection is 0.
    let sample = Sample::from(tensor(&x, 12, &device)).with_target(tensor(&y, 8, &device));
    let loss = Objective::default().evaluate(&model, sample).loss();
    let gradients = loss.backward();
    let ae_model::network::NetworkDecoder::Dictionary(decoder) = &model.decoder else { panic!("a dictionary") };
    let gradient = decoder.skip.as_ref().unwrap().val().grad(&gradients).unwrap();
    assert!(gradient.abs().max().into_scalar::<f32>() < 1e-3);
}

#[test]
fn missing_inputs_do_not_hide_values_of_a_target() {
    let device = Device::default();
    let recipe = (Variant::find("transcoder").unwrap().recipe)();
    let recipe = Recipe { code_dim: 4, penalty: Default::default(), ..recipe };
    let model = recipe.init(&Inputs::real(3).with_target(3), &device);
    let sample = Sample::from(Tensor::<2>::ones([2, 3], &device)).with_target(Tensor::<2>::ones([2, 3], &device) * 9.0);
    let of = |sample| Objective::default().evaluate(&model, sample).loss().into_scalar::<f32>();
    let complete = of(sample.clone());
    // Nothing of the input is observed, so that it is read as 0: the whole target still counts.
    let hidden = of(sample.with_observed(Tensor::<2>::zeros([2, 3], &device)));
    assert!(hidden > 0.5 * complete, "{hidden} and {complete}");
}

#[test]
fn transcoders_are_trained_beside_linear_maps_and_exchanged_with_saelens() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let (x, y) = pairs(3000);
    npy(&here.join("x.npy"), &x, 12);
    npy(&here.join("y.npy"), &y, 8);
    npy(&here.join("new.npy"), &x[..120], 12);
    npy(&here.join("new-y.npy"), &y[..80], 8);
    let train = |variant: &str, out: &str, more: &[&str]| -> Value {
        let common = ["train", "--variant", variant, "--data", "x.npy", "--code-dim", "40", "--out", out, "--json"];
        let few = ["--epochs", "12", "--set", "training.batch_size=64", "--set", "model.code.k=6"];
        serde_json::from_str(&ae_ok(here, &[&common[..], &few, more].concat())).unwrap()
    };
    let fvu = |summary: &Value, of: &str| summary["test"][of]["fvu"].as_f64().unwrap();
    let [plain, skip] =
        ["transcoder", "skip_transcoder"].map(|variant| train(variant, variant, &["--target", "y.npy"]));
    let ours = |summary: &Value| summary["test"]["fvu"].as_f64().unwrap();
    let linear = skip["linear_map"]["fvu"].as_f64().unwrap();
    // A map of rank 6 of 8 is between the mean and the whole map; the skip transcoder is better than any linear map.
    assert!(linear < fvu(&skip, "pca") && fvu(&skip, "pca") < fvu(&skip, "mean"), "{skip}");
    assert!(ours(&skip) < 0.8 * linear, "{} and a linear map {linear}", ours(&skip));
    assert!(ours(&plain) < 0.6, "{plain}");
    assert_eq!(plain["random_dictionary"], Value::Null);

    // The same training twice gives the same bytes.
    let weights = |run: &str| fs::read(here.join(run).join("model.safetensors")).unwrap();
    train("skip_transcoder", "again", &["--target", "y.npy"]);
    assert!(weights("skip_transcoder") == weights("again"), "the same seed");

    // Codes and predictions of new rows need no target; errors do.
    ae_ok(here, &["encode", "transcoder", "--data", "new.npy", "--out", "h.npy"]);
    ae_ok(here, &["reconstruct", "skip_transcoder", "--data", "new.npy", "--out", "r.npy"]);
    let predicted = ae_data::open(here.join("r.npy").to_str().unwrap()).unwrap().train;
    assert_eq!((predicted.len(), predicted.width()), (10, 8));
    let refused = |args: &[&str]| {
        let output = ae(here, args);
        assert!(!output.status.success(), "{args:?}");
        text(&output.stderr)
    };
    for (args, part) in [
        (&["evaluate", "transcoder", "--data", "new.npy"][..], "name them with `--target PATH`"),
        (&["score", "transcoder"], "has no anomaly scores"),
        (&["impute", "transcoder", "--out", "i.npy"], "fill"),
        (&["decode", "skip_transcoder", "h.npy", "--out", "d.npy"], "also reads the input"),
        (
            &["export", "transcoder", "--format", "onnx"],
            "only a model that reconstructs its own rows is written as ONNX",
        ),
        (&["export", "transcoder", "--format", "safetensors"], "is written for PyTorch"),
        (&["reconstruct", "transcoder", "--out", "y.npy"], "is a part of the data itself"),
        (&["sample", "transcoder", "--out", "s.npy"], "reconstructs its own rows"),
        (&["train", "--variant", "transcoder", "--data", "x.npy"], "name them with `--target PATH`"),
        (&["train", "--data", "x.npy", "--target", "y.npy"], "train `--variant transcoder` or `skip_transcoder`"),
        (
            &["train", "--variant", "batch_top_k", "--data", "x.npy", "--target", "y.npy"],
            "`model.network.center` is true",
        ),
        (
            &["train", "--variant", "transcoder", "--data", "x.npy", "--target", "new.npy"],
            "has 10 rows, but `x.npy` has 3000",
        ),
        (&["train", "--variant", "transcoder", "--data", "digits", "--target", "y.npy"], "has a test set of its own"),
        (&["evaluate", "transcoder", "--data", "new.npy", "--target", "new.npy"], "was trained to predict 8"),
    ] {
        let said = refused(args);
        assert!(said.contains(part) && said.trim_end().lines().count() == 1, "{args:?}: {said}");
    }
    // The run knows where its target is, from any folder and under any name of its data.
    fs::create_dir(here.join("elsewhere")).unwrap();
    ae_ok(&here.join("elsewhere"), &["evaluate", "../transcoder", "--quiet"]);
    ae_ok(here, &["encode", "transcoder", "--data", "x.npy", "--rows", "test", "--out", "h.npy"]);
    let evaluated = ae_ok(here, &["evaluate", "transcoder", "--data", "new.npy", "--target", "new-y.npy"]);
    assert!(evaluated.contains("linear map of rank") && evaluated.contains("on 10 rows"), "{evaluated}");
    ae_ok(here, &["decode", "transcoder", "h.npy", "--out", "d.npy"]);
    let page = fs::read_to_string(here.join("skip_transcoder/report.html")).unwrap();
    assert!(page.contains("linear map of rank") && page.contains("id=\"atoms\"") && !page.contains("id=\"worst\""));
    let compared = ae_ok(here, &["compare", "transcoder", "skip_transcoder"]);
    assert!(compared.contains("linear map of rank"), "{compared}");

    // To SAELens and back: the same predictions in the units of the data.
    for (run, architecture) in [("transcoder", "jumprelu_transcoder"), ("skip_transcoder", "jumprelu_skip_transcoder")]
    {
        let exported = format!("{run}-sae");
        ae_ok(here, &["export", run, "--format", "saelens", "--out", &exported]);
        let config: Value =
            serde_json::from_str(&fs::read_to_string(here.join(&exported).join("cfg.json")).unwrap()).unwrap();
        assert_eq!((&config["architecture"], &config["d_out"]), (&architecture.into(), &8.into()));
        let back = format!("{run}-back");
        ae_ok(here, &["import", &exported, "--data", "x.npy", "--target", "y.npy", "--out", &back]);
        let of = |run: &str| {
            let out = format!("{run}-r.npy");
            ae_ok(here, &["reconstruct", run, "--data", "new.npy", "--out", &out]);
            let rows = ae_data::open(here.join(&out).to_str().unwrap()).unwrap().train;
            (0..rows.len()).flat_map(|row| rows.row(row).unwrap()).collect::<Vec<f64>>()
        };
        let (ours, back) = (of(run), of(&back));
        let worst = ours.iter().zip(&back).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(worst < 1e-4, "{run}: {worst}");
    }
}

#[test]
fn a_transcoder_is_trained_on_rows_in_memory() {
    let (x, y) = pairs(600);
    let mut rows = Rows::new(Values::F32(x.clone()), 12);
    rows.target = Some(std::sync::Arc::new(Rows::new(Values::F32(y), 8)));
    let mut config = Config::of_variant("skip_transcoder").unwrap();
    config.model.code_dim = 40;
    (config.training.epochs, config.training.batch_size) = (3, 64);
    let mut short = rows.clone();
    short.target = Some(std::sync::Arc::new(Rows::new(Values::F32(x[..80].to_vec()), 8)));
    let said = Trainer::new(config.clone()).fit(short).unwrap_err().to_string();
    assert!(said.contains("has 10 rows, but") && said.contains("has 600"), "{said}");
    let fitted = Trainer::new(config).fit(rows).unwrap();
    let predicted = fitted.reconstruct((&x[..24], 12)).unwrap();
    assert_eq!(predicted.len(), 16);
    assert!(fitted.score((&x[..24], 12)).unwrap_err().to_string().contains("has anomaly scores"));
    // Its dictionary in the units of the data predicts the same.
    let sae = Sae::of(&fitted.trained).unwrap();
    let place = tempfile::tempdir().unwrap();
    let files = sae.files(&fitted.trained, None).unwrap();
    let names = ae_train::export::dictionaries::FILES.iter();
    names.zip(&files).for_each(|(name, bytes)| fs::write(place.path().join(name), bytes).unwrap());
    assert_eq!(ae_train::export::dictionaries::read(place.path()).unwrap(), Some(sae));
    let model = saelens::model(place.path(), 12);
    let found = saelens::numbers(model.reconstruct(tensor(&x[..24], 12, &Device::default())));
    let worst = found.iter().zip(&predicted).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
    assert!(worst < 1e-4, "{worst}");
}
