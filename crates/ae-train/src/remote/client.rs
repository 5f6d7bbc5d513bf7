//! A process's connection to the others.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use ae_data::caught::caught;
use ae_model::train::Exchange;
use burn::{
    backend::{
        BackendTensor, DispatchAutodiffContext, DispatchDevice, DispatchTensor, DispatchTensorKind, TensorMetadata,
        ir::{CustomOpIr, ScalarIr, TensorIr},
    },
    remote::CustomOpClient,
    tensor::{Device, Shape, Tensor, TensorData},
    train::Interrupter,
};

use super::{
    JOIN, LEAVE, MEAN, MESSAGE, READY,
    address::{host, refusal},
    bf16::{packed, unpacked},
    message, text_of,
};
use crate::{
    Error, Result,
    peers::{Connection, Greeting},
};

/// How often it is asked whether all have joined.
const LOOK: Duration = Duration::from_millis(100);
/// Numbers that one message of Burn's protocol can have: 1 GiB, with room for what else is in it.
const MOST: usize = 250_000_000;

/// A connection to `ae gather`.
pub struct Client {
    address: String,
    /// The server, as a device of Burn.
    device: Device,
    interrupter: Interrupter,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    has_joined: bool,
    failure: Option<String>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Client {
    /// Connects to `ae gather` at this address, such as `127.0.0.1:7100` or `iroh://ID@127.0.0.1:7100`. `interrupter`
    /// stops the training if another process is lost.
    ///
    /// # Errors
    /// Nobody listens there, or with another token.
    pub fn connect(address: &str, token: Option<&str>, interrupter: Interrupter) -> Result<Self> {
        let device = Device::remote_options(&host(address, token)?).init();
        let device = device.map_err(|error| Error::Failed(refusal(address, "gather", &error)))?;
        Ok(Self { address: address.to_string(), device, interrupter, state: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs an operation on the server: `input` goes in, and outputs of these lengths come out.
    ///
    /// # Errors
    /// The connection is lost; a sentence.
    fn call(
        &self,
        id: &'static str,
        input: Vec<f32>,
        scalars: &[usize],
        outputs: &[usize],
    ) -> std::result::Result<Vec<Vec<f32>>, String> {
        // What is lost makes Burn panic in some places, and return an error in others.
        let read = || {
            let length = input.len();
            let input = Tensor::<1>::from_data(TensorData::new(input, [length]), &self.device);
            let DispatchTensorKind::Remote(BackendTensor::Float(input)) = input.into_dispatch().kind else {
                return None;
            };
            let DispatchDevice::Remote(remote) = self.device.as_dispatch() else { return None };
            let client = CustomOpClient::new(remote);
            let dtype = input.dtype();
            let new = |length: &usize| TensorIr::uninit(client.create_empty_handle(), Shape::from([*length]), dtype);
            let outputs: Vec<TensorIr> = outputs.iter().map(new).collect();
            let scalars = scalars.iter().map(|scalar| ScalarIr::Int(*scalar as i64)).collect();
            let results = client.register(CustomOpIr::with_scalars(id, &[input.into_ir()], &outputs, scalars));
            let values = results.into_iter().map(|result| {
                let kind = DispatchTensorKind::Remote(BackendTensor::Float(result));
                let autodiff = DispatchAutodiffContext::Disabled;
                let data = Tensor::<1>::from_dispatch(DispatchTensor { kind, autodiff }).try_into_data().ok()?;
                data.try_into_vec::<f32>().ok()
            });
            values.collect::<Option<Vec<Vec<f32>>>>()
        };
        caught(read).flatten().ok_or_else(|| format!("the connection to {} was lost", self.address))
    }
}

impl Exchange for Client {
    fn mean(&self, step: usize, rows: usize, values: Vec<f32>, rounded: usize) -> Option<(Vec<f32>, usize)> {
        if self.lock().failure.is_some() {
            return None;
        }
        let values = packed(values, rounded);
        let length = values.len();
        let answer = match length > MOST {
            true => Err(format!("{length} numbers are exchanged, and one message can have {MOST}: use one process")),
            false => self.call(MEAN, values, &[step, rows, rounded], &[length, 2, MESSAGE]),
        };
        let failed = match answer {
            Ok(mut results) => {
                let (reason, rows) = (text_of(&results[2]), (results[1][0] as usize) << 20 | results[1][1] as usize);
                if reason.is_empty() {
                    return Some((unpacked(results.swap_remove(0), rounded), rows));
                }
                reason
            }
            Err(reason) => reason,
        };
        self.interrupter.stop(Some(&failed));
        self.lock().failure = Some(failed);
        None
    }
}

impl Connection for Client {
    fn meet(&self, greeting: &Greeting) -> Result<()> {
        let said = serde_json::to_string(greeting).expect("a greeting is JSON");
        let joined = self.call(JOIN, said.bytes().map(f32::from).collect(), &[], &[MESSAGE]).map_err(Error::Failed)?;
        let refused = |message: &[f32]| match text_of(message) {
            reason if reason.is_empty() => Ok(()),
            reason => Err(Error::Usage(reason)),
        };
        refused(&joined[0])?;
        self.lock().has_joined = true;
        loop {
            let ready = self.call(READY, message(""), &[], &[1, MESSAGE]).map_err(Error::Failed)?;
            refused(&ready[1])?;
            if ready[0][0] > 0.0 {
                return Ok(());
            }
            if self.interrupter.should_stop() {
                return Err(Error::Interrupted("stopped before all processes had joined".to_string()));
            }
            thread::sleep(LOOK);
        }
    }

    fn failure(&self) -> Option<String> {
        self.lock().failure.clone()
    }

    fn leave(&self) {
        if std::mem::take(&mut self.lock().has_joined) {
            // If this fails, the others learn it from the connection.
            let _ = self.call(LEAVE, message(""), &[], &[MESSAGE]);
        }
    }
}
