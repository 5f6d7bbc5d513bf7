//! Matches later rows with the training rows.

use std::path::Path;

use crate::{DataError, Geometry, Rows, tabular::Known};

/// Maximum ratio between the values of later images and of the training images, in either direction, without a note.
const UNLIKE: f64 = 10.0;

/// Checks that `rows` match the training rows. Images are converted to the same bit depth, gray images to RGB if
/// needed, and plain rows with the right number of values become images.
pub(super) fn check(known: &Known, rows: &mut Rows, origin: &Path) -> Result<(), DataError> {
    convert(known, rows);
    let is_files = rows.white.is_some();
    let problem = if rows.geometry != known.geometry {
        let advice = match (known.geometry, rows.geometry) {
            (Some(known), Some(found)) if is_files && known.channels == 1 && found.channels > 1 => {
                let size = match (known.height, known.width) == (found.height, found.width) {
                    true => String::new(),
                    false => format!(" and `--resize {}x{}`", known.height, known.width),
                };
                format!(": convert them with `--grey`{size}")
            }
            (Some(known), Some(_)) if is_files => {
                format!(": convert them with `--resize {}x{}`", known.height, known.width)
            }
            _ => String::new(),
        };
        format!("holds {}, but the model was trained on {}{advice}", images(rows.geometry), images(known.geometry))
    } else if rows.width() != known.width {
        format!("has rows of {} values, but the model was trained on rows of {}", rows.width(), known.width)
    } else {
        return Ok(());
    };
    Err(DataError::Malformed { path: origin.to_owned(), problem })
}

/// What rows are, in words.
fn images(geometry: Option<Geometry>) -> String {
    geometry.map_or("rows that are not images".to_string(), |geometry| format!("images of {geometry}"))
}

/// Converts images to the bit depth and the channels of the training images, and plain rows to images. Adds notes.
fn convert(known: &Known, rows: &mut Rows) {
    if let (Some(white), Some(found)) = (known.white, rows.white)
        && white != found
    {
        rows.rescale(f64::from(white) / f64::from(found));
        rows.notes.push(format!("white is {found} here and was {white} in training: the values are scaled to that"));
    }
    rows.notes.extend(note_on_range(known, rows));
    if let (Some(wanted), Some(found)) = (known.geometry, rows.geometry)
        && (wanted.channels, wanted.height, wanted.width) == (3, found.height, found.width)
        && found.channels == 1
        && rows.white.is_some()
    {
        rows.gray_to_rgb();
        rows.notes.push("the images are gray: the gray level is used for red, green and blue".to_string());
    }
    // Images that were written as an array or as a table of numbers are images again.
    let is_plain = rows.encoding().is_none_or(|encoding| encoding.layout().numbers == rows.width());
    if rows.geometry.is_none() && known.geometry.is_some() && rows.width() == known.width && is_plain {
        rows.geometry = known.geometry;
    }
}

/// A note on images whose values seem to have another range than the training images.
fn note_on_range(known: &Known, rows: &Rows) -> Option<String> {
    rows.geometry?;
    let consequence = "their range must be the same, or every row gets a high anomaly score";
    let (element, is_files) = (rows.element().name(), known.white.is_some() && rows.white.is_some());
    if !known.element.is_empty() && known.element != element && !is_files {
        return Some(format!("the values are {element} here and were {} in training: {consequence}", known.element));
    }
    let (Some([low, high]), Some(largest)) = (known.range, rows.largest()) else { return None };
    let ratio = largest / low.abs().max(high.abs());
    (!(1.0 / UNLIKE..UNLIKE).contains(&ratio)).then(|| {
        format!("the values reach {largest} here and were between {low} and {high} in training: {consequence}")
    })
}
