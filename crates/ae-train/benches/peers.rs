//! The workloads that are also implemented in PyTorch, one JSON line each: `{"peer", "workload", "batch", "ms_per_step"
//! (median), "mean_ms", "samples_per_s", "peak_rss_mb", "loss_first", "loss_last"}`.
//!
//! A step is a training step: the objective of a model on a batch in memory, its gradients, the configured optimizer
//! (Adam, learning rate 1e-3), and reading the loss once. The loss is the batch mean of half the squared error, plus
//! the named penalty; for `variational` the negative evidence lower bound with Bernoulli logits. On a GPU the losses of
//! 16 steps are read together, as the trainer does, and the time of a step is a sixteenth of theirs.
//!
//! `cargo bench -p ae-train --bench peers -- [WORKLOAD...] [--steps N] [--device NAME]`, where a device is one of
//! `ae devices`; `scripts/bench_peers.py` runs it beside another program. If `BENCH_STARTED` is set to the start time
//! of the process (seconds since 1970), the line also has the time until its first step was done. With `--count-reads`
//! each line also has the number of reads of GPU buffers in the timed steps (`scripts/count_launches.py` counts kernels
//! as well). With `--limits` it prints instead the limits of the machine: the multiplications of each step at the
//! measured rate of a large matrix product, and its bytes at the measured rate of copying.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use ae_model::{
    Activation, AnyCode, Autoencoder, Bernoulli, Decoder, Encoder, ModuleDecoder, ModuleEncoder, Objective,
    code::{GaussianConfig, TopKConfig},
    corruption::Gaussian,
    jacobian::Method,
    network::{ConvConfig, Mlp, MlpConfig, Sizes},
    penalty::Contractive,
};
use ae_train::config::TrainingConfig;
use burn::{
    module::Module,
    nn::{Linear, LinearConfig},
    optim::{AdamConfig, GradientsParams, ModuleOptimizer},
    tensor::{Device, Distribution, Tensor, activation},
};

/// Counts the messages of `wgpu` about buffers being mapped for reading.
struct Reads(AtomicUsize);

static READS: Reads = Reads(AtomicUsize::new(0));

impl log::Log for Reads {
    fn enabled(&self, metadata: &log::Metadata) -> bool {
        metadata.target().starts_with("wgpu_core")
    }

    fn log(&self, record: &log::Record) {
        if self.enabled(record.metadata()) && record.args().to_string().starts_with("Buffer::map_async") {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn flush(&self) {}
}

#[global_allocator]
static ALLOCATOR: ae_train::allocator::Allocator = ae_train::allocator::Allocator;

/// Name, width of the input, batch, steps, and the function that runs it.
type Workload = (&'static str, usize, usize, usize, fn(&Bench));

const WORKLOADS: [Workload; 12] = [
    ("digits_mlp", 64, 64, 2000, |bench| bench.plain(&[32], 10)),
    ("mnist_mlp", 784, 128, 300, |bench| bench.plain(&[256], 64)),
    ("deep_mlp", 784, 256, 60, |bench| bench.plain(&[1000, 500, 250], 30)),
    ("conv", 784, 128, 60, |bench| {
        let config = ConvConfig { activation: Activation::Relu, ..ConvConfig::default() };
        let (encoder, decoder) =
            config.init(&Sizes::new(784, 32).with_image(Some([1, 28, 28])), Activation::Sigmoid, &bench.device);
        bench.run(Autoencoder::new(encoder, decoder), Objective::default());
    }),
    ("denoising", 784, 128, 200, |bench| {
        let (encoder, decoder) = bench.mlp(&[], 512, Activation::Relu, Activation::Sigmoid);
        let objective = Objective::default().with_corruption(Gaussian { std: 0.3 });
        bench.run(Autoencoder::new(encoder, decoder).with_code(AnyCode::from(Activation::Relu)), objective);
    }),
    ("contractive_shallow", 784, 128, 100, |bench| {
        let (encoder, decoder) = bench.mlp(&[], 1000, Activation::Relu, Activation::Sigmoid);
        bench.run(
            Autoencoder::new(encoder, decoder).with_code(AnyCode::from(Activation::Sigmoid)),
            contractive(Method::Auto),
        );
    }),
    ("contractive_deep", 784, 128, 150, |bench| {
        let (encoder, _) = bench.mlp(&[256], 64, Activation::Sigmoid, Activation::Sigmoid);
        let (_, decoder) = bench.mlp(&[256], 64, Activation::Relu, Activation::Sigmoid);
        bench.run(
            Autoencoder::new(encoder, decoder).with_code(AnyCode::from(Activation::Sigmoid)),
            contractive(Method::Hutchinson),
        );
    }),
    ("sparse_topk", 384, 1024, 15, |bench| {
        let (encoder, decoder) = bench.mlp(&[], 6144, Activation::Relu, Activation::Identity);
        let code = TopKConfig { k: 32, ..TopKConfig::default() }.init(6144, &bench.device);
        bench.run(Autoencoder::new(encoder, decoder).with_code(AnyCode::new(code)), Objective::default());
    }),
    ("variational", 784, 128, 200, |bench| {
        let config = MlpConfig { hidden: vec![400], activation: Activation::Relu, ..MlpConfig::default() };
        let sizes = Sizes::new(784, 20).with_reads(40);
        let (encoder, decoder) =
            (config.encoder(&sizes, &bench.device), config.decoder(&sizes, Activation::Identity, &bench.device));
        let code = GaussianConfig { beta: 1.0.into(), ..GaussianConfig::default() }.init(20, &bench.device);
        let model = Autoencoder::new(encoder, decoder).with_code(AnyCode::new(code)).with_reconstruction(Bernoulli);
        bench.run(model, Objective::default());
    }),
    // The network of `mnist_mlp` written without knowledge of the kernels: Burn's own layers and activations.
    ("own_network", 784, 128, 300, |bench| bench.run(bench.own(false), Objective::default())),
    // Burn's layers, called through `ae_kernels::dense`.
    ("own_dense", 784, 128, 300, |bench| bench.run(bench.own(true), Objective::default())),
    // The same without any of our code: Burn's operations also for the loss, and Burn's optimizer.
    ("burn_alone", 784, 128, 300, |bench| {
        bench.measure(bench.own(false), AdamConfig::new().with_epsilon(1e-8).init(), |model, x| {
            let r = model.decoder.run(activation::relu(model.encoder.run(x.clone())));
            (x - r).square().sum_dim(1).mean().mul_scalar(0.5)
        });
    }),
];

/// Two Burn layers with Burn's ReLU between them, and optionally its sigmoid at the end.
#[derive(Module, Debug)]
struct Own {
    first: Linear,
    second: Linear,
    #[module(skip)]
    sigmoid: bool,
    #[module(skip)]
    dense: bool,
}

impl Own {
    fn new([from, width, to]: [usize; 3], sigmoid: bool, dense: bool, device: &Device) -> Self {
        Self {
            first: LinearConfig::new(from, width).init(device),
            second: LinearConfig::new(width, to).init(device),
            sigmoid,
            dense,
        }
    }

    fn run(&self, x: Tensor<2>) -> Tensor<2> {
        if self.dense {
            let last = if self.sigmoid { ae_kernels::Activation::Sigmoid } else { ae_kernels::Activation::Identity };
            return ae_kernels::dense(
                &self.second,
                ae_kernels::dense(&self.first, x, ae_kernels::Activation::Relu),
                last,
            );
        }
        let y = self.second.forward(activation::relu(self.first.forward(x))); // [batch, to]
        if self.sigmoid { activation::sigmoid(y) } else { y }
    }
}

impl Encoder for Own {
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.run(x)
    }
}

impl Decoder for Own {
    fn forward(&self, h: Tensor<2>) -> Tensor<2> {
        self.run(h)
    }
}

fn contractive(method: Method) -> Objective {
    Objective::default().with_penalty(Contractive { weight: 0.1.into(), method, probes: 1 })
}

/// The settings of one workload.
struct Bench {
    workload: &'static str,
    width: usize,
    batch: usize,
    steps: usize,
    device: Device,
}

impl Bench {
    fn mlp(&self, hidden: &[usize], code: usize, activation: Activation, output: Activation) -> (Mlp, Mlp) {
        let config = MlpConfig { hidden: hidden.to_vec(), activation, ..MlpConfig::default() };
        let sizes = Sizes::new(self.width, code);
        (config.encoder(&sizes, &self.device), config.decoder(&sizes, output, &self.device))
    }

    fn plain(&self, hidden: &[usize], code: usize) {
        let (encoder, decoder) = self.mlp(hidden, code, Activation::Relu, Activation::Sigmoid);
        self.run(Autoencoder::new(encoder, decoder).with_code(AnyCode::from(Activation::Relu)), Objective::default());
    }

    fn own(&self, dense: bool) -> Autoencoder<Own, Own> {
        let part = |widths, sigmoid| Own::new(widths, sigmoid, dense, &self.device);
        let (encoder, decoder) = (part([784, 256, 64], false), part([64, 256, 784], true));
        Autoencoder::new(encoder, decoder).with_code(AnyCode::from(Activation::Relu))
    }

    fn run<E: ModuleEncoder, D: ModuleDecoder>(&self, model: Autoencoder<E, D>, objective: Objective) {
        self.measure(model, TrainingConfig::default().optimizer(), |model, x| objective.evaluate(model, x).loss());
    }

    fn measure<M: Module + 'static>(
        &self,
        mut model: M,
        mut optimizer: ModuleOptimizer,
        loss: impl Fn(&M, Tensor<2>) -> Tensor<1>,
    ) {
        let x = Tensor::<2>::random([self.batch, self.width], Distribution::Uniform(0.0, 1.0), &self.device);
        let every = if ae_train::device::is_cpu(&self.device) { 1 } else { 16 };
        let (mut times, mut losses, mut first_step) = (Vec::new(), Vec::new(), None);
        let warm = (self.steps / 10).max(5).div_ceil(every);
        let mut reads = 0;
        for turn in 0..warm + self.steps.div_ceil(every) {
            if turn == warm {
                reads = READS.0.load(Ordering::Relaxed);
            }
            let start = Instant::now();
            let mut unread = Vec::new();
            for _ in 0..every {
                let loss = loss(&model, x.clone());
                let gradients = GradientsParams::from_grads(loss.backward(), &model);
                model = ae_kernels::step(&mut optimizer, 1e-3, model, gradients);
                if every == 1 || first_step.is_none() {
                    losses.push(loss.into_scalar::<f32>());
                    first_step = first_step.or_else(|| Some(seconds_since_start()));
                } else {
                    unread.push(loss.without_autodiff());
                }
            }
            if !unread.is_empty() {
                losses.extend(Tensor::cat(unread, 0).into_data().iter::<f32>());
            }
            times.push(start.elapsed().as_secs_f64() / every as f64);
        }
        let mut timed = times.split_off(warm);
        timed.sort_by(f64::total_cmp);
        let ms = 1e3 * (timed[(timed.len() - 1) / 2] + timed[timed.len() / 2]) / 2.0;
        let mean = 1e3 * timed.iter().sum::<f64>() / timed.len() as f64;
        let mut line = serde_json::json!({
            "peer": "ae", "workload": self.workload, "batch": self.batch, "ms_per_step": ms, "mean_ms": mean,
            "samples_per_s": (1e3 * self.batch as f64 / ms).round(), "peak_rss_mb": peak_rss_mb(),
            "loss_first": losses[0], "loss_last": losses[losses.len() - 1],
        });
        if log::max_level() == log::LevelFilter::Trace {
            line["reads"] = (READS.0.load(Ordering::Relaxed) - reads).into();
            line["steps"] = (timed.len() * every).into();
        }
        if let Some(seconds) = first_step.flatten() {
            line["first_step_s"] = seconds.into();
        }
        println!("{line}");
    }
}

/// Seconds since the start of the process, if known.
fn seconds_since_start() -> Option<f64> {
    let started: f64 = std::env::var("BENCH_STARTED").ok()?.parse().ok()?;
    Some(SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs_f64() - started)
}

/// Peak memory of the process in MiB, if the system tells.
fn peak_rss_mb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}

/// Number of weights of a layer, and of its output values per example.
type Layer = (f64, f64);

/// Multiplications and bytes of a step, given `batch`, the layers, how many of the three products of a layer the step
/// has in total (forward, by the weights, by the input), in weights, and the parameters.
///
/// Bytes are those of the optimizer (4 numbers read and 3 written per parameter, and the gradient written before) and
/// of the layers (each number written and read forward, and read again backward, where its gradient is written and
/// read).
fn cost(batch: usize, layers: &[Layer], products: f64) -> [f64; 2] {
    let (weights, numbers) = layers.iter().fold((0.0, 0.0), |sum, layer| (sum.0 + layer.0, sum.1 + layer.1));
    [2.0 * batch as f64 * products, 4.0 * (8.0 * weights + 5.0 * batch as f64 * numbers)]
}

/// The cost of a stack of dense layers, which needs no gradient of its input.
fn stack(batch: usize, widths: &[f64]) -> [f64; 2] {
    let layers: Vec<Layer> = widths.windows(2).map(|pair| (pair[0] * pair[1], pair[1])).collect();
    let weights: f64 = layers.iter().map(|layer| layer.0).sum();
    cost(batch, &layers, 3.0 * weights - layers[0].0)
}

fn costs(workload: &str, batch: usize) -> [f64; 2] {
    match workload {
        "digits_mlp" => stack(batch, &[64.0, 32.0, 10.0, 32.0, 64.0]),
        "mnist_mlp" | "own_network" | "own_dense" | "burn_alone" => stack(batch, &[784.0, 256.0, 64.0, 256.0, 784.0]),
        "deep_mlp" => stack(batch, &[784.0, 1000.0, 500.0, 250.0, 30.0, 250.0, 500.0, 1000.0, 784.0]),
        "denoising" => stack(batch, &[784.0, 512.0, 784.0]),
        // The encoder has twice as many outputs as units; their weights are 2% of all.
        "variational" => stack(batch, &[784.0, 400.0, 20.0, 400.0, 784.0]),
        "contractive_shallow" => stack(batch, &[784.0, 1000.0, 784.0]),
        "contractive_deep" => {
            // The encoder also propagates the tangent through each layer, and both backward.
            let (first, second) = (784.0 * 256.0, 256.0 * 64.0);
            let layers =
                [(first, 256.0), (first, 256.0), (second, 64.0), (second, 64.0), (second, 256.0), (first, 784.0)];
            let [flops, bytes] = cost(batch, &layers, 2.0 * (2.0 * (first + second) + second) + 3.0 * (first + second));
            [flops, bytes - 4.0 * 8.0 * (first + second)] // the tangent has no weights of its own
        }
        "conv" => {
            // Multiplications of an example, weights, and numbers.
            let convolutions = [
                (28_224.0, 144.0, 3136.0),
                (225_792.0, 4608.0, 1568.0),
                (225_792.0, 4608.0, 3136.0),
                (28_224.0, 144.0, 784.0),
            ];
            let dense = [(50_176.0, 50_176.0, 32.0), (50_176.0, 50_176.0, 1568.0)];
            let all: Vec<(f64, f64, f64)> = convolutions.into_iter().chain(dense).collect();
            let products = 3.0 * all.iter().map(|layer| layer.0).sum::<f64>() - 28_224.0;
            cost(batch, &all.iter().map(|layer| (layer.1, layer.2)).collect::<Vec<_>>(), products)
        }
        _ => {
            // All units are needed to find the largest; all other products involve 32 active units: decoder forward, by
            // units, by weights, encoder.
            let weights = 384.0 * 6144.0;
            cost(batch, &[(weights, 6144.0), (weights, 384.0)], weights + 4.0 * 32.0 * 384.0)
        }
    }
}

/// Shortest time of several runs, in seconds.
fn shortest(mut run: impl FnMut()) -> f64 {
    let times = (0..30).map(|_| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64()
    });
    times.fold(f64::MAX, f64::min)
}

fn limits() {
    let device = Device::default();
    let side = 1536;
    let a = Tensor::<2>::random([side, side], Distribution::Uniform(-1.0, 1.0), &device);
    let rate = 2.0 * (side as f64).powi(3) / shortest(|| drop(ae_kernels::matmul(a.clone(), a.clone())));
    let threads = std::thread::available_parallelism().map_or(1, Into::into);
    let (from, mut to) = (vec![1.0f32; 1 << 24], vec![0.0f32; 1 << 24]);
    let part = (from.len() / threads).max(1);
    let copy = shortest(|| {
        std::thread::scope(|scope| {
            for (to, from) in to.chunks_mut(part).zip(from.chunks(part)) {
                scope.spawn(move || to.copy_from_slice(from));
            }
        });
    });
    let copied = 8.0 * from.len() as f64 / copy; // read and written
    println!(
        "matrix product {:.0} GFLOP/s, copying {:.1} GB/s read and written, {threads} threads\n",
        rate / 1e9,
        copied / 1e9
    );
    println!("| workload | MFLOP | MB | products, ms | bytes, ms | limit, ms |\n|---|---|---|---|---|---|");
    for (workload, _, batch, ..) in WORKLOADS {
        let [flops, bytes] = costs(workload, batch);
        let [products, moves] = [1e3 * flops / rate, 1e3 * bytes / copied];
        println!(
            "| {workload} | {:.1} | {:.1} | {products:.3} | {moves:.3} | **{:.3}** |",
            flops / 1e6,
            bytes / 1e6,
            products + moves
        );
    }
}

fn main() {
    ae_train::allocator::keep_freed_memory();
    // Cargo adds `--bench`.
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let cpu = ae_train::device::open_cpu("auto").expect("a backend for the CPU").expect("it opens").device;
    let (mut names, mut steps, mut device) = (Vec::new(), 0, cpu);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--limits" => return limits(),
            "--count-reads" => {
                log::set_logger(&READS).expect("there is no other");
                log::set_max_level(log::LevelFilter::Trace);
            }
            "--steps" => {
                steps = arguments.next().and_then(|count| count.parse().ok()).expect("`--steps` takes a number")
            }
            "--device" => {
                let name = arguments.next().expect("`--device` takes a name");
                device = ae_train::device::open(&name).unwrap_or_else(|error| panic!("{error}")).device;
            }
            _ => names.push(argument),
        }
    }
    let known: Vec<&str> = WORKLOADS.iter().map(|workload| workload.0).collect();
    for name in &names {
        assert!(known.contains(&name.as_str()), "no workload `{name}`: there are {}", known.join(", "));
    }
    for (workload, width, batch, default, run) in WORKLOADS {
        if names.is_empty() || names.iter().any(|name| name == workload) {
            let device = device.clone().autodiff();
            device.seed(0);
            run(&Bench { workload, width, batch, steps: if steps > 0 { steps } else { default }, device });
        }
    }
}
