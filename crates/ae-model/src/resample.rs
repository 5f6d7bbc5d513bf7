//! Resampling: units that are never active start again in the direction of rows that are reconstructed badly (Bricken
//! et al. 2023).
//!
//! Every so many steps, in the first half of the training, each dead unit gets a row of the batch, drawn with a
//! probability in proportion to its squared reconstruction loss, without replacement. With the row's input `x` less the
//! center and its target less the decoder's bias:
//!
//! - its atom has the direction of the target, and the mean length of the living atoms;
//! - its encoder weights have the direction of the input, and 0.2 times their mean length over the living units;
//! - its encoder bias is 0, and so are the optimizer's running averages of all three.
//!
//! If there are more dead units than rows in the batch, the remaining ones wait for the next time.

use ae_kernels::{Forgotten, uniform_like};
use burn::{
    serde::{Deserialize, Serialize},
    tensor::{Device, IndexingUpdateOp, Int, Tensor},
};
use schemars::JsonSchema;

use crate::{
    Autoencoder, Evaluation, ModuleCode, ModuleDecoder, ModuleEncoder, Objective, Sample, network::affine::replaced,
    objective::clean, penalty::dead_after,
};

/// What a model must be, in a message.
const UNSUITABLE: &str = "resampling is for an encoder and a decoder of a single affine layer each";

/// Length of a resampled unit's encoder weights, relative to that of the living units.
const SHARE: f64 = 0.2;

/// Units that were not active for many rows start again in the direction of rows that are reconstructed badly, in the
/// first half of the training (Bricken et al. 2023); for a dictionary, or an mlp without hidden layers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "burn::serde", default, deny_unknown_fields)]
pub struct Resample {
    /// Number of steps between two times; 0 for never. Default: 0.
    pub every: usize,
    /// Number of rows without activity after which a unit is dead; with 0, half as many as there are training rows.
    /// Default: 0.
    pub dead_after: usize,
}

crate::macros::setters! {
    Resample {
        with_dead_after(dead_after: usize),
    }
}

impl Resample {
    /// Resampling every `every` steps; 0 for never.
    pub fn new(every: usize) -> Self {
        Self { every, ..Self::default() }
    }

    /// Whether units are never resampled.
    pub fn is_off(&self) -> bool {
        self.every == 0
    }

    /// Whether it acts after step `step`, counted from 1. `progress` is the fraction of the training that is done
    /// before it, in `[0, 1)`; 1 if it is not known.
    pub(crate) fn is_due(&self, step: usize, progress: f64) -> bool {
        !self.is_off() && step.is_multiple_of(self.every) && (progress < 0.5 || progress == 1.0)
    }
}

/// The rows of a batch and their reconstruction losses, from which dead units start again.
#[derive(Debug, Clone)]
pub(crate) struct Candidates {
    sample: Sample,
    loss: Tensor<1>,
}

impl Candidates {
    pub(crate) fn new(sample: Sample, evaluation: &Evaluation) -> Self {
        let plain = |tensor: Tensor<2>| tensor.without_autodiff();
        let sample = clean(sample);
        let sample = Sample {
            input: plain(sample.input),
            target: sample.target.map(plain),
            observed: sample.observed.map(plain),
            seed: sample.seed,
        };
        Self { sample, loss: evaluation.terms[0].value.clone().without_autodiff() }
    }

    /// At most `count` rows, drawn with a probability in proportion to their squared loss, without replacement.
    fn draw(&self, count: usize) -> Vec<usize> {
        /// Makes the draws others than those of the corruption.
        const OTHER: u64 = 0x0b5e_ed00;
        let seeded = Sample { seed: self.sample.seed.map(|seed| seed ^ OTHER), ..self.sample.clone() };
        let draws = seeded.seeded(|| uniform_like(&self.loss)).into_data();
        // The largest u^(1/w) are such a sample (Efraimidis and Spirakis 2006).
        let mut keys: Vec<(f64, usize)> = draws
            .iter::<f64>()
            .zip(self.loss.to_data().iter::<f64>())
            .enumerate()
            .filter(|(_, (_, loss))| loss.is_finite() && *loss != 0.0)
            .map(|(row, (u, loss))| (u.max(f64::MIN_POSITIVE).ln() / (loss * loss), row))
            .collect();
        keys.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        keys.into_iter().take(count).map(|(_, row)| row).collect()
    }
}

/// Units that start again, and what they start with.
pub(crate) struct Start {
    /// 0 for the units that start again and 1 for the others, `[d_code]`.
    keep: Tensor<1>,
    /// The new columns of the encoder's weight, and 0 in the others, `[d_input, d_code]`.
    weight: Tensor<2>,
    /// The new atoms, and 0 in the other rows, `[d_code, d_output]`.
    atoms: Tensor<2>,
    /// The number of units.
    pub(crate) units: usize,
}

impl Objective {
    /// The dead units of `model` that start again, and what they start with. `None` if there are none.
    ///
    /// # Panics
    /// The encoder is not a single affine layer, or the decoder has no such layer of its own.
    pub(crate) fn restart<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode>(
        &self,
        model: &Autoencoder<E, D, C>,
        candidates: &Candidates,
    ) -> Option<Start> {
        let Sample { input, target, observed, .. } = &candidates.sample;
        let idle = model.activity.as_ref()?.idle(input);
        let is_dead = idle.greater_elem(dead_after(self.resample.dead_after, self.epoch_rows) as f64);
        let is_dead: Vec<bool> = is_dead.to_data().iter::<bool>().collect();
        let mut units: Vec<usize> = (0..is_dead.len()).filter(|unit| is_dead[*unit]).collect();
        let rows = candidates.draw(units.len());
        units.truncate(rows.len());
        if units.is_empty() {
            return None;
        }
        let (device, dtype) = (input.device(), input.dtype());
        let indices = |places: &[usize]| {
            let places: Vec<i64> = places.iter().map(|place| *place as i64).collect();
            Tensor::<1, Int>::from_data(places.as_slice(), &device)
        };
        let rows = indices(&rows);
        let flags = |of: &dyn Fn(usize) -> bool| {
            let flags: Vec<f32> = (0..is_dead.len()).map(|unit| f32::from(u8::from(of(unit)))).collect();
            Tensor::<1>::from_floats(flags.as_slice(), &device).cast(dtype)
        };
        let living = flags(&|unit| !is_dead[unit]);

        let weight = model.encoder.units().expect(UNSUITABLE).0.val().without_autodiff();
        let atoms = model.decoder.first_weight().expect(UNSUITABLE).val().without_autodiff();
        let read = model.parts().read(input.clone(), observed.clone()).select(0, rows.clone());
        let from = match model.encoder.center() {
            Some(center) => read.clone() - center.without_autodiff().unsqueeze::<2>(),
            None => read.clone(),
        };
        let target = target.as_ref().unwrap_or(input).clone().select(0, rows);
        let to = target - without_units(model, read, is_dead.len());
        let columns = directions(from) * mean_length(weight.clone().transpose(), &living).mul_scalar(SHARE);
        let new = directions(to) * mean_length(atoms.clone(), &living);
        let put = |like: Tensor<2>, rows: Tensor<2>| {
            like.zeros_like().select_assign(0, indices(&units), rows, IndexingUpdateOp::Add)
        };
        Some(Start {
            keep: flags(&|unit| !units.contains(&unit)),
            weight: put(weight.transpose(), columns).transpose(),
            atoms: put(atoms, new),
            units: units.len(),
        })
    }
}

/// The decoder's output if no unit is active, for what the encoder read: `[rows, d_output]`.
fn without_units<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode>(
    model: &Autoencoder<E, D, C>,
    read: Tensor<2>,
    d_code: usize,
) -> Tensor<2> {
    let trains = model.encoder.devices().iter().any(Device::is_autodiff);
    let read = if trains { Tensor::from_inner(read) } else { read };
    let none = Tensor::<2>::zeros([read.dims()[0], d_code], &read.device()).cast(read.dtype());
    let parts = model.parts();
    parts.decode(&parts.with_input(none.into(), read)).without_autodiff()
}

/// Rows of length 1; a row of zeros stays as it is.
fn directions(rows: Tensor<2>) -> Tensor<2> {
    let lengths = rows.clone().square().sum_dim(1).sqrt().clamp_min(1e-12);
    rows / lengths
}

/// The mean length of the rows of living units, `[1, 1]`; 1 if there are none.
fn mean_length(rows: Tensor<2>, living: &Tensor<1>) -> Tensor<2> {
    let lengths = rows.square().sum_dim(1).sqrt().squeeze_dim::<1>(1);
    let count = living.clone().sum();
    let none = count.clone().lower_equal_elem(0.0);
    let mean = (lengths * living.clone()).sum() / count.clamp_min(1.0);
    mean.mask_fill(none, 1.0).unsqueeze()
}

impl Start {
    /// The optimizer's running averages of the old values, which say nothing about the new ones.
    pub(crate) fn forgotten<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode>(
        &self,
        model: &Autoencoder<E, D, C>,
    ) -> Forgotten {
        let columns: Tensor<2> = self.keep.clone().unsqueeze();
        let (weight, bias) = model.encoder.units().expect(UNSUITABLE);
        let atoms = model.decoder.first_weight().expect(UNSUITABLE);
        Forgotten::default()
            .with(weight.val(), columns.clone())
            .with(bias.val(), self.keep.clone())
            .with(atoms.val(), columns.transpose())
    }

    /// `model` with the units that start again.
    pub(crate) fn apply<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode>(
        self,
        mut model: Autoencoder<E, D, C>,
    ) -> Autoencoder<E, D, C> {
        let Self { keep, weight: columns, atoms: new, .. } = self;
        let by_unit: Tensor<2> = keep.clone().unsqueeze();
        let (weight, bias) = model.encoder.units_mut().expect(UNSUITABLE);
        *weight = replaced(weight.clone(), &|weight| weight * by_unit.clone() + columns.clone());
        *bias = replaced(bias.clone(), &|bias| bias * keep.clone());
        model.decoder =
            model.decoder.map_atoms(&|atoms| atoms * by_unit.clone().transpose() + new.clone()).expect(UNSUITABLE);
        if let Some(activity) = &model.activity {
            activity.forget(&keep);
        }
        model
    }
}

#[cfg(test)]
mod tests {
    use burn::optim::ModuleOptimizer;

    use super::*;
    use crate::{
        Inputs, Model, Recipe,
        code::TopKConfig,
        network::{Decode, DictionaryConfig, Encoder, NetworkDecoder, NetworkEncoder},
        reconstruction::SquaredError,
    };

    fn recipe(every: usize) -> Recipe {
        Recipe {
            code_dim: 12,
            network: DictionaryConfig::default().into(),
            code: TopKConfig::new(2).into(),
            reconstruction: SquaredError.into(),
            resample: Resample::new(every).with_dead_after(100usize),
            ..Recipe::default()
        }
    }

    fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().iter::<f32>().collect()
    }

    /// Weight by unit, bias and atoms.
    fn parts(model: &Model) -> [Vec<f32>; 3] {
        let (NetworkEncoder::Dictionary(encoder), NetworkDecoder::Dictionary(decoder)) =
            (&model.encoder, &model.decoder)
        else {
            unreachable!()
        };
        [numbers(encoder.weight.val().transpose()), numbers(encoder.bias.val()), numbers(decoder.weight.val())]
    }

    fn length(row: &[f32]) -> f32 {
        row.iter().map(|value| value * value).sum::<f32>().sqrt()
    }

    /// A model some of whose units cannot become active, after `steps` steps on the same rows.
    fn trained(every: usize, steps: usize, x: &Tensor<2>) -> (Model, Model) {
        let device = x.device();
        let inputs = Inputs::real(5);
        ae_kernels::seeded(3, &device.clone().inner(), || {
            let recipe = recipe(every);
            let mut model = recipe.init(&inputs, &device);
            // Other tests draw from Burn's generator meanwhile; these numbers depend on the seed alone.
            let plain = device.clone().inner();
            let drawn = ae_kernels::normal_like(&Tensor::<2>::zeros([5, 12], &plain), 1.0);
            let lengths = drawn.clone().square().sum_dim(0).sqrt();
            let unit = drawn / lengths;
            model.decoder = model.decoder.map_atoms(&|_| unit.clone().transpose()).expect("a decoder of atoms");
            let NetworkEncoder::Dictionary(encoder) = &mut model.encoder else { unreachable!() };
            encoder.weight = replaced(encoder.weight.clone(), &|_| unit.clone());
            let low: Vec<f32> = (0..12).map(|unit| if unit % 3 == 1 { -1e3 } else { 0.0 }).collect();
            encoder.bias = replaced(encoder.bias.clone(), &|bias| Tensor::from_floats(low.as_slice(), &bias.device()));
            let mut objective = recipe.objective(&inputs);
            let mut optimizer: ModuleOptimizer = ae_kernels::Adam::default().into();
            let mut before = model.clone();
            for _ in 0..steps {
                before = model.clone();
                let sample = Sample::from(x.clone()).with_seed(11);
                (model, _) = objective.step(model, &mut optimizer, 1e-3, sample, 0.0);
            }
            (before, model)
        })
    }

    #[test]
    fn dead_units_start_in_the_direction_of_rows_and_the_others_are_as_without() {
        let device = Device::default().autodiff();
        let plain = device.clone().inner();
        let x = ae_kernels::seeded(5, &plain, || {
            ae_kernels::normal_like(&Tensor::<2>::zeros([40, 5], &plain), 2.0).add_scalar(1.0)
        });
        let rows: Vec<f32> = numbers(x.clone());
        let x = Tensor::from_inner(x);
        // After 3 steps of 40 rows a unit that was never active is idle for 120.
        let (_, never) = trained(0, 3, &x);
        let (before, after) = trained(3, 3, &x);
        let ([never_weight, never_bias, never_atoms], [weight, bias, atoms]) = (parts(&never), parts(&after));
        let [old_weight, _, old_atoms] = parts(&before);
        let center = numbers(before.encoder.center().unwrap());
        let row = |values: &[f32], unit: usize| values[unit * 5..][..5].to_vec();
        let dead = |unit: usize| unit % 3 == 1;
        let mean = |values: &[f32]| {
            let living = (0..12).filter(|unit| !dead(*unit)).map(|unit| length(&row(values, unit)));
            living.sum::<f32>() / 8.0
        };
        let mut used = Vec::new();
        for unit in 0..12 {
            if !dead(unit) {
                assert_eq!(row(&weight, unit), row(&never_weight, unit), "unit {unit}");
                assert_eq!(row(&atoms, unit), row(&never_atoms, unit), "unit {unit}");
                assert_eq!(bias[unit], never_bias[unit], "unit {unit}");
                continue;
            }
            assert_eq!(bias[unit], 0.0);
            let (w, d) = (row(&weight, unit), row(&atoms, unit));
            assert!((length(&w) / (0.2 * mean(&old_weight)) - 1.0).abs() < 1e-5, "unit {unit}");
            assert!((length(&d) / mean(&old_atoms) - 1.0).abs() < 1e-5, "unit {unit}");
            // Both have the direction of the same row less the center.
            let is_from = |values: &[f32], place: usize| {
                let from: Vec<f32> = (0..5).map(|column| rows[place * 5 + column] - center[column]).collect();
                let product: f32 = from.iter().zip(values).map(|(a, b)| a * b).sum();
                (product / length(&from) / length(values) - 1.0).abs() < 1e-5
            };
            let place = (0..40).find(|place| is_from(&w, *place)).expect("a row of the batch");
            assert!(is_from(&d, place), "unit {unit}");
            assert!(!used.contains(&place), "a row is drawn once");
            used.push(place);
        }
        assert_eq!(used.len(), 4);
        let idle = numbers(after.activity.as_ref().unwrap().idle.value_sync());
        assert!((0..12).filter(|unit| dead(*unit)).all(|unit| idle[unit] == 0.0), "{idle:?}");

        // The rows with the larger losses: of two rows with losses 1 and 3, the second is drawn in 9 of 10 cases.
        let draw = |seed: u64| {
            let loss = Tensor::from_floats([1.0, 3.0, 0.0], &device.clone().inner());
            let sample = Sample::from(Tensor::<2>::zeros([3, 1], &device.clone().inner())).with_seed(seed);
            Candidates { sample, loss }.draw(1)[0]
        };
        let drawn: Vec<usize> = (0..2000).map(draw).collect();
        let second = drawn.iter().filter(|row| **row == 1).count();
        assert!(!drawn.contains(&2) && (1740..1860).contains(&second), "{second}");
    }

    #[test]
    fn it_is_refused_where_a_unit_is_more_than_a_column_and_a_row() {
        let refused = |recipe: Recipe| recipe.check().unwrap_err().field;
        recipe(5).check().unwrap();
        assert_eq!(
            refused(Recipe {
                code: crate::code::JumpReluConfig { target: 2.0, ..Default::default() }.into(),
                ..recipe(5)
            }),
            "code.kind"
        );
        let mlp = crate::network::MlpConfig::new();
        assert_eq!(refused(Recipe { network: mlp.clone().with_hidden([7]).into(), ..recipe(5) }), "network.kind");
        Recipe { network: mlp.clone().with_hidden(Vec::new()).into(), ..recipe(5) }.check().unwrap();
        assert_eq!(
            refused(Recipe { network: mlp.with_hidden(Vec::new()).with_tied(true).into(), ..recipe(5) }),
            "network.kind"
        );
    }
}
