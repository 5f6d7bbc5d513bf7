//! The decoder of a run as data of its page, for the page's script to evaluate.
//!
//! The page holds the decoder's layers, their weights (base64 of single precision, or of half precision where that is
//! too large), what the output of the last layer stands for, and the scaling of the data.

use ae_model::{Code, network::layers::Layer};
use base64::{Engine, engine::general_purpose::STANDARD};
use burn::tensor::{Tensor, f16};
use serde_json::{Value, json};

use crate::{
    Result,
    evaluation::numbers,
    export::{Meaning, meanings},
    trained::Trained,
};

/// Numbers as they are in the page, and the bits of each: in single precision if that takes `single` bytes at most, in
/// half precision if that takes `half` bytes at most, else none.
pub fn pack(values: &[f32], single: usize, half: usize) -> Option<Value> {
    let length = |bits: usize| (values.len() * bits / 8).div_ceil(3) * 4;
    let (bits, _) = [(32, single), (16, half)].into_iter().find(|(bits, most)| length(*bits) <= *most)?;
    let bytes: Vec<u8> = match bits {
        32 => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        _ => values.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect(),
    };
    Some(json!({ "bits": bits, "data": STANDARD.encode(bytes) }))
}

/// The decoder of a run in `most` bytes, in single precision if that takes `single` bytes at most; or the reason why it
/// is left out.
///
/// # Errors
/// A device that fails to give its numbers back.
pub fn embed(trained: &Trained, single: usize, most: usize) -> Result<std::result::Result<Value, String>> {
    if trained.model.code.plain().is_none() {
        return Ok(Err("the code of this run cannot be computed by another program".to_string()));
    }
    let parts = match meanings(trained) {
        Ok(parts) => parts,
        Err(_) => return Ok(Err("only models with squared_error or bernoulli can be decoded here".to_string())),
    };
    let [_, layers] = trained.model.layers();
    let size = layers.iter().map(parameters).sum::<usize>();
    let (mut weights, mut plain) = (Vec::with_capacity(size), Vec::new());
    if size * 8 / 3 > most {
        // Base64 of half precision takes 8/3 bytes for each number.
        let (needed, most) = (size * 8 / 3 / 1000, most / 1000);
        return Ok(Err(format!(
            "the decoder has {size} parameters, which take {needed} kB in half precision; the page has {most} kB for \
             them"
        )));
    }
    let mut put = |values: Vec<f32>| weights.extend(values);
    let mut at = 0;
    for layer in layers {
        plain.push(match &layer {
            Layer::Linear { weight, bias } => {
                put(numbers(weight.clone())?);
                put(numbers(bias.clone())?);
                let [from, to] = weight.dims();
                json!(["linear", from, to, at])
            }
            Layer::LayerNorm { gamma, beta } => {
                put(numbers(gamma.clone())?);
                put(numbers(beta.clone())?);
                json!(["layer_norm", gamma.dims()[0], at])
            }
            Layer::BatchNorm { gamma, beta, mean, variance, epsilon } => {
                // With the averages of the training it is one factor and one summand for each unit.
                let factor: Tensor<1> = gamma.clone() / (variance.clone() + *epsilon).sqrt();
                put(numbers(factor.clone())?);
                put(numbers(beta.clone() - mean.clone() * factor)?);
                json!(["affine", gamma.dims()[0], at])
            }
            Layer::Activation(activation) => json!([activation.name()]),
            Layer::Skip { .. } => {
                return Ok(Err("a decoder that also reads the input is not supported here".to_string()));
            }
            Layer::Conv { .. } | Layer::ConvTranspose { .. } | Layer::Unflatten(_) | Layer::Flatten => {
                return Ok(Err("decoders with convolutions are not supported here".to_string()));
            }
        });
        at += parameters(&layer);
    }
    let Some(weights) = pack(&weights, single, most) else {
        return Ok(Err(format!("the {size} parameters of the decoder do not fit into the page")));
    };
    let outputs: Vec<Value> = parts
        .into_iter()
        .map(|(meaning, start, end)| {
            let name = match meaning {
                Meaning::Values => "values",
                Meaning::Logits => "sigmoid",
                Meaning::Levels => "softmax",
            };
            json!([name, start, end])
        })
        .collect();
    let scaling = &trained.schema.scaling;
    Ok(Ok(json!({
        "layers": plain,
        "weights": weights,
        "outputs": outputs,
        "offset": scaling.offset,
        "scale": scaling.scale,
    })))
}

/// Numbers that the page holds of a layer.
fn parameters(layer: &Layer) -> usize {
    match layer {
        Layer::Linear { weight, bias } => weight.dims().iter().product::<usize>() + bias.dims()[0],
        Layer::Conv { weight, bias, .. } | Layer::ConvTranspose { weight, bias, .. } => {
            weight.dims().iter().product::<usize>() + bias.dims()[0]
        }
        Layer::LayerNorm { gamma, .. } | Layer::BatchNorm { gamma, .. } => 2 * gamma.dims()[0],
        Layer::Skip { weight } => weight.dims().iter().product(),
        Layer::Activation(_) | Layer::Unflatten(_) | Layer::Flatten => 0,
    }
}
