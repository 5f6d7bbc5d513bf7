//! Known file types that cannot be read, with advice on how to convert them.

/// File extensions, the type of file, and what to do.
const FOREIGN: &[(&[&str], &str, &str)] = &[
    (&["xlsx", "xls", "xlsm", "xlsb", "ods", "numbers"], "a spreadsheet", "save its sheet as CSV"),
    (&["h5ad", "loom"], "annotated single-cell data", "in Python: `adata.to_df().to_parquet(\"cells.parquet\")`"),
    (&["h5", "hdf5", "hdf", "nc", "zarr"], "an HDF5 or NetCDF file", "save the array with `numpy.save(\"x.npy\", x)`"),
    (
        &["pkl", "pickle", "p"],
        "a Python pickle, which runs code when it is opened",
        "save a table with `df.to_parquet(\"t.parquet\")`, an array with `numpy.save`",
    ),
    (
        &["joblib"],
        "a Python pickle, which runs code when it is opened",
        "save the array with `numpy.save(\"x.npy\", x)`",
    ),
    (
        &["json", "jsonl", "ndjson"],
        "JSON",
        "save it as CSV or Parquet, such as `pandas.read_json(path, lines=True).to_parquet(\"t.parquet\")`",
    ),
    (
        &["pt", "pth", "ckpt", "bin"],
        "a PyTorch file",
        "save tensors with `safetensors.torch.save_file({\"x\": x}, \"x.safetensors\")`",
    ),
    (&["tfrecord", "tfrecords"], "a TensorFlow file", "save the rows as Parquet or npy"),
    (&["mat"], "a MATLAB file", "in MATLAB: `writematrix(x, 'x.csv')`"),
    (&["rds", "rdata", "rda"], "an R data file", "in R: `write.csv(t, \"t.csv\", row.names = FALSE)`"),
    (&["sav", "dta", "sas7bdat", "xpt", "por"], "a data file of SPSS, Stata or SAS", "export it as CSV"),
    (&["db", "sqlite", "sqlite3", "duckdb"], "a database", "export the table as CSV or Parquet"),
    (&["arff"], "an ARFF file", "save its data as CSV"),
    (&["xml", "html", "htm", "pdf", "doc", "docx"], "a document", "save its table as CSV"),
    (
        &["zip", "7z", "tar", "tgz", "rar", "bz2", "xz", "zst"],
        "an archive",
        "unpack it first, and name the files in it",
    ),
    (
        &["heic", "heif", "avif", "gif", "svg", "raw", "cr2", "nef", "dng", "psd", "jp2", "jxl", "ico"],
        "an image in an unsupported format",
        "convert it to PNG or JPEG",
    ),
    (
        &["mp4", "mov", "avi", "mkv", "wav", "mp3", "flac"],
        "a video or audio file",
        "save its frames as PNG or its samples as npy",
    ),
    (&["avro", "orc"], "a table in an unsupported format", "save it as Parquet"),
];

/// The type of a file with this extension, and what to do instead; `None` for other extensions.
pub(super) fn about(extension: &str) -> Option<String> {
    let (_, what, advice) = FOREIGN.iter().find(|(extensions, ..)| extensions.contains(&extension))?;
    Some(format!("is {what}, which cannot be read: {advice}"))
}

/// The same by the first bytes of a file, regardless of its extension.
pub(super) fn disguised(start: &[u8]) -> Option<String> {
    let is = |magic: &[u8], extension: &str, what: &str| {
        start
            .starts_with(magic)
            .then(|| format!("looks like {what} by its first bytes: it {}", about(extension).unwrap_or_default()))
    };
    is(b"PK\x03\x04", "xlsx", "a spreadsheet or another zip archive")
        .or_else(|| is(b"\xd0\xcf\x11\xe0", "xls", "an old spreadsheet"))
        .or_else(|| is(b"\x89HDF", "h5", "an HDF5 file"))
        .or_else(|| is(b"SQLite format 3", "db", "a database"))
        .or_else(|| is(b"%PDF", "pdf", "a document"))
        .or_else(|| {
            is_json(start)
                .then(|| format!("looks like JSON by its first bytes: it {}", about("json").unwrap_or_default()))
        })
        .or_else(|| {
            start
                .starts_with(b"PAR1")
                .then(|| "is a Parquet file by its first bytes: give it the extension .parquet".to_string())
        })
        .or_else(|| {
            start
                .starts_with(b"ARROW1")
                .then(|| "is an Arrow file by its first bytes: give it the extension .arrow".to_string())
        })
        .or_else(|| {
            start
                .starts_with(b"\x93NUMPY")
                .then(|| "is a NumPy array by its first bytes: give it the extension .npy".to_string())
        })
}

/// Whether the bytes begin with a JSON object, or with an array of objects.
fn is_json(start: &[u8]) -> bool {
    let start = start.trim_ascii_start();
    let start = start.strip_prefix(b"[").map_or(start, <[u8]>::trim_ascii_start);
    start.strip_prefix(b"{").is_some_and(|rest| rest.trim_ascii_start().starts_with(b"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsupported_files_are_named_with_advice() {
        assert!(about("xlsx").unwrap().contains("a spreadsheet") && about("h5ad").unwrap().contains("to_parquet"));
        assert_eq!(about("csv"), None);
        assert!(disguised(b"PK\x03\x04 and more").unwrap().contains("save its sheet as CSV"));
        assert!(disguised(b"{\"a\": 1}\n").unwrap().contains("read_json") && disguised(b"[\n {\"a\":1}]").is_some());
        assert!([&b"a,b\n"[..], b"{a},b\n", b"[1],2\n"].iter().all(|start| disguised(start).is_none()));
    }
}
