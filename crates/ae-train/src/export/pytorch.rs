//! Export to PyTorch: weights with the names of two `nn.Sequential`s, `encoder` and `decoder`, and Python code that
//! builds the model and loads them.

use std::collections::BTreeMap;

use ae_model::{Activation, Code, code::Plain, network::layers::Layer};
use burn::tensor::Tensor;
use safetensors::{Dtype, tensor::TensorView};

use super::{Meaning, Numbers, features, meanings, no_skip, order, plain};
use crate::{Error, Result, trained::Trained};

/// Tensors by name.
pub type State = BTreeMap<String, Numbers>;

fn activation(activation: Activation) -> &'static str {
    match activation {
        Activation::Identity => "nn.Identity()",
        Activation::Relu => "nn.ReLU()",
        Activation::LeakyRelu => "nn.LeakyReLU(0.01)",
        Activation::Elu => "nn.ELU()",
        Activation::Gelu => "nn.GELU()",
        Activation::Silu => "nn.SiLU()",
        Activation::Tanh => "nn.Tanh()",
        Activation::Sigmoid => "nn.Sigmoid()",
        Activation::Softplus => "nn.Softplus()",
    }
}

/// A layer as PyTorch code, and its tensors.
fn layer(layer: &Layer, is_image: bool) -> Result<(String, Vec<(&'static str, Numbers)>)> {
    let pair = |weight: Numbers, bias: &Tensor<1>| -> Result<Vec<(&'static str, Numbers)>> {
        Ok(vec![("weight", weight), ("bias", Numbers::of(bias.clone())?)])
    };
    Ok(match layer {
        Layer::Linear { weight, bias } => {
            let [from, to] = weight.dims();
            (format!("nn.Linear({from}, {to})"), pair(Numbers::of(weight.clone().transpose())?, bias)?)
        }
        Layer::Conv { weight, bias, stride } => {
            let [to, from, kernel, _] = weight.dims();
            let text = format!("nn.Conv2d({from}, {to}, {kernel}, stride={stride}, padding={})", kernel / 2);
            (text, pair(Numbers::of(weight.clone())?, bias)?)
        }
        Layer::ConvTranspose { weight, bias, stride, padding_out: [rows, columns] } => {
            let [from, to, kernel, _] = weight.dims();
            let padding = kernel / 2;
            let text = format!(
                "nn.ConvTranspose2d({from}, {to}, {kernel}, stride={stride}, padding={padding}, \
                 output_padding=({rows}, {columns}))"
            );
            (text, pair(Numbers::of(weight.clone())?, bias)?)
        }
        Layer::LayerNorm { gamma, beta } => {
            let units = gamma.dims()[0];
            let text = if is_image { format!("nn.GroupNorm(1, {units})") } else { format!("nn.LayerNorm({units})") };
            (text, pair(Numbers::of(gamma.clone())?, beta)?)
        }
        Layer::BatchNorm { gamma, beta, mean, variance, epsilon } => {
            let units = gamma.dims()[0];
            let text = format!("nn.BatchNorm{}d({units}, eps={epsilon:e})", if is_image { 2 } else { 1 });
            let mut tensors = pair(Numbers::of(gamma.clone())?, beta)?;
            tensors.push(("running_mean", Numbers::of(mean.clone())?));
            tensors.push(("running_var", Numbers::of(variance.clone())?));
            (text, tensors)
        }
        Layer::Skip { .. } => return Err(no_skip()),
        Layer::Activation(of) => (activation(*of).to_string(), Vec::new()),
        Layer::Unflatten([channels, height, width]) => {
            (format!("nn.Unflatten(1, ({channels}, {height}, {width}))"), Vec::new())
        }
        Layer::Flatten => ("nn.Flatten()".to_string(), Vec::new()),
    })
}

/// One of the two networks: the code of its layers, and its tensors by name.
fn sequential(name: &str, layers: &[Layer], state: &mut State) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    let mut is_image = false;
    for (index, of) in layers.iter().enumerate() {
        is_image = match of {
            Layer::Unflatten(_) => true,
            Layer::Flatten => false,
            _ => is_image,
        };
        let (line, tensors) = layer(of, is_image)?;
        lines.push(line);
        state.extend(tensors.into_iter().map(|(tensor, numbers)| (format!("{name}.{index}.{tensor}"), numbers)));
    }
    Ok(lines)
}

/// The tensors of a model, without its [`scaling`](super::scaling), and Python code that loads both from `file`.
///
/// # Errors
/// A device that fails to return its numbers; a model that predicts a target.
pub fn export(trained: &Trained, file: &str) -> Result<(State, String)> {
    trained.check_reconstructs("is written for PyTorch")?;
    let mut state = State::new();
    let [encoder, decoder] = trained.model.layers();
    let [encoder, decoder] =
        [sequential("encoder", &encoder, &mut state)?, sequential("decoder", &decoder, &mut state)?];
    let width = trained.schema.d_input;
    let list = |lines: &[String]| lines.iter().map(|line| format!("        {line},\n")).collect::<String>();
    let mut extra = String::new();
    let mut code = format!("    h = {}(model[\"encoder\"](x))\n", activation(trained.model.code.activation()));
    if trained.model.code.activation() == Activation::Identity {
        code = "    h = model[\"encoder\"](x)\n".to_string();
    }
    match plain(&trained.model.code)? {
        Plain::Activation => {}
        Plain::First => {
            code += &format!(
                "    h = h[:, :{}]  # the means; the logarithms of the variances follow\n",
                trained.config.model.code_dim
            )
        }
        Plain::Largest(k) => {
            code += &format!(
                "    values, indices = h.topk({k}, 1)\n    h = torch.zeros_like(h).scatter(1, indices, values)\n"
            );
        }
        Plain::AtLeast(threshold) => {
            state.insert("code.threshold".to_string(), Numbers::of(*threshold)?);
            extra = "threshold = state.pop(\"code.threshold\")\n".to_string();
            code += "    h = h * (h >= threshold)\n";
        }
        Plain::Above(threshold) => {
            state.insert("code.threshold".to_string(), Numbers::of(*threshold)?);
            extra = "threshold = state.pop(\"code.threshold\")\n".to_string();
            // The thresholds are not negative: `h = max(0, z)` is above one exactly where `z` is.
            code += "    h = h * (h > threshold)\n";
        }
    }
    let mask = if trained.model.mask_input {
        "    x = torch.cat([x, (~missing).float()], 1)  # the mask is the second half\n"
    } else {
        ""
    };
    let parts = meanings(trained)?.into_iter().map(|(meaning, start, end)| {
        let part = format!("o[:, {start}:{end}]");
        match meaning {
            Meaning::Values => part,
            Meaning::Logits => format!("{part}.sigmoid()"),
            Meaning::Levels => format!("{part}.softmax(1)"),
        }
    });
    let output = match parts.collect::<Vec<_>>().as_slice() {
        [one] => format!("    r = {}\n", one.replace(&format!("[:, 0:{width}]"), "")),
        parts => format!("    r = torch.cat([{}], 1)\n", parts.join(", ")),
    };
    let python = format!(
        "import torch\nfrom torch import nn\nfrom safetensors.torch import load_file\n\n\
         state = load_file({file:?})\n\
         offset, scale = state.pop(\"scaling.offset\"), state.pop(\"scaling.scale\")\n{extra}\
         model = nn.ModuleDict({{\n    \"encoder\": nn.Sequential(\n{}    ),\n    \
         \"decoder\": nn.Sequential(\n{}    ),\n}})\n\
         model.load_state_dict(state{})\nmodel.eval()\n\n{}\n\n\n\
         @torch.no_grad()\ndef encode(x):  # rows of {width} features in the units of the data, NaN where missing; \
         float64 if they are far from zero\n    missing = x.isnan()\n    \
         x = torch.where(missing, 0.0, ((x - offset) / scale).float())\n{mask}{code}    return h\n\n\n\
         @torch.no_grad()\ndef decode(h):  # back in the units of the data, float64\n    \
         o = model[\"decoder\"](h)\n{output}    return r * scale + offset\n",
        list(&encoder),
        list(&decoder),
        // PyTorch's batch norm also counts its batches, which is not needed here.
        if state.keys().any(|name| name.ends_with("running_mean")) { ", strict=False" } else { "" },
        listed(trained),
    );
    Ok((state, python))
}

/// Python code that names the features.
fn listed(trained: &Trained) -> String {
    if trained.schema.columns.is_empty() {
        return format!("# A row is {}.", order(trained));
    }
    let mut text = "# A row, in this order: numbers, booleans (0 or 1), then for each category its levels (1 for the \
                    level of the row, 0 for the others).\nfeatures = ["
        .to_string();
    let mut column = usize::MAX;
    for name in features(trained) {
        // A JSON string is a valid Python string.
        let name = serde_json::to_string(&name).expect("a name is JSON");
        let starts_line = column.saturating_add(name.len() + 3) > 100;
        column = if starts_line { 4 } else { column } + name.len() + 2;
        text += &format!("{}{name},", if starts_line { "\n    " } else { " " });
    }
    text + "\n]"
}

/// The tensors as the bytes of a safetensors file, together with offset and scale of the features in double precision.
///
/// # Errors
/// Tensors whose shapes do not match their values, which is a bug.
pub fn serialize(state: &State, [offset, scale]: &[Vec<f64>; 2]) -> Result<Vec<u8>> {
    let mut tensors: Vec<(&str, Dtype, Vec<usize>, Vec<u8>)> = state
        .iter()
        .map(|(name, numbers)| {
            let bytes = numbers.values.iter().flat_map(|value| value.to_le_bytes()).collect();
            (name.as_str(), Dtype::F32, numbers.shape.clone(), bytes)
        })
        .collect();
    for (name, values) in [("scaling.offset", offset), ("scaling.scale", scale)] {
        tensors.push((
            name,
            Dtype::F64,
            vec![values.len()],
            values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        ));
    }
    let failed = |error: safetensors::SafeTensorError| Error::Failed(format!("cannot serialize the weights: {error}"));
    let views = tensors
        .iter()
        .map(|(name, dtype, shape, bytes)| Ok((*name, TensorView::new(*dtype, shape.clone(), bytes).map_err(failed)?)))
        .collect::<Result<Vec<_>>>()?;
    safetensors::serialize(views, Some([("format".to_string(), "pt".to_string())].into())).map_err(failed)
}
