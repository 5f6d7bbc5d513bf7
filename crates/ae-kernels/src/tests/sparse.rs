use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor, Tolerance, module};

use super::*;
use crate::{Activation, Rule, Sparse};

#[test]
fn sparse_codes() {
    let device = seeded(5);
    for (batch, width, k, d_out) in [(1, 1, 1, 1), (5, 40, 40, 3), (33, 500, 7, 20), (128, 6144, 32, 50)] {
        for activation in [Activation::Relu, Activation::Identity, Activation::Sigmoid] {
            let dense = |z: &Tensor<2>| {
                let y = activation.with_burn(z.clone());
                let (values, places) = z.clone().detach().topk_with_indices(k, 1);
                y * z.zeros_like().detach().scatter(1, places, values.ones_like(), IndexingUpdateOp::Add)
            };
            let bias = random([d_out], &device);
            let inputs = [random([batch, width], &device), random([width, d_out], &device)];
            let sparse = |z: &Tensor<2>| Sparse::top_k(z, k, activation).expect("a kernel");
            assert_same("dense", &inputs[..1], |t| sparse(&t[0]).dense(), |t| dense(&t[0]));
            for after in [Activation::Identity, Activation::Tanh, Activation::Gelu] {
                let ours = |t: &[Tensor<2>]| sparse(&t[0]).linear(t[1].clone(), on(&bias, &t[0]), after);
                let burn = |t: &[Tensor<2>]| {
                    after.with_burn(module::linear(dense(&t[0]), t[1].clone(), Some(on(&bias, &t[0]))))
                };
                assert_same(&format!("{k} of {width}, {after:?}"), &inputs, ours, burn);
            }
        }
    }
}

#[test]
fn top_k_handles_ties_infinities_and_nan() {
    let device = Device::flex();
    let kept = |row: &[f32], k: usize| {
        let z = Tensor::<1>::from_floats(row, &device).unsqueeze_dim::<2>(0);
        let h = numbers(Sparse::top_k(&z, k, Activation::Identity).expect("a kernel").dense());
        (0..row.len()).filter(|&i| h[i] != 0.0).collect::<Vec<_>>()
    };
    assert_eq!(kept(&[1.0; 100], 3), [0, 1, 2]);
    assert_eq!(kept(&[f32::NEG_INFINITY; 70], 2), [0, 1]);
    let mut row: Vec<f32> = (0..1000).map(|i| ((i * 7919) % 1000) as f32).collect();
    row[17] = f32::INFINITY;
    row[400] = f32::NAN;
    let mut best: Vec<usize> = (0..1000).filter(|&i| i != 400).collect();
    best.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
    best.truncate(50);
    best.sort_unstable();
    assert_eq!(kept(&row, 50), best);
    let h = Tensor::<2>::from_floats([[0.0, -3.0, 0.0, 0.5], [0.0, 0.0, 0.0, -0.0]], &device);
    let of = Sparse::of(&h, 2).expect("at most two in a row");
    assert_eq!(numbers(of.dense()), numbers(h.clone()));
    assert!(Sparse::of(&h.clone().slice(0..1), 1).is_none(), "the row has two");
    assert_eq!(numbers(of.active()), [0.0, 1.0, 0.0, 1.0]);
    assert_eq!(kept(&[f32::NAN, 2.0, f32::NAN], 2), [0, 1], "NaN is kept where nothing else is left");
}

/// `h` with the values that are selected by a sorted list, and 0 elsewhere.
fn best(scores: &[f32], values: &[f32], count: usize) -> Vec<f32> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
    let mut kept = vec![0.0; values.len()];
    order[..count].iter().for_each(|&index| kept[index] = values[index]);
    kept
}

#[test]
fn the_largest_of_all_rows_are_exactly_as_many_as_asked_for() {
    let device = seeded(11).inner();
    for (rows, width, count) in [(1, 1, 1), (3, 17, 51), (7, 50, 20), (64, 6144, 64 * 32), (300, 1000, 4500)] {
        let z: Tensor<2> = random([rows, width], &device);
        let sizes: Tensor<1> = random::<1>([width], &device).abs().add_scalar(0.1);
        let (values, factors) = (numbers(z.clone()), numbers(sizes.clone()));
        for sizes in [None, Some(&sizes)] {
            let of =
                |index: usize| if sizes.is_some() { values[index] * factors[index % width] } else { values[index] };
            let scores: Vec<f32> = (0..values.len()).map(of).collect();
            let select = |rule| Sparse::select(&z, rule, sizes, None, Activation::Identity).expect("a kernel");
            let all = select(Rule::LargestOfAll(count));
            assert_eq!(all.entries(), count);
            assert!(numbers(all.dense()) == best(&scores, &values, count), "{count} of {rows} x {width}");
            let mut sorted = scores.clone();
            sorted.sort_by(|a, b| b.total_cmp(a));
            if count < sorted.len() {
                let above = select(Rule::Above(sorted[count]));
                assert!(numbers(above.dense()) == best(&scores, &values, count), "above the next");
            }
            let k = (count / rows).max(1);
            let by_row: Vec<f32> = scores
                .chunks(width)
                .zip(values.chunks(width))
                .flat_map(|(scores, values)| best(scores, values, k))
                .collect();
            assert!(numbers(select(Rule::Largest(k)).dense()) == by_row, "{k} of each row");
        }
    }
}

#[test]
fn ties_are_kept_in_order_and_nan_last() {
    let device = Device::flex();
    let kept = |rows: usize, values: &[f32], count: usize| {
        let z = Tensor::<1>::from_floats(values, &device).reshape([rows, values.len() / rows]);
        let h = Sparse::select(&z, Rule::LargestOfAll(count), None, None, Activation::Identity).expect("a kernel");
        let h = numbers(h.dense());
        (0..values.len()).filter(|&i| h[i] != 0.0).collect::<Vec<_>>()
    };
    assert_eq!(kept(2, &[1.0, 1.0, 2.0, 1.0, 1.0, 3.0], 4), [0, 1, 2, 5]);
    assert_eq!(kept(2, &[f32::NAN, 1.0, f32::NAN, 2.0], 2), [1, 3]);
    assert_eq!(kept(2, &[f32::NAN, 1.0, f32::NAN, 2.0], 3), [0, 1, 3]);
    let equal = vec![1.0; 1 << 18];
    assert_eq!(kept(1 << 8, &equal, 1000), (0..1000).collect::<Vec<_>>(), "no threshold separates equal values");
}

#[test]
fn only_some_columns_can_be_selected_from() {
    let device = seeded(3);
    let z: Tensor<2> = random([9, 40], &device);
    let among = [1u32, 5, 6, 20, 39];
    let dense = |z: &Tensor<2>| {
        let part = Tensor::cat(among.iter().map(|&c| z.clone().narrow(1, c as usize, 1)).collect(), 1);
        let (values, places) = part.clone().detach().topk_with_indices(2, 1);
        let kept =
            part.clone() * part.zeros_like().detach().scatter(1, places, values.ones_like(), IndexingUpdateOp::Add);
        let mut columns = vec![z.clone().narrow(1, 0, 1).zeros_like().detach(); 40];
        among.iter().enumerate().for_each(|(at, &c)| columns[c as usize] = kept.clone().narrow(1, at, 1));
        Tensor::cat(columns, 1)
    };
    let sparse = |z: &Tensor<2>| {
        Sparse::select(z, Rule::Largest(2), None, Some(&among), Activation::Identity).expect("a kernel").dense()
    };
    assert_same("among", &[z], |t| sparse(&t[0]), |t| dense(&t[0]));
}

#[test]
fn prefixes_of_a_code_are_decoded_together() {
    let device = seeded(8);
    let (batch, width, d_out) = (33, 60, 21);
    let inputs = [random([batch, width], &device), random([width, d_out], &device)];
    let bias = random([d_out], &device);
    for widths in [vec![60], vec![7, 60], vec![3, 3, 20, 41], vec![0, 1, 59]] {
        for after in [Activation::Identity, Activation::Tanh, Activation::Gelu] {
            let select = |z: &Tensor<2>| {
                Sparse::select(z, Rule::LargestOfAll(200), None, None, Activation::Relu).expect("a kernel")
            };
            let ours = |t: &[Tensor<2>]| select(&t[0]).prefixes(t[1].clone(), on(&bias, &t[0]), &widths, after);
            let burn = |t: &[Tensor<2>]| {
                let h = select(&t[0]).dense();
                let of = |&last: &usize| {
                    let columns = Tensor::<1, Int>::arange(0..width as i64, &h.device());
                    let mask = columns.lower_elem(last as i64).float().unsqueeze::<2>();
                    let product = (h.clone() * mask).matmul(t[1].clone());
                    after.with_burn(product + on(&bias, &t[0]).unsqueeze::<2>())
                };
                Tensor::cat(widths.iter().map(of).collect(), 0)
            };
            assert_same(&format!("{widths:?}, {after:?}"), &inputs, ours, burn);
        }
    }
}

#[test]
fn values_above_the_threshold_of_their_column_are_selected() {
    let device = Device::flex().autodiff();
    for (rows, width) in [(3, 5), (40, 100), (7, 1000)] {
        let z = Tensor::<2>::random([rows, width], Distribution::Normal(0.0, 1.0), &device).require_grad();
        let thresholds = Tensor::<1>::random([width], Distribution::Uniform(-0.5, 2.0), &device.clone().inner());
        let mask = z.clone().inner().greater(thresholds.clone().unsqueeze::<2>().expand([rows, width])).float();
        let found = Sparse::above(&z, &thresholds).expect("some are above");
        found.dense().into_data().assert_eq(&(z.clone().inner() * mask.clone()).into_data(), true);
        let doubled = found.with_values(found.values().mul_scalar(2.0));
        let sums = (z.clone().inner() * mask.clone()).sum_dim(1).squeeze_dim::<1>(1) * 2.0;
        doubled.row_sums().into_data().assert_approx_eq::<f32>(&sums.into_data(), Tolerance::relative(1e-5));
        let columns: Vec<i64> = found.columns().into_data().iter::<i64>().collect();
        let of_columns = thresholds.clone().select(0, found.columns().inner()).into_data();
        let values: Vec<f32> = found.values().into_data().iter::<f32>().collect();
        assert!(columns.len() == found.entries() && of_columns.iter::<f32>().zip(&values).all(|(t, v)| *v > t));
        // The gradient of each row's sum is 2 where a value is selected, and 0 elsewhere.
        let gradients = doubled.row_sums().sum().backward();
        z.grad(&gradients).unwrap().into_data().assert_eq(&(mask * 2.0).into_data(), true);
    }
    let none = Tensor::<2>::zeros([2, 3], &device);
    assert!(Sparse::above(&none, &Tensor::ones([3], &device)).is_none());
}
