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
    reconstruction_error::{Comparison, Errors, ReconstructionErrors, errors_of},
    summary::Summary,
    trained::{Pairs, Trained},
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
    /// `None` for a model that predicts a target.
    pub detector: Option<Detector>,
}

impl Measured {
    /// Measures a trained model and its baselines.
    pub fn of(trained: &Trained, data: &Data, how: How) -> Result<Self> {
        let [train_rows, test_rows] = data.measured(&trained.config.model);
        let test_pairs = trained.pairs(&test_rows)?;
        let measure = || code_and_errors(trained, &test_rows, test_pairs.wanted());
        let (code, of_model) = ae_kernels::seeded(trained.config.seed, &trained.device, measure)?;
        let k = trained.comparable_components(code.l0);
        let Parts { train, test, pca, random } = parts(trained, &train_rows, &test_pairs, of_model, k)?;
        let detector = match &trained.schema.target {
            None => Some(Detector::fit(trained, &data.split.train, &data.split.validation, &pca, FALSE_ALARMS)?),
            Some(_) => None,
        };
        let linear_map =
            pca.map().map(|map| errors_of(test_pairs.wanted(), &map.predict(test_pairs.inputs())).figures());
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
            pca_components: k.min(data.schema.d_input).min(data.schema.d_output()),
            linear_map,
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

/// The statistics of the code, and the model's errors on `dataset`, for which it should give `rows`.
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
fn parts(trained: &Trained, train_rows: &Dataset, test: &Pairs, of_model: Errors, k: usize) -> Result<Parts> {
    let train = trained.pairs(train_rows)?;
    let wanted = train.wanted();
    let all = match trained.schema.target {
        Some(_) => Pca::fit_target(train.inputs(), wanted, k, PCA_SHARE)?,
        None => Pca::fit_share(wanted, k, PCA_SHARE)?,
    };
    let (pca, mean) = (all.first(k), wanted.mean());
    let part = |model: Errors, rows: &Pairs| Comparison {
        model: model.figures(),
        pca: pca.prediction_errors(rows.inputs(), rows.wanted()).figures(),
        mean: mean_errors(&mean, rows.wanted()).figures(),
    };
    let model = &trained.config.model;
    // Random atoms would be fitted to the target itself, which a prediction does not see.
    let random = match model.is_sparse() && trained.schema.target.is_none() {
        true => random_dictionary(test.wanted(), &mean, model.code_dim, k, trained.config.seed)?,
        false => None,
    };
    Ok(Parts {
        train: part(model_errors(&trained.model, train_rows, &trained.batcher, wanted, &trained.device)?, &train),
        test: part(of_model, test),
        random: random.map(|errors| errors.figures()),
        pca: all,
    })
}
