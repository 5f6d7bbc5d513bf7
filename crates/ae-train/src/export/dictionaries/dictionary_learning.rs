//! Dictionaries of dictionary_learning (Marks, Karvonen and Mueller): `ae.pt`, mostly with `config.json` beside it.
//!
//! A file has the tensors of one of seven classes, and nothing that names the class, which `config.json` does. Without
//! it the class follows from the names of the tensors, unless two classes have the same.

use std::path::{Path, PathBuf};

use super::{
    checkpoint,
    config::Config,
    format::Format,
    sae::Sae,
    tensors::{Place, Tensors, once, renamed, same, shown, transposed},
};
use crate::{Result, export::Numbers};

pub(super) const FORMAT: Format =
    Format { name: "dictionary_learning", file: "ae.pt", extensions: &["pt", "pth"], read };

/// A class of dictionary_learning.
struct Class {
    name: &'static str,
    architecture: &'static str,
    /// Whether it subtracts `b_dec` from its input.
    is_centered: bool,
    places: &'static [Place],
    /// Tensors that a file may have beside them, and that a trained model does not encode with.
    unused: &'static [&'static str],
    /// A tensor without which a file is not taken for this class, unless `config.json` says so.
    mark: &'static str,
}

const ENCODER: Place = transposed("W_enc", "encoder.weight");
const DECODER: Place = transposed("W_dec", "decoder.weight");
const BIAS: Place = renamed("b_enc", "encoder.bias");

const CLASSES: [Class; 7] = [
    // f = relu((x - bias) W + b)
    Class {
        name: "AutoEncoder",
        architecture: "standard",
        is_centered: true,
        places: &[ENCODER, DECODER, BIAS, renamed("b_dec", "bias")],
        unused: &[],
        mark: "bias",
    },
    // f = relu(x W + b)
    Class {
        name: "AutoEncoderNew",
        architecture: "standard",
        is_centered: false,
        places: &[ENCODER, DECODER, BIAS, renamed("b_dec", "decoder.bias")],
        unused: &[],
        mark: "decoder.bias",
    },
    // The k largest values of relu((x - b_dec) W + b)
    Class {
        name: "AutoEncoderTopK",
        architecture: "topk",
        is_centered: true,
        places: &[ENCODER, DECODER, BIAS, same("b_dec")],
        unused: &["k", "threshold"],
        mark: "k",
    },
    // f = relu(z) [relu(z) > threshold], z = (x - b_dec) W + b
    Class {
        name: "BatchTopKSAE",
        architecture: "jumprelu",
        is_centered: true,
        places: &[ENCODER, DECODER, BIAS, same("b_dec"), once("threshold", "threshold")],
        unused: &["k"],
        mark: "k",
    },
    // The same
    Class {
        name: "MatryoshkaBatchTopKSAE",
        architecture: "jumprelu",
        is_centered: true,
        places: &[same("W_enc"), same("W_dec"), same("b_enc"), same("b_dec"), once("threshold", "threshold")],
        unused: &["k", "group_sizes"],
        mark: "group_sizes",
    },
    // f = relu(z) [z > threshold], z = x W + b
    Class {
        name: "JumpReluAutoEncoder",
        architecture: "jumprelu",
        is_centered: false,
        places: &[same("W_enc"), same("W_dec"), same("b_enc"), same("b_dec"), same("threshold")],
        unused: &[],
        mark: "threshold",
    },
    // f = [z + gate_bias > 0] relu(e^r_mag z + mag_bias), z = (x - decoder_bias) W
    Class {
        name: "GatedAutoEncoder",
        architecture: "gated",
        is_centered: true,
        places: &[
            ENCODER,
            DECODER,
            renamed("b_dec", "decoder_bias"),
            renamed("b_gate", "gate_bias"),
            renamed("b_mag", "mag_bias"),
            same("r_mag"),
        ],
        unused: &[],
        mark: "gate_bias",
    },
];

impl Class {
    /// Whether a file with these tensors can be of this class. Early versions saved no threshold.
    fn fits(&self, tensors: &Tensors) -> bool {
        let mut needed = self.places.iter().map(|place| place.theirs).filter(|name| *name != "threshold");
        let is_known = |name: &str| self.unused.contains(&name) || self.places.iter().any(|place| place.theirs == name);
        tensors.has(self.mark) && needed.all(|name| tensors.has(name)) && tensors.names().all(is_known)
    }
}

fn read(weights: &Path) -> Result<Sae> {
    let (mut tensors, others) = checkpoint::read(weights)?;
    if tensors.names().any(|name| name.starts_with("ae.")) {
        return Err(tensors.wrong(
            "a backup of a training that has not finished, whose biases may be in other units: use the ae.pt that is \
             written at its end",
        ));
    }
    if let Some(name) = others.first() {
        let advice = "save only the weights, `torch.save(model.state_dict(), ...)`";
        return Err(tensors.wrong(&format!("`{}` is not a tensor: {advice}", shown(name))));
    }
    let config = configuration(weights).map(|path| Config::read(&path)).transpose()?;
    let trainer = config.as_ref().map(|config| config.table("trainer"));
    let class = class(&tensors, trainer.as_ref())?;
    let whole = |name: &str| match &trainer {
        Some(trainer) => trainer.integer(name),
        None => Ok(None),
    };
    let k = match class.architecture {
        "topk" => Some(number_of_units(&tensors, whole("k")?)?),
        _ => None,
    };
    let is_centered = match (class.architecture, &trainer) {
        // The only class of which a program can change this; its trainer does not.
        ("jumprelu", Some(trainer)) if !class.is_centered => trainer.flag("apply_b_dec_to_input")?.unwrap_or(false),
        _ => class.is_centered,
    };
    let mut notes = Vec::new();
    for name in class.unused {
        if tensors.take(name).is_some() && !(k.is_some() && *name == "k") {
            notes.push(format!("`{name}` is left out: a trained {} encodes without it", class.name));
        }
    }
    // One threshold for all units starts at -1 and is first set after 1,000 steps.
    if class.architecture == "jumprelu"
        && class.is_centered
        && let Some(threshold) = tensors.number("threshold")?.filter(|threshold| *threshold < 0.0)
    {
        notes
            .push(format!("`threshold` is {threshold}: its training did not set it, and all units above 0 are active"));
    }
    let advice = match &trainer {
        Some(_) => "check `trainer.dict_class` in config.json, and that the two files belong together",
        None => "check the file",
    };
    let tensors = tensors.placed(class.places, &format!("the class {}", class.name), advice)?;
    if let Some(trainer) = &trainer {
        trainer.agrees(["activation_dim", "dict_size"], &tensors)?;
    }
    if class.name == "AutoEncoder" && !has_unit_atoms(&tensors["W_dec"]) {
        notes.push(
            "its atoms do not have length 1: the codes are those of the file, and dictionary_learning's \
             from_pretrained multiplies them by the lengths unless it is told `normalize_decoder=False`"
                .to_string(),
        );
    }
    Ok(Sae { architecture: class.architecture, k, by_length: false, is_centered, is_transcoder: false, tensors, notes })
}

/// The configuration of the training: beside the weights, or beside the folder `checkpoints` that they are in.
fn configuration(weights: &Path) -> Option<PathBuf> {
    let beside = weights.with_file_name("config.json");
    let folder = weights.parent()?;
    let is_checkpoint = folder.file_name().is_some_and(|name| name == "checkpoints");
    let above = is_checkpoint.then(|| folder.with_file_name("config.json"));
    [Some(beside), above].into_iter().flatten().find(|path| path.is_file())
}

/// The class of a file: the one that the configuration of its training names, or the only one that it can be of.
fn class(tensors: &Tensors, trainer: Option<&Config>) -> Result<&'static Class> {
    let names = || CLASSES.iter().map(|class| class.name).collect::<Vec<_>>().join(", ");
    if let Some(trainer) = trainer {
        let Some(name) = trainer.text("dict_class")? else {
            return Err(trainer.wrong(&format!("`trainer.dict_class` is missing: it must be one of {}", names())));
        };
        return CLASSES.iter().find(|class| class.name == name).ok_or_else(|| {
            trainer
                .wrong(&format!("`trainer.dict_class` is {name}, which cannot be read: it must be one of {}", names()))
        });
    }
    let fitting: Vec<&Class> = CLASSES.iter().filter(|class| class.fits(tensors)).collect();
    match fitting.as_slice() {
        [class] => Ok(class),
        [] => Err(tensors.wrong(&format!(
            "its tensors {} are not those of a class that can be read ({}): put the config.json of its training beside \
             it",
            tensors.listed(),
            names()
        ))),
        several => {
            let several: Vec<&str> = several.iter().map(|class| class.name).collect();
            Err(tensors.wrong(&format!(
                "its tensors are those of {}, which encode differently: put the config.json of its training beside it, \
                 or {{\"trainer\": {{\"dict_class\": \"{}\"}}}} as config.json",
                several.join(" and of "),
                several[0]
            )))
        }
    }
}

/// `k` of a file and of its configuration, which must be the same.
fn number_of_units(tensors: &Tensors, configured: Option<usize>) -> Result<usize> {
    let stored = match tensors.number("k")? {
        Some(k) if k >= 1.0 && k.fract() == 0.0 => Some(k as usize),
        Some(k) => return Err(tensors.wrong(&format!("`k` is {k}, but must be an integer from 1"))),
        None => None,
    };
    match (stored, configured) {
        (Some(stored), Some(configured)) if stored != configured => Err(tensors.wrong(&format!(
            "`k` is {stored}, but config.json beside it says {configured}: the two files do not belong together"
        ))),
        (Some(k), _) | (None, Some(k)) => Ok(k),
        (None, None) => {
            Err(tensors.wrong("has no `k`, the number of active units: put the config.json of its training beside it"))
        }
    }
}

/// Whether all atoms have length 1, up to rounding, as from_pretrained of dictionary_learning asks.
fn has_unit_atoms(atoms: &Numbers) -> bool {
    atoms.values.chunks_exact(atoms.shape[1]).all(|atom| {
        let length = atom.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
        (length - 1.0).abs() <= 1e-5
    })
}
