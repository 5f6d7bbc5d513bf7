//! The layers of a network.

use ae_model::network::layers::Layer;

use super::{
    graph::{Builder, Value, float, int, ints},
    proto::Attribute,
};
use crate::{
    Result,
    export::{Numbers, no_skip},
};

impl Builder {
    /// The network's output for `x`.
    pub(super) fn layers(&mut self, layers: &[Layer], mut x: Value) -> Result<Value> {
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
                Layer::Skip { .. } => return Err(no_skip()),
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
}

fn window(kernel: usize, stride: usize) -> Vec<Attribute> {
    vec![ints("kernel_shape", [kernel; 2]), ints("strides", [stride; 2]), ints("pads", [kernel / 2; 4])]
}
