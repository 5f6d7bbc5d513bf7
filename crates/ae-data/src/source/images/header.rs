//! The header of an image file, and its pixels.

use std::{io::Cursor, path::Path};

use image::{
    ColorType, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, Primitive,
    error::LimitErrorKind, metadata::Orientation,
};

use super::container::{EXTRA_SAMPLES, SAMPLE_FORMAT, fits, is_cut_off, png_chunks, tiff_tags};
use crate::limit::Limit;

/// Maximum size of the pixels of one image in bytes.
const LARGEST_IMAGE: u64 = 512 << 20;

/// The header of an image file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    format: ImageFormat,
    /// Height and width in pixels, upright.
    pub(super) size: [usize; 2],
    pub(super) color: ColorType,
    /// How the pixels must be rotated or flipped to be upright.
    pub(super) turn: Orientation,
    /// Whether there are further pages or frames.
    pub(super) continued: bool,
    /// Whether the colors are premultiplied by the opacity.
    premultiplied: bool,
}

impl Head {
    /// Reads the header from the bytes of an image file.
    pub(super) fn of(bytes: &[u8], path: &Path, limit: Limit) -> Result<Self, String> {
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
        let turn = orientation(&mut decoder, bytes, format);
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
    pub(super) fn decode(&self, bytes: &[u8], limit: Limit) -> Result<(DynamicImage, bool), String> {
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

/// How the pixels must be rotated or flipped, as the metadata say.
fn orientation(decoder: &mut impl ImageDecoder, bytes: &[u8], format: ImageFormat) -> Orientation {
    // The PNG decoder only finds metadata that comes before the pixels.
    let exif = match format {
        ImageFormat::Png => png_chunks(bytes).find(|(kind, _)| kind == b"eXIf").map(|(_, data)| data.to_vec()),
        _ => decoder.exif_metadata().ok().flatten(),
    };
    let orientation = match &exif {
        Some(exif) => Orientation::from_exif_chunk(exif.strip_prefix(b"Exif\0\0").unwrap_or(exif)),
        None => decoder.orientation().ok(),
    };
    orientation.unwrap_or(Orientation::NoTransforms)
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
pub(super) fn bytes_of(color: ColorType) -> u8 {
    color.bytes_per_pixel() / color.channel_count()
}

/// Composites pixels, whose last channel is the opacity, on white. Returns whether any was not opaque.
pub(super) fn on_white<T: Primitive + Into<u64> + TryFrom<u64>>(
    pixels: &mut [T],
    channels: usize,
    premultiplied: bool,
) -> bool {
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
