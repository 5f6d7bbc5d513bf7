//! Linear probe: how well a linear classifier can predict the classes from features such as a code (Alain and Bengio
//! 2017).
//!
//! Multinomial logistic regression on standardized features, `min mean_n -log softmax(F w + b)_{y_n} + 10/(2 N) |w|^2`
//! over `N` training rows, by full-batch Adam with a decreasing step size.

use ae_kernels::Adam;
use burn::{
    module::{Module, Param},
    optim::{GradientsParams, ModuleOptimizer},
    tensor::{Device, Int, Tensor, TensorData, activation},
};

use crate::{Error, Result, matrix::Matrix, tensors::numbers};

/// Number of optimizer steps: the loss is convex, and its first four digits no longer change by then.
const STEPS: usize = 400;
/// Weight of the penalty on the summed loss: enough for codes with many units, which would otherwise overfit the
/// training rows.
const DECAY: f64 = 10.0;
/// Initial step size.
const RATE: f64 = 0.03;

/// Features of rows, and the class of each row.
#[derive(Debug, Clone, Copy)]
pub struct Labelled<'a> {
    /// The features.
    pub features: Matrix<'a>,
    /// The classes, from 0.
    pub labels: &'a [u32],
}

#[derive(Module, Debug)]
struct Classifier {
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
}

impl Classifier {
    fn logits(&self, features: Tensor<2>) -> Tensor<2> {
        ae_kernels::linear(features, self.weight.val(), self.bias.val(), ae_kernels::Activation::Identity)
    }
}

/// Accuracy on the `test` rows of a linear classifier fitted to `train`.
///
/// # Errors
/// Rows without labels, or a device that fails.
pub fn accuracy(train: Labelled, test: Labelled, device: &Device) -> Result<f64> {
    let [rows, test_rows] = [train, test].map(|part| part.labels.len());
    if rows == 0 || test_rows == 0 {
        return Err(Error::Failed("a probe needs labeled training and test rows".to_string()));
    }
    let width = train.features.width;
    let classes = train.labels.iter().chain(test.labels).max().map_or(0, |&label| label as usize + 1);
    let device = device.clone().inner().autodiff();
    let tensor = |part: Labelled| {
        Tensor::<2>::from_data(TensorData::new(part.features.values.to_vec(), [part.labels.len(), width]), &device)
    };
    let features = tensor(train);
    let mean = features.clone().mean_dim(0);
    let deviation = features.clone().var_bias(0).sqrt();
    // The standard deviation of a constant unit is 0, and must not be divided by.
    let deviation = deviation.clone().mask_fill(deviation.lower_elem(1e-6), 1.0);
    let standard = |features: Tensor<2>| (features - mean.clone()) / deviation.clone();
    let features = standard(features);
    let labels: Vec<i64> = train.labels.iter().map(|&label| i64::from(label)).collect();
    let targets = Tensor::<2, Int>::from_data(TensorData::new(labels, [rows, 1]), &device);
    let mut classifier = Classifier {
        weight: Param::from_tensor(Tensor::zeros([width, classes], &device)),
        bias: Param::from_tensor(Tensor::zeros([classes], &device)),
    };
    let mut optimizer = ModuleOptimizer::from(Adam::default());
    for step in 0..STEPS {
        let likelihood = activation::log_softmax(classifier.logits(features.clone()), 1).gather(1, targets.clone());
        let decay = classifier.weight.val().square().sum().mul_scalar(0.5 * DECAY / rows as f64);
        let gradients = GradientsParams::from_grads((likelihood.mean().neg() + decay).backward(), &classifier);
        let rate = RATE * 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / STEPS as f64).cos());
        classifier = optimizer.step(rate.max(1e-6), classifier, gradients);
    }
    let logits = numbers(classifier.logits(standard(tensor(test))).without_autodiff())?;
    let best = |row: &[f32]| row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map(|(class, _)| class as u32);
    let right = logits.chunks_exact(classes).zip(test.labels).filter(|(row, label)| best(row) == Some(**label)).count();
    Ok(right as f64 / test_rows as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_boundary_is_found_and_constants_predict_nothing() {
        let device = Device::default();
        let rows = |offset: usize| -> (Vec<f32>, Vec<u32>) {
            let points: Vec<f32> = (0..200).map(|i| ((i * 37 + offset) % 101) as f32 / 101.0).collect();
            (points.iter().flat_map(|&x| [x, 1.0]).collect(), points.iter().map(|&x| u32::from(x > 0.5)).collect())
        };
        let (train, test) = (rows(0), rows(13));
        let constant = (vec![1.0; 400], train.1.clone());
        fn part(rows: &(Vec<f32>, Vec<u32>)) -> Labelled<'_> {
            Labelled { features: Matrix { values: &rows.0, width: 2 }, labels: &rows.1 }
        }
        assert!(accuracy(part(&train), part(&test), &device).unwrap() > 0.95);
        let blind = accuracy(part(&constant), part(&constant), &device).unwrap();
        assert!(blind < 0.6, "{blind}");
    }
}
