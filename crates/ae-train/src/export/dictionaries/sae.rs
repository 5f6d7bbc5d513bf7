//! The description of a sparse dictionary that every format is read into, and the model of it.

use std::collections::BTreeMap;

use ae_model::{
    Model,
    code::{Gated, JumpRelu},
    network::{NetworkDecoder, NetworkEncoder, layers::Layer},
};
use burn::{
    module::Param,
    tensor::{Device, Tensor, TensorData},
};

use crate::{Error, Result, export::Numbers};

/// A dictionary: `z = (x - b_dec) W_enc + b_enc`, or `x W_enc + b_enc` if it is not centered, a code `f` of `z`, and
/// `x^ = f W_dec + b_dec`; or a transcoder, which predicts other rows `y^ = f W_dec + b_dec`, or `f W_dec + x W_skip +
/// b_dec`. The names are those of SAELens.
#[derive(Debug, Clone, PartialEq)]
pub struct Sae {
    /// `standard`, `topk`, `jumprelu` or `gated`.
    pub architecture: &'static str,
    /// `k` of `topk`.
    pub k: Option<usize>,
    /// Whether `z` and the code are in units of what they add to the reconstruction: multiplied by the lengths of the
    /// atoms, which the decoder divides by. `k` and `threshold` choose among those values.
    pub by_length: bool,
    /// Whether `b_dec` is subtracted from the input.
    pub is_centered: bool,
    /// Whether it is a transcoder, whose outputs are other rows than its inputs.
    pub is_transcoder: bool,
    /// The tensors by name: `W_enc` `[d_in, d_sae]`, `W_dec` `[d_sae, d_out]`, `b_dec` `[d_out]`, `b_enc` `[d_sae]`;
    /// with `jumprelu` also `threshold` `[d_sae]`; with `gated` `b_gate`, `b_mag` and `r_mag` `[d_sae]` instead of
    /// `b_enc`; with a skip connection `W_skip` `[d_in, d_out]`. `d_out` is `d_in` but for a transcoder.
    pub tensors: BTreeMap<&'static str, Numbers>,
    /// What the file has beyond this and the model does not, in sentences.
    pub notes: Vec<String>,
}

impl Sae {
    /// The settings of a run with this model, which reads its rows as they are.
    pub fn settings(&self) -> Vec<(&'static str, toml::Value)> {
        let text = |value: &str| toml::Value::String(value.to_string());
        let integer = |value: usize| toml::Value::Integer(value as i64);
        let variant = match self.architecture {
            "jumprelu" => "jump_relu",
            "topk" => "k_sparse",
            _ => "overcomplete",
        };
        let has_skip = self.tensors.contains_key("W_skip");
        let variant = match (self.is_transcoder, has_skip) {
            (false, _) => variant,
            (true, false) => "transcoder",
            (true, true) => "skip_transcoder",
        };
        let mut settings = vec![
            ("variant", text(variant)),
            ("data.scaling", text("none")),
            ("model.output", text("identity")),
            ("model.code_dim", integer(self.tensors["W_enc"].shape[1])),
        ];
        // A dictionary compares the units of a top-k code by what they add to the reconstruction, a perceptron by their
        // values.
        if self.k.is_some() && !self.by_length {
            settings
                .extend([("model.network.kind", text("mlp")), ("model.network.hidden", toml::Value::Array(vec![]))]);
            settings.push(("model.network.tied", toml::Value::Boolean(false)));
        } else {
            settings.push(("model.network.kind", text("dictionary")));
            settings.push(("model.network.center", toml::Value::Boolean(self.is_centered)));
            settings.push(("model.network.skip", toml::Value::Boolean(has_skip)));
        }
        let code = match self.architecture {
            "jumprelu" => "jump_relu",
            "topk" => "top_k",
            "gated" => "gated",
            _ => "deterministic",
        };
        settings.push(("model.code.kind", text(code)));
        match code {
            "deterministic" => settings.push(("model.code.activation", text("relu"))),
            "jump_relu" => settings.push(("model.code.target", toml::Value::Float(0.0))),
            _ => {}
        }
        if let Some(k) = self.k {
            settings.extend([("model.code.k", integer(k)), ("model.code.k_start", integer(0))]);
        }
        settings
    }

    /// A model of these [settings](Self::settings) with these weights instead of its own. If its values are in units of
    /// lengths, its atoms have length 1.
    ///
    /// # Errors
    /// The model is for rows of another width, or another network.
    pub fn load(&self, mut model: Model, device: &Device) -> Result<Model> {
        let matrix = |name: &str| {
            let Numbers { shape, values } = &self.tensors[name];
            Tensor::<2>::from_data(TensorData::new(values.clone(), [shape[0], shape[1]]), device)
        };
        let vector = |name: &str| {
            let values = &self.tensors[name].values;
            Tensor::<1>::from_data(TensorData::new(values.clone(), [values.len()]), device)
        };
        let (weight, atoms, center) = (matrix("W_enc"), matrix("W_dec"), vector("b_dec"));
        let [width, units] = weight.dims();
        let of_model = model.layers();
        let sizes = match &of_model[0][..] {
            [Layer::Linear { weight, .. }] => weight.dims(),
            _ => {
                return Err(Error::Failed(
                    "a dictionary has one layer on each side: check `model.network`".to_string(),
                ));
            }
        };
        if sizes != [width, units] {
            return Err(Error::Failed(format!(
                "the weights are for {width} features and {units} units, but the data has {} features, and \
                 `model.code_dim` is {}",
                sizes[0], sizes[1]
            )));
        }
        if let NetworkDecoder::Dictionary(decoder) = &model.decoder
            && decoder.weight.dims()[1] != atoms.dims()[1]
        {
            return Err(Error::Failed(format!(
                "the weights predict rows of {} features, but the target has {}",
                atoms.dims()[1],
                decoder.weight.dims()[1]
            )));
        }
        let bias = vector(if self.architecture == "gated" { "b_gate" } else { "b_enc" });
        let (encoder, decoder) = (&mut model.encoder, &mut model.decoder);
        match (encoder, decoder) {
            (NetworkEncoder::Dictionary(encoder), NetworkDecoder::Dictionary(decoder)) => {
                encoder.weight = Param::from_tensor(weight);
                encoder.bias = Param::from_tensor(bias.clone());
                decoder.weight = Param::from_tensor(atoms);
                decoder.skip = decoder.skip.take().map(|_| Param::from_tensor(matrix("W_skip")));
                match self.is_centered {
                    true => encoder.center = Some(Param::from_tensor(center)),
                    false => decoder.bias = Some(Param::from_tensor(center)),
                }
            }
            _ => {
                let product = ae_kernels::matmul(center.clone().unsqueeze::<2>(), weight.clone()).squeeze_dim::<1>(0);
                let shifted = if self.is_centered { bias.clone() - product } else { bias.clone() };
                model = model.map_layers(|is_decoder, layer| match (is_decoder, layer) {
                    (false, Layer::Linear { .. }) => Layer::Linear { weight: weight.clone(), bias: shifted.clone() },
                    (true, Layer::Linear { .. }) => Layer::Linear { weight: atoms.clone(), bias: center.clone() },
                    (_, other) => other,
                });
            }
        }
        let mut model = if self.by_length { model.folded() } else { model };
        if let Some(code) = model.code.get_mut::<JumpRelu>() {
            // Others apply a ReLU as well, so that a threshold below 0 is as good as 0.
            code.threshold = Param::from_tensor(vector("threshold").clamp_min(0.0));
        }
        if let Some(code) = model.code.get_mut::<Gated>() {
            let scale = vector("r_mag");
            code.shift = Param::from_tensor(vector("b_mag") - bias * scale.clone().exp());
            code.scale = Param::from_tensor(scale);
        }
        Ok(model)
    }
}
