//! Sparse dictionaries in the format of SAELens 6: a folder with `cfg.json` and `sae_weights.safetensors`.
//!
//! `z = (x - b_dec) W_enc + b_enc`, `x^ = f W_dec + b_dec`, or for a transcoder `z = x W_enc + b_enc`, `y^ = f W_dec +
//! x W_skip^T + b_dec`, in the units of the data: the scaling of the run is folded into the weights. The code `f` is
//! that of the run, up to rounding.

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
    tensors::{Place, Tensors, once, same, transposed},
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
    /// Whether it is a transcoder.
    is_transcoder: bool,
    places: &'static [Place],
}

const WITH_BIAS: [Place; 4] = [same("W_enc"), same("W_dec"), same("b_dec"), same("b_enc")];
const WITH_THRESHOLDS: [Place; 5] = [same("W_enc"), same("W_dec"), same("b_dec"), same("b_enc"), same("threshold")];
/// Trainings that choose units of a whole batch have one threshold, which the trained model applies to every unit.
const WITH_ONE_THRESHOLD: [Place; 5] =
    [same("W_enc"), same("W_dec"), same("b_dec"), same("b_enc"), once("threshold", "topk_threshold")];
const WITH_GATES: [Place; 6] =
    [same("W_enc"), same("W_dec"), same("b_dec"), same("b_gate"), same("b_mag"), same("r_mag")];

const WITH_SKIP: [Place; 5] =
    [same("W_enc"), same("W_dec"), same("b_dec"), same("b_enc"), transposed("W_skip", "W_skip")];
const WITH_THRESHOLDS_AND_SKIP: [Place; 6] =
    [same("W_enc"), same("W_dec"), same("b_dec"), same("b_enc"), same("threshold"), transposed("W_skip", "W_skip")];

/// An architecture, whose model after training is `read_as`.
const fn of(name: &'static str, read_as: &'static str, compares: bool, places: &'static [Place]) -> Architecture {
    Architecture { name, read_as, compares, is_transcoder: false, places }
}

/// A transcoder, whose units are like those of `read_as`.
const fn transcoder(name: &'static str, read_as: &'static str, places: &'static [Place]) -> Architecture {
    Architecture { name, read_as, compares: false, is_transcoder: true, places }
}

/// The architectures that are known. The last two are those of checkpoints.
const ARCHITECTURES: [Architecture; 10] = [
    of("standard", "standard", false, &WITH_BIAS),
    of("topk", "topk", true, &WITH_BIAS),
    of("jumprelu", "jumprelu", false, &WITH_THRESHOLDS),
    of("gated", "gated", false, &WITH_GATES),
    transcoder("transcoder", "standard", &WITH_BIAS),
    transcoder("skip_transcoder", "standard", &WITH_SKIP),
    transcoder("jumprelu_transcoder", "jumprelu", &WITH_THRESHOLDS),
    transcoder("jumprelu_skip_transcoder", "jumprelu", &WITH_THRESHOLDS_AND_SKIP),
    of("batchtopk", "jumprelu", true, &WITH_ONE_THRESHOLD),
    of("matryoshka_batchtopk", "jumprelu", true, &WITH_ONE_THRESHOLD),
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
        let ([Layer::Linear { weight, bias }], [Layer::Linear { weight: atoms, bias: center }, rest @ ..]) =
            (encoder.as_slice(), decoder.as_slice())
        else {
            return refused("encoder and decoder of a dictionary are single layers without an activation");
        };
        let skip = match rest {
            [] => None,
            [Layer::Skip { weight }] => Some(values(weight)?),
            _ => return refused("encoder and decoder of a dictionary are single layers without an activation"),
        };
        let is_transcoder = trained.schema.target.is_some();
        if trained.model.mask_input {
            return refused("its encoder also reads which values are missing (`model.mask_input`)");
        }
        if !matches!(meanings(trained)?.as_slice(), [(Meaning::Values, ..)]) {
            return refused("its decoder gives logits, not the values of numbers");
        }
        let ([width, units], outputs) = (weight.dims(), atoms.dims()[1]);
        let (offset, scale): (Vec<f64>, Vec<f64>) =
            (0..width).map(|feature| trained.schema.scaling.of(feature)).unzip();
        let (offset_out, scale_out): (Vec<f64>, Vec<f64>) =
            (0..outputs).map(|feature| trained.schema.output_scaling().of(feature)).unzip();
        // z = ((x - offset) / scale) W + b and y^ = (f D + ((x - offset) / scale) S + c) scale' + offset'. A model that
        // is not a transcoder reconstructs x: with b_dec = offset + c scale this is z = (x - b_dec) (W / scale) +
        // (b + c W) and x^ = f (D scale) + b_dec. A transcoder has no center: its offset is in its biases.
        let (weight, atoms) = (values(weight)?, values(atoms)?);
        let (bias, center) = (values(bias)?, values(center)?);
        let w_enc = (0..width * units).map(|at| (f64::from(weight[at]) / scale[at / units]) as f32).collect();
        let w_dec = (0..units * outputs).map(|at| (f64::from(atoms[at]) * scale_out[at % outputs]) as f32).collect();
        let at_zero = |at: usize| -offset[at] / scale[at];
        let b_enc: Vec<f32> = (0..units)
            .map(|unit| {
                let shift = |at: usize| if is_transcoder { at_zero(at) } else { f64::from(center[at]) };
                let moved = (0..width).map(|at| shift(at) * f64::from(weight[at * units + unit]));
                (f64::from(bias[unit]) + moved.sum::<f64>()) as f32
            })
            .collect();
        let b_dec = (0..outputs)
            .map(|to| {
                let skipped = skip.as_ref().map_or(0.0, |skip| {
                    (0..width).map(|at| at_zero(at) * f64::from(skip[at * outputs + to])).sum::<f64>()
                });
                (offset_out[to] + (f64::from(center[to]) + skipped) * scale_out[to]) as f32
            })
            .collect();
        let of = |shape: &[usize], values: Vec<f32>| Numbers { shape: shape.to_vec(), values };
        let mut tensors = BTreeMap::from([
            ("W_enc", of(&[width, units], w_enc)),
            ("W_dec", of(&[units, outputs], w_dec)),
            ("b_dec", of(&[outputs], b_dec)),
        ]);
        if let Some(skip) = skip {
            let scaled = |at: usize| f64::from(skip[at]) / scale[at / outputs] * scale_out[at % outputs];
            tensors.insert("W_skip", of(&[width, outputs], (0..skip.len()).map(|at| scaled(at) as f32).collect()));
        }
        let is_centered = !is_transcoder;
        if let Some(code) = trained.model.code.get::<Gated>() {
            if is_transcoder {
                return refused("a transcoder with a gated code");
            }
            let (r_mag, shift) = (values(&code.scale.val())?, values(&code.shift.val())?);
            let b_mag = (0..units).map(|unit| shift[unit] + b_enc[unit] * r_mag[unit].exp()).collect();
            tensors.insert("b_mag", of(&[units], b_mag));
            tensors.insert("r_mag", of(&[units], r_mag));
            tensors.insert("b_gate", of(&[units], b_enc));
            return Ok(Self {
                architecture: "gated",
                k: None,
                by_length: false,
                is_centered,
                is_transcoder,
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
            Plain::Largest(_) if is_transcoder => return refused("a transcoder with a top_k code"),
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
        Ok(Self { architecture, k, by_length: false, is_centered, is_transcoder, tensors, notes: Vec::new() })
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
        let has_skip = self.tensors.contains_key("W_skip");
        let architecture = match (self.is_transcoder, self.architecture) {
            (false, architecture) => architecture,
            (true, "jumprelu") if has_skip => "jumprelu_skip_transcoder",
            (true, "jumprelu") => "jumprelu_transcoder",
            (true, _) if has_skip => "skip_transcoder",
            (true, _) => "transcoder",
        };
        let mut config = json!({
            "architecture": architecture,
            "d_in": shape[0],
            "d_sae": shape[1],
            "dtype": "float32",
            "device": "cpu",
            "apply_b_dec_to_input": self.is_centered,
            "normalize_activations": "none",
            "reshape_activations": "none",
            "metadata": metadata,
        });
        if self.is_transcoder {
            config["d_out"] = Value::from(self.tensors["W_dec"].shape[1]);
        }
        if let Some(k) = self.k {
            config["k"] = Value::from(k);
            config["rescale_acts_by_decoder_norm"] = Value::from(self.by_length);
        }
        let config = serde_json::to_string_pretty(&config).expect("data is JSON") + "\n";
        let bytes = |numbers: &Numbers| -> Vec<u8> { numbers.values.iter().flat_map(|v| v.to_le_bytes()).collect() };
        let skip = self.tensors.get("W_skip").map(Numbers::transposed);
        let stored = |name: &str, numbers| if name == "W_skip" { skip.as_ref().unwrap_or(numbers) } else { numbers };
        let tensors: Vec<(&str, &Numbers, Vec<u8>)> = self
            .tensors
            .iter()
            .map(|(name, numbers)| {
                let numbers = stored(name, numbers);
                (*name, numbers, bytes(numbers))
            })
            .collect();
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
    let tensors = tensors.placed_as(known.is_transcoder, known.places, &format!("the architecture {name}"), &advice)?;
    config.agrees(["d_in", "d_sae"], &tensors)?;
    let outputs = tensors["W_dec"].shape[1];
    if let Some(said) = config.integer("d_out")?.filter(|said| known.is_transcoder && *said != outputs) {
        return Err(config.wrong(&format!(
            "`d_out` is {said}, but the weights predict rows of {outputs} features: the two files do not belong \
             together"
        )));
    }
    let is_centered = config.flag("apply_b_dec_to_input")?;
    if known.is_transcoder && is_centered == Some(true) {
        return Err(config.wrong("`apply_b_dec_to_input` is true, but must be false for a transcoder"));
    }
    Ok(Sae {
        architecture: known.read_as,
        k,
        // Only the codes that compare units read it.
        by_length: known.compares && config.flag("rescale_acts_by_decoder_norm")?.unwrap_or(false),
        is_centered: is_centered.unwrap_or(!known.is_transcoder),
        is_transcoder: known.is_transcoder,
        tensors,
        notes: Vec::new(),
    })
}

fn values<const D: usize>(tensor: &Tensor<D>) -> Result<Vec<f32>> {
    numbers(tensor.clone())
}
