//! Malicious files: each is refused with one line, and takes little memory.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Output},
    sync::Arc,
};

use ae_data::sink;
use arrow_array::{ArrayRef, DictionaryArray, Float32Array, Int32Array, RecordBatch, StringArray};
use arrow_ipc::{
    CompressionType,
    writer::{FileWriter, IpcWriteOptions, StreamWriter},
};
use flate2::{Compression, write::GzEncoder};

use crate::{ae, ae_ok, errors::refused, text};

/// Address space for `ae` in kilobytes: less than any of the files here would need.
const ROOM: u64 = 2_000_000;

/// Runs `ae` with limited memory. Allocating more ends it with a signal or a panic, not with a message.
fn confined(folder: &Path, args: &[&str]) -> Output {
    let script = format!("ulimit -v {ROOM}; exec \"$0\" \"$@\"");
    Command::new("sh")
        .args(["-c", &script, env!("CARGO_BIN_EXE_ae")])
        .args(args)
        .current_dir(folder)
        .output()
        .expect("sh can be started")
}

fn is_bomb(folder: &Path, name: &str, more: &[&str], expected: &[&str]) {
    let output = confined(folder, &[&["data", name], more].concat());
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{name}: {said}");
    let errors: Vec<_> = said.lines().filter(|line| line.starts_with("error: ")).collect();
    assert!(errors.len() == 1 && said.lines().all(|line| !line.contains("panicked")), "{name}: {said}");
    for part in expected {
        assert!(errors[0].contains(part), "{name}: `{part}` is not in: {said}");
    }
}

/// A gzip file of `start` and `times` times `bytes`, each a member of its own; members are decompressed in sequence.
fn packed(start: &[u8], bytes: &[u8], times: usize) -> Vec<u8> {
    let pack = |bytes: &[u8]| {
        let mut packer = GzEncoder::new(Vec::new(), Compression::best());
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    };
    let member = pack(bytes);
    [pack(start), member.repeat(times)].concat()
}

#[cfg(target_os = "linux")]
#[test]
fn decompression_bombs_are_refused_before_they_are_decompressed() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let write = |name: &str, bytes: &[u8]| fs::write(here.join(name), bytes).unwrap();
    // A harmless file fits in the limited memory.
    write("honest.csv", b"a,b\n1,2\n3,4\n5,1\n");
    assert!(confined(here, &["data", "honest.csv"]).status.success());

    // 4 GB of zeros in 4 MB, as claimed by the header.
    let header = [&[0, 0, 8, 2][..], &4096u32.to_be_bytes(), &(1u32 << 20).to_be_bytes()].concat();
    let zeros = vec![0; 16 << 20];
    write("zeros.idx.gz", &packed(&header, &zeros, 256));
    is_bomb(here, "zeros.idx.gz", &[], &["zeros.idx.gz", "8.6 GB of memory", "times the", "`--max-memory 9GB`"]);
    is_bomb(here, "zeros.idx.gz", &["--max-memory", "50MB"], &["8.6 GB of memory, more than the limit of 50 MB"]);
    // 4 GB of rows without a header that claims it.
    write("rows.csv.gz", &packed(b"a,b\n", &b"0,0\n".repeat(4 << 20), 256));
    is_bomb(here, "rows.csv.gz", &["--max-memory", "20MB"], &["rows.csv.gz", "decompresses from", "`--max-memory`"]);

    // An array of 8 GB in an archive of a few kilobytes.
    let npy = |shape: &str, bytes: &[u8]| {
        let text = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n");
        [&b"\x93NUMPY\x02\x00"[..], &(text.len() as u32).to_le_bytes(), text.as_bytes(), bytes].concat()
    };
    let mut archive = zip::ZipWriter::new(fs::File::create(here.join("x.npz")).unwrap());
    archive
        .start_file(
            "x.npy",
            zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated),
        )
        .unwrap();
    archive.write_all(&npy("(1000, 1000000)", &zeros)).unwrap();
    archive.finish().unwrap();
    is_bomb(here, "x.npz", &[], &["x.npz", "8.0 GB of memory"]);
    // A header that claims 4 GB, and one with deeply nested brackets.
    write("long.npy", &[&b"\x93NUMPY\x02\x00"[..], &u32::MAX.to_le_bytes(), b"{}"].concat());
    is_bomb(here, "long.npy", &[], &["long.npy", "header is too long"]);
    write("deep.npy", &[&b"\x93NUMPY\x01\x00"[..], &60_000u16.to_le_bytes(), &b"(".repeat(60_000)].concat());
    is_bomb(here, "deep.npy", &[], &["deep.npy", "too many nested brackets"]);
    // Each of these brackets doubled the time until the parser failed.
    let text = [&b"{".repeat(27)[..], b"'descr': '<f4', 'fortran_order': Falsels"].concat();
    write("slow.npy", &[&b"\x93NUMPY\x01\x00"[..], &(text.len() as u16).to_le_bytes(), &text].concat());
    is_bomb(here, "slow.npy", &[], &["slow.npy", "too many nested brackets"]);

    // One string of half a megabyte that 8,000 rows refer to.
    let texts = StringArray::from(vec!["x".repeat(1 << 19)]);
    let cells = DictionaryArray::try_new(Int32Array::from(vec![0; 8000]), Arc::new(texts)).unwrap();
    let numbers = Float32Array::from_iter_values((0..8000).map(|row| row as f32));
    let columns = [("n", Arc::new(numbers) as ArrayRef), ("text", Arc::new(cells))];
    let table = RecordBatch::try_from_iter(columns).unwrap();
    for name in ["shared.parquet", "shared.arrow"] {
        sink::write(&here.join(name), &table).unwrap();
        is_bomb(here, name, &[], &[name, "GB of memory", "--max-memory"]);
    }
    // Equal numbers, compressed.
    let same =
        RecordBatch::try_from_iter([("n", Arc::new(Float32Array::from(vec![1.0; 16 << 20])) as ArrayRef)]).unwrap();
    let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME)).unwrap();
    let mut writer = FileWriter::try_new_with_options(Vec::new(), &same.schema(), options.clone()).unwrap();
    writer.write(&same).unwrap();
    let mut bytes = writer.into_inner().unwrap();
    write("same.arrow", &bytes);
    is_bomb(here, "same.arrow", &["--max-memory", "60MB"], &["same.arrow", "more than the limit of 60 MB"]);
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &same.schema(), options).unwrap();
    writer.write(&same).unwrap();
    let mut stream = writer.into_inner().unwrap();
    write("same.arrows", &stream);
    is_bomb(here, "same.arrows", &["--max-memory", "60MB"], &["same.arrows", "more than the limit of 60 MB"]);
    // The same files with a claim of a terabyte.
    for (name, bytes) in [("large.arrow", &mut bytes), ("large.arrows", &mut stream)] {
        let claim = (64u64 << 20).to_le_bytes();
        let place = bytes.windows(8).rposition(|window| window == claim).unwrap();
        bytes[place..place + 8].copy_from_slice(&(1u64 << 40).to_le_bytes());
        write(name, bytes);
        is_bomb(here, name, &[], &[name, "2.2 TB of memory"]);
    }
    // A file without the magic number at its beginning is still read by its index at the end.
    bytes[0] = b'a';
    write("large.arrow", &bytes);
    is_bomb(here, "large.arrow", &[], &["large.arrow", "2.2 TB of memory"]);
    sink::write(&here.join("same.parquet"), &same).unwrap();
    is_bomb(here, "same.parquet", &["--max-memory", "60MB"], &["same.parquet", "more than the limit of 60 MB"]);

    // A white image of 64 megapixels.
    image::GrayImage::from_pixel(8000, 8000, image::Luma([255])).save(here.join("white.png")).unwrap();
    is_bomb(here, "white.png", &["--max-memory", "20MB"], &["white.png", "more than the limit of 20 MB"]);
    let mut head = fs::read(here.join("white.png")).unwrap();
    head[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
    write("huge.png", &head);
    is_bomb(here, "huge.png", &[], &["huge.png"]);
    // A TIFF tag that claims four billion values.
    image::GrayImage::new(4, 4).save(here.join("tag.tif")).unwrap();
    let mut tag = fs::read(here.join("tag.tif")).unwrap();
    let list = u32::from_le_bytes(tag[4..8].try_into().unwrap()) as usize;
    tag[list + 2 + 4..list + 2 + 8].copy_from_slice(&u32::MAX.to_le_bytes());
    write("tag.tif", &tag);
    is_bomb(here, "tag.tif", &[], &["tag.tif", "claims more than the file holds"]);
    // A safetensors header that claims to be longer than the file.
    write("long.safetensors", &[&u64::MAX.to_le_bytes()[..], b"{}"].concat());
    is_bomb(here, "long.safetensors", &[], &["long.safetensors", "damaged"]);
}

#[test]
fn a_higher_limit_admits_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let header = [&[0, 0, 8, 2][..], &16u32.to_be_bytes(), &(1u32 << 20).to_be_bytes()].concat();
    fs::write(here.join("zeros.idx.gz"), packed(&header, &vec![0; 16 << 20], 1)).unwrap();
    refused(here, &["data", "zeros.idx.gz", "--max-memory", "8MB"], 1, &["34 MB of memory", "limit of 8.0 MB"]);
    ae_ok(here, &["data", "zeros.idx.gz", "--max-memory", "80MB"]);
    refused(
        here,
        &["data", "zeros.idx.gz", "--max-memory", "much"],
        2,
        &["--max-memory", "`much` is not a size", "8GB"],
    );
    refused(here, &["--set", "data.read.max_memory=none"], 2, &["`none` is not a size"]);
}

/// Trains a small run into the folder `name`, on a small table.
fn train(here: &Path, name: &str, more: &[&str]) {
    let cell = |row: usize| format!("{},{},{}\n", row % 7, row * row % 11, ["red", "green"][row % 2]);
    let rows: String = (0..60).map(cell).collect();
    fs::write(here.join("t.csv"), format!("a,b,c\n{rows}")).unwrap();
    ae_ok(here, &[&["train", "--data", "t.csv", "--epochs", "1", "--code-dim", "2", "--out", name], more].concat());
}

#[test]
fn run_files_that_do_not_fit_together_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    train(here, "run", &[]);
    train(here, "other", &["--drop", "b"]);
    let run = here.join("run");
    fs::remove_file(run.join("files.json")).unwrap();
    let whole = |name: &str| fs::read(run.join(name)).unwrap();
    let text_of = |name: &str| String::from_utf8(whole(name)).unwrap();
    let check = |name: &str, bytes: &[u8], expected: &[&str]| {
        let before = whole(name);
        fs::write(run.join(name), bytes).unwrap();
        refused(here, &["score", "run", "--data", "t.csv"], 1, expected);
        fs::write(run.join(name), before).unwrap();
    };
    for name in ["data.toml", "detector.json", "neighbours.safetensors", "model.safetensors"] {
        check(name, b"", &[name]);
        check(name, &whole(name)[..whole(name).len() / 2], &[name]);
        check(name, b"\xff\x00{[", &[name]);
        // A valid file of another run.
        check(name, &fs::read(here.join("other").join(name)).unwrap(), &["run/"]);
    }
    let data = text_of("data.toml");
    let line = |key: &str| data.lines().find(|line| line.starts_with(key)).unwrap().to_string();
    let changed = |key: &str, value: &str| data.replacen(&line(key), value, 1).into_bytes();
    let columns = "its columns make 4 features, but its rows have ";
    for (bytes, expected) in [
        (changed("offset = ", "offset = [0.0]"), "1 offset and 4 scales for 4 features"),
        (changed("offset = ", "offset = []"), "0 offsets"),
        (changed("scale = ", "scale = [1.0, nan, 1.0, 1.0]"), "not finite"),
        (changed("scale = ", "scale = [1.0, 0.0, 1.0, 1.0]"), "a scale of 0"),
        (changed("d_input = ", "d_input = 5"), columns),
        (changed("d_input = ", "d_input = 1000000000000"), columns),
        (changed("d_input = ", "d_input = 4\ngeometry = { channels = 3, height = 2, width = 2 }"), "images of 3x2x2"),
        (data.replacen("\"b\"", "\"a\"", 1).into_bytes(), "two of its columns have the same name"),
    ] {
        check("data.toml", &bytes, &["run/data.toml", expected, "restore the file"]);
    }
    let detector: serde_json::Value = serde_json::from_slice(&whole("detector.json")).unwrap();
    for (key, value) in [
        ("column_errors", "[]"),
        ("column_errors", "[0.0, 1.0, 1.0]"),
        ("held_out", "[2.0, 1.0]"),
        ("units", "[0.0, 1.0]"),
        ("false_alarms", "1.5"),
        ("false_alarms", "0.0"),
    ] {
        let mut changed = detector.clone();
        changed[key] = serde_json::from_str(value).unwrap();
        check(
            "detector.json",
            changed.to_string().as_bytes(),
            &["run/detector.json", "does not match the run's columns, or is damaged"],
        );
    }
    // Without held-out scores there is no threshold.
    let mut empty = detector.clone();
    empty["held_out"] = serde_json::json!([]);
    empty["held_out_baselines"] = serde_json::json!([[], [], []]);
    check(
        "detector.json",
        empty.to_string().as_bytes(),
        &["run/neighbours.safetensors", "`held_out` differs from detector.json"],
    );
    // A model with more weights than the file has bytes is never built.
    let config = text_of("config.toml");
    check(
        "config.toml",
        config.replacen("code_dim = 2", "code_dim = 3", 1).as_bytes(),
        &["run/model.safetensors", "config.toml"],
    );
    let hidden = config.lines().find(|line| line.starts_with("hidden = ")).unwrap();
    let many = config.replacen(hidden, "hidden = [30000, 30000]", 1);
    check("config.toml", many.as_bytes(), &["run/model.safetensors", "weights"]);
    ae_ok(here, &["score", "run", "--data", "t.csv"]);
}

#[cfg(unix)]
#[test]
fn symbolic_links_in_a_run_are_replaced_and_not_followed() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    train(here, "run", &[]);
    let run = here.join("run");
    // Moves a file of the run elsewhere and puts a link in its place.
    let outside = here.join("outside");
    let link = |name: &str| {
        let (place, target) = (run.join(name), outside.join(name));
        fs::create_dir_all(&outside).unwrap();
        fs::rename(&place, &target).unwrap();
        symlink(&target, &place).unwrap();
        (fs::read(&target).unwrap(), place, target)
    };
    let is_replaced = |(before, place, target): (Vec<u8>, std::path::PathBuf, std::path::PathBuf)| {
        assert!(!place.is_symlink() && place.is_file(), "{}", place.display());
        assert_eq!(fs::read(&target).unwrap(), before, "{}", target.display());
    };
    let links = ["detector.json", "files.json", "neighbours.safetensors", ".lock"].map(link);
    ae_ok(here, &["score", "run", "--data", "t.csv", "--false-alarms", "0.2", "--save"]);
    links.into_iter().for_each(is_replaced);
    assert!(fs::read_to_string(run.join("detector.json")).unwrap().contains("\"false_alarms\": 0.2"));
    let mode = fs::metadata(run.join("detector.json")).unwrap().permissions().mode() & 0o777;
    let usual = fs::metadata(here.join("t.csv")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, usual, "{mode:o}");
    let page = link("report.html");
    ae_ok(here, &["report", "run"]);
    is_replaced(page);

    // Resumed training writes to the own files of the run.
    let links =
        ["metrics.csv", "model.safetensors", "model.bpk", "pca.safetensors", "config.toml", "summary.json"].map(link);
    ae_ok(here, &["train", "--resume", "run", "--epochs", "2"]);
    links.into_iter().for_each(is_replaced);
    fs::rename(run.join("checkpoint"), outside.join("checkpoint")).unwrap();
    symlink(outside.join("checkpoint"), run.join("checkpoint")).unwrap();
    refused(here, &["train", "--resume", "run", "--epochs", "3"], 1, &["run/checkpoint", "link to another place"]);
    // A device that can be read without an end.
    fs::remove_file(run.join("checkpoint")).unwrap();
    fs::rename(outside.join("checkpoint"), run.join("checkpoint")).unwrap();
    fs::remove_file(run.join("data.toml")).unwrap();
    symlink("/dev/zero", run.join("data.toml")).unwrap();
    refused(here, &["score", "run", "--data", "t.csv"], 1, &["run/data.toml", "it is not a file"]);
}

#[test]
fn data_outside_the_working_folder_is_reported_before_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    train(folder.path(), "run", &[]);
    let elsewhere = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let output = ae(elsewhere.path(), &["evaluate", run.to_str().unwrap()]);
    let (said, source) = (text(&output.stderr), folder.path().join("t.csv"));
    assert!(
        output.status.success()
            && said.contains(&format!("note: the run names its data: {} is read", source.display())),
        "{said}"
    );
    let output = ae(folder.path(), &["evaluate", "run"]);
    assert!(!text(&output.stderr).contains("names its data"));
}
