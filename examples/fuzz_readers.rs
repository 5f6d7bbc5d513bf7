//! Expect `0 panics` after 2,000 damaged files of each format, in about 20 seconds; `-- 100000` damages as many of each.
//!
//! Every reader is given a whole file with a few of its bytes changed, a part cut out, or its end lost. A reader may refuse what it gets, with
//! one line that names the file, or read it; it may not panic. The damage depends on the number of the file alone, so that a failure can be
//! had again: `-- 1 FIRST` begins with another number.
//!
//! `cargo run --example fuzz_readers`

use std::{
    fs,
    panic::{self, AssertUnwindSafe},
    path::Path,
    sync::Arc,
    time::Instant,
};

use ae_data::{Options, open_with, sink};
use arrow_array::{ArrayRef, BooleanArray, Float32Array, RecordBatch, StringArray};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn table(numbers: bool) -> Result<RecordBatch, Box<dyn std::error::Error>> {
    let values = |step: f32| {
        let cells = (0..40).map(|row| (row % 9 != 4).then_some(row as f32 * step));
        Arc::new(cells.collect::<Float32Array>()) as ArrayRef
    };
    let mut columns = vec![("a", values(0.5)), ("b", values(-3.0))];
    if !numbers {
        columns.push(("ok", Arc::new((0..40).map(|row| Some(row % 2 == 1)).collect::<BooleanArray>())));
        let texts = (0..40).map(|row| (row % 7 != 0).then(|| ["red", "green", "light, blue"][row % 3]));
        columns.push(("colour", Arc::new(texts.collect::<StringArray>())));
    }
    Ok(RecordBatch::try_from_iter(columns)?)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let number = |place: usize| std::env::args().nth(place).map(|text| text.parse::<u64>());
    let (count, first) = (number(1).transpose()?.unwrap_or(2000), number(2).transpose()?.unwrap_or(0));
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);
    for name in ["t.csv", "t.tsv", "t.parquet", "t.arrow"] {
        sink::write(&path(name), &table(false)?)?;
    }
    for name in ["t.npy", "t.safetensors"] {
        sink::write(&path(name), &table(true)?)?;
    }
    let mut archive = zip::ZipWriter::new(fs::File::create(path("t.npz"))?);
    archive.start_file("x.npy", zip::write::SimpleFileOptions::default())?;
    std::io::Write::write_all(&mut archive, &fs::read(path("t.npy"))?)?;
    archive.finish()?;
    let picture = image::RgbImage::from_fn(9, 7, |x, y| image::Rgb([x as u8 * 20, y as u8 * 30, 7]));
    picture.save(path("t.png"))?;
    picture.save(path("t.jpg"))?;
    let pixels: Vec<u8> = (0..60).collect();
    fs::write(path("t.idx"), [&[0, 0, 8, 3, 0, 0, 0, 5, 0, 0, 0, 4, 0, 0, 0, 3][..], &pixels].concat())?;

    println!("{:<16}{:>10}{:>10}{:>10}{:>10}{:>12}", "format", "files", "read", "refused", "panics", "files / s");
    panic::set_hook(Box::new(|_| {}));
    let mut all = 0;
    for name in ["t.csv", "t.tsv", "t.parquet", "t.arrow", "t.npy", "t.npz", "t.safetensors", "t.png", "t.jpg", "t.idx"] {
        let whole = fs::read(path(name))?;
        let (mut read, mut refused, mut panics) = (0, 0, 0);
        let began = Instant::now();
        let place = path(&format!("damaged-{name}"));
        for index in first..first + count {
            fs::write(&place, damaged(&whole, index))?;
            match panic::catch_unwind(AssertUnwindSafe(|| attempt(&place))) {
                Ok(Ok(())) => read += 1,
                Ok(Err(message)) => {
                    refused += 1;
                    if message.contains('\n') || !message.contains("damaged-") {
                        println!("{name} {index}: not one line that names the file: {message:?}");
                    }
                }
                Err(_) => {
                    panics += 1;
                    println!("{name} {index}: panic");
                }
            }
        }
        all += panics;
        let speed = count as f64 / began.elapsed().as_secs_f64();
        println!("{name:<16}{count:>10}{read:>10}{refused:>10}{panics:>10}{speed:>12.0}");
    }
    if all > 0 { Err(format!("{all} panics").into()) } else { Ok(()) }
}

fn attempt(path: &Path) -> Result<(), String> {
    // Read block by block, and as a whole.
    let streamed = open_with(&path.to_string_lossy(), &Options { stream: Some(true), ..Options::default() });
    if let Ok(sets) = streamed {
        let _ = (0..sets.train.len()).try_for_each(|row| sets.train.row(row).map(drop));
    }
    let sets = open_with(&path.to_string_lossy(), &Options::default()).map_err(|error| error.to_string())?;
    // What was read can be looked at.
    (0..sets.train.len()).try_for_each(|row| sets.train.row(row).map(drop)).map_err(|error| error.to_string())
}

/// `whole`, damaged in one to three ways.
fn damaged(whole: &[u8], index: u64) -> Vec<u8> {
    let mut generator = ChaCha8Rng::seed_from_u64(index);
    let mut bytes = whole.to_vec();
    for _ in 0..generator.random_range(1..=3) {
        if bytes.is_empty() {
            break;
        }
        let at = generator.random_range(0..bytes.len());
        match generator.random_range(0..6) {
            0 => bytes.truncate(at),
            1 => bytes[at] = generator.random(),
            2 => bytes[at] ^= 1 << generator.random_range(0..8),
            3 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][generator.random_range(0..5)],
            4 => {
                let end = bytes.len().min(at + generator.random_range(1..16));
                bytes.drain(at..end);
            }
            _ => {
                let more: Vec<u8> = (0..generator.random_range(1..16)).map(|_| generator.random()).collect();
                bytes.splice(at..at, more);
            }
        }
    }
    bytes
}
