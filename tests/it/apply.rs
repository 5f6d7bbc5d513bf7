//! What is done with a trained run: every command on it, and that they agree with each other.

use std::{fs, path::Path, sync::OnceLock};

use crate::{ae, text};

/// A table of two kinds of rows: normal ones on a line, and anomalies off it; some cells are blank.
fn table() -> String {
    let mut rows = String::from("id,a,b,c,kind\n");
    for i in 0..240 {
        let x = (i * 37 % 101) as f32 / 10.0;
        let (b, kind) = if i % 12 == 5 { (20.0 - 2.0 * x, "odd") } else { (2.0 * x + 1.0, "normal") };
        let c = if i % 20 == 3 { String::new() } else { format!("{}", 0.5 * x - (i % 3) as f32 * 0.1) };
        rows += &format!("r{i},{x},{b},{c},{kind}\n");
    }
    rows
}

/// A folder with a run on images and one on half of a table's normal rows, made once.
fn runs() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("t.csv"), table()).unwrap();
        let read = ["--data", "t.csv", "--label", "kind", "--id", "id", "--normal-only"];
        for args in [
            vec!["train", "--epochs", "2", "--out", "digits"],
            [&["train", "--epochs", "60", "--out", "table"], &read[..]].concat(),
        ] {
            let output = ae(folder.path(), &args);
            assert!(output.status.success(), "{}", text(&output.stderr));
        }
        folder
    });
    folder.path()
}

fn done(args: &[&str]) -> String {
    let output = ae(runs(), args);
    assert!(output.status.success(), "ae {args:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// What a command says that fails: in one line, or as clap says it.
fn refused(args: &[&str]) -> String {
    let output = ae(runs(), args);
    let said = text(&output.stderr);
    let is_of_clap = output.status.code() == Some(2) && said.contains("For more information, try");
    assert!(!output.status.success() && (said.lines().count() == 1 || is_of_clap), "ae {args:?}: {said}");
    said
}

#[test]
fn codes_decode_to_the_reconstructions() {
    done(&["encode", "digits", "--out", "codes.parquet"]);
    done(&["decode", "digits", "codes.parquet", "--out", "decoded.csv"]);
    done(&["reconstruct", "digits", "--out", "reconstructed.csv"]);
    // The label is carried beside them, and is no pixel.
    let read = |name: &str| -> Vec<f32> {
        let file = fs::read_to_string(runs().join(name)).unwrap();
        let (header, rows) = file.split_once('\n').unwrap();
        let is_pixel: Vec<bool> = header.split(',').map(|name| name != "label").collect();
        let pixels = |row: &str| -> Vec<f32> {
            let cells = row.split(',').zip(&is_pixel).filter(|(_, is_pixel)| **is_pixel);
            cells.map(|(cell, _)| cell.parse().unwrap()).collect()
        };
        rows.lines().flat_map(pixels).collect()
    };
    let (decoded, reconstructed) = (read("decoded.csv"), read("reconstructed.csv"));
    assert_eq!(decoded.len(), 1797 * 64);
    let largest = decoded.iter().zip(&reconstructed).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(largest < 1e-4, "{largest}");
    done(&["reconstruct", "digits", "--corrupt=gaussian=0.3,masking=0.2", "--sheet", "sheet.png"]);
    done(&["interpolate", "digits", "--from", "1", "--to", "7", "--out", "way.png"]);
    let way = ae_data::open(runs().join("way.png").to_str().unwrap()).unwrap().train;
    assert_eq!(way.geometry.map(|geometry| (geometry.height, geometry.width > 9 * 8)), Some((32, true)));
}

#[test]
fn scores_rank_anomalies_above_the_rest_and_say_which_column_is_odd() {
    let figures: serde_json::Value = serde_json::from_str(&done(&["score", "table", "--json"])).unwrap();
    assert_eq!((figures["rows"].as_u64(), figures["anomalies"].as_u64()), (Some(130), Some(20)));
    let auroc = figures["auroc"].as_f64().unwrap();
    assert!(
        auroc > 0.95 && figures["pca"]["auroc"].as_f64().is_some() && figures["mean"]["f1"].as_f64().is_some(),
        "{figures}"
    );
    let share = || {
        let kept: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(runs().join("table/detector.json")).unwrap()).unwrap();
        kept["false_alarms"].as_f64().unwrap()
    };
    let before = share();
    done(&["score", "table", "--false-alarms", "0.2", "--out", "scores.csv"]);
    let scores = fs::read_to_string(runs().join("scores.csv")).unwrap();
    assert!(
        scores.starts_with("id,kind,score,p_value,flagged,score_a,score_b,score_c\n"),
        "{}",
        scores.lines().next().unwrap()
    );
    assert_eq!(share(), before, "the threshold of a call is the call's");
    // Rows go to standard output and the summary to standard error, labels or not; `--top` names the columns.
    let top = ae(runs(), &["score", "table", "--top", "1"]);
    let (rows, said) = (text(&top.stdout), text(&top.stderr));
    assert!(
        rows.starts_with("id,kind,score,p_value,flagged,top_1,top_1_score\n") && rows.lines().count() == 131,
        "{rows}"
    );
    assert!(
        said.contains("auroc") && said.contains("5th nearest neighbor") && said.contains("of 130 rows flagged"),
        "{said}"
    );
    for line in scores.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let number = |index: usize| cells[index].parse::<f64>().unwrap();
        assert_eq!(number(4) == 1.0, number(3) <= 0.2, "flagged is p <= alpha: {line}");
        let columns: Vec<f64> = cells[5..].iter().filter_map(|cell| cell.parse().ok()).collect();
        let mean = columns.iter().sum::<f64>() / columns.len() as f64;
        assert!((mean / number(2) - 1.0).abs() < 1e-4, "a score is the mean of its columns': {line}");
    }
    // A row's score depends on no other row.
    let whole: Vec<&str> = scores.lines().collect();
    let rows = table();
    let one = rows.lines().find(|line| whole[5].starts_with(line.split(',').next().unwrap()) && line.starts_with('r'));
    fs::write(runs().join("one.csv"), format!("id,a,b,c,kind\n{}\n", one.unwrap())).unwrap();
    let alone = done(&["score", "table", "--data", "one.csv", "--false-alarms", "0.2"]);
    assert_eq!(alone.lines().nth(1), Some(whole[5]));
}

#[test]
fn imputing_changes_the_blanks_alone() {
    done(&["impute", "table", "--data", "t.csv", "--out", "filled.csv"]);
    let (before, after) = (table(), fs::read_to_string(runs().join("filled.csv")).unwrap());
    let mut blanks = 0;
    for (before, after) in before.lines().zip(after.lines()) {
        for (before, after) in before.split(',').zip(after.split(',')) {
            if before.is_empty() {
                blanks += 1;
                assert!(after.parse::<f32>().is_ok(), "{after}");
            } else {
                assert_eq!(before, after);
            }
        }
    }
    assert_eq!((blanks, before.lines().count()), (12, after.lines().count()));
    let figures: serde_json::Value = serde_json::from_str(&done(&["impute", "table", "--json"])).unwrap();
    assert!(["mse", "pca", "mean"].iter().all(|name| figures[name].as_f64().is_some()), "{figures}");
}

#[test]
fn everything_is_measured_beside_pca() {
    let figures: serde_json::Value = serde_json::from_str(&done(&["evaluate", "digits", "--json"])).unwrap();
    for place in [
        "/mse",
        "/pca/fvu",
        "/images/ssim",
        "/images/psnr_db_pca",
        "/effective_rank",
        "/noise/4/pca",
        "/missing/0/mse",
        "/classes/linear/code",
        "/copying/3/fvu",
    ] {
        assert!(figures.pointer(place).is_some_and(serde_json::Value::is_number), "{place}");
    }
    // Counted from the labels that another command writes.
    let labels = |rows: &str| -> Vec<String> {
        let table = done(&["encode", "digits", "--rows", rows]);
        let place = table.lines().next().unwrap().split(',').position(|name| name == "label").unwrap();
        table.lines().skip(1).map(|line| line.split(',').nth(place).unwrap().to_string()).collect()
    };
    let (train, test) = (labels("train"), labels("test"));
    let share = |of: &[String], class: &str| of.iter().filter(|label| *label == class).count() as f64 / of.len() as f64;
    let digits = (0..10).rev().map(|digit| digit.to_string());
    let largest = digits.max_by(|a, b| share(&train, a).total_cmp(&share(&train, b))).unwrap();
    assert_eq!(figures.pointer("/classes/most_frequent").unwrap().as_f64().unwrap(), share(&test, &largest));
    // The same rows by name and by the run: the same figures.
    assert_eq!(done(&["evaluate", "digits", "--data", "digits", "--rows", "test"]), done(&["evaluate", "digits"]));
    let lines: serde_json::Value = serde_json::from_str(&done(&["compare", "digits", "--json"])).unwrap();
    assert_eq!((lines[0]["name"].as_str(), lines[1]["name"].as_str()), (Some("PCA (10)"), Some("undercomplete (10)")));
    assert_eq!(lines[1]["figures"][0]["mean"], figures["mse"]);
}

#[test]
fn the_page_needs_nothing_else_and_holds_every_figure() {
    let page = fs::read_to_string(runs().join("digits/report.html")).unwrap();
    let elsewhere = ["columns", "roc", "recall", "anomalous", "imputation", "filled", "dictionary", "density", "atoms"];
    for (id, ..) in ae_train::report::figures::FIGURES.iter().filter(|(id, ..)| !elsewhere.contains(id)) {
        assert!(page.contains(&format!("<figure id=\"{id}\"")), "{id}");
    }
    let written = page.replace(ae_train::report::SCRIPT, "");
    assert!(!page.contains("src=\"http") && !page.contains("href=") && !written.contains("NaN"));
    let table = fs::read_to_string(runs().join("table/report.html")).unwrap();
    assert!(table.contains("<figure id=\"columns\"") && table.contains("anomalies") && table.contains("AUROC"));
    done(&["report", "digits", "table", "--out", "both.html"]);
    assert!(fs::read_to_string(runs().join("both.html")).unwrap().contains("<h2>Comparison</h2>"));
}

#[test]
fn exported_weights_come_back_as_the_same_run() {
    let said = done(&["export", "digits"]);
    assert!(said.contains("nn.Linear(64, 256)") && said.contains("load_state_dict"), "{said}");
    let files = ["model.safetensors", "model.py", "model.bpk", "encoder.onnx", "decoder.onnx", "model.onnx"];
    assert!(files.iter().all(|file| runs().join("digits/export").join(file).is_file()));
    done(&["import", "digits/export/model.safetensors", "--out", "back"]);
    let of = |run: &str| done(&["encode", run]);
    assert_eq!(of("back"), of("digits"));
    let other =
        refused(&["import", "digits/export/model.safetensors", "--data", "t.csv", "--label", "kind", "--drop", "id"]);
    assert!(other.contains("64") || other.contains("code_dim"), "{other}");
}

#[test]
fn a_mistake_is_one_error() {
    fs::write(runs().join("other.csv"), "a,b\n1,2\n").unwrap();
    let other = refused(&["encode", "table", "--data", "other.csv"]);
    assert!(other.contains("other.csv") && other.contains("`c`"), "{other}");
    let images = refused(&["encode", "digits", "--data", "fashion-mini"]);
    assert!(images.contains("images of 1x28x28, but the model was trained on images of 1x8x8"), "{images}");
    assert!(refused(&["interpolate", "digits", "--from", "1798"]).contains("rows 1 to 1797"));
    assert!(refused(&["score", "nowhere"]).contains("not a run folder"));
    assert!(refused(&["reconstruct", "digits", "--corrupt"]).contains("without corruption"));
    assert!(refused(&["reconstruct", "digits", "--corrupt=fog=1"]).contains("`fog` is no corruption"));
    assert!(refused(&["train", "--normal-only"]).contains("--normal"));
    assert!(refused(&["compare"]).contains("--variants"));
    let copy = runs().join("broken");
    fs::create_dir_all(&copy).unwrap();
    for file in ["config.toml", "data.toml", "model.safetensors"] {
        fs::copy(runs().join("digits").join(file), copy.join(file)).unwrap();
    }
    let missing = refused(&["score", "broken"]);
    assert!(missing.contains("detector.json") && missing.contains("train again"), "{missing}");
    fs::write(copy.join("data.toml"), fs::read_to_string(copy.join("data.toml")).unwrap().replace("d_input", "inputs"))
        .unwrap();
    let version = refused(&["score", "broken"]);
    assert!(version.contains("data.toml"), "{version}");
    fs::remove_file(copy.join("data.toml")).unwrap();
    assert!(refused(&["encode", "broken"]).contains("data.toml"));
}

#[test]
fn samples_are_rows_of_the_data() {
    let drawn = done(&["sample", "table", "--rows", "300", "--seed", "3"]);
    let mut lines = drawn.lines();
    assert_eq!(lines.next(), Some("a,b,c"));
    let rows: Vec<Vec<f64>> = lines.map(|line| line.split(',').map(|cell| cell.parse().unwrap()).collect()).collect();
    assert_eq!(rows.len(), 300);
    // Normal rows lie on b = 2 a + 1, a in 0 to 10.
    let mean = |column: usize| rows.iter().map(|row| row[column]).sum::<f64>() / 300.0;
    assert!((mean(0) - 5.0).abs() < 1.0 && (mean(1) - 11.0).abs() < 2.0, "{} {}", mean(0), mean(1));
    let off = rows.iter().map(|row| (row[1] - 2.0 * row[0] - 1.0).abs()).sum::<f64>() / 300.0;
    assert!(off < 1.0, "mean distance to the line: {off}");
    assert_eq!(done(&["sample", "table", "--rows", "300", "--seed", "3"]), drawn, "the same seed draws the same");
    assert!(refused(&["sample", "table", "--density", "prior"]).contains("no prior"));
    assert!(refused(&["sample", "table", "--rows", "0"]).contains("--rows"));
    done(&["sample", "digits", "--rows", "9", "--out", "nine.png"]);
    let nine = ae_data::open(runs().join("nine.png").to_str().unwrap()).unwrap().train;
    assert_eq!(
        nine.geometry.map(|geometry| (geometry.height, geometry.width)),
        Some((98, 98)),
        "3 x 3 images of 32, and 2 lines between"
    );
}

/// A table of two truth values and three levels, where one decides the other: samples keep that, and hold no other
/// level.
#[test]
fn samples_of_a_variational_model_keep_what_goes_together() {
    let folder = tempfile::tempdir().unwrap();
    let rows = |i: usize| {
        let level = ["red", "green", "blue"][i * 7 % 3];
        format!(
            "{level},{},{},0.001,\n",
            if level == "red" { "yes" } else { "no" },
            (i * 13 % 11) + if level == "blue" { 100 } else { 0 }
        )
    };
    let table = (0..400).map(rows).collect::<String>();
    fs::write(folder.path().join("t.csv"), format!("color,warm,count,rate,hole\n{table}")).unwrap();
    let settings = [
        "--set",
        "model.network.hidden=[32]",
        "--set",
        "training.learning_rate=0.01",
        "--set",
        "model.variance=per_column",
    ];
    let train =
        ["train", "--variant", "variational", "--data", "t.csv", "--code-dim", "3", "--epochs", "150", "--out", "run"];
    crate::ae_ok(folder.path(), &[&train[..], &settings].concat());
    for density in ["prior", "mixture"] {
        let drawn = crate::ae_ok(folder.path(), &["sample", "run", "--rows", "400", "--density", density]);
        let cells: Vec<Vec<&str>> = drawn.lines().skip(1).map(|line| line.split(',').collect()).collect();
        assert_eq!((drawn.lines().next(), cells.len()), (Some("color,warm,count,rate,hole"), 400));
        let agree = cells.iter().filter(|row| (row[0] == "red") == (row[1] == "yes")).count();
        assert!(agree > 340, "{density}: color and warm agree in {agree} of 400 rows");
        for level in ["red", "green", "blue"] {
            let found = cells.iter().filter(|row| row[0] == level).count();
            assert!((60..220).contains(&found), "{density}: {found} rows are {level}");
        }
        let is_count = |cell: &str| cell.parse::<u32>().is_ok_and(|count| count <= 110);
        assert!(cells.iter().all(|row| is_count(row[2])), "counts are whole numbers from 0 to 110");
        assert!(
            cells.iter().all(|row| row[3] == "0.001" && row[4].is_empty()),
            "a constant stays, and what was empty is"
        );
    }
    let figures: serde_json::Value =
        serde_json::from_str(&crate::ae_ok(folder.path(), &["evaluate", "run", "--json"])).unwrap();
    let of = &figures["likelihood"];
    let number = |name: &str| of[name].as_f64().unwrap();
    assert!(number("log_likelihood") > number("elbo") && number("kl") > 0.5, "{of}");
}
