//! The settings of a dictionary.

use burn::{
    module::Param,
    serde::{Deserialize, Serialize},
    tensor::{Device, Distribution, Tensor},
};
use schemars::JsonSchema;

use super::{DictionaryDecoder, DictionaryEncoder};
use crate::{
    Activation, ConfigError,
    macros::setters,
    network::{Counts, Sizes},
};

/// Settings of a dictionary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "burn::serde", default, deny_unknown_fields)]
pub struct DictionaryConfig {
    /// Whether the decoder's bias is subtracted from the input: true or false. Default: true.
    pub center: bool,
    /// Length of each atom at the start, greater than 0. Default: 1.
    pub length: f64,
    /// Whether the decoder also adds a linear function of the input, 0 at the start: true or false. Only for a target
    /// other than the input, which it would copy (Dunefsky et al. 2024; Paulo et al. 2025). Default: false.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub skip: bool,
}

impl Default for DictionaryConfig {
    fn default() -> Self {
        Self { center: true, length: 1.0, skip: false }
    }
}

setters! {
    DictionaryConfig {
        with_center(center: bool),
        with_length(length: f64),
        with_skip(skip: bool),
    }
}

impl DictionaryConfig {
    /// The default settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// The length is not greater than 0.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.length > 0.0 && self.length.is_finite() {
            return Ok(());
        }
        Err(ConfigError::new("length", self.length, "greater than 0"))
    }

    /// The size of encoder and decoder together.
    pub(in crate::network) fn counts(&self, sizes: &Sizes) -> Counts {
        let (encoder, decoder) = (vec![sizes.d_input, sizes.reads], vec![sizes.d_code, sizes.d_output]);
        let skip = if self.skip { sizes.d_input * sizes.d_output } else { 0 };
        let parameters =
            sizes.d_input * sizes.reads + sizes.reads + sizes.d_code * sizes.d_output + sizes.d_output + skip;
        Counts { parameters, encoder, decoder }
    }

    /// Encoder and decoder, with atoms in random directions from the device's generator. The encoder's weight is the
    /// decoder's, transposed, where it has the same shape. `output` is the activation of the decoder.
    pub fn init(&self, sizes: &Sizes, output: Activation, device: &Device) -> (DictionaryEncoder, DictionaryDecoder) {
        let atoms = |rows: usize, width: usize| {
            let atoms = Tensor::<2>::random([rows, width], Distribution::Normal(0.0, 1.0), device);
            let length = atoms.clone().square().sum_dim(1).sqrt().clamp_min(1e-12);
            atoms / length * self.length
        };
        let decoder = atoms(sizes.d_code, sizes.d_output);
        let encoder = match (sizes.reads, sizes.d_input) == (sizes.d_code, sizes.d_output) {
            true => decoder.clone(),
            false => atoms(sizes.reads, sizes.d_input),
        };
        // A copy, so that the two do not share their memory.
        let encoder = encoder.transpose().mul_scalar(1.0);
        let zeros = |width: usize| Param::from_tensor(Tensor::zeros([width], device));
        let center = self.center.then(|| zeros(sizes.d_output));
        (
            DictionaryEncoder { weight: Param::from_tensor(encoder), bias: zeros(sizes.reads), center },
            DictionaryDecoder {
                weight: Param::from_tensor(decoder),
                bias: (!self.center).then(|| zeros(sizes.d_output)),
                skip: self.skip.then(|| Param::from_tensor(Tensor::zeros([sizes.d_input, sizes.d_output], device))),
                output,
            },
        )
    }

    /// Checks the settings for data of these sizes.
    pub(in crate::network) fn check_sizes(&self, sizes: &Sizes) -> Result<(), ConfigError> {
        if self.center && sizes.d_input != sizes.d_output {
            let allowed =
                "false with `mask_input` or a target of another width, from which no center can be subtracted";
            return Err(ConfigError::new("center", true, allowed));
        }
        Ok(())
    }
}
