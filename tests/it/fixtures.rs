//! Runs of earlier versions, as written by tests/fixtures/make_run.py: they open, and their results are unchanged.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::ae_ok;

/// Tolerance (relative, absolute below 1): kernels of another machine, or of another version, sum in another order.
const CLOSE: f64 = 1e-4;

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(numbers).collect(),
        value => vec![value.as_f64().expect("a number")],
    }
}

/// The first `width` columns of a table of numbers.
fn columns(path: &Path, width: usize) -> Vec<f64> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().skip(1).flat_map(|row| row.split(',').take(width).map(|cell| cell.parse::<f64>().unwrap())).collect()
}

fn assert_close(what: &str, found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!(
            (found - expected).abs() <= CLOSE * expected.abs().max(1.0),
            "{what}, {index}: {found} instead of {expected}"
        );
    }
}

#[test]
fn runs_of_earlier_versions_give_the_same_results() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|folder| folder.join("tests/fixtures"))
        .find(|path| path.is_dir());
    let fixtures = fixtures.expect("tests/fixtures of the workspace");
    let mut names: Vec<PathBuf> =
        fs::read_dir(fixtures.join("runs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    assert!(names.len() >= 2, "{names:?}");
    for path in names {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // Opening a run may lock it; the fixture must not change.
        let place = tempfile::tempdir().unwrap();
        let (here, run) = (place.path(), place.path().join("run"));
        fs::create_dir(&run).unwrap();
        fs::copy(fixtures.join("table.csv"), here.join("table.csv")).unwrap();
        for file in fs::read_dir(&path).unwrap().flatten() {
            fs::copy(file.path(), run.join(file.file_name())).unwrap();
        }
        let expected: Value = serde_json::from_str(&fs::read_to_string(path.join("expected.json")).unwrap()).unwrap();

        ae_ok(here, &["encode", "run", "--data", "table.csv", "--out", "codes.csv"]);
        assert_close(&format!("codes of {name}"), &columns(&here.join("codes.csv"), 2), &numbers(&expected["codes"]));
        ae_ok(here, &["score", "run", "--data", "table.csv", "--out", "scores.csv"]);
        assert_close(
            &format!("scores of {name}"),
            &columns(&here.join("scores.csv"), 1),
            &numbers(&expected["scores"]),
        );
        let measured: Value =
            serde_json::from_str(&ae_ok(here, &["evaluate", "run", "--data", "table.csv", "--json"])).unwrap();
        let sse =
            [&measured["sse"], &measured["pca"]["sse"], &measured["mean"]["sse"]].map(|value| value.as_f64().unwrap());
        assert_close(
            &format!("errors of {name}"),
            &sse,
            &["model", "pca", "mean"].map(|what| expected["sse"][what].as_f64().unwrap()),
        );
        // Its result, its curves and its report, which read the remaining files.
        ae_ok(here, &["report", "run"]);
        assert!(ae_ok(here, &["train", "--resume", "run"]).contains("on the test rows"), "{name}");
    }
}
