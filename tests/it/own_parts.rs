//! Parts of another crate, in the registry, in a configuration and in a run folder.

use std::sync::Arc;

use ae_model::{AnyCode, ConfigError, code::CodeSettings, prelude::*};
use ae_train::{Config, Outcome, Quiet, Run, config::Layers};
use burn::{
    module::{Flag, Module, Param, RunningState},
    tensor::{Device, Tensor, TensorData, activation::sigmoid},
    train::Interrupter,
};

settings! {
    /// Units below a learned threshold are almost 0.
    struct Gated("own_gate") {
        /// Steepness, greater than 0. Default: 10.
        steepness: f64 = 10.0,
    }
    /// A Student-t prior on the code.
    struct StudentT("student_t") {
        /// Factor of the penalty in the loss, 0 or more. Default: 0.02.
        weight: Weight = 0.02.into(),
    }
    /// No change.
    struct Untouched("untouched");
    /// A sum of absolute errors.
    struct Absolute("absolute");
}

/// A code with every kind of parameter.
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
    Registry::default()
        .with_code::<Gated>()
        .with_penalty::<StudentT>()
        .with_corruption::<Untouched>()
        .with_loss::<Absolute>()
}

fn config(settings: &[&str]) -> ae_train::Result<Config> {
    let own = [
        "model.code.kind=own_gate",
        "model.penalty.student_t.weight=0.01",
        "model.corruption.untouched={}",
        "training.epochs=2",
    ];
    let set: Vec<_> = own.iter().chain(settings).map(|setting| setting.to_string()).collect();
    Config::from_layers(&Layers { set: &set, ..Default::default() }, &registry())
}

#[test]
fn parts_of_another_crate_are_trained_saved_and_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let config = config(&["model.reconstruction=absolute"]).unwrap();
    let run = Run::create(config.clone(), Some(&path)).unwrap();
    let outcome = run.train(Device::default(), "flex", Arc::new(Quiet), Interrupter::new()).unwrap();
    assert!(matches!(outcome, Outcome::Finished(_)));
    let again = Run::open_with(&path, &registry()).unwrap();
    assert_eq!(again.config.model, config.model);
    let model = again.model(Device::default()).unwrap();
    let code = model.code.get::<GatedCode>().expect("the code of the configuration");
    let values = |tensor: Tensor<1>| tensor.into_data().iter::<f32>().collect::<Vec<_>>();
    assert!(values(code.threshold.val()).iter().any(|&value| value != 0.0), "the threshold was not trained");
    assert!(values(code.seen.value_sync()).iter().all(|&value| value > 0.0), "the running state was not saved");
    // The names in the file are those of the fields.
    let weights = std::fs::read(path.join("model.safetensors")).unwrap();
    let header = String::from_utf8_lossy(&weights[..2000.min(weights.len())]).into_owned();
    for name in ["code.threshold", "code.mixed", "code.seen"] {
        assert!(header.contains(name), "{name}: {header}");
    }
    let metrics = std::fs::read_to_string(path.join("metrics.csv")).unwrap();
    let first = metrics.lines().next().unwrap();
    assert!(first.contains("absolute") && first.contains("student_t"), "{first}");
    // A program without these parts reports the missing one.
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
        "kind = \"own_gate\"",
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
            /// Amount by which the magnitude of each unit is reduced, 0 or more. Default: 0.1.
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
    code.forward(Tensor::from_data(z, &device))
        .code
        .into_data()
        .assert_eq(&TensorData::from([[1.5f32, -0.5, 0.0]]), true);
    assert_eq!((code.num_params(), code.get::<Shrink>().unwrap().by), (0, 0.5));
    let x = Tensor::<2>::full([2, 64], 0.5, &device.clone().autodiff());
    let recipe = Recipe { code: Shrink::default().into(), ..Recipe::default() };
    let model = recipe.init(&ae_model::Inputs::unit(64), &x.device());
    assert!(recipe.objective(&ae_model::Inputs::unit(64)).evaluate(&model, x).loss().into_scalar::<f32>().is_finite());
}

#[test]
#[should_panic(expected = "two parts are called `l1`")]
fn names_are_unique() {
    settings! {
        /// Has the name of a penalty of `ae-model`.
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

/// A setting that can be written but not read again is refused before the training, not after it.
#[test]
fn a_configuration_that_cannot_be_read_again_is_refused_before_the_training() {
    let refused = |config: Config| {
        Run::create(config, Some(&tempfile::tempdir().unwrap().path().join("run"))).unwrap_err().to_string()
    };
    let mut unknown = Config::of_variant("undercomplete").unwrap();
    unknown.model.penalty = StudentT::default().into();
    assert!(refused(unknown.clone()).contains("with_penalty"), "{}", refused(unknown));
    let mut infinite = config(&[]).unwrap();
    infinite.model.code = Gated { steepness: f64::INFINITY }.into();
    assert!(refused(infinite).contains("`model.code.steepness` is inf"));
    let mut order = Config::of_variant("undercomplete").unwrap();
    let [salt, masking] =
        [ae_model::corruption::SaltAndPepper::default().into(), ae_model::corruption::Masking::default().into()];
    order.model.corruption.put(masking);
    order.model.corruption.put(salt);
    assert!(refused(order).contains("another order"));
    let mut seed = Config::of_variant("undercomplete").unwrap();
    seed.seed = u64::MAX;
    assert!(!refused(seed).is_empty());
}

/// If a type and its settings have different names, logs use that of the settings.
#[test]
fn terms_have_the_names_of_the_configuration() {
    settings! {
        /// Has the type name of a penalty of `ae-model`.
        struct L1("smooth_l1");
        /// A squared error.
        struct Square("square");
    }
    impl Penalty for L1 {
        fn weight(&self, _progress: f64) -> f64 {
            1.0
        }

        fn value(&self, context: &Context) -> Tensor<1> {
            context.latent.code.clone().square().sum_dim(1).squeeze_dim(1)
        }
    }
    impl Loss for Square {
        fn name(&self) -> std::borrow::Cow<'static, str> {
            "another".into()
        }

        fn loss(&self, x: Tensor<2>, output: Tensor<2>, _weights: Option<Tensor<2>>) -> Tensor<1> {
            (x - output).square().sum_dim(1).squeeze_dim(1)
        }
    }
    let recipe =
        Recipe { penalty: L1::default().into(), reconstruction: Square::default().into(), ..Recipe::default() };
    let recipe = Recipe { penalty: recipe.penalty.with(ae_model::penalty::L1::default()), ..recipe };
    let (inputs, device) = (ae_model::Inputs::unit(64), Device::default());
    let terms = recipe.objective(&inputs).terms(&recipe.init(&inputs, &device));
    assert_eq!(terms, ["square", "smooth_l1", "l1"]);
}

/// A penalty whose settings are a unit struct, and settings with an `Option`.
#[test]
fn settings_of_any_shape_are_written_and_read_again() {
    #[derive(Debug, Clone, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
    struct Unit;
    impl Settings for Unit {
        const NAME: &'static str = "unit";
    }
    impl Penalty for Unit {
        fn weight(&self, _progress: f64) -> f64 {
            0.0
        }

        fn value(&self, context: &Context) -> Tensor<1> {
            context.latent.code.clone().sum_dim(1).squeeze_dim(1)
        }
    }
    settings! {
        /// A loss with settings.
        struct Power("power") {
            /// The exponent, greater than 0. Default: 2.
            exponent: f64 = 2.0,
            /// Unused.
            other: Option<usize> = None,
        }
    }
    impl Loss for Power {
        fn loss(&self, x: Tensor<2>, output: Tensor<2>, _weights: Option<Tensor<2>>) -> Tensor<1> {
            (x - output).abs().powf_scalar(self.exponent).sum_dim(1).squeeze_dim(1)
        }
    }
    let registry = Registry::default().with_penalty::<Unit>().with_loss::<Power>();
    let read = |set: &[&str]| {
        let set: Vec<_> = set.iter().map(|setting| setting.to_string()).collect();
        Config::from_layers(&Layers { set: &set, ..Default::default() }, &registry)
    };
    let config =
        read(&["model.penalty.unit={}", "model.reconstruction=power", "model.reconstruction.exponent=3"]).unwrap();
    assert_eq!(config.model.reconstruction.get::<Power>().unwrap().exponent, 3.0);
    config.check_written().unwrap();
    let text = config.to_toml();
    assert!(text.contains("[model.penalty.unit]") && text.contains("kind = \"power\""), "{text}");
    let error =
        read(&["model.reconstruction.kind=squared_error", "model.reconstruction.exponent=3"]).unwrap_err().to_string();
    assert!(error.contains("`squared_error` has no settings"), "{error}");
}

#[test]
fn reserved_names_are_refused() {
    settings! {
        /// A reserved name.
        struct Emphasis("emphasis");
        /// A reserved field name.
        struct Fielded("fielded") {
            /// The reserved field.
            kind: usize = 1,
        }
    }
    macro_rules! as_penalty {
        ($($Type:ty)*) => {$(
            impl Penalty for $Type {
                fn weight(&self, _progress: f64) -> f64 {
                    1.0
                }

                fn value(&self, context: &Context) -> Tensor<1> {
                    context.latent.code.clone().sum_dim(1).squeeze_dim(1)
                }
            }
        )*};
    }
    as_penalty!(Emphasis Fielded);
    assert!(std::panic::catch_unwind(|| Registry::default().with_penalty::<Emphasis>()).is_err());
    assert!(std::panic::catch_unwind(|| Registry::default().with_penalty::<Fielded>()).is_err());
}
