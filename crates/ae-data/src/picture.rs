//! Several images drawn side by side as one.

use std::{io::Cursor, path::Path};

use image::{DynamicImage, ImageBuffer, ImageFormat, Luma, Rgb, RgbImage, imageops};

use crate::{DataError, Geometry, Rows};

/// The layout of a sheet of images.
#[derive(Debug, Clone, Copy)]
pub struct Sheet {
    /// Shape of each image. With three or more channels the first three are drawn as RGB, otherwise the first as gray.
    pub geometry: Geometry,
    /// Number of images in a row of the sheet, at least 1.
    pub columns: usize,
    /// Enlargement: the side length in pixels of the square drawn for each pixel of an image.
    pub zoom: usize,
    /// Value drawn as black.
    pub low: f32,
    /// Value drawn as white.
    pub high: f32,
}

impl Sheet {
    /// A sheet in which small images are enlarged, up to 32 pixels along their longer side.
    pub fn new(geometry: Geometry, columns: usize, low: f32, high: f32) -> Self {
        let zoom = (32 / geometry.height.max(geometry.width)).max(1);
        Self { geometry, columns, zoom, low, high }
    }

    /// Draws the images, each of `channels * height * width` values, separated by a white line. Missing values are red.
    pub fn draw(&self, images: &[&[f32]]) -> RgbImage {
        let Geometry { channels, height, width } = self.geometry;
        let gap = usize::from(images.len() > 1);
        let columns = self.columns.min(images.len()).max(1);
        let cell = [width * self.zoom + gap, height * self.zoom + gap];
        let size = [columns * cell[0] - gap, images.len().div_ceil(columns).max(1) * cell[1] - gap];
        let shade = |value: f32| {
            ((value - self.low) / (self.high - self.low).max(f32::MIN_POSITIVE) * 255.0).round().clamp(0.0, 255.0) as u8
        };
        RgbImage::from_fn(size[0] as u32, size[1] as u32, |x, y| {
            let (x, y) = (x as usize, y as usize);
            let image = images.get(y / cell[1] * columns + x / cell[0]);
            let (x, y) = (x % cell[0] / self.zoom, y % cell[1] / self.zoom);
            let Some(image) = image.filter(|_| x < width && y < height) else { return Rgb([255; 3]) };
            let at = |channel: usize| image[(channel * height + y) * width + x];
            let colors = if channels >= 3 { [at(0), at(1), at(2)] } else { [at(0); 3] };
            if colors.iter().any(|value| value.is_nan()) { Rgb([200, 40, 40]) } else { Rgb(colors.map(shade)) }
        })
    }

    /// The sheet as the bytes of a PNG file.
    pub fn png(&self, images: &[&[f32]]) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        let mut image = DynamicImage::from(self.draw(images));
        // Grayscale images stay grayscale, so that they can be read again unchanged.
        if self.geometry.channels < 3 && images.iter().all(|image| image.iter().all(|value| !value.is_nan())) {
            image = image.to_luma8().into();
        }
        image.write_to(&mut bytes, ImageFormat::Png).expect("an image in memory can be encoded");
        bytes.into_inner()
    }

    /// Writes the sheet to `path`. An existing file is replaced when the new one is complete.
    ///
    /// # Errors
    /// If the file cannot be written, or its extension is not `.png`.
    pub fn save(&self, images: &[&[f32]], path: &Path) -> Result<(), DataError> {
        if !path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png")) {
            let reason = "images are written as PNG: choose a file name that ends in .png".to_string();
            return Err(DataError::Write { path: path.to_owned(), reason });
        }
        crate::place::write_bytes(path, &self.png(images))
    }
}

/// The first channel of image `index` of `rows`, resized to the height and width of `to` by interpolation. Values from
/// 0 to `white` become 0 to 1.
///
/// # Errors
/// If a file can no longer be read.
///
/// # Panics
/// If the rows are not images.
pub fn resized(rows: &Rows, index: usize, to: Geometry, white: f32) -> Result<Vec<f32>, DataError> {
    let from = rows.geometry.expect("rows that are images");
    let row = rows.row(index)?;
    // The image crate clamps `f32` pixels to 0..1.
    let values: Vec<f32> = row.into_iter().take(from.height * from.width).map(|value| value as f32 / white).collect();
    let image = ImageBuffer::<Luma<f32>, _>::from_raw(from.width as u32, from.height as u32, values)
        .expect("a value for each pixel");
    Ok(imageops::resize(&image, to.width as u32, to.height as u32, imageops::FilterType::Triangle).into_raw())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_drawn_side_by_side_with_a_line_between() {
        let sheet =
            Sheet { geometry: Geometry { channels: 1, height: 1, width: 2 }, columns: 2, zoom: 1, low: 0.0, high: 2.0 };
        let image = sheet.draw(&[&[0.0, 2.0], &[1.0, f32::NAN], &[2.0, 2.0]]);
        let row = |y: u32| (0..image.width()).map(|x| image.get_pixel(x, y).0[1]).collect::<Vec<_>>();
        assert_eq!((image.width(), image.height()), (5, 3));
        assert_eq!((row(0), row(1), row(2)), (vec![0, 255, 255, 128, 40], vec![255; 5], vec![255, 255, 255, 255, 255]));
    }
}
