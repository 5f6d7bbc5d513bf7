//! The anomaly detector of a run: `detector.json` and `neighbours.safetensors`.

use ae_data::sink::write_bytes;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use super::folder::RunFolder;
use crate::{
    Error, Result,
    anomaly::{Detector, Reference},
    files::bytes,
    tensors::bytes_of,
};

impl RunFolder {
    /// Writes the anomaly detector.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write_detector(&self, detector: &Detector) -> Result<()> {
        let text = serde_json::to_string_pretty(detector).expect("a detector is JSON");
        self.put("detector.json", |path| Ok(write_bytes(path, text.as_bytes())?))?;
        let reference = &detector.reference;
        let (rows, width) = (reference.len(), reference.width);
        let values: Vec<u8> = reference.values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let missing: Vec<u8> = reference.missing.iter().map(|missing| u8::from(*missing)).collect();
        let view = |kind, shape: Vec<usize>, bytes| {
            TensorView::new(kind, shape, bytes).expect("a tensor has as many bytes as its shape says")
        };
        // JSON is for people: a number read back from it can differ in its last digit, which could change which rows
        // are flagged.
        let numbers = detector.numbers().map(|(name, numbers)| (name, numbers.len(), bytes_of(numbers)));
        let mut parts = vec![("rows", view(Dtype::F32, vec![rows, width], &values))];
        parts.extend(numbers.iter().map(|(name, count, bytes)| (*name, view(Dtype::F64, vec![*count], bytes))));
        if !missing.is_empty() {
            parts.push(("missing", view(Dtype::BOOL, vec![rows, width], &missing)));
        }
        let file = safetensors::serialize(parts, None).expect("tensors can be put together");
        self.put("neighbours.safetensors", |path| Ok(write_bytes(path, &file)?))
    }

    /// Reads the anomaly detector, or `None` if the run predicts a target and has none.
    ///
    /// # Errors
    /// As [`detector`](Self::detector).
    pub fn detector_if_any(&self) -> Result<Option<Detector>> {
        match self.schema()?.target {
            Some(_) => Ok(None),
            None => self.detector().map(Some),
        }
    }

    /// Reads the anomaly detector.
    ///
    /// # Errors
    /// A file that cannot be read, or a run that has not finished, or that predicts a target.
    pub fn detector(&self) -> Result<Detector> {
        if self.schema()?.target.is_some() {
            return Err(Error::Usage(
                "this run predicts other rows than it reads (`--target`), and has no anomaly scores".to_string(),
            ));
        }
        self.check("detector.json")?;
        self.check("neighbours.safetensors")?;
        let mut detector: Detector =
            self.read("detector.json", |text| serde_json::from_str(text).map_err(|error| error.to_string()))?;
        let schema = self.schema()?;
        let columns = if schema.columns.is_empty() { schema.d_input } else { schema.columns.len() };
        if !detector.is_sound(columns) {
            return Err(Error::damaged(
                &self.path.join("detector.json"),
                "it does not match the run's columns, or is damaged",
            ));
        }
        let path = self.path.join("neighbours.safetensors");
        let failed = |reason: String| Error::damaged(&path, reason);
        let bytes = bytes(&path).map_err(failed)?;
        let file = SafeTensors::deserialize(&bytes).map_err(|error| failed(error.to_string()))?;
        // Folders of format 0 have these numbers only in JSON.
        for (name, numbers) in detector.numbers_mut() {
            let Ok(exact) = file.tensor(name) else { continue };
            let (exact, _) = exact.data().as_chunks::<8>();
            let exact: Vec<f64> = exact.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
            let is_same = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-12 * a.abs();
            if exact.len() != numbers.len() || !exact.iter().zip(&*numbers).all(is_same) {
                return Err(failed(format!("its `{name}` differs from detector.json")));
            }
            numbers.copy_from_slice(&exact);
        }
        let rows = file.tensor("rows").map_err(|error| failed(error.to_string()))?;
        let mut values: Vec<f32> = rows
            .data()
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes(bytes.try_into().expect("four bytes")))
            .collect();
        let fits = rows.dtype() == Dtype::F32
            && rows.shape().len() == 2
            && rows.shape()[1] == schema.d_input
            && rows.shape()[0] > 0;
        if !fits || !values.iter().all(|value| value.is_finite()) {
            return Err(failed("its rows are not those of the run".to_string()));
        }
        if let Ok(missing) = file.tensor("missing") {
            if missing.dtype() != Dtype::BOOL || missing.data().len() != values.len() {
                return Err(failed("the shapes of its tensors do not match".to_string()));
            }
            values
                .iter_mut()
                .zip(missing.data())
                .filter(|(_, missing)| **missing != 0)
                .for_each(|(value, _)| *value = f32::NAN);
        }
        detector.reference = std::sync::Arc::new(Reference::of(values, schema.d_input));
        Ok(detector)
    }
}
