//! Import of weights with the names that [`pytorch`](super::pytorch) writes: `encoder.0.weight`, `encoder.0.bias`, ...
//! of an `nn.Sequential`, and optionally `scaling.offset`, `scaling.scale`, `code.threshold`.

use std::{collections::BTreeMap, fs, path::Path};

use ae_data::Element;
use ae_model::{Model, code::Lifetime, network::layers::Layer};
use burn::{
    module::RunningState,
    tensor::{Device, Tensor, TensorData},
};
use safetensors::{Dtype, SafeTensors};
use toml::Value;

use super::{Numbers, pytorch::State};
use crate::{Error, Result};

/// Weights read from a file.
#[derive(Debug)]
pub struct Weights {
    state: State,
    /// Tensors with the prefix `scaling.`.
    scaling: BTreeMap<String, Vec<f64>>,
    origin: String,
}

/// Shapes of the weights, which determine settings that are not given.
#[derive(Debug, Default)]
struct Shapes {
    /// Shape of the weight of each layer, by the number of the layer.
    layers: BTreeMap<usize, Vec<usize>>,
}

impl Weights {
    /// The tensors by name, without those of the scaling.
    pub(super) fn into_state(self) -> State {
        self.state
    }

    /// Reads a safetensors file.
    ///
    /// # Errors
    /// A file that is not a safetensors file, or that contains numbers other than floats.
    pub fn read(path: &Path) -> Result<Self> {
        let origin = path.display().to_string();
        let bytes = fs::read(path).map_err(|error| Error::at("read", path, error))?;
        let file = SafeTensors::deserialize(&bytes)
            .map_err(|error| Error::Failed(format!("{origin} is not a safetensors file: {error}")))?;
        let (mut state, mut scaling) = (State::new(), BTreeMap::new());
        for (name, tensor) in file.tensors() {
            let element = match tensor.dtype() {
                Dtype::F32 => Element::F32,
                Dtype::F64 => Element::F64,
                Dtype::F16 => Element::F16,
                Dtype::BF16 => Element::BF16,
                // Counters, such as the number of batches that PyTorch's batch norm has seen.
                _ if name.ends_with("num_batches_tracked") => continue,
                other => {
                    return Err(Error::Failed(format!(
                        "{origin}: `{name}` contains {other:?}, but weights must be floating-point numbers"
                    )));
                }
            };
            let found = element.decode(tensor.data(), false);
            if let Some(part) = name.strip_prefix("scaling.") {
                let mut values = Vec::with_capacity(found.len());
                found.extend(0..found.len(), &mut values);
                scaling.insert(part.to_string(), values);
                continue;
            }
            state.insert(name, Numbers::from_values(tensor.shape(), &found));
        }
        Ok(Self { state, scaling, origin })
    }

    fn shapes(&self, network: &str) -> Result<Shapes> {
        let mut shapes = Shapes::default();
        for (name, numbers) in &self.state {
            let place = name
                .strip_prefix(network)
                .and_then(|rest| rest.strip_prefix('.'))
                .and_then(|rest| rest.strip_suffix(".weight"));
            if let Some(index) = place.and_then(|place| place.parse().ok()) {
                shapes.layers.insert(index, numbers.shape.clone());
            }
        }
        match shapes.layers.is_empty() {
            true => {
                let names: Vec<&str> = self.state.keys().take(4).map(String::as_str).collect();
                Err(Error::Failed(format!(
                    "{} has no `{network}.0.weight` and so on, the names in an `nn.Sequential` called {network}; it \
                     has {}, ...",
                    self.origin,
                    names.join(", ")
                )))
            }
            false => Ok(shapes),
        }
    }

    /// The settings determined by the shapes of the weights: kind and sizes of the network, width of the code, norms.
    ///
    /// # Errors
    /// Names or shapes that match neither a perceptron nor a convolutional network.
    pub fn settings(&self) -> Result<Vec<(&'static str, Value)>> {
        let shapes = self.shapes("encoder")?;
        let decoder = self.shapes("decoder")?;
        let of_rank =
            |rank: usize| shapes.layers.values().filter(|shape| shape.len() == rank).cloned().collect::<Vec<_>>();
        let (linear, convolutions, norms) = (of_rank(2), of_rank(4), of_rank(1));
        let Some(last) = linear.last() else {
            return Err(Error::Failed(format!("{}: the encoder has no linear layer that gives the code", self.origin)));
        };
        let integers =
            |values: Vec<usize>| Value::Array(values.into_iter().map(|value| Value::Integer(value as i64)).collect());
        let integer = |value: usize| Value::Integer(value as i64);
        let text = |value: &str| Value::String(value.to_string());
        // The encoder of a Gaussian code gives two numbers for each unit that the decoder reads.
        let read = decoder.layers.values().find(|shape| shape.len() == 2).map_or(last[0], |shape| shape[1]);
        let is_gaussian = last[0] == 2 * read;
        let mut settings = vec![("model.code_dim", integer(if is_gaussian { read } else { last[0] }))];
        if is_gaussian {
            settings.push(("model.code.kind", text("gaussian")));
        }
        if convolutions.is_empty() {
            let down: Vec<usize> = linear[..linear.len() - 1].iter().map(|shape| shape[0]).collect();
            // The input width of a layer is the output width of the one before it.
            let up: Vec<usize> =
                decoder.layers.values().filter(|shape| shape.len() == 2).skip(1).map(|shape| shape[1]).collect();
            let is_mirrored = up.iter().eq(down.iter().rev());
            settings.extend([("model.network.kind", text("mlp")), ("model.network.hidden", integers(down))]);
            if !is_mirrored {
                settings.push(("model.network.decoder_hidden", integers(up)));
            }
        } else {
            let channels = convolutions.iter().map(|shape| shape[0]).collect();
            settings.extend([
                ("model.network.kind", text("conv")),
                ("model.network.channels", integers(channels)),
                ("model.network.kernel", integer(convolutions[0][2])),
            ]);
        }
        if !norms.is_empty() {
            let is_batch = self.state.keys().any(|name| name.starts_with("encoder.") && name.ends_with("running_mean"));
            settings.push(("model.network.norm", text(if is_batch { "batch" } else { "layer" })));
        }
        if self.state.contains_key("code.threshold") {
            settings.push(("model.code.kind", text("lifetime")));
        }
        Ok(settings)
    }

    /// Offset and scale of each feature that the weights expect, if the file contains them.
    ///
    /// # Errors
    /// A scale of 0.
    pub fn scaling(&self) -> Result<Option<[Vec<f64>; 2]>> {
        let (Some(offset), Some(scale)) = (self.scaling.get("offset"), self.scaling.get("scale")) else {
            return Ok(None);
        };
        match scale.iter().any(|scale| *scale == 0.0 || !scale.is_finite()) || offset.len() != scale.len() {
            true => Err(Error::Failed(format!(
                "{}: `scaling.scale` contains a 0, or not as many numbers as `scaling.offset`",
                self.origin
            ))),
            false => Ok(Some([offset.clone(), scale.clone()])),
        }
    }

    /// `model` with these weights instead of its own.
    ///
    /// # Errors
    /// A layer without weights, weights of another shape, or weights without a layer.
    pub fn load(&self, model: Model, device: &Device) -> Result<Model> {
        let mut left = self.state.clone();
        let mut failed = None;
        let mut places = [0, 0];
        let mut model = model.map_layers(|is_decoder, layer| {
            let place = places[usize::from(is_decoder)];
            places[usize::from(is_decoder)] += 1;
            let name = format!("{}.{place}", if is_decoder { "decoder" } else { "encoder" });
            let mut loader = Loader { left: &mut left, name, origin: &self.origin, device };
            loader.layer(layer.clone()).unwrap_or_else(|error| {
                failed.get_or_insert(error);
                layer
            })
        });
        if let Some(error) = failed {
            return Err(error);
        }
        if let Some(code) = model.code.get_mut::<Lifetime>() {
            let shape = code.threshold.value_sync().dims();
            let mut loader = Loader { left: &mut left, name: "code".to_string(), origin: &self.origin, device };
            code.threshold = RunningState::new(loader.tensor("threshold", shape)?);
        }
        match left.keys().next() {
            Some(name) => Err(Error::Failed(format!(
                "{}: `{name}` belongs to no layer of the network described by the settings: check `model.network` (an \
                 `nn.Sequential` counts its activations too)",
                self.origin
            ))),
            None => Ok(model),
        }
    }
}

/// Takes the tensors of one layer.
struct Loader<'a> {
    left: &'a mut State,
    name: String,
    origin: &'a str,
    device: &'a Device,
}

impl Loader<'_> {
    fn tensor<const D: usize>(&mut self, part: &str, shape: [usize; D]) -> Result<Tensor<D>> {
        let name = format!("{}.{part}", self.name);
        let Some(numbers) = self.left.remove(&name) else {
            let advice = "check `model.network` (an `nn.Sequential` counts its activations too)";
            return Err(Error::Failed(format!("{} has no `{name}` of shape {shape:?}: {advice}", self.origin)));
        };
        if numbers.shape != shape {
            return Err(Error::Failed(format!(
                "{}: `{name}` has shape {:?}, but {shape:?} is needed",
                self.origin, numbers.shape
            )));
        }
        Ok(Tensor::from_data(TensorData::new(numbers.values, shape), self.device))
    }

    fn layer(&mut self, layer: Layer) -> Result<Layer> {
        Ok(match layer {
            Layer::Linear { weight, bias } => {
                let [from, to] = weight.dims();
                Layer::Linear {
                    weight: self.tensor("weight", [to, from])?.transpose(),
                    bias: self.tensor("bias", bias.dims())?,
                }
            }
            Layer::Conv { weight, bias, stride } => Layer::Conv {
                weight: self.tensor("weight", weight.dims())?,
                bias: self.tensor("bias", bias.dims())?,
                stride,
            },
            Layer::ConvTranspose { weight, bias, stride, padding_out } => Layer::ConvTranspose {
                weight: self.tensor("weight", weight.dims())?,
                bias: self.tensor("bias", bias.dims())?,
                stride,
                padding_out,
            },
            Layer::LayerNorm { gamma, beta } => Layer::LayerNorm {
                gamma: self.tensor("weight", gamma.dims())?,
                beta: self.tensor("bias", beta.dims())?,
            },
            Layer::BatchNorm { gamma, beta, mean, variance, epsilon } => Layer::BatchNorm {
                gamma: self.tensor("weight", gamma.dims())?,
                beta: self.tensor("bias", beta.dims())?,
                mean: self.tensor("running_mean", mean.dims())?,
                variance: self.tensor("running_var", variance.dims())?,
                epsilon,
            },
            layer @ (Layer::Activation(_) | Layer::Unflatten(_) | Layer::Flatten) => layer,
            Layer::Skip { .. } => {
                let advice = "import it from a folder of SAELens";
                return Err(Error::Failed(format!("an `nn.Sequential` has no skip connection: {advice}")));
            }
        })
    }
}
