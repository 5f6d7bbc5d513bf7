//! Decodes images into rows that all have the same size, depth and number of channels.

use std::{
    cmp::Reverse,
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use image::{DynamicImage, imageops::FilterType, metadata::Orientation};

use super::header::{Head, bytes_of};
use crate::{DataError, Element, Geometry, Options, Rows, Values, limit::Limit, progress::Progress, words::counted};

/// Maximum height and width in pixels that images are resized to.
const LARGEST: usize = 16_384;

/// The shape and depth that all images are converted to.
struct Target {
    geometry: Geometry,
    /// Whether the values have 16 bits.
    deep: bool,
}

impl Target {
    fn cells(&self) -> usize {
        self.geometry.channels * self.geometry.height * self.geometry.width
    }

    fn of(paths: &[&PathBuf], heads: &[Head], options: &Options) -> Result<Self, DataError> {
        let [height, width] = match options.resize {
            Some(size) => size,
            None => one_size(paths, heads)?,
        };
        let is_color = !options.grey && heads.iter().any(|head| head.color.has_color());
        let channels = if is_color { 3 } else { 1 };
        let deep = heads.iter().any(|head| bytes_of(head.color) == 2);
        Ok(Self { geometry: Geometry { channels, height, width }, deep })
    }

    /// The values of an image.
    fn values(&self, image: DynamicImage) -> Values {
        let Geometry { channels, height, width } = self.geometry;
        let image = match [image.height() as usize, image.width() as usize] {
            size if size == [height, width] => image,
            _ => image.resize_exact(width as u32, height as u32, FilterType::Triangle),
        };
        let pixels = match (bytes_of(image.color()) == 2, channels == 3) {
            (false, false) => Values::U8(image.into_luma8().into_raw()),
            (false, true) => Values::U8(planes(&image.into_rgb8())),
            (true, false) => Values::U16(image.into_luma16().into_raw()),
            (true, true) => Values::U16(planes(&image.into_rgb16())),
        };
        match pixels {
            Values::U8(pixels) if self.deep => {
                Values::U16(pixels.into_iter().map(|level| u16::from(level) * 257).collect())
            }
            pixels => pixels,
        }
    }
}

/// Reads each group of images as rows, all with the same size, depth and number of channels. Returns also notes on what
/// was changed.
pub(super) fn images(
    groups: &[Vec<PathBuf>],
    origin: &Path,
    options: &Options,
) -> Result<(Vec<Rows>, Vec<String>), DataError> {
    if let Some([height, width]) = options.resize.filter(|size| size.iter().any(|side| !(1..=LARGEST).contains(side))) {
        let problem = format!(
            "images cannot be resized with `--resize {height}x{width}`: height and width must be from 1 to {LARGEST}"
        );
        return Err(DataError::Malformed { path: origin.to_owned(), problem });
    }
    let paths: Vec<&PathBuf> = groups.iter().flatten().collect();
    let limit = Limit::of(options);
    let (heads, held) = heads(&paths, limit)?;
    let target = Target::of(&paths, &heads, options)?;
    let Geometry { channels, height, width } = target.geometry;
    let needed = [paths.len(), target.cells(), if target.deep { 2 } else { 1 }]
        .iter()
        .fold(1u64, |product, &count| product.saturating_mul(count as u64));
    let claim = format!(
        "its {} of {channels}x{height}x{width} (`--resize HEIGHTxWIDTH` makes them smaller)",
        counted(paths.len(), "image")
    );
    // A size chosen by the user is not a claim of the file.
    limit.check(origin, claim, needed, if options.resize.is_some() { needed } else { held })?;

    let (mut sets, mut transparent) = (Vec::with_capacity(groups.len()), 0);
    let mut progress = Progress::new("reading images", paths.len());
    let mut next_head = heads.iter();
    for group in groups {
        let mut values = room(group.len() * target.cells(), target.deep).ok_or_else(|| {
            let count = counted(group.len(), "image");
            let what = format!("its {count} of {channels}x{height}x{width} would take more memory than there is");
            malformed(origin, format!("{what}: make them smaller with `--resize HEIGHTxWIDTH`"))
        })?;
        for (path, head) in group.iter().zip(&mut next_head) {
            progress.step();
            let (image, had_transparency) =
                head.decode(&read(path)?, limit).map_err(|problem| malformed(path, problem))?;
            transparent += usize::from(had_transparency);
            values.append(target.values(image));
        }
        let mut rows = Rows::new(values, target.cells());
        rows.geometry = Some(target.geometry);
        rows.white = Some(if rows.element() == Element::U16 { 65_535 } else { 255 });
        sets.push(rows);
    }
    Ok((sets, notes(&heads, transparent, &target)))
}

/// The headers of all files, and the total size of the files in bytes.
fn heads(paths: &[&PathBuf], limit: Limit) -> Result<(Vec<Head>, u64), DataError> {
    let (mut heads, mut held) = (Vec::with_capacity(paths.len()), 0);
    let mut progress = Progress::new("inspecting images", paths.len());
    for path in paths {
        progress.step();
        let bytes = read(path)?;
        held += bytes.len() as u64;
        heads.push(Head::of(&bytes, path, limit).map_err(|problem| malformed(path, problem))?);
    }
    Ok((heads, held))
}

/// Notes on how images were converted.
fn notes(heads: &[Head], transparent: usize, target: &Target) -> Vec<String> {
    let count = |what: fn(&Head) -> bool| heads.iter().filter(|head| what(head)).count();
    let gray = if target.geometry.channels == 3 { count(|head| !head.color.has_color()) } else { 0 };
    let shallow = if target.deep { count(|head| bytes_of(head.color) == 1) } else { 0 };
    let turned = count(|head| head.turn != Orientation::NoTransforms);
    [
        (turned, "rotated or flipped to be upright, as the metadata say"),
        (transparent, "partly transparent and composited on white"),
        (gray, "gray, others are in color: the gray level is used for red, green and blue"),
        (shallow, "of 8 bits per channel, others of 16: 8-bit values are multiplied by 257, so that white stays white"),
        (count(|head| head.continued), "of several pages or frames, of which only the first is read"),
    ]
    .iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!("{} {} {what}", counted(*count, "image"), if *count == 1 { "is" } else { "are" }))
    .collect()
}

fn malformed(path: &Path, problem: String) -> DataError {
    DataError::Malformed { path: path.to_owned(), problem }
}

/// Reads the bytes of a file.
fn read(path: &Path) -> Result<Vec<u8>, DataError> {
    fs::read(path).map_err(|source| DataError::Io { path: path.to_owned(), source })
}

/// The common size of all images.
///
/// # Errors
/// If there are several sizes; the message names the most frequent one.
fn one_size(paths: &[&PathBuf], heads: &[Head]) -> Result<[usize; 2], DataError> {
    let mut counts: HashMap<[usize; 2], (usize, Reverse<usize>)> = HashMap::new();
    for (index, head) in heads.iter().enumerate() {
        counts.entry(head.size).or_insert((0, Reverse(index))).0 += 1;
    }
    // If several are equally frequent, the first one.
    let most =
        counts.into_iter().max_by_key(|(_, rank)| *rank).map(|(size, (count, _))| (size, count)).unwrap_or_default();
    match paths.iter().zip(heads).find(|(_, head)| head.size != most.0) {
        None => Ok(most.0),
        Some((path, Head { size: [height, width], .. })) => {
            let ([common_height, common_width], count) = most;
            let problem = format!(
                "is {height}x{width} pixels (height x width), but {count} of the {} images are \
                 {common_height}x{common_width}: resize all to one \
                 size, such as `--resize {common_height}x{common_width}`",
                paths.len()
            );
            Err(DataError::Malformed { path: path.to_path_buf(), problem })
        }
    }
}

/// Allocates room for `count` values of 8 or 16 bits; `None` if there is not enough memory.
pub(super) fn room(count: usize, deep: bool) -> Option<Values> {
    let (mut bytes, mut words) = (Vec::new(), Vec::new());
    if deep { words.try_reserve_exact(count) } else { bytes.try_reserve_exact(count) }.ok()?;
    Some(if deep { Values::U16(words) } else { Values::U8(bytes) })
}

/// Interleaved RGB pixels as planes: all red values, then all green, then all blue ones.
fn planes<T: Copy>(pixels: &[T]) -> Vec<T> {
    (0..3).flat_map(|channel| pixels.iter().skip(channel).step_by(3).copied()).collect()
}
