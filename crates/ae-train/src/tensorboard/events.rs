//! Writing event files.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use prost::Message;
use serde::Serialize;
use serde_json::Value;

use super::{proto, record::record};
use crate::{Error, Result};

/// The first entry of a file. From version 2 on, a [session start](TensorBoard::resume) replaces what was written for
/// later steps.
pub(super) const VERSION: &str = "brain.Event:2";

/// Data types of tensors.
const DT_FLOAT: i32 = 1;

pub(super) const DT_STRING: i32 = 7;

/// Data class of a summary that is a tensor for a plugin.
const DATA_CLASS_TENSOR: i32 = 2;

/// Status of a session that starts.
pub(super) const START: i32 = 1;

/// The tag under which TensorBoard looks for the hyperparameters of a run.
const SETTINGS: &str = "_hparams_/session_start_info";

/// An event file that is being written.
#[derive(Debug)]
pub struct TensorBoard {
    path: PathBuf,
    file: File,
    /// Number of bytes in whole records.
    written: u64,
}

impl TensorBoard {
    /// Creates a new file in `folder`, which is created if it does not exist.
    ///
    /// # Errors
    /// A folder or file that cannot be written.
    pub fn create(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).map_err(|error| Error::at("create", folder, error))?;
        let name = format!("events.out.tfevents.{:010}.{}.{}", seconds() as u64, host(), std::process::id());
        let (path, file) = first_free(folder, &name)?;
        let mut board = Self { path, file, written: 0 };
        board.write(proto::Event { file_version: Some(VERSION.to_string()), ..Default::default() })?;
        Ok(board)
    }

    /// Path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Marks that a training continues with `step`, its next step: values in earlier files of the folder for this and
    /// later steps are computed again, and no longer shown.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn resume(&mut self, step: u64) -> Result<()> {
        let session_log = Some(proto::SessionLog { status: START });
        self.write(proto::Event { step: number(step), session_log, ..Default::default() })
    }

    /// Writes the values of a step by tag. The part of a tag before its first `/` is the group of charts in which it is
    /// shown (see [`tag`]).
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn scalars(&mut self, step: u64, values: impl IntoIterator<Item = (impl AsRef<str>, f64)>) -> Result<()> {
        let of = |(tag, value): (_, f64)| value_of(tag, |summary| summary.simple_value = Some(value as f32));
        let value: Vec<_> = values.into_iter().map(of).collect();
        if value.is_empty() {
            return Ok(());
        }
        self.write(proto::Event { step: number(step), summary: Some(proto::Summary { value }), ..Default::default() })
    }

    /// Writes a text in Markdown, such as the configuration.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn text(&mut self, tag: impl AsRef<str>, markdown: impl Into<String>) -> Result<()> {
        let text = markdown.into().into_bytes();
        let shape = proto::Shape { dim: vec![proto::Dim { size: 1 }] };
        let tensor = proto::Tensor { dtype: DT_STRING, tensor_shape: Some(shape), string_val: vec![text] };
        self.plugin(tag, "text", Vec::new(), tensor)
    }

    /// Writes the settings of the run for TensorBoard's table of runs (tab HPARAMS): the numbers, booleans and strings
    /// of `config`, named like its fields, with a dot between a table and its field. A list is written as a string.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn settings(&mut self, config: &impl Serialize) -> Result<()> {
        let config =
            serde_json::to_value(config).map_err(|error| Error::at("write the settings to", &self.path, error))?;
        let mut hparams = HashMap::new();
        flatten("", &config, &mut hparams);
        let session_start_info = Some(proto::SessionStart { hparams, start_time_secs: seconds() });
        let content = proto::Settings { session_start_info }.encode_to_vec();
        // All information is in the content: the tensor is empty.
        let shape = proto::Shape { dim: vec![proto::Dim { size: 0 }] };
        let tensor = proto::Tensor { dtype: DT_FLOAT, tensor_shape: Some(shape), string_val: Vec::new() };
        self.plugin(SETTINGS, "hparams", content, tensor)
    }

    fn plugin(&mut self, tag: impl AsRef<str>, plugin: &str, content: Vec<u8>, tensor: proto::Tensor) -> Result<()> {
        let plugin_data = Some(proto::PluginData { plugin_name: plugin.to_string(), content });
        let value = value_of(tag, |summary| {
            summary.metadata = Some(proto::Metadata { plugin_data, data_class: DATA_CLASS_TENSOR });
            summary.tensor = Some(tensor);
        });
        self.write(proto::Event { summary: Some(proto::Summary { value: vec![value] }), ..Default::default() })
    }

    fn write(&mut self, mut event: proto::Event) -> Result<()> {
        event.wall_time = seconds();
        let record = record(&event.encode_to_vec());
        if let Err(error) = self.file.write_all(&record) {
            // Half a record would hide all records after it: go back to the last whole record, if the disk permits it.
            let _ = self.file.set_len(self.written).and_then(|()| self.file.seek(SeekFrom::Start(self.written)));
            return Err(Error::at("write", &self.path, error));
        }
        self.written += record.len() as u64;
        Ok(())
    }
}

/// A value with a tag.
fn value_of(tag: impl AsRef<str>, set: impl FnOnce(&mut proto::SummaryValue)) -> proto::SummaryValue {
    let mut value = proto::SummaryValue { tag: tag.as_ref().to_string(), ..Default::default() };
    set(&mut value);
    value
}

/// Inserts the fields of `value` into `settings`, named by their path.
fn flatten(name: &str, value: &Value, settings: &mut HashMap<String, proto::Setting>) {
    let mut insert = |setting| drop(settings.insert(name.to_string(), setting));
    match value {
        Value::Null => {}
        Value::Bool(value) => insert(proto::Setting { bool_value: Some(*value), ..Default::default() }),
        Value::Number(value) => insert(proto::Setting { number_value: value.as_f64(), ..Default::default() }),
        Value::String(value) => insert(proto::Setting { string_value: Some(value.clone()), ..Default::default() }),
        Value::Array(_) => insert(proto::Setting { string_value: Some(value.to_string()), ..Default::default() }),
        Value::Object(fields) => {
            for (field, value) in fields {
                let name = if name.is_empty() { field.clone() } else { format!("{name}.{field}") };
                flatten(&name, value, settings);
            }
        }
    }
}

/// Creates a file that did not exist: two files created in the same second get different names.
fn first_free(folder: &Path, name: &str) -> Result<(PathBuf, File)> {
    let mut count = 0;
    loop {
        let path = folder.join(format!("{name}.{count}"));
        match File::options().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => count += 1,
            Err(error) => return Err(Error::at("create", &path, error)),
        }
    }
}

/// The host name, reduced to characters allowed between the dots of the file name.
fn host() -> String {
    let name: String = sysinfo::System::host_name()
        .unwrap_or_default()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
        .collect();
    if name.is_empty() { "ae".to_string() } else { name }
}

/// Seconds since 1970.
pub(super) fn seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// A step as stored in the format.
fn number(step: u64) -> i64 {
    i64::try_from(step).unwrap_or(i64::MAX)
}
