//! Expected: about 5,000 requests of 8 rows per second with four threads on two cores, half of them within half a
//! millisecond; about 5 seconds.
//!
//! A service: an existing run is opened once, and several threads score rows in memory. Nothing is written, and the
//! library prints nothing. Without a run, the example trains one in memory.
//!
//! `cargo run --example service`, or `cargo run --example service -- RUN SECONDS`

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use ae_train::{Config, Fitted, Trainer};
use burn::tensor::Device;

/// Number of threads that answer requests.
const THREADS: usize = 4;
/// Rows per request.
const ROWS: usize = 8;

/// The answer to a request: the anomaly score of each row, and the fraction of the training rows with a score at least
/// as high.
fn answer(fitted: &Fitted, rows: &[f32]) -> ae_train::Result<Vec<(f64, f64)>> {
    let (scores, detector) = (fitted.score((rows, fitted.trained.schema.d_input))?, fitted.detector()?);
    Ok(scores.into_iter().map(|score| (score, detector.p_value(score))).collect())
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
            .map(|thread| thread.join().expect("the threads do not panic"))
            .collect::<Result<Vec<_>, _>>()
    })?;
    let mut took: Vec<Duration> = answered.into_iter().flatten().collect();
    took.sort();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!(
        "{THREADS} threads, {ROWS} rows per request: {:.0} requests per second; 50% within {:.2} ms, \
         99% within {:.2} ms",
        took.len() as f64 / time.as_secs_f64(),
        at(0.5),
        at(0.99)
    );
    Ok(())
}
