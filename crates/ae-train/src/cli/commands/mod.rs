//! The commands, one file each.

mod compare;
mod config;
mod data;
mod datasets;
mod decode;
mod devices;
mod encode;
mod evaluate;
mod export;
mod import;
mod impute;
mod interpolate;
mod probe;
mod reconstruct;
mod report;
mod sample;
mod score;
mod train;
mod variants;

use std::path::Path;

use crate::{Config, Error, Result, Run, Trained, config::Layers, results::Table};
use ae_data::{
    Dataset, Options, Unknown,
    sink::{self, Shape, Writer},
};
use ae_model::Registry;
use arrow_array::RecordBatch;
use toml::Value;

use crate::cli::{
    args::{Cli, Command, ConfigArgs, FileArgs, ReadArgs, RowsArgs, UnknownChoice},
    devices::open_for_results,
    output::say,
};

/// Does what the command line asks for.
pub fn run(cli: Cli, registry: &Registry) -> Result<()> {
    match cli.command.unwrap_or(Command::Train(cli.train)) {
        Command::Train(args) => train::run(&args, registry),
        Command::Config(args) => config::run(&args, registry),
        Command::Data(args) => data::run(&args),
        Command::Evaluate(args) => evaluate::run(&args, registry),
        Command::Compare(args) => compare::run(&args, registry),
        Command::Encode(args) => encode::run(&args, registry),
        Command::Decode(args) => decode::run(&args, registry),
        Command::Report(args) => report::run(&args, registry),
        Command::Reconstruct(args) => reconstruct::run(&args, registry),
        Command::Impute(args) => impute::run(&args, registry),
        Command::Interpolate(args) => interpolate::run(&args, registry),
        Command::Sample(args) => sample::run(&args, registry),
        Command::Score(args) => score::run(&args, registry),
        Command::Export(args) => export::run(&args, registry),
        Command::Import(args) => import::run(&args, registry),
        Command::Variants => variants::run(),
        Command::Datasets => datasets::run(),
        Command::Devices => devices::run(),
        Command::Probe(args) => probe::run(&args),
    }
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
    flags.extend(args.split_seed.map(|value| ("data.split_seed", Value::Integer(value))));
    flags.extend(args.stratify.then_some(("data.stratify", Value::Boolean(true))));
    flags.extend(text(&args.group).map(|value| ("data.group", value)));
    flags.extend(text(&args.time).map(|value| ("data.time", value)));
    flags.extend(text(&file.tensor).map(|value| ("data.read.tensor", value)));
    flags.extend(read.max_memory.map(|size| ("data.read.max_memory", Value::String(size.to_string()))));
    flags.extend(
        read.resize
            .map(|size| ("data.read.resize", Value::Array(size.map(|side| Value::Integer(side as i64)).to_vec()))),
    );
    flags.extend(read.grey.then_some(("data.read.grey", Value::Boolean(true))));
    flags.extend(args.normal_only.then_some(("data.normal_only", Value::Boolean(true))));
    flags.extend(text(&args.normal).map(|value| ("data.normal", value)));
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
        keep: read.keep,
        resize: read.resize,
        grey: read.grey,
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
fn note(notes: &[String]) {
    notes.iter().for_each(|note| say(&format!("note: {note}")));
}

/// A run, opened to be used on rows.
struct Used {
    run: Run,
    trained: Trained,
    rows: Dataset,
}

/// Says which data a run names, where it is not below the folder that a person works in: whoever was given the run did
/// not choose it.
fn say_source(run: &Run) {
    let source = Path::new(&run.config.data.source);
    let is_near = |place: &Path| std::path::absolute(place).is_ok_and(|place| source.starts_with(place));
    if source.is_absolute() && !is_near(Path::new(".")) && !is_near(run.folder.path()) {
        say(&format!("note: the run names its data: {} is read", source.display()));
    }
}

fn use_run(args: &RowsArgs, registry: &Registry) -> Result<Used> {
    let run = Run::open_with(&args.run, registry)?;
    if args.data.is_none() {
        say_source(&run);
    }
    let trained = run.trained(open_for_results(args.device.as_deref())?.device)?;
    let rows = trained.rows(args.data.as_deref(), &options(&args.read), args.rows.into())?;
    if (args.read.resize.is_some() || args.read.grey) && rows.rows().white.is_none() {
        return Err(Error::Usage("`--resize` and `--grey` are for picture files, and these rows are none".to_string()));
    }
    // What the run's own data made it guess was said when it was trained.
    if args.data.is_some() {
        note(&rows.rows().notes);
    }
    Ok(Used { run, trained, rows })
}

/// Whether a result is to be written as a picture.
fn is_picture(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png"))
}

/// Whether a result is to be written in a format whose columns have types.
fn is_typed(path: Option<&Path>) -> bool {
    path.is_some_and(|path| !sink::is_text(path))
}

/// Refuses to write a result over the data that it is made of.
fn is_free(out: Option<&Path>, args: &RowsArgs, run: &Run) -> Result<()> {
    let source = args.data.as_deref().unwrap_or(&run.config.data.source);
    match out.filter(|out| is_part_of(out, source)) {
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

/// Numbers in single precision, as pictures are drawn from.
fn singles(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&value| value as f32).collect()
}
