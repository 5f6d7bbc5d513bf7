//! Expect some 5,000 requests of 8 rows answered a second by four threads on two cores, half of them within half a
//! millisecond; about 5 seconds.
//!
//! A service: a run that was trained before is opened once, and rows in memory are scored by several threads. Nothing
//! is written, and nothing is printed but by this program. Without a run it trains one in memory.
//!
//! `cargo run --example service`, or `cargo run --example service -- RUN SECONDS`

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use ae_train::{Config, Fitted, Trainer};
use burn::tensor::Device;

/// Threads that answer.
const THREADS: usize = 4;
/// Rows of a request.
const ROWS: usize = 8;

/// What a request is answered with: the anomaly score of each row, and how often a row of the training data has one as
/// high.
fn answer(fitted: &Fitted, rows: &[f32]) -> ae_train::Result<Vec<(f64, f64)>> {
    let scores = fitted.score((rows, fitted.trained.schema.d_input))?;
    Ok(scores.into_iter().map(|score| (score, fitted.detector.p_value(score))).collect())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let fitted = match arguments.next() {
        Some(run) => Fitted::open(Path::new(&run), Device::default())?,
        None => {
            let mut config = Config::of_variant("undercomplete")?;
            config.training.epochs = 20;
            Trainer::new(config).fit("digits")?
        }
    };
    let time = Duration::from_secs(arguments.next().map_or(Ok(3), |seconds| seconds.parse())?);
    let width = fitted.trained.schema.d_input;
    let answered = thread::scope(|scope| {
        let requests = |seed: usize| {
            let (began, mut took) = (Instant::now(), Vec::new());
            while began.elapsed() < time {
                let rows: Vec<f32> =
                    (0..ROWS * width).map(|place| ((place * 7 + seed * 13 + took.len()) % 17) as f32).collect();
                let asked = Instant::now();
                let scores = answer(&fitted, &rows)?;
                assert!(scores.len() == ROWS && scores.iter().all(|(score, p)| score.is_finite() && *p > 0.0));
                took.push(asked.elapsed());
            }
            Ok::<_, ae_train::Error>(took)
        };
        let threads: Vec<_> = (0..THREADS).map(|seed| scope.spawn(move || requests(seed))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a thread that answers does not panic"))
            .collect::<Result<Vec<_>, _>>()
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
