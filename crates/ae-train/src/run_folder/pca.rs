//! The principal components of a run: `pca.safetensors`.

use ae_data::sink::write_bytes;

use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use super::folder::RunFolder;
use crate::{
    Error, Result,
    baseline::{LinearMap, Pca},
    files::bytes,
    tensors::bytes_of,
};

impl RunFolder {
    /// Writes the principal components of the training rows, which results are compared with.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write_pca(&self, pca: &Pca) -> Result<()> {
        let (mean, components, variances, total) = pca.parts();
        let parts = [
            ("mean", vec![mean.len()], bytes_of(mean)),
            ("components", vec![pca.components(), mean.len()], bytes_of(&components)),
            ("variances", vec![variances.len()], bytes_of(variances)),
            ("total", vec![1], bytes_of(&[total])),
        ];
        let map = pca.map().map(|map| map.parts());
        let of_map = map.iter().flat_map(|(from, weights)| {
            [
                ("map.mean", vec![from.len()], bytes_of(from)),
                ("map.weights", vec![from.len(), mean.len()], bytes_of(weights)),
            ]
        });
        let parts: Vec<_> = parts.into_iter().chain(of_map).collect();
        let tensors = parts.iter().map(|(name, shape, bytes)| {
            (
                *name,
                TensorView::new(Dtype::F64, shape.clone(), bytes)
                    .expect("a tensor has as many bytes as its shape says"),
            )
        });
        let file = safetensors::serialize(tensors, None).expect("tensors can be put together");
        self.put("pca.safetensors", |path| Ok(write_bytes(path, &file)?))
    }

    /// Reads the principal components of the training rows.
    ///
    /// # Errors
    /// A file that cannot be read, or a run that has not finished.
    pub fn pca(&self) -> Result<Pca> {
        self.check("pca.safetensors")?;
        let path = self.path.join("pca.safetensors");
        let failed = |reason: String| Error::damaged(&path, reason);
        let bytes = bytes(&path).map_err(failed)?;
        let file = SafeTensors::deserialize(&bytes).map_err(|error| failed(error.to_string()))?;
        let part = |name: &str| -> Result<Vec<f64>> {
            let tensor = file.tensor(name).map_err(|error| failed(error.to_string()))?;
            if tensor.dtype() != Dtype::F64 {
                return Err(failed(format!("`{name}` holds {:?} instead of F64", tensor.dtype())));
            }
            let (numbers, _) = tensor.data().as_chunks::<8>();
            Ok(numbers.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect())
        };
        let (mean, components, variances) = (part("mean")?, part("components")?, part("variances")?);
        let schema = self.schema()?;
        let (width, total) = (schema.d_output(), part("total")?);
        let map = match &schema.target {
            None => None,
            Some(_) => {
                let (from, weights) = (part("map.mean")?, part("map.weights")?);
                if from.len() != schema.d_input {
                    let (found, expected) = (from.len(), schema.d_input);
                    return Err(failed(format!("its map is from {found} features, but the run's data has {expected}")));
                }
                Some(LinearMap::from_parts(from, mean.clone(), &weights).map_err(|error| failed(error.to_string()))?)
            }
        };
        match (mean.len() == width, total.as_slice()) {
            (true, [total]) => {
                let pca = Pca::from_parts(mean, &components, variances, *total);
                let pca = pca.map_err(|error| failed(error.to_string()))?;
                Ok(map.into_iter().fold(pca, Pca::with_map))
            }
            (true, _) => Err(failed(format!("`total` holds {} numbers instead of one", total.len()))),
            (false, _) => Err(failed(format!("its mean has {} features, but the run's data has {width}", mean.len()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use ae_data::Scaling;
    use ae_model::Registry;

    use super::{super::folder::FILES, *};
    use crate::{
        matrix::Matrix,
        schema::{FORMAT, Schema},
    };

    #[test]
    fn principal_components_are_read_back_or_the_error_says_why_not() {
        let place = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(Some(&place.path().join("run")), "", &Registry::default()).unwrap();
        let method = ae_data::ScalingMethod::None;
        let schema = |d_input: usize| Schema {
            format: FORMAT,
            name: "rows".to_string(),
            d_input,
            train_rows: 3,
            validation_rows: 0,
            test_rows: 0,
            geometry: None,
            white: None,
            shades: None,
            element: String::new(),
            label_names: None,
            normal: None,
            scaling: Scaling { method, offset: vec![0.0; d_input], scale: vec![1.0; d_input], constant: Vec::new() },
            target: None,
            columns: Vec::new(),
            carried: Vec::new(),
            blank_rows: Vec::new(),
            fingerprint: String::new(),
        };
        folder.write_schema(&schema(2)).unwrap();
        let pca = Pca::fit(Matrix { values: &[0.0, 1.0, 3.0, 2.0, 4.0, 0.5], width: 2 }, 1).unwrap();
        folder.write_pca(&pca).unwrap();
        assert_eq!(folder.pca().unwrap().parts(), pca.parts());
        folder.write_schema(&Schema { format: FORMAT + 1, ..schema(2) }).unwrap();
        let said = folder.schema().unwrap_err().to_string();
        assert!(said.contains(&format!("has format {}", FORMAT + 1)) && said.lines().count() == 1, "{said}");
        folder.write_schema(&schema(2)).unwrap();

        folder.write_schema(&schema(3)).unwrap();
        let said = folder.pca().unwrap_err().to_string();
        assert!(
            said.contains("its mean has 2 features, but the run's data has 3") && said.contains("restore the file"),
            "{said}"
        );
        folder.write_schema(&schema(2)).unwrap();

        // Damage is detected by the digest, and without one by the content.
        let path = folder.path().join("pca.safetensors");
        let mut damaged = fs::read(&path).unwrap();
        let last = damaged.len() - 1;
        damaged[last] ^= 1;
        fs::write(&path, damaged).unwrap();
        assert!(folder.pca().unwrap_err().to_string().contains("has changed since it was written"));
        fs::remove_file(folder.path().join(FILES)).unwrap();

        let bytes = |values: &[f64]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let good = [bytes(&[0.0, 0.0]), bytes(&[1.0, 0.0]), bytes(&[2.0]), bytes(&[3.0])];
        let write = |parts: &[Vec<u8>; 4], kind: Dtype| {
            let size = if kind == Dtype::F64 { 8 } else { 4 };
            let names = ["mean", "components", "variances", "total"];
            let view = |bytes| TensorView::new(kind, vec![<[u8]>::len(bytes) / size], bytes).unwrap();
            let tensors = names.into_iter().zip(parts.iter().map(|bytes| view(bytes)));
            fs::write(folder.path().join("pca.safetensors"), safetensors::serialize(tensors, None).unwrap()).unwrap();
        };
        write(&good, Dtype::F64);
        assert_eq!(folder.pca().unwrap().explained(), 2.0 / 3.0);
        write(&good, Dtype::F32);
        assert!(folder.pca().unwrap_err().to_string().contains("F32 instead of F64"));
        let wrong = [
            (1, vec![1.0, 0.0, 0.0]),
            (1, vec![f64::NAN, 0.0]),
            (2, vec![]),
            (2, vec![-1.0]),
            (3, vec![]),
            (3, vec![1.0]),
            (3, vec![1.0, 2.0]),
        ];
        for (part, values) in wrong {
            let mut parts = good.clone();
            parts[part] = bytes(&values);
            write(&parts, Dtype::F64);
            let said = folder.pca().unwrap_err().to_string();
            assert!(said.starts_with("cannot use") && said.lines().count() == 1, "{part} {values:?}: {said}");
        }
    }
}
