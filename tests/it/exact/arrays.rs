//! Arrays and archives of them: what the tests write, and test sets, labels, damage and missing values in them.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    sync::Arc,
};

use arrow_array::{ArrayRef, Float64Array, RecordBatch};

use super::{both, refused, tables::write_typed, train};

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
    let mut file = include_bytes!("../../golden/checksums.parquet").to_vec();
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
