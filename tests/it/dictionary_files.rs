//! Dictionaries in the formats of other projects: what their own classes compute, what is refused, and damaged files.
//! `tests/golden/make_golden_dictionaries.py` wrote the files.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use ae_train::export::dictionaries;
use burn::tensor::{Device, Tensor, TensorData};
use safetensors::{Dtype, tensor::TensorView};
use serde_json::{Value, json};

use crate::{
    ae, ae_ok,
    saelens::{flat, model, near, numbers},
    text,
};

/// Number of features and of units.
const SIZES: [usize; 2] = [4, 6];

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/dictionaries")
}

/// A copy of a case, whose files a test can change.
fn copied(case: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(golden().join(case)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    folder
}

/// The message with which a path is refused.
fn refused(path: &Path) -> String {
    let said = dictionaries::read(path).expect_err("this must be refused").to_string();
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

/// Asserts that a path is refused with a message that contains all of `parts`.
fn says(path: &Path, parts: &[&str]) {
    let said = refused(path);
    for part in parts {
        assert!(said.contains(part), "`{part}` is not in: {said}");
    }
}

/// Changes the configuration of a folder.
fn configure(folder: &Path, name: &str, change: impl FnOnce(&mut Value)) {
    let path = folder.join(name);
    let mut config = fs::read_to_string(&path).map_or(json!({}), |text| serde_json::from_str(&text).unwrap());
    change(&mut config);
    fs::write(path, config.to_string()).unwrap();
}

type Shapes = BTreeMap<&'static str, Vec<usize>>;
type Change<'a> = &'a dyn Fn(&mut Shapes);

/// Writes tensors of ones in the format of the file's name.
fn write_ones(path: &Path, shapes: &Shapes) {
    let count = |shape: &[usize]| shape.iter().product::<usize>();
    if path.extension().is_some_and(|extension| extension == "npz") {
        let mut archive = zip::ZipWriter::new(fs::File::create(path).unwrap());
        for (name, shape) in shapes {
            let sizes: String = shape.iter().map(|size| format!("{size},")).collect();
            let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({sizes}), }}\n");
            let bytes = 1f32.to_le_bytes().repeat(count(shape));
            archive.start_file(format!("{name}.npy"), zip::write::SimpleFileOptions::default()).unwrap();
            archive.write_all(b"\x93NUMPY\x01\x00").unwrap();
            archive.write_all(&(header.len() as u16).to_le_bytes()).unwrap();
            archive.write_all(&[header.as_bytes(), &bytes].concat()).unwrap();
        }
        archive.finish().unwrap();
        return;
    }
    let tensors: Vec<(&str, &Vec<usize>, Vec<u8>)> =
        shapes.iter().map(|(name, shape)| (*name, shape, 1f32.to_le_bytes().repeat(count(shape)))).collect();
    let views: Vec<_> = tensors
        .iter()
        .map(|(name, shape, bytes)| (*name, TensorView::new(Dtype::F32, shape.to_vec(), bytes).unwrap()))
        .collect();
    fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

#[test]
fn dictionaries_of_other_projects_give_their_codes() {
    let results: Value = serde_json::from_str(&fs::read_to_string(golden().join("golden.json")).unwrap()).unwrap();
    let x = flat(&results["x"]);
    let x = Tensor::<2>::from_data(TensorData::new(x, [5, SIZES[0]]), &Device::default());
    let mut seen = 0;
    for (case, expected) in results.as_object().unwrap().iter().filter(|(case, _)| *case != "x") {
        let model = model(&golden().join(case), SIZES[0]);
        near(&format!("{case} code"), &numbers(model.encode(x.clone())), &flat(&expected["code"]));
        let reconstruction = numbers(model.reconstruct(x.clone()));
        near(&format!("{case} reconstruction"), &reconstruction, &flat(&expected["reconstruction"]));
        seen += 1;
    }
    assert_eq!(seen, 12);
}

#[test]
fn a_file_is_the_same_dictionary_as_its_folder() {
    for (case, file) in [
        ("learning_gated", "ae.pt"),
        ("learning_top_k", "ae.pt"),
        ("gemma_scope", "params.npz"),
        ("sparsify", "sae.safetensors"),
        ("saelens_jump_relu", "sae_weights.safetensors"),
    ] {
        let folder = golden().join(case);
        let of_file = dictionaries::read(&folder.join(file)).unwrap().unwrap();
        assert_eq!(Some(of_file), dictionaries::read(&folder).unwrap(), "{case}");
    }
    // Under other names, and checkpoints of a training, whose configuration is one folder above.
    let folder = copied("learning_batch_top_k");
    let here = folder.path();
    let whole = dictionaries::read(here).unwrap();
    fs::rename(here.join("ae.pt"), here.join("mine.PT")).unwrap();
    assert_eq!(dictionaries::read(&here.join("mine.PT")).unwrap(), whole);
    fs::create_dir(here.join("checkpoints")).unwrap();
    fs::rename(here.join("mine.PT"), here.join("checkpoints/ae_1000.pt")).unwrap();
    assert_eq!(dictionaries::read(&here.join("checkpoints/ae_1000.pt")).unwrap(), whole);
    // Weights of another kind are left to `Weights`.
    assert!(dictionaries::read(&here.join("model.safetensors")).unwrap().is_none());
}

#[test]
fn what_is_left_out_is_said() {
    let notes = |case: &str| dictionaries::read(&golden().join(case)).unwrap().unwrap().notes.join("; ");
    assert!(notes("learning_top_k").contains("`threshold` is left out: a trained AutoEncoderTopK"));
    assert!(notes("learning_batch_top_k").contains("`k` is left out"));
    let matryoshka = notes("learning_matryoshka");
    assert!(matryoshka.contains("`k` is left out") && matryoshka.contains("`group_sizes` is left out"), "{matryoshka}");
    assert!(notes("learning_standard").contains("`normalize_decoder=False`"));
    for case in ["learning_new", "learning_gated", "learning_jump_relu", "gemma_scope", "sparsify"] {
        assert_eq!(notes(case), "", "{case}");
    }
}

#[test]
fn files_of_dictionary_learning_that_are_not_clear_are_refused() {
    let folder = copied("learning_top_k");
    let here = folder.path();
    let class = |name: Value| configure(here, "config.json", |config| config["trainer"]["dict_class"] = name);
    class("BatchTopKSAE".into());
    assert_eq!(dictionaries::read(here).unwrap().unwrap().architecture, "jumprelu");
    class("GatedAutoEncoder".into());
    says(here, &["ae.pt has no tensor `decoder_bias`", "GatedAutoEncoder", "`b_dec`", "`trainer.dict_class`"]);
    class("MatryoshkaBatchTopKSAE".into());
    says(here, &["ae.pt has no tensor `W_enc`", "`encoder.weight`"]);
    class("IdentityDict".into());
    says(here, &["config.json", "`trainer.dict_class` is IdentityDict", "AutoEncoderTopK"]);
    class(7.into());
    says(here, &["config.json", "`dict_class` is 7"]);
    class(Value::Null);
    says(here, &["config.json", "`trainer.dict_class` is missing"]);
    class("AutoEncoderTopK".into());
    configure(here, "config.json", |config| config["trainer"]["k"] = 3.into());
    says(here, &["ae.pt: `k` is 2", "config.json beside it says 3"]);
    configure(here, "config.json", |config| {
        config["trainer"] = json!({"dict_class": "AutoEncoderTopK", "dict_size": 8})
    });
    says(here, &["config.json: `dict_size` is 8", "4 features and 6 units"]);
    fs::write(here.join("config.json"), "{").unwrap();
    says(here, &["config.json is not JSON"]);
    fs::remove_file(here.join("config.json")).unwrap();
    says(here, &["ae.pt: its tensors are those of AutoEncoderTopK and of BatchTopKSAE", "config.json"]);

    let case = |name: &str| golden().join(name);
    says(&case("refused_transposed"), &["`encoder.weight` has the shape [4, 6]", "`bias` of [4]", "[6, 4]: transpose"]);
    says(&case("refused_backup"), &["a backup of a training"]);
    says(&case("refused_values"), &["`k` is not a tensor", "state_dict()"]);
}

#[test]
fn other_shapes_and_names_are_refused() {
    let [width, units] = SIZES;
    let expect = |path: &Path, shapes: &Shapes, change: Change, parts: &[&str]| {
        let mut shapes = shapes.clone();
        change(&mut shapes);
        write_ones(path, &shapes);
        says(path, &[&[path.file_name().unwrap().to_str().unwrap()], parts].concat());
    };

    let folder = tempfile::tempdir().unwrap();
    let npz = folder.path().join("params.npz");
    let of_scope: Shapes = BTreeMap::from([
        ("W_enc", vec![width, units]),
        ("W_dec", vec![units, width]),
        ("b_enc", vec![units]),
        ("b_dec", vec![width]),
        ("threshold", vec![units]),
    ]);
    write_ones(&npz, &of_scope);
    assert!(dictionaries::read(folder.path()).unwrap().is_some());
    let cases: [(Change, &[&str]); 5] = [
        (&|all| _ = all.remove("threshold"), &["has no tensor `threshold`", "`W_dec`, `W_enc`"]),
        (&|all| _ = all.insert("scaling_factor", vec![units]), &["has no tensor `scaling_factor`"]),
        (&|all| _ = all.insert("W_dec", vec![width, units]), &["`W_dec` has the shape [4, 6]", "[6, 4]", "transpose"]),
        (&|all| _ = all.insert("W_enc", vec![24]), &["`W_enc` has the shape [24], not [features, units]"]),
        (&|all| _ = all.insert("threshold", vec![]), &["`threshold` has the shape []", "must be [6]"]),
    ];
    for (change, parts) in cases {
        expect(&npz, &of_scope, change, parts);
    }

    let folder = copied("sparsify");
    let weights = folder.path().join("sae.safetensors");
    let of_sparsify: Shapes = BTreeMap::from([
        ("encoder.weight", vec![units, width]),
        ("encoder.bias", vec![units]),
        ("W_dec", vec![units, width]),
        ("b_dec", vec![width]),
    ]);
    write_ones(&weights, &of_sparsify);
    assert!(dictionaries::read(folder.path()).unwrap().is_some());
    let cases: [(Change, &[&str]); 4] = [
        (&|all| _ = all.remove("W_dec"), &["has no tensor `W_dec`", "cfg.json"]),
        (&|all| _ = all.insert("W_skip", vec![width, width]), &["has no tensor `W_skip`"]),
        (&|all| _ = all.insert("W_dec", vec![width, units]), &["`W_dec` has the shape [4, 6]", "[6, 4]", "transpose"]),
        (&|all| _ = all.insert("encoder.bias", vec![5]), &["`encoder.bias` has the shape [5]", "[6, 4]", "[6]"]),
    ];
    for (change, parts) in cases {
        expect(&weights, &of_sparsify, change, parts);
    }

    let folder = copied("saelens_batch_top_k");
    let weights = folder.path().join("sae_weights.safetensors");
    expect(&weights, &of_scope, &|_| (), &["has no tensor `topk_threshold`", "batchtopk"]);
    let rename = |all: &mut Shapes| {
        all.remove("threshold");
        all.insert("topk_threshold", vec![units]);
    };
    expect(&weights, &of_scope, &rename, &["`topk_threshold` has the shape [6]", "must be []"]);
}

#[test]
fn sizes_that_a_file_only_claims_take_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("params.npz");
    let mut archive = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    archive.start_file("W_enc.npy", zip::write::SimpleFileOptions::default()).unwrap();
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (100000, 1000000), }\n";
    archive.write_all(b"\x93NUMPY\x01\x00").unwrap();
    archive.write_all(&(header.len() as u16).to_le_bytes()).unwrap();
    archive.write_all(header.as_bytes()).unwrap();
    archive.finish().unwrap();
    says(&path, &["params.npz", "of memory"]);
    says(&golden().join("refused_expanded"), &["ae.pt: its tensors have 4000000", "bytes, but the file only", "clone"]);
}

#[test]
fn checkpoints_of_early_versions_of_saelens_have_logarithms_of_thresholds() {
    let folder = copied("saelens_jump_relu");
    let [width, units] = SIZES;
    let shapes = Shapes::from([
        ("W_enc", vec![width, units]),
        ("W_dec", vec![units, width]),
        ("b_enc", vec![units]),
        ("b_dec", vec![width]),
        ("log_threshold", vec![units]),
    ]);
    write_ones(&folder.path().join("sae_weights.safetensors"), &shapes);
    let sae = dictionaries::read(folder.path()).unwrap().unwrap();
    assert_eq!(sae.tensors["threshold"].values, [1f32.exp(); 6]);
}

#[test]
fn configurations_that_cannot_be_represented_are_refused() {
    let cases: [(&str, Value, &[&str]); 8] = [
        ("transcode", true.into(), &["`transcode` is true", "a transcoder"]),
        ("skip_connection", true.into(), &["`skip_connection` is true"]),
        ("signed", true.into(), &["`signed` is true"]),
        ("activation", "groupmax".into(), &["`activation` is groupmax", "must be topk"]),
        ("k", Value::Null, &["`k` is missing"]),
        ("k", (-1).into(), &["`k` is -1, but must be an integer"]),
        ("d_in", 5.into(), &["`d_in` is 5", "4 features and 6 units"]),
        ("num_latents", 128.into(), &["`num_latents` is 128", "4 features and 6 units"]),
    ];
    for (key, value, parts) in cases {
        let folder = copied("sparsify");
        configure(folder.path(), "cfg.json", |config| config[key] = value);
        says(folder.path(), &[parts, &["cfg.json"]].concat());
    }
    says(&golden().join("sparsify_transcoder"), &["`transcode` is true"]);

    let folder = copied("saelens_batch_top_k");
    let here = folder.path();
    configure(here, "cfg.json", |config| config["d_sae"] = 7.into());
    says(here, &["cfg.json: `d_sae` is 7", "4 features and 6 units"]);
    configure(here, "cfg.json", |config| config["d_sae"] = 6.into());
    configure(here, "cfg.json", |config| config["rescale_acts_by_decoder_norm"] = "yes".into());
    says(here, &["cfg.json", "`rescale_acts_by_decoder_norm` is \"yes\", but must be true or false"]);
    configure(here, "cfg.json", |config| config["architecture"] = "jumprelu".into());
    says(here, &["has no tensor `threshold`", "jumprelu"]);

    // Folders of none and of several.
    let folder = copied("gemma_scope");
    fs::write(folder.path().join("ae.pt"), "").unwrap();
    says(folder.path(), &["several dictionaries", "ae.pt (dictionary_learning)", "params.npz (Gemma Scope)"]);
    let folder = tempfile::tempdir().unwrap();
    says(folder.path(), &["has no dictionary", "sae_weights.safetensors (SAELens)", "sae.safetensors (sparsify)"]);
}

#[test]
fn damaged_files_are_refused_in_one_line() {
    for (case, file) in [
        ("learning_standard", "ae.pt"),
        ("learning_batch_top_k", "ae.pt"),
        ("gemma_scope", "params.npz"),
        ("sparsify", "sae.safetensors"),
        ("sparsify", "cfg.json"),
        ("saelens_batch_top_k", "sae_weights.safetensors"),
    ] {
        let folder = copied(case);
        let path = folder.path().join(file);
        let whole = fs::read(&path).unwrap();
        // Whether a file is refused, which a changed number need not be.
        let is_refused = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            let refused = dictionaries::read(folder.path()).err().map(|error| error.to_string());
            if let Some(said) = &refused {
                assert!(said.lines().count() == 1 && said.len() < 1000 && !said.contains('\u{1b}'), "{case}: {said}");
            }
            refused.is_some()
        };
        for length in (0..whole.len()).step_by(5) {
            assert!(is_refused(&whole[..length]), "{case}: {length} of {} bytes", whole.len());
        }
        for place in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[place] ^= [1, 0x20, 0x80, 0xff][place % 4];
            is_refused(&bytes);
        }
    }
}

#[test]
fn the_command_imports_each_format_and_says_what_it_leaves_out() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let row = |row: i32| (0..4).map(move |column| f64::from((row * 7 + column * 5) % 13) / 6.0 - 1.0);
    let lines: Vec<String> =
        (0..80).map(|index| row(index).map(|value| value.to_string()).collect::<Vec<_>>().join(",")).collect();
    fs::write(here.join("x.csv"), format!("a,b,c,d\n{}\n", lines.join("\n"))).unwrap();
    for (case, note) in [
        ("learning_top_k", "note: `threshold` is left out"),
        ("gemma_scope", ""),
        ("sparsify", ""),
        ("saelens_matryoshka", ""),
    ] {
        let path = golden().join(case);
        let output = ae(here, &["import", path.to_str().unwrap(), "--data", "x.csv", "--out", case]);
        let said = text(&output.stderr);
        assert!(output.status.success() && said.contains(note), "{case}: {said}");
        ae_ok(here, &["encode", case, "--out", "codes.csv"]);
        let codes = fs::read_to_string(here.join("codes.csv")).unwrap();
        assert!(codes.lines().skip(1).flat_map(|line| line.split(',')).any(|cell| cell != "0"), "{case}");
    }
    let path = golden().join("sparsify_transcoder");
    let output = ae(here, &["import", path.to_str().unwrap(), "--data", "x.csv"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(said.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{said}");
}
