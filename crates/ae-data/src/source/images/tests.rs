//! Tests of reading folders of images.

use std::{fs, io::Cursor};

use image::{
    DynamicImage, GrayAlphaImage, GrayImage, ImageBuffer, ImageFormat, Luma, LumaA, Rgb, RgbImage, Rgba, RgbaImage,
    codecs::jpeg::JpegEncoder,
};

use super::{
    container::{EXTRA_SAMPLES, SAMPLE_FORMAT, tiff_tags},
    decode::room,
    header::on_white,
    *,
};

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
            [&tag.to_le_bytes()[..], &3u16.to_le_bytes(), &1u32.to_le_bytes(), &value.to_le_bytes(), &[0, 0]].concat(),
        );
    }
    bytes.extend(next.to_le_bytes());
    bytes.extend(data);
    bytes
}

/// An upright image as a camera stores it with this EXIF orientation, which tells the sides of the first stored row and
/// column.
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
    let gray =
        folder(folder_path.path(), &Options { grey: true, resize: Some([4, 4]), ..Options::default() }).unwrap().train;
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
    let level =
        |x: u32, y: u32| [[230, 20, 20], [20, 230, 20], [20, 20, 230], [90, 90, 90]][(x / 16 + y / 32 * 2) as usize];
    let upright = RgbImage::from_fn(32, 64, |x, y| Rgb(level(x, y)));
    let gray: Vec<u8> = upright.pixels().map(|pixel| pixel.0[0] / 2 + pixel.0[1]).collect();
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
    assert_eq!((rows.geometry.unwrap().to_string().as_str(), rows.row(0).unwrap()), ("3x2x3", rows.row(1).unwrap()));
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
    assert_eq!(rows.row(0).unwrap(), [levels, levels, levels].concat().into_iter().map(f64::from).collect::<Vec<_>>());
    assert_eq!(rows.notes[0], "2 images are gray, others are in color: the gray level is used for red, green and blue");
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
    assert_eq!(folder.notes(), ["left out: 3 hidden images (F/.ipynb_checkpoints, F/cat, F/cat/.ipynb_checkpoints)"]);
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
    ["x/1.png", "x/y/2.png", "x/y/3.png", "x/z/w/4.png", "x/z/.h/5.png"].iter().for_each(|name| folder.dot(name, 1));
    ["notes.txt", "x/notes.txt", "x/y/notes.md", "a.gif", "LICENSE"].iter().for_each(|name| folder.write(name, b"?"));
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
    let link = |to: &str, name: &str| std::os::unix::fs::symlink(folder.0.path().join(to), folder.at(name)).unwrap();
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
        folder.refused().contains("its 1 image is deeper than class folders") && folder.refused().ends_with(expected),
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
    let image = DynamicImage::ImageRgb8(RgbImage::from_fn(40, 40, |x, y| Rgb([(x * y) as u8, (x ^ y) as u8, x as u8])));
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
        room(usize::MAX / 4, true).is_none() && room(usize::MAX / 4 * 3, false).is_none() && room(9, true).is_some()
    );
}
