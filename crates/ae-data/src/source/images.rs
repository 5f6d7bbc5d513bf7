//! Images: PNG and JPEG files in a folder. Subfolders are classes; grey images are one channel, others three (red, green, blue).

use std::{
    fs,
    path::{Path, PathBuf},
};

use image::{DynamicImage, ImageReader, imageops::FilterType};

use super::{Content, Options, Sets};
use crate::{DataError, Geometry, Rows, Values, progress::Progress};

/// Endings of the files that are read.
pub(super) const EXTENSIONS: [&str; 3] = ["png", "jpg", "jpeg"];

/// Whether `folder`, or a folder in it, holds an image.
pub(super) fn is_folder_of_images(folder: &Path) -> bool {
    files(folder, 2).is_ok_and(|files| !files.is_empty())
}

/// The images of `folder`: with subfolders `train` and `test`, both parts; else all of them, in the order of their names.
pub(super) fn folder(folder: &Path, options: &Options) -> Result<Sets, DataError> {
    let name = super::short_name(folder);
    let (train, test) = (folder.join("train"), folder.join("test"));
    if train.is_dir() && test.is_dir() {
        let (mut train_rows, test_rows) = (part(&train, options)?, part(&test, options)?);
        if train_rows.geometry != test_rows.geometry {
            let problem = "its training and test images have other sizes or colours: give `--resize HEIGHTxWIDTH`".to_string();
            return Err(DataError::Malformed { path: folder.to_owned(), problem });
        }
        if train_rows.label_names != test_rows.label_names {
            train_rows.labels = None; // classes of one part alone name nothing
        }
        return Ok(Sets { name, train: train_rows, test: Some(test_rows) });
    }
    Ok(Sets { name, train: part(folder, options)?, test: None })
}

/// One image, as a row.
pub(super) fn file(path: &Path, options: &Options) -> Result<Content, DataError> {
    images(&[path.to_owned()], options).map(|rows| Content::Rows(Box::new(rows), None))
}

fn part(folder: &Path, options: &Options) -> Result<Rows, DataError> {
    let found = files(folder, 2).map_err(|source| DataError::Io { path: folder.to_owned(), source })?;
    if found.is_empty() {
        let problem = "holds no PNG or JPEG image".to_string();
        return Err(DataError::Malformed { path: folder.to_owned(), problem });
    }
    let mut rows = images(&found, options)?;
    let class = |path: &PathBuf| {
        let parent = path.parent().filter(|parent| *parent != folder)?;
        Some(parent.file_name()?.to_string_lossy().into_owned())
    };
    // A class is the folder that an image lies in; images beside the folders have none, and then nobody has.
    if let Some(classes) = found.iter().map(class).collect::<Option<Vec<String>>>() {
        let mut names = classes.clone();
        names.sort();
        names.dedup();
        rows.labels = Some(classes.iter().map(|class| names.iter().position(|name| name == class).unwrap_or(0) as u32).collect());
        rows.label_names = Some(names);
    }
    let id = |path: &PathBuf| path.strip_prefix(folder).unwrap_or(path).to_string_lossy().into_owned();
    rows.ids = Some(found.iter().map(id).collect());
    Ok(rows)
}

/// The image files in `folder`, `depth` folders down, in the order of their names.
fn files(folder: &Path, depth: usize) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    entries.sort();
    for path in entries {
        let extension = path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
        if path.is_dir() && depth > 1 {
            found.extend(files(&path, depth - 1)?);
        } else if path.is_file() && EXTENSIONS.contains(&extension.as_str()) {
            found.push(path);
        }
    }
    Ok(found)
}

fn images(paths: &[PathBuf], options: &Options) -> Result<Rows, DataError> {
    let mut decoded = Vec::with_capacity(paths.len());
    let mut colour = false;
    let mut progress = Progress::new("reading images", paths.len());
    for path in paths {
        progress.step();
        let malformed = |problem: String| DataError::Malformed { path: path.clone(), problem };
        let reader = ImageReader::open(path).and_then(ImageReader::with_guessed_format);
        let reader = reader.map_err(|source| DataError::Io { path: path.clone(), source })?;
        let image =
            reader.decode().map_err(|error| malformed(format!("is no image, or damaged: {}", error.to_string().replace('\n', " "))))?;
        let image = match options.resize {
            Some([height, width]) if (image.height() as usize, image.width() as usize) != (height, width) => {
                image.resize_exact(width as u32, height as u32, FilterType::Triangle)
            }
            _ => image,
        };
        colour |= image.color().has_color() && !options.grey;
        let (first, size): (Option<(u32, u32)>, _) =
            (decoded.first().map(|image: &DynamicImage| (image.width(), image.height())), (image.width(), image.height()));
        if let Some(first) = first.filter(|first| *first != size) {
            return Err(malformed(format!(
                "is {}x{} pixels (height x width), but the images before it are {}x{}: give `--resize HEIGHTxWIDTH`",
                size.1, size.0, first.1, first.0
            )));
        }
        // Grey pictures stay small while they wait for the rest.
        decoded.push(if image.color().has_color() && !options.grey {
            DynamicImage::ImageRgb8(image.to_rgb8())
        } else {
            DynamicImage::ImageLuma8(image.to_luma8())
        });
    }
    let (width, height) = (decoded[0].width() as usize, decoded[0].height() as usize);
    let channels = if colour { 3 } else { 1 };
    let mut values = Vec::with_capacity(decoded.len() * channels * height * width);
    for image in decoded {
        match colour {
            false => values.extend(image.into_luma8().into_raw()),
            true => {
                let pixels = image.into_rgb8().into_raw();
                (0..3).for_each(|channel| values.extend(pixels.iter().skip(channel).step_by(3)));
            }
        }
    }
    let mut rows = Rows::new(Values::U8(values), channels * height * width);
    rows.geometry = Some(Geometry { channels, height, width });
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};

    use super::*;

    #[test]
    fn a_folder_of_images_is_rows_with_the_folders_as_classes() {
        let folder_path = tempfile::tempdir().unwrap();
        let picture = |name: &str, width: u32| {
            let path = folder_path.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            RgbImage::from_fn(width, 2, |x, y| Rgb([x as u8, y as u8, 9])).save(path).unwrap();
        };
        picture("cat/b.png", 3);
        picture("cat/a.png", 3);
        picture("ant/c.PNG", 3);
        let rows = folder(folder_path.path(), &Options::default()).unwrap().train;
        assert_eq!((rows.len(), rows.geometry.unwrap().to_string().as_str()), (3, "3x2x3"));
        assert_eq!(rows.row(0).unwrap()[..6], [0.0, 1.0, 2.0, 0.0, 1.0, 2.0]);
        assert_eq!((rows.labels.unwrap(), rows.label_names.unwrap()), (vec![0, 1, 1], vec!["ant".to_string(), "cat".to_string()]));
        assert_eq!(rows.ids.unwrap()[1], "cat/a.png");
        let grey = folder(folder_path.path(), &Options { grey: true, resize: Some([4, 4]), ..Options::default() }).unwrap().train;
        assert_eq!(grey.geometry.unwrap().to_string(), "1x4x4");
        picture("ant/wide.png", 5);
        let error = folder(folder_path.path(), &Options::default()).unwrap_err().to_string();
        assert!(error.contains("cat/a.png") && error.contains("--resize") || error.contains("wide.png"), "{error}");
        fs::write(folder_path.path().join("ant/c.PNG"), b"no picture").unwrap();
        let error = folder(folder_path.path(), &Options::default()).unwrap_err().to_string();
        assert!(error.contains("c.PNG") && error.contains("damaged"), "{error}");
    }
}
