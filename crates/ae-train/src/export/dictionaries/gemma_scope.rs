//! Dictionaries of Gemma Scope (Lieberum et al. 2024): `params.npz`.
//!
//! `f = relu(z) [z > threshold]` with `z = x W_enc + b_enc`, and `x^ = f W_dec + b_dec`: `b_dec` is not subtracted from
//! the input.

use std::path::Path;

use ae_data::{Options, source::Arrays};

use super::{
    format::Format,
    sae::Sae,
    tensors::{Place, Tensors, same},
};
use crate::{
    Result,
    export::{Numbers, pytorch::State},
};

pub(super) const FORMAT: Format = Format { name: "Gemma Scope", file: "params.npz", extensions: &["npz"], read };

const PLACES: [Place; 5] = [same("W_enc"), same("b_enc"), same("W_dec"), same("b_dec"), same("threshold")];

fn read(path: &Path) -> Result<Sae> {
    let arrays = Arrays::open(path, &Options::default())?;
    let mut state = State::new();
    for name in arrays.names() {
        // What is not known is refused by its name, so that its numbers are not needed.
        let is_known = PLACES.iter().any(|place| place.theirs == name);
        let numbers = match is_known {
            true => {
                let array = arrays.read(&name)?;
                Numbers::from_values(&array.dims, &array.values)
            }
            false => Numbers { shape: vec![0], values: Vec::new() },
        };
        state.insert(name, numbers);
    }
    let advice = "check that it is the params.npz of a dictionary";
    let tensors = Tensors::new(path, state).placed(&PLACES, "a dictionary of Gemma Scope", advice)?;
    let mut notes = Vec::new();
    if path.to_string_lossy().contains("transcoder") {
        notes.push(
            "a transcoder of Gemma Scope has the same arrays as a dictionary: what it computes is not a reconstruction \
             of its input"
                .to_string(),
        );
    }
    Ok(Sae {
        architecture: "jumprelu",
        k: None,
        by_length: false,
        is_centered: false,
        is_transcoder: false,
        tensors,
        notes,
    })
}
