//! The command line itself: help, colors, JSON, completions, manual pages, explanations and sweeps.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Output},
    sync::OnceLock,
};

use serde_json::Value;

use crate::{ae, ae_ok, text};

/// The run that examples speak of.
const RUN: &str = "runs/undercomplete-digits-001";

/// A folder with the default run, shortly trained.
fn runs() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        ae_ok(folder.path(), &["--epochs", "2", "-s", "model.network.hidden=[8]"]);
        folder
    });
    folder.path()
}

/// Runs `ae` and reads the JSON that it prints, which has to be all that it prints.
fn json(folder: &Path, args: &[&str]) -> Value {
    let printed = ae_ok(folder, args);
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("ae {args:?}: {error}: {printed}"))
}

/// The commands that the overview lists.
fn commands() -> Vec<String> {
    let overview = ae_ok(Path::new("."), &["--help"]);
    let (_, listed) = overview.split_once("Train:").unwrap();
    let (listed, _) = listed.split_once("Without a command").unwrap();
    let names = listed.lines().filter_map(|line| line.strip_prefix("  ")).filter_map(|line| line.split(' ').next());
    let names: Vec<String> = names.map(str::to_string).collect();
    assert!(names.len() > 20 && !names.contains(&"probe".to_string()), "{names:?}");
    names
}

fn examples(command: &str) -> Vec<String> {
    let help = ae_ok(Path::new("."), &[command, "--help"]);
    let (_, examples) = help.split_once("Examples:").unwrap_or_else(|| panic!("{command} has no example: {help}"));
    let lines = examples.lines().filter_map(|line| line.strip_prefix("  ")).filter(|line| line.starts_with("ae"));
    lines.map(str::to_string).collect()
}

#[test]
fn every_example_of_a_command_on_a_run_works_when_it_is_typed() {
    let mut typed = 0;
    for command in commands() {
        let examples = examples(&command);
        assert!(examples.iter().any(|line| line.starts_with(&format!("ae {command}"))), "{command}: {examples:?}");
        // Those that train take longer, and some are about files that everybody has of their own.
        let is_long = |line: &String| ["train", "compare", "sweep"].iter().any(|long| line.contains(long));
        let is_own = |line: &String| {
            line.contains("customers.csv")
                || line.contains("masked")
                || line.contains("report sparse")
                || line.contains('~')
        };
        for line in examples.iter().filter(|line| !is_long(line) && !is_own(line)) {
            let args: Vec<&str> = line.split(" > ").next().unwrap().split_whitespace().skip(1).collect();
            ae_ok(runs(), &args);
            typed += 1;
        }
    }
    assert!(typed > 25, "{typed}");
}

#[test]
fn the_short_help_has_what_is_needed_most_and_the_long_one_everything() {
    let here = Path::new(".");
    for command in ["train", "data", "score", "encode"] {
        let [short, long] = ["-h", "--help"].map(|flag| ae_ok(here, &[command, flag]));
        assert!(short.lines().count() < 70, "{command}: {}", short.lines().count());
        assert!(short.contains("--label") && short.contains("see more with '--help'"), "{short}");
        assert!(!short.contains("--delimiter") && !short.contains("Reading files:"), "{short}");
        assert!(long.contains("Reading files:") && long.contains("--delimiter") && long.contains("--keep"), "{long}");
    }
}

#[test]
fn rows_that_were_trained_on_are_said() {
    let said = |args: &[&str]| {
        let output = ae(runs(), args);
        assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
        text(&output.stderr).matches("the run was trained and tested on").count()
    };
    for command in ["encode", "score", "reconstruct", "evaluate"] {
        assert_eq!(said(&[command, RUN, "--rows", "all"]), 1, "{command}");
        assert_eq!(said(&[command, RUN]), 0, "{command}");
    }
    assert_eq!(said(&["encode", RUN, "--data", "digits"]), 1);
    assert_eq!(said(&["encode", RUN, "--data", "digits", "--rows", "all"]), 1);
    assert!(ae_ok(runs(), &["encode", "--help"]).contains("those that it was trained on"));
}

#[test]
fn nothing_but_text_is_printed_where_color_is_not_wanted() {
    let run = |variable: Option<(&str, &str)>, args: &[&str]| -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ae"));
        command.current_dir(runs()).args(args).envs(variable);
        command.output().unwrap()
    };
    let has_escape = |output: &Output| output.stdout.contains(&0x1b) || output.stderr.contains(&0x1b);
    let commands: [&[&str]; 6] =
        [&["--help"], &["train", "--help"], &["trian"], &["evaluate", RUN], &["compare", RUN], &["score", "nowhere"]];
    for args in commands {
        let never = [args, &["--color", "never"][..]].concat();
        for (variable, args) in [
            (Some(("NO_COLOR", "1")), args),
            (Some(("TERM", "dumb")), args),
            (Some(("CLICOLOR_FORCE", "1")), never.as_slice()),
            (None, args),
        ] {
            let output = run(variable, args);
            assert!(!has_escape(&output), "{variable:?} ae {args:?}: {}", text(&output.stdout));
        }
        assert!(has_escape(&run(None, &[args, &["--color", "always"][..]].concat())), "ae {args:?} has no color");
    }
}

#[test]
fn every_command_prints_one_json_document() {
    let here = runs();
    let read = |args: &[&str]| json(here, args);
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    for list in ["variants", "datasets", "devices"] {
        assert!(!read(&[list, "--json"]).as_array().unwrap().is_empty(), "{list}");
    }
    assert_eq!(read(&["config", "--variant", "sparse", "--json"])["variant"], "sparse");
    assert!(read(&["explain", "--json"])["figures"].as_array().unwrap().len() > 30);
    assert_eq!(read(&["explain", "fvu", "--json"])[0]["kind"], "figure");
    assert_eq!(read(&["export", RUN, "--json"])["files"].as_array().unwrap().len(), 6);
    assert!(read(&["report", RUN, "--json"])["report"].as_str().unwrap().ends_with("report.html"));
    assert!(read(&["impute", RUN, "--json"])["mse"].is_number());
    assert!(read(&["compare", RUN, "--json"])[1]["folders"][0].as_str().unwrap().ends_with(RUN));
    let drawn = read(&["sample", RUN, "-n", "50", "--measure", "--json"]);
    assert!(drawn["drawn"] == 50 && drawn["sets"][0]["frechet"].is_number(), "{drawn}");

    let digits = read(&["data", "digits", "--json"]);
    let places = [&digits["rows"], &digits["test_rows"], &digits["images"][1], &digits["labels"]["classes"][9]["rows"]];
    assert!(places.iter().all(|value| value.is_u64()), "{digits}");
    let row = |i: usize| format!("n{i},{},{},{}\n", i % 7, ["red", "blue"][i % 2], i * 3 % 11);
    let rows: String = (1..40).map(row).collect();
    fs::write(here.join("t.csv"), format!("name,a,b,c\nn0,,red,5\n{rows}")).unwrap();
    let table = read(&["data", "t.csv", "-i", "name", "--json"]);
    assert_eq!(keys(&table), keys(&digits));
    let mean = (1..40).map(|i| (i % 7) as f64).sum::<f64>() / 39.0;
    let first = &table["columns"][0];
    assert!((first["mean"].as_f64().unwrap() - mean).abs() < 1e-9 && first["missing"] == 1, "{table}");
    assert!(table["identifiers"][0] == "n0" && table["columns"][2]["levels"].as_array().is_some(), "{table}");

    // Where the rows have labels and where they have none: the same keys.
    let scored = read(&["score", RUN, "--json"]);
    let labelled = read(&["score", RUN, "--normal", "0", "--json"]);
    assert!(keys(&scored) == keys(&labelled) && scored["auroc"].is_null() && labelled["auroc"].is_number());
    let trained = read(&["train", "--data", "t.csv", "--epochs", "1", "--code-dim", "1", "--drop", "name", "--json"]);
    assert!(trained["run"].as_str().is_some_and(|run| here.join(run).join("report.html").is_file()), "{trained}");
    assert!(trained["test"]["pca"]["fvu"].is_number() && trained.get("diverged").is_some(), "{trained}");
    let run = trained["run"].as_str().unwrap();
    let (images, rows) = (read(&["evaluate", RUN, "--json"]), read(&["evaluate", run, "--json"]));
    assert!(keys(&images) == keys(&rows) && rows["images"].is_null() && images["images"].is_object());
    let imported = read(&["import", &format!("{RUN}/export/model.safetensors"), "--out", "again", "--json"]);
    assert_eq!(keys(&imported), keys(&trained));

    // All keys are in the page about them.
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/json.md")).unwrap();
    let first = |value: Value| value[0].clone();
    let listed =
        [read(&["variants", "--json"]), read(&["datasets", "--json"]), read(&["devices", "--json"])].map(first);
    for value in [digits, table, scored, trained, images, drawn].iter().chain(&listed) {
        for key in keys(value) {
            assert!(page.contains(&format!("`{key}`")), "`{key}` is not in docs/json.md");
        }
    }
}

#[test]
fn every_figure_that_is_printed_is_explained() {
    /// The names of the numbers in a document.
    fn numbers(value: &Value, name: &str, into: &mut BTreeSet<String>) {
        match value {
            Value::Object(object) => object.iter().for_each(|(key, value)| numbers(value, key, into)),
            Value::Array(values) => values.iter().for_each(|value| numbers(value, name, into)),
            Value::Number(_) => drop(into.insert(name.to_string())),
            _ => {}
        }
    }
    let mut names = BTreeSet::new();
    for args in [
        &["evaluate", RUN, "--json"][..],
        &["train", "--resume", RUN, "--json"],
        &["impute", RUN, "--json"],
        &["score", RUN, "--normal", "0", "--json"],
        &["sample", RUN, "--measure", "--json"],
    ] {
        numbers(&json(runs(), args), "", &mut names);
    }
    let lines = json(runs(), &["compare", RUN, "--json"]);
    let figures = lines.as_array().unwrap().iter().flat_map(|line| line["figures"].as_array().unwrap());
    names.extend(figures.map(|figure| figure["name"].as_str().unwrap().to_string()));
    let metrics = fs::read_to_string(runs().join(RUN).join("metrics.csv")).unwrap();
    names.extend(metrics.lines().next().unwrap().split(',').map(str::to_string));
    let scores = ae_ok(runs(), &["score", RUN]);
    names.extend(scores.lines().next().unwrap().split(',').filter(|name| !name.contains("score_")).map(str::to_string));
    names.remove("label");
    assert!(names.len() > 40, "{names:?}");
    for name in names {
        let found = json(runs(), &["explain", &name, "--json"]);
        assert!(found[0]["meaning"].as_str().is_some_and(|meaning| meaning.len() > 20), "{name}: {found}");
    }
    assert!(ae_ok(runs(), &["explain", "weight_decay"]).starts_with("training.weight_decay (setting)"));
    assert!(ae_ok(runs(), &["explain"]).contains("training.weight_decay"));
    assert!(ae_ok(runs(), &["evaluate", RUN]).matches("(`ae explain fvu`)").count() == 1);
}

#[test]
fn shells_and_manuals_know_every_command() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = ae_ok(Path::new("."), &["completions", shell]);
        assert!(commands().iter().all(|command| script.contains(command.as_str())), "{shell}");
        assert!(script.contains("code-dim"), "{shell}");
        // Scripts for the other two know no values.
        assert!(script.contains("undercomplete") || ["powershell", "elvish"].contains(&shell), "{shell}");
    }
    let folder = tempfile::tempdir().unwrap();
    ae_ok(folder.path(), &["man", "pages"]);
    for command in commands() {
        let page = fs::read_to_string(folder.path().join(format!("pages/ae-{command}.1"))).unwrap();
        assert!(page.contains(".SH") && !page.contains('\u{1b}'), "{page}");
    }
    let version = [ae_ok(folder.path(), &["-V"]), ae_ok(folder.path(), &["--version"])];
    assert!(version[0].lines().count() == 1 && version[0].starts_with("ae 0."), "{version:?}");
    assert!(version[1].contains("backends: flex") && version[1].contains("burn 0."), "{version:?}");
}

#[test]
fn quiet_says_nothing_and_verbose_more() {
    let folder = tempfile::tempdir().unwrap();
    let train = |more: &[&str]| {
        let args = [&["train", "-e", "1", "-s", "model.network.hidden=[8]"][..], more].concat();
        let output = ae(folder.path(), &args);
        assert!(output.status.success(), "{}", text(&output.stderr));
        (text(&output.stdout), text(&output.stderr))
    };
    let (result, usual) = train(&[]);
    assert!(result.contains("fvu") && usual.contains("epoch    1/1"), "{usual}");
    let (result, said) = train(&["-q"]);
    assert!(result.contains("fvu") && said.is_empty(), "{said}");
    let said = train(&["--progress", "none"]).1;
    assert!(!said.contains("epoch    1/1") && said.contains("run folder"), "{said}");
    let said = train(&["--progress", "dashboard"]).1;
    assert!(said.contains("note: the dashboard needs a terminal: lines are shown instead"), "{said}");
    let said = train(&["-v"]).1;
    assert!(said.contains("experiment.log") && said.contains(" s] trained"), "{said}");
}

#[test]
fn wide_letters_leave_columns_straight() {
    let folder = tempfile::tempdir().unwrap();
    let rows = |i: usize| format!("{},{}.5,{}\n", i, i * 7 % 13, i * 5 % 11);
    let table: String = (0..60).map(rows).collect();
    fs::write(folder.path().join("t.csv"), format!("日本語の列,plain,한국어\n{table}")).unwrap();
    let shown = ae_ok(folder.path(), &["data", "t.csv"]);
    // Letters of these languages take two places.
    let width = |line: &str| line.chars().map(|letter| if letter > '\u{1100}' { 2 } else { 1 }).sum::<usize>();
    let lines: Vec<&str> =
        shown.lines().filter(|line| line.contains(" number ") || line.starts_with("column")).collect();
    assert!(lines.len() == 4 && lines.iter().all(|line| width(line) == width(lines[0])), "{shown}");
}

#[test]
fn runs_that_are_trained_together_are_those_that_are_trained_alone() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let settings = ["--variant", "batch_top_k", "-e", "3", "--code-dim", "96", "-s", "training.batch_size=64"];
    let sweep = |out: &str, more: &[&str]| {
        ae_ok(here, &[&["sweep", "-s", "model.code.k=[2,4,8]", "-o", out][..], &settings, more].concat())
    };
    let (alone, together) = (sweep("alone", &[]), sweep("together", &["--together"]));
    let lines = |said: &str| said.lines().filter(|line| line.starts_with("batch_top_k")).count();
    assert_eq!((lines(&alone), lines(&together)), (3, 3), "{together}");
    for k in [2, 4, 8] {
        let weights = |out: &str| fs::read(here.join(out).join(format!("k={k}-seed0/model.safetensors"))).unwrap();
        assert!(weights("alone") == weights("together"), "k = {k}");
    }
    // What is there already stays, and another value joins it.
    let more = ["sweep", "-s", "model.code.k=[4,16]", "-o", "together", "--together"];
    ae_ok(here, &[&more[..], &settings].concat());
    let different = ae(here, &["sweep", "-s", "training.batch_size=[32,64]", "-e", "1", "-o", "other", "--together"]);
    let said = text(&different.stderr);
    assert!(!different.status.success() && said.contains("cannot be trained on the same batches"), "{said}");
}

#[test]
fn a_sweep_trains_what_is_missing_and_chooses_by_validation() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let common = ["-e", "2", "-s", "model.network.hidden=[[8]]", "-o", "swept"];
    let sweep = |values: &str, more: &[&str]| -> Output {
        let set = format!("model.code_dim={values}");
        ae(here, &[&["sweep", "-s", &set][..], &common, more].concat())
    };
    let first = sweep("[2,6]", &[]);
    let said = text(&first.stdout);
    assert!(first.status.success(), "{}", text(&first.stderr));
    for part in
        ["PCA (2)", "PCA (6)", "validation fvu", "best: model.code_dim = 6", "best.toml` trains it", "test rows"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(text(&first.stderr).contains("the largest that was tried"), "{}", text(&first.stderr));
    assert_eq!(fs::read_to_string(here.join("swept/sweep.svg")).unwrap().matches("<title>").count(), 2);
    let weights = |name: &str| fs::metadata(here.join(name).join("model.safetensors")).unwrap().modified().unwrap();
    let before = weights("swept/code_dim=6,hidden=8-seed0");

    // Another value and another seed: the runs that are there stay as they are.
    let more = sweep("[2,6,4]", &["--seeds", "2", "--json"]);
    assert!(more.status.success(), "{}", text(&more.stderr));
    let found: Value = serde_json::from_str(&text(&more.stdout)).unwrap();
    assert_eq!(weights("swept/code_dim=6,hidden=8-seed0"), before);
    let combinations = found["combinations"].as_array().unwrap();
    assert_eq!(combinations.len(), 3);
    let error = |of: &Value| of["validation_fvu"].as_f64().unwrap();
    let least = combinations.iter().min_by(|a, b| error(a).total_cmp(&error(b))).unwrap();
    assert_eq!(least["settings"], found["best"]);
    assert!(combinations.iter().all(|of| of["validation_fvu_deviation"].as_f64().unwrap() > 0.0), "{found}");
    // What it is chosen by is what the history of the run holds of the epoch that was kept.
    let of_two = &combinations[0];
    let kept = of_two["runs"].as_array().unwrap().iter().map(|run| {
        let run = here.join(run.as_str().unwrap());
        let summary: Value = serde_json::from_str(&fs::read_to_string(run.join("summary.json")).unwrap()).unwrap();
        let metrics = fs::read_to_string(run.join("metrics.csv")).unwrap();
        let column = metrics.lines().next().unwrap().split(',').position(|name| name == "valid_fvu").unwrap();
        let row = metrics.lines().nth(summary["best_epoch"].as_u64().unwrap() as usize).unwrap();
        row.split(',').nth(column).unwrap().parse::<f64>().unwrap()
    });
    assert!((kept.sum::<f64>() / 2.0 - error(of_two)).abs() < 1e-9, "{of_two}");
    // The command that trains the best one.
    let command: Vec<&str> = found["command"].as_str().unwrap().split(' ').skip(1).collect();
    let best = json(here, &[&command[..], &["--json", "-q"]].concat());
    assert_eq!(best["code_dim"], found["best"]["model.code_dim"]);

    let refused = |args: &[&str], part: &str| {
        let output = ae(here, &[&["sweep"][..], args].concat());
        assert!(output.status.code() == Some(2) && text(&output.stderr).contains(part), "{}", text(&output.stderr));
    };
    refused(&[], "nothing is swept");
    refused(&["-s", "model.code_dim=[2,4]", "--code-dim", "3"], "the same configuration");
    refused(&["-s", "model.network.hidden=[8,16]"], "[[64],[256,64]]");
    refused(&["-s", "seed=[1,2]"], "`--seeds N`");
}

#[test]
fn a_column_of_names_is_described_and_refused_by_a_training() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let rows: String = (0..300).map(|row| format!("n{row},{}.5,{}\n", row % 7, row % 5)).collect();
    fs::write(here.join("t.csv"), format!("name,a,b\n{rows}")).unwrap();
    let described = ae(here, &["data", "t.csv"]);
    let (out, said) = (text(&described.stdout), text(&described.stderr));
    assert!(out.contains("2 features") && !out.contains("name "), "{out}{said}");
    assert!(described.status.code() == Some(1) && said.contains("refused by a training"), "{said}");
    assert!(said.contains("`--id name`"), "{said}");
    let refused = ae(here, &["train", "--data", "t.csv", "--out", "run"]);
    let said = text(&refused.stderr);
    assert!(refused.status.code() == Some(1) && said.contains("`--id name`"), "{said}");
}
