//! Image files in a folder: PNG, JPEG, WebP, BMP and TIFF. Subfolders are classes. Gray images have one channel, others
//! three (red, green, blue).
//!
//! Each file is read twice: first its header, because all headers together decide size, channels and depth, and then
//! its pixels. Only one decoded image is in memory beside the rows.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
    fs,
    io::Cursor,
    path::{Path, PathBuf},
};

use image::{
    ColorType, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, Primitive,
    error::LimitErrorKind, imageops::FilterType, metadata::Orientation,
};

use super::{
    endings::is_image,
    format::{Content, Sets, short_name},
    left_out::{LeftOut, entries, is_hidden},
};
use crate::{DataError, Element, Geometry, Options, Rows, Values, limit::Limit, progress::Progress, words::counted};

/// TIFF tag that is 3 if the samples are floating-point numbers.
const SAMPLE_FORMAT: u16 = 339;
/// TIFF tag that is 1 if the colors are premultiplied by the opacity.
const EXTRA_SAMPLES: u16 = 338;

/// Maximum size of the pixels of one image in bytes.
const LARGEST_IMAGE: u64 = 512 << 20;

/// Maximum height and width in pixels that images are resized to.
const LARGEST: usize = 16_384;

/// Reads the images of `folder`, sorted by name. With subfolders `train` and `test`, these are the training and the
/// test set.
pub(super) fn folder(folder: &Path, options: &Options) -> Result<Sets, DataError> {
    let name = short_name(folder);
    let mut left = LeftOut::default();
    let parts = match [folder.join("train"), folder.join("test")] {
        parts if parts.iter().all(|part| part.is_dir()) => {
            for path in entries(folder).map_err(|source| DataError::Io { path: folder.to_owned(), source })? {
                match () {
                    _ if parts.contains(&path) => {}
                    _ if is_hidden(&path) => left.hidden(&path),
                    _ => left.beside(&path),
                }
            }
            parts.to_vec()
        }
        _ => vec![folder.to_owned()],
    };
    let mut groups = Vec::new();
    for part in &parts {
        let mut found = Vec::new();
        find(part, 2, &mut found, &mut left)?;
        if found.is_empty() {
            let problem = left
                .reason()
                .unwrap_or_else(|| "holds no readable image: supported are PNG, JPEG, WebP, BMP and TIFF".to_string());
            return Err(DataError::Malformed { path: part.clone(), problem });
        }
        groups.push(found);
    }
    let (mut sets, mut notes) = images(&groups, folder, options)?;
    notes.extend(name_rows(&mut sets, &groups, &parts));
    notes.extend(left.note());
    let mut sets = sets.into_iter();
    let mut train = sets.next().ok_or_else(|| DataError::NoData { path: folder.to_owned() })?;
    train.notes = notes;
    Ok(Sets { name, train, test: sets.next() })
}

/// Reads one image as a row.
pub(super) fn file(path: &Path, options: &Options) -> Result<Content, DataError> {
    several(&[path.to_owned()], options)
}

/// Reads these images, each as a row. Hidden ones are left out unless all are hidden.
pub(super) fn several(paths: &[PathBuf], options: &Options) -> Result<Content, DataError> {
    let mut left = LeftOut::default();
    let mut shown = paths.to_vec();
    if paths.iter().any(|path| !is_hidden(path)) {
        shown.retain(|path| !is_hidden(path));
        paths.iter().filter(|path| is_hidden(path)).for_each(|path| left.hidden(path));
    }
    let origin = shown.first().cloned().unwrap_or_default();
    let names = shown.iter().map(|path| path.to_string_lossy().into_owned()).collect();
    let (sets, mut notes) = images(&[shown], &origin, options)?;
    notes.extend(left.note());
    let mut rows = sets.into_iter().next().ok_or(DataError::NoData { path: origin })?;
    rows.identify(Some(names), None, None);
    rows.notes = notes;
    Ok(Content::Rows(Box::new(rows), None))
}

/// Sets the identifiers and the classes of rows. Classes are the folders of the images, with the same indices in all
/// sets. Returns notes.
fn name_rows(sets: &mut [Rows], groups: &[Vec<PathBuf>], parts: &[PathBuf]) -> Vec<String> {
    let mut notes = Vec::new();
    let mut all_classes = Vec::new();
    for ((rows, paths), part) in sets.iter_mut().zip(groups).zip(parts) {
        let inside = |path: &PathBuf| path.strip_prefix(part).unwrap_or(path).to_owned();
        let class = |path: &PathBuf| {
            let parent = inside(path).parent()?.to_string_lossy().into_owned();
            (!parent.is_empty()).then_some(parent)
        };
        let classes: Vec<Option<String>> = paths.iter().map(class).collect();
        let without: Vec<&PathBuf> =
            paths.iter().zip(&classes).filter(|(_, class)| class.is_none()).map(|(path, _)| path).collect();
        if !without.is_empty() && without.len() < paths.len() {
            let verb = if without.len() == 1 { "is" } else { "are" };
            notes.push(format!(
                "no classes: {} {verb} not in a class folder (such as {})",
                counted(without.len(), "image"),
                without[0].display()
            ));
        }
        rows.identify(Some(ids(paths, part)), None, None);
        all_classes.push(classes.into_iter().collect::<Option<Vec<String>>>());
    }
    let names: BTreeSet<String> = all_classes.iter().flatten().flatten().cloned().collect();
    let number: HashMap<&String, u32> = names.iter().zip(0..).collect();
    for (((rows, paths), part), classes) in sets.iter_mut().zip(groups).zip(parts).zip(&all_classes) {
        if let Some(classes) = classes {
            let labels = classes.iter().filter_map(|class| number.get(class).copied()).collect();
            rows.identify(Some(ids(paths, part)), Some(labels), Some(names.iter().cloned().collect()));
        }
    }
    notes
}

/// The paths of images relative to the folder of their part.
fn ids(paths: &[PathBuf], part: &Path) -> Vec<String> {
    paths.iter().map(|path| path.strip_prefix(part).unwrap_or(path).to_string_lossy().into_owned()).collect()
}

/// Finds the images in `folder` and its subfolders, up to `depth` levels, sorted by name, and counts what is left out.
fn find(folder: &Path, depth: usize, found: &mut Vec<PathBuf>, left: &mut LeftOut) -> Result<(), DataError> {
    for path in entries(folder).map_err(|source| DataError::Io { path: folder.to_owned(), source })? {
        match () {
            _ if is_hidden(&path) => left.hidden(&path),
            _ if path.is_dir() && depth > 1 => find(&path, depth - 1, found, left)?,
            _ if path.is_dir() => left.deeper(&path),
            _ if path.is_file() && is_image(&path) => found.push(path),
            _ => left.file(&path),
        }
    }
    Ok(())
}

/// The header of an image file.
#[derive(Debug, Clone, Copy)]
struct Head {
    format: ImageFormat,
    /// Height and width in pixels, upright.
    size: [usize; 2],
    color: ColorType,
    /// How the pixels must be rotated or flipped to be upright.
    turn: Orientation,
    /// Whether there are further pages or frames.
    continued: bool,
    /// Whether the colors are premultiplied by the opacity.
    premultiplied: bool,
}

impl Head {
    /// Reads the header from the bytes of an image file.
    fn of(bytes: &[u8], path: &Path, limit: Limit) -> Result<Self, String> {
        if bytes.get(4..8) == Some(b"ftyp") {
            return Err("is a HEIC or AVIF image or a video, despite its name: convert it to PNG or JPEG".to_string());
        }
        let format = image::guess_format(bytes).or_else(|_| ImageFormat::from_path(path)).map_err(problem)?;
        if format == ImageFormat::Tiff && !fits(bytes) {
            return Err("is not an image, or damaged: one of its tags claims more than the file holds".to_string());
        }
        let (tags, next_page) = (format == ImageFormat::Tiff).then(|| tiff_tags(bytes)).flatten().unwrap_or_default();
        let decoder = reader(bytes, format, limit).into_decoder();
        // Floating-point pixels have no known range, so they cannot be combined with others.
        if tags.get(&SAMPLE_FORMAT) == Some(&3)
            || decoder.as_ref().is_ok_and(|decoder| bytes_of(decoder.color_type()) > 2)
        {
            let advice = "convert it to 16 bits per channel, or save the numbers as an array (.npy)";
            return Err(format!("holds floating-point numbers with unknown black and white levels: {advice}"));
        }
        let mut decoder = decoder.map_err(problem)?;
        let color = decoder.color_type();
        if format == ImageFormat::Jpeg && is_cut_off(bytes) {
            return Err("is damaged: the file ends before the image: download or export it again".to_string());
        }
        // The PNG decoder only finds metadata that comes before the pixels.
        let exif = match format {
            ImageFormat::Png => png_chunks(bytes).find(|(kind, _)| kind == b"eXIf").map(|(_, data)| data.to_vec()),
            _ => decoder.exif_metadata().ok().flatten(),
        };
        let turn = match &exif {
            Some(exif) => Orientation::from_exif_chunk(exif.strip_prefix(b"Exif\0\0").unwrap_or(exif)),
            None => decoder.orientation().ok(),
        };
        let turn = turn.unwrap_or(Orientation::NoTransforms);
        let (width, height) = decoder.dimensions();
        let on_its_side =
            [Orientation::Rotate90, Orientation::Rotate270, Orientation::Rotate90FlipH, Orientation::Rotate270FlipH];
        let (width, height) = if on_its_side.contains(&turn) { (height, width) } else { (width, height) };
        let continued = match format {
            ImageFormat::Png => png_chunks(bytes).any(|(kind, _)| kind == b"acTL"),
            ImageFormat::WebP => {
                bytes.get(12..16) == Some(b"VP8X") && bytes.get(20).is_some_and(|flags| flags & 2 != 0)
            }
            _ => next_page,
        };
        let premultiplied = tags.get(&EXTRA_SAMPLES) == Some(&1);
        Ok(Self { format, size: [height as usize, width as usize], color, turn, continued, premultiplied })
    }

    /// Decodes the image, upright and without transparency. Returns also whether it had transparency.
    fn decode(&self, bytes: &[u8], limit: Limit) -> Result<(DynamicImage, bool), String> {
        let mut image = reader(bytes, self.format, limit).decode().map_err(problem)?;
        image.apply_orientation(self.turn);
        let transparent = match &mut image {
            DynamicImage::ImageLumaA8(pixels) => on_white(pixels, 2, self.premultiplied),
            DynamicImage::ImageRgba8(pixels) => on_white(pixels, 4, self.premultiplied),
            DynamicImage::ImageLumaA16(pixels) => on_white(pixels, 2, self.premultiplied),
            DynamicImage::ImageRgba16(pixels) => on_white(pixels, 4, self.premultiplied),
            _ => false,
        };
        Ok((image, transparent))
    }
}

/// A reader for an image, limited to 512 MiB and to the memory limit.
fn reader(bytes: &[u8], format: ImageFormat, limit: Limit) -> ImageReader<Cursor<&[u8]>> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(LARGEST_IMAGE.min(limit.most()));
    reader.limits(limits);
    reader
}

/// The message for an image that cannot be read.
fn problem(error: ImageError) -> String {
    match error {
        ImageError::Unsupported(error) => {
            format!("is an unsupported kind of image ({error}): convert it to PNG or JPEG")
        }
        ImageError::Limits(error) if error.kind() == LimitErrorKind::InsufficientMemory => {
            "is too large: decoded, it would take more than 512 MB or more than `--max-memory`: make it smaller, or \
             raise `--max-memory`"
                .to_string()
        }
        error => format!("is not an image, or damaged: {error}"),
    }
}

/// Bytes per channel.
fn bytes_of(color: ColorType) -> u8 {
    color.bytes_per_pixel() / color.channel_count()
}

/// Composites pixels, whose last channel is the opacity, on white. Returns whether any was not opaque.
fn on_white<T: Primitive + Into<u64> + TryFrom<u64>>(pixels: &mut [T], channels: usize, premultiplied: bool) -> bool {
    let white: u64 = T::DEFAULT_MAX_VALUE.into();
    let mut transparent = false;
    for pixel in pixels.chunks_exact_mut(channels) {
        let Some((opacity, colors)) = pixel.split_last_mut() else { continue };
        let share: u64 = (*opacity).into();
        if share < white {
            transparent = true;
            for color in colors {
                let level: u64 = (*color).into();
                let own = if premultiplied { level * white } else { level * share };
                let level = (own + white * (white - share) + white / 2) / white;
                *color = T::try_from(level).unwrap_or(T::DEFAULT_MAX_VALUE);
            }
            *opacity = T::DEFAULT_MAX_VALUE;
        }
    }
    transparent
}

/// Whether a JPEG file ends before its end marker. The decoder would fill the rest with gray.
fn is_cut_off(bytes: &[u8]) -> bool {
    let mut at = 2;
    // From marker to marker: 0xff followed by 0 or by 0xd0 to 0xd7 is part of the pixel data.
    while let Some(rest) = bytes.get(at..) {
        let is_mark = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0 | 1 | 0xd0..=0xd7 | 0xff);
        match rest.windows(2).position(is_mark) {
            Some(place) if rest[place + 1] == 0xd9 => return false,
            Some(place) => match rest.get(place + 2..place + 4) {
                Some(length) => at += place + 2 + usize::from(u16::from_be_bytes([length[0], length[1]])),
                None => return true,
            },
            None => return true,
        }
    }
    true
}

/// The types and the contents of the chunks of a PNG file.
fn png_chunks(bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = bytes.get(8..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (length, chunk) = rest.split_first_chunk::<4>()?;
        let (kind, chunk) = chunk.split_at_checked(4)?;
        let (data, after) = chunk.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        rest = after.get(4..).unwrap_or_default();
        Some((kind, data))
    })
}

/// The tags of the first page of a TIFF file, each with its first value read as an inline 16-bit number; and whether
/// another page follows.
fn tiff_tags(bytes: &[u8]) -> Option<(HashMap<u16, u16>, bool)> {
    let little = bytes.starts_with(b"II");
    let number = |at: usize| -> Option<u16> {
        let pair = bytes.get(at..)?.first_chunk().copied()?;
        Some(if little { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) })
    };
    let place = |at: usize| -> Option<usize> {
        let four = bytes.get(at..)?.first_chunk().copied()?;
        Some(if little { u32::from_le_bytes(four) } else { u32::from_be_bytes(four) } as usize)
    };
    let first = place(4)?;
    let after = first + 2 + 12 * usize::from(number(first)?);
    let tags =
        (first + 2..after).step_by(12).map(|tag| Some((number(tag)?, number(tag + 8)?))).collect::<Option<_>>()?;
    Some((tags, place(after)? != 0))
}

/// Whether no tag of the first page of a TIFF file claims more values than the file has bytes. The decoder would
/// allocate memory for all of them.
fn fits(bytes: &[u8]) -> bool {
    let little = bytes.starts_with(b"II");
    let number = |at: u64, size: usize| -> Option<u64> {
        let part = bytes.get(usize::try_from(at).ok()?..)?.get(..size)?;
        let add = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        Some(if little { part.iter().rev().fold(0, add) } else { part.iter().fold(0, add) })
    };
    // BigTIFF has 8-byte instead of 4-byte fields, and an 8-byte number of tags.
    let (wide, counted, place) = if number(2, 2) == Some(43) { (8, 8, 8) } else { (4, 2, 4) };
    let Some(first) = number(place, wide) else { return true };
    let Some(count) = number(first, counted) else { return true };
    let start = first.saturating_add(counted as u64);
    // Tags beyond the end of the file are reported by the decoder.
    let tags = (0..count)
        .map_while(|tag| number(start.checked_add(tag.checked_mul(4 + 2 * wide as u64)?)?.checked_add(4)?, wide));
    count <= bytes.len() as u64 && tags.into_iter().all(|values| values <= bytes.len() as u64)
}

/// Reads the bytes of a file.
fn read(path: &Path) -> Result<Vec<u8>, DataError> {
    fs::read(path).map_err(|source| DataError::Io { path: path.to_owned(), source })
}

/// Reads each group of images as rows, all with the same size, depth and number of channels. Returns also notes on what
/// was changed.
fn images(groups: &[Vec<PathBuf>], origin: &Path, options: &Options) -> Result<(Vec<Rows>, Vec<String>), DataError> {
    if let Some([height, width]) = options.resize.filter(|size| size.iter().any(|side| !(1..=LARGEST).contains(side))) {
        let problem = format!(
            "images cannot be resized with `--resize {height}x{width}`: height and width must be from 1 to {LARGEST}"
        );
        return Err(DataError::Malformed { path: origin.to_owned(), problem });
    }
    let malformed = |path: &PathBuf, problem: String| DataError::Malformed { path: path.clone(), problem };
    let paths: Vec<&PathBuf> = groups.iter().flatten().collect();
    let limit = Limit::of(options);
    let (mut heads, mut held) = (Vec::with_capacity(paths.len()), 0);
    let mut progress = Progress::new("inspecting images", paths.len());
    for path in &paths {
        progress.step();
        let bytes = read(path)?;
        held += bytes.len() as u64;
        heads.push(Head::of(&bytes, path, limit).map_err(|problem| malformed(path, problem))?);
    }
    let [height, width] = match options.resize {
        Some(size) => size,
        None => one_size(&paths, &heads)?,
    };
    let color = !options.grey && heads.iter().any(|head| head.color.has_color());
    let deep = heads.iter().any(|head| bytes_of(head.color) == 2);
    let channels = if color { 3 } else { 1 };
    let cells = channels * height * width;
    let needed = [paths.len(), cells, if deep { 2 } else { 1 }]
        .iter()
        .fold(1u64, |product, &count| product.saturating_mul(count as u64));
    let claim = format!(
        "its {} of {channels}x{height}x{width} (`--resize HEIGHTxWIDTH` makes them smaller)",
        counted(paths.len(), "image")
    );
    // A size chosen by the user is not a claim of the file.
    limit.check(origin, claim, needed, if options.resize.is_some() { needed } else { held })?;

    let mut transparent = 0;
    let mut sets = Vec::with_capacity(groups.len());
    let mut progress = Progress::new("reading images", paths.len());
    let mut next_head = heads.iter();
    for group in groups {
        let too_much = || {
            let what =
                format!("its {} images of {channels}x{height}x{width} need more memory than there is", group.len());
            malformed(&origin.to_owned(), format!("{what}: make them smaller with `--resize HEIGHTxWIDTH`"))
        };
        let mut values = room(group.len() * cells, deep).ok_or_else(too_much)?;
        for (path, head) in group.iter().zip(&mut next_head) {
            progress.step();
            let (image, had_transparency) =
                head.decode(&read(path)?, limit).map_err(|problem| malformed(path, problem))?;
            transparent += usize::from(had_transparency);
            let image = match [image.height() as usize, image.width() as usize] {
                size if size == [height, width] => image,
                _ => image.resize_exact(width as u32, height as u32, FilterType::Triangle),
            };
            let pixels = match (bytes_of(image.color()) == 2, color) {
                (false, false) => Values::U8(image.into_luma8().into_raw()),
                (false, true) => Values::U8(planes(&image.into_rgb8())),
                (true, false) => Values::U16(image.into_luma16().into_raw()),
                (true, true) => Values::U16(planes(&image.into_rgb16())),
            };
            values.append(match pixels {
                Values::U8(pixels) if deep => {
                    Values::U16(pixels.into_iter().map(|level| u16::from(level) * 257).collect())
                }
                pixels => pixels,
            });
        }
        let mut rows = Rows::new(values, cells);
        rows.geometry = Some(Geometry { channels, height, width });
        rows.white = Some(if rows.element() == Element::U16 { 65_535 } else { 255 });
        sets.push(rows);
    }
    let count = |what: fn(&Head) -> bool| heads.iter().filter(|head| what(head)).count();
    let gray = if color { count(|head| !head.color.has_color()) } else { 0 };
    let shallow = if deep { count(|head| bytes_of(head.color) == 1) } else { 0 };
    let notes = [
        (count(|head| head.turn != Orientation::NoTransforms), "rotated or flipped to be upright, as the metadata say"),
        (transparent, "partly transparent and composited on white"),
        (gray, "gray, others are in color: the gray level is used for red, green and blue"),
        (shallow, "of 8 bits per channel, others of 16: 8-bit values are multiplied by 257, so that white stays white"),
        (count(|head| head.continued), "of several pages or frames, of which only the first is read"),
    ];
    let said = |(count, what): &(usize, &str)| {
        format!("{count} {} {what}", if *count == 1 { "image is" } else { "images are" })
    };
    Ok((sets, notes.iter().filter(|(count, _)| *count > 0).map(said).collect()))
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
fn room(count: usize, deep: bool) -> Option<Values> {
    let (mut bytes, mut words) = (Vec::new(), Vec::new());
    if deep { words.try_reserve_exact(count) } else { bytes.try_reserve_exact(count) }.ok()?;
    Some(if deep { Values::U16(words) } else { Values::U8(bytes) })
}

/// Interleaved RGB pixels as planes: all red values, then all green, then all blue ones.
fn planes<T: Copy>(pixels: &[T]) -> Vec<T> {
    (0..3).flat_map(|channel| pixels.iter().skip(channel).step_by(3).copied()).collect()
}

#[cfg(test)]
mod tests {
    use image::{
        GrayAlphaImage, GrayImage, ImageBuffer, Luma, LumaA, Rgb, RgbImage, Rgba, RgbaImage, codecs::jpeg::JpegEncoder,
    };

    use super::*;

    fn classes(rows: &Rows) -> Vec<u32> {
        rows.labels.iter().flatten().flatten().copied().collect()
    }

    fn id(rows: &Rows, row: usize) -> String {
        let carried = rows.carried.as_ref().unwrap();
        carried.texts(&[row], carried.id.unwrap()).unwrap()[0].clone().unwrap()
    }

    /// A temporary folder for images.
    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        /// A path in the folder; its parent folders are created.
        fn at(&self, name: &str) -> PathBuf {
            let path = self.0.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            path
        }

        fn write(&self, name: &str, bytes: &[u8]) {
            fs::write(self.at(name), bytes).unwrap();
        }

        /// Writes an image of one gray pixel.
        fn dot(&self, name: &str, level: u8) {
            GrayImage::from_pixel(1, 1, Luma([level])).save(self.at(name)).unwrap();
        }

        fn open(&self) -> Result<Sets, DataError> {
            folder(self.0.path(), &Options::default())
        }

        fn rows(&self) -> Rows {
            self.open().unwrap().train
        }

        fn refused(&self) -> String {
            self.open().unwrap_err().to_string()
        }

        /// The notes, in which the path of the folder is replaced by `F`.
        fn notes(&self) -> Vec<String> {
            let name = self.0.path().display().to_string();
            self.rows().notes.iter().map(|note| note.replace(&name, "F")).collect()
        }
    }

    fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    /// EXIF metadata with only this orientation.
    fn exif(mark: u8) -> Vec<u8> {
        [b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0", &[mark, 0, 0, 0, 0, 0, 0, 0][..]].concat()
    }

    /// A chunk of a PNG file. The checksum is left at 0, because it is not checked.
    fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
        [&(data.len() as u32).to_be_bytes()[..], kind, data, &[0; 4]].concat()
    }

    /// A TIFF file of one strip, with further 16-bit tags, and the offset of the next page.
    fn tiff(width: u16, samples: u16, data: &[u8], tags: &[(u16, u16)], next: u32) -> Vec<u8> {
        let height = data.len() as u16 / width / samples;
        let count = 9 + tags.len() as u16;
        let strip = 8 + 2 + 12 * count + 4;
        let photometric = if samples < 3 { 1 } else { 2 };
        let mut all = vec![
            (256, width),
            (257, height),
            (258, 8),
            (259, 1),
            (262, photometric),
            (273, strip),
            (277, samples),
            (278, height),
        ];
        all.extend([(279, data.len() as u16)]);
        all.extend(tags);
        all.sort();
        let mut bytes = [&b"II*\0\x08\0\0\0"[..], &count.to_le_bytes()].concat();
        for (tag, value) in all {
            bytes.extend(
                [&tag.to_le_bytes()[..], &3u16.to_le_bytes(), &1u32.to_le_bytes(), &value.to_le_bytes(), &[0, 0]]
                    .concat(),
            );
        }
        bytes.extend(next.to_le_bytes());
        bytes.extend(data);
        bytes
    }

    /// An upright image as a camera stores it with this EXIF orientation, which tells the sides of the first stored row
    /// and column.
    fn stored(upright: &RgbImage, mark: u8) -> RgbImage {
        let (width, height) = upright.dimensions();
        let size = if mark < 5 { (width, height) } else { (height, width) };
        RgbImage::from_fn(size.0, size.1, |column, row| {
            let (right, bottom) = (width - 1, height - 1);
            let (x, y) = match mark {
                1 => (column, row),                  // top, left
                2 => (right - column, row),          // top, right
                3 => (right - column, bottom - row), // bottom, right
                4 => (column, bottom - row),         // bottom, left
                5 => (row, column),                  // left, top
                6 => (right - row, column),          // right, top
                7 => (right - row, bottom - column), // right, bottom
                _ => (row, bottom - column),         // left, bottom
            };
            *upright.get_pixel(x, y)
        })
    }

    #[test]
    fn a_folder_of_images_becomes_rows_with_subfolders_as_classes() {
        let folder_path = tempfile::tempdir().unwrap();
        let image = |name: &str, width: u32| {
            let path = folder_path.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            RgbImage::from_fn(width, 2, |x, y| Rgb([x as u8, y as u8, 9])).save(path).unwrap();
        };
        image("cat/b.png", 3);
        image("cat/a.png", 3);
        image("ant/c.PNG", 3);
        let rows = folder(folder_path.path(), &Options::default()).unwrap().train;
        assert_eq!((rows.len(), rows.geometry.unwrap().to_string().as_str()), (3, "3x2x3"));
        assert_eq!(rows.row(0).unwrap()[..6], [0.0, 1.0, 2.0, 0.0, 1.0, 2.0]);
        assert_eq!(
            (classes(&rows), rows.label_names.clone().unwrap()),
            (vec![0, 1, 1], vec!["ant".to_string(), "cat".to_string()])
        );
        assert_eq!((id(&rows, 1).as_str(), rows.notes.len()), ("cat/a.png", 0));
        let gray = folder(folder_path.path(), &Options { grey: true, resize: Some([4, 4]), ..Options::default() })
            .unwrap()
            .train;
        assert_eq!(gray.geometry.unwrap().to_string(), "1x4x4");
        image("ant/wide.png", 5);
        let error = folder(folder_path.path(), &Options::default()).unwrap_err().to_string();
        let expected = "wide.png: is 2x5 pixels (height x width), but 3 of the 4 images are 2x3: resize all to one size, \
                        such as `--resize 2x3`";
        assert!(error.ends_with(expected), "{error}");
        fs::write(folder_path.path().join("ant/c.PNG"), b"no image").unwrap();
        let error = folder(folder_path.path(), &Options::default()).unwrap_err().to_string();
        assert!(error.contains("c.PNG") && error.contains("damaged"), "{error}");
    }

    #[test]
    fn images_are_rotated_upright() {
        // Four uniform quarters, aligned with JPEG blocks, so that JPEG preserves them.
        let level = |x: u32, y: u32| {
            [[230, 20, 20], [20, 230, 20], [20, 20, 230], [90, 90, 90]][(x / 16 + y / 32 * 2) as usize]
        };
        let upright = RgbImage::from_fn(32, 64, |x, y| Rgb(level(x, y)));
        let grey: Vec<u8> = upright.pixels().map(|pixel| pixel.0[0] / 2 + pixel.0[1]).collect();
        for mark in 1..=8 {
            let image = DynamicImage::ImageRgb8(stored(&upright, mark));
            let png = encoded(&image, ImageFormat::Png);
            let (head, end) = (&png[..33], &png[png.len() - 12..]);
            let early = [head, &chunk(b"eXIf", &exif(mark)), &png[33..]].concat();
            let late = [&png[..png.len() - 12], &chunk(b"eXIf", &exif(mark)), end].concat();
            let mut jpeg = Vec::new();
            JpegEncoder::new_with_quality(&mut jpeg, 100).encode_image(&image).unwrap();
            let metadata = [b"Exif\0\0", &exif(mark)[..]].concat();
            let jpeg = [&jpeg[..2], &[0xff, 0xe1, 0, metadata.len() as u8 + 2], &metadata, &jpeg[2..]].concat();
            // Extended WebP: the header has the flag for EXIF and the size minus 1 in 24 bits each.
            let webp = encoded(&image, ImageFormat::WebP);
            let size = |side: u32| (side - 1).to_le_bytes();
            let parts =
                [b"WEBPVP8X\x0a\0\0\0\x08\0\0\0", &size(image.width())[..3], &size(image.height())[..3], &webp[12..]]
                    .concat();
            let parts = [&parts[..], b"EXIF", &(metadata.len() as u32).to_le_bytes(), &metadata].concat();
            let webp = [&b"RIFF"[..], &(parts.len() as u32).to_le_bytes(), &parts].concat();
            for (name, bytes, tolerance) in
                [("early.png", early, 0.0), ("late.png", late, 0.0), ("a.jpg", jpeg, 3.0), ("a.webp", webp, 0.0)]
            {
                let folder = Folder::new();
                folder.write(name, &bytes);
                let rows = folder.rows();
                assert_eq!(rows.geometry.unwrap().to_string(), "3x64x32", "{name} {mark}");
                let row = rows.row(0).unwrap();
                for (x, y) in [(0, 0), (20, 3), (5, 40), (31, 63), (17, 33)] {
                    for (channel, expected) in level(x, y).into_iter().enumerate() {
                        let found = row[channel * 64 * 32 + (y * 32 + x) as usize];
                        assert!(
                            (found - expected as f64).abs() <= tolerance,
                            "{name} {mark}: {found} for {expected} at {x}, {y}"
                        );
                    }
                }
                let note = "1 image is rotated or flipped to be upright, as the metadata say";
                assert_eq!(rows.notes, if mark == 1 { vec![] } else { vec![note.to_string()] }, "{name} {mark}");
            }
            let folder = Folder::new();
            let data: Vec<u8> = stored(&upright, mark).pixels().map(|pixel| pixel.0[0] / 2 + pixel.0[1]).collect();
            folder.write("a.tif", &tiff(image.width() as u16, 1, &data, &[(274, u16::from(mark))], 0));
            let row: Vec<u8> = folder.rows().row(0).unwrap().into_iter().map(|value| value as u8).collect();
            assert!(row == gray, "a.tif {mark}");
        }
    }

    #[test]
    fn the_size_is_compared_after_the_rotation() {
        let folder = Folder::new();
        let upright = RgbImage::from_fn(3, 2, |x, y| Rgb([x as u8, y as u8, 7]));
        upright.save(folder.at("a.png")).unwrap();
        let png = encoded(&DynamicImage::ImageRgb8(stored(&upright, 6)), ImageFormat::Png);
        folder.write("b.png", &[&png[..33], &chunk(b"eXIf", &exif(6)), &png[33..]].concat());
        let rows = folder.rows();
        assert_eq!(
            (rows.geometry.unwrap().to_string().as_str(), rows.row(0).unwrap()),
            ("3x2x3", rows.row(1).unwrap())
        );
    }

    #[test]
    fn sixteen_bits_are_kept() {
        let folder = Folder::new();
        let levels = [0, 1, 256, 40_000, 65_534, 65_535];
        ImageBuffer::<Luma<u16>, _>::from_raw(3, 2, levels.to_vec()).unwrap().save(folder.at("a.png")).unwrap();
        let rows = folder.rows();
        assert_eq!((rows.element().name(), rows.row(0).unwrap()), ("uint16", levels.map(f64::from).to_vec()));
        assert!(rows.notes.is_empty());
        GrayImage::from_raw(3, 2, vec![0, 1, 2, 100, 254, 255]).unwrap().save(folder.at("b.png")).unwrap();
        let rows = folder.rows();
        assert_eq!(rows.row(0).unwrap(), levels.map(f64::from));
        assert_eq!(rows.row(1).unwrap(), [0.0, 257.0, 514.0, 25_700.0, 65_278.0, 65_535.0]);
        let note = "1 image is of 8 bits per channel, others of 16: 8-bit values are multiplied by 257, \
                    so that white stays white";
        assert_eq!(rows.notes, [note]);
        // In planes, as with 8 bits; gray images then have three channels.
        let pixels = [[1u16, 2, 3], [4, 5, 6], [7, 8, 9], [10, 11, 12], [13, 14, 15], [16, 17, 60_000]].concat();
        ImageBuffer::<Rgb<u16>, _>::from_raw(3, 2, pixels).unwrap().save(folder.at("c.tif")).unwrap();
        let rows = folder.rows();
        let expected = [1, 4, 7, 10, 13, 16, 2, 5, 8, 11, 14, 17, 3, 6, 9, 12, 15, 60_000u16];
        assert_eq!((rows.row(2).unwrap(), rows.geometry.unwrap().channels), (expected.map(f64::from).to_vec(), 3));
        assert_eq!(
            rows.row(0).unwrap(),
            [levels, levels, levels].concat().into_iter().map(f64::from).collect::<Vec<_>>()
        );
        assert_eq!(
            rows.notes[0],
            "2 images are gray, others are in color: the gray level is used for red, green and blue"
        );
    }

    #[test]
    fn training_and_test_images_have_the_same_depth() {
        let folder = Folder::new();
        folder.dot("train/a.png", 10);
        ImageBuffer::<Luma<u16>, _>::from_pixel(1, 1, Luma([1000u16])).save(folder.at("test/a.png")).unwrap();
        let sets = folder.open().unwrap();
        assert_eq!((sets.train.row(0).unwrap(), sets.test.unwrap().row(0).unwrap()), (vec![2570.0], vec![1000.0]));
    }

    #[test]
    fn transparent_images_are_composited_on_white() {
        let folder = Folder::new();
        // 200 with an opacity of 100: (200 * 100 + 255 * 155) / 255 = 233.43; 100: 194.2; 0: 155.
        RgbaImage::from_pixel(1, 1, Rgba([200, 100, 0, 100])).save(folder.at("a.png")).unwrap();
        RgbaImage::from_pixel(1, 1, Rgba([200, 100, 0, 0])).save(folder.at("b.png")).unwrap();
        RgbaImage::from_pixel(1, 1, Rgba([200, 100, 0, 255])).save(folder.at("c.png")).unwrap();
        // (60 * 51 + 255 * 204) / 255 = 216.
        GrayAlphaImage::from_pixel(1, 1, LumaA([60, 51])).save(folder.at("d.png")).unwrap();
        let rows = folder.rows();
        let expected = [[233.0, 194.0, 155.0], [255.0; 3], [200.0, 100.0, 0.0], [216.0; 3]];
        (0..4).for_each(|index| assert_eq!(rows.row(index).unwrap(), expected[index]));
        assert_eq!(rows.notes[0], "3 images are partly transparent and composited on white");

        let folder = Folder::new();
        RgbaImage::from_pixel(1, 1, Rgba([200, 100, 0, 255])).save(folder.at("c.png")).unwrap();
        assert_eq!(folder.notes(), [""; 0]);
        // In 16 bits: (30000 * 13107 + 65535 * 52428) / 65535 = 58428.
        ImageBuffer::<LumaA<u16>, _>::from_pixel(1, 1, LumaA([30_000, 13_107])).save(folder.at("c.png")).unwrap();
        assert_eq!((folder.rows().element().name(), folder.rows().row(0).unwrap()), ("uint16", vec![58_428.0]));
        assert_eq!(folder.notes(), ["1 image is partly transparent and composited on white"]);
    }

    #[test]
    fn all_formats_give_the_same_row() {
        let image =
            DynamicImage::ImageRgb8(RgbImage::from_fn(5, 3, |x, y| Rgb([50 * x as u8, 80 * y as u8, 255 - x as u8])));
        let folder = Folder::new();
        for name in ["a.png", "b.webp", "c.bmp", "d.tif", "e.TIFF", "f.PNG", "g.WebP"] {
            let format = ImageFormat::from_path(name.to_ascii_lowercase()).unwrap();
            folder.write(name, &encoded(&image, format));
        }
        folder.write("h.jpg", &encoded(&image, ImageFormat::Bmp)); // the contents decide
        let rows = folder.rows();
        assert_eq!((rows.len(), rows.notes.len()), (8, 0));
        (1..8).for_each(|index| assert_eq!(rows.row(index).unwrap(), rows.row(0).unwrap(), "{index}"));
        assert_eq!(rows.row(0).unwrap()[..6], [0.0, 50.0, 100.0, 150.0, 200.0, 0.0]);
    }

    #[test]
    fn pages_and_premultiplied_colors_of_a_tiff_are_detected() {
        let folder = Folder::new();
        let page = tiff(2, 1, &[7, 8], &[], 0);
        folder.write("a.tif", &tiff(2, 1, &[7, 8], &[], page.len() as u32));
        assert_eq!(folder.rows().row(0).unwrap(), [7.0, 8.0]);
        assert_eq!(folder.notes(), ["1 image is of several pages or frames, of which only the first is read"]);
        let (tags, next) = tiff_tags(&tiff(1, 4, &[1, 2, 3, 4], &[(EXTRA_SAMPLES, 1)], 0)).unwrap();
        assert_eq!((tags[&EXTRA_SAMPLES], tags[&256], next), (1, 1, false));
        assert_eq!(tiff_tags(b"II*\0\x08\0\0\0\xff\xff"), None);
        folder.write("a.tif", &tiff(1, 1, &[0, 0, 128, 63], &[(SAMPLE_FORMAT, 3)], 0));
        assert!(folder.refused().contains("a.tif: holds floating-point numbers"), "{}", folder.refused());
        // Premultiplied: 100 + (255 - 100), where the color itself is (100 * 100 + 255 * 155) / 255 = 194.2.
        let (mut multiplied, mut plain) = ([100u8, 100], [100u8, 100]);
        assert!(on_white(&mut multiplied, 2, true) && on_white(&mut plain, 2, false));
        assert_eq!((multiplied, plain), ([255, 255], [194, 255]));
    }

    #[test]
    fn hidden_files_are_neither_images_nor_classes() {
        let folder = Folder::new();
        for class in ["cat", "dog"] {
            (0..2).for_each(|index| folder.dot(&format!("{class}/{index}.png"), index));
        }
        folder.write("cat/._0.png", b"\0\x05\x16\x07 of a Mac");
        folder.write("cat/.DS_Store", b"");
        folder.write("Thumbs.db", b"");
        folder.write("dog/desktop.ini", b"");
        folder.write("__MACOSX/cat/._0.png", b"");
        assert_eq!((folder.rows().len(), folder.notes()), (4, vec![]));
        folder.dot(".ipynb_checkpoints/0-checkpoint.png", 0);
        folder.dot("cat/.ipynb_checkpoints/0-checkpoint.png", 0);
        folder.dot("cat/.a.png", 0);
        let rows = folder.rows();
        assert_eq!((rows.len(), rows.label_names.unwrap()), (4, vec!["cat".to_string(), "dog".to_string()]));
        assert_eq!(
            folder.notes(),
            ["left out: 3 hidden images (F/.ipynb_checkpoints, F/cat, F/cat/.ipynb_checkpoints)"]
        );
        // Also among the files of a pattern, unless all of them are hidden.
        let paths = [folder.at("cat/.a.png"), folder.at("cat/1.png"), folder.at("cat/._0.png")];
        let Content::Rows(rows, None) = several(&paths, &Options::default()).unwrap() else { panic!("rows") };
        assert_eq!((rows.len(), rows.row(0).unwrap(), rows.notes.len()), (1, vec![1.0], 1));
        let Content::Rows(rows, None) = several(&paths[..1], &Options::default()).unwrap() else { panic!("rows") };
        assert_eq!((rows.len(), rows.notes.len()), (1, 0));
    }

    #[test]
    fn files_left_out_are_reported() {
        let folder = Folder::new();
        ["x/1.png", "x/y/2.png", "x/y/3.png", "x/z/w/4.png", "x/z/.h/5.png"]
            .iter()
            .for_each(|name| folder.dot(name, 1));
        ["notes.txt", "x/notes.txt", "x/y/notes.md", "a.gif", "LICENSE"]
            .iter()
            .for_each(|name| folder.write(name, b"?"));
        let left = "left out: 2 .txt files, 1 file without extension, 1 .gif file, 1 .md file, \
                    3 images deeper than the class folders (F/x/y, F/x/z/w); convert .gif to PNG or JPEG to read them";
        assert_eq!((folder.rows().len(), folder.notes()), (1, vec![left.to_string()]));
        folder.dot("0.png", 1);
        assert_eq!(folder.notes()[0], "no classes: 1 image is not in a class folder (such as F/0.png)");
        assert_eq!(folder.rows().labels, None);

        let folder = Folder::new();
        ["train/good/1.png", "test/good/1.png", "test/bad/1.png"].iter().for_each(|name| folder.dot(name, 1));
        ["val/good/1.png", "truth/bad/1.png", "truth/bad/2.png"].iter().for_each(|name| folder.dot(name, 1));
        folder.write("labels.csv", b"a,b");
        let sets = folder.open().unwrap();
        let test = sets.test.unwrap();
        assert_eq!((classes(&sets.train), classes(&test)), (vec![1], vec![0, 1]));
        assert_eq!(
            (sets.train.label_names.unwrap(), test.label_names.as_ref().unwrap()[0].as_str()),
            (vec!["bad".to_string(), "good".to_string()], "bad")
        );
        assert_eq!((id(&test, 1).as_str(), test.notes.len()), ("good/1.png", 0));
        let left = "left out: 1 .csv file, 3 images outside `train` and `test` (F/truth/bad, F/val/good)";
        assert_eq!(folder.notes(), [left]);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_to_class_folders_but_not_in_loops() {
        let folder = Folder::new();
        folder.dot("cat/1.png", 1);
        let link =
            |to: &str, name: &str| std::os::unix::fs::symlink(folder.0.path().join(to), folder.at(name)).unwrap();
        link("cat", "dog");
        link("cat/1.png", "cat/2.png");
        link("", "cat/circle");
        link("nowhere", "cat/3.png");
        assert_eq!((folder.rows().len(), folder.notes()), (4, vec!["left out: 2 broken links".to_string()]));
    }

    #[test]
    fn a_folder_without_a_readable_image_is_refused_with_the_reason() {
        let folder = Folder::new();
        folder.write("a.heic", b"?");
        folder.write("b.HEIC", b"?");
        assert!(
            folder.refused().ends_with(": its 2 images are .heic, which cannot be read: convert them to PNG or JPEG"),
            "{}",
            folder.refused()
        );
        let folder = Folder::new();
        folder.dot("train/cat/1.png", 1);
        let expected = "train/cat): name the folder above the classes";
        assert!(
            folder.refused().contains("its 1 image is deeper than class folders")
                && folder.refused().ends_with(expected),
            "{}",
            folder.refused()
        );
        let folder = Folder::new();
        folder.write("a.png", b"\0\0\0\x18ftypheic\0\0\0\0");
        assert!(folder.refused().contains("a.png: is a HEIC or AVIF image"), "{}", folder.refused());
        folder.write("a.png", b"GIF89a\x01\0\x01\0\0\0\0;");
        assert!(folder.refused().contains("a.png: is an unsupported kind of image"), "{}", folder.refused());
    }

    #[test]
    fn a_damaged_image_is_refused_with_its_path() {
        let image =
            DynamicImage::ImageRgb8(RgbImage::from_fn(40, 40, |x, y| Rgb([(x * y) as u8, (x ^ y) as u8, x as u8])));
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP, ImageFormat::Bmp, ImageFormat::Tiff] {
            let folder = Folder::new();
            let mut bytes = encoded(&image, format);
            bytes.extend([0; 9]); // trailing bytes are ignored
            folder.write("good.png", &bytes);
            assert_eq!(folder.rows().len(), 1, "{format:?}");
            for length in [0, 10, bytes.len() / 2] {
                folder.write("bad.png", &bytes[..length]);
                assert!(folder.refused().contains("bad.png: is "), "{format:?}: {}", folder.refused());
            }
        }
        let folder = Folder::new();
        ImageBuffer::<Rgb<f32>, _>::from_pixel(1, 1, Rgb([0.5f32; 3])).save(folder.at("a.tiff")).unwrap();
        assert!(folder.refused().contains("a.tiff: holds floating-point numbers"), "{}", folder.refused());
    }

    #[test]
    fn impossible_sizes_are_refused() {
        let folder = Folder::new();
        folder.dot("a.png", 1);
        let read = |resize| super::folder(folder.0.path(), &Options { resize: Some(resize), ..Options::default() });
        for resize in [[4_294_967_296; 2], [100_000, 1], [1, 16_385], [0, 4]] {
            let error = read(resize).unwrap_err().to_string();
            assert!(error.ends_with(": height and width must be from 1 to 16384"), "{error}");
        }
        assert_eq!(read([2, 16_384]).unwrap().train.width(), 2 * 16_384);
        assert!(
            room(usize::MAX / 4, true).is_none()
                && room(usize::MAX / 4 * 3, false).is_none()
                && room(9, true).is_some()
        );
    }
}
