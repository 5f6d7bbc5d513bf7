//! Each kind of a person's mistake: one error that names the fix, and exit code 1 or 2.

use std::{fs, path::Path};

use crate::{ae, ae_ok, text};

/// Runs `ae`, expects it to fail with `code` and to say all of `expected` in its error.
pub(crate) fn refused(folder: &Path, args: &[&str], code: i32, expected: &[&str]) {
    let output = ae(folder, args);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "ae {args:?}: {said}");
    assert!(output.stdout.is_empty(), "ae {args:?} printed a result");
    let errors: Vec<_> = said.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 1, "ae {args:?} said not one error: {said}");
    // An error is a line; one of clap's has tips and the usage below it.
    let error = &said[said.find("error: ").unwrap_or_default()..];
    let is_of_clap = error.contains("For more information, try");
    assert!(error.lines().count() == 1 || is_of_clap && code == 2, "ae {args:?}: {said}");
    for part in expected {
        assert!(error.contains(part), "ae {args:?}: `{part}` is not in: {error}");
    }
    assert!(!said.contains("panicked") && !said.contains("backtrace"), "{said}");
}

#[test]
fn wrong_usage_exits_with_two() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    refused(here, &["--variant", "undercomplet"], 2, &["undercomplet", "undercomplete, linear", "ae variants"]);
    refused(here, &["--data", "no-such-set"], 2, &["no-such-set", "digits, fashion-mini, mnist, fashion-mnist"]);
    refused(here, &["--set", "training.epohcs=3"], 2, &["epohcs", "epochs"]);
    refused(here, &["--device", "abacus"], 2, &["abacus", "flex"]);
    refused(here, &["--code-dim", "64"], 2, &["`model.code_dim` is 64", "1 to 63"]);
    refused(here, &["--code-dim", "0"], 2, &["`model.code_dim` is 0", "at least 1"]);
    refused(here, &["--epochs", "0"], 2, &["`training.epochs` is 0", "at least 1"]);
    refused(
        here,
        &["--epochs", "9223372036854775807"],
        2,
        &["`training.epochs` is 9223372036854775807", "at most 1000000000"],
    );
    refused(here, &["--epochs", "many"], 2, &["many", "--epochs"]);
    refused(here, &["--seed", "-1"], 2, &["seed", "-1"]);
    refused(
        here,
        &["--variant", "sparse", "--code-dim", "100000000000"],
        2,
        &["number of weights", "`code_dim` (now 100000000000)"],
    );
    refused(
        here,
        &["--set", "model.network.kind=conv", "--set", "model.network.channels=[9000000,9000000]"],
        2,
        &["number of weights"],
    );
    refused(here, &["trian"], 2, &["trian", "tip:", "'train'", "Usage: ae"]);
    refused(here, &["score"], 2, &["<RUN>", "Usage: ae score"]);
    refused(here, &["--epochs", "3", "score", "run"], 2, &["`--epochs` stands in front of the command `score`"]);
    refused(here, &["explain", "fvuu"], 2, &["nothing is called `fvuu`", "`fvu`"]);
    refused(here, &["--epohcs", "3"], 2, &["--epohcs", "--epochs"]);
    refused(
        here,
        &["--set", "model.reconstruction=bernoulli", "--set", "data.scaling=standard"],
        2,
        &["data.scaling", "min_max"],
    );
    assert_eq!(fs::read_dir(here).unwrap().count(), 0, "a refused command leaves nothing behind");
}

#[test]
fn bad_files_exit_with_one() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let images =
        |count: u32| [&[0, 0, 8, 3][..], &count.to_be_bytes(), &2u32.to_be_bytes(), &2u32.to_be_bytes()].concat();
    let write = |name: &str, bytes: &[u8]| fs::write(here.join(name), bytes).unwrap();
    write("short.idx", &[&images(10)[..], &[1; 39]].concat());
    refused(here, &["--data", "short.idx"], 1, &["short.idx", "truncated", "40 bytes"]);
    write("picture", b"\x89PNG\r\n\x1a\n0000");
    refused(here, &["--data", "picture"], 1, &["picture", "not an IDX file"]);
    for (name, said) in [
        ("broken.png", "damaged"),
        ("broken.parquet", "damaged"),
        ("broken.arrow", "damaged"),
        ("broken.npy", "damaged"),
        ("broken.npz", "damaged"),
        ("broken.safetensors", "damaged"),
    ] {
        for bytes in [&b""[..], b"\x89PNG\r\n\x1a\n0000", &[7; 300]] {
            write(name, bytes);
            refused(here, &["--data", name], 1, &[name, said]);
        }
    }
    write("ragged.csv", b"a,b\n1,2\n3\n");
    refused(here, &["--data", "ragged.csv"], 1, &["ragged.csv", "line 3", "1 cell,"]);
    write("slip.csv", b"a,b\n1,2\n3,4\n5,six\n7,8\n");
    refused(here, &["--data", "slip.csv"], 1, &["slip.csv", "row 3", "column `b`", "`six`"]);
    write("dates.csv", b"day\n2024-01-01\n2024-01-02\n");
    refused(here, &["--data", "dates.csv"], 1, &["dates.csv", "no column left to learn from", "dates"]);
    write("empty.csv", b"");
    refused(here, &["--data", "empty.csv"], 1, &["empty.csv", "is empty"]);
    refused(here, &["--data", "slip.csv", "--label", "c"], 1, &["slip.csv", "`c`", "`a`, `b`"]);
    write("good.csv", b"a,b\n1,2\n3,4\n");
    refused(here, &["--data", "good.csv", "--label", "c"], 1, &["`c`", "`a`, `b`"]);
    refused(here, &["--data", "good.csv", "--drop", "a,b"], 1, &["no column left"]);
    refused(here, &["--data", "*.nothing"], 1, &["no file matches"]);
    write("alike.idx", &[&images(30)[..], &[7; 120]].concat());
    refused(here, &["--data", "alike.idx", "--code-dim", "2"], 1, &["`alike`", "do not differ"]);
    write("one.idx", &[&images(1)[..], &[1; 4]].concat());
    refused(here, &["--data", "one.idx", "--code-dim", "2"], 1, &["1 row leaves", "data.test"]);
    fs::create_dir(here.join("empty")).unwrap();
    refused(here, &["--data", "empty"], 1, &["empty", "holds nothing to read", "train-images-idx3-ubyte"]);
    write("empty/train-images-idx3-ubyte", &[&images(3)[..], &[1; 12]].concat());
    write("empty/train-labels-idx1-ubyte", &[&[0, 0, 8, 1][..], &2u32.to_be_bytes(), &[0, 1]].concat());
    refused(here, &["--data", "empty"], 1, &["3 images", "2 labels"]);
    refused(here, &["--config", "missing.toml"], 1, &["missing.toml"]);
    write("broken.toml", b"variant = \"linear\"\n[training\n");
    refused(here, &["--config", "broken.toml"], 2, &["broken.toml, line 2"]);
    write("file", b"");
    refused(here, &["--out", "file/run"], 1, &["file/run", "--out"]);
    fs::create_dir(here.join("full")).unwrap();
    write("full/mine.txt", b"keep");
    refused(here, &["--out", "full"], 1, &["full", "not empty", "--resume"]);
    assert_eq!(fs::read(here.join("full/mine.txt")).unwrap(), b"keep");
    refused(here, &["train", "--resume", "full"], 1, &["not a run folder"]);
}

#[test]
fn a_damaged_run_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let all = ["--set", "checkpoint.keep=all"];
    ae_ok(here, &[&["--epochs", "1", "--out", "run", "--set", "model.network.hidden=[8]"][..], &all].concat());
    // Of a training that is faster than the disk not every epoch would be there.
    for epochs in ["2", "3"] {
        ae_ok(here, &["train", "--resume", "run", "--epochs", epochs]);
    }
    fs::remove_file(here.join("run/summary.json")).unwrap();
    let resume = ["train", "--resume", "run"];
    let expected = fs::read(here.join("run/model.safetensors")).unwrap();
    for part in ["model", "optim", "scheduler"] {
        let path = here.join(format!("run/checkpoint/{part}-3.bpk"));
        let whole = fs::read(&path).unwrap();
        let flipped = [&whole[..whole.len() - 9], &[whole[whole.len() - 9] ^ 1], &whole[whole.len() - 8..]].concat();
        for damaged in [&whole[..32], b"something else entirely, and long enough to be a header of sorts", &flipped] {
            fs::write(&path, damaged).unwrap();
            // It goes on from the epoch before by itself, and says so.
            let run = ae(here, &resume);
            let said = String::from_utf8_lossy(&run.stderr).into_owned();
            let expected_line = format!(
                "warning: the checkpoint of epoch 3 is damaged: {part}-3.bpk is not what was saved; training continues \
                 from epoch 2"
            );
            assert!(run.status.success() && said.lines().any(|line| line == expected_line), "{said}");
            assert!(fs::read(here.join("run/model.safetensors")).unwrap() == expected, "{part}: other weights");
            fs::remove_file(here.join("run/summary.json")).unwrap();
        }
    }
    // An earlier one is said, too: it might have been the best.
    let earlier = here.join("run/checkpoint/model-2.bpk");
    let whole = fs::read(&earlier).unwrap();
    fs::write(&earlier, &whole[..whole.len() / 2]).unwrap();
    let run = ae(here, &resume);
    let said = text(&run.stderr);
    assert!(
        run.status.success()
            && said.contains("epoch 2 is damaged")
            && said.contains("cannot be kept as the best epoch"),
        "{said}"
    );
    fs::write(&earlier, whole).unwrap();
    fs::remove_file(here.join("run/summary.json")).unwrap();
    let config = fs::read_to_string(here.join("run/config.toml")).unwrap();
    fs::write(here.join("run/config.toml"), config.replace("[8]", "[9]")).unwrap();
    refused(here, &resume, 1, &["does not match `config.toml`"]);
    fs::write(here.join("run/config.toml"), config.replace("validation = 0.1", "validation = 0.2")).unwrap();
    refused(here, &resume, 1, &["has changed since the run started"]);
    fs::write(here.join("run/config.toml"), config).unwrap();
    let metrics = fs::read_to_string(here.join("run/metrics.csv")).unwrap();
    fs::write(here.join("run/metrics.csv"), metrics.replace("\n3,", "\nx,y,")).unwrap();
    refused(here, &resume, 1, &["metrics.csv"]);
    // No epoch follows the last one of these numbers, which a reader must not assume.
    for epoch in ["0", "4294967295", "18446744073709551615"] {
        fs::write(here.join("run/metrics.csv"), metrics.replace("\n3,", &format!("\n{epoch},"))).unwrap();
        refused(here, &resume, 1, &["metrics.csv", epoch]);
    }
    fs::write(here.join("run/metrics.csv"), metrics).unwrap();
    ae_ok(here, &resume);
}

#[test]
fn every_file_of_a_run_that_has_changed_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    ae_ok(here, &["--epochs", "2", "--out", "run", "--set", "model.network.hidden=[8]"]);
    for (file, command) in [
        ("data.toml", "encode"),
        ("model.safetensors", "encode"),
        ("pca.safetensors", "score"),
        ("detector.json", "score"),
        ("neighbours.safetensors", "score"),
        ("summary.json", "report"),
    ] {
        let path = here.join("run").join(file);
        let whole = fs::read(&path).unwrap();
        let middle = whole.len() / 2;
        let changed = [&whole[..middle], &[whole[middle] ^ 1], &whole[middle + 1..]].concat();
        fs::write(&path, changed).unwrap();
        refused(here, &[command, "run"], 1, &[file, "has changed since it was written"]);
        fs::write(&path, whole).unwrap();
    }
    // A threshold that is saved is another file, and no damage.
    ae_ok(here, &["score", "run", "--false-alarms", "0.1", "--save", "--out", "scores.csv"]);
    ae_ok(here, &["score", "run", "--out", "scores.csv"]);
}
