//! Imputing changes missing values and nothing else.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
};

use arrow_array::Array;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{
    both, number,
    tables::{read_typed, typed_table, write_typed},
    train,
};
use crate::{ae, text};

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
