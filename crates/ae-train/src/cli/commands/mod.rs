//! The commands, one file each: its arguments, its help, and what it does. A new one is a file and its line in [`all`].

mod compare;
mod completions;
mod config;
mod data;
mod datasets;
mod decode;
mod devices;
mod encode;
mod evaluate;
mod explain;
mod export;
#[cfg(feature = "remote")]
mod gather;
mod import;
mod impute;
mod interpolate;
mod man;
mod probe;
mod reconstruct;
mod report;
mod sample;
mod score;
mod sweep;
pub mod train;
mod variants;
#[cfg(feature = "remote")]
mod worker;

use std::path::Path;

use crate::{Config, Error, Result, Run, Trained, config::Layers, results::Table, trained::ALL_ROWS};
use ae_data::{
    Dataset, Options, Unknown,
    sink::{self, Shape, Writer},
};
use ae_model::Registry;
use arrow_array::RecordBatch;
use burn::data::dataset::Dataset as _;
use toml::Value;

use crate::cli::{
    args::{ConfigArgs, FileArgs, ReadArgs, RowsArgs, UnknownChoice},
    devices::open_for_results,
    entry::Entry,
    output::{self, detail},
};

/// Every command, in the order in which they are listed.
pub fn all() -> Vec<Entry> {
    vec![
        train::entry(),
        #[cfg(feature = "remote")]
        gather::entry(),
        #[cfg(feature = "remote")]
        worker::entry(),
        data::entry(),
        compare::entry(),
        sweep::entry(),
        import::entry(),
        evaluate::entry(),
        report::entry(),
        score::entry(),
        impute::entry(),
        encode::entry(),
        decode::entry(),
        reconstruct::entry(),
        sample::entry(),
        interpolate::entry(),
        export::entry(),
        explain::entry(),
        config::entry(),
        variants::entry(),
        datasets::entry(),
        devices::entry(),
        completions::entry(),
        man::entry(),
        probe::entry(),
    ]
}

/// The configuration of all layers.
fn configuration(args: &ConfigArgs, registry: &Registry) -> Result<Config> {
    configuration_with(args, Vec::new(), registry)
}

/// The same over what is known beforehand.
fn configuration_with(args: &ConfigArgs, given: Vec<(&'static str, Value)>, registry: &Registry) -> Result<Config> {
    let mut flags = Vec::new();
    flags.extend(args.data.clone().map(|data| ("data.source", Value::String(data))));
    let read = &args.read;
    let text = |value: &Option<String>| value.clone().map(Value::String);
    let list = |values: &[String]| {
        (!values.is_empty()).then(|| Value::Array(values.iter().cloned().map(Value::String).collect()))
    };
    flags.extend(text(&read.label).map(|value| ("data.read.label", value)));
    flags.extend(text(&read.id).map(|value| ("data.read.id", value)));
    for (key, columns) in [
        ("data.read.drop", &read.drop),
        ("data.read.keep", &read.keep),
        ("data.read.categorical", &read.categorical),
        ("data.read.boolean", &read.boolean),
        ("data.read.numeric", &read.numeric),
        ("data.read.integer", &read.integer),
        ("data.read.missing", &read.missing),
    ] {
        flags.extend(list(columns).map(|value| (key, value)));
    }
    let character = |value: Option<char>| value.map(|value| Value::String(value.to_string()));
    let file = &read.file;
    flags.extend(character(file.delimiter).map(|value| ("data.read.delimiter", value)));
    flags.extend(character(file.decimal).map(|value| ("data.read.decimal", value)));
    flags.extend(character(file.comment).map(|value| ("data.read.comment", value)));
    flags.extend(text(&file.encoding).map(|value| ("data.read.encoding", value)));
    flags.extend(header(file).map(|value| ("data.read.header", Value::Boolean(value))));
    flags.extend(read.stream.then_some(("data.read.stream", Value::Boolean(true))));
    flags.extend(read.unknown.map(|unknown| {
        ("data.read.unknown", Value::String(if unknown == UnknownChoice::Refuse { "refuse" } else { "score" }.into()))
    }));
    flags.extend(args.split.split_seed.map(|value| ("data.split_seed", Value::Integer(value))));
    flags.extend(args.split.stratify.then_some(("data.stratify", Value::Boolean(true))));
    flags.extend(args.split.max_norm.map(|value| ("data.max_norm", Value::Float(value))));
    flags.extend(text(&args.split.group).map(|value| ("data.group", value)));
    flags.extend(text(&args.split.time).map(|value| ("data.time", value)));
    flags.extend(text(&file.tensor).map(|value| ("data.read.tensor", value)));
    flags.extend(text(&read.target).map(|value| ("data.read.target", value)));
    flags.extend(text(&read.target_tensor).map(|value| ("data.read.target_tensor", value)));
    flags.extend(read.max_memory.map(|size| ("data.read.max_memory", Value::String(size.to_string()))));
    flags.extend(
        read.resize
            .map(|size| ("data.read.resize", Value::Array(size.map(|side| Value::Integer(side as i64)).to_vec()))),
    );
    flags.extend(read.gray.then_some(("data.read.grey", Value::Boolean(true))));
    flags.extend(args.split.normal_only.then_some(("data.normal_only", Value::Boolean(true))));
    flags.extend(text(&args.split.normal).map(|value| ("data.normal", value)));
    flags.extend(args.code_dim.map(|value| ("model.code_dim", Value::Integer(value))));
    flags.extend(args.epochs.map(|value| ("training.epochs", Value::Integer(value))));
    flags.extend(args.seed.map(|value| ("seed", Value::Integer(value))));
    let layers =
        Layers { given, variant: args.variant.as_deref(), file: args.config.as_deref(), set: &args.set, flags };
    Config::from_layers(&layers, registry)
}

/// What a person says about how to read.
fn options(read: &ReadArgs) -> Options {
    let read = read.clone();
    Options {
        label: read.label,
        id: read.id,
        drop: read.drop,
        cut_by: Vec::new(),
        describe: false,
        keep: read.keep,
        target: read.target,
        target_tensor: read.target_tensor,
        resize: read.resize,
        grey: read.gray,
        stream: read.stream.then_some(true),
        max_memory: read.max_memory,
        categorical: read.categorical,
        boolean: read.boolean,
        numeric: read.numeric,
        integer: read.integer,
        missing: read.missing,
        unknown: read
            .unknown
            .map(|unknown| if unknown == UnknownChoice::Refuse { Unknown::Refuse } else { Unknown::Score }),
        ..file_options(&read.file)
    }
}

/// What a person says about how a file is laid out.
fn file_options(file: &FileArgs) -> Options {
    Options {
        tensor: file.tensor.clone(),
        header: header(file),
        delimiter: file.delimiter,
        decimal: file.decimal,
        comment: file.comment,
        encoding: file.encoding.clone(),
        ..Options::default()
    }
}

/// What is said about the header.
fn header(file: &FileArgs) -> Option<bool> {
    match (file.header, file.no_header) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

/// Says on standard error what was guessed, left out or is doubtful.
fn note<'a>(notes: impl IntoIterator<Item = &'a String>) {
    notes.into_iter().for_each(|note| output::note(note));
}

/// A run, opened to be used on rows.
struct Used {
    run: Run,
    trained: Trained,
    rows: Dataset,
}

/// Says which data a run names, where it is not below the folder that a person works in: with a run from somebody else
/// nobody here chose it.
fn say_source(run: &Run) {
    for source in std::iter::once(&run.config.data.source).chain(&run.config.data.read.target).map(Path::new) {
        let is_near = |place: &Path| std::path::absolute(place).is_ok_and(|place| source.starts_with(place));
        if source.is_absolute() && !is_near(Path::new(".")) && !is_near(run.folder.path()) {
            output::note(&format!("the run names its data: {} is read", source.display()));
        }
    }
}

/// A run and rows to use it on. Says where the rows include those that it was trained on.
fn use_run(args: &RowsArgs, registry: &Registry) -> Result<Used> {
    let used = use_rows(args, registry)?;
    note(used.rows.rows().notes.iter().filter(|note| *note == ALL_ROWS));
    Ok(used)
}

/// The same, and says nothing about training rows.
fn use_rows(args: &RowsArgs, registry: &Registry) -> Result<Used> {
    let run = Run::open_with(&args.run, registry)?;
    if args.data.is_none() {
        say_source(&run);
    }
    detail(&format!(
        "run {}: {} of {} units",
        run.folder.path().display(),
        run.config.variant,
        run.config.model.code_dim
    ));
    let device = open_for_results(args.device.as_deref())?;
    detail(&format!("computing on {}", device.name));
    let trained = run.trained(device.device)?;
    let rows = trained.rows(args.data.as_deref(), &options(&args.read), args.rows.into())?;
    if (args.read.resize.is_some() || args.read.gray) && rows.rows().white.is_none() {
        return Err(Error::Usage(
            "`--resize` and `--gray` are for image files, and these rows are no images".to_string(),
        ));
    }
    let source = args.data.as_deref().unwrap_or(&run.config.data.source);
    detail(&format!("{} rows of {source} with {} features are read", rows.len(), rows.rows().width()));
    // What the run's own data made it guess was said when it was trained.
    if args.data.is_some() {
        note(rows.rows().notes.iter().filter(|note| *note != ALL_ROWS));
    }
    Ok(Used { run, trained, rows })
}

/// Whether a result is to be written as an image.
fn is_picture(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png"))
}

/// Whether a result is to be written in a format whose columns have types.
fn is_typed(path: Option<&Path>) -> bool {
    path.is_some_and(|path| !sink::is_text(path))
}

/// Refuses to write a result over the data that it is made of.
fn is_free(out: Option<&Path>, args: &RowsArgs, run: &Run) -> Result<()> {
    let data = &run.config.data;
    let sources = [args.data.as_ref().or(Some(&data.source)), args.read.target.as_ref().or(data.read.target.as_ref())];
    match out.filter(|out| sources.into_iter().flatten().any(|source| is_part_of(out, source))) {
        Some(out) => {
            Err(Error::Usage(format!("`--out {}` is a part of the data itself: choose another file", out.display())))
        }
        None => Ok(()),
    }
}

/// Whether a file is the one that `source` names, or one of those in its folder or of its pattern.
fn is_part_of(file: &Path, source: &str) -> bool {
    let Ok(file) = file.canonicalize() else { return false };
    let is_it =
        |path: &Path| path.canonicalize().is_ok_and(|path| path == file || path.is_dir() && file.starts_with(&path));
    is_it(Path::new(source)) || glob::glob(source).is_ok_and(|found| found.flatten().any(|path| is_it(&path)))
}

/// Writes results for `rows`, and says what was left out and what was met that training did not have.
fn save(table: Table, rows: &Dataset, path: Option<&Path>) -> Result<()> {
    if let Some(path) = path {
        detail(&format!("writing {}", path.display()));
    }
    note(&table.save(path)?);
    note(&rows.rows().met());
    Ok(())
}

/// Writes a whole table; to standard output if there is no path.
fn save_whole(table: &RecordBatch, path: Option<&Path>) -> Result<()> {
    match path {
        Some(path) => note(&sink::write(path, table)?),
        None => {
            let mut writer = Writer::standard_output(&Shape::of(table.schema(), table.num_rows()))?;
            writer.write(table)?;
            writer.finish()?;
        }
    }
    Ok(())
}

/// Numbers in single precision, as images are drawn from.
fn singles(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&value| value as f32).collect()
}
