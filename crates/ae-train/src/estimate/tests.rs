use ae_data::{Dataset, Values};
use ae_model::network::{ConvConfig, MlpConfig};

use super::*;

const MB: u64 = 1_000_000;

fn work() -> Work {
    Work { batch_size: 100, epochs: 20, train: 5000, measured: 6000, test: 1000, held: 784 * 7000 }
}

fn wide(hidden: &[usize]) -> Recipe {
    Recipe { code_dim: 30, network: MlpConfig::new().with_hidden(hidden).into(), ..Recipe::default() }
}

#[test]
fn the_estimate_of_a_known_network_equals_the_calculation() {
    let estimate = Estimate::of(&wide(&[2000, 1000, 500]), &Inputs::unit(784), &work());
    // 784-2000-1000-500-30 and back: the same weights in both directions, and a bias for each output unit of a
    // layer.
    let weights = 784 * 2000 + 2000 * 1000 + 1000 * 500 + 500 * 30;
    let parameters = 2 * weights + (2000 + 1000 + 500 + 30) + (500 + 1000 + 2000 + 784);
    assert_eq!(estimate.parameters, parameters);
    let bytes = 4 * parameters as u64;
    assert_eq!((estimate.weights, estimate.gradients, estimate.moments), (2 * bytes, 2 * bytes, 2 * bytes));
    assert_eq!(estimate.saving, 3 * bytes);
    // The inputs of the encoder, the outputs of each layer and the inputs of the decoder: 100 rows, forward and
    // backward.
    assert_eq!(estimate.activations, 2 * 4 * 100 * 2 * (784 + 2000 + 1000 + 500 + 30));
    assert_eq!(estimate.rows, 784 * 7000);
    assert!(estimate.checkpoint > 3 * bytes && estimate.checkpoint < 3 * bytes + 20_000, "{}", estimate.checkpoint);
    assert_eq!(estimate.checkpoints, 5 * estimate.checkpoint);
    assert_eq!(estimate.disk(), 5 * estimate.checkpoint + 2 * bytes);
    let training = 9 * bytes + estimate.activations;
    assert_eq!(estimate.memory(), PROGRAM + estimate.rows + training.max(2 * bytes + estimate.measuring));

    let short = Estimate::of(&wide(&[2000, 1000, 500]), &Inputs::unit(784), &Work { epochs: 1, ..work() });
    assert_eq!((short.saving, short.checkpoints), (0, short.checkpoint));
}

#[test]
fn batches_larger_than_the_data_and_overflowing_sizes_are_handled() {
    let of = |batch_size| Estimate::of(&wide(&[100]), &Inputs::unit(784), &Work { batch_size, ..work() });
    assert_eq!(of(5000), of(usize::MAX));
    let endless = Work {
        batch_size: usize::MAX,
        train: usize::MAX / 2,
        measured: usize::MAX,
        test: usize::MAX,
        held: u64::MAX,
        epochs: usize::MAX,
    };
    let estimate = Estimate::of(&wide(&[100]), &Inputs::unit(784), &endless);
    assert_eq!(estimate.memory(), u64::MAX);
    assert!(estimate.check(Some(8000 * MB), None, Path::new("runs")).is_err());
}

#[test]
fn a_training_that_does_not_fit_is_refused_with_advice_in_one_line() {
    let folder = Path::new("runs/one");
    let estimate = Estimate::of(&wide(&[2000, 1000, 500]), &Inputs::unit(784), &work());
    let (memory, disk) = (estimate.memory(), estimate.disk());
    assert_eq!(estimate.check(None, None, folder).unwrap(), None);
    assert_eq!(estimate.check(Some(2 * memory), Some(2 * disk), folder).unwrap(), None);
    let warning = |memory, disk| estimate.check(memory, disk, folder).unwrap().unwrap();
    let error = |memory, disk| {
        let message = estimate.check(memory, disk, folder).unwrap_err().to_string();
        assert!(!message.contains('\n'), "{message}");
        message
    };
    assert!(warning(Some(memory * 11 / 10), None).contains("of memory"));
    assert!(warning(None, Some(disk * 11 / 10)).contains("runs/one"));
    assert!(warning(Some(memory), Some(disk)).contains("; the checkpoints"));
    assert_eq!(
        error(Some(100 * MB), None),
        format!(
            "this training needs about {} of memory, and 100 MB are available: reduce `model.network.hidden` or \
             `model.code_dim`",
            shown(memory)
        )
    );
    assert!(error(None, Some(9 * MB)).contains("9.0 MB are free in runs/one"));

    let of = |recipe: &Recipe, inputs: &Inputs, work: Work| {
        Estimate::of(recipe, inputs, &work).check(Some(MB), None, folder)
    };
    let large = Work { batch_size: 100_000, train: 100_000, ..work() };
    assert!(of(&wide(&[256]), &Inputs::unit(784), large).unwrap_err().to_string().contains("training.batch_size"));
    let many = Work { held: 9000 * MB, ..work() };
    assert!(of(&wide(&[256]), &Inputs::unit(784), many).unwrap_err().to_string().contains("--stream"));
    let conv = Recipe { network: ConvConfig::new().into(), ..Recipe::default() };
    let image = Inputs::unit(784).with_image([1, 28, 28]);
    assert!(of(&conv, &image, work()).unwrap_err().to_string().contains("model.network.channels"));
}

#[test]
fn the_description_names_memory_and_disk_but_for_a_gpu_only_disk() {
    let estimate = Estimate::of(&wide(&[2000, 1000, 500]), &Inputs::unit(784), &work());
    let line = estimate.describe(false);
    assert!(
        line.starts_with("8173814 parameters; about ")
            && line.contains("weights 65 MB")
            && line.contains("a batch 6.9 MB"),
        "{line}"
    );
    assert!(line.contains("a checkpoint 98 MB") && !line.contains('\n'), "{line}");
    let line = estimate.describe(true);
    assert!(line.contains("memory of the device unknown") && line.contains("a checkpoint 98 MB"), "{line}");
    assert_eq!([9, 9 * MB + 960_000, 999 * MB, 1234 * MB].map(shown), ["9 B", "10 MB", "999 MB", "1.2 GB"]);
}

#[test]
fn rows_of_one_table_are_counted_once() {
    let all = Dataset::new(Rows::new(Values::U8(vec![0; 100 * 6]), 6));
    let part = |range: std::ops::Range<usize>| all.select(range.collect());
    let split = Split { train: part(0..70), validation: part(70..80), test: part(80..100), notes: Vec::new() };
    let config = TrainingConfig { batch_size: 32, epochs: 7, ..TrainingConfig::default() };
    let work = Work::new(&config, &split);
    assert_eq!(work, Work { batch_size: 32, epochs: 7, train: 70, measured: 80, test: 20, held: 600 });
    let of_its_own = Dataset::new(Rows::new(Values::F64(vec![0.0; 10 * 6]), 6));
    let work = Work::new(&config, &Split { test: of_its_own, ..split });
    assert_eq!((work.test, work.held), (10, 600 + 480));
}

#[test]
fn free_memory_and_disk_of_this_machine_are_known() {
    let place = tempfile::tempdir().unwrap();
    let free = free_disk(&place.path().join("not/there/yet")).unwrap();
    assert!(free > 0 && free_disk(Path::new("not/there")).is_some());
    if cfg!(target_os = "linux") {
        // A test binary uses some megabytes, and no machine has more than 64 TB.
        assert!((MB..64_000_000 * MB).contains(&available_memory().unwrap()));
    }
}
