//! Expect some 5,000 requests of 8 rows answered a second by four threads on two cores, half of them within half a millisecond; about 5 seconds.
//!
//! A service: a run that was trained before is opened once, and rows in memory are scored by several threads. Nothing is written, and nothing is printed but
//! by this program.
//!
//! `cargo run --example service`, or `cargo run --example service -- RUN SECONDS`

use std::{
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use ae_data::{Dataset, Rows, Values};
use ae_train::{Config, Detector, Quiet, Run, Trained};
use burn::{tensor::Device, train::Interrupter};

/// Threads that answer.
const THREADS: usize = 4;
/// Rows of a request.
const ROWS: usize = 8;

/// What a request is answered with: the anomaly score of each row, and how often a row of the training data has one as high.
fn answer(trained: &Trained, detector: &Detector, rows: Vec<f32>) -> ae_train::Result<Vec<(f64, f64)>> {
    let rows = Dataset::new(Rows::new(Values::F32(rows), trained.schema.d_input));
    let scores = detector.score(trained, &rows)?;
    Ok(scores.rows.into_iter().map(|score| (score, detector.p_value(score))).collect())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let place = tempfile::tempdir()?;
    let mut arguments = std::env::args().skip(1);
    let path = match arguments.next() {
        Some(path) => PathBuf::from(path),
        None => {
            let path = place.path().join("run");
            let mut config = Config::of_variant("undercomplete")?;
            config.training.epochs = 20;
            let run = Run::create(config, Some(&path))?;
            run.train(Device::default(), "default", std::sync::Arc::new(Quiet), Interrupter::new())?;
            path
        }
    };
    let time = Duration::from_secs(arguments.next().map_or(Ok(3), |seconds| seconds.parse())?);

    // Opened once: the model, the scaling of its data, and what scores of its training rows are like.
    let run = Run::open(&path)?;
    let (trained, detector) = (run.trained(Device::default())?, run.folder.detector()?);
    let width = trained.schema.d_input;

    let answered = thread::scope(|scope| {
        let requests = |seed: usize| {
            let (began, mut took) = (Instant::now(), Vec::new());
            while began.elapsed() < time {
                let rows = (0..ROWS * width).map(|place| ((place * 7 + seed * 13 + took.len()) % 17) as f32).collect();
                let asked = Instant::now();
                let scores = answer(&trained, &detector, rows)?;
                assert!(scores.len() == ROWS && scores.iter().all(|(score, p)| score.is_finite() && *p > 0.0));
                took.push(asked.elapsed());
            }
            Ok::<_, ae_train::Error>(took)
        };
        let threads: Vec<_> = (0..THREADS).map(|seed| scope.spawn(move || requests(seed))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a thread that answers does not panic")).collect::<Result<Vec<_>, _>>()
    })?;
    let mut took: Vec<Duration> = answered.into_iter().flatten().collect();
    took.sort();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!(
        "{THREADS} threads, {ROWS} rows a request: {:.0} requests a second; half within {:.2} ms, 99 of 100 within {:.2} ms",
        took.len() as f64 / time.as_secs_f64(),
        at(0.5),
        at(0.99)
    );
    Ok(())
}
