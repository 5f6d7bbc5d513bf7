//! File extensions of images.

use std::path::Path;

/// Extensions of the images that can be read. The contents decide the format.
pub(super) const IMAGES: [&str; 9] = ["png", "jpg", "jpeg", "jpe", "jfif", "webp", "bmp", "tif", "tiff"];

/// Extensions of images in unsupported formats.
pub(super) const UNREADABLE: [&str; 37] = [
    "gif", "heic", "heif", "hif", "avif", "svg", "psd", "jxl", "jp2", "j2k", "jxr", "ico", "tga", "dds", "exr", "hdr",
    "qoi", "pbm", "pgm", "ppm", "pnm", "xcf", "eps", "raw", "dng", "cr2", "cr3", "crw", "nef", "nrw", "arw", "orf",
    "rw2", "raf", "pef", "srw", "x3f",
];

/// Whether the extension is that of an image that can be read.
pub(super) fn is_image(path: &Path) -> bool {
    IMAGES.contains(&ending(path).as_str())
}

/// Whether the extension is that of an image, supported or not.
pub(super) fn is_any_image(path: &Path) -> bool {
    is_image(path) || UNREADABLE.contains(&ending(path).as_str())
}

/// The extension of a file in lower case, without the dot; empty if there is none.
pub(super) fn ending(path: &Path) -> String {
    path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase()).unwrap_or_default()
}
