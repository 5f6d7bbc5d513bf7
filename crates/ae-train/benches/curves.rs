//! How the time and memory of a training step grow: with the number of rows, the width of the input, the code width,
//! the batch size and the dictionary size of a k-sparse code, each on one thread and on two.
//!
//! Every point is a separate process with its own peak memory and threads. `cargo bench -p ae-train --bench curves`
//! prints a table of every curve with its slope (of the logarithms, over its last four points), and draws it:
//! `docs/performance/*.svg`.
//! draws it: `docs/performance/*.svg`.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use ae_data::{Batcher, Dataset, Loader, Order, Rows, Scaling, ScalingMethod, Values};
use ae_kernels::Sparse;
use ae_model::{
    Activation, AnyCode, Autoencoder, ModuleDecoder, ModuleEncoder, Objective,
    code::TopKConfig,
    network::{MlpConfig, Sizes},
};
use ae_train::config::TrainingConfig;
use burn::{
    data::dataloader::DataLoader,
    optim::{GradientsParams, ModuleOptimizer},
    tensor::{Device, Distribution, Tensor},
};
use plotters::prelude::*;

#[global_allocator]
static ALLOCATOR: ae_train::allocator::Allocator = ae_train::allocator::Allocator;

type Error = Box<dyn std::error::Error>;

/// A curve: its name, what is varied, its values, what is measured, and the function that measures it.
type Curve = (&'static str, &'static str, &'static [usize], &'static str, fn(usize) -> f64);

const CURVES: [Curve; 6] = [
    ("rows", "rows", &[1000, 2000, 4000, 8000, 16000, 32000, 64000], "an epoch", |rows| epoch(rows)),
    ("input", "input width", &[64, 128, 256, 512, 1024, 2048, 4096], "a step", |width| dense(width, &[256], 32, 128)),
    ("code", "code width", &[8, 32, 128, 512, 1024, 2048, 4096], "a step", |code| dense(784, &[], code, 128)),
    ("batch", "batch", &[1, 4, 16, 64, 256, 1024, 4096], "a step", |batch| dense(784, &[256], 32, batch)),
    ("dictionary", "dictionary", &[512, 1024, 2048, 4096, 8192, 16384], "a k-sparse step", |units| k_sparse(units)),
    ("decoder", "dictionary", &[512, 1024, 2048, 4096, 8192, 16384], "its decoder, forward", |units| {
        sparse_decoder(units)
    }),
];

/// Median of the times of `work`, in milliseconds, over half a second and at least five times.
fn median_ms(mut work: impl FnMut()) -> f64 {
    (0..3).for_each(|_| work());
    let (begin, mut times) = (Instant::now(), Vec::new());
    while times.len() < 5 || begin.elapsed() < Duration::from_millis(500) {
        let start = Instant::now();
        work();
        times.push(1e3 * start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// A function that trains on one batch.
fn stepper<E: ModuleEncoder, D: ModuleDecoder>(model: Autoencoder<E, D>) -> impl FnMut(Tensor<2>) {
    let mut trained: Option<(Autoencoder<E, D>, ModuleOptimizer)> =
        Some((model, TrainingConfig::default().optimizer()));
    move |x| {
        let (model, mut optimizer) = trained.take().expect("put back below");
        let loss = Objective::default().evaluate(&model, x).loss();
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        loss.into_scalar::<f32>();
        trained = Some((optimizer.step(1e-3, model, gradients), optimizer));
    }
}

fn mlp(
    width: usize,
    hidden: &[usize],
    code: usize,
    device: &Device,
) -> Autoencoder<ae_model::network::Mlp, ae_model::network::Mlp> {
    let config = MlpConfig { hidden: hidden.to_vec(), activation: Activation::Relu, ..MlpConfig::default() };
    let sizes = Sizes::new(width, code);
    Autoencoder::new(config.encoder(&sizes, device), config.decoder(&sizes, Activation::Sigmoid, device))
}

fn dense(width: usize, hidden: &[usize], code: usize, batch: usize) -> f64 {
    let device = Device::default().autodiff();
    let mut step = stepper(mlp(width, hidden, code, &device));
    let x = Tensor::<2>::random([batch, width], Distribution::Uniform(0.0, 1.0), &device);
    median_ms(|| step(x.clone()))
}

/// An epoch over rows of 784 bytes in batches of 128.
fn epoch(rows: usize) -> f64 {
    let device = Device::default().autodiff();
    let values = (0..rows * 784).map(|index| ((index * 7919) % 251) as u8).collect();
    let dataset = Dataset::new(Rows::new(Values::U8(values), 784));
    let scaling = Scaling::fit(ScalingMethod::Auto, &dataset).expect("rows in memory");
    let loader = Loader::new(dataset, Batcher::new(scaling), 128, Order::Shuffled { seed: 0 }, device.clone());
    let mut step = stepper(mlp(784, &[256], 32, &device));
    median_ms(|| loader.iter().for_each(|batch| step(batch.expect("rows in memory").x)))
}

fn k_sparse(units: usize) -> f64 {
    let device = Device::default().autodiff();
    let code = TopKConfig { k: 32, ..TopKConfig::default() }.init(units, &device);
    let mut step = stepper(mlp(384, &[], units, &device).with_code(AnyCode::new(code)));
    let x = Tensor::<2>::random([256, 384], Distribution::Uniform(0.0, 1.0), &device);
    median_ms(|| step(x.clone()))
}

/// The product of the 32 active units of each row with the weights.
fn sparse_decoder(units: usize) -> f64 {
    let device = Device::default();
    let z = Tensor::<2>::random([256, units], Distribution::Normal(0.0, 1.0), &device);
    let weight = Tensor::<2>::random([units, 384], Distribution::Normal(0.0, 1.0), &device);
    let bias = Tensor::<1>::zeros([384], &device);
    let code = Sparse::top_k(&z, 32, ae_kernels::Activation::Relu).expect("a kernel");
    median_ms(|| drop(code.linear(weight.clone(), bias.clone(), ae_kernels::Activation::Identity)))
}

/// Peak memory of the process, in MiB.
fn peak_rss_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
}

/// Time (ms) and memory (MiB) of a point, in a process with this many threads.
fn measure(name: &str, value: usize, threads: usize) -> Result<[f64; 2], Error> {
    let mut point = Command::new(std::env::current_exe()?);
    let output = point.args([name, &value.to_string()]).env("RAYON_NUM_THREADS", threads.to_string()).output()?;
    let text = String::from_utf8(output.stdout)?;
    let numbers: Vec<f64> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    <[f64; 2]>::try_from(numbers)
        .map_err(|_| format!("{name} {value}: {}", String::from_utf8_lossy(&output.stderr)).into())
}

/// Slope of the line through the logarithms of the last four points (least squares): 2 for a quadratic cost.
fn slope(points: &[(f64, f64)]) -> f64 {
    let last: Vec<(f64, f64)> = points.iter().rev().take(4).map(|(x, y)| (x.ln(), y.ln())).collect();
    let mean = |pick: fn(&(f64, f64)) -> f64| last.iter().map(pick).sum::<f64>() / last.len() as f64;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let (product, square) = last
        .iter()
        .fold((0.0, 0.0), |sum, point| (sum.0 + (point.0 - x) * (point.1 - y), sum.1 + (point.0 - x).powi(2)));
    product / square
}

/// Two charts side by side, both axes logarithmic: time on one thread and two, and memory.
fn draw(path: &Path, x: &str, what: &str, times: &[Vec<(f64, f64)>; 2], memory: &[(f64, f64)]) -> Result<(), Error> {
    let root = SVGBackend::new(path, (900, 330)).into_drawing_area();
    root.fill(&WHITE)?;
    let panels = root.split_evenly((1, 2));
    let one = [(memory.to_vec(), &BLUE, "")];
    let two = [(times[0].clone(), &RED, "1 thread"), (times[1].clone(), &BLUE, "2 threads")];
    let titles = [format!("{what}: milliseconds"), "peak memory: MiB".to_string()];
    for (panel, (title, series)) in panels.iter().zip(titles.iter().zip([&two[..], &one[..]])) {
        let all = || series.iter().flat_map(|series| series.0.iter());
        let bounds = |pick: fn(&(f64, f64)) -> f64| {
            all().map(pick).fold((f64::MAX, 0.0f64), |(low, high), v| (low.min(v), high.max(v)))
        };
        let ((left, right), (low, high)) = (bounds(|point| point.0), bounds(|point| point.1));
        let mut chart = ChartBuilder::on(panel)
            .margin(12)
            .caption(title, ("sans-serif", 18))
            .x_label_area_size(40)
            .y_label_area_size(60)
            .build_cartesian_2d((left * 0.9..right * 1.1).log_scale(), (low * 0.7..high * 1.4).log_scale())?;
        let plain = |value: &f64| if *value >= 10.0 { format!("{value:.0}") } else { format!("{value}") };
        chart
            .configure_mesh()
            .x_labels(4)
            .y_labels(6)
            .x_desc(x)
            .x_label_formatter(&plain)
            .y_label_formatter(&plain)
            .light_line_style(TRANSPARENT)
            .draw()?;
        for (points, color, name) in series {
            chart.draw_series(LineSeries::new(points.clone(), color.stroke_width(2)))?;
            let marks = chart.draw_series(points.iter().map(|point| Circle::new(*point, 3, color.filled())))?;
            if !name.is_empty() {
                let color = **color;
                marks.label(*name).legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color.stroke_width(2)));
            }
        }
        if series.len() > 1 {
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperLeft)
                .border_style(BLACK.mix(0.2))
                .draw()?;
        }
    }
    root.present()?;
    Ok(())
}

fn main() -> Result<(), Error> {
    ae_train::allocator::keep_freed_memory();
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [name, value] = arguments.as_slice() {
        let curve = CURVES.iter().find(|curve| curve.0 == name).ok_or("a curve of this name")?;
        let ms = curve.4(value.parse()?);
        println!("{ms} {}", peak_rss_mb());
        return Ok(());
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/performance");
    std::fs::create_dir_all(&folder)?;
    for (name, x, values, what, _) in CURVES {
        println!(
            "\n{what}, by {x}\n\n\
             | {x} | 1 thread, ms | 2 threads, ms | of 1 thread | peak memory, MiB |\n|---|---|---|---|---|"
        );
        let (mut times, mut memory) = ([Vec::new(), Vec::new()], Vec::new());
        for &value in values {
            let at = value as f64;
            let [one, two] = [measure(name, value, 1)?, measure(name, value, 2)?];
            (0..2).for_each(|index| times[index].push((at, [one, two][index][0])));
            memory.push((at, two[1]));
            println!("| {value} | {:.3} | {:.3} | {:.2} | {:.0} |", one[0], two[0], one[0] / two[0], two[1]);
        }
        let [one, two, bytes] = [&times[0], &times[1], &memory].map(|points| slope(points));
        println!("| *slope* | {one:.2} | {two:.2} | | {bytes:.2} |");
        draw(&folder.join(format!("{name}.svg")), x, what, &times, &memory)?;
    }
    Ok(())
}
