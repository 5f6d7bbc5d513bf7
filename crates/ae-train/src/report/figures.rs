//! The figures of the page, each a function of what is known about a run.

use ae_data::{Dataset, Geometry, picture::Sheet, table::texts};
use ae_model::{Code, Jacobian};
use base64::{Engine, engine::general_purpose::STANDARD};
use burn::{
    data::dataset::Dataset as _,
    tensor::{Device, Tensor, TensorData},
};
use maud::{Markup, PreEscaped, html};

use super::plot::{self, Series, short};
use crate::{
    Error, Result, Run, Which,
    anomaly::{Detection, Detector, Scores},
    baseline::{Matrix, Pca, eigenvalues},
    evaluate::{Accuracies, Evaluation},
    evaluation::{Figures, SPECTRUM_ROWS, has_spectrum, numbers},
    generate::Density,
    history,
    ranking::{Ranking, quantile},
    run_folder::Summary,
    trained::Trained,
};

/// Rows that are shown in figures of single rows.
const SHOWN: usize = 12;
/// Rows that figures of many rows are made of, at most.
const MANY: usize = 2000;
/// Points along each side of the decoded grid.
const GRID: usize = 12;
/// Lines of new images, of each density.
const SAMPLED: usize = 3;
/// Units of the widest code whose density is fitted for the page.
const SAMPLED_UNITS: usize = 64;
/// Gaussians of that density.
const COMPONENTS: usize = 10;
/// Units or columns that are drawn one by one, at most.
const UNITS: usize = 48;

/// What a figure is made of.
pub struct Material {
    /// The model and what belongs to it.
    pub trained: Trained,
    /// The result of the run.
    pub summary: Summary,
    /// Everything measured on the test rows.
    pub evaluation: Evaluation,
    train: Dataset,
    test: Dataset,
    /// Codes of the first test rows, and those rows.
    codes: Vec<f32>,
    some: Dataset,
    detector: Detector,
    scores: Scores,
    detection: Option<Detection>,
    metrics: Vec<(String, Vec<f64>)>,
}

impl Material {
    /// Everything that the figures of `run` need.
    ///
    /// # Errors
    /// A run that has not ended, or whose data is gone.
    pub fn gather(run: &Run, device: &Device) -> Result<Self> {
        let Some(summary) = run.folder.summary()? else {
            let folder = run.folder.path().display();
            return Err(Error::Failed(format!(
                "{folder} has not ended: continue it with `ae train --resume {folder}`"
            )));
        };
        let trained = run.trained(device.clone())?;
        let (pca, detector): (Pca, Detector) = (run.folder.pca()?, run.folder.detector()?);
        let rows = |which| run.rows(&trained, which);
        let (test, train) = (rows(Which::Test)?, rows(Which::Train)?);
        let test = test.sample(ae_data::fit::SAMPLE);
        let evaluation = trained.evaluate(&test, &pca, Some(&train))?;
        let some = test.thin(MANY);
        let codes = trained.codes(&some)?;
        let scores = detector.score(&trained, &some)?;
        let detection = match &trained.schema.normal {
            Some(normal) => detector.detection(&trained, &pca, &some, normal)?,
            None => None,
        };
        let metrics =
            if run.folder.metrics_file().exists() { history::columns(&run.folder.metrics_file())? } else { Vec::new() };
        Ok(Self { trained, summary, evaluation, train, test, codes, some, detector, scores, detection, metrics })
    }

    fn width(&self) -> usize {
        self.trained.schema.d_input
    }

    fn units(&self) -> usize {
        self.trained.config.model.code_dim
    }

    fn sheet(&self, geometry: Geometry, columns: usize) -> Sheet {
        let [low, high] = self.trained.shades();
        Sheet {
            zoom: (64 / geometry.height.max(geometry.width)).clamp(1, 6),
            ..Sheet::new(geometry, columns, low, high)
        }
    }

    /// The first test rows' values in the units of the data.
    fn values(&self, rows: &Dataset) -> Result<Vec<f64>> {
        Ok(self.trained.unscale(&rows.scaled(&self.trained.schema.scaling)?))
    }
}

/// Numbers in single precision, as pictures are drawn from.
fn singles(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&value| value as f32).collect()
}

/// What a figure shows.
pub struct Content {
    /// The figure itself.
    pub body: Markup,
    /// How to read it.
    pub note: String,
    /// Whether it takes the page's whole width.
    pub wide: bool,
}

impl Content {
    fn new(body: Markup, note: impl Into<String>) -> Self {
        Self { body, note: note.into(), wide: false }
    }

    fn wide(self) -> Self {
        Self { wide: true, ..self }
    }
}

/// Name and title of a figure, and what draws it; nothing where it does not apply.
type Figure = (&'static str, &'static str, fn(&Material) -> Result<Option<Content>>);

/// Every figure, in the order of the page.
pub const FIGURES: &[Figure] = &[
    ("measured", "What was measured", measured),
    ("loss", "Loss, epoch by epoch", loss),
    ("reconstructions", "Inputs and what comes back", reconstructions),
    ("best", "Best reconstructed", best),
    ("worst", "Worst reconstructed", worst),
    ("code", "The code in two dimensions", code),
    ("samples", "New images", samples),
    ("plane", "Decoded across the code's plane", plane),
    ("decoder", "What each unit adds", decoder),
    ("encoder", "What each unit answers to", encoder),
    ("activations", "Values of the code", activations),
    ("units", "Units of the code", units),
    ("jacobian", "Spectrum of the code's derivative", jacobian),
    ("columns", "Error by column", columns),
    ("pixels", "Error by pixel", pixels),
    ("noise", "Robustness to noise", noise),
    ("missing", "Robustness to missing values", missing),
    ("copying", "Copying meter", copying),
    ("classes", "What the code knows of the classes", classes),
    ("scores", "Anomaly scores", scores),
    ("settings", "Settings", settings),
];

fn image(png: &[u8], what: &str) -> Markup {
    html! { img src=(format!("data:image/png;base64,{}", STANDARD.encode(png))) alt=(what); }
}

fn svg(chart: String, what: &str) -> Markup {
    html! { div role="img" aria-label=(what) { (PreEscaped(chart)) } }
}

fn legend(names: &[(usize, String)]) -> Markup {
    html! {
        ul.legend { @for (colour, name) in names { li { i style=(format!("background:var(--series-{})", colour % plot::COLOURS)) {} (name) } } }
    }
}

fn measured(material: &Material) -> Result<Option<Content>> {
    let (evaluation, summary) = (&material.evaluation, &material.summary);
    let row = |name: &str, of: &Figures, ours: bool| {
        html! {
            tr class=[ours.then_some("ours")] {
                th { (name) } td.number { (format!("{:.6}", of.mse)) } td.number { (format!("{:.4}", of.sse)) } td.number { (format!("{:.4}", of.fvu)) }
            }
        }
    };
    let (ours, pca) = (&evaluation.errors.model, &evaluation.errors.pca);
    let body = html! {
        div.tiles {
            div { b { (short(100.0 * (1.0 - ours.fvu))) " %" } span { "of the variance comes back" } }
            div { b { (short(100.0 * (1.0 - pca.fvu))) " %" } span { "by PCA with " (evaluation.pca_components) " components" } }
            @if let Some(images) = &evaluation.images {
                div { b { (short(images.psnr_db)) " dB" } span { "PSNR (PCA " (short(images.psnr_db_pca)) ")" } }
                @if let (Some(ssim), Some(of_pca)) = (images.ssim, images.ssim_pca) {
                    div { b { (format!("{ssim:.3}")) } span { "SSIM (PCA " (format!("{of_pca:.3}")) ")" } }
                }
            }
            @if let Some(likelihood) = &evaluation.likelihood {
                div {
                    b { (short(likelihood.log_likelihood)) } span { "nats a row: log p(x)"
                    @if let Some(pca) = likelihood.pca { " (PCA " (short(pca)) ")" } @else { "; lower bound " (short(likelihood.elbo)) } }
                }
            }
            @if let Some(detection) = &material.detection {
                div { b { (format!("{:.3}", detection.model.auroc)) } span { "AUROC (nearest neighbours " (format!("{:.3}", detection.neighbours.auroc)) ")" } }
            }
        }
        div.scroll {
            table {
                thead { tr { th { (evaluation.rows) " test rows" } th.number { "mse" } th.number { "sse" } th.number { "fvu" } } }
                tbody {
                    (row(&format!("{} ({})", summary.variant, summary.code_dim), ours, true))
                    (row(&format!("PCA ({})", evaluation.pca_components), pca, false))
                    (row("predict the mean", &evaluation.errors.mean, false))
                    (row(&format!("{} on the training rows", summary.variant), &summary.train.model, false))
                }
            }
        }
    };
    Ok(Some(
        Content::new(
            body,
            "mse: squared error per value. sse: per example. fvu: fraction of variance unexplained. In units of the scaled data.",
        )
        .wide(),
    ))
}

fn loss(material: &Material) -> Result<Option<Content>> {
    let curve = |name: &str, title: &str, colour: usize| {
        let values = &material.metrics.iter().find(|(column, _)| column == name)?.1;
        let points = values.iter().enumerate().map(|(epoch, &value)| (epoch as f64 + 1.0, value)).collect();
        Some(Series { name: title.to_string(), points, colour })
    };
    let series: Vec<Series> =
        [curve("train_loss", "training", 0), curve("valid_loss", "validation", 1)].into_iter().flatten().collect();
    if series.is_empty() {
        return Ok(None);
    }
    let names: Vec<(usize, String)> = series.iter().map(|series| (series.colour, series.name.clone())).collect();
    let body = html! { (svg(plot::lines(&series, "epoch", "loss"), "the loss of each epoch")) (legend(&names)) };
    let note = format!(
        "Per example, in nats. Epoch {} has the lowest validation loss and was kept.",
        material.summary.best_epoch
    );
    Ok(Some(Content::new(body, note)))
}

/// Rows of pictures with their names.
fn strips(material: &Material, geometry: Geometry, rows: &[(&str, &[f32])]) -> Markup {
    html! {
        div.rows {
            @for (name, values) in rows {
                span { (name) }
                (image(&material.sheet(geometry, SHOWN).png(&values.chunks_exact(material.width()).collect::<Vec<_>>()), name))
            }
        }
    }
}

/// Rows of a table above what came back of them.
fn rows_of_table(material: &Material, inputs: &[f64], outputs: &[f64]) -> Result<Markup> {
    let columns = material.trained.columns();
    let tables = [material.trained.table_of(inputs)?, material.trained.table_of(outputs)?];
    let frames = tables.map(|table| {
        table.columns().iter().map(|column| texts(column, "the rows".as_ref()).unwrap_or_default()).collect::<Vec<_>>()
    });
    let shown = columns.len().min(16);
    let cell = |frame: &[Vec<Option<String>>], column: usize, row: usize| match frame[column][row].as_deref() {
        None | Some("NaN") => "–".to_string(),
        Some(text) => text.parse::<f64>().map_or_else(|_| text.to_string(), short),
    };
    Ok(html! {
        div.scroll {
            table {
                thead { tr { th {} @for column in &columns[..shown] { th.number { (column.name) } } } }
                tbody {
                    @for row in 0..frames[0].first().map_or(0, Vec::len).min(6) {
                        @for (frame, name) in frames.iter().zip(["input", "output"]) {
                            tr { th { (name) } @for column in 0..shown { td.number { (cell(frame, column, row)) } } }
                        }
                    }
                }
            }
        }
        @if columns.len() > shown { p.note { "and " (columns.len() - shown) " more columns" } }
    })
}

/// Some rows and what comes back of them.
fn pairs(material: &Material, rows: &Dataset, corrupted: bool) -> Result<Markup> {
    let trained = &material.trained;
    let corruption = trained.config.model.corruption.init(&trained.schema.inputs());
    let corruption = Some(&corruption).filter(|corruption| corrupted && !corruption.is_none());
    let inputs = material.values(rows)?;
    let made = trained.reconstructions(rows, corruption).next().expect("there is a row")?;
    let Some(geometry) = trained.schema.geometry else { return rows_of_table(material, &inputs, &made.values) };
    let clean = trained.reconstructions(rows, None).next().expect("there is a row")?;
    let [inputs, clean, read, values] =
        [&inputs, &clean.values, &made.read, &made.values].map(|values| singles(values));
    let mut lines: Vec<(&str, &[f32])> = vec![("input", &inputs), ("reconstruction", &clean)];
    if corruption.is_some() {
        lines.extend([("corrupted as in training", read.as_slice()), ("reconstruction of that", values.as_slice())]);
    }
    Ok(strips(material, geometry, &lines))
}

fn reconstructions(material: &Material) -> Result<Option<Content>> {
    let first = material.test.select(material.test.indices().iter().copied().take(SHOWN).collect());
    Ok(Some(Content::new(pairs(material, &first, true)?, "The first test rows.").wide()))
}

/// The rows of the sample in the order of their errors, the smallest first.
fn by_error(material: &Material) -> Result<Vec<(usize, f64)>> {
    let width = material.width();
    let inputs = material.some.scaled(&material.trained.schema.scaling)?;
    let (mut errors, mut start) = (Vec::new(), 0);
    for made in material.trained.reconstructions(&material.some, None) {
        let made = made?;
        for values in made.values.chunks_exact(width) {
            let mut row = Vec::with_capacity(width);
            material.trained.schema.scaling.apply(values, &mut row);
            let input = &inputs[start * width..(start + 1) * width];
            let error =
                input.iter().zip(&row).filter(|(x, _)| !x.is_nan()).map(|(x, r)| f64::from(x - r).powi(2)).sum::<f64>();
            errors.push((material.some.indices()[start], error));
            start += 1;
        }
    }
    errors.sort_by(|a, b| a.1.total_cmp(&b.1));
    Ok(errors)
}

fn extreme(material: &Material, worst: bool) -> Result<Option<Content>> {
    let errors = by_error(material)?;
    let count = SHOWN.min(errors.len());
    let chosen: Vec<(usize, f64)> =
        if worst { errors.iter().rev().take(count).copied().collect() } else { errors[..count].to_vec() };
    let rows = material.some.select(chosen.iter().map(|(row, _)| *row).collect());
    let (first, last) = (chosen[0].1, chosen[count - 1].1);
    let note = format!("Squared errors from {} to {}, of {} test rows.", short(first), short(last), errors.len());
    Ok(Some(Content::new(pairs(material, &rows, false)?, note).wide()))
}

fn best(material: &Material) -> Result<Option<Content>> {
    extreme(material, false)
}

fn worst(material: &Material) -> Result<Option<Content>> {
    extreme(material, true)
}

/// Images that the decoder makes of new codes.
fn samples(material: &Material) -> Result<Option<Content>> {
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
        "What the decoder makes of codes from a mixture of {} Gaussians on the codes of the training rows",
        mixture.components
    );
    let mut drawn = vec![("from a mixture", draw(&Density::Mixture(mixture))?)];
    let has_prior = trained.has_prior();
    if has_prior {
        drawn.push(("from the prior", draw(&Density::Prior)?));
    }
    let lines: Vec<(&str, &[f32])> = drawn.iter().map(|(name, values)| (*name, values.as_slice())).collect();
    let note = note + if has_prior { ", and from the prior." } else { "." };
    Ok(Some(Content::new(strips(material, geometry, &lines), note).wide()))
}

/// The two axes that the code is shown along, and each row's place.
struct Plane {
    points: Vec<(f64, f64)>,
    /// PCA of the code; none if it has two units or fewer.
    pca: Option<Pca>,
}

impl Plane {
    fn of(material: &Material) -> Result<Self> {
        let units = material.units();
        let codes = Matrix { values: &material.codes, width: units };
        if units <= 2 {
            let point = |code: &[f32]| (f64::from(code[0]), code.get(1).map_or(0.0, |&value| f64::from(value)));
            return Ok(Self { points: material.codes.chunks_exact(units).map(point).collect(), pca: None });
        }
        let pca = Pca::fit(codes, 2)?;
        // Rows that hardly differ have fewer than two components.
        let (places, axes) = (pca.encode(codes), pca.components());
        let place = |row: usize, axis: usize| if axis < axes { f64::from(places[row * axes + axis]) } else { 0.0 };
        let points = (0..material.codes.len() / units).map(|row| (place(row, 0), place(row, 1))).collect();
        Ok(Self { points, pca: Some(pca) })
    }

    /// The code at a place.
    fn code(&self, x: f64, y: f64, units: usize) -> Vec<f32> {
        match &self.pca {
            None => [x as f32, y as f32][..units].to_vec(),
            Some(pca) => {
                let mean = pca.mean();
                let (first, second) = (pca.component(0), pca.component(1));
                (0..units).map(|unit| (mean[unit] + x * first[unit] + y * second[unit]) as f32).collect()
            }
        }
    }

    fn axes(&self) -> [&'static str; 2] {
        if self.pca.is_some() {
            ["first principal component of the code", "second"]
        } else {
            ["first unit", "second unit"]
        }
    }
}

fn code(material: &Material) -> Result<Option<Content>> {
    let plane = Plane::of(material)?;
    let rows = material.some.rows();
    let classes = rows.classes();
    let class = |position: usize| rows.label(material.some.indices()[position]).unwrap_or(0) as usize;
    let points: Vec<(f64, f64, usize)> =
        plane.points.iter().enumerate().map(|(index, &(x, y))| (x, y, class(index))).collect();
    let [x, y] = plane.axes();
    let names: Vec<(usize, String)> = classes.iter().take(plot::COLOURS).cloned().enumerate().collect();
    let body = html! { (svg(plot::scatter(&points, x, y), "the code of each row as a point")) @if !names.is_empty() { (legend(&names)) } };
    let mut note = format!("{} test rows", points.len());
    if let Some(pca) = &plane.pca {
        note += &format!("; the two axes hold {} % of the code's variance", short(100.0 * pca.explained()));
    }
    note += &format!(". Effective rank of the code: {}.", short(material.evaluation.effective_rank));
    if classes.len() > plot::COLOURS {
        note += " Colours repeat: there are more classes than colours.";
    }
    Ok(Some(Content::new(body, note)))
}

fn plane(material: &Material) -> Result<Option<Content>> {
    let units = material.units();
    let plane = Plane::of(material)?;
    let bounds = |of: fn(&(f64, f64)) -> f64| {
        let mut values: Vec<f64> = plane.points.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        (quantile(&values, 0.02), quantile(&values, 0.98))
    };
    let (across, up) = (bounds(|point| point.0), bounds(|point| point.1));
    let place = |(low, high): (f64, f64), index: usize| low + (high - low) * index as f64 / (GRID - 1) as f64;
    // The first line of the picture is the top of the plane.
    let codes: Vec<f32> = (0..GRID)
        .flat_map(|line| (0..GRID).map(move |column| (line, column)))
        .flat_map(|(line, column)| plane.code(place(across, column), place(up, GRID - 1 - line), units))
        .collect();
    let values = singles(&material.trained.decode(&codes)?);
    let note = "What the decoder makes of a grid of codes, from the 2nd to the 98th percentile of the rows' codes along each axis of the figure \
                of the code in two dimensions.";
    let body = match material.trained.schema.geometry {
        Some(geometry) => {
            let mut sheet = material.sheet(geometry, GRID);
            sheet.zoom = (40 / geometry.height.max(geometry.width)).clamp(1, 4);
            image(&sheet.png(&values.chunks_exact(material.width()).collect::<Vec<_>>()), "a grid of decoded codes")
        }
        None => {
            let ranges = ae_data::Encoding::new(material.trained.columns()).ranges();
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
                        div { (image(&png, &column.name)) span { (column.name) ": " (short(f64::from(low))) " to " (short(f64::from(high))) } }
                    }
                }
            }
        }
    };
    Ok(Some(Content::new(body, note)))
}

/// Pictures of one direction for each unit, grey where it is 0.
fn directions(material: &Material, geometry: Geometry, directions: &[Vec<f32>]) -> Markup {
    let drawn: Vec<Vec<f32>> = directions
        .iter()
        .map(|direction| {
            // Each on its own scale: their sizes are in the figure of the units.
            let most = direction.iter().fold(f32::MIN_POSITIVE, |most, value| most.max(value.abs()));
            direction.iter().map(|value| value / most).collect()
        })
        .collect();
    let sheet = Sheet { low: -1.0, high: 1.0, ..material.sheet(geometry, 8) };
    image(&sheet.png(&drawn.iter().map(Vec::as_slice).collect::<Vec<_>>()), "a picture for each unit")
}

/// The units with the largest spread, most spread first, and mean and deviation of every unit.
fn spread(material: &Material) -> (Vec<usize>, Vec<(f32, f32)>) {
    let units = material.units();
    let rows = (material.codes.len() / units) as f64;
    let figure = |unit: usize| {
        let values = || material.codes.iter().skip(unit).step_by(units).map(|&value| f64::from(value));
        let mean = values().sum::<f64>() / rows;
        (mean as f32, (values().map(|value| (value - mean).powi(2)).sum::<f64>() / rows).sqrt() as f32)
    };
    let figures: Vec<(f32, f32)> = (0..units).map(figure).collect();
    let mut order: Vec<usize> = (0..units).collect();
    order.sort_by(|&a, &b| figures[b].1.total_cmp(&figures[a].1));
    (order, figures)
}

fn decoder(material: &Material) -> Result<Option<Content>> {
    let Some(geometry) = material.trained.schema.geometry else { return Ok(None) };
    let units = material.units();
    let (order, figures) = spread(material);
    let shown = &order[..UNITS.min(units)];
    let at = |unit: usize, step: f32| {
        (0..units).map(move |other| (other, step)).map(move |(other, step)| if other == unit { step } else { 0.0 })
    };
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
        "Decoder filters: how the reconstruction of the mean code changes when a unit rises by two of its deviations. {} of {units} units, the ones \
         that vary most first; light adds, dark takes away.",
        shown.len()
    );
    Ok(Some(Content::new(directions(material, geometry, &added), note)))
}

/// The mean test row, scaled.
fn mean_row(material: &Material) -> Result<Tensor<2>> {
    let values = material.some.scaled(&material.trained.schema.scaling)?;
    let mean: Vec<f32> =
        Matrix { values: &values, width: material.width() }.mean().into_iter().map(|value| value as f32).collect();
    Ok(Tensor::from_data(TensorData::new(mean, [1, material.width()]), &material.trained.device))
}

fn encoder(material: &Material) -> Result<Option<Content>> {
    let Some(geometry) = material.trained.schema.geometry.filter(|_| material.width() <= 4096) else { return Ok(None) };
    let units = material.units();
    let jacobian = numbers(Jacobian::matrix(&material.trained.model.parts(), mean_row(material)?, None))?; // [1, d_input, d_code]
    let (order, _) = spread(material);
    let shown = &order[..UNITS.min(units)];
    let filters: Vec<Vec<f32>> =
        shown.iter().map(|&unit| jacobian.iter().skip(unit).step_by(units).copied().collect()).collect();
    let note = format!(
        "Encoder filters: the derivative of each unit by each pixel, at the mean of the rows. {} of {units} units, in the same order; light raises \
         the unit, dark lowers it.",
        shown.len()
    );
    Ok(Some(Content::new(directions(material, geometry, &filters), note)))
}

fn activations(material: &Material) -> Result<Option<Content>> {
    let values: Vec<f64> = material.codes.iter().map(|&value| f64::from(value)).collect();
    let code = &material.evaluation.code;
    let mut note = format!("{} of {} units are active per row", short(code.l0), material.units());
    if let Some(saturation) = code.saturation {
        note += &format!("; {} % of the values lie within 0.05 of a bound", short(100.0 * saturation));
    }
    Ok(Some(Content::new(
        svg(plot::histogram(&[(0, values)], "value of a unit", None), "a histogram of the code's values"),
        note + ".",
    )))
}

fn units(material: &Material) -> Result<Option<Content>> {
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
    let chart = plot::bars(&sizes, "units, the largest first", "mean size", |unit| if figures[unit].1 { 3 } else { 0 });
    Ok(Some(Content::new(
        svg(chart, "the mean size of each unit"),
        format!("{dead} of {units} units answer to none of these rows."),
    )))
}

fn jacobian(material: &Material) -> Result<Option<Content>> {
    let (width, units) = (material.width(), material.units());
    if !has_spectrum(width, units) {
        return Ok(None);
    }
    let rows = material.some.select(material.some.indices().iter().copied().take(SPECTRUM_ROWS).collect());
    let batch = rows.batch(0..rows.len(), &material.trained.batcher, &material.trained.device)?;
    let values = numbers(Jacobian::matrix(&material.trained.model.parts(), batch.x, batch.observed))?;
    let mut sums = vec![0.0; width.min(units)];
    for row in values.chunks_exact(width * units) {
        let matrix = faer::Mat::from_fn(width, units, |input, unit| f64::from(row[input * units + unit]));
        // The eigenvalues of the smaller product are the squares of the singular values.
        let gram = if width < units { &matrix * matrix.transpose() } else { matrix.transpose() * &matrix };
        sums.iter_mut().zip(eigenvalues(&gram)?).for_each(|(sum, value)| *sum += value.sqrt());
    }
    let mean: Vec<f64> = sums.into_iter().map(|sum| sum / rows.len() as f64).collect();
    let chart = plot::bars(&mean, "directions, the steepest first", "singular value", |_| 0);
    let note = format!(
        "How far the code moves per step of the input along each direction, mean over {} rows: few large values mean that the code follows few \
         directions and ignores the rest. Mean squared norm |J|^2 over the test rows: {}.",
        rows.len(),
        short(material.evaluation.code.jacobian_norm2)
    );
    Ok(Some(Content::new(svg(chart, "singular values of the derivative"), note)))
}

fn columns(material: &Material) -> Result<Option<Content>> {
    if material.trained.schema.geometry.is_some() {
        return Ok(None);
    }
    let mut columns: Vec<_> = material.evaluation.columns.iter().collect();
    columns.sort_by(|a, b| b.mse.total_cmp(&a.mse));
    columns.truncate(UNITS);
    let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
    let values =
        vec![columns.iter().map(|column| column.mse).collect(), columns.iter().map(|column| column.pca).collect()];
    let names_of =
        [(0, material.summary.variant.clone()), (1, format!("PCA ({})", material.evaluation.pca_components))];
    let body = html! { (svg(plot::named_bars(&names, &values), "the error of each column")) (legend(&names_of)) };
    let more = material.evaluation.columns.len() - columns.len();
    let more = if more > 0 { format!(" {more} columns with smaller errors are left out.") } else { String::new() };
    Ok(Some(Content::new(
        body,
        format!("Mean squared error in units of the scaled data; the mean has about 1 where it is standard.{more}"),
    )))
}

fn pixels(material: &Material) -> Result<Option<Content>> {
    let Some(geometry) = material.trained.schema.geometry else { return Ok(None) };
    let errors = |of: fn(&crate::evaluate::ColumnError) -> f64| -> Vec<f32> {
        let values: Vec<f64> = material.evaluation.columns.iter().map(of).collect();
        // The mean over the channels, as a grey image.
        let pixels = geometry.height * geometry.width;
        (0..pixels)
            .map(|pixel| (values.iter().skip(pixel).step_by(pixels).sum::<f64>() / geometry.channels as f64) as f32)
            .collect()
    };
    let (ours, pca) = (errors(|column| column.mse), errors(|column| column.pca));
    let high = ours.iter().chain(&pca).copied().fold(f32::MIN_POSITIVE, f32::max);
    let geometry = Geometry { channels: 1, ..geometry };
    let sheet =
        Sheet { low: 0.0, high, zoom: (160 / geometry.height.max(geometry.width)).max(1), geometry, columns: 1 };
    let body = html! {
        div.panels {
            @for (name, values) in [(material.summary.variant.clone(), &ours), (format!("PCA ({})", material.evaluation.pca_components), &pca)] {
                div { (image(&sheet.png(&[values]), &name)) span { (name) } }
            }
        }
    };
    Ok(Some(Content::new(
        body,
        format!("Mean squared error of each pixel: black is 0, white is {}.", short(f64::from(high))),
    )))
}

/// A curve of the model beside PCA's.
fn curve(material: &Material, points: &[crate::evaluate::Point], x: &str, note: &str) -> Content {
    let series = |name: String, colour: usize, of: fn(&crate::evaluate::Point) -> f64| Series {
        name,
        points: points.iter().map(|point| (point.level, of(point))).collect(),
        colour,
    };
    let series = [
        series(material.summary.variant.clone(), 0, |point| point.mse),
        series(format!("PCA ({})", material.evaluation.pca_components), 1, |point| point.pca),
    ];
    let names: Vec<(usize, String)> = series.iter().map(|series| (series.colour, series.name.clone())).collect();
    Content::new(html! { (svg(plot::lines(&series, x, "mse"), x)) (legend(&names)) }, note)
}

fn noise(material: &Material) -> Result<Option<Content>> {
    let note = "Error to the clean row of what comes back of a noisy one.";
    Ok(Some(curve(material, &material.evaluation.noise, "standard deviation of the noise", note)))
}

fn missing(material: &Material) -> Result<Option<Content>> {
    let note = "Error at values that were hidden, once they are filled in.";
    Ok(Some(curve(material, &material.evaluation.missing, "share of the values hidden", note)))
}

fn copying(material: &Material) -> Result<Option<Content>> {
    let body = html! {
        div.scroll {
            table {
                thead { tr { th { "what" } th.number { "mse" } th.number { "fvu" } th.number { "fvu of PCA" } } }
                tbody {
                    @for thing in &material.evaluation.copying {
                        tr {
                            th { (thing.what) } td.number { (short(thing.mse)) } td.number { (short(thing.fvu)) } td.number { (short(thing.fvu_pca)) }
                        }
                    }
                }
            }
        }
    };
    let note = "An autoencoder should copy the data and nothing else: a low fvu in the first line, high ones below. A network that copies \
                everything has learned nothing about the data.";
    Ok(Some(Content::new(body, note)))
}

fn classes(material: &Material) -> Result<Option<Content>> {
    let Some(classes) = &material.evaluation.classes else { return Ok(None) };
    let row = |name: &str, of: &Accuracies| {
        html! { tr { th { (name) } td.number { (format!("{:.3}", of.code)) } td.number { (format!("{:.3}", of.input)) } td.number { (format!("{:.3}", of.pca)) } } }
    };
    let body = html! {
        div.scroll {
            table {
                thead { tr { th {} th.number { "code" } th.number { "input" } th.number { "PCA" } } }
                tbody { (row("linear probe", &classes.linear)) (row("5 nearest neighbours", &classes.neighbours)) }
            }
        }
    };
    Ok(Some(Content::new(
        body,
        "Share of the test rows whose class is told right, by classifiers that learned from the training rows.",
    )))
}

fn scores(material: &Material) -> Result<Option<Content>> {
    let all: Vec<f64> = material.scores.rows.iter().copied().filter(|score| !score.is_nan()).collect();
    if all.is_empty() {
        return Ok(None);
    }
    let threshold = material.detector.threshold();
    // A few far ones would squeeze all others into one bar.
    let mut sorted = all.clone();
    sorted.sort_by(f64::total_cmp);
    let most = quantile(&sorted, 0.995).max(threshold.unwrap_or(0.0) * 1.2);
    let capped = |scores: Vec<f64>| scores.into_iter().map(|score| score.min(most)).collect::<Vec<_>>();
    let rows = material.some.rows();
    let normal = material
        .trained
        .schema
        .normal
        .as_ref()
        .and_then(|normal| rows.classes().iter().position(|class| class == normal));
    let (series, names) = match normal {
        Some(normal) => {
            let part = |wanted: bool| {
                let of = |(position, _): &(usize, &f64)| {
                    rows.label(material.some.indices()[*position])
                        .is_some_and(|label| (label as usize == normal) == wanted)
                };
                capped(
                    material
                        .scores
                        .rows
                        .iter()
                        .enumerate()
                        .filter(|(_, score)| !score.is_nan())
                        .filter(of)
                        .map(|(_, score)| *score)
                        .collect(),
                )
            };
            (vec![(0, part(true)), (1, part(false))], vec![(0, "normal".to_string()), (1, "anomalies".to_string())])
        }
        _ => (vec![(0, capped(all.clone()))], Vec::new()),
    };
    let mark = threshold.map(|threshold| (threshold, "threshold"));
    let table = material.detection.map(|detection| {
        let row = |name: &str, of: &Ranking| {
            html! { tr { th { (name) } td.number { (format!("{:.3}", of.auroc)) } td.number { (format!("{:.3}", of.average_precision)) } td.number { (format!("{:.3}", of.f1)) } } }
        };
        html! {
            div.scroll {
                table {
                    thead { tr { th {} th.number { "AUROC" } th.number { "average precision" } th.number { "F1" } } }
                    tbody {
                        (row(&material.summary.variant, &detection.model))
                        (row("5th nearest neighbour", &detection.neighbours))
                        (row("PCA (90% of the variance)", &detection.pca))
                        (row("distance to the mean", &detection.mean))
                    }
                }
            }
        }
    });
    let body = html! {
        (svg(plot::histogram(&series, "score", mark), "a histogram of the scores"))
        @if !names.is_empty() { (legend(&names)) }
        @if let Some(table) = table { (table) }
    };
    let note = format!(
        "About 1 for a typical training row. The threshold allows for {} % of false alarms among rows like the validation rows. The last bar holds \
         everything beyond.",
        short(100.0 * material.detector.false_alarms)
    );
    Ok(Some(Content::new(body, note)))
}

fn settings(material: &Material) -> Result<Option<Content>> {
    // Paths are this machine's, and nobody else's.
    let mut config = material.trained.config.clone();
    if let Some(name) = std::path::Path::new(&config.data.source).file_name() {
        config.data.source = name.to_string_lossy().into_owned();
    }
    let body = html! { details { summary { "Every field of the run" } pre { (config.to_toml()) } } };
    Ok(Some(Content::new(body, "").wide()))
}
