//! The tensors of a file, taken by their names there and brought into the form of the description.

use std::{collections::BTreeMap, path::Path};

use crate::{
    Error, Result,
    export::{Numbers, import::Weights, pytorch::State},
};

/// How a tensor is stored, compared with the description.
#[derive(Debug, Clone, Copy)]
enum Form {
    Same,
    Transposed,
    /// One number for all units.
    Once,
}

/// A tensor of the description, and where it is in a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    name: &'static str,
    pub(super) theirs: &'static str,
    form: Form,
}

/// A tensor that a file has under the name and in the form of the description.
pub(super) const fn same(name: &'static str) -> Place {
    renamed(name, name)
}

/// A tensor that a file has under another name.
pub(super) const fn renamed(name: &'static str, theirs: &'static str) -> Place {
    Place { name, theirs, form: Form::Same }
}

/// A matrix that a file has under another name and transposed.
pub(super) const fn transposed(name: &'static str, theirs: &'static str) -> Place {
    Place { name, theirs, form: Form::Transposed }
}

/// A vector of units of which a file has one number for all of them, under another name.
pub(super) const fn once(name: &'static str, theirs: &'static str) -> Place {
    Place { name, theirs, form: Form::Once }
}

/// The tensors of a file.
#[derive(Debug)]
pub(super) struct Tensors {
    origin: String,
    state: State,
}

impl Tensors {
    /// The tensors `state` of the file `origin`.
    pub(super) fn new(origin: &Path, state: State) -> Self {
        Self { origin: origin.display().to_string(), state }
    }

    /// Reads a safetensors file.
    pub(super) fn read(path: &Path) -> Result<Self> {
        Ok(Self::new(path, Weights::read(path)?.into_state()))
    }

    /// An error in this file.
    pub(super) fn wrong(&self, what: &str) -> Error {
        Error::Failed(format!("{}: {what}", self.origin))
    }

    /// The names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.state.keys().map(String::as_str)
    }

    /// Whether there is a tensor of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.state.contains_key(name)
    }

    /// Takes a tensor.
    pub(super) fn take(&mut self, name: &str) -> Option<Numbers> {
        self.state.remove(name)
    }

    /// Applies `change` to the numbers of a tensor, which gets a new name. Does nothing if there is none.
    pub(super) fn change(&mut self, name: &str, new: &str, change: impl Fn(f32) -> f32) {
        if let Some(mut numbers) = self.state.remove(name) {
            numbers.values.iter_mut().for_each(|value| *value = change(*value));
            self.state.insert(new.to_string(), numbers);
        }
    }

    /// The number in a tensor without dimensions, if there is one of this name.
    pub(super) fn number(&self, name: &str) -> Result<Option<f32>> {
        let Some(numbers) = self.state.get(name) else { return Ok(None) };
        match numbers.values.as_slice() {
            [value] if value.is_finite() => Ok(Some(*value)),
            [value] => Err(self.wrong(&format!("`{name}` is {value}, which is not finite"))),
            _ => Err(self.wrong(&format!("`{name}` has the shape {:?}, but must be one number", numbers.shape))),
        }
    }

    /// The tensors of a dictionary, by their names in the description. `kind` names what they are of, and `advice` says
    /// what to do if they are not.
    pub(super) fn placed(self, places: &[Place], kind: &str, advice: &str) -> Result<BTreeMap<&'static str, Numbers>> {
        self.placed_as(false, places, kind, advice)
    }

    /// As [`placed`](Self::placed); the outputs of a transcoder need not be as wide as its inputs.
    pub(super) fn placed_as(
        mut self,
        is_transcoder: bool,
        places: &[Place],
        kind: &str,
        advice: &str,
    ) -> Result<BTreeMap<&'static str, Numbers>> {
        if let Some(place) = places.iter().find(|place| !self.has(place.theirs)) {
            let what = format!("has no tensor `{}`, which {kind} needs (it has {})", place.theirs, self.listed());
            return Err(Error::Failed(format!("{} {what}: {advice}", self.origin)));
        }
        let is_known = |name: &str| places.iter().any(|place| place.theirs == name);
        if let Some(name) = self.names().find(|name| !is_known(name)) {
            return Err(self.wrong(&format!("{kind} has no tensor `{}`: {advice}", shown(name))));
        }
        let sizes = self.sizes(places, is_transcoder)?;
        let mut tensors = BTreeMap::new();
        for place in places {
            let expected = place.shape(sizes);
            let numbers = self.state.remove(place.theirs).expect("checked above");
            let found = &numbers.shape;
            // One number may be an array of one number.
            if *found != expected && !(expected.is_empty() && *found == [1]) {
                let encoder =
                    places.iter().find(|place| place.name == "W_enc").expect("every dictionary has an encoder");
                let is_reversed = found.len() == 2 && found.iter().rev().eq(&expected);
                return Err(self.wrong(&format!(
                    "`{}` has the shape {found:?}, but beside `{}` of {:?} it must be {expected:?}: {}",
                    place.theirs,
                    encoder.theirs,
                    encoder.shape(sizes),
                    if is_reversed { "transpose it" } else { advice }
                )));
            }
            if let Some(at) = numbers.values.iter().position(|value| !value.is_finite()) {
                return Err(self.wrong(&format!("`{}` is not finite at position {at}", place.theirs)));
            }
            tensors.insert(place.name, place.form.undone(numbers, sizes));
        }
        Ok(tensors)
    }

    /// Number of features and of units, from the encoder, and of features of the output.
    fn sizes(&self, places: &[Place], is_transcoder: bool) -> Result<[usize; 3]> {
        let place = |name: &str| places.iter().find(|place| place.name == name).expect("part of every dictionary");
        let (encoder, center) = (place("W_enc"), place("b_dec"));
        let shape = self.state[encoder.theirs].shape.as_slice();
        let is_transposed = matches!(encoder.form, Form::Transposed);
        let sizes = match *shape {
            [0, _] | [_, 0] => {
                return Err(self.wrong(&format!("`{}` is empty: its shape is {shape:?}", encoder.theirs)));
            }
            [units, width] if is_transposed => [width, units],
            [width, units] => [width, units],
            _ => {
                let sizes = if is_transposed { "[units, features]" } else { "[features, units]" };
                return Err(self.wrong(&format!("`{}` has the shape {shape:?}, not {sizes}", encoder.theirs)));
            }
        };
        // The matrix that is the wrong way round should be named, not the others.
        let [width, units] = sizes;
        if is_transcoder {
            let outputs = self.state[center.theirs].shape.first().copied();
            return Ok([width, units, outputs.unwrap_or(width)]);
        }
        if width != units && self.state[center.theirs].shape == [units] {
            let expected = encoder.shape([units, width, units]);
            return Err(self.wrong(&format!(
                "`{}` has the shape {shape:?}, but beside `{}` of [{units}] it must be {expected:?}: transpose it",
                encoder.theirs, center.theirs
            )));
        }
        Ok([width, units, width])
    }

    /// Some of the names, for messages.
    pub(super) fn listed(&self) -> String {
        let mut names: Vec<String> = self.names().take(8).map(|name| format!("`{}`", shown(name))).collect();
        if self.state.len() > names.len() {
            names.push("...".to_string());
        }
        if names.is_empty() { "none".to_string() } else { names.join(", ") }
    }
}

impl Place {
    /// Its shape in the file.
    fn shape(&self, [width, units, outputs]: [usize; 3]) -> Vec<usize> {
        let mut shape = match self.name {
            "W_enc" => vec![width, units],
            "W_dec" => vec![units, outputs],
            "b_dec" => vec![outputs],
            "W_skip" => vec![width, outputs],
            _ => vec![units],
        };
        match self.form {
            Form::Same => {}
            Form::Transposed => shape.reverse(),
            Form::Once => shape.clear(),
        }
        shape
    }
}

impl Form {
    /// The tensor in the form of the description.
    fn undone(self, numbers: Numbers, [_, units, _]: [usize; 3]) -> Numbers {
        match self {
            Self::Same => numbers,
            Self::Transposed => numbers.transposed(),
            Self::Once => Numbers { shape: vec![units], values: vec![numbers.values[0]; units] },
        }
    }
}

/// A name from a file, in one line.
pub(super) fn shown(name: &str) -> String {
    name.chars().take(80).flat_map(char::escape_debug).collect()
}
