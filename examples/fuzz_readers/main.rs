//! Expected: `0 panics` after 500 damaged files of each format, and 100 of each file of a run folder, in about 20
//! seconds; `-- 100000` damages that many of each.
//!
//! Every reader gets intact files with damage: a few bytes changed, a part removed or inserted, integers at their
//! limits, the end of another file, or the end missing. The reader may read the file, or refuse it with one line that
//! names it. It must not panic, and must not take much more memory than its limit.
//!
//! The damage depends only on the number of the file, so that a failure can be reproduced: `-- 1 FIRST NAME,...` starts
//! at the number FIRST and uses only the formats with these names.
//!
//! `cargo run --example fuzz_readers`

mod damage;
mod memory;
mod runs;

use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    io::Write as _,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use ae_data::{Options, Size, open_with, sink};
use ae_train::Config;
use arrow_array::{ArrayRef, BooleanArray, Float32Array, RecordBatch, StringArray};
use arrow_ipc::{
    CompressionType,
    writer::{FileWriter, IpcWriteOptions, StreamWriter},
};
use flate2::{Compression, write::GzEncoder};

#[global_allocator]
static ALLOCATOR: memory::Counted = memory::Counted;

/// The memory limit that is passed to the readers.
const LIMIT: u64 = 32 << 20;
/// The memory that they may actually take, with what the libraries need themselves.
const MOST: usize = 256 << 20;

fn table(numbers: bool) -> Result<RecordBatch, Box<dyn Error>> {
    let values = |step: f32| {
        let cells = (0..40).map(|row| (row % 9 != 4).then_some(row as f32 * step));
        Arc::new(cells.collect::<Float32Array>()) as ArrayRef
    };
    let mut columns = vec![("a", values(0.5)), ("b", values(-3.0))];
    if !numbers {
        columns.push(("ok", Arc::new((0..40).map(|row| Some(row % 2 == 1)).collect::<BooleanArray>())));
        let texts = (0..40).map(|row| (row % 7 != 0).then(|| ["red", "green", "light, blue"][row % 3]));
        columns.push(("color", Arc::new(texts.collect::<StringArray>())));
        columns.push(("kind", Arc::new((0..40).map(|row| Some(["x", "y"][row / 3 % 2])).collect::<StringArray>())));
    }
    Ok(RecordBatch::try_from_iter(columns)?)
}

fn packed(bytes: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(bytes)?;
    Ok(packer.finish()?)
}

/// Intact files of each format, by file name.
type Wholes = BTreeMap<String, Vec<Vec<u8>>>;

fn wholes(folder: &Path) -> Result<Wholes, Box<dyn Error>> {
    let mut wholes = Wholes::new();
    let mut add = |name: &str, bytes: Vec<u8>| wholes.entry(name.to_string()).or_default().push(bytes);
    let path = |name: &str| folder.join(name);
    for (name, numbers) in [
        ("t.csv", false),
        ("t.tsv", false),
        ("t.parquet", false),
        ("t.arrow", false),
        ("t.npy", true),
        ("t.safetensors", true),
        ("t.parquet", true),
    ] {
        sink::write(&path(name), &table(numbers)?)?;
        add(name, fs::read(path(name))?);
    }
    add("t.csv.gz", packed(&fs::read(path("t.csv"))?)?);
    for codec in [CompressionType::LZ4_FRAME, CompressionType::ZSTD] {
        let (table, options) = (table(false)?, IpcWriteOptions::default().try_with_compression(Some(codec))?);
        let mut writer = FileWriter::try_new_with_options(Vec::new(), &table.schema(), options.clone())?;
        writer.write(&table)?;
        add("t.arrow", writer.into_inner()?);
        let mut writer = StreamWriter::try_new_with_options(Vec::new(), &table.schema(), options)?;
        writer.write(&table)?;
        add("t.arrows", writer.into_inner()?);
    }
    for method in [zip::CompressionMethod::Stored, zip::CompressionMethod::Deflated] {
        let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        archive.start_file("x.npy", zip::write::SimpleFileOptions::default().compression_method(method))?;
        archive.write_all(&fs::read(path("t.npy"))?)?;
        add("t.npz", archive.finish()?.into_inner());
    }
    let color = image::RgbImage::from_fn(9, 7, |x, y| image::Rgb([x as u8 * 20, y as u8 * 30, 7]));
    let gray = image::GrayImage::from_fn(5, 4, |x, y| image::Luma([(x * y) as u8 * 9]));
    for name in ["t.png", "t.jpg", "t.tif", "t.webp", "t.bmp"] {
        color.save(path(name))?;
        add(name, fs::read(path(name))?);
        gray.save(path(name))?;
        add(name, fs::read(path(name))?);
    }
    let pixels: Vec<u8> = (0..60).collect();
    let idx = [&[0, 0, 8, 3, 0, 0, 0, 5, 0, 0, 0, 4, 0, 0, 0, 3][..], &pixels].concat();
    add("t.idx.gz", packed(&idx)?);
    add("t.idx", idx);
    for variant in ["denoising", "sparse", "variational"] {
        add("t.toml", Config::of_variant(variant)?.to_toml().into_bytes());
    }
    Ok(wholes)
}

/// The results for the damaged files of a format.
#[derive(Default)]
struct Tally {
    read: u64,
    refused: u64,
    panics: u64,
    most: usize,
    /// Messages of more than one line, and files that took too much memory.
    faults: u64,
}

/// Damages the intact files `count` times, starting at number `first`, and reads each damaged file.
fn damage(
    name: &str,
    wholes: &[Vec<u8>],
    (first, count): (u64, u64),
    place: &Path,
    read: impl Fn() -> Result<(), String>,
) -> std::io::Result<Tally> {
    let mut tally = Tally::default();
    let began = Instant::now();
    for index in first..first + count {
        fs::write(place, damage::damaged(wholes, name, index))?;
        let (result, most) = memory::most(|| panic::catch_unwind(AssertUnwindSafe(&read)));
        if most > MOST {
            tally.faults += 1;
            println!("{name} {index}: {} MB allocated", most >> 20);
        }
        tally.most = tally.most.max(most);
        match result {
            Ok(Ok(())) => tally.read += 1,
            Ok(Err(message)) => {
                tally.refused += 1;
                // If files do not match, the message may name another one in the same folder.
                let folder = place.parent().unwrap_or(place).to_string_lossy().into_owned();
                if message.contains('\n') || !(message.contains(&folder) || message.contains('`')) {
                    tally.faults += 1;
                    println!("{name} {index}: not a single line that names the file: {message:?}");
                }
            }
            Err(_) => {
                tally.panics += 1;
                println!("{name} {index}: panic");
            }
        }
    }
    let speed = count as f64 / began.elapsed().as_secs_f64();
    let Tally { read, refused, panics, most, .. } = tally;
    println!("{name:<24}{count:>9}{read:>9}{refused:>9}{panics:>8}{:>9.1} MB{speed:>10.0}", most as f64 / 1e6);
    Ok(tally)
}

fn main() -> Result<(), Box<dyn Error>> {
    let number = |place: usize| std::env::args().nth(place).map(|text| text.parse::<u64>());
    let (count, first) = (number(1).transpose()?, number(2).transpose()?.unwrap_or(0));
    let names = std::env::args().nth(3);
    let is_asked = |name: &str| names.as_ref().is_none_or(|names| names.split(',').any(|asked| asked == name));
    // In memory, if there is such a file system.
    let shared = Some(PathBuf::from("/dev/shm")).filter(|place| place.is_dir());
    let folder = match shared {
        Some(shared) => tempfile::tempdir_in(shared)?,
        None => tempfile::tempdir()?,
    };

    println!(
        "{:<24}{:>9}{:>9}{:>9}{:>8}{:>12}{:>10}",
        "format", "files", "read", "refused", "panics", "memory", "files / s"
    );
    panic::set_hook(Box::new(|_| {}));
    let (mut panics, mut faults) = (0, 0);
    let mut note = |tally: Tally| {
        panics += tally.panics;
        faults += tally.faults;
    };
    for (name, wholes) in wholes(folder.path())?.iter().filter(|(name, _)| is_asked(name)) {
        let place = folder.path().join(format!("damaged-{name}"));
        let attempt = || if name.ends_with(".toml") { configured(&place) } else { attempt(&place) };
        note(damage(name, wholes, (first, count.unwrap_or(500)), &place, attempt)?);
    }
    if runs::FILES.iter().any(|name| is_asked(name)) {
        // Two runs, so that the end of one's file can follow the beginning of the other's.
        for (name, variant) in [("run", "denoising"), ("other", "sparse")] {
            runs::train(folder.path(), name, variant)?;
        }
        let (run, rows) = (folder.path().join("run"), folder.path().join("t.csv"));
        for name in runs::FILES.into_iter().filter(|name| is_asked(name)) {
            let wholes = [fs::read(run.join(name))?, fs::read(folder.path().join("other").join(name))?];
            let digests = fs::read(run.join("files.json"))?;
            if name != "files.json" {
                runs::without_digests(&run)?;
            }
            note(damage(name, &wholes, (first, count.unwrap_or(100)), &run.join(name), || {
                runs::read(&run, name, &rows)
            })?);
            fs::write(run.join(name), &wholes[0])?;
            fs::write(run.join("files.json"), digests)?;
        }
    }
    println!("{panics} panics");
    if panics + faults > 0 { Err(format!("{panics} panics, {faults} other faults").into()) } else { Ok(()) }
}

fn attempt(path: &Path) -> Result<(), String> {
    let options = |stream: Option<bool>| Options { stream, max_memory: Some(Size(LIMIT)), ..Options::default() };
    // Read in blocks, and as a whole.
    let streamed = open_with(&path.to_string_lossy(), &options(Some(true)));
    if let Ok(sets) = streamed {
        let _ = (0..sets.train.len()).try_for_each(|row| sets.train.row(row).map(drop));
    }
    let sets = open_with(&path.to_string_lossy(), &options(None)).map_err(|error| error.to_string())?;
    // The rows can be accessed.
    (0..sets.train.len()).try_for_each(|row| sets.train.row(row).map(drop)).map_err(|error| error.to_string())
}

/// Reads a configuration as `--config` does.
fn configured(path: &Path) -> Result<(), String> {
    let registry = ae_model::Registry::default();
    let config = Config::load(path, &registry).map_err(|error| error.to_string())?;
    config.check().and_then(|()| config.check_written()).map_err(|error| error.to_string())
}
