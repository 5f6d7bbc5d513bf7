//! Data is read and written exactly: untouched cells, keys, dates, types and rows stay the same, and files are read as
//! people and programs write them.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use arrow_array::{
    Array, ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float32Array, Float64Array,
    Int32Array, Int64Array, RecordBatch, StringArray, types::Int32Type,
};
use arrow_ipc::{reader::FileReader, writer::FileWriter};
use flate2::{Compression, write::GzEncoder};
use parquet::arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{ae, ae_ok, text};

/// Settings for a quick training of a small model.
const QUICK: [&str; 6] = ["--epochs", "1", "--set", "model.network.hidden=[8]", "--code-dim", "1"];

fn train(here: &Path, data: &str, out: &str, more: &[&str]) -> String {
    let output = ae(here, &[&["train", "--data", data, "--out", out][..], &QUICK, more].concat());
    assert!(output.status.success(), "{data}: {}", text(&output.stderr));
    text(&output.stderr)
}

/// Standard output and standard error of a command that succeeds.
fn both(here: &Path, args: &[&str]) -> (String, String) {
    let output = ae(here, args);
    assert!(output.status.success(), "ae {args:?}: {}", text(&output.stderr));
    (text(&output.stdout), text(&output.stderr))
}

fn refused(here: &Path, args: &[&str], parts: &[&str]) {
    let output = ae(here, args);
    let said = text(&output.stderr);
    let errors: Vec<_> = said.lines().filter(|line| line.starts_with("error: ")).collect();
    assert!(!output.status.success() && errors.len() == 1, "ae {args:?}: {said}");
    assert!(parts.iter().all(|part| errors[0].contains(part)), "ae {args:?}: {parts:?} not in {said}");
}

/// A random number with three decimals.
fn number(random: &mut ChaCha8Rng) -> f64 {
    f64::from(random.random_range(-5000..5000)) / 1000.0
}

/// A random text table, cell by cell as written, and the names of its columns.
fn text_table(random: &mut ChaCha8Rng, delimiter: char) -> (Vec<Vec<String>>, Vec<&'static str>) {
    let names = vec!["key", "day", "note", "x", "y", "n", "ok", "kind", "never"];
    let blank = |random: &mut ChaCha8Rng| ["", "NA", " ", "\"\"", "?"][random.random_range(0..5)].to_string();
    let mut rows = vec![names.iter().map(|name| name.to_string()).collect::<Vec<_>>()];
    for row in 0..60 {
        let x = number(random);
        let note = [
            "plain".to_string(),
            format!("\"with {delimiter} in it\""),
            "\"two\nlines, \"\"quoted\"\"\"".to_string(),
            " padded ".to_string(),
            String::new(),
        ][random.random_range(0..5)]
        .clone();
        let mut cells = vec![
            format!("{:05}", 9_007_199_254_740_993i64 + row),
            format!("2024-0{}-1{}", row % 9 + 1, row % 10),
            note,
            ["{x}", "\"{x}\"", " {x}"][random.random_range(0..3)].replace("{x}", &x.to_string()),
            format!("{:.3e}", 2.0 * x + 1.0),
            random.random_range(0..5).to_string(),
            ["Yes", "No"][random.random_range(0..2)].to_string(),
            ["red", "green", "blue"][random.random_range(0..3)].to_string(),
            String::new(),
        ];
        for column in [3, 4, 5, 6, 7] {
            if random.random_bool(0.15) {
                cells[column] = blank(random);
            }
        }
        rows.push(cells);
    }
    (rows, names)
}

fn is_blank(cell: &str) -> bool {
    let cell = cell.trim().trim_matches('"').trim();
    ["", "NA", "?"].contains(&cell)
}

/// Checks that `found` is the table with the missing cells of the learned columns filled in and every other byte
/// unchanged. Returns the number of cells filled in.
fn expect_filled(rows: &[Vec<String>], delimiter: char, end: &str, found: &str, what: &str) -> usize {
    let (mut rest, mut filled) = (found, 0);
    for (number, row) in rows.iter().enumerate() {
        for (column, cell) in row.iter().enumerate() {
            let mark = if column + 1 == row.len() { end.to_string() } else { delimiter.to_string() };
            if number > 0 && (3..=7).contains(&column) && is_blank(cell) {
                let length = rest.find(&mark).unwrap_or_else(|| panic!("{what}: row {number} ends early: {rest:.80}"));
                let made = &rest[..length];
                match column {
                    5 => assert!(made.parse::<i64>().is_ok(), "{what}: `{made}` is not an integer"),
                    6 => assert!(["Yes", "No"].contains(&made), "{what}: `{made}` is not a word of the column"),
                    7 => assert!(["red", "green", "blue"].contains(&made), "{what}: `{made}` is not a level"),
                    _ => assert!(made.parse::<f64>().is_ok(), "{what}: `{made}` is not a number"),
                }
                filled += 1;
                rest = &rest[length..];
            } else {
                assert!(
                    rest.starts_with(cell.as_str()),
                    "{what}: row {number}, column {column}: `{cell}` became {rest:.60}"
                );
                rest = &rest[cell.len()..];
            }
            assert!(rest.starts_with(&mark), "{what}: row {number}, column {column}: {rest:.60}");
            rest = &rest[mark.len()..];
        }
    }
    assert_eq!(rest, "", "{what}");
    filled
}

/// Random text tables in several notations: every cell that is not missing stays the same, byte for byte.
#[test]
fn imputing_changes_only_missing_cells_of_text_tables() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let utf16 =
        |text: &str| [&[0xff, 0xfe][..], &text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>()].concat();
    for (seed, name, delimiter, end) in [
        (0, "a.csv", ',', "\n"),
        (1, "b.tsv", '\t', "\r\n"),
        (2, "c.csv", ';', "\r\n"),
        (3, "d.txt", '|', "\n"),
        (4, "e.csv", ',', "\r"),
    ] {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let (rows, _) = text_table(&mut random, delimiter);
        let lines = rows.iter().map(|row| row.join(&delimiter.to_string()) + end).collect::<String>();
        let bytes = match seed {
            1 => [b"\xef\xbb\xbf", lines.as_bytes()].concat(),
            3 => utf16(&lines),
            _ => lines.clone().into_bytes(),
        };
        fs::write(here.join(name), &bytes).unwrap();
        let run = format!("run-{name}");
        train(here, name, &run, &["--drop", "key,note", "--variant", "masked"]);
        let out = format!("out-{name}");
        let (_, said) = both(here, &["impute", &run, "--data", name, "--out", &out]);
        let written = fs::read(here.join(&out)).unwrap();
        let piped = ae(here, &["impute", &run, "--data", name]);
        assert!(piped.stdout == written, "{name}: standard output is the same file");
        let found = match seed {
            1 => text(written.strip_prefix(b"\xef\xbb\xbf").expect("the byte order mark stays")),
            3 => {
                let units = written.strip_prefix(&[0xff, 0xfe]).expect("the byte order mark stays").chunks_exact(2);
                String::from_utf16(&units.map(|unit| u16::from_le_bytes([unit[0], unit[1]])).collect::<Vec<_>>())
                    .unwrap()
            }
            _ => text(&written),
        };
        let filled = expect_filled(&rows, delimiter, end, &found, name);
        assert!(
            filled > 5 && said.contains(&format!("{filled} missing values filled in")),
            "{name}: {filled} in {said}"
        );
        assert!(said.contains("60 left blank: columns that were empty in training (`never`)"), "{name}: {said}");
    }
}

/// Columns of every type, with missing cells.
fn typed_table(seed: u64) -> RecordBatch {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let rows = 60;
    let mut some = |share: f64| (0..rows).map(|_| random.random_bool(1.0 - share)).collect::<Vec<bool>>();
    let (a, b, c, d, e, f) = (some(0.2), some(0.2), some(0.2), some(0.2), some(0.2), some(0.2));
    let mut value = || number(&mut random);
    let doubles: Float64Array = a.iter().map(|there| there.then(&mut value)).collect();
    let singles: Float32Array = b.iter().map(|there| there.then(|| value() as f32)).collect();
    let whole: Int32Array = c.iter().enumerate().map(|(row, there)| there.then_some(row as i32 % 7)).collect();
    let truth: BooleanArray = d.iter().enumerate().map(|(row, there)| there.then_some(row % 3 == 0)).collect();
    let words: DictionaryArray<Int32Type> =
        e.iter().enumerate().map(|(row, there)| there.then_some(["red", "light, blue"][row % 2])).collect();
    let money: Decimal128Array = f.iter().enumerate().map(|(row, there)| there.then_some(row as i128 * 37)).collect();
    RecordBatch::try_from_iter([
        ("key", Arc::new(Int64Array::from_iter_values((0..rows).map(|row| 9_007_199_254_740_993 + row))) as ArrayRef),
        ("day", Arc::new(Date32Array::from_iter_values((0..rows).map(|row| 19_000 + row as i32)))),
        ("name", Arc::new(StringArray::from_iter_values((0..rows).map(|row| format!("person {row}"))))),
        ("doubles", Arc::new(doubles)),
        ("singles", Arc::new(singles)),
        ("whole", Arc::new(whole)),
        ("truth", Arc::new(truth)),
        ("words", Arc::new(words)),
        ("money", Arc::new(money.with_precision_and_scale(9, 2).unwrap())),
        ("never", Arc::new(Float64Array::from(vec![None; rows as usize]))),
    ])
    .unwrap()
}

fn write_typed(path: &Path, batch: &RecordBatch) {
    let file = File::create(path).unwrap();
    if path.extension().is_some_and(|extension| extension == "parquet") {
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        // Two row groups.
        writer.write(&batch.slice(0, 25)).unwrap();
        writer.flush().unwrap();
        writer.write(&batch.slice(25, 35)).unwrap();
        writer.close().unwrap();
    } else {
        let mut writer = FileWriter::try_new(file, &batch.schema()).unwrap();
        [batch.slice(0, 25), batch.slice(25, 0), batch.slice(25, 35)]
            .iter()
            .for_each(|part| writer.write(part).unwrap());
        writer.finish().unwrap();
    }
}

fn read_typed(path: &Path) -> RecordBatch {
    let file = File::open(path).unwrap();
    let batches: Vec<RecordBatch> = if path.extension().is_some_and(|extension| extension == "parquet") {
        ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap().map(Result::unwrap).collect()
    } else {
        FileReader::try_new(file, None).unwrap().map(Result::unwrap).collect()
    };
    arrow_select::concat::concat_batches(&batches[0].schema(), &batches).unwrap()
}

/// Typed tables: values and types of all cells that are not missing stay the same.
#[test]
fn imputing_changes_only_missing_cells_of_typed_tables() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    for (seed, name) in [(0, "a.parquet"), (1, "b.arrow"), (2, "c.parquet"), (3, "d.feather")] {
        let before = typed_table(seed);
        write_typed(&here.join(name), &before);
        let run = format!("run-{name}");
        let said = train(here, name, &run, &["--drop", "key,name", "--variant", "masked"]);
        assert!(said.contains("`day` holds dates") && said.contains("`never` is empty"), "{said}");
        for end in ["parquet", "arrow"] {
            let out = format!("out-{name}.{end}");
            let (_, said) = both(here, &["impute", &run, "--data", name, "--out", &out]);
            let after = read_typed(&here.join(&out));
            assert_eq!(before.schema().fields().len(), after.schema().fields().len());
            let mut filled = 0;
            for (index, field) in before.schema().fields().iter().enumerate() {
                let (old, new) = (before.column(index), after.column(index));
                assert_eq!(
                    (field.name(), field.data_type()),
                    (after.schema().field(index).name(), new.data_type()),
                    "{out}"
                );
                for row in 0..60 {
                    match old.is_null(row) {
                        true if field.name() == "never" => assert!(new.is_null(row), "{out}: a value was invented"),
                        true => {
                            assert!(new.is_valid(row), "{out}: {} of row {row} is still missing", field.name());
                            filled += 1;
                        }
                        false => assert_eq!(
                            ae_data::table::texts(&old.slice(row, 1), "t".as_ref()).unwrap(),
                            ae_data::table::texts(&new.slice(row, 1), "t".as_ref()).unwrap(),
                            "{out}: {} of row {row}",
                            field.name()
                        ),
                    }
                }
            }
            assert!(said.contains(&format!("{filled} missing values filled in")), "{out}: {filled} in {said}");
        }
        // As text, dates and keys are unchanged and in their own rows.
        let (rows, _) = both(here, &["impute", &run, "--data", name]);
        let second: Vec<&str> = rows.lines().nth(2).unwrap().split(',').collect();
        assert_eq!(second[..3], ["9007199254740994", "2022-01-09", "person 1"], "{rows:.300}");
    }
}

/// Arrays: every byte that does not belong to a missing number stays the same.
#[test]
fn imputing_changes_only_missing_numbers_of_arrays() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let values: Vec<f32> =
        (0..240).map(|_| if random.random_bool(0.1) { f32::NAN } else { number(&mut random) as f32 }).collect();
    let header = |shape: &str, order: &str, kind: &str| {
        let text = format!("{{'descr': '{kind}', 'fortran_order': {order}, 'shape': {shape}, }}");
        let padded = format!("{text:<117}\n");
        [b"\x93NUMPY\x01\x00".to_vec(), (padded.len() as u16).to_le_bytes().to_vec(), padded.into_bytes()].concat()
    };
    let little: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let big: Vec<u8> = values.iter().flat_map(|value| f64::from(*value).to_be_bytes()).collect();
    fs::write(here.join("c.npy"), [header("(60, 4)", "False", "<f4"), little.clone()].concat()).unwrap();
    fs::write(here.join("f.npy"), [header("(60, 4)", "True", ">f8"), big].concat()).unwrap();
    fs::write(here.join("images.npy"), [header("(60, 2, 2)", "False", "<f4"), little.clone()].concat()).unwrap();
    let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![60, 4], &little).unwrap();
    fs::write(here.join("t.safetensors"), safetensors::serialize([("x", view)], None).unwrap()).unwrap();
    let mut archive = zip::ZipWriter::new(File::create(here.join("z.npz")).unwrap());
    for (name, bytes) in [
        ("other.npy", [header("(4,)", "False", "|u1"), vec![1, 2, 3, 4]].concat()),
        ("x.npy", fs::read(here.join("c.npy")).unwrap()),
    ] {
        archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(&bytes).unwrap();
    }
    archive.finish().unwrap();
    let missing = values.iter().filter(|value| value.is_nan()).count();
    for name in ["c.npy", "f.npy", "images.npy", "t.safetensors", "z.npz"] {
        let run = format!("run-{name}");
        train(here, name, &run, &["--set", "data.scaling=standard"]);
        let out = format!("out-{name}");
        let (_, said) = both(here, &["impute", &run, "--data", name, "--out", &out]);
        assert!(said.contains(&format!("{missing} missing values filled in")), "{name}: {said}");
        let (mut before, mut after) = (fs::read(here.join(name)).unwrap(), fs::read(here.join(&out)).unwrap());
        if name == "z.npz" {
            let entry = |path: &Path, name: &str| {
                let mut bytes = Vec::new();
                let mut archive = zip::ZipArchive::new(File::open(path).unwrap()).unwrap();
                std::io::Read::read_to_end(&mut archive.by_name(name).unwrap(), &mut bytes).unwrap();
                bytes
            };
            assert_eq!(entry(&here.join(name), "other.npy"), entry(&here.join(&out), "other.npy"));
            (before, after) = (entry(&here.join(name), "x.npy"), entry(&here.join(&out), "x.npy"));
        }
        let size = if name == "f.npy" { 8 } else { 4 };
        let start = before.len() - 240 * size;
        assert_eq!((before.len(), &before[..start]), (after.len(), &after[..start]), "{name}: the header");
        let missing = |bytes: &[u8]| match size {
            8 => f64::from_be_bytes(bytes.try_into().unwrap()).is_nan(),
            _ => f32::from_le_bytes(bytes.try_into().unwrap()).is_nan(),
        };
        for (old, new) in before[start..].chunks(size).zip(after[start..].chunks(size)) {
            assert!(if missing(old) { !missing(new) } else { old == new }, "{name}");
        }
    }
}

/// Identifiers, labels and dates are written exactly as they were read.
#[test]
fn keys_labels_and_dates_are_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let keys = [
        "00123",
        "100000001",
        "100000002",
        "9007199254740993",
        "4915550123",
        "1.10",
        "1.1",
        "-0",
        "1e5",
        " padded ",
        "NA",
        "",
        "2024-01-31",
    ];
    let mut lines = "key,a,b,class,day\n".to_string();
    for row in 0..52 {
        let class = ["100000001", "100000002", "01", "1", "12b", ""][row % 6];
        lines += &format!("{},{}.5,{},{class},{}.1.2024\n", keys[row % 13], row * 7 % 31, row * 3 % 11, row % 28 + 1);
    }
    fs::write(here.join("t.csv"), &lines).unwrap();
    let said = train(here, "t.csv", "run", &["--id", "key", "--label", "class"]);
    assert!(
        said.contains("8 of 52 rows have no label") && said.contains("column `day` holds dates (`1.1.2024`)"),
        "{said}"
    );
    let (described, _) = both(here, &["data", "t.csv", "--id", "key", "--label", "class"]);
    let labels = "labels: 01 (9), 1 (9), 100000001 (9), 100000002 (9), 12b (8); 8 rows without";
    assert!(
        described.contains(labels) && described.contains("identifiers: 00123, 100000001, 100000002\n"),
        "{described}"
    );
    for (command, first) in [("score", "score"), ("encode", "h0"), ("reconstruct", "a")] {
        for end in ["csv", "parquet", "arrow"] {
            let out = format!("{command}.{end}");
            ae_ok(here, &[command, "run", "--data", "t.csv", "--out", &out]);
            let (names, cells): (Vec<String>, Vec<Vec<String>>) = match end {
                "csv" => {
                    let mut reader = csv::Reader::from_path(here.join(&out)).unwrap();
                    let names = reader.headers().unwrap().iter().map(str::to_string).collect();
                    (
                        names,
                        reader.records().map(|record| record.unwrap().iter().map(str::to_string).collect()).collect(),
                    )
                }
                _ => {
                    let batch = read_typed(&here.join(&out));
                    let columns: Vec<_> = batch
                        .columns()
                        .iter()
                        .map(|column| ae_data::table::texts(column, "t".as_ref()).unwrap())
                        .collect();
                    let names = batch.schema().fields().iter().map(|field| field.name().clone()).collect();
                    let row =
                        |row: usize| columns.iter().map(|column| column[row].clone().unwrap_or_default()).collect();
                    (names, (0..batch.num_rows()).map(row).collect())
                }
            };
            assert_eq!(
                (names[0].as_str(), names[1].as_str(), names[2].as_str(), names.last().unwrap().as_str()),
                ("key", "class", first, "day")
            );
            assert_eq!(cells.len(), 52, "{out}");
            for (row, (cells, line)) in cells.iter().zip(lines.lines().skip(1)).enumerate() {
                let expected: Vec<&str> = line.split(',').collect();
                assert_eq!(
                    [&cells[0], &cells[1], cells.last().unwrap()],
                    [expected[0], expected[3], expected[4]],
                    "{out}, row {row}"
                );
            }
        }
    }
    // An array holds only the codes.
    let (_, said) = both(here, &["encode", "run", "--data", "t.csv", "--out", "codes.npy"]);
    assert!(said.contains("an array of numbers leaves out `key`, `class`, `day`"), "{said}");
    ae_ok(here, &["decode", "run", "codes.npy", "--out", "back.csv"]);
    assert_eq!(fs::read_to_string(here.join("back.csv")).unwrap().lines().next(), Some("a,b"));
    // A result column does not get the name of a carried column.
    ae_ok(here, &["encode", "run", "--data", "t.csv", "--id", "day", "--out", "x.csv"]);
    fs::write(here.join("h.csv"), lines.replace("key,", "h0,")).unwrap();
    train(here, "h.csv", "named", &["--id", "h0", "--drop", "class"]);
    let (codes, _) = both(here, &["encode", "named", "--data", "h.csv"]);
    assert!(codes.starts_with("h0,h0_,class,day\n"), "{codes:.60}");
}

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

/// Text files from spreadsheets, pandas, R and instruments.
#[test]
fn text_files_of_many_programs_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let write = |name: &str, bytes: &[u8]| fs::write(here.join(name), bytes).unwrap();
    let rows = |line: &dyn Fn(usize) -> String| (0..40).map(line).collect::<String>();
    let described = |args: &[&str]| both(here, &[&["data"][..], args].concat());
    // The line of `ae data` for a column: name, kind, missing, smallest, mean, largest.
    let column = |out: &str, name: &str| {
        out.lines()
            .find(|line| line.split_whitespace().next() == Some(name))
            .unwrap_or_default()
            .split_whitespace()
            .map(str::to_string)
            .collect::<Vec<_>>()
    };
    let mean = |out: &str, name: &str| column(out, name)[4].parse::<f64>().unwrap();

    write("comma.csv", ("id;amount\n".to_string() + &rows(&|row| format!("r{row};{},25\n", row))).as_bytes());
    let (out, said) = described(&["comma.csv", "--id", "id"]);
    assert!((mean(&out, "amount") - 19.75).abs() < 1e-6 && said.contains("`0,25` is read as 0.25"), "{out}{said}");
    write(
        "marks.csv",
        ("share,income,price\n".to_string() + &rows(&|row| format!("{row}.5%,\"1,{:03}\",$2.50\n", row))).as_bytes(),
    );
    let (out, said) = described(&["marks.csv"]);
    assert!(
        mean(&out, "income") == 1019.5 && mean(&out, "share") == 20.0 && said.contains("`$2.50` is read as 2.5"),
        "{out}{said}"
    );
    write("unclear.tsv", ("a\tb\n".to_string() + &rows(&|row| format!("1,{:03}\t{row}\n", row))).as_bytes());
    refused(here, &["data", "unclear.tsv"], &["`a`", "`1,000`", "`--decimal ,`"]);
    let (out, _) = described(&["unclear.tsv", "--decimal", "."]);
    assert_eq!(mean(&out, "a"), 1019.5);
    let (out, _) = described(&["unclear.tsv", "--decimal", ","]);
    assert!((mean(&out, "a") - 1.0195).abs() < 1e-9, "{out}");

    let table = "größe,b\n".to_string() + &rows(&|row| format!("{row},{}.5\n", row % 7));
    let western: Vec<u8> = table.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap()).collect();
    write("latin.csv", &western);
    refused(here, &["data", "latin.csv"], &["latin.csv", "--encoding latin1"]);
    assert!(described(&["latin.csv", "--encoding", "latin1"]).0.contains("größe "));
    let utf16: Vec<u8> = table.encode_utf16().flat_map(u16::to_be_bytes).collect();
    write("wide.csv", &utf16);
    let (out, said) = described(&["wide.csv"]);
    assert!(out.contains("40 rows") && said.contains("read as UTF-16BE"), "{out}{said}");
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(table.as_bytes()).unwrap();
    write("t.csv.gz", &packer.finish().unwrap());
    assert!(described(&["t.csv.gz"]).0.contains("40 rows"));
    write("cr.csv", table.replace('\n', "\r").as_bytes());
    assert!(described(&["cr.csv"]).0.contains("40 rows"));

    write("sep.csv", ("sep=;\na;b\n".to_string() + &rows(&|row| format!("{row};{}\n", row % 3))).as_bytes());
    assert!(described(&["sep.csv"]).0.contains("40 rows\n2 features"));
    write("note.csv", ("# about\n# it\na,b\n".to_string() + &rows(&|row| format!("{row},{}\n", row % 3))).as_bytes());
    let (out, said) = described(&["note.csv"]);
    assert!(out.contains("40 rows") && said.contains("2 comment lines"), "{out}{said}");
    write("late.csv", ("a,b\n".to_string() + &rows(&|row| format!("{row},{}\n", row % 3)) + "# the end\n").as_bytes());
    refused(here, &["data", "late.csv"], &["line 42", "1 cell", "--comment '#'"]);
    assert!(described(&["late.csv", "--comment", "#"]).0.contains("40 rows"));
    write(
        "spaces.txt",
        ("  time  level\n".to_string() + &rows(&|row| format!("  {row:>4}   {:.2}\n", row as f64 / 3.0))).as_bytes(),
    );
    let (out, said) = described(&["spaces.txt"]);
    assert!(out.contains("40 rows\n2 features") && said.contains("separated by spaces"), "{out}{said}");
    write("trailing.csv", ("a,b\n".to_string() + &rows(&|row| format!("{row},{},\n", row % 3))).as_bytes());
    let (out, said) = described(&["trailing.csv"]);
    assert!(out.contains("2 features") && said.contains("ignored: a delimiter at the end of 40 lines"), "{out}{said}");
    write(
        "r.txt",
        ("\"a\" \"b\"\n".to_string() + &rows(&|row| format!("\"{}\" {row} {}\n", row + 1, row % 3))).as_bytes(),
    );
    let (out, said) = described(&["r.txt"]);
    assert!(out.contains("2 features") && said.contains("one cell more than the header"), "{out}{said}");
    write(
        "years.csv",
        ("region,2019,2020\n".to_string() + &rows(&|row| format!("{},{row}.5,{}\n", ["N", "S"][row % 2], row % 3)))
            .as_bytes(),
    );
    let (out, said) = described(&["years.csv"]);
    assert!(out.contains("40 rows") && said.contains("`--no-header`"), "{out}{said}");
    assert!(described(&["years.csv", "--no-header", "--drop", "c0"]).0.contains("41 rows"));
    write(
        "excel.csv",
        ("a,b\n".to_string() + &rows(&|row| format!("{row},{}\n", ["1.5", "#DIV/0!", "#N/A", "2"][row % 4])))
            .as_bytes(),
    );
    let (out, said) = described(&["excel.csv"]);
    assert!(column(&out, "b")[2] == "50.0%" && said.contains("10 x `#DIV/0!`"), "{out}{said}");
    write(
        "indexed.csv",
        (",a,b\n".to_string() + &rows(&|row| format!("{row},{}.5,{}\n", row % 7, row % 3))).as_bytes(),
    );
    let (out, said) = described(&["indexed.csv"]);
    assert!(out.contains("2 features") && said.contains("the column without a name counts the rows"), "{out}{said}");
    assert!(described(&["indexed.csv", "--keep", ",a"]).0.contains("2 features"), "the index and `a`");
    write("quoted.csv", ("a,b\n".to_string() + &rows(&|row| format!("\"x\ny\",{row}\n"))).as_bytes());
    assert!(described(&["quoted.csv"]).0.contains("40 rows"));

    // Kinds set by options, which later files are read with, too.
    write(
        "codes.csv",
        ("zip,flag,n\n".to_string() + &rows(&|row| format!("{},{},{row}.0\n", 10_000 + row % 5, row % 2))).as_bytes(),
    );
    let (out, _) = described(&["codes.csv", "--categorical", "zip", "--boolean", "flag"]);
    assert!(
        out.contains("zip     category") && out.contains("5 levels: 10000") && out.contains("flag    boolean"),
        "{out}"
    );
    train(here, "codes.csv", "codes", &["--categorical", "zip", "--boolean", "flag", "--integer", "n"]);
    let schema = fs::read_to_string(here.join("codes/data.toml")).unwrap();
    assert!(
        schema.contains("\"10000\", \"10001\"")
            && schema.contains("levels = [\"0\", \"1\"]")
            && schema.contains("integer = true"),
        "{schema}"
    );
    write("one.csv", b"n,flag,zip,more\n1,1,10003,x\n2.5,0,77777,y\n");
    let (out, said) = both(here, &["score", "codes", "--data", "one.csv"]);
    assert_eq!(out.lines().count(), 3);
    assert!(said.contains("`77777` in 1 cell (first in row 2)") && said.contains("carried along: `more`"), "{said}");
    let score = |line: usize| out.lines().nth(line).unwrap().split(',').next().unwrap().parse::<f64>().unwrap();
    assert!(score(2) > score(1), "an unseen level has a higher score: {out}");
    refused(here, &["score", "codes", "--data", "one.csv", "--unknown", "refuse"], &["row 2", "`zip`", "`77777`"]);

    // Files of unsupported types.
    write("book.xlsx", b"PK\x03\x04\0\0");
    refused(here, &["data", "book.xlsx"], &["book.xlsx", "a spreadsheet", "save its sheet as CSV"]);
    write("book.csv", b"PK\x03\x04\0\0");
    refused(here, &["data", "book.csv"], &["book.csv", "a spreadsheet", "CSV"]);
    for (name, what) in [
        ("cells.h5ad", "to_parquet"),
        ("model.pkl", "pickle"),
        ("rows.jsonl", "JSON"),
        ("x.mat", "MATLAB"),
        ("t.zip", "unpack"),
    ] {
        write(name, b"\0\x01\x02");
        refused(here, &["data", name], &[name, what]);
    }
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

/// Large numbers keep their digits, because the offset is subtracted in double precision.
#[test]
fn seconds_since_1970_are_reconstructed_to_the_second() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let seconds = |row: usize| 1_700_000_000 + row as i64 * 3;
    let lines = (0..80).fold("at,x\n".to_string(), |text, row| text + &format!("{},{}.5\n", seconds(row), row % 5));
    fs::write(here.join("t.csv"), &lines).unwrap();
    let at = Int64Array::from_iter_values((0..80).map(seconds));
    let x = Float64Array::from_iter_values((0..80).map(|row| (row % 5) as f64 + 0.5));
    let batch = RecordBatch::try_from_iter([("at", Arc::new(at) as ArrayRef), ("x", Arc::new(x))]).unwrap();
    write_typed(&here.join("t.parquet"), &batch.slice(0, 80));
    for name in ["t.csv", "t.parquet"] {
        train(here, name, &format!("run-{name}"), &[]);
    }
    let weights = |name: &str| fs::read(here.join(format!("run-{name}/model.safetensors"))).unwrap();
    assert!(weights("t.csv") == weights("t.parquet"));
    let run = ae_train::Run::open(&here.join("run-t.csv")).unwrap();
    let trained = run.trained(burn::tensor::Device::default()).unwrap();
    let rows =
        trained.rows(Some(here.join("t.csv").to_str().unwrap()), &Default::default(), ae_train::Which::All).unwrap();
    let scaled = rows.scaled(&trained.schema.scaling).unwrap();
    let at: Vec<f32> = scaled.iter().step_by(2).copied().collect();
    let steps: Vec<f32> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let (low, high) = steps.iter().fold((f32::MAX, f32::MIN), |(low, high), step| (low.min(*step), high.max(*step)));
    assert!(low > 0.0 && high - low < 1e-5, "equal steps stay equal: {low} to {high}");
    let back = trained.unscale(&scaled);
    assert!(back.iter().step_by(2).enumerate().all(|(row, value)| (value - seconds(row) as f64).abs() < 0.001));

    // Exported weights and ONNX models keep the seconds, too.
    train(here, "t.csv", "far", &["--set", "data.scaling=min_max"]);
    let (written, said) = both(here, &["export", "far"]);
    let weights = ae_train::export::import::Weights::read(&here.join("far/export/model.safetensors")).unwrap();
    let known = ae_train::Run::open(&here.join("far")).unwrap().folder.schema().unwrap().scaling;
    assert_eq!(weights.scaling().unwrap(), Some([known.offset, known.scale]));
    assert!(said.contains("double precision: single precision would cut digits off at\n"), "{said}");
    assert!(said.contains("in the order of `features` in model.py: at, x\n"), "{said}");
    assert!(written.contains("model.onnx: ONNX, scaling included, rows in double precision\n"), "{written}");
    assert!(
        written.contains("\nfeatures = [\n    \"at\", \"x\",\n]\n")
            && written.contains("((x - offset) / scale).float()"),
        "{written}"
    );
    ae_ok(
        here,
        &[
            "import",
            "far/export/model.safetensors",
            "--data",
            "t.csv",
            "--out",
            "back",
            "--set",
            "data.scaling=min_max",
        ],
    );
    assert_eq!(ae_ok(here, &["encode", "back"]), ae_ok(here, &["encode", "far"]));
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
    let scores = fitted.detector.score(&fitted.trained, &rows).unwrap();
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

/// Errors in text tables that are easily overlooked.
#[test]
fn hidden_errors_in_text_tables_are_refused_or_reported() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let rows = |line: &dyn Fn(usize) -> String| (0..60).map(line).collect::<String>();
    let write = |name: &str, text: &str| fs::write(here.join(name), text).unwrap();
    let x = |row: usize| format!("{}.{}", row * 7 % 31, row % 10);
    let described = |args: &[&str]| both(here, &[&["data"][..], args].concat());

    // Wrong quotes that hide rows.
    write(
        "inches.csv",
        &("a,b,size\n".to_string()
            + &rows(&|row| format!("{},1,{}\n", x(row), if [8, 31].contains(&row) { "\"3.5 in" } else { "disk" }))),
    );
    refused(here, &["data", "inches.csv"], &["lines 10 to 33", "opened in line 10", "double"]);
    write(
        "open.csv",
        &("a,b,c\n".to_string() + &rows(&|row| format!("{},1,{}\n", x(row), if row == 59 { "\"x" } else { "y" }))),
    );
    refused(here, &["data", "open.csv"], &["line 61", "opened and never closed"]);
    write("back.csv", &("a,b,c\n".to_string() + &rows(&|row| format!("\"say \\\"hi\\\", x\",{},2\n", x(row)))));
    refused(here, &["data", "back.csv"], &["line 2", "`\\\"`", "double"]);
    write("blank.csv", &("a,b,c\n".to_string() + &rows(&|row| format!("{}, \"city, country\", y\n", x(row)))));
    refused(here, &["data", "blank.csv"], &["line 2", "a space before the opening quote"]);

    // Rows that look like headers, and row names that look like numbers.
    write(
        "mushrooms.csv",
        &rows(&|row| format!("{},{},{}\n", ["p", "e"][row % 2], ["x", "b", "s"][row % 3], ["n", "w"][row / 2 % 2])),
    );
    let (out, said) = described(&["mushrooms.csv"]);
    assert!(
        out.contains("60 rows") && said.contains("(`p`, `x`, `n`) was read as a row") && said.contains("`--header`"),
        "{out}{said}"
    );
    train(here, "mushrooms.csv", "mushrooms", &[]);
    write("few.csv", "e,b,w\np,x,n\n");
    refused(
        here,
        &["score", "mushrooms", "--data", "few.csv"],
        &["lacks 3", "use `--no-header` if its first line is a row"],
    );
    assert_eq!(both(here, &["score", "mushrooms", "--data", "few.csv", "--no-header"]).0.lines().count(), 3);
    write(
        "numbered.csv",
        &(",a,b\n".to_string() + &rows(&|row| format!("{},{},{}\n", row * 37 % 61, x(row), row % 5))),
    );
    write("named.csv", &(",a,b\n".to_string() + &rows(&|row| format!("Mazda {row},{},{}\n", x(row), row % 5))));
    for name in ["numbered.csv", "named.csv"] {
        let (out, said) = described(&[name]);
        assert!(
            out.contains("2 features") && said.contains("carried along, not learned from (`--keep` learns from it)"),
            "{out}{said}"
        );
    }
    write(
        "measured.csv",
        &(",a,b\n".to_string() + &rows(&|row| format!("{}.5,{},{}\n", row * 37 % 61, x(row), row % 5))),
    );
    assert!(described(&["measured.csv"]).0.contains("3 features"));
    write(
        "dash.csv",
        &("a,b\n".to_string() + &rows(&|row| format!("{},{}\n", ["–1.5", "'2", "１.５"][row % 3], x(row)))),
    );
    assert!(described(&["dash.csv"]).1.contains("cells like `–1.5` are read as names"));

    // Booleans written differently in two files, and integers with fractions.
    write("part-1.csv", &("ok,a\n".to_string() + &rows(&|row| format!("{},{}\n", ["yes", "no"][row % 2], x(row)))));
    write("part-2.csv", &("ok,a\n".to_string() + &rows(&|row| format!("{},{}\n", row % 2, x(row)))));
    let (out, said) = described(&["part-*.csv"]);
    assert!(
        out.contains("ok      boolean") && said.contains("`yes` and 0 or 1: both are read as booleans"),
        "{out}{said}"
    );
    let (_, said) = described(&["part-2.csv", "--integer", "a"]);
    assert!(said.contains("declared as integer, but has values such as `7.1`"), "{said}");

    // Other files.
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(&fs::read(here.join("part-1.csv")).unwrap()).unwrap();
    fs::write(here.join("packed.gz"), packer.finish().unwrap()).unwrap();
    assert!(described(&["packed.gz"]).0.contains("60 rows"));
    write("lines.csv", &"{\"a\":1,\"b\":2}\n".repeat(60));
    refused(here, &["data", "lines.csv"], &["JSON by its first bytes"]);
    refused(here, &["data", "part-1.csv", "--encoding", "utf-16"], &["no zero bytes"]);
    write("infinite.csv", "a,b\n1,2\ninf,3\n");
    refused(here, &["data", "infinite.csv"], &["row 2", "`inf` is infinite: correct it"]);
    write("none.csv", &("a,b\n".to_string() + &rows(&|_| ",\n".to_string())));
    refused(here, &["train", "--data", "none.csv"], &["none of its 60 rows has any value"]);
    write("group.csv", &("g,a\n".to_string() + &rows(&|row| format!("one,{}\n", x(row)))));
    refused(here, &["train", "--data", "group.csv", "--group", "g"], &["`g`", "one group for all 60 rows"]);
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

/// Archives with several arrays.
#[test]
fn archives_with_test_sets_and_labels_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let npy = |shape: &str, kind: &str, bytes: Vec<u8>| {
        let text = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}");
        let padded = format!("{text:<117}\n");
        [b"\x93NUMPY\x01\x00".to_vec(), (padded.len() as u16).to_le_bytes().to_vec(), padded.into_bytes(), bytes]
            .concat()
    };
    let floats =
        |count: usize| (0..count).flat_map(|value| ((value * 7 % 23) as f32).to_le_bytes()).collect::<Vec<u8>>();
    let write = |name: &str, entries: &[(&str, Vec<u8>)]| {
        let mut archive = zip::ZipWriter::new(File::create(here.join(name)).unwrap());
        for (name, bytes) in entries {
            archive.start_file(format!("{name}.npy"), zip::write::SimpleFileOptions::default()).unwrap();
            archive.write_all(bytes).unwrap();
        }
        archive.finish().unwrap();
    };
    let x = npy("(40, 3)", "<f4", floats(120));
    write(
        "parts.npz",
        &[
            ("x", x.clone()),
            ("x_test", npy("(10, 3)", "<f4", floats(30))),
            ("y", npy("(40,)", "<i8", (0..40i64).flat_map(|row| (row % 2 * 2 - 1).to_le_bytes()).collect())),
        ],
    );
    let (out, _) = both(here, &["data", "parts.npz"]);
    assert!(
        out.contains("40 rows to train on, 10 in an official test set") && out.contains("labels: -1 (20), 1 (20)"),
        "{out}"
    );
    write("widths.npz", &[("x", x.clone()), ("x_test", npy("(10, 4)", "<f4", floats(40)))]);
    refused(here, &["train", "--data", "widths.npz"], &["`x_test`", "rows of 4", "`x` has rows of 3"]);
    write(
        "target.npz",
        &[
            ("x", x.clone()),
            ("y", npy("(40,)", "<f8", (0..40).flat_map(|row| (f64::from(row) + 0.5).to_le_bytes()).collect())),
            ("extra", x),
        ],
    );
    let (out, said) = both(here, &["data", "target.npz"]);
    assert!(out.contains("40 rows") && !out.contains("labels"), "{out}");
    assert!(
        said.contains("`y` is left out, because it holds numbers such as 0.5, which are not class labels")
            && said.contains("left out: `extra`"),
        "{said}"
    );
}

/// The bytes of a `.npy` file.
fn npy(shape: &str, kind: &str, bytes: &[u8]) -> Vec<u8> {
    let text = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}");
    let padded = format!("{text:<117}\n");
    [b"\x93NUMPY\x01\x00", &(padded.len() as u16).to_le_bytes()[..], padded.as_bytes(), bytes].concat()
}

fn npz(path: &Path, entries: &[(&str, Vec<u8>)], method: zip::CompressionMethod) {
    let mut archive = zip::ZipWriter::new(File::create(path).unwrap());
    for (name, bytes) in entries {
        archive
            .start_file(format!("{name}.npy"), zip::write::SimpleFileOptions::default().compression_method(method))
            .unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap();
}

fn entry(path: &Path, name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut archive = zip::ZipArchive::new(File::open(path).unwrap()).unwrap();
    std::io::Read::read_to_end(&mut archive.by_name(&format!("{name}.npy")).unwrap(), &mut bytes).unwrap();
    bytes
}

/// `rows` rows of 3 numbers, of which every seventh is missing.
fn with_missing(rows: usize) -> Vec<f32> {
    (0..rows * 3).map(|place| if place % 7 == 2 { f32::NAN } else { (place * 5 % 23) as f32 }).collect()
}

/// All arrays with rows are filled in, whatever their order in the file; of a part, only that part.
#[test]
fn the_official_test_set_of_an_archive_is_imputed_too() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let (train_values, test_values, other) = (with_missing(40), with_missing(10), bytes(&with_missing(5)));
    let arrays = [("x_test", npy("(10, 3)", "<f4", &bytes(&test_values))), ("other", npy("(5, 3)", "<f4", &other))];
    npz(
        &here.join("a.npz"),
        &[&arrays[..], &[("x", npy("(40, 3)", "<f4", &bytes(&train_values)))]].concat(),
        zip::CompressionMethod::Deflated,
    );
    let (x, x_test) = (bytes(&train_values), bytes(&test_values));
    let view = |shape: [usize; 2], bytes| {
        safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.to_vec(), bytes).unwrap()
    };
    let tensors = [("x_test", view([10, 3], &x_test)), ("other", view([5, 3], &other)), ("x", view([40, 3], &x))];
    fs::write(here.join("b.safetensors"), safetensors::serialize(tensors, None).unwrap()).unwrap();
    for name in ["a.npz", "b.safetensors"] {
        train(here, name, &format!("run-{name}"), &[]);
        let out = format!("out-{name}");
        let (_, said) = both(here, &["impute", &format!("run-{name}"), "--data", name, "--out", &out]);
        assert!(said.contains("21 missing values filled in"), "{name}: {said}");
        for (array, old) in [("x", &train_values), ("x_test", &test_values)] {
            let new: Vec<f32> = match name {
                "a.npz" => entry(&here.join(&out), array)[128..]
                    .chunks(4)
                    .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
                    .collect(),
                _ => {
                    let file = fs::read(here.join(&out)).unwrap();
                    let tensors = safetensors::SafeTensors::deserialize(&file).unwrap();
                    assert_eq!(tensors.tensor("other").unwrap().data(), other);
                    tensors
                        .tensor(array)
                        .unwrap()
                        .data()
                        .chunks(4)
                        .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
                        .collect()
                }
            };
            assert_eq!(new.len(), old.len(), "{name} {array}");
            assert!(
                new.iter().zip(old).all(|(new, old)| if old.is_nan() { !new.is_nan() } else { new == old }),
                "{name} {array}"
            );
        }
        let (_, said) = both(
            here,
            &["impute", &format!("run-{name}"), "--data", name, "--rows", "test", "--out", &format!("part-{name}")],
        );
        assert!(said.contains("4 missing values filled in"), "{name}: {said}");
        assert!(both(here, &["data", &format!("part-{name}")]).0.contains(": 10 rows"));
    }
    assert_eq!(entry(&here.join("a.npz"), "other"), entry(&here.join("out-a.npz"), "other"));
}

#[test]
fn a_flipped_bit_is_detected_by_checksums() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let bytes: Vec<u8> = (0..120).flat_map(|value| (value as f32).to_le_bytes()).collect();
    for (name, method) in
        [("stored.npz", zip::CompressionMethod::Stored), ("packed.npz", zip::CompressionMethod::Deflated)]
    {
        npz(&here.join(name), &[("x", npy("(40, 3)", "<f4", &bytes))], method);
        both(here, &["data", name]);
        let mut file = fs::read(here.join(name)).unwrap();
        file[250] ^= 1;
        fs::write(here.join(name), file).unwrap();
        refused(here, &["data", name], &[name, "damaged"]);
    }
    // Written by pyarrow with `write_page_checksum`: 50 uncompressed numbers.
    let mut file = include_bytes!("../golden/checksums.parquet").to_vec();
    fs::write(here.join("p.parquet"), &file).unwrap();
    both(here, &["data", "p.parquet"]);
    file[100] ^= 1;
    fs::write(here.join("p.parquet"), file).unwrap();
    refused(here, &["data", "p.parquet"], &["p.parquet", "damaged"]);
}

/// A number given by `--missing` is a missing value in every format, and is imputed.
#[test]
fn a_number_can_stand_for_a_missing_value() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let values: Vec<i16> =
        with_missing(60).iter().map(|value| if value.is_nan() { -999 } else { *value as i16 }).collect();
    let missing = values.iter().filter(|value| **value == -999).count();
    fs::write(
        here.join("a.npy"),
        npy("(60, 3)", "<i2", &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>()),
    )
    .unwrap();
    let lines: String = values.chunks(3).map(|row| format!("{}.0,{}.0,{}\n", row[0], row[1], row[2])).collect();
    fs::write(here.join("b.csv"), format!("p,q,r\n{lines}")).unwrap();
    let column = |index: usize| {
        Arc::new(Float64Array::from_iter_values(values.chunks(3).map(|row| f64::from(row[index])))) as ArrayRef
    };
    let batch = RecordBatch::try_from_iter([("p", column(0)), ("q", column(1)), ("r", column(2))]).unwrap();
    write_typed(&here.join("c.parquet"), &batch);
    write_typed(&here.join("d.arrow"), &batch);
    for name in ["a.npy", "b.csv", "c.parquet", "d.arrow"] {
        let run = format!("run-{name}");
        let said = train(here, name, &run, &["--missing", "-999,-77"]);
        assert!(said.contains("note: read as missing: ") && said.contains(" x `-999"), "{name}: {said}");
        assert!(said.contains("`--missing`: no learned cell is `-77`"), "{name}: {said}");
        let out = format!("out-{name}");
        let (_, said) = both(here, &["impute", &run, "--data", name, "--out", &out]);
        assert!(said.contains(&format!("{missing} missing values filled in")), "{name}: {said}");
        let (before, after) = (
            ae_data::open(here.join(name).to_str().unwrap()).unwrap(),
            ae_data::open(here.join(&out).to_str().unwrap()).unwrap(),
        );
        for row in 0..60 {
            for (old, new) in before.train.row(row).unwrap().into_iter().zip(after.train.row(row).unwrap()) {
                assert!(if old == -999.0 { new > -100.0 } else { old == new }, "{name}: {old} became {new}");
            }
        }
        if name == "a.npy" {
            assert_eq!(after.train.element(), ae_data::Element::I16);
        }
    }
    // A class may be called -1.
    fs::write(
        here.join("e.csv"),
        (0..60).fold("x,y,c\n".to_string(), |text, row| text + &format!("{row}.5,{},{}\n", row % 7, row % 2 * 2 - 1)),
    )
    .unwrap();
    train(here, "e.csv", "run-e", &["--label", "c", "--normal-only", "--normal", "-1"]);
}

#[test]
fn a_constant_column_is_imputed_with_its_constant() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let row = |row: usize| match row % 3 {
        0 => format!(",,{row},\n"),
        _ => format!("7.25,1,{row},yes\n"),
    };
    fs::write(here.join("t.csv"), (0..60).fold("half,one,n,ok\n".to_string(), |text, number| text + &row(number)))
        .unwrap();
    for scaling in ["standard", "min_max", "robust"] {
        train(here, "t.csv", scaling, &["--set", &format!("data.scaling={scaling}")]);
        let (rows, _) = both(here, &["impute", scaling, "--data", "t.csv"]);
        assert!(
            rows.lines().skip(1).enumerate().all(|(row, line)| line == format!("7.25,1,{row},yes")),
            "{scaling}: {rows}"
        );
    }
}

/// The index that pandas stores as a range is in the results, so that they can be joined with the data.
#[test]
fn an_index_stored_as_a_range_is_carried_along() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let write = |name: &str, start: i64, step: i64| {
        let numbers = Float64Array::from_iter_values((0..30).map(|row| f64::from(row * 7 % 30)));
        let more = Float64Array::from_iter_values((0..30).map(|row| f64::from(row * 11 % 30)));
        let batch = RecordBatch::try_from_iter([("a", Arc::new(numbers) as ArrayRef), ("b", Arc::new(more))]).unwrap();
        let range = format!(
            "{{\"kind\": \"range\", \"name\": null, \"start\": {start}, \"stop\": {}, \"step\": {step}}}",
            start + 30 * step
        );
        let pandas = ("pandas".to_string(), format!("{{\"index_columns\": [{range}], \"columns\": []}}"));
        let schema = Arc::new(batch.schema().as_ref().clone().with_metadata(std::collections::HashMap::from([pandas])));
        write_typed_parts(&here.join(name), &RecordBatch::try_new(schema, batch.columns().to_vec()).unwrap());
    };
    fs::create_dir(here.join("shards")).unwrap();
    write("plain.parquet", 0, 1);
    write("late.parquet", 100, 1);
    write("back.arrow", 60, -2);
    write("shards/1.parquet", 0, 1);
    write("shards/2.parquet", 30, 1);
    train(here, "plain.parquet", "run", &[]);
    for (data, index) in [("late.parquet", [100, 101, 129]), ("back.arrow", [60, 58, 2]), ("shards", [0, 1, 59])] {
        for command in ["score", "encode", "reconstruct"] {
            let (rows, said) = both(here, &[command, "run", "--data", data]);
            let lines: Vec<&str> = rows.lines().collect();
            assert!(lines[0].starts_with("__index_level_0__,"), "{command} {data}: {}", lines[0]);
            let found =
                [1, 2, lines.len() - 1].map(|line| lines[line].split(',').next().unwrap().parse::<i64>().unwrap());
            assert_eq!(found, index, "{command} {data}");
            assert!(said.contains("reconstructions have it as column `__index_level_0__`"), "{command} {data}: {said}");
        }
    }
    assert!(!both(here, &["encode", "run", "--data", "plain.parquet"]).0.contains("index"));
}

fn write_typed_parts(path: &Path, batch: &RecordBatch) {
    let parts = [batch.slice(0, 10), batch.slice(10, batch.num_rows() - 10)];
    let file = File::create(path).unwrap();
    if path.extension().is_some_and(|extension| extension == "parquet") {
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        for part in &parts {
            writer.write(part).unwrap();
            writer.flush().unwrap();
        }
        writer.close().unwrap();
    } else {
        let mut writer = FileWriter::try_new(file, &batch.schema()).unwrap();
        parts.iter().for_each(|part| writer.write(part).unwrap());
        writer.finish().unwrap();
    }
}

/// Each category is written once, and categories are ordered only if the order is the same everywhere.
#[test]
fn categories_are_written_once_and_in_a_consistent_order() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let sizes = |names: &[&str], keys: Vec<Option<i32>>| {
        let values = Arc::new(StringArray::from(names.to_vec()));
        Arc::new(DictionaryArray::<Int32Type>::try_new(keys.into(), values).unwrap()) as ArrayRef
    };
    let table = |names: &[&str], rows: std::ops::Range<i32>, ordered: bool| {
        let column = sizes(names, rows.clone().map(|row| (row % 5 != 4).then_some(row * 2 % 3)).collect());
        let numbers = Arc::new(Float64Array::from_iter_values(rows.map(|row| f64::from(row % 3)))) as ArrayRef;
        let fields = vec![
            arrow_schema::Field::new("size", column.data_type().clone(), true).with_dict_is_ordered(ordered),
            arrow_schema::Field::new("n", numbers.data_type().clone(), true),
        ];
        RecordBatch::try_new(Arc::new(arrow_schema::Schema::new(fields)), vec![column, numbers]).unwrap()
    };
    let dictionary = |name: &str| {
        let batches: Vec<RecordBatch> =
            FileReader::try_new(File::open(here.join(name)).unwrap(), None).unwrap().map(Result::unwrap).collect();
        let last = batches.last().unwrap();
        let values = last.column(0).as_any().downcast_ref::<DictionaryArray<Int32Type>>().unwrap().values().clone();
        let values: Vec<String> = ae_data::table::texts(&values, "t".as_ref()).unwrap().into_iter().flatten().collect();
        (values, last.schema().field(0).dict_is_ordered())
    };
    // Row groups whose dictionaries begin with different values.
    write_typed_parts(&here.join("groups.parquet"), &table(&["lo", "mid", "hi"], 0..60, false));
    fs::create_dir(here.join("shards")).unwrap();
    write_typed_parts(&here.join("shards/1.arrow"), &table(&["lo", "mid", "hi"], 0..30, true));
    write_typed_parts(&here.join("shards/2.arrow"), &table(&["hi", "mid", "lo"], 30..60, true));
    write_typed_parts(&here.join("one.arrow"), &table(&["lo", "mid", "hi", "never"], 0..60, true));
    for (data, values, ordered) in [
        ("groups.parquet", vec!["lo", "hi", "mid"], false),
        ("shards", vec!["lo", "mid", "hi"], false),
        ("one.arrow", vec!["lo", "mid", "hi", "never"], true),
    ] {
        let run = format!("run-{data}");
        let said = train(here, data, &run, &[]);
        assert_eq!(
            said.contains("the order of its categories differs within the data"),
            data == "shards",
            "{data}: {said}"
        );
        both(here, &["impute", &run, "--data", data, "--out", "o.arrow"]);
        assert_eq!(
            dictionary("o.arrow"),
            (values.iter().map(|value| value.to_string()).collect(), Some(ordered)),
            "{data}"
        );
        let (before, after) = (
            ae_data::open(here.join(data).to_str().unwrap()).unwrap(),
            ae_data::open(here.join("o.arrow").to_str().unwrap()).unwrap(),
        );
        let cell =
            |sets: &ae_data::Sets, row: usize| sets.train.encoding().unwrap().decode(&sets.train.row(row).unwrap())[0];
        assert!((0..60).all(|row| cell(&before, row).is_nan() || cell(&before, row) == cell(&after, row)), "{data}");
        let (_, said) = both(here, &["impute", &run, "--data", data, "--out", "o.parquet"]);
        assert_eq!(said.contains("keeps neither the order of the categories of `size`"), ordered, "{data}: {said}");
        assert_eq!(read_typed(&here.join("o.parquet")).schema().field(0).dict_is_ordered(), Some(false), "{data}");
    }
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
