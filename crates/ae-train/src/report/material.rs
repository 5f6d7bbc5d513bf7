//! What the figures of a run are made of.

use ae_data::{Dataset, Geometry, picture::Sheet};
use ae_model::{
    Recipe,
    penalty::{KlRate, L1},
};
use burn::tensor::Device;

use super::ranked::Ranked;
use crate::{
    Error, Result, Run, Which,
    anomaly::{Detector, Scores},
    baseline::{Matrix, Pca, name},
    evaluation::{Activations, Evaluation},
    history,
    results::row_labels,
    run_folder::Summary,
    trained::Trained,
};

/// Rows that figures of many rows are made of, at most.
const MANY: usize = 2000;

/// What a run is for, which decides what its page begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To find anomalies: it was trained on the rows of the normal class only.
    Anomaly,
    /// To fill in missing values: its rows have some, or it was trained to.
    Imputation,
    /// To learn a code of which few units are active.
    Sparse,
    /// To learn a code of images.
    Images,
    /// To explain rows by a dictionary.
    Dictionary,
    /// To learn a code of the rows of a table.
    Table,
}

/// What a figure is made of.
pub struct Material {
    /// The model and what belongs to it.
    pub trained: Trained,
    /// The result of the run.
    pub summary: Summary,
    /// Everything measured on the test rows.
    pub evaluation: Evaluation,
    /// What the run is for.
    pub purpose: Purpose,
    /// When each unit of a sparse code is active on the test rows.
    pub(super) activations: Option<Activations>,
    /// Units that are shown one by one; empty for those that contribute most.
    pub(super) shown_units: Vec<usize>,
    pub(super) train: Dataset,
    pub(super) test: Dataset,
    /// Some test rows, and their codes, row by row.
    pub(super) some: Dataset,
    pub(super) codes: Vec<f32>,
    pub(super) pca: Pca,
    /// `None` for a model that predicts a target.
    pub(super) detector: Option<Detector>,
    /// Anomaly scores of those rows; empty without a detector.
    pub(super) scores: Scores,
    /// With a normal class: how the labeled rows are ranked, beside the baselines.
    pub(super) ranked: Option<Ranked>,
    pub(super) metrics: Vec<(String, Vec<f64>)>,
    /// Bytes of the page that its interactive figure may take.
    pub(super) budget: usize,
}

impl Material {
    /// Everything that the figures of `run` need, of which the interactive one takes `budget` bytes at most. Units that
    /// are shown one by one are `shown_units`, or else those that contribute most.
    ///
    /// # Errors
    /// A run that has not ended, or whose data is gone; a unit that the code does not have.
    pub fn gather(run: &Run, device: &Device, budget: usize, shown_units: &[usize]) -> Result<Self> {
        let Some(summary) = run.folder.summary()? else {
            let folder = run.folder.path().display();
            return Err(Error::Failed(format!(
                "{folder} has not ended: continue it with `ae train --resume {folder}`"
            )));
        };
        let trained = run.trained(device.clone())?;
        let (pca, detector) = (run.folder.pca()?, run.folder.detector_if_any()?);
        let rows = |which| run.rows(&trained, which);
        let (test, train) = (rows(Which::Test)?, rows(Which::Train)?);
        let units = trained.config.model.code_dim;
        if let Some(unit) = shown_units.iter().find(|&&unit| unit >= units) {
            return Err(Error::Usage(format!(
                "`--units {unit}`: the code of {} has the units 0 to {}",
                run.folder.path().display(),
                units - 1
            )));
        }
        if !shown_units.is_empty() && !trained.config.model.is_sparse() {
            return Err(Error::Usage(format!(
                "`--units` is for sparse codes, such as those of `batch_top_k` and `k_sparse`: every unit of {} is \
                 active on every row",
                run.config.variant
            )));
        }
        let is_dictionary = trained.config.model.network.is_dictionary();
        let test = match is_dictionary {
            true => test.thin(ae_data::fit::SAMPLE / trained.schema.d_input.max(1)),
            false => test.sample(ae_data::fit::SAMPLE),
        };
        let (evaluation, activations) = trained.evaluate_units(&test, &pca, Some(&train))?;
        let some = test.thin(MANY);
        let codes = trained.codes(&some)?;
        let normal = trained.schema.normal.as_ref();
        let (scores, ranked) = match &detector {
            Some(detector) => {
                let (scores, baselines) = detector.score_beside(&trained, &some, &pca)?;
                let ranked = normal.and_then(|normal| Ranked::of(&scores.rows, &baselines, detector, &some, normal));
                (scores, ranked)
            }
            None => (Scores::default(), None),
        };
        let purpose = match (trained.schema.geometry.is_some(), normal.is_some()) {
            (_, true) => Purpose::Anomaly,
            _ if is_dictionary => Purpose::Dictionary,
            _ if is_sparse(&trained.config.model) => Purpose::Sparse,
            (true, _) => Purpose::Images,
            _ if trained.model.mask_input || train.rows().has_missing() => Purpose::Imputation,
            _ => Purpose::Table,
        };
        let metrics =
            if run.folder.metrics_file().exists() { history::columns(&run.folder.metrics_file())? } else { Vec::new() };
        Ok(Self {
            trained,
            summary,
            evaluation,
            purpose,
            activations,
            shown_units: shown_units.to_vec(),
            train,
            test,
            some,
            codes,
            pca,
            detector,
            scores,
            ranked,
            metrics,
            budget,
        })
    }

    /// Number of training rows, validation rows included.
    pub(super) fn trained_on(&self) -> usize {
        self.trained.schema.train_rows + self.trained.schema.validation_rows
    }

    /// Features of a row.
    pub(super) fn width(&self) -> usize {
        self.trained.schema.d_input
    }

    /// Units of the code.
    pub(super) fn units(&self) -> usize {
        self.trained.config.model.code_dim
    }

    /// The model with the width of its code, as it is called beside its baselines.
    pub(super) fn model_name(&self) -> String {
        format!("{} ({})", self.summary.variant, self.summary.code_dim)
    }

    /// The PCA that is measured beside the model.
    pub(super) fn pca_name(&self) -> String {
        name(self.evaluation.pca_components, self.evaluation.linear_map.is_some())
    }

    /// Whether a figure says nothing about the run.
    pub(super) fn leaves_out(&self, figure: &str) -> bool {
        let of_its_rows = ["reconstructions", "best", "worst"];
        self.purpose.leaves_out().contains(&figure)
            || (self.trained.schema.target.is_some() && of_its_rows.contains(&figure))
    }

    /// Images of this shape side by side.
    pub(super) fn sheet(&self, geometry: Geometry, columns: usize) -> Sheet {
        let [low, high] = self.trained.shades();
        Sheet {
            zoom: (64 / geometry.height.max(geometry.width)).clamp(1, 6),
            ..Sheet::new(geometry, columns, low, high)
        }
    }

    /// The values of rows in the units of the data, row by row.
    pub(super) fn values(&self, rows: &Dataset) -> Result<Vec<f64>> {
        Ok(self.trained.unscale_inputs(&rows.scaled(&self.trained.schema.scaling)?))
    }

    /// The reconstructions of rows in the units of the data, row by row.
    pub(super) fn reconstructed(&self, rows: &Dataset) -> Result<Vec<f64>> {
        let mut values = Vec::new();
        for batch in self.trained.reconstructions(rows, None) {
            values.extend(batch?.values);
        }
        Ok(values)
    }

    /// The reconstructions of rows by the PCA that is measured beside the model.
    pub(super) fn reconstructed_by_pca(&self, rows: &Dataset) -> Result<Vec<f64>> {
        let values = rows.scaled(&self.trained.schema.scaling)?;
        let pca = self.pca.first(self.evaluation.pca_components);
        Ok(self.trained.unscale(&pca.reconstruct(Matrix { values: &values, width: self.width() })))
    }

    /// The test rows of the normal class, if one was trained on and there are others, too.
    pub(super) fn normal_rows(&self) -> Option<Dataset> {
        let normal = self.trained.schema.normal.as_ref().filter(|_| self.ranked.is_some())?;
        let labels = row_labels(&self.test);
        let rows = self.test.indices().iter().zip(labels).filter(|(_, label)| label.as_ref() == Some(normal));
        Some(self.test.select(rows.map(|(row, _)| *row).collect()))
    }
}

/// Whether few units of the code are active: by the code, or by a penalty.
fn is_sparse(model: &Recipe) -> bool {
    model.is_sparse() || model.penalty.get::<L1>().is_some() || model.penalty.get::<KlRate>().is_some()
}

/// Numbers in single precision, as images are drawn from.
pub(super) fn singles(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&value| value as f32).collect()
}
