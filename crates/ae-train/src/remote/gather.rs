//! The server that averages.

use std::{cell::RefCell, sync::Arc, thread, time::Duration};

use burn::{
    backend::{Flex, ir::HandleContainer},
    server::{CustomOpIr, RemoteServer},
    tensor::{Device, TensorData},
};

use super::{
    JOIN, LEAVE, Listener, MEAN, READY,
    bf16::{packed, unpacked},
    message,
    reduce::Reducer,
    text_of,
    token::guarded,
};
use crate::{Error, Result, peers::Greeting};

/// How long answers may take to be sent after the last process has left.
const FLUSH: Duration = Duration::from_millis(200);
/// How often it is looked whether all have left.
const LOOK: Duration = Duration::from_millis(20);

/// What to serve.
#[derive(Debug)]
pub struct Gathering {
    /// Where processes connect.
    pub listener: Listener,
    /// How many there are.
    pub of: usize,
    /// How long they wait for each other in a step.
    pub patience: Duration,
    /// What they must know to connect; nothing if `None`.
    pub token: Option<String>,
}

/// A process's place. Each connection has a thread of its own, which ends with it.
struct Seat {
    reducer: Arc<Reducer>,
    rank: usize,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.reducer.lost(self.rank);
    }
}

thread_local! {
    static SEAT: RefCell<Option<Seat>> = const { RefCell::new(None) };
}

/// Serves the processes of one training, until all have left.
///
/// # Errors
/// The training ended before its end, or an address that cannot be served.
pub fn gather(gathering: Gathering) -> Result<()> {
    let reducer = Arc::new(Reducer::new(gathering.of, gathering.patience));
    let server = guarded(RemoteServer::new([Device::flex()]), gathering.token)?;
    let [joining, waiting, averaging] = [reducer.clone(), reducer.clone(), reducer.clone()];
    let server = server
        .with_custom_op::<Flex, _>(JOIN, move |handles, ir, _| {
            let said = text_of(&read(handles, ir, 0));
            let joined = serde_json::from_str::<Greeting>(&said)
                .map_err(|_| "this is another version of `ae`: all processes need the same".to_string())
                .and_then(|greeting| {
                    let rank = greeting.rank;
                    joining.join(greeting)?;
                    SEAT.set(Some(Seat { reducer: joining.clone(), rank }));
                    Ok(())
                });
            write(handles, ir, 0, message(&joined.err().unwrap_or_default()));
        })
        // It does not wait itself: a thread that waits would not notice that its connection is closed.
        .with_custom_op::<Flex, _>(READY, move |handles, ir, _| {
            let (is_complete, reason) = match waiting.is_complete() {
                Ok(is_complete) => (is_complete, String::new()),
                Err(reason) => (false, reason),
            };
            write(handles, ir, 0, vec![f32::from(u8::from(is_complete))]);
            write(handles, ir, 1, message(&reason));
        })
        .with_custom_op::<Flex, _>(MEAN, move |handles, ir, _| {
            let values = read(handles, ir, 0);
            let length = values.len();
            let number = |at: usize| ir.scalars.get(at).map_or(0, |scalar| scalar.elem::<i64>()).max(0) as usize;
            let rounded = number(2);
            let mean = match SEAT.with_borrow(|seat| seat.as_ref().map(|seat| seat.rank)) {
                Some(rank) => averaging.mean(rank, number(0), number(1), unpacked(values, rounded)),
                None => Err("this process has not joined".to_string()),
            };
            let (values, rows, reason) = match mean {
                Ok(mean) => (packed(mean.0.clone(), rounded), mean.1, String::new()),
                Err(reason) => (vec![0.0; length], 0, reason),
            };
            write(handles, ir, 0, values);
            // Two numbers that are exact: a batch may have more rows than a f32 can count.
            write(handles, ir, 1, vec![(rows >> 20) as f32, (rows & 0xf_ffff) as f32]);
            write(handles, ir, 2, message(&reason));
        })
        .with_custom_op::<Flex, _>(LEAVE, move |handles, ir, _| {
            SEAT.with_borrow(|seat| seat.iter().for_each(|seat| seat.reducer.leave(seat.rank)));
            write(handles, ir, 0, message(""));
        });
    let serving = gathering.listener.serve(server)?;
    while !reducer.is_over() {
        if serving.is_finished() {
            return Err(serving.wait());
        }
        thread::sleep(LOOK);
    }
    thread::sleep(FLUSH);
    serving.stop();
    match reducer.reason() {
        Some(reason) => Err(Error::Failed(format!("the training stopped: {reason}"))),
        None => Ok(()),
    }
}

type Handles = HandleContainer<<Flex as burn::backend::ir::BackendIr>::Handle>;

/// The values of an operation's input.
fn read(handles: &mut Handles, ir: &CustomOpIr, at: usize) -> Vec<f32> {
    let Some(input) = ir.inputs.get(at) else { return Vec::new() };
    let data = handles.get_float_tensor::<Flex>(input).into_data();
    // Processes send f32.
    data.try_into_vec::<f32>().unwrap_or_default()
}

/// Sets an operation's output.
fn write(handles: &mut Handles, ir: &CustomOpIr, at: usize, values: Vec<f32>) {
    if let Some(output) = ir.outputs.get(at) {
        let length = values.len();
        let tensor = burn::backend::flex::FlexTensor::from_data(TensorData::new(values, [length]));
        handles.register_float_tensor::<Flex>(&output.id, tensor);
    }
}
