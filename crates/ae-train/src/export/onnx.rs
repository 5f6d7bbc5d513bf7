//! Export to ONNX (operator set 17): the encoder, the decoder, and the whole model, including the scaling. Inputs are
//! rows in the units of the data, `NaN` where a value is missing, and reconstructions are rows in the same units. The
//! names and the order of the features are in the documentation of the inputs and outputs, and for programs in the
//! metadata `features`, a JSON list.

use ae_model::{Activation, Code, code::Plain, network::layers::Layer};
use prost::Message;

use super::{Meaning, Numbers, far, features, meanings, order, plain, scaling};
use crate::{Result, trained::Trained};

const OPSET: i64 = 17;
/// Version 8 of the format belongs to operator set 17.
const FORMAT: i64 = 8;
const FLOAT: i32 = 1;
const INT64: i32 = 7;
const DOUBLE: i32 = 11;

/// The messages of onnx.proto, with only the fields that are used here.
mod proto {
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Model {
        #[prost(int64, tag = "1")]
        pub ir_version: i64,
        #[prost(string, tag = "2")]
        pub producer_name: String,
        #[prost(string, tag = "3")]
        pub producer_version: String,
        #[prost(message, optional, tag = "7")]
        pub graph: Option<Graph>,
        #[prost(message, repeated, tag = "8")]
        pub opset_import: Vec<OperatorSet>,
        #[prost(message, repeated, tag = "14")]
        pub metadata_props: Vec<Property>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Property {
        #[prost(string, tag = "1")]
        pub key: String,
        #[prost(string, tag = "2")]
        pub value: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct OperatorSet {
        #[prost(string, tag = "1")]
        pub domain: String,
        #[prost(int64, tag = "2")]
        pub version: i64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Graph {
        #[prost(message, repeated, tag = "1")]
        pub node: Vec<Node>,
        #[prost(string, tag = "2")]
        pub name: String,
        #[prost(message, repeated, tag = "5")]
        pub initializer: Vec<Tensor>,
        #[prost(message, repeated, tag = "11")]
        pub input: Vec<ValueInfo>,
        #[prost(message, repeated, tag = "12")]
        pub output: Vec<ValueInfo>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Node {
        #[prost(string, repeated, tag = "1")]
        pub input: Vec<String>,
        #[prost(string, repeated, tag = "2")]
        pub output: Vec<String>,
        #[prost(string, tag = "3")]
        pub name: String,
        #[prost(string, tag = "4")]
        pub op_type: String,
        #[prost(message, repeated, tag = "5")]
        pub attribute: Vec<Attribute>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Attribute {
        #[prost(string, tag = "1")]
        pub name: String,
        #[prost(float, tag = "2")]
        pub f: f32,
        #[prost(int64, tag = "3")]
        pub i: i64,
        #[prost(int64, repeated, packed = "false", tag = "8")]
        pub ints: Vec<i64>,
        #[prost(int32, tag = "20")]
        pub kind: i32,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Tensor {
        #[prost(int64, repeated, packed = "false", tag = "1")]
        pub dims: Vec<i64>,
        #[prost(int32, tag = "2")]
        pub data_type: i32,
        #[prost(string, tag = "8")]
        pub name: String,
        #[prost(bytes = "vec", tag = "9")]
        pub raw_data: Vec<u8>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct ValueInfo {
        #[prost(string, tag = "1")]
        pub name: String,
        #[prost(message, optional, tag = "2")]
        pub kind: Option<Type>,
        #[prost(string, tag = "3")]
        pub doc_string: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Type {
        #[prost(message, optional, tag = "1")]
        pub tensor_type: Option<TensorType>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct TensorType {
        #[prost(int32, tag = "1")]
        pub elem_type: i32,
        #[prost(message, optional, tag = "2")]
        pub shape: Option<Shape>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Shape {
        #[prost(message, repeated, tag = "1")]
        pub dim: Vec<Dimension>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Dimension {
        #[prost(int64, optional, tag = "1")]
        pub dim_value: Option<i64>,
        #[prost(string, optional, tag = "2")]
        pub dim_param: Option<String>,
    }
}

use proto::{Attribute, Node};

/// A value in the graph, identified by its name.
type Value = String;

/// A graph under construction.
#[derive(Default)]
struct Builder {
    nodes: Vec<Node>,
    constants: Vec<proto::Tensor>,
}

fn int(name: &str, value: i64) -> Attribute {
    Attribute { name: name.to_string(), i: value, kind: 2, ..Attribute::default() }
}

fn float(name: &str, value: f32) -> Attribute {
    Attribute { name: name.to_string(), f: value, kind: 1, ..Attribute::default() }
}

fn ints(name: &str, values: impl IntoIterator<Item = usize>) -> Attribute {
    Attribute {
        name: name.to_string(),
        ints: values.into_iter().map(|value| value as i64).collect(),
        kind: 7,
        ..Attribute::default()
    }
}

impl Builder {
    fn constant(&mut self, numbers: Numbers) -> Value {
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
    fn number(&mut self, value: f32) -> Value {
        self.constant(Numbers { shape: Vec::new(), values: vec![value] })
    }

    fn integers(&mut self, values: &[i64]) -> Value {
        let name = format!("constant_{}", self.constants.len());
        self.constants.push(proto::Tensor {
            dims: vec![values.len() as i64],
            data_type: INT64,
            name: name.clone(),
            raw_data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        });
        name
    }

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

    /// Converts a value to another type.
    fn cast(&mut self, value: &Value, from: i32, to: i32) -> Value {
        if from == to { value.clone() } else { self.node("Cast", &[value], vec![int("to", i64::from(to))]) }
    }

    /// A node with one output.
    fn node(&mut self, op: &str, input: &[&Value], attribute: Vec<Attribute>) -> Value {
        self.node_of(op, input, attribute, 1).remove(0)
    }

    fn node_of(&mut self, op: &str, input: &[&Value], attribute: Vec<Attribute>, outputs: usize) -> Vec<Value> {
        let name = format!("{}_{}", op.to_lowercase(), self.nodes.len());
        let output: Vec<Value> =
            (0..outputs).map(|index| if index == 0 { name.clone() } else { format!("{name}_{index}") }).collect();
        let input = input.iter().map(|value| value.to_string()).collect();
        self.nodes.push(Node { input, output: output.clone(), name, op_type: op.to_string(), attribute });
        output
    }

    fn activation(&mut self, activation: Activation, z: &Value) -> Value {
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

    /// The network's output for `x`.
    fn layers(&mut self, layers: &[Layer], mut x: Value) -> Result<Value> {
        let mut is_image = false;
        for layer in layers {
            x = match layer {
                Layer::Linear { weight, bias } => {
                    let (weight, bias) =
                        (self.constant(Numbers::of(weight.clone())?), self.constant(Numbers::of(bias.clone())?));
                    self.node("Gemm", &[&x, &weight, &bias], Vec::new())
                }
                Layer::Conv { weight, bias, stride } => {
                    let kernel = weight.dims()[2];
                    let (weight, bias) =
                        (self.constant(Numbers::of(weight.clone())?), self.constant(Numbers::of(bias.clone())?));
                    self.node("Conv", &[&x, &weight, &bias], window(kernel, *stride))
                }
                Layer::ConvTranspose { weight, bias, stride, padding_out } => {
                    let kernel = weight.dims()[2];
                    let (weight, bias) =
                        (self.constant(Numbers::of(weight.clone())?), self.constant(Numbers::of(bias.clone())?));
                    let mut attributes = window(kernel, *stride);
                    attributes.push(ints("output_padding", *padding_out));
                    self.node("ConvTranspose", &[&x, &weight, &bias], attributes)
                }
                Layer::LayerNorm { gamma, beta } => {
                    let axes = if is_image { vec![1, 2, 3] } else { vec![1] };
                    let mean = self.node("ReduceMean", &[&x], vec![ints("axes", axes.clone())]);
                    let centered = self.node("Sub", &[&x, &mean], Vec::new());
                    let square = self.node("Mul", &[&centered, &centered], Vec::new());
                    let variance = self.node("ReduceMean", &[&square], vec![ints("axes", axes)]);
                    let epsilon = self.number(1e-5);
                    let variance = self.node("Add", &[&variance, &epsilon], Vec::new());
                    let deviation = self.node("Sqrt", &[&variance], Vec::new());
                    let unit = self.node("Div", &[&centered, &deviation], Vec::new());
                    let shape = |numbers: Numbers| {
                        let units = numbers.values.len();
                        Numbers { shape: if is_image { vec![1, units, 1, 1] } else { vec![units] }, ..numbers }
                    };
                    let (gamma, beta) = (shape(Numbers::of(gamma.clone())?), shape(Numbers::of(beta.clone())?));
                    let (gamma, beta) = (self.constant(gamma), self.constant(beta));
                    let scaled = self.node("Mul", &[&unit, &gamma], Vec::new());
                    self.node("Add", &[&scaled, &beta], Vec::new())
                }
                Layer::BatchNorm { gamma, beta, mean, variance, epsilon } => {
                    let mut parts = Vec::new();
                    for part in [gamma, beta, mean, variance] {
                        parts.push(self.constant(Numbers::of(part.clone())?));
                    }
                    let inputs: Vec<&Value> = std::iter::once(&x).chain(&parts).collect();
                    self.node("BatchNormalization", &inputs, vec![float("epsilon", *epsilon as f32)])
                }
                Layer::Activation(activation) => self.activation(*activation, &x),
                Layer::Unflatten([channels, height, width]) => {
                    is_image = true;
                    let shape = self.integers(&[-1, *channels as i64, *height as i64, *width as i64]);
                    self.node("Reshape", &[&x, &shape], Vec::new())
                }
                Layer::Flatten => {
                    is_image = false;
                    self.node("Flatten", &[&x], vec![int("axis", 1)])
                }
            };
        }
        Ok(x)
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

fn window(kernel: usize, stride: usize) -> Vec<Attribute> {
    vec![ints("kernel_shape", [kernel; 2]), ints("strides", [stride; 2]), ints("pads", [kernel / 2; 4])]
}

/// The files `encoder`, `decoder` and `model` (encoder followed by decoder), by name.
///
/// # Errors
/// A device that fails to return its numbers.
pub fn export(trained: &Trained) -> Result<Vec<(&'static str, Vec<u8>)>> {
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
        let colour = StringArray::from_iter_values(rows.clone().map(|row| ["red", "blue"][row % 2]));
        let ripe = BooleanArray::from_iter(rows.clone().map(|row| Some(row % 3 == 0)));
        let weight = Float64Array::from_iter_values(rows.map(|row| offset + (row * 7 % 11) as f64));
        let columns =
            [("colour", Arc::new(colour) as ArrayRef), ("ripe", Arc::new(ripe)), ("weight", Arc::new(weight))];
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
                assert_eq!(features, r#"["weight","ripe","colour=blue","colour=red"]"#);
            }
            assert!(
                model.0.doc_string.ends_with("in this order: weight, ripe, colour=blue, colour=red"),
                "{}",
                model.0.doc_string
            );
            assert!(
                model.1.doc_string.ends_with("in this order: weight, ripe, colour=blue, colour=red"),
                "{}",
                model.1.doc_string
            );
            let precisions = [&encoder.0, &encoder.1, &decoder.0, &decoder.1, &model.0, &model.1].map(precision_of);
            assert_eq!(precisions, [rows, FLOAT, FLOAT, rows, rows, rows], "{offset}");
        }
    }
}
