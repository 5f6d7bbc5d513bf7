//! Measuring the result of a training.

use ae_data::Dataset;
use burn::data::dataset::Dataset as _;

use crate::{
    Result,
    anomaly::{Detector, FALSE_ALARMS},
    baseline::{PCA_SHARE, Pca, mean_errors},
    data::Data,
    evaluation::{code_statistics, model_errors},
    matrix::Matrix,
    reconstruction_error::Comparison,
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
        let [train_rows, test_rows] = data.measured();
        let measure = || code_statistics(&trained.model, &test_rows, &data.batcher, &trained.device);
        let code = ae_kernels::seeded(trained.config.seed, &trained.device, measure)?;
        let (train, test, pca) = parts(trained, &train_rows, &test_rows)?;
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
            code,
            diverged: how.diverged,
        };
        Ok(Self { summary, pca, detector })
    }
}

/// Errors of the model and its baselines on the training rows (including validation rows, which PCA does not need) and
/// on the test rows; and the principal components of the training rows: the larger of the width of the code and the
/// number that explains most of the variance.
fn parts(trained: &Trained, train_rows: &Dataset, test_rows: &Dataset) -> Result<(Comparison, Comparison, Pca)> {
    let width = trained.schema.d_input;
    let train_values = train_rows.scaled(&trained.schema.scaling)?;
    let train = Matrix { values: &train_values, width };
    let k = trained.config.model.code_dim;
    let all = Pca::fit_share(train, k, PCA_SHARE)?;
    let (pca, mean) = (all.first(k), train.mean());
    let part = |dataset: &Dataset, rows: Matrix| -> Result<Comparison> {
        Ok(Comparison {
            model: model_errors(&trained.model, dataset, &trained.batcher, rows, &trained.device)?.figures(),
            pca: pca.errors(rows).figures(),
            mean: mean_errors(&mean, rows).figures(),
        })
    };
    let test_values = test_rows.scaled(&trained.schema.scaling)?;
    let parts = (part(train_rows, train)?, part(test_rows, Matrix { values: &test_values, width })?);
    Ok((parts.0, parts.1, all))
}
