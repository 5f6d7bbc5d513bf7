//! Cost of an epoch through Burn's Learner compared with a loop of plain steps, and speed of a trained encoder; one
//! JSON line each.
//!
//! An epoch is measured in four ways: steps on batches in memory (`steps_ms`), the same with the batches gathered,
//! scaled and shuffled (`loaded_ms`), followed by a pass over the validation rows (`loop_ms`), and through the Learner
//! with all metrics, the log and the checkpoints (`learner_ms`). `overhead` is the ratio of the last two, minus 1: the
//! median over rounds in which both are measured one directly after the other, with the smallest and largest value. The
//! times are medians over all epochs.
//!
//! `cargo bench -p ae-train --bench trainer`. The 60,000 images of Fashion-MNIST are imitated by repeating the 2,500
//! images included in the project.

use std::{sync::Arc, time::Instant};

use ae_data::{Batcher, Dataset, Loader, Order, Rows, Scaling, ScalingMethod, Split, SplitConfig, Values, open};
use ae_model::{Inputs, Model, Objective, Variant};
use ae_train::{
    Quiet,
    checkpoint::Saved,
    config::{Every, TrainingConfig},
    history::{self, History},
    learner::{Fit, Place},
    metrics::Variances,
    trainee,
};
use burn::{
    data::{dataloader::DataLoader, dataset::Dataset as _},
    module::Module,
    optim::{GradientsParams, ModuleOptimizer},
    tensor::{Device, Distribution, Tensor},
    train::Interrupter,
};

#[global_allocator]
static ALLOCATOR: ae_train::allocator::Allocator = ae_train::allocator::Allocator;

/// The four are measured in turn, so that a change in the speed of the machine affects all of them.
const ROUNDS: usize = 15;

type Error = Box<dyn std::error::Error>;

fn main() -> Result<(), Error> {
    ae_train::allocator::keep_freed_memory();
    let digits = Split::new(open("digits")?, &SplitConfig::default())?;
    epoch("digits", &digits, 64, 10)?;
    let mini = open("fashion-mini")?.train;
    let width = mini.width();
    let images: Vec<Vec<f64>> = (0..mini.len()).map(|index| mini.row(index)).collect::<Result<_, _>>()?;
    let values = images.iter().cycle().take(60_000).flatten().map(|&value| value as u8).collect();
    let rows = Dataset::new(Rows::new(Values::U8(values), width));
    let part = |range: std::ops::Range<usize>| rows.select(range.collect());
    let fashion = Split {
        train: part(0..54_000),
        validation: part(54_000..60_000),
        test: part(54_000..60_000),
        notes: Vec::new(),
    };
    epoch("fashion-mnist", &fashion, 128, 1)?;
    for batch in [1, 4096] {
        encode(batch);
    }
    Ok(())
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    (times[(times.len() - 1) / 2] + times[times.len() / 2]) / 2.0
}

/// Milliseconds of each of `epochs` runs, after one warm-up run.
fn timed(epochs: usize, mut run: impl FnMut() -> Result<(), Error>) -> Result<Vec<f64>, Error> {
    let mut times = Vec::new();
    for _ in 0..=epochs {
        let start = Instant::now();
        run()?;
        times.push(1e3 * start.elapsed().as_secs_f64());
    }
    Ok(times.split_off(1))
}

fn epoch(name: &str, split: &Split, batch: usize, epochs: usize) -> Result<(), Error> {
    let device = Device::default();
    let batcher = Batcher::new(Scaling::fit(ScalingMethod::Auto, &split.train)?);
    let config = TrainingConfig { epochs: epochs + 1, batch_size: batch, patience: 0, ..TrainingConfig::default() };
    let width = split.train.rows().width();
    let recipe = (Variant::find("undercomplete").ok_or("a variant of this name")?.recipe)();
    let model = || recipe.init(&Inputs::unit(width), &device.clone().autodiff());
    let loader = |dataset: &Dataset, order, size, device: Device| {
        Loader::new(dataset.clone(), batcher.clone(), size, order, device)
    };
    let (shuffled, training) = (Order::Shuffled { seed: 0 }, device.clone().autodiff());
    let objective = Objective::default();

    let batches = loader(&split.train, shuffled, batch, training.clone()).iter().collect::<Result<Vec<_>, _>>()?;
    let steps = batches.len();
    let mut trained = Some((model(), config.optimizer()));
    let mut step = |x: Tensor<2>| {
        let (model, mut optimizer): (Model, ModuleOptimizer) = trained.take().expect("put back below");
        let loss = objective.evaluate(&model, x).loss();
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        let _ = loss.into_scalar::<f32>();
        trained = Some((optimizer.step(1e-3, model, gradients), optimizer));
    };
    let train = loader(&split.train, shuffled, batch, training.clone());
    let valid = model().valid();
    let validation =
        loader(&split.validation, Order::Sequential, batch.max(256).min(split.validation.len()), device.clone());
    let (mut times, mut overheads) = ([const { Vec::new() }; 4], Vec::new());
    for _ in 0..ROUNDS {
        times[0].extend(timed(epochs, || {
            batches.iter().for_each(|batch| step(batch.x.clone()));
            Ok(())
        })?);
        times[1].extend(timed(epochs, || Ok(train.iter().try_for_each(|batch| batch.map(|batch| step(batch.x)))?))?);
        times[2].extend(timed(epochs, || {
            let loss = |batch: ae_data::Batch| {
                objective.evaluate(&valid, batch.x).loss().into_scalar::<f32>();
            };
            Ok(validation.iter().try_for_each(|batch| batch.map(loss))?)
        })?);
        let folder = tempfile::tempdir()?;
        let metrics = folder.path().join("metrics.csv");
        let (checkpoints, saved) = (folder.path().join("checkpoint"), Saved::default());
        std::fs::create_dir(&checkpoints)?;
        let fit = Fit {
            config: &config,
            seed: 0,
            split,
            batcher: batcher.clone(),
            reader: None,
            peers: None,
            variances: Variances { train: 1.0, validation: 1.0 },
            place: Place::Folder { checkpoints: &checkpoints, saved: &saved, every: Every::default() },
            history: History::open(&metrics, epochs, steps, 0, Arc::new(Quiet))?,
            reporter: &Quiet,
            interrupter: Interrupter::new(),
            device: device.clone(),
        };
        fit.run(trainee(model(), objective.clone()))?;
        times[3].extend(history::losses(&metrics)?.iter().skip(1).map(|epoch| 1e3 * epoch.seconds));
        let [_, loaded, pass, learner] = times.each_ref().map(|times| median(times[times.len() - epochs..].to_vec()));
        overheads.push(learner / (loaded + pass) - 1.0);
    }
    overheads.sort_by(f64::total_cmp);
    let [steps_ms, loaded_ms, pass_ms, learner_ms] = times.map(median);
    let loop_ms = loaded_ms + pass_ms;
    let line = serde_json::json!({
        "data": name, "batch": batch, "steps": steps,
        "steps_ms": steps_ms, "loaded_ms": loaded_ms, "loop_ms": loop_ms, "learner_ms": learner_ms,
        "overhead": median(overheads.clone()), "lowest": overheads[0], "highest": overheads[ROUNDS - 1],
    });
    println!("{line}");
    Ok(())
}

/// Codes per second, for images of 784 values with the default network.
fn encode(batch: usize) {
    let device = Device::default();
    let recipe = (Variant::find("undercomplete").expect("a variant of this name").recipe)();
    let model = recipe.init(&Inputs::unit(784), &device);
    let x = Tensor::<2>::random([batch, 784], Distribution::Uniform(0.0, 1.0), &device);
    let runs = (20_000 / batch).clamp(50, 5000);
    let one = || {
        let start = Instant::now();
        let code = model.encode(x.clone()).into_data();
        assert_eq!(code.shape()[0], batch);
        start.elapsed().as_secs_f64()
    };
    for _ in 0..runs / 10 {
        one();
    }
    let seconds = median((0..runs).map(|_| one()).collect());
    println!(
        "{}",
        serde_json::json!({
            "encode_batch": batch, "microseconds": 1e6 * seconds, "examples_per_s": (batch as f64 / seconds).round()
        })
    );
}
