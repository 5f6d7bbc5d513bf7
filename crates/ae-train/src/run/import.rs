//! Runs of models that were trained elsewhere.

use std::{path::Path, sync::Arc};

use ae_data::Scaling;
use ae_model::Model;
use burn::{module::Module, tensor::Device};

use super::state::{Ended, Run};
use crate::{
    Error, Result,
    config::Config,
    data::Data,
    measure::How,
    run_folder::{RunFolder, Summary},
    trained::Trained,
};

impl Run {
    /// Creates a run whose model was trained elsewhere: `model` loads it, once the data is known. `scaling` is the
    /// offset and scale of each feature, if the model came with them; otherwise they are fitted to the data.
    ///
    /// # Errors
    /// As [`create`](Self::create), and whatever `model` fails with.
    pub fn import(
        config: Config,
        out: Option<&Path>,
        device: &Device,
        scaling: Option<[Vec<f64>; 2]>,
        model: impl FnOnce(Model) -> Result<Model>,
    ) -> Result<(Self, Summary)> {
        config.check()?;
        let mut data = Data::open(&config)?;
        if let Some([offset, scale]) = scaling {
            if offset.len() != data.schema.d_input {
                let (found, expected) = (offset.len(), data.schema.d_input);
                return Err(Error::Failed(format!("the weights scale {found} features, but the data has {expected}")));
            }
            let scaling = Scaling { offset, scale, ..data.schema.scaling };
            scaling
                .check(data.schema.d_input)
                .map_err(|reason| Error::Failed(format!("the weights cannot be used: {reason}")))?;
            data.schema.scaling = scaling;
            data.batcher = data.schema.batcher();
        }
        let model = model(config.model.init(&data.schema.inputs(), device))?;
        let folder = RunFolder::create(out, &format!("{}-{}", config.variant, data.schema.name), &config.registry)?;
        let lock = Arc::new(folder.claim()?);
        folder.write_schema(&data.schema)?;
        folder.write_config(&config)?;
        folder.write_model(&model)?;
        let data = Arc::new(data);
        let run = Self { folder, config, data: Some(data.clone()), reader: None, peers: None };
        let parameters = model.num_params();
        let trained = Trained::new(model, data.schema.clone(), run.config.clone(), device.clone());
        let how = How { epochs: 0, best: 0, seconds: 0.0, parameters, device: "elsewhere".to_string(), diverged: None };
        let summary = run.measure(Ended { data, trained, how, _lock: lock })?;
        Ok((run, summary))
    }
}
