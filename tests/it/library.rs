//! The library as programs use it: rows in memory, several trainings at the same time, nothing printed.

use std::{
    fs,
    sync::{Arc, Mutex},
};

use ae_data::{Dataset, Rows, Split, SplitConfig, Values, open};
use ae_train::{Config, EpochReport, Error, Fitted, Quiet, Reporter, Trainer};
use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::{Device, Tensor},
    train::Interrupter,
};

/// 400 rows of 6 values on a curve, with a little noise.
fn rows() -> Vec<f32> {
    let value = |row: usize, column: usize| {
        let t = row as f32 * 0.37;
        (t * (1 + column) as f32 * 0.31).sin() + ((row * 31 + column * 17) % 13) as f32 * 0.01
    };
    (0..400).flat_map(|row| (0..6).map(move |column| value(row, column))).collect()
}

fn config(variant: &str, seed: u64) -> Config {
    let mut config = Config::of_variant(variant).unwrap();
    (config.seed, config.model.code_dim, config.training.epochs, config.training.pretrain_epochs) = (seed, 3, 4, 1);
    if !matches!(variant, "stacked") {
        config.training.pretrain_epochs = 0;
    }
    config
}

/// The bits of every weight of a model.
#[derive(Default)]
struct Weights(Vec<u32>);

impl ModuleVisitor for Weights {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.extend(param.val().into_data().iter::<f32>().map(f32::to_bits));
    }
}

fn weights(fitted: &Fitted) -> Vec<u32> {
    let mut weights = Weights::default();
    fitted.trained.model.visit(&mut weights);
    weights.0
}

/// Each uses random numbers in another way: noise, masks, samples, random probes, dropout; and the initial weights.
const DRAWING: [&str; 6] = ["denoising", "masked", "variational", "contractive", "stacked", "undercomplete"];

#[test]
fn trainings_on_several_threads_give_what_each_gives_alone() {
    crate::in_its_own_process(".".as_ref(), "library::several_threads");
}

#[test]
#[ignore = "run by trainings_on_several_threads_give_what_each_gives_alone"]
fn several_threads() {
    let train = |variant: &str, seed: u64| {
        let mut config = config(variant, seed);
        if let (ae_model::network::Network::Mlp(network), "undercomplete") = (&mut config.model.network, variant) {
            network.dropout = 0.2;
        }
        let rows = rows();
        let fitted = Trainer::new(config).fit((rows.as_slice(), 6)).unwrap();
        (weights(&fitted), fitted.summary.test, fitted.score((rows.as_slice(), 6)).unwrap())
    };
    for variant in DRAWING {
        let alone = [train(variant, 1), train(variant, 2)];
        assert!(alone[0].0 != alone[1].0, "{variant}: two seeds give the same model");
        let at_once = std::thread::scope(|scope| {
            let threads = [1, 2].map(|seed| scope.spawn(move || train(variant, seed)));
            threads.map(|thread| thread.join().unwrap())
        });
        assert!(at_once == alone, "{variant}: trained at the same time they differ");
    }
}

#[test]
fn training_in_a_folder_gives_the_same_results_as_in_memory() {
    crate::in_its_own_process(".".as_ref(), "library::memory_and_folder");
}

#[test]
#[ignore = "run by training_in_a_folder_gives_the_same_results_as_in_memory"]
fn memory_and_folder() {
    let (rows, place) = (rows(), tempfile::tempdir().unwrap());
    for variant in ["denoising", "stacked"] {
        let folder = place.path().join(variant);
        let trainer = Trainer::new(config(variant, 3));
        let in_memory = trainer.fit((rows.as_slice(), 6)).unwrap();
        let in_folder = trainer.clone().in_folder(&folder).fit((rows.as_slice(), 6)).unwrap();
        let opened = Fitted::open(&folder, Device::default()).unwrap();
        for other in [in_folder, opened] {
            assert!(weights(&in_memory) == weights(&other), "{variant}");
            // A result is read back from JSON, which can change the last digit of a number.
            let [one, two] = [&in_memory, &other].map(|fitted| fitted.summary.test.model.sse);
            assert!((one - two).abs() < 1e-12 * one, "{variant}: {one} and {two}");
            let scores = |fitted: &Fitted| fitted.score((rows.as_slice(), 6)).unwrap();
            assert_eq!(scores(&in_memory), scores(&other), "{variant}");
        }
        let again = trainer.in_folder(&folder).fit((rows.as_slice(), 6)).unwrap_err().to_string();
        assert!(again.contains("is not empty"), "{again}");
    }
}

#[test]
fn every_kind_of_rows_can_be_trained_on() {
    crate::in_its_own_process(".".as_ref(), "library::every_kind");
}

#[test]
#[ignore = "run by every_kind_of_rows_can_be_trained_on"]
fn every_kind() {
    let (values, device) = (rows(), Device::default());
    let trainer = Trainer::new(config("undercomplete", 0)).on(device);
    let expected = weights(&trainer.fit((values.as_slice(), 6)).unwrap());
    let table = Rows::new(Values::F32(values.clone()), 6);
    let split = Split::new(
        ae_data::Sets { name: "rows".to_string(), train: table.clone(), test: None },
        &SplitConfig { seed: 0, ..SplitConfig::default() },
    );
    assert!(weights(&trainer.fit((values.clone(), 6)).unwrap()) == expected);
    assert!(weights(&trainer.fit(table.clone()).unwrap()) == expected);
    assert!(weights(&trainer.fit(Dataset::new(table.clone())).unwrap()) == expected);
    assert!(weights(&trainer.fit(split.unwrap()).unwrap()) == expected);
    assert!(trainer.fit(Dataset::new(table).select(vec![1, 2])).unwrap_err().to_string().contains("`Split`"));
    assert!(
        trainer.fit((&values[1..], 6)).unwrap_err().to_string().contains("2399 values do not make whole rows of 6")
    );
    assert!(trainer.fit((&values[..0], 6)).is_err() && trainer.fit((values.as_slice(), 0)).is_err());
    assert_eq!(trainer.fit("digits").unwrap().trained.schema.d_input, 64);
    let error = trainer.fit("no-such.csv").unwrap_err();
    assert!(matches!(error, Error::Data(_)) && error.exit_code() == 2, "{error}");
}

#[test]
fn a_fitted_model_does_what_a_detector_and_a_transformer_do() {
    let values = rows();
    let fitted = Trainer::new(config("masked", 0)).fit((values.as_slice(), 6)).unwrap();
    let few = (&values[..60], 6);
    let codes = fitted.encode(few).unwrap();
    assert_eq!(codes.len(), 30);
    let (decoded, reconstructed) = (fitted.decode(&codes).unwrap(), fitted.reconstruct(few).unwrap());
    assert_eq!(decoded.len(), 60);
    assert!(decoded.iter().zip(&reconstructed).all(|(a, b)| (a - b).abs() < 1e-4));
    // A row unlike all others has one of the highest scores.
    let mut odd = values[..60].to_vec();
    odd[6..12].copy_from_slice(&[9.0, -9.0, 9.0, -9.0, 9.0, -9.0]);
    let (scores, flagged) = (fitted.score((odd.as_slice(), 6)).unwrap(), fitted.predict((odd.as_slice(), 6)).unwrap());
    assert!(scores.iter().enumerate().all(|(row, score)| row == 1 || *score < scores[1]) && flagged[1], "{scores:?}");
    let threshold = fitted.detector().unwrap().threshold().unwrap();
    assert!(scores.iter().zip(&flagged).all(|(score, flag)| (*score > threshold) == *flag));
    // Observed values keep every bit, missing ones are filled in.
    let mut holes = values[..60].to_vec();
    holes[8] = f32::NAN;
    let filled = fitted.impute((holes.as_slice(), 6)).unwrap();
    assert!(
        filled.iter().zip(&holes).all(|(filled, hole)| hole.is_nan() || *filled == f64::from(*hole))
            && filled[8].is_finite()
    );
    let wrong = fitted.encode((values.as_slice(), 5)).unwrap_err().to_string();
    assert!(wrong.contains("rows have 5 values") && wrong.contains("trained on 6"), "{wrong}");
    // Samples need a prior, and are determined by the seed.
    assert!(fitted.sample(2, 0).is_err());
    let prior = Trainer::new(config("variational", 0)).fit((values.as_slice(), 6)).unwrap();
    let [one, again, other] = [1, 1, 2].map(|seed| prior.sample(5, seed).unwrap());
    assert!(one.len() == 30 && one == again && one != other);
}

#[test]
fn record_batches_keep_their_columns() {
    let numbers = |scale: f64| {
        Arc::new((0..200).map(|row| Some(f64::from(row % 17) * scale)).collect::<Float64Array>()) as ArrayRef
    };
    let words =
        Arc::new((0..200).map(|row| Some(["red", "green", "blue"][row % 3])).collect::<StringArray>()) as ArrayRef;
    let batch = RecordBatch::try_from_iter([("a", numbers(1.0)), ("b", numbers(-0.5)), ("color", words)]).unwrap();
    let fitted = Trainer::new(config("undercomplete", 0)).fit(batch.clone()).unwrap();
    assert_eq!(
        fitted.trained.schema.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(),
        ["a", "b", "color"]
    );
    assert_eq!(fitted.score(batch.clone()).unwrap().len(), 200);
    assert_eq!(fitted.reconstruct(batch.clone()).unwrap().len(), 200 * 5);
    assert_eq!(fitted.impute(batch.slice(0, 10)).unwrap().len(), 30);
    let other = RecordBatch::try_from_iter([("a", numbers(1.0))]).unwrap();
    assert!(fitted.score(other).is_err());
    let bare = fitted.score((vec![0.0; 10], 5)).unwrap_err().to_string();
    assert!(bare.contains("record batches"), "{bare}");
}

/// Records what it receives.
#[derive(Default)]
struct Notes {
    epochs: Mutex<Vec<EpochReport>>,
    stop_after: Option<(usize, Interrupter)>,
}

impl Reporter for Notes {
    fn epoch(&self, report: &EpochReport) {
        self.epochs.lock().unwrap().push(report.clone());
        if let Some((_, interrupter)) = self.stop_after.as_ref().filter(|(epoch, _)| *epoch == report.epoch) {
            interrupter.stop(Some("enough"));
        }
    }
}

#[test]
fn a_reporter_receives_every_epoch_and_an_interrupter_stops_the_training() {
    let values = rows();
    let notes = Arc::new(Notes::default());
    Trainer::new(config("undercomplete", 0)).reporting_to(notes.clone()).fit((values.as_slice(), 6)).unwrap();
    let epochs = notes.epochs.lock().unwrap().clone();
    assert_eq!(
        epochs.iter().map(|report| (report.epoch, report.epochs)).collect::<Vec<_>>(),
        [(1, 4), (2, 4), (3, 4), (4, 4)]
    );
    assert_eq!(epochs[3].steps, 4 * 288usize.div_ceil(64));
    for figure in ["train_loss", "valid_loss", "valid_mse", "seconds", "train_learning_rate"] {
        assert!(
            epochs.iter().all(|report| report.figures.iter().any(|(name, _)| name == figure)),
            "{figure}: {:?}",
            epochs[0]
        );
    }
    let interrupter = Interrupter::new();
    let notes = Arc::new(Notes { stop_after: Some((2, interrupter.clone())), ..Notes::default() });
    let stopped = Trainer::new(config("undercomplete", 0))
        .reporting_to(notes)
        .stopped_by(interrupter)
        .fit((values.as_slice(), 6));
    assert!(matches!(stopped, Err(Error::Interrupted(_))), "{stopped:?}");
}

#[test]
fn nothing_is_printed_and_nothing_is_written() {
    let place = tempfile::tempdir().unwrap();
    let [said, errors] = crate::in_its_own_process(place.path(), "library::silent");
    assert_eq!(errors, "");
    let lines: Vec<&str> = said.lines().filter(|line| !line.is_empty()).collect();
    assert!(
        lines.iter().all(|line| line.starts_with("running") || line.starts_with("test result") || *line == "."),
        "{said}"
    );
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
#[ignore = "run by nothing_is_printed_and_nothing_is_written"]
fn silent() {
    // A loss that diverges is also reported only to the reporter.
    let mut wild = config("undercomplete", 0);
    (wild.training.learning_rate, wild.training.epochs, wild.training.batch_size) = (1.0, 30, 1);
    let _ = Trainer::new(wild).reporting_to(Arc::new(Quiet)).fit((rows(), 6));
    let fitted = Trainer::new(config("stacked", 0)).fit(open("digits").unwrap()).unwrap();
    fitted.score("digits").unwrap();
}
