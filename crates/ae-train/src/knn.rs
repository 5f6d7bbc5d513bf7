//! k-nearest-neighbor classifier: how well the classes can be predicted from the classes of near rows (Fix and Hodges
//! 1951).

use burn::tensor::{Device, Tensor, TensorData};

use crate::{Error, Result, probe::Labelled, tensors::numbers};

/// Number of neighbors that vote.
pub const NEIGHBORS: usize = 5;
/// Number of test rows whose distances are computed at a time.
const CHUNK: usize = 256;

/// Accuracy on the `test` rows: the class of a row is that of most of its [`NEIGHBORS`] nearest `train` rows by
/// Euclidean distance; in a tie that of the nearest one.
///
/// # Errors
/// Rows without labels, or a device that fails.
pub fn accuracy(train: Labelled, test: Labelled, device: &Device) -> Result<f64> {
    if train.labels.is_empty() || test.labels.is_empty() {
        return Err(Error::Failed("nearest neighbors need labeled training and test rows".to_string()));
    }
    let width = train.features.width;
    let device = device.clone().inner();
    let tensor = |values: &[f32]| {
        Tensor::<2>::from_data(TensorData::new(values.to_vec(), [values.len() / width, width]), &device)
    };
    let known = tensor(train.features.values);
    let squares = known.clone().square().sum_dim(1).transpose(); // [1, train]
    let known = known.transpose();
    let mut right = 0;
    for (chunk, labels) in test.features.values.chunks(CHUNK * width).zip(test.labels.chunks(CHUNK)) {
        // |a - b|^2 - |a|^2; |a|^2 is the same for all b.
        let distances = numbers(squares.clone() - tensor(chunk).matmul(known.clone()).mul_scalar(2.0))?;
        for (distances, &label) in distances.chunks_exact(train.labels.len()).zip(labels) {
            let mut order: Vec<usize> = (0..distances.len()).collect();
            let most = NEIGHBORS.min(order.len());
            let by_distance = |a: &usize, b: &usize| distances[*a].total_cmp(&distances[*b]);
            if most < order.len() {
                order.select_nth_unstable_by(most, by_distance);
            }
            order.truncate(most);
            order.sort_by(by_distance);
            let votes = |class: u32| order.iter().filter(|&&row| train.labels[row] == class).count();
            // `max_by_key` returns the last of equal elements: reversed, the nearest comes last.
            let winner = order.iter().rev().map(|&row| train.labels[row]).max_by_key(|&class| votes(class));
            right += usize::from(winner == Some(label));
        }
    }
    Ok(right as f64 / test.labels.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::Matrix;

    #[test]
    fn the_nearest_rows_vote_and_the_nearest_breaks_a_tie() {
        let train = [0.0, 0.1, 0.2, 1.0, 1.1, 5.0f32];
        let labels = [0, 0, 0, 1, 1, 2];
        let test = [0.15f32, 1.05, 0.6, 9.0];
        let part = |values, labels| Labelled { features: Matrix { values, width: 1 }, labels };
        // Of its five nearest rows, 1.05 has two of class 1 and three of class 0; 9.0 has one of class 2 and two each
        // of the others, of which class 1 is nearer.
        let accuracy = accuracy(part(&train, &labels), part(&test, &[0, 0, 0, 1]), &Device::default()).unwrap();
        assert_eq!(accuracy, 1.0);
    }
}
