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

mod events;
mod proto;
mod record;
mod reporter;
#[cfg(test)]
mod tests;

pub use self::{events::TensorBoard, reporter::tag};
