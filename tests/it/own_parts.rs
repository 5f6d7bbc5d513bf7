//! Parts of another crate: what the registry, the configuration and a run folder make of them.

use ae_model::{AnyCode, ConfigError, code::CodeSettings, prelude::*};
use ae_train::{Config, Outcome, Progress, Run, config::Layers};
use burn::{
    module::{Flag, Module, Param, RunningState},
    tensor::{Device, Tensor, TensorData, activation::sigmoid},
    train::Interrupter,
};

settings! {
    /// Units below a threshold that is learned are nearly off.
    struct Gated("gated") {
        /// Steepness, greater than 0. Default: 10.
        steepness: f64 = 10.0,
    }
    /// A Student-t prior on the code.
    struct StudentT("student_t") {
        /// Factor of the penalty in the loss, 0 or more. Default: 0.02.
        weight: Weight = 0.02.into(),
    }
    /// Nothing is changed.
    struct Untouched("untouched");
    /// A sum of absolute errors.
    struct Absolute("absolute");
}

/// With every kind of parameter that a code may have.
#[derive(Module, Debug)]
struct GatedCode {
    threshold: Param<Tensor<1>>,
    mixed: Param<Tensor<2>>,
    seen: RunningState<Tensor<1>>,
    training: Param<Flag>,
    #[module(skip)]
    steepness: f64,
}

impl CodeSettings for Gated {
    fn check(&self, _d_code: usize) -> Result<(), ConfigError> {
        if self.steepness > 0.0 { Ok(()) } else { Err(ConfigError::new("steepness", self.steepness, "greater than 0")) }
    }

    fn build(&self, d_code: usize, device: &Device) -> AnyCode {
        AnyCode::new(GatedCode {
            threshold: Param::from_tensor(Tensor::zeros([d_code], device)),
            mixed: Param::from_tensor(Tensor::eye(d_code, device)),
            seen: RunningState::new(Tensor::zeros([d_code], device)),
            training: Param::from_bool(true),
            steepness: self.steepness,
        })
    }
}

impl Code for GatedCode {
    fn forward(&self, z: Tensor<2>) -> Latent {
        if z.device().is_autodiff() && self.training.is_enabled() {
            let peak = z.clone().detach().without_autodiff().abs().max_dim(0).squeeze_dim::<1>(0);
            self.seen.update(self.seen.value_sync().max_pair(peak));
        }
        let gate = sigmoid((z.clone() - self.threshold.val().unsqueeze()).mul_scalar(self.steepness));
        (z * gate).matmul(self.mixed.val()).into()
    }
}

impl Penalty for StudentT {
    fn weight(&self, progress: f64) -> f64 {
        self.weight.at(progress)
    }

    fn check(&self) -> Result<(), ConfigError> {
        self.weight.check("weight")
    }

    fn value(&self, context: &Context) -> Tensor<1> {
        context.latent.code.clone().square().log1p().sum_dim(1).squeeze_dim(1)
    }
}

impl Corrupt for Untouched {
    fn apply(&self, x: Tensor<2>, _columns: &Layout) -> Change {
        Change { x, replaced: None, hidden: None }
    }
}

impl Loss for Absolute {
    fn loss(&self, x: Tensor<2>, output: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1> {
        let error = (x - output).abs();
        weights.map_or(error.clone(), |weights| error * weights).sum_dim(1).squeeze_dim(1)
    }
}

fn registry() -> Registry {
    Registry::default().with_code::<Gated>().with_penalty::<StudentT>().with_corruption::<Untouched>().with_loss::<Absolute>()
}

fn config(settings: &[&str]) -> ae_train::Result<Config> {
    let own = ["model.code.kind=gated", "model.penalty.student_t.weight=0.01", "model.corruption.untouched={}", "training.epochs=2"];
    let set: Vec<_> = own.iter().chain(settings).map(|setting| setting.to_string()).collect();
    Config::from_layers(&Layers { set: &set, ..Default::default() }, &registry())
}

#[test]
fn parts_of_another_crate_are_trained_kept_and_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let config = config(&["model.reconstruction=absolute"]).unwrap();
    let run = Run::create(config.clone(), Some(&path)).unwrap();
    let outcome = run.train(Device::default(), "flex", Progress::Quiet, Interrupter::new()).unwrap();
    assert!(matches!(outcome, Outcome::Finished(_)));
    let again = Run::open_with(&path, &registry()).unwrap();
    assert_eq!(again.config.model, config.model);
    let model = again.model(Device::default()).unwrap();
    let code = model.code.get::<GatedCode>().expect("the code that was named");
    let values = |tensor: Tensor<1>| tensor.into_data().iter::<f32>().collect::<Vec<_>>();
    assert!(values(code.threshold.val()).iter().any(|&value| value != 0.0), "the threshold was not trained");
    assert!(values(code.seen.value_sync()).iter().all(|&value| value > 0.0), "what it keeps was not kept");
    // The names in the file are those of the fields.
    let weights = std::fs::read(path.join("model.safetensors")).unwrap();
    let header = String::from_utf8_lossy(&weights[..2000.min(weights.len())]).into_owned();
    for name in ["code.threshold", "code.mixed", "code.seen"] {
        assert!(header.contains(name), "{name}: {header}");
    }
    let metrics = std::fs::read_to_string(path.join("metrics.csv")).unwrap();
    let first = metrics.lines().next().unwrap();
    assert!(first.contains("absolute") && first.contains("student_t"), "{first}");
    // A program without these parts says so.
    let error = Run::open(&path).unwrap_err().to_string();
    assert!(error.contains("`absolute`") && !error.contains('\n'), "{error}");
}

#[test]
fn settings_of_another_crate_are_checked_and_explained_like_all_others() {
    let refused = |setting: &str| config(&[setting]).unwrap_err().to_string();
    assert!(refused("model.code.steepness=0").contains("`model.code.steepness` is 0, but must be greater than 0"));
    assert!(refused("model.code.steep=1").contains("`model.code.steep`"));
    assert!(refused("model.penalty.student_t.weight=-1").contains("`model.penalty.student_t.weight` is -1"));
    assert!(refused("model.corruption.untouched.rate=1").contains("model.corruption.untouched"));
    let text = config(&["model.reconstruction=absolute"]).unwrap().to_toml();
    for line in [
        "# Steepness, greater than 0. Default: 10.",
        "# A Student-t prior on the code.",
        "reconstruction = \"absolute\"",
        "kind = \"gated\"",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    let again: toml::Table = text.parse().unwrap();
    assert_eq!(
        ae_model::Recipe::read(again["model"].clone(), &registry()).unwrap(),
        config(&["model.reconstruction=absolute"]).unwrap().model
    );
    assert!(text.contains("[model.penalty.l1] (not set)"), "{text}");
}

#[test]
fn a_code_without_parameters_is_its_own_settings() {
    settings! {
        /// A soft threshold.
        struct Shrink("shrink") {
            /// What each unit loses, 0 or more. Default: 0.1.
            by: f64 = 0.1,
        }
    }
    impl Code for Shrink {
        fn forward(&self, z: Tensor<2>) -> Latent {
            (z.clone().abs().sub_scalar(self.by).clamp_min(0.0) * z.sign()).into()
        }
    }
    let device = Device::default();
    let code = Shrink { by: 0.5 }.build(3, &device);
    let z = TensorData::from([[2.0f32, -1.0, 0.25]]);
    code.forward(Tensor::from_data(z, &device)).code.into_data().assert_eq(&TensorData::from([[1.5f32, -0.5, 0.0]]), true);
    assert_eq!((code.num_params(), code.get::<Shrink>().unwrap().by), (0, 0.5));
    let x = Tensor::<2>::full([2, 64], 0.5, &device.clone().autodiff());
    let recipe = Recipe { code: Shrink::default().into(), ..Recipe::default() };
    let model = recipe.init(&ae_model::Inputs::unit(64), &x.device());
    assert!(recipe.objective(&ae_model::Inputs::unit(64)).evaluate(&model, x).loss().into_scalar::<f32>().is_finite());
}

#[test]
#[should_panic(expected = "two parts are called `l1`")]
fn a_name_is_there_once() {
    settings! {
        /// Not the one of this project.
        struct L1("l1");
    }
    impl Penalty for L1 {
        fn weight(&self, _progress: f64) -> f64 {
            1.0
        }

        fn value(&self, context: &Context) -> Tensor<1> {
            context.latent.code.clone().sum_dim(1).squeeze_dim(1)
        }
    }
    Registry::default().with_penalty::<L1>();
}
