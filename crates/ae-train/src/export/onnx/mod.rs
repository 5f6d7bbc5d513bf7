//! Export to ONNX (operator set 17): the encoder, the decoder, and the whole model, including the scaling. Inputs are
//! rows in the units of the data, `NaN` where a value is missing, and reconstructions are rows in the same units. The
//! names and the order of the features are in the documentation of the inputs and outputs, and for programs in the
//! metadata `features`, a JSON list.

mod graph;
mod layers;
mod proto;

use ae_model::{Code, code::Plain, network::layers::Layer};
use prost::Message;

use self::{
    graph::{Builder, FLOAT, Value, int},
    proto::Node,
};
use super::{Meaning, Numbers, far, features, meanings, order, plain, scaling};
use crate::{Result, trained::Trained};

const OPSET: i64 = 17;

/// Version 8 of the format belongs to operator set 17.
const FORMAT: i64 = 8;

const DOUBLE: i32 = 11;

impl Builder {
    /// Offset and scale of the features, in the precision of the rows.
    fn scaling(&mut self, trained: &Trained) -> [Value; 2] {
        scaling(trained).map(|values| {
            if precision(trained) == FLOAT {
                let values: Vec<f32> = values.into_iter().map(|value| value as f32).collect();
                return self.constant(Numbers { shape: vec![values.len()], values });
            }
            let name = format!("constant_{}", self.constants.len());
            self.constants.push(proto::Tensor {
                dims: vec![values.len() as i64],
                data_type: DOUBLE,
                name: name.clone(),
                raw_data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            });
            name
        })
    }

    fn encoder(&mut self, trained: &Trained, layers: &[Layer], x: Value) -> Result<Value> {
        let [offset, scale] = self.scaling(trained);
        let missing = self.node("IsNaN", &[&x], Vec::new());
        let centered = self.node("Sub", &[&x, &offset], Vec::new());
        let scaled = self.node("Div", &[&centered, &scale], Vec::new());
        let scaled = self.cast(&scaled, precision(trained), FLOAT);
        let zero = self.number(0.0);
        let mut read = self.node("Where", &[&missing, &zero, &scaled], Vec::new());
        if trained.model.mask_input {
            let visible = self.node("Not", &[&missing], Vec::new());
            let visible = self.node("Cast", &[&visible], vec![int("to", i64::from(FLOAT))]);
            read = self.node("Concat", &[&read, &visible], vec![int("axis", 1)]);
        }
        let z = self.layers(layers, read)?;
        let h = self.activation(trained.model.code.activation(), &z);
        Ok(match plain(&trained.model.code)? {
            Plain::Activation => h,
            Plain::First => {
                let [start, end, axis] =
                    [0, trained.config.model.code_dim as i64, 1].map(|value| self.integers(&[value]));
                self.node("Slice", &[&h, &start, &end, &axis], Vec::new())
            }
            Plain::Largest(k) => {
                let k = self.integers(&[k as i64]);
                let kept = self.node_of("TopK", &[&h, &k], vec![int("axis", 1)], 2);
                let nothing = self.node("Sub", &[&h, &h], Vec::new());
                self.node("ScatterElements", &[&nothing, &kept[1], &kept[0]], vec![int("axis", 1)])
            }
            Plain::AtLeast(threshold) => {
                let threshold = self.constant(Numbers::of(*threshold)?);
                let kept = self.node("GreaterOrEqual", &[&h, &threshold], Vec::new());
                let kept = self.node("Cast", &[&kept], vec![int("to", i64::from(FLOAT))]);
                self.node("Mul", &[&h, &kept], Vec::new())
            }
            Plain::Above(threshold) => {
                let threshold = self.constant(Numbers::of(*threshold)?);
                let kept = self.node("Greater", &[&z, &threshold], Vec::new());
                let kept = self.node("Cast", &[&kept], vec![int("to", i64::from(FLOAT))]);
                self.node("Mul", &[&h, &kept], Vec::new())
            }
        })
    }

    fn decoder(&mut self, trained: &Trained, layers: &[Layer], h: Value) -> Result<Value> {
        let output = self.layers(layers, h)?;
        let parts = meanings(trained)?;
        let several = parts.len() > 1;
        let mut made = Vec::new();
        for (meaning, start, end) in parts {
            let part = if several {
                let (start, end, axis) =
                    (self.integers(&[start as i64]), self.integers(&[end as i64]), self.integers(&[1]));
                self.node("Slice", &[&output, &start, &end, &axis], Vec::new())
            } else {
                output.clone()
            };
            made.push(match meaning {
                Meaning::Values => part,
                Meaning::Logits => self.node("Sigmoid", &[&part], Vec::new()),
                Meaning::Levels => self.node("Softmax", &[&part], vec![int("axis", 1)]),
            });
        }
        let r = if several {
            self.node("Concat", &made.iter().collect::<Vec<_>>(), vec![int("axis", 1)])
        } else {
            made.remove(0)
        };
        let [offset, scale] = self.scaling(trained);
        let r = self.cast(&r, FLOAT, precision(trained));
        let scaled = self.node("Mul", &[&r, &scale], Vec::new());
        Ok(self.node("Add", &[&scaled, &offset], Vec::new()))
    }

    /// The file, given the value of each output.
    fn finish(mut self, name: &str, trained: &Trained, input: Port, outputs: Vec<(Port, Value)>) -> Vec<u8> {
        let info = |port: &Port| {
            let dimension = |dim_value, dim_param: Option<&str>| proto::Dimension {
                dim_value,
                dim_param: dim_param.map(str::to_string),
            };
            let shape =
                proto::Shape { dim: vec![dimension(None, Some("rows")), dimension(Some(port.width as i64), None)] };
            let tensor_type = proto::TensorType { elem_type: port.precision, shape: Some(shape) };
            let kind = Some(proto::Type { tensor_type: Some(tensor_type) });
            proto::ValueInfo { name: port.name.to_string(), kind, doc_string: port.meaning.clone() }
        };
        for (port, value) in &outputs {
            self.nodes.push(Node {
                input: vec![value.clone()],
                output: vec![port.name.to_string()],
                name: format!("output_{}", port.name),
                op_type: "Identity".to_string(),
                attribute: Vec::new(),
            });
        }
        let graph = proto::Graph {
            node: self.nodes,
            name: name.to_string(),
            initializer: self.constants,
            input: vec![info(&input)],
            output: outputs.iter().map(|(port, _)| info(port)).collect(),
        };
        let list = serde_json::to_string(&features(trained)).expect("names are JSON");
        let model = proto::Model {
            ir_version: FORMAT,
            producer_name: "ae".to_string(),
            producer_version: env!("CARGO_PKG_VERSION").to_string(),
            graph: Some(graph),
            opset_import: vec![proto::OperatorSet { domain: String::new(), version: OPSET }],
            metadata_props: match trained.schema.columns.is_empty() {
                true => Vec::new(),
                false => vec![proto::Property { key: "features".to_string(), value: list }],
            },
        };
        model.encode_to_vec()
    }
}

/// The type of rows in the units of the data.
fn precision(trained: &Trained) -> i32 {
    if far(trained).is_empty() { FLOAT } else { DOUBLE }
}

/// An input or an output.
struct Port {
    name: &'static str,
    width: usize,
    precision: i32,
    /// What it contains.
    meaning: String,
}

/// The files `encoder`, `decoder` and `model` (encoder followed by decoder), by name.
///
/// # Errors
/// A device that fails to return its numbers; a model that predicts a target.
pub fn export(trained: &Trained) -> Result<Vec<(&'static str, Vec<u8>)>> {
    trained.check_reconstructs("is written as ONNX")?;
    let [encoder_layers, decoder_layers] = trained.model.layers();
    let port = |name, width, precision, meaning| Port { name, width, precision, meaning };
    let rows = |name| {
        let what = match name {
            "x" => {
                "in the units of the data, NaN where missing; booleans are 0 or 1; of the levels of a category the \
                 one of the row is 1, the others are 0"
            }
            _ => "in the units of the data; probabilities for booleans and levels",
        };
        port(name, trained.schema.d_input, precision(trained), format!("one row each, {what}; {}", order(trained)))
    };
    let code = || port("code", trained.config.model.code_dim, FLOAT, "the code of each row".to_string());
    let mut encoder = Builder::default();
    let h = encoder.encoder(trained, &encoder_layers, "x".to_string())?;
    let mut decoder = Builder::default();
    let r = decoder.decoder(trained, &decoder_layers, "code".to_string())?;
    let mut model = Builder::default();
    let both = model.encoder(trained, &encoder_layers, "x".to_string())?;
    let whole = model.decoder(trained, &decoder_layers, both.clone())?;
    let back = || rows("reconstruction");
    Ok(vec![
        ("encoder", encoder.finish("encoder", trained, rows("x"), vec![(code(), h)])),
        ("decoder", decoder.finish("decoder", trained, code(), vec![(back(), r)])),
        ("model", model.finish("autoencoder", trained, rows("x"), vec![(code(), both), (back(), whole)])),
    ])
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray};

    use super::*;

    /// Exports a model of a numeric column around `offset`, with a category and a boolean before it.
    fn exported(offset: f64) -> Vec<(proto::ValueInfo, proto::ValueInfo, String)> {
        let rows = 0..40;
        let color = StringArray::from_iter_values(rows.clone().map(|row| ["red", "blue"][row % 2]));
        let ripe = BooleanArray::from_iter(rows.clone().map(|row| Some(row % 3 == 0)));
        let weight = Float64Array::from_iter_values(rows.map(|row| offset + (row * 7 % 11) as f64));
        let columns = [("color", Arc::new(color) as ArrayRef), ("ripe", Arc::new(ripe)), ("weight", Arc::new(weight))];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut config = crate::Config::of_variant("linear").unwrap();
        (config.training.epochs, config.model.code_dim) = (1, 2);
        let sets = ae_data::source::from_batches("t", vec![batch], &Default::default()).unwrap();
        let fitted = crate::Trainer::new(config).fit(sets).unwrap();
        let read = |(_, bytes): (&str, Vec<u8>)| {
            let model = proto::Model::decode(bytes.as_slice()).unwrap();
            let graph = model.graph.unwrap();
            (graph.input[0].clone(), graph.output.last().unwrap().clone(), model.metadata_props[0].value.clone())
        };
        export(&fitted.trained).unwrap().into_iter().map(read).collect()
    }

    fn precision_of(port: &proto::ValueInfo) -> i32 {
        port.kind.as_ref().unwrap().tensor_type.as_ref().unwrap().elem_type
    }

    #[test]
    fn the_export_documents_the_order_and_precision_of_features() {
        for (offset, rows) in [(3.0, FLOAT), (1e9, DOUBLE)] {
            let [encoder, decoder, model] = exported(offset).try_into().unwrap();
            for (_, _, features) in [&encoder, &decoder, &model] {
                assert_eq!(features, r#"["weight","ripe","color=blue","color=red"]"#);
            }
            assert!(
                model.0.doc_string.ends_with("in this order: weight, ripe, color=blue, color=red"),
                "{}",
                model.0.doc_string
            );
            assert!(
                model.1.doc_string.ends_with("in this order: weight, ripe, color=blue, color=red"),
                "{}",
                model.1.doc_string
            );
            let precisions = [&encoder.0, &encoder.1, &decoder.0, &decoder.1, &model.0, &model.1].map(precision_of);
            assert_eq!(precisions, [rows, FLOAT, FLOAT, rows, rows, rows], "{offset}");
        }
    }
}
