//! The same rows in any file format give the same weights, bit for bit.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int32Array, RecordBatch, StringArray};
use npyz::WriterBuilder;
use parquet::arrow::ArrowWriter;
use safetensors::{Dtype, tensor::TensorView};

use crate::{ae, ae_ok, text};

/// Settings for a quick training of a small model.
const SETTINGS: [&str; 6] = ["--epochs", "1", "--set", "model.network.hidden=[16]", "--code-dim", "4"];

/// Trains on `data` in `folder` and returns the file of weights.
fn weights(folder: &Path, data: &str, more: &[&str]) -> Vec<u8> {
    let out = format!("run-{}{}", data.replace(['/', '*'], "-"), more.join(""));
    ae_ok(folder, &[&["train", "--data", data, "--out", &out][..], &SETTINGS, more].concat());
    fs::read(folder.join(out).join("model.safetensors")).unwrap()
}

fn expect_equal(folder: &Path, sources: &[&str], more: &[&str]) {
    let expected = weights(folder, sources[0], more);
    for source in &sources[1..] {
        assert!(weights(folder, source, more) == expected, "{source} gave different weights than {}", sources[0]);
    }
}

fn npy<T: npyz::AutoSerialize + Copy>(shape: &[u64], values: &[T]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = npyz::WriteOptions::new().default_dtype().shape(shape).writer(&mut bytes).begin_nd().unwrap();
    writer.extend(values.iter().copied()).unwrap();
    writer.finish().unwrap();
    bytes
}

fn idx(dims: &[u32], values: &[u8]) -> Vec<u8> {
    let sizes: Vec<u8> = dims.iter().flat_map(|size| size.to_be_bytes()).collect();
    [&[0, 0, 8, dims.len() as u8][..], &sizes, values].concat()
}

/// Writes the batch as a Parquet file, as an Arrow file, and as an Arrow stream.
fn write_arrow(folder: &Path, name: &str, batch: &RecordBatch) {
    let file = |extension: &str| File::create(folder.join(format!("{name}.{extension}"))).unwrap();
    let mut writer = ArrowWriter::try_new(file("parquet"), batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    let mut writer = arrow_ipc::writer::FileWriter::try_new(file("feather"), &batch.schema()).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    let mut writer = arrow_ipc::writer::StreamWriter::try_new(file("arrow"), &batch.schema()).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
}

#[test]
fn numbers_are_the_same_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let digits = ae_data::open("digits").unwrap().train;
    let (count, width) = (300usize, digits.width());
    let values: Vec<u8> = (0..count).flat_map(|row| digits.row(row).unwrap()).map(|value| value as u8).collect();
    let write = |name: &str, bytes: &[u8]| fs::write(here.join(name), bytes).unwrap();
    let lines = |mark: &str, from: usize, to: usize| {
        let header = (0..width).map(|column| format!("p{column}")).collect::<Vec<_>>().join(mark);
        let rows = values[from * width..to * width].chunks(width);
        rows.fold(header + "\n", |text, row| {
            text + &row.iter().map(u8::to_string).collect::<Vec<_>>().join(mark) + "\n"
        })
    };
    write("table.csv", lines(",", 0, count).as_bytes());
    write("semicolons.csv", lines(";", 0, count).replace('\n', "\r\n").as_bytes());
    write("table.tsv", lines("\t", 0, count).as_bytes());
    fs::create_dir(here.join("shards")).unwrap();
    write("shards/part-0.csv", lines(",", 0, 100).as_bytes());
    write("shards/part-1.csv", lines(",", 100, count).as_bytes());
    write("plain.idx", &idx(&[count as u32, width as u32], &values));
    let shape = [count as u64, width as u64];
    write("bytes.npy", &npy(&shape, &values));
    write("doubles.npy", &npy(&shape, &values.iter().map(|&value| f64::from(value)).collect::<Vec<_>>()));
    let mut archive = zip::ZipWriter::new(File::create(here.join("several.npz")).unwrap());
    archive.start_file("x.npy", zip::write::SimpleFileOptions::default()).unwrap();
    archive.write_all(&npy(&shape, &values.iter().map(|&value| i16::from(value)).collect::<Vec<_>>())).unwrap();
    archive.start_file("other.npy", zip::write::SimpleFileOptions::default()).unwrap();
    archive.write_all(&npy(&[2, 2], &[1.0f32; 4])).unwrap();
    archive.finish().unwrap();
    let halves: Vec<u8> = values.iter().flat_map(|&value| f32::from(value).to_le_bytes()).collect();
    let tensor = TensorView::new(Dtype::F32, vec![count, width], &halves).unwrap();
    write("t.safetensors", &safetensors::serialize([("x", tensor)], None).unwrap());
    let columns = (0..width).map(|column| {
        let cells: Vec<i32> = values.iter().skip(column).step_by(width).map(|&value| i32::from(value)).collect();
        (format!("p{column}"), Arc::new(Int32Array::from(cells)) as ArrayRef)
    });
    write_arrow(here, "columns", &RecordBatch::try_from_iter(columns).unwrap());
    let sources = [
        "table.csv",
        "semicolons.csv",
        "table.tsv",
        "shards",
        "shards/part-*.csv",
        "plain.idx",
        "bytes.npy",
        "doubles.npy",
        "several.npz",
        "t.safetensors",
        "columns.parquet",
        "columns.feather",
        "columns.arrow",
    ];
    expect_equal(here, &sources, &[]);
    // Read block by block instead of in memory.
    let expected = weights(here, "table.csv", &["--seed", "5"]);
    for (name, data) in
        ["bytes.npy", "doubles.npy", "t.safetensors", "columns.parquet", "columns.feather"].into_iter().enumerate()
    {
        let out = format!("streamed-{name}");
        let args = ["train", "--data", data, "--out", &out, "--seed", "5", "--set", "data.read.stream=true"];
        ae_ok(here, &[&args[..], &SETTINGS].concat());
        assert!(
            fs::read(here.join(out).join("model.safetensors")).unwrap() == expected,
            "{data}, read block by block, gave different weights"
        );
    }

    // Read from standard input.
    let mut child = Command::new(env!("CARGO_BIN_EXE_ae"))
        .args(["train", "--data", "-", "--out", "piped"])
        .args(SETTINGS)
        .current_dir(here)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(lines(";", 0, count).as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(
        fs::read(here.join("piped/model.safetensors")).unwrap()
            == fs::read(here.join("run-table.csv/model.safetensors")).unwrap()
    );
}

#[test]
fn images_are_the_same_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let fashion = ae_data::open("fashion-mini").unwrap().train;
    let count = 60usize;
    let values: Vec<u8> = (0..count).flat_map(|row| fashion.row(row).unwrap()).map(|value| value as u8).collect();
    fs::create_dir(here.join("pictures")).unwrap();
    for (row, pixels) in values.chunks(784).enumerate() {
        let image = image::GrayImage::from_raw(28, 28, pixels.to_vec()).unwrap();
        image.save(here.join(format!("pictures/{row:04}.png"))).unwrap();
    }
    fs::write(here.join("images.idx"), idx(&[count as u32, 28, 28], &values)).unwrap();
    fs::write(here.join("images.npy"), npy(&[count as u64, 28, 28], &values)).unwrap();
    fs::write(here.join("channels.npy"), npy(&[count as u64, 28, 28, 1], &values)).unwrap();
    let conv = ["--set", "model.network.kind=conv", "--set", "model.network.channels=[4]"];
    let run = |data: &str| {
        let out = format!("run-{data}");
        ae_ok(
            here,
            &[&["train", "--data", data, "--out", &out, "--epochs", "1", "--code-dim", "4"][..], &conv].concat(),
        );
        fs::read(here.join(out).join("model.safetensors")).unwrap()
    };
    let expected = run("pictures");
    for data in ["images.idx", "images.npy", "channels.npy"] {
        assert!(run(data) == expected, "{data} gave different weights than the folder of images");
    }
    let sheet = ae_ok(here, &["data", "pictures", "--sheet", "sheet.png"]);
    assert!(sheet.contains("60 rows") && sheet.contains("1x28x28") && sheet.contains("min_max"), "{sheet}");
    let sheet = image::open(here.join("sheet.png")).unwrap();
    assert_eq!((sheet.width(), sheet.height()), (289, 173));
}

/// A mixed table: a name, a class, two numbers and a category with missing cells, and a boolean.
fn fruit(count: usize) -> (String, RecordBatch) {
    let number =
        |row: usize, step: usize| (!(row * step).is_multiple_of(17)).then_some(((row * step) % 101) as f64 / 4.0);
    let color = |row: usize| (!row.is_multiple_of(11)).then_some(["red", "green", "light, blue"][row / 2 % 3]);
    let ripe = |row: usize| row % 5 < 2;
    let class = |row: usize| if row.is_multiple_of(3) { "apple" } else { "pear" };
    let cell = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    let rows = (0..count).map(|row| {
        let color = color(row).map(|color| format!("\"{color}\"")).unwrap_or_else(|| "NA".to_string());
        format!("fruit{row},{},{},{},{color},{}\n", class(row), cell(number(row, 7)), ripe(row), cell(number(row, 13)))
    });
    let csv = "name,class,weight,ripe,color,size\n".to_string() + &rows.collect::<String>();
    let all = |of: &dyn Fn(usize) -> Option<f64>| {
        Arc::new(Float64Array::from((0..count).map(of).collect::<Vec<_>>())) as ArrayRef
    };
    let batch = RecordBatch::try_from_iter_with_nullable([
        (
            "name",
            Arc::new(StringArray::from((0..count).map(|row| format!("fruit{row}")).collect::<Vec<_>>())) as ArrayRef,
            false,
        ),
        ("class", Arc::new(StringArray::from((0..count).map(class).collect::<Vec<_>>())) as ArrayRef, false),
        ("weight", all(&|row| number(row, 7)), true),
        ("ripe", Arc::new(BooleanArray::from((0..count).map(ripe).collect::<Vec<_>>())) as ArrayRef, false),
        ("color", Arc::new(StringArray::from((0..count).map(color).collect::<Vec<_>>())) as ArrayRef, true),
        ("size", all(&|row| number(row, 13)), true),
    ]);
    (csv, batch.unwrap())
}

#[test]
fn a_mixed_table_is_the_same_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let (csv, batch) = fruit(240);
    fs::write(here.join("fruit.csv"), csv).unwrap();
    write_arrow(here, "fruit", &batch);
    let chosen = ["--label", "class", "--id", "name"];
    let sources = ["fruit.csv", "fruit.parquet", "fruit.feather", "fruit.arrow"];
    expect_equal(here, &sources, &chosen);
    let streamed = [&chosen[..], &["--set", "data.read.stream=true"]].concat();
    let expected = fs::read(here.join("run-fruit.csv--labelclass--idname/model.safetensors")).unwrap();
    for data in ["fruit.parquet", "fruit.feather"] {
        assert!(weights(here, data, &streamed) == expected, "{data}, read block by block, gave different weights");
    }
    for variant in ["masked", "denoising", "sparse"] {
        let out = format!("run-{variant}");
        let args =
            ["train", "--variant", variant, "--data", "fruit.csv", "--epochs", "3", "--code-dim", "16", "--out", &out];
        ae_ok(here, &[&args[..], &chosen].concat());
    }
    let schema = fs::read_to_string(here.join("run-masked/data.toml")).unwrap();
    assert!(
        schema.contains("light, blue")
            && schema.contains("\"apple\", \"pear\"")
            && schema.contains("kind = \"boolean\""),
        "{schema}"
    );
    let described = ae_ok(here, &[&["data", "fruit.csv"][..], &chosen].concat());
    for part in [
        "240 rows",
        "apple (80), pear (160)",
        "weight",
        "number",
        "3 levels: green, light, blue, red",
        "standard, column by column",
    ] {
        assert!(described.contains(part), "`{part}` is not in:\n{described}");
    }
    // Every scaling works with data outside [0, 1].
    for scaling in ["none", "min_max", "robust"] {
        let out = format!("run-{scaling}");
        let setting = format!("data.scaling={scaling}");
        let args =
            ["train", "--data", "fruit.csv", "--epochs", "1", "--code-dim", "3", "--out", &out, "--set", &setting];
        ae_ok(here, &[&args[..], &chosen].concat());
    }
    let output = ae(
        here,
        &[
            "train",
            "--data",
            "fruit.csv",
            "--label",
            "class",
            "--id",
            "name",
            "--set",
            "model.output=sigmoid",
            "--code-dim",
            "3",
        ],
    );
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("`model.output` is sigmoid"), "{}", text(&output.stderr));
}

#[test]
fn an_official_test_file_must_match_its_training_file() {
    let folder = tempfile::tempdir().unwrap();
    let data: PathBuf = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    let (csv, _) = fruit(120);
    fs::write(data.join("train.csv"), &csv).unwrap();
    fs::write(data.join("test.csv"), csv.replace("light, blue", "mauve")).unwrap();
    let args =
        [&["train", "--data", "data", "--label", "class", "--id", "name", "--out", "run"][..], &SETTINGS].concat();
    let strict = text(&ae(folder.path(), &[&args[..], &["--unknown", "refuse"]].concat()).stderr);
    assert!(strict.contains("test.csv") && strict.contains("`mauve` did not occur in training"), "{strict}");
    let said = text(&ae(folder.path(), &args).stderr);
    assert!(said.contains("note: column `color`: `mauve` in") && said.contains("did not occur in training"), "{said}");
    fs::remove_dir_all(folder.path().join("run")).unwrap();
    fs::write(data.join("test.csv"), csv.lines().take(31).map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    ae_ok(folder.path(), &args);
    let schema = fs::read_to_string(folder.path().join("run/data.toml")).unwrap();
    assert!(schema.contains("test_rows = 30") && schema.contains("train_rows = 108"), "{schema}");

    // A run is resumed only with the columns that it began with.
    fs::remove_file(folder.path().join("run/summary.json")).unwrap();
    for part in ["train.csv", "test.csv"] {
        let table = fs::read_to_string(data.join(part)).unwrap();
        fs::write(data.join(part), table.replacen("weight", "mass", 1)).unwrap();
    }
    let said = text(&ae(folder.path(), &["train", "--resume", "run"]).stderr);
    assert!(said.contains("lacks 1 of them (`weight`) and has 1 more (`mass`)"), "{said}");
}
