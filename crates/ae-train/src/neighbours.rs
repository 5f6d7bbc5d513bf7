//! Nearest neighbours: how much of the classes shows in which rows lie close together (Fix and Hodges 1951).

use burn::tensor::{Device, Tensor, TensorData};

use crate::{Error, Result, evaluation::numbers, probe::Labelled};

/// Neighbours that vote.
pub const NEIGHBOURS: usize = 5;
/// Test rows whose distances are computed at a time.
const CHUNK: usize = 256;

/// The share of the `test` rows whose class most of the [`NEIGHBOURS`] nearest `train` rows have, by Euclidean
/// distance; of classes with equally many votes the nearest one's.
///
/// # Errors
/// Rows without labels, or a device that fails.
pub fn accuracy(train: Labelled, test: Labelled, device: &Device) -> Result<f64> {
    if train.labels.is_empty() || test.labels.is_empty() {
        return Err(Error::Failed("neighbours need labelled rows to be sought among and for".to_string()));
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
        // |a - b|^2 less |a|^2, which is the same for all b.
        let distances = numbers(squares.clone() - tensor(chunk).matmul(known.clone()).mul_scalar(2.0))?;
        for (distances, &label) in distances.chunks_exact(train.labels.len()).zip(labels) {
            let mut order: Vec<usize> = (0..distances.len()).collect();
            let most = NEIGHBOURS.min(order.len());
            let by_distance = |a: &usize, b: &usize| distances[*a].total_cmp(&distances[*b]);
            if most < order.len() {
                order.select_nth_unstable_by(most, by_distance);
            }
            order.truncate(most);
            order.sort_by(by_distance);
            let votes = |class: u32| order.iter().filter(|&&row| train.labels[row] == class).count();
            // `max_by_key` takes the last of equals: the nearest comes last in reverse.
            let winner = order.iter().rev().map(|&row| train.labels[row]).max_by_key(|&class| votes(class));
            right += usize::from(winner == Some(label));
        }
    }
    Ok(right as f64 / test.labels.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::Matrix;

    #[test]
    fn the_nearest_vote_and_the_nearest_breaks_a_tie() {
        let train = [0.0, 0.1, 0.2, 1.0, 1.1, 5.0f32];
        let labels = [0, 0, 0, 1, 1, 2];
        let test = [0.15f32, 1.05, 0.6, 9.0];
        let part = |values, labels| Labelled { features: Matrix { values, width: 1 }, labels };
        // 1.05 sees two of class 1 and three of class 0 among its five; 9.0 sees 5.0 first, but two each of the others:
        // class 1 is nearer.
        let accuracy = accuracy(part(&train, &labels), part(&test, &[0, 0, 0, 1]), &Device::default()).unwrap();
        assert_eq!(accuracy, 1.0);
    }
}
