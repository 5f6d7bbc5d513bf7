//! Which rows and columns are used, and which are refused.

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
};

use super::{
    QUICK, both, refused,
    tables::{typed_table, write_typed},
    train,
};
use crate::{ae, ae_ok, text};

/// All rows of a named file are used. The data of a run is recognized by its contents, not by its name.
#[test]
fn all_rows_of_a_named_file_are_used() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let rows = |count: usize, from: usize| {
        (from..from + count)
            .fold("a,b\n".to_string(), |text, row| text + &format!("{}.5,{}\n", row * 13 % 47, row * row % 53))
    };
    fs::write(here.join("t.csv"), rows(100, 0)).unwrap();
    fs::write(here.join("copy.csv"), rows(100, 0)).unwrap();
    train(here, "t.csv", "run", &[]);
    let count = |args: &[&str]| {
        let (out, said) = both(here, &[&["encode", "run"][..], args].concat());
        (out.lines().count() - 1, said.contains("all rows that the run was trained and tested on"))
    };
    assert_eq!(count(&["--data", "t.csv"]), (100, true));
    assert_eq!(count(&["--data", "copy.csv"]), (100, true));
    assert_eq!(count(&["--data", "copy.csv", "--rows", "test"]), (20, false));
    assert_eq!(count(&[]), (20, false));
    // Another file with the same number of rows is not the data of the run.
    fs::write(here.join("t.csv"), rows(100, 7)).unwrap();
    assert_eq!(count(&["--data", "t.csv"]), (100, false));
    refused(here, &["encode", "run"], &["t.csv", "has changed since the run was trained on it", "--data"]);
    fs::remove_file(here.join("run/summary.json")).unwrap();
    refused(here, &["train", "--resume", "run"], &["has changed since the run started"]);
    // A comparison also recognizes the data of a run by its contents.
    fs::write(here.join("t.csv"), rows(100, 0)).unwrap();
    let compare = |data: &str| {
        ae(
            here,
            &[&["compare", "--variants", "linear", "--out", "runs", "--data", data][..], &QUICK[..2], &QUICK[4..]]
                .concat(),
        )
    };
    assert!(compare("t.csv").status.success());
    assert!(compare("./copy.csv").status.success(), "the same rows in another file");
    fs::create_dir(here.join("old")).unwrap();
    fs::write(here.join("old/t.csv"), rows(100, 9)).unwrap();
    let other = text(&compare("old/t.csv").stderr);
    assert!(other.contains("holds a run of other data"), "{other}");
    let smaller = ["compare", "--variants", "linear", "--out", "runs", "--data", "t.csv"];
    let smaller = [&smaller[..], &["--set", "training.batch_size=7"], &QUICK[..2], &QUICK[4..]].concat();
    let other = text(&ae(here, &smaller).stderr);
    assert!(
        other.contains("holds a run of other settings (training.batch_size is `") && other.contains("`7`"),
        "{other}"
    );
}

/// Tables from a pipe or from memory are read like tables in a file.
#[test]
fn rows_come_from_memory_pipes_and_files() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let batch = typed_table(9).project(&[3, 5, 6, 7]).unwrap();
    write_typed(&here.join("t.parquet"), &batch);
    train(here, "t.parquet", "run", &[]);
    let mut config = ae_train::Config::of_variant("undercomplete").unwrap();
    config.training.epochs = 1;
    config.model.code_dim = 1;
    let mut table = toml::Table::try_from(&config).unwrap();
    table["model"]["network"]["hidden"] = toml::Value::Array(vec![toml::Value::Integer(8)]);
    let config: ae_train::Config = table.try_into().unwrap();
    let sets = ae_data::source::from_batches("t", vec![batch.clone()], &Default::default()).unwrap();
    let fitted = ae_train::Trainer::new(config).fit(sets).unwrap();
    let run = ae_train::Run::open(&here.join("run")).unwrap().trained(burn::tensor::Device::default()).unwrap();
    let rows = fitted.trained.rows_of(vec![batch]).unwrap();
    assert_eq!(fitted.trained.codes(&rows).unwrap(), run.codes(&rows).unwrap());
    let scores = fitted.detector().unwrap().score(&fitted.trained, &rows).unwrap();
    assert_eq!(scores.rows.len(), 60);

    // Standard input and standard output.
    let lines = (0..40).fold("a,b\n".to_string(), |text, row| text + &format!("{row}.5,{}\n", row * row % 7));
    fs::write(here.join("t.csv"), &lines).unwrap();
    train(here, "t.csv", "piped", &[]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_ae"));
    let child = child.args(["score", "piped", "--data", "-", "--out", "/dev/stdout"]).current_dir(here);
    let spawned = child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    if cfg!(unix) {
        // `/dev/stdout` has no extension that names a format.
        assert!(text(&output.stderr).contains("is not an output format"), "{}", text(&output.stderr));
    }
}

/// Columns are restricted to what occurs in the training rows, and the split of a run never changes.
#[test]
fn columns_are_restricted_to_the_training_rows() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let late = |row: usize, early: &str, late: &str| (if row < 50 { early } else { late }).to_string();
    let lines = (0..60).fold("t,n,x,one,kind\n".to_string(), |text, row| {
        text + &format!(
            "{row},{},{}.5,{},{}\n",
            late(row, "", "7"),
            row * 7 % 31,
            late(row, "5", "6"),
            late(row, ["a", "b"][row % 2], "c")
        )
    });
    fs::write(here.join("t.csv"), lines).unwrap();
    let said = train(here, "t.csv", "run", &["--time", "t"]);
    for part in
        ["column `n` is empty in the training rows", "training rows: `one` (5)", "`kind`: `c` not in the training rows"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    for stream in [&[][..], &["--stream"]] {
        let (out, said) = both(here, &[&["score", "run"][..], stream].concat());
        assert!(
            said.contains("`n` was empty in training")
                && said.contains("`c` in 10 cells (first in row 51) did not occur in training"),
            "{said}"
        );
        let last: Vec<&str> = out.lines().last().unwrap().split(',').collect();
        assert_eq!((out.lines().count(), last[3], last[7]), (13, "", "59"), "{out}");
    }
    assert!(both(here, &["evaluate", "run"]).1.contains("`c` in 10 cells"));
    let said = train(here, "t.csv", "strict", &["--time", "t", "--unknown", "refuse"]);
    assert!(said.contains("kept as known levels"), "{said}");
    fs::write(here.join("new.csv"), "x,one,kind,n\n1,5,d,\n").unwrap();
    refused(here, &["score", "strict", "--data", "new.csv"], &["`d` did not occur in training"]);
    assert!(both(here, &["score", "strict", "--data", "new.csv", "--unknown", "score"]).1.contains("`d` in 1 cell"));

    // Rows without any value are in no part, and the others stay in the parts of the training.
    let lines = (0..60).fold("id,a,b\n".to_string(), |text, row| {
        text + &if row % 15 == 3 {
            format!("r{row},,\n")
        } else {
            format!("r{row},{}.5,{}\n", row * 7 % 31, row * 3 % 11)
        }
    });
    fs::write(here.join("b.csv"), lines).unwrap();
    train(here, "b.csv", "blank", &["--id", "id"]);
    let ids = |rows: &str| {
        let (out, _) = both(here, &["encode", "blank", "--rows", rows]);
        out.lines().skip(1).map(|line| line.split(',').next().unwrap().to_string()).collect::<Vec<_>>()
    };
    let parts = [ids("train"), ids("validation"), ids("test")];
    assert_eq!(parts.each_ref().map(Vec::len), [40, 5, 11]);
    assert!(parts.concat().iter().all(|id| !["r3", "r18", "r33", "r48"].contains(&id.as_str())));
    let run =
        ae_train::Run::create(ae_train::Run::open(&here.join("blank")).unwrap().config, Some(&here.join("again")))
            .unwrap();
    let trained = ae_train::Run::open(&here.join("blank")).unwrap().trained(burn::tensor::Device::default()).unwrap();
    let [now, then] =
        [run.rows(&trained, ae_train::Which::Test), trained.rows(None, &Default::default(), ae_train::Which::Test)];
    assert_eq!(now.unwrap().indices(), then.unwrap().indices());
}

/// A run has decided what its columns are, and can read its own results.
#[test]
fn a_run_refuses_to_change_its_columns_and_reads_its_results() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let lines = (0..60).fold("key,a,share,kind,more\n".to_string(), |text, row| {
        text + &format!("k{row},{}.5,{}.25%,{},m{row}\n", row * 7 % 31, row % 9, ["u", "v"][row % 2])
    });
    fs::write(here.join("t.csv"), lines).unwrap();
    train(here, "t.csv", "run", &["--id", "key", "--drop", "more"]);
    for (args, part) in [
        (["--drop", "zz"], "no column `zz` (option `drop`)"),
        (["--drop", "a"], "`--drop` cannot change that"),
        (["--id", "zz"], "no column `zz`"),
        (["--keep", "a"], "`share` is also learned from"),
        (["--categorical", "a"], "`a` is not categorical"),
    ] {
        refused(here, &[&["score", "run", "--data", "t.csv"][..], &args].concat(), &[part]);
        refused(here, &[&["score", "run"][..], &args].concat(), &[part]);
    }
    refused(here, &["score", "run", "--label", "more"], &["name the data with `--data`"]);
    let (out, _) =
        both(here, &["score", "run", "--data", "t.csv", "--id", "more", "--drop", "key", "--categorical", "kind"]);
    assert!(out.starts_with("more,score,") && out.lines().next().unwrap().ends_with(",key"), "{out:.80}");

    // Numbers with a unit are written with it, and can be read again.
    ae_ok(here, &["reconstruct", "run", "--data", "t.csv", "--out", "back.csv"]);
    let back = fs::read_to_string(here.join("back.csv")).unwrap();
    assert!(back.lines().nth(1).unwrap().split(',').nth(2).unwrap().ends_with('%'), "{back:.80}");
    ae_ok(here, &["score", "run", "--data", "back.csv"]);
    ae_ok(here, &["reconstruct", "run", "--data", "t.csv", "--out", "back.parquet"]);
    ae_ok(here, &["score", "run", "--data", "back.parquet"]);

    // Codes keep their identifiers, can be read again, and belong to one run.
    ae_ok(here, &["encode", "run", "--data", "t.csv", "--out", "codes.csv"]);
    let (decoded, _) = both(here, &["decode", "run", "codes.csv"]);
    assert!(
        decoded.starts_with("key,a,share,kind,more\nk0,") && decoded.lines().nth(1).unwrap().ends_with(",m0"),
        "{decoded:.80}"
    );
    let codes = fs::read_to_string(here.join("codes.csv")).unwrap();
    fs::write(here.join("comma.csv"), codes.replace(',', ";").replace('.', ",")).unwrap();
    refused(here, &["decode", "run", "comma.csv"], &["`--decimal ,`"]);
    assert_eq!(both(here, &["decode", "run", "comma.csv", "--decimal", ","]).0, decoded);
    fs::write(here.join("wide.csv"), "h0,h1\n1,2\n").unwrap();
    refused(here, &["decode", "run", "wide.csv"], &["`h1`", "codes of another run"]);

    // Scores of data that already has a column of scores.
    let lines = fs::read_to_string(here.join("t.csv")).unwrap();
    let scored: String =
        lines.lines().map(|line| format!("{line},{}\n", if line.starts_with("key") { "score" } else { "7" })).collect();
    fs::write(here.join("scored.csv"), scored).unwrap();
    let (out, said) = both(here, &["score", "run", "--data", "scored.csv"]);
    assert!(
        out.starts_with("key,score_,p_value,")
            && said.contains("the new column is `score_`: the one without `_` is the unchanged column of the data"),
        "{said}"
    );
}

/// Runs that differ only in their seed are averaged, and no others.
#[test]
fn a_comparison_averages_only_over_seeds() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let lines = (0..60).fold("a,b,c,g\n".to_string(), |text, row| {
        text + &format!("{}.5,{row},{},g{}\n", row * 7 % 11, row % 5, row % 6)
    });
    fs::write(here.join("t.csv"), lines).unwrap();
    let runs: [(&str, &[&str]); 6] = [
        ("first", &["--drop", "g"]),
        ("second", &["--drop", "g", "--seed", "1", "--set", "data.scaling=standard"]),
        ("penalty", &["--drop", "g", "--set", "model.penalty.l1.weight=0.1"]),
        ("scaled", &["--drop", "g", "--set", "data.scaling=min_max"]),
        ("group", &["--group", "g"]),
        ("dropped", &["--drop", "g", "--drop", "c"]),
    ];
    runs.iter().for_each(|(out, more)| drop(train(here, "t.csv", out, more)));
    let names = |runs: &[&str]| -> Vec<(String, String, u64)> {
        let lines: serde_json::Value =
            serde_json::from_str(&ae_ok(here, &[&["compare", "--json"], runs].concat())).unwrap();
        let text = |line: &serde_json::Value, key: &str| line[key].as_str().unwrap().to_string();
        lines
            .as_array()
            .unwrap()
            .iter()
            .map(|line| (text(line, "name"), text(line, "data"), line["runs"].as_u64().unwrap()))
            .collect()
    };
    let expected = |lines: &[(&str, &str, u64)]| -> Vec<(String, String, u64)> {
        lines.iter().map(|&(name, data, runs)| (name.to_string(), data.to_string(), runs)).collect()
    };
    assert_eq!(names(&["first", "second", "first"]), expected(&[("PCA (1)", "t", 2), ("undercomplete (1)", "t", 2)]));
    let lines = [
        ("PCA (1)", "t", 2),
        ("undercomplete (1)", "t", 2),
        ("undercomplete (1), model.penalty.l1.weight=0.1", "t", 1),
    ];
    assert_eq!(names(&["first", "penalty", "second"]), expected(&lines));
    for (other, own, its) in [
        ("scaled", "t, data.scaling=standard", "t, data.scaling=min_max"),
        ("group", "t, data.read.drop=[\"g\"]", "t, data.group=g"),
        ("dropped", "t, data.read.drop=[\"g\"]", "t, data.read.drop=[\"g\", \"c\"]"),
    ] {
        let lines =
            [("PCA (1)", own, 1), ("undercomplete (1)", own, 1), ("PCA (1)", its, 1), ("undercomplete (1)", its, 1)];
        assert_eq!(names(&["first", other]), expected(&lines));
        ae_ok(here, &["report", "first", other, "--out", "both.html"]);
        let page = fs::read_to_string(here.join("both.html")).unwrap();
        assert!(page.contains(&own.replace('"', "&quot;")) && page.contains(&its.replace('"', "&quot;")), "{other}");
    }
    let table = ae_ok(here, &["compare", "first", "scaled"]);
    assert!(
        table.contains("test rows of t, data.scaling=min_max") && table.contains("are in separate tables"),
        "{table}"
    );
}

#[test]
fn unreadable_files_and_dangerous_outputs_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let rows = |line: &dyn Fn(usize) -> String| (0..60).map(line).collect::<String>();
    let write = |name: &str, text: &str| fs::write(here.join(name), text).unwrap();
    let table = rows(&|row| format!("{row},{}.5,{}\n", row % 7, row % 5));
    write("title.csv", &format!("Measured in May\na,b,c\n{table}"));
    refused(here, &["data", "title.csv"], &["`Measured in May`", "delete everything above the names"]);
    write("headed.csv", "a,b,c\n");
    refused(here, &["data", "headed.csv"], &["headed.csv", "has a header but no rows"]);
    let dates = rows(&|row| format!("202401{:02},{}.5,{}\n", row % 28 + 1, row % 7, row % 5));
    write("dates.csv", &format!("day,b,c\n{dates}"));
    assert!(both(here, &["data", "dates.csv"]).1.contains("`day` may hold dates"));

    // Results never overwrite their own input.
    fs::create_dir(here.join("parts")).unwrap();
    for part in ["parts/1.csv", "parts/2.csv"] {
        write(part, &format!("a,b,c\n{table}"));
    }
    train(here, "parts", "run", &[]);
    for args in [
        &["score", "run", "--data", "parts", "--out", "parts/2.csv"][..],
        &["impute", "run", "--data", "parts", "--out", "parts/1.csv"],
    ] {
        refused(here, args, &["choose another"]);
    }
    assert_eq!(fs::read_to_string(here.join("parts/2.csv")).unwrap(), format!("a,b,c\n{table}"));
    refused(
        here,
        &["train", "--data", "parts", "--stratify", "--group", "c", "--out", "other"],
        &["leave out `--stratify` or `--group`"],
    );
    refused(here, &["score", "run", "--data", "parts", "--resize", "8x8"], &["`--resize`", "files"]);
}

#[test]
fn subfolders_are_read_by_the_advised_pattern() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    for (year, first) in [("2019", 0), ("2020", 30)] {
        let path = here.join(format!("hive/year={year}"));
        fs::create_dir_all(&path).unwrap();
        fs::write(
            path.join("p.csv"),
            (first..first + 30).fold("a\n".to_string(), |text, row| text + &format!("{row}.5\n")),
        )
        .unwrap();
    }
    refused(here, &["data", "hive"], &["2 .csv files in its subfolders", "`--data 'hive/*/*.csv'`", "`year`"]);
    let (out, said) = both(here, &["data", "hive/*/*.csv"]);
    assert!(
        out.contains("60 rows") && said.contains("not read: `year`, which is only in the folder names"),
        "{out}{said}"
    );
}
