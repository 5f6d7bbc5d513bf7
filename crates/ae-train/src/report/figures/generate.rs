//! New rows.

use super::{Content, SHOWN, rows::strips};
use crate::{
    Result,
    generate::Density,
    report::material::{Material, singles},
};

/// Lines of new images, of each density.
const SAMPLED: usize = 3;
/// Units of the widest code whose density is fitted for the page.
const SAMPLED_UNITS: usize = 64;
/// Gaussians of that density.
const COMPONENTS: usize = 10;

pub fn samples(material: &Material) -> Result<Option<Content>> {
    let trained = &material.trained;
    let Some(geometry) = trained.schema.geometry.filter(|_| material.units() <= SAMPLED_UNITS) else { return Ok(None) };
    let count = SAMPLED * SHOWN;
    let ranges = trained.ranges(&material.train)?;
    let draw = |density: &Density| -> Result<Vec<f32>> {
        let codes = trained.sample_codes(density, count, trained.config.seed)?;
        Ok(singles(&trained.in_units(&trained.sample_rows(&codes, &ranges, trained.config.seed)?.0)))
    };
    let mixture = trained.code_mixture(&material.train, COMPONENTS)?;
    let note = format!(
        "Decoded codes that were drawn from a mixture of {} Gaussians, fitted to the codes of the training rows",
        mixture.components
    );
    let mut drawn = vec![("from the mixture", draw(&Density::Mixture(mixture))?)];
    let has_prior = trained.has_prior();
    if has_prior {
        drawn.push(("from the prior", draw(&Density::Prior)?));
    }
    let lines: Vec<(&str, &[f32])> = drawn.iter().map(|(name, values)| (*name, values.as_slice())).collect();
    let note = note + if has_prior { ", and from the prior of the code." } else { "." };
    Ok(Some(Content::new(strips(material, geometry, &lines), note).wide()))
}
