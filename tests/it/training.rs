//! Whole runs of the binary on the embedded digits: quality, repeatability, resuming.

use std::{
    fs,
    io::Read,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use ae_train::{
    Config, Trainer,
    baseline::{Matrix, Pca},
    evaluation::{hide, imputation_mse, noise_sse},
};
use burn::tensor::Device;
use serde_json::Value;

use crate::{ae, ae_ok, text};

fn summary(run: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(run.join("summary.json")).unwrap()).unwrap()
}

fn weights(run: &Path) -> Vec<u8> {
    fs::read(run.join("model.safetensors")).unwrap()
}

#[test]
fn the_default_run_is_better_than_pca_and_writes_everything() {
    let folder = tempfile::tempdir().unwrap();
    let printed = ae_ok(folder.path(), &[]);
    let run = folder.path().join("runs/undercomplete-digits-001");
    let summary = summary(&run);
    let sse = summary["test"]["sse"].as_f64().unwrap();
    assert!(sse <= 0.77, "test sse {sse}");
    assert!((summary["test"]["pca"]["sse"].as_f64().unwrap() - 1.289).abs() < 1e-3);
    assert!((summary["test"]["mean"]["sse"].as_f64().unwrap() - 4.705).abs() < 1e-3);
    for figure in ["sse", "mse", "fvu"] {
        for place in [&summary["test"], &summary["test"]["pca"], &summary["test"]["mean"]] {
            let digits = if figure == "mse" { 6 } else { 4 };
            let value = format!("{:.digits$}", place[figure].as_f64().unwrap());
            assert!(printed.contains(&value), "the table lacks {figure} {value}:\n{printed}");
        }
    }
    assert!(
        summary["train_seconds"].as_f64().unwrap() > 0.0
            && summary["epochs"].as_u64().unwrap() > 0
            && summary["parameters"].as_u64().unwrap() > 0
    );
    for file in
        ["config.toml", "data.toml", "model.safetensors", "model.bpk", "metrics.csv", "experiment.log", "checkpoint"]
    {
        assert!(run.join(file).exists(), "{file}");
    }
    assert!(printed.contains("runs/undercomplete-digits-001"), "{printed}");
}

#[test]
fn a_linear_autoencoder_reaches_pca_and_never_beats_it_on_training_rows() {
    let folder = tempfile::tempdir().unwrap();
    ae_ok(folder.path(), &["train", "--variant", "linear", "--code-dim", "8", "--out", "run"]);
    let summary = summary(&folder.path().join("run"));
    let (test, train) = (&summary["test"], &summary["train"]);
    let ratio = test["sse"].as_f64().unwrap() / test["pca"]["sse"].as_f64().unwrap();
    assert!(ratio < 1.01, "test sse is {ratio} of PCA's");
    let (model, pca) = (train["sse"].as_f64().unwrap(), train["pca"]["sse"].as_f64().unwrap());
    assert!(model >= pca, "train sse {model} below PCA's {pca}");
}

/// Trains until at least `epochs` lines have been printed, then interrupts as Ctrl-C does.
fn interrupted(folder: &Path, args: &[&str], epochs: usize) -> String {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ae"))
        .args(args)
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let metrics = folder.join("run/metrics.csv");
    let began = Instant::now();
    while fs::read_to_string(&metrics).unwrap_or_default().lines().count() <= epochs {
        assert!(began.elapsed() < Duration::from_secs(60), "no epoch ended in a minute");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{said}");
    said
}

/// A run, the same run again, and one interrupted and resumed: all must have the same weights and results.
#[cfg(unix)]
fn resumes_bit_for_bit(settings: &[&str]) {
    let settings = [&["--epochs", "14", "--seed", "3", "--out", "run"], settings].concat();
    let [whole, again, cut] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    ae_ok(whole.path(), &settings);
    ae_ok(again.path(), &settings);
    let said = interrupted(cut.path(), &settings, 4);
    assert!(said.contains("ae train --resume run"), "{said}");
    assert!(!cut.path().join("run/summary.json").exists());
    assert!(cut.path().join("run/model.safetensors").exists(), "the best epoch so far is saved");
    ae_ok(cut.path(), &["train", "--resume", "run"]);
    let expected = weights(&whole.path().join("run"));
    assert!(weights(&again.path().join("run")) == expected, "the same seed gave another run");
    assert!(weights(&cut.path().join("run")) == expected, "resuming gave other weights");
    let figures =
        |run: &Path| (summary(run)["test"].clone(), summary(run)["best_epoch"].clone(), summary(run)["epochs"].clone());
    assert_eq!(figures(&cut.path().join("run")), figures(&whole.path().join("run")));
    // A finished run only prints its result again.
    assert!(ae_ok(cut.path(), &["train", "--resume", "run"]).contains("PCA ("));
}

#[cfg(unix)]
#[test]
fn a_resumed_run_has_the_weights_of_one_never_interrupted() {
    // Early stopping, warm-up and AdamW have states that a resumed run must restore.
    let settings =
        ["training.warmup_epochs=2", "training.optimizer=adam_w", "training.weight_decay=0.01", "training.patience=5"];
    resumes_bit_for_bit(&settings.map(|setting| ["--set", setting]).concat());
}

/// Resampling is in the first half of the training, before the run is interrupted and after it was resumed.
#[cfg(unix)]
#[test]
fn a_run_whose_dead_units_start_again_has_the_same_weights_after_it_was_resumed() {
    let settings = [
        "model.network.kind=dictionary",
        "model.network.center=false",
        "model.code.k=3",
        "model.code.anneal=1e-9",
        "training.learning_rate=0.01",
        "model.resample.every=7",
        "model.resample.dead_after=100",
        "training.batch_size=64",
    ];
    let mut arguments = vec!["--variant", "k_sparse", "--code-dim", "200"];
    arguments.extend(settings.iter().flat_map(|setting| ["--set", setting]));
    resumes_bit_for_bit(&arguments);
    let place = tempfile::tempdir().unwrap();
    let said = |settings: &[&str]| {
        let arguments = [&arguments[..], &["--epochs", "2", "--out"], settings].concat();
        text(&ae(place.path(), &arguments).stderr)
    };
    let with = said(&["run"]);
    let line = with.lines().find(|line| line.contains("started again")).unwrap_or_else(|| panic!("{with}"));
    assert!(!line.starts_with("0 units"), "{line}");
    let never = said(&["never", "--set", "model.resample.every=7000"]);
    assert!(never.contains("no unit is ever resampled") && never.contains("0 units started again"), "{never}");
}

/// Killed within an epoch: it continues from the last checkpoint in it, to the same weights. The noise of a step
/// depends only on the step.
#[cfg(unix)]
#[test]
fn a_run_that_was_killed_within_an_epoch_goes_on_within_it() {
    let settings = ["--epochs", "2", "--variant", "denoising", "--seed", "3", "--out", "run"];
    // 647 steps per epoch, so that the first epoch takes long enough.
    let settings = [&settings[..], &["--set", "training.batch_size=2", "--set", "checkpoint.every=40"]].concat();
    let [whole, cut] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    ae_ok(whole.path(), &settings);
    let run = cut.path().join("run");
    let steps = |folder: &Path| -> Vec<u64> {
        let names = fs::read_dir(folder.join("checkpoint"))
            .map(|entries| entries.flatten().map(|entry| entry.file_name()).collect());
        let names: Vec<std::ffi::OsString> = names.unwrap_or_default();
        let number = |name: &str| name.strip_prefix("step-")?.strip_suffix(".json")?.parse().ok();
        names.iter().filter_map(|name| number(&name.to_string_lossy())).collect()
    };
    let mut reached = 0;
    for kill in 0..3 {
        let args = if kill == 0 { settings.clone() } else { vec!["train", "--resume", "run"] };
        let command = &mut Command::new(env!("CARGO_BIN_EXE_ae"));
        let mut child =
            command.args(args).current_dir(cut.path()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let began = Instant::now();
        while steps(&run).iter().all(|step| *step < reached + 80) {
            assert!(began.elapsed() < Duration::from_secs(60), "no checkpoint was taken in a minute");
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        let said = text(&child.wait_with_output().unwrap().stderr);
        if kill > 0 {
            assert!(said.contains("training continues within epoch 1"), "{said}");
        }
        reached = steps(&run).into_iter().max().unwrap();
        assert!(!run.join("checkpoint/epoch-1.json").exists(), "the machine is too fast for this test");
    }
    // A checkpoint with a damaged record is skipped, with a warning.
    let (name, damaged) = (format!("checkpoint/optim-step-{reached}.bpk"), cut.path().join("damaged"));
    copy(&run, &damaged);
    let mut bytes = fs::read(damaged.join(&name)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::write(damaged.join(&name), bytes).unwrap();
    let output = ae(cut.path(), &["train", "--resume", "damaged"]);
    let said = text(&output.stderr);
    assert!(
        output.status.success() && said.contains(&format!("the checkpoint of step {reached} is damaged")),
        "{said}"
    );
    ae_ok(cut.path(), &["train", "--resume", "run"]);
    for run in [&run, &damaged] {
        assert!(weights(run) == weights(&whole.path().join("run")), "{}: other weights", run.display());
        assert!(steps(run).is_empty(), "a checkpoint within an epoch is left");
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (entry, to) = (entry.unwrap(), to.to_owned());
        let to = to.join(entry.file_name());
        if entry.path().is_dir() { copy(&entry.path(), &to) } else { assert!(fs::copy(entry.path(), to).is_ok()) }
    }
}

#[test]
fn a_finished_training_keeps_the_checkpoints_needed_to_continue() {
    let place = tempfile::tempdir().unwrap();
    let kept = |name: &str, keep: &str| {
        let keep = format!("checkpoint.keep={keep}");
        ae_ok(
            place.path(),
            &["train", "--epochs", "5", "--set", &keep, "--set", "training.batch_size=256", "--out", name],
        );
        let names = fs::read_dir(place.path().join(name).join("checkpoint"));
        let mut names: Vec<String> = names.map_or(Vec::new(), |names| {
            names
                .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
                .filter(|name| name.starts_with("epoch"))
                .collect()
        });
        names.sort();
        names
    };
    // Every epoch is better than the one before: the last is the best.
    assert_eq!(kept("last", "last"), ["epoch-5.json"]);
    // Of epochs shorter than a second not all were saved.
    let all = kept("all", "all");
    assert!((2..=3).contains(&all.len()) && all[all.len() - 1] == "epoch-5.json", "{all:?}");
    assert!(kept("none", "none").is_empty() && !place.path().join("none/checkpoint").exists());
    ae_ok(place.path(), &["train", "--resume", "last", "--epochs", "6"]);
    let refused = ae(place.path(), &["train", "--resume", "none", "--epochs", "6"]);
    assert!(text(&refused.stderr).contains("checkpoint.keep"), "{}", text(&refused.stderr));
}

/// A network of 1.9 billion weights, almost the most that is allowed.
#[test]
fn a_training_that_does_not_fit_is_refused_before_it_starts_and_leaves_no_folder() {
    if ae_train::estimate::available_memory().is_none_or(|free| free > 60_000_000_000) {
        return; // it would be trained
    }
    let place = tempfile::tempdir().unwrap();
    let refused = ae(place.path(), &["train", "--set", "model.network.hidden=[31000,31000]", "--out", "run"]);
    let said = text(&refused.stderr);
    let line = said.lines().last().unwrap_or_default();
    assert!(
        refused.status.code() == Some(1)
            && line.starts_with("error: this training needs about 69")
            && line.contains("reduce `model.network.hidden`"),
        "{said}"
    );
    assert!(!place.path().join("run").exists());
}

#[cfg(feature = "tensorboard")]
#[test]
fn event_files_continue_with_a_resumed_run() {
    let place = tempfile::tempdir().unwrap();
    ae_ok(place.path(), &["train", "--epochs", "2", "--tensorboard", "events", "--out", "run"]);
    ae_ok(place.path(), &["train", "--resume", "run", "--epochs", "3", "--tensorboard", "events"]);
    let files: Vec<_> =
        fs::read_dir(place.path().join("events/run")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() == 2 && files.iter().all(|file| fs::metadata(file).unwrap().len() > 500), "{files:?}");
}

/// Killed repeatedly at arbitrary moments, and resumed.
#[cfg(unix)]
#[test]
fn a_run_that_was_killed_goes_on_to_the_same_weights() {
    let settings = ["--epochs", "30", "--seed", "3", "--out", "run"];
    let [whole, cut] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    ae_ok(whole.path(), &settings);
    for (kill, args) in
        std::iter::once(&settings[..]).chain(std::iter::repeat_n(&["train", "--resume", "run"][..], 5)).enumerate()
    {
        let command = &mut Command::new(env!("CARGO_BIN_EXE_ae"));
        let mut child =
            command.args(args).current_dir(cut.path()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let config = cut.path().join("run/config.toml");
        while !config.exists() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis([40, 150, 90, 220, 60, 130][kill]));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    ae_ok(cut.path(), &["train", "--resume", "run"]);
    assert!(weights(&cut.path().join("run")) == weights(&whole.path().join("run")), "other weights");
    let rows = |folder: &Path| fs::read_to_string(folder.join("run/metrics.csv")).unwrap().lines().count();
    assert_eq!(rows(cut.path()), rows(whole.path()));
}

#[test]
fn a_run_that_has_ended_is_continued() {
    let [whole, more] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let settings = ["--seed", "3", "--out", "run", "--set", "training.schedule=constant", "--epochs"];
    ae_ok(whole.path(), &[&settings[..], &["8"]].concat());
    ae_ok(more.path(), &[&settings[..], &["5"]].concat());
    ae_ok(more.path(), &["train", "--resume", "run", "--epochs", "8"]);
    assert!(
        weights(&more.path().join("run")) == weights(&whole.path().join("run")),
        "other weights than of one training"
    );
    assert_eq!(summary(&more.path().join("run"))["epochs"], 8);
    let refused = ae(more.path(), &["train", "--resume", "run", "--epochs", "8"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("more than the 8 already trained"), "{}", text(&refused.stderr));
}

/// Two processes in one folder: the second is refused, and neither harms the other.
#[test]
fn a_folder_is_changed_by_one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let command = &mut Command::new(env!("CARGO_BIN_EXE_ae"));
    let long = ["--epochs", "100000", "--out", "run", "--set", "training.patience=0"];
    let mut child = command.args(long).current_dir(here).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while !here.join("run/metrics.csv").exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let second = crate::ae(here, &["train", "--resume", "run"]);
    child.kill().unwrap();
    child.wait().unwrap();
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(second.status.code() == Some(1) && said.contains("another process is working in run"), "{said}");
}

/// `ae train 2>&1 | head`: training continues when the reader of standard error goes away.
#[test]
fn a_closed_standard_error_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let command = &mut Command::new(env!("CARGO_BIN_EXE_ae"));
    let args = ["--epochs", "5", "--out", "run", "--set", "training.pretrain_epochs=2"];
    let mut child =
        command.args(args).current_dir(folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    assert!(child.wait().unwrap().success());
    assert_eq!(summary(&folder.path().join("run"))["epochs"], 5);
}

#[cfg(unix)]
#[test]
fn noise_dropout_running_statistics_and_annealing_are_resumed() {
    let settings = [
        "model.corruption.gaussian.std=0.2",
        "model.network.hidden=[16]",
        "model.network.norm=batch",
        "model.network.dropout=0.2",
        "model.code.kind=top_k",
        "model.code.k=3",
        "model.code.k_start=8",
        "model.code.anneal=1",
        "model.penalty.contractive.weight=0.01",
    ];
    resumes_bit_for_bit(&settings.map(|setting| ["--set", setting]).concat());
    let settings =
        ["model.code.kind=lifetime", "model.code.rate=0.2", "model.network.hidden=[16]", "training.pretrain_epochs=2"];
    resumes_bit_for_bit(&settings.map(|setting| ["--set", setting]).concat());
}

#[test]
fn regularized_codes_have_their_properties() {
    let fit = |variant: &str| {
        let mut config = ae_train::Config::of_variant(variant).unwrap();
        (config.training.epochs, config.training.learning_rate, config.model.code_dim) = (20, 5e-3, 160);
        ae_train::fit(config, Device::default()).unwrap()
    };
    let test = ae_data::Dataset::new(ae_data::open("digits").unwrap().test.unwrap());
    let noise = |fitted: &ae_train::Fitted| {
        let values = test.scaled(&fitted.trained.schema.scaling).unwrap();
        let rows = Matrix { values: &values, width: 64 };
        noise_sse(rows, 0.3, 1, |noisy| noisy.through(&Device::default(), |x| fitted.trained.model.reconstruct(x)))
            .unwrap()
    };
    let [plain, contractive, denoising, sparse, k_sparse] =
        ["overcomplete", "contractive", "denoising", "sparse", "k_sparse"].map(fit);
    let (code, of) = (plain.summary.code, |fitted: &ae_train::Fitted| fitted.summary.code);
    assert!(of(&contractive).jacobian_norm2 * 5.0 < code.jacobian_norm2, "{:?} {code:?}", of(&contractive));
    assert!(noise(&denoising) * 1.1 < noise(&plain), "{} {}", noise(&denoising), noise(&plain));
    assert!(of(&sparse).mean_activation * 1.5 < code.mean_activation, "{:?} {code:?}", of(&sparse));
    assert!((of(&k_sparse).l0 - 25.0).abs() < 0.5, "{:?}", of(&k_sparse));
}

#[test]
fn missing_values_are_ignored_in_training_and_imputed() {
    // Digits as a table of real numbers, with a quarter of the values missing.
    let folder = tempfile::tempdir().unwrap();
    let digits = ae_data::open("digits").unwrap();
    let mut bytes = [&[0, 0, 0x0d, 2][..], &(digits.train.len() as u32).to_be_bytes(), &64u32.to_be_bytes()].concat();
    for row in 0..digits.train.len() {
        for (column, value) in digits.train.row(row).unwrap().into_iter().enumerate() {
            let value = if (row * 31 + column * 17) % 4 == 0 { f32::NAN } else { (value / 16.0) as f32 };
            bytes.extend(value.to_be_bytes());
        }
    }
    fs::write(folder.path().join("holes.idx"), bytes).unwrap();
    for (variant, code_dim) in [("masked", "64"), ("undercomplete", "10")] {
        let settings = [
            "--set",
            "data.scaling=min_max",
            "--set",
            "model.network.hidden=[64]",
            "--code-dim",
            code_dim,
            "--epochs",
            "20",
        ];
        let faster = ["--set", "training.learning_rate=0.004"];
        let args = [&["train", "--variant", variant, "--data", "holes.idx", "--out", variant][..], &settings, &faster]
            .concat();
        ae_ok(folder.path(), &args);
        let fvu = summary(&folder.path().join(variant))["test"]["fvu"].as_f64().unwrap();
        assert!(fvu < 0.9, "{variant}: fvu {fvu} on what was observed");
    }
    let run = ae_train::Run::open(&folder.path().join("masked")).unwrap();
    let model = run.model(Device::default()).unwrap();
    let test = ae_data::Dataset::new(digits.test.unwrap());
    let values: Vec<f32> =
        test.scaled(&ae_data::Scaling::identity()).unwrap().iter().map(|value| value / 16.0).collect();
    let rows = Matrix { values: &values, width: 64 };
    let holes = hide(rows, 0.25, 1);
    let holes = Matrix { values: &holes, width: 64 };
    let filled = holes.through(&Device::default(), |x| {
        let visible = x.clone().is_nan().bool_not().float();
        model.impute(x, visible)
    });
    let (found, means) = (
        imputation_mse(rows, holes, &filled.unwrap()),
        imputation_mse(rows, holes, &Pca::fit(rows, 0).unwrap().impute(holes)),
    );
    assert!(found < 0.6 * means, "filled in with an error of {found}, the column means have {means}");
}

#[test]
fn another_seed_gives_another_run_and_early_stopping_stops() {
    let folder = tempfile::tempdir().unwrap();
    let train = |seed: &str, out: &str| {
        ae_ok(folder.path(), &["--epochs", "1", "--seed", seed, "--out", out, "--set", "model.network.hidden=[8]"]);
        weights(&folder.path().join(out))
    };
    assert_ne!(train("1", "a"), train("2", "b"));
    // With such a large constant learning rate, some epoch is soon no better than the best one.
    let args = [
        "--epochs",
        "60",
        "--out",
        "c",
        "--set",
        "training.patience=1",
        "--set",
        "training.learning_rate=0.3",
        "--set",
        "training.schedule=constant",
    ];
    ae_ok(folder.path(), &args);
    let epochs = summary(&folder.path().join("c"))["epochs"].as_u64().unwrap();
    assert!(epochs < 60, "stopped after {epochs}");
}

#[test]
fn bernoulli_clipping_tied_weights_and_standard_scaling_train() {
    let folder = tempfile::tempdir().unwrap();
    let common = ["--epochs", "3"];
    for (out, settings) in [
        ("bernoulli", vec!["model.reconstruction=bernoulli"]),
        ("tied", vec!["model.network.tied=true", "training.gradient_clip=1.0"]),
        ("standard", vec!["data.scaling=standard", "model.code.activation=tanh"]),
        ("fashion", vec!["data.source=fashion-mini", "model.network.hidden=[32]"]),
    ] {
        let mut args = common.to_vec();
        args.extend(["--out", out]);
        settings.iter().for_each(|setting| args.extend(["--set", setting]));
        ae_ok(folder.path(), &args);
        let fvu = summary(&folder.path().join(out))["test"]["fvu"].as_f64().unwrap();
        assert!(fvu < 1.0, "{out}: fvu {fvu} after three epochs");
    }
}

#[test]
fn a_decoder_with_its_own_widths_trains_and_survives_export_and_import() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let mut args = vec!["train", "--epochs", "3", "--out", "wide"];
    for setting in
        ["model.network.hidden=[32]", "model.network.decoder_hidden=[24,48]", "model.network.initializer=orthogonal"]
    {
        args.extend(["--set", setting]);
    }
    ae_ok(here, &args);
    let fvu = summary(&here.join("wide"))["test"]["fvu"].as_f64().unwrap();
    assert!(fvu < 1.0, "fvu {fvu} after three epochs");
    ae_ok(here, &["export", "wide"]);
    ae_ok(here, &["import", "wide/export/model.safetensors", "--out", "back"]);
    let config = ae_train::Config::load(&here.join("back/config.toml"), &Default::default()).unwrap().to_toml();
    assert!(config.contains("\nhidden = [32]\n") && config.contains("\ndecoder_hidden = [24, 48]\n"), "{config}");
    assert_eq!(ae_ok(here, &["reconstruct", "back"]), ae_ok(here, &["reconstruct", "wide"]));
}

#[test]
fn a_loss_that_diverges_is_said_and_not_saved_as_a_result() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    // Squares of such numbers overflow `f32`.
    let rows: String =
        (0..40).map(|row| format!("{0}e25,{1}e25,{2}e25\n", 1 + row % 7, 2 + row % 5, 3 + row % 3)).collect();
    fs::write(here.join("large.csv"), format!("a,b,c\n{rows}")).unwrap();
    let args =
        ["--data", "large.csv", "--code-dim", "2", "--epochs", "3", "--out", "run", "--set", "data.scaling=none"];
    for args in [&args[..], &["train", "--resume", "run"]] {
        let output = ae(here, args);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        let error = said.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
        assert!(error.contains("infinite in epoch 1") && error.contains("training.learning_rate"), "{said}");
        assert!(!said.contains("PANIC") && !said.contains("panicked"), "{said}");
        assert!(!here.join("run/summary.json").exists());
    }
}

#[cfg(unix)]
#[test]
fn all_files_of_a_run_have_the_same_permissions() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let output = ae(folder.path(), &["train", "--epochs", "1", "--set", "model.network.hidden=[8]", "--out", "run"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let mode = |name: &str| fs::metadata(folder.path().join("run").join(name)).unwrap().permissions().mode();
    for file in fs::read_dir(folder.path().join("run")).unwrap().flatten().filter(|file| file.path().is_file()) {
        let name = file.file_name().into_string().unwrap();
        assert_eq!(mode(&name), mode("config.toml"), "{name}");
    }
}

#[test]
fn epochs_of_half_the_rows_are_the_same_steps() {
    let values: Vec<f32> = (0..100 * 6).map(|at| ((at * 37 % 101) as f32 / 20.0).sin() * (at % 6 + 1) as f32).collect();
    let train = |epochs: usize, epoch_rows: usize| {
        let mut config = Config::of_variant("undercomplete").unwrap();
        config.model.code_dim = 3;
        (config.training.epochs, config.training.epoch_rows) = (epochs, epoch_rows);
        (config.training.batch_size, config.training.patience) = (12, 0);
        let fitted = Trainer::new(config).fit((values.as_slice(), 6)).unwrap();
        (fitted.summary.best_epoch, fitted.reconstruct((&values[..60], 6)).unwrap())
    };
    // 72 of the 100 rows are for training.
    let (whole, halves) = (train(5, 0), train(10, 36));
    assert_eq!((whole.0, halves.0), (5, 10), "the last epoch is the best");
    assert_eq!(whole.1, halves.1);
    let output = ae(".".as_ref(), &["train", "--set", "training.epoch_rows=2000000000"]);
    assert!(text(&output.stderr).contains("`training.epoch_rows` is 2000000000"), "{}", text(&output.stderr));
}
