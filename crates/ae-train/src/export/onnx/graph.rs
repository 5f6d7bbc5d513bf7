//! Building graphs.

use ae_model::Activation;

use super::proto::{self, Attribute, Node};
use crate::export::Numbers;

pub(super) const INT64: i32 = 7;

pub(super) const FLOAT: i32 = 1;

/// A value in the graph, identified by its name.
pub(super) type Value = String;

/// A graph under construction.
#[derive(Default)]
pub(super) struct Builder {
    pub(super) nodes: Vec<Node>,
    pub(super) constants: Vec<proto::Tensor>,
}

pub(super) fn int(name: &str, value: i64) -> Attribute {
    Attribute { name: name.to_string(), i: value, kind: 2, ..Attribute::default() }
}

pub(super) fn float(name: &str, value: f32) -> Attribute {
    Attribute { name: name.to_string(), f: value, kind: 1, ..Attribute::default() }
}

pub(super) fn ints(name: &str, values: impl IntoIterator<Item = usize>) -> Attribute {
    Attribute {
        name: name.to_string(),
        ints: values.into_iter().map(|value| value as i64).collect(),
        kind: 7,
        ..Attribute::default()
    }
}

impl Builder {
    pub(super) fn constant(&mut self, numbers: Numbers) -> Value {
        let name = format!("constant_{}", self.constants.len());
        self.constants.push(proto::Tensor {
            dims: numbers.shape.iter().map(|&size| size as i64).collect(),
            data_type: FLOAT,
            name: name.clone(),
            raw_data: numbers.values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        });
        name
    }

    /// A scalar, which broadcasts to every shape.
    pub(super) fn number(&mut self, value: f32) -> Value {
        self.constant(Numbers { shape: Vec::new(), values: vec![value] })
    }

    pub(super) fn integers(&mut self, values: &[i64]) -> Value {
        let name = format!("constant_{}", self.constants.len());
        self.constants.push(proto::Tensor {
            dims: vec![values.len() as i64],
            data_type: INT64,
            name: name.clone(),
            raw_data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        });
        name
    }

    /// Converts a value to another type.
    pub(super) fn cast(&mut self, value: &Value, from: i32, to: i32) -> Value {
        if from == to { value.clone() } else { self.node("Cast", &[value], vec![int("to", i64::from(to))]) }
    }

    /// A node with one output.
    pub(super) fn node(&mut self, op: &str, input: &[&Value], attribute: Vec<Attribute>) -> Value {
        self.node_of(op, input, attribute, 1).remove(0)
    }

    pub(super) fn node_of(
        &mut self,
        op: &str,
        input: &[&Value],
        attribute: Vec<Attribute>,
        outputs: usize,
    ) -> Vec<Value> {
        let name = format!("{}_{}", op.to_lowercase(), self.nodes.len());
        let output: Vec<Value> =
            (0..outputs).map(|index| if index == 0 { name.clone() } else { format!("{name}_{index}") }).collect();
        let input = input.iter().map(|value| value.to_string()).collect();
        self.nodes.push(Node { input, output: output.clone(), name, op_type: op.to_string(), attribute });
        output
    }

    pub(super) fn activation(&mut self, activation: Activation, z: &Value) -> Value {
        match activation {
            Activation::Identity => z.clone(),
            Activation::Relu => self.node("Relu", &[z], Vec::new()),
            Activation::LeakyRelu => self.node("LeakyRelu", &[z], vec![float("alpha", 0.01)]),
            Activation::Elu => self.node("Elu", &[z], vec![float("alpha", 1.0)]),
            Activation::Tanh => self.node("Tanh", &[z], Vec::new()),
            Activation::Sigmoid => self.node("Sigmoid", &[z], Vec::new()),
            Activation::Softplus => self.node("Softplus", &[z], Vec::new()),
            Activation::Silu => {
                let gate = self.node("Sigmoid", &[z], Vec::new());
                self.node("Mul", &[z, &gate], Vec::new())
            }
            Activation::Gelu => {
                // z Phi(z); this operator set has no operator for it.
                let [root, one, half] = [std::f32::consts::FRAC_1_SQRT_2, 1.0, 0.5].map(|value| self.number(value));
                let scaled = self.node("Mul", &[z, &root], Vec::new());
                let erf = self.node("Erf", &[&scaled], Vec::new());
                let sum = self.node("Add", &[&erf, &one], Vec::new());
                let gate = self.node("Mul", &[&sum, &half], Vec::new());
                self.node("Mul", &[z, &gate], Vec::new())
            }
        }
    }
}
