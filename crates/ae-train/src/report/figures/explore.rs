//! The code in two dimensions, which a person explores: rows under the pointer, and what the decoder makes of any code.

use ae_data::{Encoding, Geometry, Kind};
use base64::{Engine, engine::general_purpose::STANDARD};
use burn::data::dataset::Dataset as _;
use maud::{PreEscaped, html};
use serde_json::{Value, json};

use super::{COLUMNS, Content, code::Plane, legend};
use crate::{
    Result,
    digits::short,
    report::{
        decoder::{embed, pack},
        material::Material,
        measure::spread,
        plot::{self, Frame},
    },
    results::{row_labels, row_names},
};

/// Points that are drawn, at most.
const POINTS: usize = 600;
/// Units with a slider, at most.
const SLIDERS: usize = 12;
/// Longest side of the images of single rows, in pixels.
const SIDE: usize = 16;
/// Columns of a decoded row, at most.
const DECODED: usize = 100;
/// Share of the budget that a decoder in single precision may take, and one in half precision.
const SINGLE: f64 = 0.6;
const MOST: f64 = 0.8;
/// Share of what the decoder leaves that the rows may take; their codes may take the rest.
const ROWS: f64 = 0.65;
/// Share of the budget that the decoder may take with everything that belongs to it.
const WHOLE: f64 = 0.9;
/// Bytes of the place of a point.
const PLACE: usize = 14;

pub fn code(material: &Material) -> Result<Option<Content>> {
    let (trained, units) = (&material.trained, material.units());
    let plane = Plane::of(material)?;
    let [x, y] = plane.axes();
    let frame = Frame::around(&plane.points);
    let share = |share: f64, of: usize| (share * of as f64) as usize;
    let alive = alive(material, &plane);
    let budget = material.budget.saturating_sub(text_length(&alive) + PLACE * POINTS);
    // The scaling of many features takes space, too.
    let fits = |decoder: Value| match text_length(&decoder) <= share(WHOLE, budget) {
        true => Ok(decoder),
        false => Err("decoder and scaling are too large for the page".to_string()),
    };
    let decoder = embed(trained, share(SINGLE, budget), share(MOST, budget))?.and_then(fits);
    let left = budget.saturating_sub(decoder.as_ref().map_or(0, text_length));
    // As many rows as fit, spread evenly.
    let mut step = plane.points.len().div_ceil(POINTS).max(1);
    let (positions, rows) = loop {
        let positions: Vec<usize> = (0..plane.points.len()).step_by(step).collect();
        let rows = of_rows(material, &positions)?;
        if text_length(&rows) <= share(ROWS, left) || positions.len() < 10 {
            break (positions, rows);
        }
        step += step.div_ceil(4);
    };
    let codes: Vec<f32> =
        positions.iter().flat_map(|&row| material.codes[row * units..(row + 1) * units].iter().copied()).collect();
    let rest = left.saturating_sub(text_length(&rows));
    let codes = pack(&codes, rest, rest);

    let dataset = material.some.select(positions.iter().map(|&position| material.some.indices()[position]).collect());
    let classes = dataset.rows().classes();
    // The normal class has the color that it has among the scores, the first.
    let normal = material.trained.schema.normal.as_ref();
    let normal = normal.and_then(|normal| classes.iter().position(|class| class == normal));
    let color = |class: usize| match normal {
        Some(normal) if class == normal => 0,
        Some(normal) if class < normal => class + 1,
        _ => class,
    };
    let class = |row: usize| color(dataset.rows().label(dataset.indices()[row]).unwrap_or(0) as usize);
    let points: Vec<(f64, f64, usize)> =
        positions.iter().enumerate().map(|(row, &at)| (plane.points[at].0, plane.points[at].1, class(row))).collect();
    let outside = points.iter().filter(|(x, y, _)| frame.place((*x, *y)).2).count();
    let place = |of: fn((f64, f64, bool)) -> f64| -> Vec<f64> {
        points.iter().map(|&(x, y, _)| (10.0 * of(frame.place((x, y)))).round() / 10.0).collect()
    };
    let is_alive = decoder.is_ok();
    let mut data = if is_alive { alive } else { json!({}) };
    data["frame"] = json!({ "area": frame.area, "ends": frame.ends.map(brief) });
    data["points"] = json!({ "x": place(|at| at.0), "y": place(|at| at.1), "rows": rows });
    let mut note = format!("{} test rows; point at one to see the row.", points.len());
    match decoder {
        Ok(decoder) => {
            let half = decoder["weights"]["bits"] == 16;
            data["decoder"] = decoder;
            data["codes"] = codes.unwrap_or(Value::Null);
            note += " Drag the circle to decode any code of the plane, or move single units. A click on a point takes ";
            note += if data["codes"].is_null() { "its place in the plane." } else { "the code of its row." };
            if half {
                note += " The decoder's weights are in half precision here.";
            }
        }
        Err(reason) => note += &format!(" The decoder is not part of this page: {reason}. `ae decode` decodes codes."),
    }
    if let Some(pca) = &plane.pca {
        note += &format!(" The two axes hold {} % of the code's variance", short(100.0 * pca.explained()));
        note += &match plane.fitted {
            Some(rows) => format!(", of {rows} codes that they were fitted to."),
            None => ".".to_string(),
        };
    }
    note += &format!(" Effective rank of the code: {}.", short(material.evaluation.effective_rank));
    if outside > 0 {
        note += &format!(
            " The axes reach from the 0.5th to the 99.5th percentile; points outside ({outside}) are squares at the \
             border."
        );
    }
    if classes.len() > plot::COLORS {
        note += " Colors repeat: there are more classes than colors.";
    }
    let mut names: Vec<(usize, String)> =
        classes.iter().enumerate().map(|(class, name)| (color(class), name.clone())).collect();
    names.sort_unstable();
    names.truncate(plot::COLORS);
    let body = html! {
        div.explore {
            div.plane {
                div role="img" aria-label="the code of each row as a point" { (plot::scatter(&points, &frame, x, y)) }
                @if !names.is_empty() { (legend(&names)) }
            }
            @if is_alive {
                div.decoded hidden { h3 { "Decoded" } div.output {} }
                div.sliders hidden { h3 { "Units" } }
            }
        }
        script type="application/json" { (PreEscaped(inert(&data))) }
    };
    Ok(Some(Content { wide: is_alive, ..Content::new(body, note) }))
}

/// What the page needs beside the decoder to decode and to show codes.
fn alive(material: &Material, plane: &Plane) -> Value {
    let numbers = |values: Vec<f64>| values.into_iter().map(brief).collect::<Vec<f64>>();
    let trained = &material.trained;
    let image = trained.schema.geometry.map(|Geometry { channels, height, width }| {
        let [low, high] = trained.shades();
        json!([channels, height, width, low, high])
    });
    json!({
        "plane": plane.basis(material.units()).map(numbers),
        "sliders": sliders(material),
        "start": numbers(spread(material).1.iter().map(|unit| unit.0.into()).collect()),
        "columns": columns(material),
        "image": image,
    })
}

/// JSON that no name in it ends early or turns into markup.
pub(crate) fn inert(data: &Value) -> String {
    data.to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

fn text_length(value: &Value) -> usize {
    inert(value).len()
}

/// Seven digits of a number.
fn brief(value: f64) -> f64 {
    format!("{value:.6e}").parse().unwrap_or(0.0)
}

/// Names, labels and values of the rows at these positions.
fn of_rows(material: &Material, positions: &[usize]) -> Result<Value> {
    let rows = material.some.select(positions.iter().map(|&position| material.some.indices()[position]).collect());
    let values = material.values(&rows)?;
    let mut data = json!({ "names": row_names(&rows)? });
    let labels = row_labels(&rows);
    if labels.iter().any(Option::is_some) {
        data["labels"] = json!(labels);
    }
    if material.ranked.is_some() {
        let score = |&position: &usize| brief(material.scores.rows[position]);
        data["scores"] = json!(positions.iter().map(score).collect::<Vec<f64>>());
    }
    match material.trained.schema.geometry {
        Some(geometry) => {
            let [low, high] = material.trained.shades();
            let (small, shape) = shrunk(&values, geometry);
            let shade =
                |value: &f64| ((value - f64::from(low)) / f64::from(high - low) * 255.0).clamp(0.0, 255.0) as u8;
            data["shape"] = json!(shape);
            data["pixels"] = json!(STANDARD.encode(small.iter().map(shade).collect::<Vec<u8>>()));
        }
        None => {
            let cells = material.trained.cells_read(&rows)?;
            let shown = cells.len().min(COLUMNS);
            let names = material.trained.columns().into_iter().take(shown).map(|column| column.name);
            data["columns"] = json!(names.collect::<Vec<_>>());
            let row = |row: usize| cells[..shown].iter().map(|column| column[row].clone()).collect::<Vec<_>>();
            data["cells"] = json!((0..rows.len()).map(row).collect::<Vec<_>>());
        }
    }
    Ok(data)
}

/// Images with sides of 16 pixels at most, each the mean over a block of pixels, in gray or three colors; and their
/// channels, height and width.
fn shrunk(values: &[f64], Geometry { channels, height, width }: Geometry) -> (Vec<f64>, [usize; 3]) {
    let [down, across] = [height, width].map(|side| side.div_ceil(SIDE));
    let shape = [if channels >= 3 { 3 } else { 1 }, height / down, width / across];
    let mut small = Vec::new();
    for image in values.chunks_exact(channels * height * width) {
        for channel in image.chunks_exact(height * width).take(shape[0]) {
            for (y, x) in (0..shape[1]).flat_map(|y| (0..shape[2]).map(move |x| (y, x))) {
                let block = (0..down * across).map(|at| (y * down + at / across) * width + x * across + at % across);
                small.push(block.map(|at| channel[at]).sum::<f64>() / (down * across) as f64);
            }
        }
    }
    (small, shape)
}

/// The units that vary most, with the ends of their values among the rows and a little more.
fn sliders(material: &Material) -> Value {
    let units = material.units();
    let slider = |&unit: &usize| {
        let values = material.codes.iter().skip(unit).step_by(units).filter(|value| value.is_finite());
        let (low, high) = values.fold((f32::MAX, f32::MIN), |(low, high), &value| (low.min(value), high.max(value)));
        let room = 0.1 * (high - low);
        json!([unit, brief((low - room).into()), brief((high + room).into())])
    };
    spread(material).0.iter().take(SLIDERS).map(slider).collect()
}

/// The columns of a decoded row: name, kind, half-open range of the features, levels, and what stands before and behind
/// a number. None of images.
fn columns(material: &Material) -> Value {
    if material.trained.schema.geometry.is_some() {
        return Value::Null;
    }
    let encoding = Encoding::new(material.trained.columns());
    let column = |(column, (start, end)): (&ae_data::Column, (usize, usize))| {
        let kind = match column.kind {
            Kind::Number => "number",
            Kind::Boolean => "boolean",
            Kind::Category => "category",
        };
        json!([column.name, kind, start, end, column.levels, column.style.prefix, column.style.suffix])
    };
    encoding.columns().iter().zip(encoding.ranges()).take(DECODED).map(column).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_text_and_images_shrink_to_means() {
        let data = json!({ "name": "</script><b onclick='x'>&amp;" });
        let text = inert(&data);
        assert!(!text.contains('<') && !text.contains('>') && !text.contains('&'), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), data);
        let geometry = Geometry { channels: 1, height: 32, width: 32 };
        let values: Vec<f64> = (0..1024).map(|at| f64::from(at % 32)).collect();
        let (small, shape) = shrunk(&values, geometry);
        assert_eq!((shape, small.len(), small[0], small[15]), ([1, 16, 16], 256, 0.5, 30.5));
    }
}
