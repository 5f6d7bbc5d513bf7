//! What the code and its units do.

use ae_data::{Encoding, Geometry, picture::Sheet};
use maud::{Markup, html};

use super::{Content, UNITS, image, svg};
use crate::{
    Result,
    auroc::quantile,
    baseline::Pca,
    digits::short,
    report::{
        material::{Material, singles},
        measure::{jacobian_at_mean, matrix, spectrum, spread},
        plot,
    },
};
use ae_model::Code;

/// Points along each side of the decoded grid.
const GRID: usize = 12;

/// Units above which the axes are fitted to few codes: the time grows with the square of their number.
const WIDE: usize = 1024;

/// Those codes.
const FEW_ROWS: usize = 256;

/// The two axes that the code is shown along, and each row's place.
pub struct Plane {
    /// The place of each row.
    pub points: Vec<(f64, f64)>,
    /// PCA of the code; none if it has two units or fewer.
    pub pca: Option<Pca>,
    /// How many of the codes it was fitted to, if not to all.
    pub fitted: Option<usize>,
}

impl Plane {
    /// The plane of the first two units, or of the first two principal components of the codes.
    pub fn of(material: &Material) -> Result<Self> {
        let units = material.units();
        let codes = matrix(&material.codes, units);
        if units <= 2 {
            let point = |code: &[f32]| (f64::from(code[0]), code.get(1).map_or(0.0, |&value| f64::from(value)));
            return Ok(Self {
                points: material.codes.chunks_exact(units).map(point).collect(),
                pca: None,
                fitted: None,
            });
        }
        let some = if units > WIDE { FEW_ROWS.min(codes.count()) } else { codes.count() };
        let pca = Pca::fit(matrix(&material.codes[..some * units], units), 2)?;
        // Rows that hardly differ have fewer than two components.
        let (places, axes) = (pca.encode(codes), pca.components());
        let place = |row: usize, axis: usize| if axis < axes { f64::from(places[row * axes + axis]) } else { 0.0 };
        let points = (0..material.codes.len() / units).map(|row| (place(row, 0), place(row, 1))).collect();
        Ok(Self { points, pca: Some(pca), fitted: (some < codes.count()).then_some(some) })
    }

    /// The code at the origin, and what one step along each axis adds to it: `[units]` each.
    pub fn basis(&self, units: usize) -> [Vec<f64>; 3] {
        match &self.pca {
            None => {
                let unit = |axis: usize| (0..units).map(|unit| f64::from(u8::from(unit == axis))).collect();
                [vec![0.0; units], unit(0), unit(1)]
            }
            Some(pca) => {
                let component =
                    |axis: usize| if axis < pca.components() { pca.component(axis) } else { vec![0.0; units] };
                [pca.mean().to_vec(), component(0), component(1)]
            }
        }
    }

    /// The code at a place.
    fn code(&self, x: f64, y: f64, units: usize) -> Vec<f32> {
        let [origin, first, second] = self.basis(units);
        (0..units).map(|unit| (origin[unit] + x * first[unit] + y * second[unit]) as f32).collect()
    }

    /// What the axes are called.
    pub fn axes(&self) -> [&'static str; 2] {
        if self.pca.is_some() {
            ["first principal component of the code", "second principal component"]
        } else {
            ["first unit", "second unit"]
        }
    }
}

pub fn plane(material: &Material) -> Result<Option<Content>> {
    let units = material.units();
    let plane = Plane::of(material)?;
    let bounds = |of: fn(&(f64, f64)) -> f64| {
        let mut values: Vec<f64> = plane.points.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        (quantile(&values, 0.02), quantile(&values, 0.98))
    };
    let (across, up) = (bounds(|point| point.0), bounds(|point| point.1));
    let place = |(low, high): (f64, f64), index: usize| low + (high - low) * index as f64 / (GRID - 1) as f64;
    // The first line of the image is the top of the plane.
    let codes: Vec<f32> = (0..GRID)
        .flat_map(|line| (0..GRID).map(move |column| (line, column)))
        .flat_map(|(line, column)| plane.code(place(across, column), place(up, GRID - 1 - line), units))
        .collect();
    let values = singles(&material.trained.decode(&codes)?);
    let note = "A grid of decoded codes, from the 2nd to the 98th percentile of the rows along each axis of the figure \
                of the code in two dimensions.";
    let body = match material.trained.schema.geometry {
        Some(geometry) => {
            let mut sheet = material.sheet(geometry, GRID);
            sheet.zoom = (40 / geometry.height.max(geometry.width)).clamp(1, 4);
            image(&sheet.png(&values.chunks_exact(material.width()).collect::<Vec<_>>()), "a grid of decoded codes")
        }
        None => {
            let ranges = Encoding::new(material.trained.columns()).ranges();
            let panels =
                material.trained.columns().into_iter().zip(ranges).filter(|(column, _)| column.width() == 1).take(12);
            let map = |feature: usize| {
                let values: Vec<f32> = values.iter().skip(feature).step_by(material.width()).copied().collect();
                let (low, high) =
                    values.iter().fold((f32::MAX, f32::MIN), |(low, high), &value| (low.min(value), high.max(value)));
                let geometry = Geometry { channels: 1, height: GRID, width: GRID };
                let sheet = Sheet { geometry, columns: 1, zoom: 8, low, high };
                (sheet.png(&[&values]), low, high)
            };
            html! {
                div.panels {
                    @for (column, (start, _)) in panels {
                        @let (png, low, high) = map(start);
                        div {
                            (image(&png, &column.name))
                            span { (column.name) ": " (short(f64::from(low))) " to " (short(f64::from(high))) }
                        }
                    }
                }
            }
        }
    };
    Ok(Some(Content::new(body, note)))
}

/// Images of one direction for each unit, gray where it is 0.
fn directions(material: &Material, geometry: Geometry, directions: &[Vec<f32>]) -> Markup {
    let drawn: Vec<Vec<f32>> = directions
        .iter()
        .map(|direction| {
            // Each on its own scale: their sizes are in the figure of the units.
            let most = direction.iter().fold(f32::MIN_POSITIVE, |most, value| most.max(value.abs()));
            direction.iter().map(|value| value / most).collect()
        })
        .collect();
    // As many columns as leave no gap at the end.
    let columns = (6..=12).rev().find(|columns| drawn.len().is_multiple_of(*columns)).unwrap_or(8);
    let sheet = Sheet { low: -1.0, high: 1.0, ..material.sheet(geometry, columns) };
    image(&sheet.png(&drawn.iter().map(Vec::as_slice).collect::<Vec<_>>()), "an image for each unit")
}

pub fn decoder(material: &Material) -> Result<Option<Content>> {
    let Some(geometry) = material.trained.schema.geometry else { return Ok(None) };
    let units = material.units();
    let (order, figures) = spread(material);
    let shown = &order[..UNITS.min(units)];
    let at = |unit: usize, step: f32| (0..units).map(move |other| if other == unit { step } else { 0.0 });
    let codes: Vec<f32> = shown
        .iter()
        .flat_map(|&unit| [2.0, 0.0].map(|times| (unit, times * figures[unit].1)))
        .flat_map(|(unit, step)| at(unit, step).zip(&figures).map(|(step, figure)| figure.0 + step).collect::<Vec<_>>())
        .collect();
    let decoded = singles(&material.trained.decode(&codes)?);
    let width = material.width();
    let added: Vec<Vec<f32>> = decoded
        .chunks_exact(2 * width)
        .map(|pair| pair[..width].iter().zip(&pair[width..]).map(|(with, without)| with - without).collect())
        .collect();
    let note = format!(
        "The change of the reconstruction of the mean code when a unit rises by two standard deviations: light adds, \
         dark subtracts. {} of {units} units, in the order of their standard deviation.",
        shown.len()
    );
    Ok(Some(Content::new(directions(material, geometry, &added), note)))
}

pub fn encoder(material: &Material) -> Result<Option<Content>> {
    let Some(geometry) = material.trained.schema.geometry.filter(|_| material.width() <= 4096) else { return Ok(None) };
    let units = material.units();
    let jacobian = jacobian_at_mean(material)?;
    let (order, _) = spread(material);
    let shown = &order[..UNITS.min(units)];
    let filters: Vec<Vec<f32>> =
        shown.iter().map(|&unit| jacobian.iter().skip(unit).step_by(units).copied().collect()).collect();
    let note = format!(
        "The derivative of each unit by each pixel at the mean of the test rows: light raises the unit, dark lowers \
         it. {} of {units} units, in the order of their standard deviation.",
        shown.len()
    );
    Ok(Some(Content::new(directions(material, geometry, &filters), note)))
}

pub fn activations(material: &Material) -> Result<Option<Content>> {
    let code = &material.evaluation.code;
    let inactive = material.trained.model.code.activation().inactive() as f32;
    let mut values: Vec<f64> = material.codes.iter().map(|&value| f64::from(value)).collect();
    let mut note = format!("{} of {} units are active per row", short(code.l0), material.units());
    // A bar of zeros would leave nothing to see of the others.
    let active = material.codes.iter().filter(|value| value.abs() > inactive).count();
    if active > 0 && 2 * active < values.len() {
        values.retain(|value| value.abs() > f64::from(inactive));
        note += "; only their values are counted";
    }
    if let Some(saturation) = code.saturation {
        note += &format!("; {} % of all values lie within 0.05 of a bound", short(100.0 * saturation));
    }
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let Some(&largest) = sorted.last() else { return Ok(None) };
    let (usual, most) = (quantile(&sorted, 0.995), largest);
    // Only where few values would take half of the axis.
    let most = if most - sorted[0] > 2.0 * (usual - sorted[0]) { usual } else { most };
    if most < largest {
        note += &format!("; the axis ends at the 99.5th percentile, the largest value is {}", short(largest));
    }
    let chart = plot::histogram(&[(0, values)], ("value of a unit", "share of the rows"), None, most);
    Ok(Some(Content::new(svg(chart, "a histogram of the code's values"), note + ".")))
}

pub fn units(material: &Material) -> Result<Option<Content>> {
    let units = material.units();
    let inactive = material.trained.model.code.activation().inactive();
    let figure = |unit: usize| {
        let sizes = || material.codes.iter().skip(unit).step_by(units).map(|value| f64::from(value.abs()));
        (sizes().sum::<f64>() / (material.codes.len() / units) as f64, sizes().fold(0.0, f64::max) <= inactive)
    };
    let mut figures: Vec<(f64, bool)> = (0..units).map(figure).collect();
    figures.sort_by(|a, b| b.0.total_cmp(&a.0));
    let sizes: Vec<f64> = figures.iter().map(|figure| figure.0).collect();
    let dead = figures.iter().filter(|figure| figure.1).count();
    let chart =
        plot::bars(&sizes, "units, largest first", "mean absolute value", |unit| if figures[unit].1 { 3 } else { 0 });
    let note =
        format!("{dead} of {units} units are dead: active on none of {} test rows.", material.codes.len() / units);
    Ok(Some(Content::new(svg(chart, "the mean absolute value of each unit"), note)))
}

pub fn jacobian(material: &Material) -> Result<Option<Content>> {
    let Some((values, rows)) = spectrum(material)? else { return Ok(None) };
    let chart = plot::bars(&values, "directions, largest first", "singular value", |_| 0);
    let note = format!(
        "How far the code moves per step of the input along each direction, mean over {rows} rows: few large values \
         mean that the code follows few directions and ignores the rest. Mean squared norm |J|^2 over the test rows: \
         {}.",
        short(material.evaluation.code.jacobian_norm2)
    );
    Ok(Some(Content::new(svg(chart, "singular values of the derivative"), note)))
}
