//! TensorBoard event files with the metrics of a training, to compare many trainings. `tensorboard --logdir runs` shows
//! them.
//!
//! A file is a sequence of records. A record is the length of its data, a checksum of the length, the data, and a
//! checksum of the data (`TFRecord`: tensorflow.org/tutorials/load_data/tfrecord). The data is an `Event` of
//! tensorflow/core/util/event.proto, whose parts are defined in summary.proto, tensor.proto and tensor_shape.proto of
//! tensorflow/core/framework, and in plugins/hparams/plugin_data.proto of TensorBoard. The checksum is CRC-32C, masked.
//! As in PyTorch, numbers are written in single precision: `metrics.csv` has all digits.
//!
//! Every call writes whole records. A program that is killed during a call leaves an incomplete last record: readers
//! stop before it and continue with the next file of the folder. A resumed run therefore writes a new file and never
//! appends to an existing one.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use burn::train::{Interrupter, renderer::MetricsRenderer};
use prost::Message;
use serde::Serialize;
use serde_json::Value;

use crate::{Config, EpochReport, Error, Reporter, Result};

/// The first entry of a file. From version 2 on, a [session start](TensorBoard::resume) replaces what was written for
/// later steps.
const VERSION: &str = "brain.Event:2";

/// Data types of tensors.
const DT_FLOAT: i32 = 1;
const DT_STRING: i32 = 7;

/// Data class of a summary that is a tensor for a plugin.
const DATA_CLASS_TENSOR: i32 = 2;

/// Status of a session that starts.
const START: i32 = 1;

/// The tag under which TensorBoard looks for the hyperparameters of a run.
const SETTINGS: &str = "_hparams_/session_start_info";

/// The protobuf messages, with only the fields that are used here. At most one of the fields of a `oneof` is set.
mod proto {
    use std::collections::HashMap;

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Event {
        #[prost(double, tag = "1")]
        pub wall_time: f64,
        #[prost(int64, tag = "2")]
        pub step: i64,
        // oneof what
        #[prost(string, optional, tag = "3")]
        pub file_version: Option<String>,
        #[prost(message, optional, tag = "5")]
        pub summary: Option<Summary>,
        #[prost(message, optional, tag = "7")]
        pub session_log: Option<SessionLog>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct SessionLog {
        #[prost(int32, tag = "1")]
        pub status: i32,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Summary {
        #[prost(message, repeated, tag = "1")]
        pub value: Vec<SummaryValue>,
    }

    /// `Summary.Value`.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct SummaryValue {
        #[prost(string, tag = "1")]
        pub tag: String,
        #[prost(message, optional, tag = "9")]
        pub metadata: Option<Metadata>,
        // oneof value
        #[prost(float, optional, tag = "2")]
        pub simple_value: Option<f32>,
        #[prost(message, optional, tag = "8")]
        pub tensor: Option<Tensor>,
    }

    /// `SummaryMetadata`.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Metadata {
        #[prost(message, optional, tag = "1")]
        pub plugin_data: Option<PluginData>,
        #[prost(int32, tag = "4")]
        pub data_class: i32,
    }

    /// `SummaryMetadata.PluginData`.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct PluginData {
        #[prost(string, tag = "1")]
        pub plugin_name: String,
        #[prost(bytes = "vec", tag = "2")]
        pub content: Vec<u8>,
    }

    /// `TensorProto`.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Tensor {
        #[prost(int32, tag = "1")]
        pub dtype: i32,
        #[prost(message, optional, tag = "2")]
        pub tensor_shape: Option<Shape>,
        #[prost(bytes = "vec", repeated, tag = "8")]
        pub string_val: Vec<Vec<u8>>,
    }

    /// `TensorShapeProto`.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Shape {
        #[prost(message, repeated, tag = "2")]
        pub dim: Vec<Dim>,
    }

    /// `TensorShapeProto.Dim`.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Dim {
        #[prost(int64, tag = "1")]
        pub size: i64,
    }

    /// `HParamsPluginData`.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Settings {
        // oneof data
        #[prost(message, optional, tag = "3")]
        pub session_start_info: Option<SessionStart>,
    }

    /// `SessionStartInfo`.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct SessionStart {
        #[prost(map = "string, message", tag = "1")]
        pub hparams: HashMap<String, Setting>,
        #[prost(double, tag = "5")]
        pub start_time_secs: f64,
    }

    /// `google.protobuf.Value`, of google/protobuf/struct.proto.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Setting {
        // oneof kind
        #[prost(double, optional, tag = "2")]
        pub number_value: Option<f64>,
        #[prost(string, optional, tag = "3")]
        pub string_value: Option<String>,
        #[prost(bool, optional, tag = "4")]
        pub bool_value: Option<bool>,
    }
}

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

/// Writes the events of a training, and passes them on to another reporter.
struct Reporting {
    board: Mutex<TensorBoard>,
    then: Arc<dyn Reporter>,
}

impl TensorBoard {
    /// A reporter that writes settings and epochs of a training. It passes everything on to `then`, and warns it of
    /// what cannot be written.
    pub fn reporting(self, then: Arc<dyn Reporter>) -> Arc<dyn Reporter> {
        Arc::new(Reporting { board: Mutex::new(self), then })
    }
}

impl Reporting {
    fn write(&self, write: impl FnOnce(&mut TensorBoard) -> Result<()>) {
        if let Err(error) = write(&mut self.board.lock().unwrap_or_else(PoisonError::into_inner)) {
            self.then.warning(&error.to_string());
        }
    }
}

impl Reporter for Reporting {
    fn starts(&self, config: &Config, steps: usize) {
        self.write(|board| {
            board.settings(config)?;
            board.text("config", format!("```toml\n{}\n```", config.to_toml()))?;
            if steps > 0 { board.resume(steps as u64 + 1) } else { Ok(()) }
        });
        self.then.starts(config, steps);
    }

    fn epoch(&self, report: &EpochReport) {
        let values = report.figures.iter().map(|(column, value)| (tag(column), *value));
        self.write(|board| board.scalars(report.steps as u64, values));
        self.then.epoch(report);
    }

    fn note(&self, text: &str) {
        self.then.note(text);
    }

    fn progress(&self, line: &str) {
        self.then.progress(line);
    }

    fn warning(&self, text: &str) {
        self.then.warning(text);
    }

    fn work(&self, what: &str, done: usize, of: usize) {
        self.then.work(what, done, of);
    }

    fn beat(&self) {
        self.then.beat();
    }

    fn renderer(&self, interrupter: &Interrupter, resumed: Option<usize>) -> Box<dyn MetricsRenderer> {
        self.then.renderer(interrupter, resumed)
    }
}

/// The tag for a column of `metrics.csv`, such as `loss/train` for `train_loss`: training and validation of a metric
/// are shown side by side.
pub fn tag(column: &str) -> String {
    match column.split_once('_') {
        Some((split @ ("train" | "valid"), figure)) => format!("{figure}/{split}"),
        _ => format!("run/{column}"),
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
fn seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// A step as stored in the format.
fn number(step: u64) -> i64 {
    i64::try_from(step).unwrap_or(i64::MAX)
}

/// `bytes` as a record: length, checksum of the length, bytes, checksum of the bytes, all little-endian.
fn record(bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u64).to_le_bytes();
    [&length[..], &masked(&length).to_le_bytes(), bytes, &masked(bytes).to_le_bytes()].concat()
}

/// The masked checksum of `bytes` (rotated, plus a constant): a checksum of data that contains checksums would be weak.
fn masked(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    /// The events of a file up to the first record that is incomplete or damaged, and the number of remaining bytes.
    fn read(path: &Path) -> (Vec<proto::Event>, usize) {
        let bytes = fs::read(path).unwrap();
        let (mut events, mut rest) = (Vec::new(), bytes.as_slice());
        let checked = |rest: &mut &[u8], length: usize| -> Option<Vec<u8>> {
            let (data, after) = rest.split_at_checked(length)?;
            let (sum, after) = after.split_first_chunk::<4>()?;
            *rest = after;
            (masked(data) == u32::from_le_bytes(*sum)).then(|| data.to_vec())
        };
        loop {
            let before = rest.len();
            let length = checked(&mut rest, 8).map(|length| u64::from_le_bytes(length.try_into().unwrap()) as usize);
            match length.and_then(|length| checked(&mut rest, length)) {
                Some(data) => events.push(proto::Event::decode(data.as_slice()).unwrap()),
                None => return (events, before),
            }
        }
    }

    fn scalars(event: &proto::Event) -> Vec<(&str, f32)> {
        event
            .summary
            .iter()
            .flat_map(|summary| &summary.value)
            .map(|value| (value.tag.as_str(), value.simple_value.unwrap()))
            .collect()
    }

    #[test]
    fn checksums_equal_published_values() {
        // RFC 3720, B.4: 32 bytes of 0, of 0xff, and the numbers from 0.
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c::crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c::crc32c(&(0..32).collect::<Vec<u8>>()), 0x46dd_794e);
        // The first bytes of every TensorFlow event file: a first event of 24 bytes, and the checksum of that length.
        assert_eq!(record(&[0; 24])[..12], [24, 0, 0, 0, 0, 0, 0, 0, 0xa3, 0x7f, 0x4b, 0x22]);
    }

    #[test]
    fn written_events_can_be_read_back() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("new/logs");
        let before = seconds();
        let mut board = TensorBoard::create(&folder).unwrap();
        board.text("configuration", "    seed = 7").unwrap();
        board
            .settings(&json!({
                "seed": 7,
                "model": { "code_dim": 10, "hidden": [256, 128], "tied": false, "kind": "mlp", "none": null },
            }))
            .unwrap();
        board.scalars(1, [("loss/train", 0.5), ("loss/valid", 0.0)]).unwrap();
        board.scalars(2, [(tag("train_loss"), f64::NAN), (tag("valid_loss"), f64::INFINITY)]).unwrap();
        board.scalars(3, [("", 0.0); 0]).unwrap();
        board.resume(2).unwrap();
        let name = board.path().file_name().unwrap().to_string_lossy().into_owned();
        let parts: Vec<&str> = name.strip_prefix("events.out.tfevents.").unwrap().split('.').collect();
        assert!((before as u64..=seconds() as u64).contains(&parts[0].parse().unwrap()) && parts.len() == 4, "{name}");

        // Without closing the file: each call has passed its data to the operating system when it returns.
        let (events, rest) = read(board.path());
        assert_eq!((events.len(), rest), (6, 0));
        assert!(events.iter().all(|event| (before..=seconds()).contains(&event.wall_time)));
        assert_eq!(events[0].file_version.as_deref(), Some(VERSION));

        let text = &events[1].summary.as_ref().unwrap().value[0];
        let plugin = text.metadata.as_ref().unwrap().plugin_data.as_ref().unwrap();
        let tensor = text.tensor.as_ref().unwrap();
        assert_eq!(
            (text.tag.as_str(), plugin.plugin_name.as_str(), tensor.dtype),
            ("configuration", "text", DT_STRING)
        );
        assert_eq!(tensor.string_val, [b"    seed = 7"]);

        let content = &events[2].summary.as_ref().unwrap().value[0]
            .metadata
            .as_ref()
            .unwrap()
            .plugin_data
            .as_ref()
            .unwrap()
            .content;
        let settings = proto::Settings::decode(content.as_slice()).unwrap().session_start_info.unwrap().hparams;
        let settings: BTreeMap<_, _> = settings.into_iter().collect();
        let names: Vec<_> = settings.keys().map(String::as_str).collect();
        assert_eq!(names, ["model.code_dim", "model.hidden", "model.kind", "model.tied", "seed"]);
        assert_eq!(settings["model.hidden"].string_value.as_deref(), Some("[256,128]"));
        assert_eq!((settings["seed"].number_value, settings["model.tied"].bool_value), (Some(7.0), Some(false)));

        assert_eq!((events[3].step, scalars(&events[3])), (1, vec![("loss/train", 0.5), ("loss/valid", 0.0)]));
        let special = scalars(&events[4]);
        assert!(special[0].1.is_nan() && special[1] == ("loss/valid", f32::INFINITY), "{special:?}");
        assert_eq!((events[5].step, events[5].session_log.as_ref().unwrap().status), (2, START));
    }

    #[test]
    fn an_incomplete_record_hides_nothing_before_it_and_each_session_has_its_own_file() {
        let place = tempfile::tempdir().unwrap();
        let mut boards = [0, 1].map(|_| TensorBoard::create(place.path()).unwrap());
        assert_ne!(boards[0].path(), boards[1].path());
        boards[0].scalars(1, [("loss/train", 0.5)]).unwrap();
        let whole = fs::metadata(boards[0].path()).unwrap().len();
        boards[0].scalars(2, [("loss/train", 0.25)]).unwrap();
        let length = fs::metadata(boards[0].path()).unwrap().len();
        for cut in whole..length {
            File::options().write(true).open(boards[0].path()).unwrap().set_len(length - 1 - (cut - whole)).unwrap();
            let (events, rest) = read(boards[0].path());
            assert_eq!((events.len(), rest as u64), (2, length - 1 - cut));
        }
        assert_eq!(read(boards[1].path()).0.len(), 1);
    }

    #[test]
    fn training_and_validation_of_a_metric_share_a_group() {
        let tags = ["train_loss", "valid_loss", "valid_code_l0", "train_learning_rate", "seconds"].map(tag);
        assert_eq!(tags, ["loss/train", "loss/valid", "code_l0/valid", "learning_rate/train", "run/seconds"]);
    }

    #[test]
    fn a_folder_that_cannot_be_created_is_reported_in_one_line() {
        let place = tempfile::NamedTempFile::new().unwrap();
        let message = TensorBoard::create(&place.path().join("logs")).unwrap_err().to_string();
        assert!(message.starts_with("cannot create ") && !message.contains('\n'), "{message}");
    }
}
