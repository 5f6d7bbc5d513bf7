//! Measuring the result of a training.

use ae_data::Dataset;
use burn::data::dataset::Dataset as _;

use crate::{
    Result,
    anomaly::{Detector, FALSE_ALARMS},
    baseline::{PCA_SHARE, Pca, mean_errors, random_dictionary},
    data::Data,
    evaluation::{CodeStatistics, model_errors, through},
    matrix::Matrix,
    reconstruction_error::{Comparison, Errors, ReconstructionErrors},
    summary::Summary,
    trained::Trained,
};

/// Outcome of a training, for its summary.
#[derive(Debug, Clone)]
pub(crate) struct How {
    pub epochs: usize,
    pub best: usize,
    pub seconds: f64,
    pub parameters: usize,
    pub device: String,
    pub diverged: Option<usize>,
}

/// Everything measured on a trained model.
pub(crate) struct Measured {
    pub summary: Summary,
    pub pca: Pca,
    pub detector: Detector,
}

impl Measured {
    /// Measures a trained model and its baselines.
    pub fn of(trained: &Trained, data: &Data, how: How) -> Result<Self> {
        let [train_rows, test_rows] = data.measured(&trained.config.model);
        let test_values = test_rows.scaled(&trained.schema.scaling)?;
        let test_matrix = Matrix { values: &test_values, width: trained.schema.d_input };
        let measure = || code_and_errors(trained, &test_rows, test_matrix);
        let (code, of_model) = ae_kernels::seeded(trained.config.seed, &trained.device, measure)?;
        let k = trained.comparable_components(code.l0);
        let Parts { train, test, pca, random } = parts(trained, &train_rows, test_matrix, of_model, k)?;
        let detector = Detector::fit(trained, &data.split.train, &data.split.validation, &pca, FALSE_ALARMS)?;
        let summary = Summary {
            variant: trained.config.variant.clone(),
            data: data.schema.name.clone(),
            device: how.device,
            d_input: data.schema.d_input,
            code_dim: trained.config.model.code_dim,
            parameters: how.parameters,
            epochs: how.epochs,
            best_epoch: how.best,
            train_seconds: how.seconds,
            seed: trained.config.seed,
            train,
            test,
            measured_rows: [train_rows.len(), test_rows.len()],
            pca_components: k.min(data.schema.d_input),
            random_dictionary: random,
            code,
            diverged: how.diverged,
        };
        Ok(Self { summary, pca, detector })
    }
}

/// Errors of the model and its baselines.
struct Parts {
    /// On the training rows, including validation rows, which PCA does not need.
    train: Comparison,
    test: Comparison,
    /// The principal components of the training rows: the larger of the number that is compared with and the number
    /// that explains most of the variance.
    pca: Pca,
    /// Of a random dictionary on the test rows, beside a sparse code.
    random: Option<ReconstructionErrors>,
}

/// The statistics of the code, and the model's errors on `dataset`, whose scaled values are `rows`.
fn code_and_errors(trained: &Trained, dataset: &Dataset, rows: Matrix) -> Result<(CodeStatistics, Errors)> {
    let (mut errors, width) = (Errors::new(&rows), rows.width);
    let code = through(&trained.model, dataset, &trained.batcher, &trained.device, |(range, _, reconstructed)| {
        let values = rows.values[range.start * width..range.end * width].chunks_exact(width);
        values.zip(reconstructed.chunks_exact(width)).for_each(|(row, r)| errors.add(row, |at| f64::from(r[at])));
        Ok(())
    })?;
    Ok((code, errors))
}

/// Measures the baselines with `k` principal components, and the model on training rows; `of_model` are its errors on
/// the test rows.
fn parts(trained: &Trained, train_rows: &Dataset, test: Matrix, of_model: Errors, k: usize) -> Result<Parts> {
    let width = trained.schema.d_input;
    let train_values = train_rows.scaled(&trained.schema.scaling)?;
    let train = Matrix { values: &train_values, width };
    let all = Pca::fit_share(train, k, PCA_SHARE)?;
    let (pca, mean) = (all.first(k), train.mean());
    let part = |model: Errors, rows: Matrix| Comparison {
        model: model.figures(),
        pca: pca.errors(rows).figures(),
        mean: mean_errors(&mean, rows).figures(),
    };
    let model = &trained.config.model;
    let random = match model.is_sparse() {
        true => random_dictionary(test, &mean, model.code_dim, k, trained.config.seed)?,
        false => None,
    };
    Ok(Parts {
        train: part(model_errors(&trained.model, train_rows, &trained.batcher, train, &trained.device)?, train),
        test: part(of_model, test),
        random: random.map(|errors| errors.figures()),
        pca: all,
    })
}
