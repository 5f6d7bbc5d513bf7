//! What is not learned from is carried along: keys, labels, dates, an index, levels.

use std::{
    fs::{self, File},
    sync::Arc,
};

use arrow_array::{
    Array, ArrayRef, DictionaryArray, Float64Array, Int64Array, RecordBatch, StringArray, types::Int32Type,
};
use arrow_ipc::reader::FileReader;

use super::{
    both,
    tables::{read_typed, write_typed, write_typed_parts},
    train,
};
use crate::ae_ok;

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
