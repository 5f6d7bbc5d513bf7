//! The weights of the model of a run.

use std::{fmt, fs};

use ae_model::Model;
use burn::{
    module::Module,
    store::{ModuleSnapshot, SafetensorsStore},
    tensor::Device,
};

use super::folder::RunFolder;
use crate::{Error, Result};

impl RunFolder {
    /// Writes the weights twice: `model.safetensors` for every framework, and `model.bpk` as Burn's own record.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write_model(&self, model: &Model) -> Result<()> {
        self.put("model.safetensors", |path| {
            // Only one metadata entry, the one that Python's loaders look for: several would be written in random
            // order, so that equal weights would make different files.
            let mut store = SafetensorsStore::from_file(path).overwrite(true).clear_metadata().metadata("format", "pt");
            model.save_into(&mut store).map_err(|error| Error::at("write", path, error))?;
            // The writer creates a file that only its owner can read; it gets the permissions of the other files.
            let opened =
                fs::metadata(self.config_file()).and_then(|config| fs::set_permissions(path, config.permissions()));
            opened.map_err(|error| Error::at("write", path, error))
        })?;
        self.put("model.bpk", |path| {
            model.clone().into_record().save(path).map_err(|error| Error::at("write", path, error))
        })
    }

    /// The model of the best epoch.
    ///
    /// # Errors
    /// Weights that are missing, damaged, or of another model than the configuration describes.
    pub fn model(&self, device: &Device) -> Result<Model> {
        let (config, schema) = (self.config()?, self.schema()?);
        let weights = self.weights_file();
        if !weights.is_file() {
            return Err(Error::at("read", &weights, "the run has no weights yet; resume it first"));
        }
        self.check("model.safetensors")?;
        let inputs = schema.inputs();
        let other = |reason: &dyn fmt::Display| {
            Error::damaged(
                &weights,
                format!("its weights are not those of the model in config.toml and data.toml ({reason})"),
            )
        };
        config.variant()?.check(&config.model, &inputs).map_err(|error| other(&error.within("model")))?;
        // Reject a configuration with more weights than the file has bytes before the model is built.
        let (bytes, most) =
            (fs::metadata(&weights).map_or(0, |metadata| metadata.len()), config.model.weights(&inputs));
        if most.is_none_or(|most| most as u64 > bytes) {
            return Err(other(&format!(
                "{} in {bytes} bytes",
                most.map_or("too many to count".to_string(), |most| most.to_string())
            )));
        }
        let mut model = config.model.init(&inputs, device);
        let mut store = SafetensorsStore::from_file(&weights);
        model.load_from(&mut store).map_err(|error| {
            // The reader lists every weight that does not match: the first ones are enough.
            let reason = error.to_string().replace('\n', " ");
            let short: String = reason.chars().take(200).collect();
            other(&if short.len() < reason.len() { short + " ..." } else { short })
        })?;
        Ok(model)
    }
}
