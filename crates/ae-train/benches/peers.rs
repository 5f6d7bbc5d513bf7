//! The workloads that are also written in PyTorch, one JSON line each: `{"peer", "workload", "batch", "ms_per_step" (median), "samples_per_s",
//! "peak_rss_mb", "loss_first", "loss_last"}`.
//!
//! A step is what a step of training is: the objective of a model on a batch that is in memory, its gradients, the configured optimizer (Adam,
//! learning rate 1e-3), and one read of the loss. The loss is the batch mean of half the squared error, plus the penalty that is named.
//!
//! `cargo bench -p ae-train --bench peers -- [WORKLOAD...] [--steps N]`; `scripts/bench_peers.py` runs it beside another program. With
//! `BENCH_STARTED` (seconds since 1970) set to when the process was started, the line says after how long its first step was done.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ae_model::{
    Activation, Autoencoder, Corruption, Decoder, Encoder, Objective, Penalties,
    code::{Code, TopKConfig},
    corruption::Gaussian,
    jacobian::Method,
    network::{ConvConfig, Mlp, MlpConfig, Sizes},
    penalty::Contractive,
};
use ae_train::config::TrainingConfig;
use burn::{
    optim::GradientsParams,
    tensor::{Device, Distribution, Tensor},
};

#[global_allocator]
static ALLOCATOR: ae_train::allocator::Allocator = ae_train::allocator::Allocator;

/// Name, width of the input, batch, steps, and what runs it.
type Workload = (&'static str, usize, usize, usize, fn(&Bench));

const WORKLOADS: [Workload; 8] = [
    ("digits_mlp", 64, 64, 2000, |bench| bench.plain(&[32], 10)),
    ("mnist_mlp", 784, 128, 300, |bench| bench.plain(&[256], 64)),
    ("deep_mlp", 784, 256, 60, |bench| bench.plain(&[1000, 500, 250], 30)),
    ("conv", 784, 128, 60, |bench| {
        let config = ConvConfig { activation: Activation::Relu, ..ConvConfig::default() };
        let (encoder, decoder) = config.init(&Sizes::new(784, 32).with_image(Some([1, 28, 28])), Activation::Sigmoid, &bench.device);
        bench.run(Autoencoder::new(encoder, decoder), Objective::default());
    }),
    ("denoising", 784, 128, 200, |bench| {
        let corruption = Corruption { gaussian: Some(Gaussian::new(0.3)), ..Corruption::default() };
        let (encoder, decoder) = bench.mlp(&[], 512, Activation::Relu, Activation::Sigmoid);
        bench.run(Autoencoder::new(encoder, decoder).with_code(Activation::Relu.into()), Objective { corruption, ..Objective::default() });
    }),
    ("contractive_shallow", 784, 128, 100, |bench| {
        let (encoder, decoder) = bench.mlp(&[], 1000, Activation::Relu, Activation::Sigmoid);
        bench.run(Autoencoder::new(encoder, decoder).with_code(Activation::Sigmoid.into()), contractive(Method::Auto));
    }),
    ("contractive_deep", 784, 128, 150, |bench| {
        let (encoder, _) = bench.mlp(&[256], 64, Activation::Sigmoid, Activation::Sigmoid);
        let (_, decoder) = bench.mlp(&[256], 64, Activation::Relu, Activation::Sigmoid);
        bench.run(Autoencoder::new(encoder, decoder).with_code(Activation::Sigmoid.into()), contractive(Method::Hutchinson));
    }),
    ("sparse_topk", 384, 1024, 15, |bench| {
        let (encoder, decoder) = bench.mlp(&[], 6144, Activation::Relu, Activation::Identity);
        let code = TopKConfig { k: 32, ..TopKConfig::default() }.init();
        bench.run(Autoencoder::new(encoder, decoder).with_code(Code::TopK(code)), Objective::default());
    }),
];

fn contractive(method: Method) -> Objective {
    let contractive = Some(Contractive { weight: 0.1, method, probes: 1 });
    Objective { penalties: Penalties { contractive, ..Penalties::default() }, ..Objective::default() }
}

/// One workload's circumstances.
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
        config.init(&Sizes::new(self.width, code), output, &self.device)
    }

    fn plain(&self, hidden: &[usize], code: usize) {
        let (encoder, decoder) = self.mlp(hidden, code, Activation::Relu, Activation::Sigmoid);
        self.run(Autoencoder::new(encoder, decoder), Objective::default());
    }

    fn run<E: Encoder + 'static, D: Decoder + 'static>(&self, mut model: Autoencoder<E, D>, objective: Objective) {
        let x = Tensor::<2>::random([self.batch, self.width], Distribution::Uniform(0.0, 1.0), &self.device);
        let mut optimizer = TrainingConfig::default().optimizer();
        let (mut times, mut losses, mut first_step) = (Vec::new(), Vec::new(), None);
        for _ in 0..self.steps + (self.steps / 10).max(5) {
            let start = Instant::now();
            let loss = objective.evaluate(&model, x.clone(), None).loss();
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(1e-3, model, gradients);
            losses.push(loss.into_scalar::<f32>());
            times.push(start.elapsed().as_secs_f64());
            first_step = first_step.or_else(seconds_since_start);
        }
        let mut timed = times.split_off(times.len() - self.steps);
        timed.sort_by(f64::total_cmp);
        let ms = 1e3 * (timed[(timed.len() - 1) / 2] + timed[timed.len() / 2]) / 2.0;
        let mut line = serde_json::json!({
            "peer": "ae", "workload": self.workload, "batch": self.batch, "ms_per_step": ms,
            "samples_per_s": (1e3 * self.batch as f64 / ms).round(), "peak_rss_mb": peak_rss_mb(),
            "loss_first": losses[0], "loss_last": losses[losses.len() - 1],
        });
        if let Some(seconds) = first_step {
            line["first_step_s"] = seconds.into();
        }
        println!("{line}");
    }
}

/// Since the process was started, if that is known.
fn seconds_since_start() -> Option<f64> {
    let started: f64 = std::env::var("BENCH_STARTED").ok()?.parse().ok()?;
    Some(SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs_f64() - started)
}

/// The most memory that the process has held, in MiB, where the system says so.
fn peak_rss_mb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}

fn main() {
    ae_train::allocator::keep_freed_memory();
    // Cargo adds `--bench`.
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let (mut names, mut steps) = (Vec::new(), 0);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--steps" => steps = arguments.next().and_then(|count| count.parse().ok()).expect("`--steps` takes a number"),
            _ => names.push(argument),
        }
    }
    let known: Vec<&str> = WORKLOADS.iter().map(|workload| workload.0).collect();
    for name in &names {
        assert!(known.contains(&name.as_str()), "no workload `{name}`: there are {}", known.join(", "));
    }
    for (workload, width, batch, default, run) in WORKLOADS {
        if names.is_empty() || names.iter().any(|name| name == workload) {
            let device = Device::default().autodiff();
            device.seed(0);
            run(&Bench { workload, width, batch, steps: if steps > 0 { steps } else { default }, device });
        }
    }
}
