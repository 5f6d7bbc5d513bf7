//! Trainings in several processes by Burn's remote engine.
//!
//! `ae gather` is a server of Burn's remote backend with operations of its own: each waits for all processes, and gives
//! every one the same result. A process of the training computes on its own device, with its own kernels; only
//! gradients cross the network, as tensors of Burn's protocol.

mod address;
mod bf16;
mod client;
mod gather;
mod listener;
mod reduce;
mod token;
mod worker;

pub use burn::server::IrohRelays;

pub use self::{
    client::Client,
    gather::{Gathering, gather},
    listener::{Iroh, Listener},
    token::{TOKEN, token},
    worker::{Worker, device, work},
};

/// The operation with which a process joins: what it says goes in, and a [`message`] comes out.
const JOIN: &str = "ae_join";
/// The operation that says whether all have joined: 1 or 0 and a [`message`] come out.
const READY: &str = "ae_ready";
/// The operation that averages: values go in, of which the first may be [packed](bf16::packed), and their mean in the
/// same form, the number of rows and a [`message`] come out.
const MEAN: &str = "ae_mean";
/// The operation with which a process leaves.
const LEAVE: &str = "ae_leave";

/// Numbers in a message.
const MESSAGE: usize = 2048;

/// A text as numbers, one for each byte, of a fixed length: tensors of numbers are what the operations exchange. An
/// empty text says that all is well.
fn message(text: &str) -> Vec<f32> {
    let mut end = text.len().min(MESSAGE - 1);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut values: Vec<f32> = text.as_bytes()[..end].iter().map(|byte| f32::from(*byte)).collect();
    values.resize(MESSAGE, 0.0);
    values
}

/// The text of a message.
fn text_of(values: &[f32]) -> String {
    let bytes: Vec<u8> = values.iter().take_while(|value| **value > 0.0).map(|value| *value as u8).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_the_same_text_or_its_beginning() {
        assert_eq!(text_of(&message("")), "");
        assert_eq!(text_of(&message("rank 1: größer")), "rank 1: größer");
        let long = "ä".repeat(MESSAGE);
        let cut = text_of(&message(&long));
        assert!(long.starts_with(&cut) && cut.len() == MESSAGE - 2 && message(&long).len() == MESSAGE);
    }
}
