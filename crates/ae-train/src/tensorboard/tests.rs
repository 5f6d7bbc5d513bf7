use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::Path,
};

use prost::Message;
use serde_json::json;

use super::{
    TensorBoard,
    events::{DT_STRING, START, VERSION, seconds},
    proto,
    record::masked,
    tag,
};

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
    assert_eq!((text.tag.as_str(), plugin.plugin_name.as_str(), tensor.dtype), ("configuration", "text", DT_STRING));
    assert_eq!(tensor.string_val, [b"    seed = 7"]);

    let content =
        &events[2].summary.as_ref().unwrap().value[0].metadata.as_ref().unwrap().plugin_data.as_ref().unwrap().content;
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
