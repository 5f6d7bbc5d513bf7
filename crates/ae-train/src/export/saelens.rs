//! Sparse dictionaries in the format of SAELens 6: a folder with `cfg.json` and `sae_weights.safetensors`.
//!
//! `z = (x - b_dec) W_enc + b_enc`, `x^ = f W_dec + b_dec`, in the units of the data: the scaling of the run is folded
//! into the weights. The code `f` is that of the run, up to rounding.

use std::{collections::BTreeMap, fs, path::Path};

use ae_model::{
    Activation, Code, Model,
    code::{Gated, JumpRelu, Plain},
    network::{NetworkDecoder, NetworkEncoder, layers::Layer},
};
use burn::{
    module::Param,
    tensor::{Device, Tensor, TensorData},
};
use safetensors::{Dtype, tensor::TensorView};
use serde_json::{Value, json};

use super::{Meaning, Numbers, import::Weights, meanings, plain};
use crate::{Error, Result, summary::Summary, tensors::numbers, trained::Trained};

/// The names of the two files.
pub const FILES: [&str; 2] = ["cfg.json", "sae_weights.safetensors"];

/// The architectures that are known, with the tensors of each beside `W_enc`, `W_dec` and `b_dec`.
const ARCHITECTURES: [(&str, &[&str]); 4] = [
    ("standard", &["b_enc"]),
    ("topk", &["b_enc"]),
    ("jumprelu", &["b_enc", "threshold"]),
    ("gated", &["b_gate", "b_mag", "r_mag"]),
];

/// A dictionary as SAELens describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Sae {
    /// `standard`, `topk`, `jumprelu` or `gated`.
    pub architecture: &'static str,
    /// `k` of `topk`.
    pub k: Option<usize>,
    /// Whether `topk` compares its units by what they add to the reconstruction.
    pub by_length: bool,
    /// Whether `b_dec` is subtracted from the input.
    pub is_centered: bool,
    /// The tensors by name: `W_enc` `[d_in, d_sae]`, `W_dec` `[d_sae, d_in]`, `b_dec` `[d_in]`, `b_enc` `[d_sae]`; with
    /// `jumprelu` also `threshold` `[d_sae]`; with `gated` `b_gate`, `b_mag` and `r_mag` `[d_sae]` instead of `b_enc`.
    pub tensors: BTreeMap<&'static str, Numbers>,
}

impl Sae {
    /// The dictionary of a run.
    ///
    /// # Errors
    /// A model that is not a dictionary: more than one layer in encoder or decoder, values other than numbers, an
    /// encoder that reads which values are missing, or a code that SAELens does not know.
    pub fn of(trained: &Trained) -> Result<Self> {
        let refused = |what: &str| Err(Error::Failed(format!("SAELens has no model like this: {what}")));
        let [encoder, decoder] = trained.model.layers();
        let ([Layer::Linear { weight, bias }], [Layer::Linear { weight: atoms, bias: center }]) =
            (encoder.as_slice(), decoder.as_slice())
        else {
            return refused("encoder and decoder of a dictionary are single layers without an activation");
        };
        if trained.model.mask_input {
            return refused("its encoder also reads which values are missing (`model.mask_input`)");
        }
        if !matches!(meanings(trained)?.as_slice(), [(Meaning::Values, ..)]) {
            return refused("its decoder gives logits, not the values of numbers");
        }
        let (units, width) = (atoms.dims()[0], atoms.dims()[1]);
        let (offset, scale): (Vec<f64>, Vec<f64>) =
            (0..width).map(|feature| trained.schema.scaling.of(feature)).unzip();
        // z = ((x - offset) / scale) W + b and x^ = (f D + c) scale + offset. With b_dec = offset + c scale this is
        // z = (x - b_dec) (W / scale) + (b + c W) and x^ = f (D scale) + b_dec.
        let (weight, atoms) = (values(weight)?, values(atoms)?);
        let (bias, center) = (values(bias)?, values(center)?);
        let w_enc = (0..width * units).map(|at| (f64::from(weight[at]) / scale[at / units]) as f32).collect();
        let w_dec = (0..units * width).map(|at| (f64::from(atoms[at]) * scale[at % width]) as f32).collect();
        let b_dec = (0..width).map(|at| (offset[at] + f64::from(center[at]) * scale[at]) as f32).collect();
        let b_enc: Vec<f32> = (0..units)
            .map(|unit| {
                let moved = (0..width).map(|at| f64::from(center[at]) * f64::from(weight[at * units + unit]));
                (f64::from(bias[unit]) + moved.sum::<f64>()) as f32
            })
            .collect();
        let of = |shape: &[usize], values: Vec<f32>| Numbers { shape: shape.to_vec(), values };
        let mut tensors = BTreeMap::from([
            ("W_enc", of(&[width, units], w_enc)),
            ("W_dec", of(&[units, width], w_dec)),
            ("b_dec", of(&[width], b_dec)),
        ]);
        if let Some(code) = trained.model.code.get::<Gated>() {
            let (r_mag, shift) = (values(&code.scale.val())?, values(&code.shift.val())?);
            let b_mag = (0..units).map(|unit| shift[unit] + b_enc[unit] * r_mag[unit].exp()).collect();
            tensors.insert("b_mag", of(&[units], b_mag));
            tensors.insert("r_mag", of(&[units], r_mag));
            tensors.insert("b_gate", of(&[units], b_enc));
            return Ok(Self { architecture: "gated", k: None, by_length: false, is_centered: true, tensors });
        }
        tensors.insert("b_enc", of(&[units], b_enc));
        if trained.model.code.activation() != Activation::Relu {
            return refused(&format!("its units are {}, not relu", trained.model.code.activation()));
        }
        let (architecture, k) = match plain(&trained.model.code)? {
            Plain::Activation => ("standard", None),
            Plain::Largest(k) => ("topk", Some(k)),
            Plain::Above(threshold) => {
                let threshold = values(&threshold)?;
                let each = if threshold.len() == units { threshold } else { vec![threshold[0]; units] };
                tensors.insert("threshold", of(&[units], each));
                ("jumprelu", None)
            }
            Plain::AtLeast(_) | Plain::First => {
                return refused(&format!("its code is {}", trained.config.model.code.name()));
            }
        };
        Ok(Self { architecture, k, by_length: false, is_centered: true, tensors })
    }

    /// The configuration, and the weights as the bytes of a safetensors file. `summary` is the result of the run, for
    /// the metadata.
    ///
    /// # Errors
    /// Tensors whose shapes do not match their values, which is a bug.
    pub fn files(&self, trained: &Trained, summary: Option<&Summary>) -> Result<[Vec<u8>; 2]> {
        let shape = &self.tensors["W_enc"].shape;
        let mut metadata = json!({
            "training_architecture": trained.config.model.code.name(),
            "trained_with": concat!("burn-autoencoders ", env!("CARGO_PKG_VERSION")),
            "variant": trained.config.variant,
            "dataset": trained.schema.name,
            "fingerprint": trained.schema.fingerprint,
        });
        if let Some(summary) = summary {
            metadata["l0"] = summary.code.l0.into();
            metadata["num_dead_features"] = summary.code.dead_units.into();
            metadata["fraction_of_variance_unexplained"] = summary.test.model.fvu.into();
        }
        let mut config = json!({
            "architecture": self.architecture,
            "d_in": shape[0],
            "d_sae": shape[1],
            "dtype": "float32",
            "device": "cpu",
            "apply_b_dec_to_input": self.is_centered,
            "normalize_activations": "none",
            "reshape_activations": "none",
            "metadata": metadata,
        });
        if let Some(k) = self.k {
            config["k"] = Value::from(k);
            config["rescale_acts_by_decoder_norm"] = Value::from(self.by_length);
        }
        let config = serde_json::to_string_pretty(&config).expect("data is JSON") + "\n";
        let bytes = |numbers: &Numbers| -> Vec<u8> { numbers.values.iter().flat_map(|v| v.to_le_bytes()).collect() };
        let tensors: Vec<(&str, &Numbers, Vec<u8>)> =
            self.tensors.iter().map(|(name, numbers)| (*name, numbers, bytes(numbers))).collect();
        let failed =
            |error: safetensors::SafeTensorError| Error::Failed(format!("cannot serialize the weights: {error}"));
        let views = tensors
            .iter()
            .map(|(name, numbers, bytes)| {
                Ok((*name, TensorView::new(Dtype::F32, numbers.shape.clone(), bytes).map_err(failed)?))
            })
            .collect::<Result<Vec<_>>>()?;
        Ok([config.into_bytes(), safetensors::serialize(views, None).map_err(failed)?])
    }
}

impl Sae {
    /// Reads a folder that SAELens or [`files`](Self::files) has written. `apply_b_dec_to_input` is true and
    /// `rescale_acts_by_decoder_norm` false where they are left out, as in SAELens.
    ///
    /// # Errors
    /// A folder without the two files, an architecture that is not known, activations that are normalized at run time,
    /// or tensors that are missing, not known or of another shape: each by its name.
    pub fn read(folder: &Path) -> Result<Self> {
        let [config_file, weights_file] = FILES.map(|name| folder.join(name));
        let text = fs::read_to_string(&config_file).map_err(|error| Error::at("read", &config_file, error))?;
        let origin = config_file.display();
        let config: Value =
            serde_json::from_str(&text).map_err(|error| Error::Failed(format!("{origin} is not JSON: {error}")))?;
        let wrong = |what: String| Error::Failed(format!("{origin}: {what}"));
        let Some(name) = config["architecture"].as_str() else {
            return Err(wrong("`architecture` is missing, such as \"standard\"".to_string()));
        };
        let known = ARCHITECTURES.map(|(name, _)| name);
        let Some((architecture, others)) = ARCHITECTURES.into_iter().find(|(known, _)| *known == name) else {
            return Err(wrong(format!(
                "`architecture` is {name}, which cannot be read: it must be one of {}",
                known.join(", ")
            )));
        };
        for key in ["normalize_activations", "reshape_activations"] {
            let value = config[key].as_str().unwrap_or("none");
            if value != "none" {
                let what = "rows are changed before the model reads them, which is not part of the weights";
                return Err(wrong(format!("`{key}` is {value}, but must be none: {what}")));
            }
        }
        let k = match (architecture, config["k"].as_u64()) {
            ("topk", None) => return Err(wrong("`k` is missing, the number of active units of a topk".to_string())),
            ("topk", Some(k)) => Some(k as usize),
            _ => None,
        };
        let mut tensors = BTreeMap::new();
        let origin = weights_file.display().to_string();
        let mut state = Weights::read(&weights_file)?.into_state();
        for name in ["W_enc", "W_dec", "b_dec"].iter().chain(others) {
            let numbers = state.remove(*name).ok_or_else(|| {
                Error::Failed(format!("{origin} has no tensor `{name}`, which the architecture {architecture} needs"))
            })?;
            tensors.insert(*name, numbers);
        }
        if let Some(name) = state.keys().next() {
            return Err(Error::Failed(format!(
                "{origin}: the architecture {architecture} has no tensor `{name}`: check `architecture` in {}",
                FILES[0]
            )));
        }
        let [width, units] = match tensors["W_enc"].shape.as_slice() {
            &[width, units] => [width, units],
            shape => {
                return Err(Error::Failed(format!("{origin}: `W_enc` has the shape {shape:?}, not [d_in, d_sae]")));
            }
        };
        for (name, numbers) in &tensors {
            let expected = match *name {
                "W_enc" => vec![width, units],
                "W_dec" => vec![units, width],
                "b_dec" => vec![width],
                _ => vec![units],
            };
            if numbers.shape != expected {
                let found = &numbers.shape;
                return Err(Error::Failed(format!(
                    "{origin}: `{name}` has the shape {found:?}, but beside `W_enc` of {width} x {units} it must be \
                     {expected:?}"
                )));
            }
            if let Some(place) = numbers.values.iter().position(|value| !value.is_finite()) {
                return Err(Error::Failed(format!("{origin}: `{name}` is not finite at position {place}")));
            }
        }
        let flag = |key: &str, otherwise: bool| config[key].as_bool().unwrap_or(otherwise);
        Ok(Self {
            architecture,
            k,
            by_length: flag("rescale_acts_by_decoder_norm", false),
            is_centered: flag("apply_b_dec_to_input", true),
            tensors,
        })
    }

    /// The settings of a run with this model, which reads its rows as they are.
    pub fn settings(&self) -> Vec<(&'static str, toml::Value)> {
        let text = |value: &str| toml::Value::String(value.to_string());
        let integer = |value: usize| toml::Value::Integer(value as i64);
        let variant = match self.architecture {
            "jumprelu" => "jump_relu",
            "topk" => "k_sparse",
            _ => "overcomplete",
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

    /// A model of these [settings](Self::settings) with these weights instead of its own. With a top-k code that
    /// compares by lengths, its atoms have length 1 and its code is SAELens'.
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
        let bias = vector(if self.architecture == "gated" { "b_gate" } else { "b_enc" });
        let (encoder, decoder) = (&mut model.encoder, &mut model.decoder);
        match (encoder, decoder) {
            (NetworkEncoder::Dictionary(encoder), NetworkDecoder::Dictionary(decoder)) => {
                encoder.weight = Param::from_tensor(weight);
                encoder.bias = Param::from_tensor(bias.clone());
                decoder.weight = Param::from_tensor(atoms);
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
        if let Some(code) = model.code.get_mut::<JumpRelu>() {
            code.threshold = Param::from_tensor(vector("threshold"));
        }
        if let Some(code) = model.code.get_mut::<Gated>() {
            let scale = vector("r_mag");
            code.shift = Param::from_tensor(vector("b_mag") - bias * scale.clone().exp());
            code.scale = Param::from_tensor(scale);
        }
        // SAELens' codes are multiplied by the lengths.
        Ok(if self.k.is_some() && self.by_length { model.folded() } else { model })
    }
}

fn values<const D: usize>(tensor: &Tensor<D>) -> Result<Vec<f32>> {
    numbers(tensor.clone())
}
