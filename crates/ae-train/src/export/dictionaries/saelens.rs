//! Sparse dictionaries in the format of SAELens 6: a folder with `cfg.json` and `sae_weights.safetensors`.
//!
//! `z = (x - b_dec) W_enc + b_enc`, `x^ = f W_dec + b_dec`, in the units of the data: the scaling of the run is folded
//! into the weights. The code `f` is that of the run, up to rounding.

use std::{collections::BTreeMap, path::Path};

use ae_model::{
    Activation, Code,
    code::{Gated, Plain},
    network::layers::Layer,
};
use burn::tensor::Tensor;
use safetensors::{Dtype, tensor::TensorView};
use serde_json::{Value, json};

use super::{
    config::Config,
    format::Format,
    sae::Sae,
    tensors::{Place, Tensors, once, same},
};
use crate::{
    Error, Result,
    export::{Meaning, Numbers, meanings, plain},
    summary::Summary,
    tensors::numbers,
    trained::Trained,
};

/// The names of the two files.
pub const FILES: [&str; 2] = ["cfg.json", "sae_weights.safetensors"];

pub(super) const FORMAT: Format = Format { name: "SAELens", file: FILES[1], extensions: &[], read };

/// An architecture of SAELens.
struct Architecture {
    name: &'static str,
    /// The architecture of the model after training.
    read_as: &'static str,
    /// Whether it can compare its units by what they add to the reconstruction.
    compares: bool,
    places: &'static [Place],
}

const WITH_BIAS: [Place; 4] = [same("W_enc"), same("W_dec"), same("b_dec"), same("b_enc")];
const WITH_THRESHOLDS: [Place; 5] = [same("W_enc"), same("W_dec"), same("b_dec"), same("b_enc"), same("threshold")];
/// Trainings that choose units of a whole batch have one threshold, which the trained model applies to every unit.
const WITH_ONE_THRESHOLD: [Place; 5] =
    [same("W_enc"), same("W_dec"), same("b_dec"), same("b_enc"), once("threshold", "topk_threshold")];
const WITH_GATES: [Place; 6] =
    [same("W_enc"), same("W_dec"), same("b_dec"), same("b_gate"), same("b_mag"), same("r_mag")];

/// The architectures that are known. The last two are those of checkpoints.
const ARCHITECTURES: [Architecture; 6] = [
    Architecture { name: "standard", read_as: "standard", compares: false, places: &WITH_BIAS },
    Architecture { name: "topk", read_as: "topk", compares: true, places: &WITH_BIAS },
    Architecture { name: "jumprelu", read_as: "jumprelu", compares: false, places: &WITH_THRESHOLDS },
    Architecture { name: "gated", read_as: "gated", compares: false, places: &WITH_GATES },
    Architecture { name: "batchtopk", read_as: "jumprelu", compares: true, places: &WITH_ONE_THRESHOLD },
    Architecture { name: "matryoshka_batchtopk", read_as: "jumprelu", compares: true, places: &WITH_ONE_THRESHOLD },
];

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
            return Ok(Self {
                architecture: "gated",
                k: None,
                by_length: false,
                is_centered: true,
                tensors,
                notes: Vec::new(),
            });
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
        Ok(Self { architecture, k, by_length: false, is_centered: true, tensors, notes: Vec::new() })
    }

    /// The configuration, and the weights as the bytes of a safetensors file. `summary` is the result of the run, for
    /// the metadata.
    ///
    /// # Errors
    /// Thresholds in units of lengths, which SAELens does not have after training; tensors whose shapes do not match
    /// their values, which is a bug.
    pub fn files(&self, trained: &Trained, summary: Option<&Summary>) -> Result<[Vec<u8>; 2]> {
        if self.by_length && self.k.is_none() {
            return Err(Error::Failed("its atoms must have length 1: import it and export the run".to_string()));
        }
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

/// Reads the folder of `weights`, which SAELens or [`files`](Sae::files) has written: a model, or a checkpoint of a
/// training. `apply_b_dec_to_input` is true and `rescale_acts_by_decoder_norm` false where they are left out, as in
/// SAELens.
fn read(weights: &Path) -> Result<Sae> {
    let config = Config::read(&weights.with_file_name(FILES[0]))?;
    let Some(name) = config.text("architecture")? else {
        return Err(config.wrong("`architecture` is missing, such as \"standard\""));
    };
    let Some(known) = ARCHITECTURES.iter().find(|known| known.name == name) else {
        let names: Vec<&str> = ARCHITECTURES.iter().map(|known| known.name).collect();
        return Err(config.wrong(&format!(
            "`architecture` is {name}, which cannot be read: it must be one of {}",
            names.join(", ")
        )));
    };
    for key in ["normalize_activations", "reshape_activations"] {
        let value = config.text(key)?.unwrap_or("none");
        if value != "none" {
            let what = "rows are changed before the model reads them, which is not part of the weights";
            return Err(config.wrong(&format!("`{key}` is {value}, but must be none: {what}")));
        }
    }
    // A training that chooses units of a whole batch has a `k` as well, which need not be an integer.
    let k = match known.read_as {
        "topk" => match config.integer("k")? {
            None => return Err(config.wrong("`k` is missing, the number of active units of a topk")),
            k => k,
        },
        _ => None,
    };
    let advice = format!("check `architecture` in {}", FILES[0]);
    let mut tensors = Tensors::read(weights)?;
    // Before SAELens 6.48 a training had the logarithm.
    if known.name == "jumprelu" && !tensors.has("threshold") {
        tensors.change("log_threshold", "threshold", f32::exp);
    }
    let tensors = tensors.placed(known.places, &format!("the architecture {name}"), &advice)?;
    config.agrees(["d_in", "d_sae"], &tensors)?;
    Ok(Sae {
        architecture: known.read_as,
        k,
        // Only the codes that compare units read it.
        by_length: known.compares && config.flag("rescale_acts_by_decoder_norm")?.unwrap_or(false),
        is_centered: config.flag("apply_b_dec_to_input")?.unwrap_or(true),
        tensors,
        notes: Vec::new(),
    })
}

fn values<const D: usize>(tensor: &Tensor<D>) -> Result<Vec<f32>> {
    numbers(tensor.clone())
}
