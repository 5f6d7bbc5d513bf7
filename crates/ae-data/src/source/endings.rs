//! What the ending of a file says: a picture, read or not.

use std::path::Path;

/// Endings of the files that are read. What a file is, its content tells.
pub(super) const PICTURES: [&str; 9] = ["png", "jpg", "jpeg", "jpe", "jfif", "webp", "bmp", "tif", "tiff"];

/// Endings of pictures that are not read.
pub(super) const UNREADABLE: [&str; 37] = [
    "gif", "heic", "heif", "hif", "avif", "svg", "psd", "jxl", "jp2", "j2k", "jxr", "ico", "tga", "dds", "exr", "hdr",
    "qoi", "pbm", "pgm", "ppm", "pnm", "xcf", "eps", "raw", "dng", "cr2", "cr3", "crw", "nef", "nrw", "arw", "orf",
    "rw2", "raf", "pef", "srw", "x3f",
];

/// Whether the ending is that of a picture that is read.
pub(super) fn is_picture(path: &Path) -> bool {
    PICTURES.contains(&ending(path).as_str())
}

/// Whether the ending is that of a picture, read or not.
pub(super) fn is_any_picture(path: &Path) -> bool {
    is_picture(path) || UNREADABLE.contains(&ending(path).as_str())
}

/// The ending of a file's name in lower case, without its dot; empty if there is none.
pub(super) fn ending(path: &Path) -> String {
    path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase()).unwrap_or_default()
}
