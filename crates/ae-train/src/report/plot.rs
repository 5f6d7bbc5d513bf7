//! Charts as SVG, in colours that follow the page: light or dark, on a screen or on paper.

use plotters::{
    coord::Shift,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

/// Size of a chart in its own units; the page scales it.
const SIZE: (u32, u32) = (480, 300);
/// Bars of a histogram.
const BINS: usize = 40;
/// What stands for the page's own colours until the chart is done; the first is text, the second the grid, then come
/// the series.
const INK: RGBColor = RGBColor(1, 1, 1);
const GRID: RGBColor = RGBColor(2, 2, 2);
/// The colours of series: the page defines as many.
pub const COLOURS: usize = 10;

fn series_colour(index: usize) -> RGBColor {
    let shade = 3 + (index % COLOURS) as u8;
    RGBColor(shade, shade, shade)
}

/// A line of a chart.
#[derive(Debug, Clone)]
pub struct Series {
    /// What it is.
    pub name: String,
    /// Its points.
    pub points: Vec<(f64, f64)>,
    /// Number of its colour.
    pub colour: usize,
}

/// Draws on a fresh canvas.
fn draw(size: (u32, u32), paint: impl FnOnce(&DrawingArea<SVGBackend, Shift>) -> Result<(), Failure>) -> String {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        paint(&root).and_then(|()| root.present()).expect("a chart in memory can be drawn");
    }
    // The canvas takes the width that the page gives it.
    let fixed = format!("<svg width=\"{}\" height=\"{}\"", size.0, size.1);
    svg = svg.replacen(&fixed, "<svg class=\"chart\" aria-hidden=\"true\"", 1);
    svg = svg.replace("#010101", "currentColor").replace("#020202", "var(--grid)");
    (0..COLOURS).fold(svg, |svg, index| {
        svg.replace(&format!("#{0:02X}{0:02X}{0:02X}", 3 + index), &format!("var(--series-{index})"))
    })
}

type Failure = DrawingAreaErrorKind<std::io::Error>;

fn text(size: i32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK)
}

/// The least and the largest, with a little room; one apart if they are equal.
fn range(values: impl Iterator<Item = f64>, room: f64) -> std::ops::Range<f64> {
    let (low, high) = values
        .filter(|value| value.is_finite())
        .fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
    match low < high {
        true => low - room * (high - low)..high + room * (high - low),
        false if low == high => low - 0.5..low + 0.5,
        false => 0.0..1.0,
    }
}

/// Three digits or so.
pub fn short(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        "0".to_string()
    } else if !(1e-3..1e5).contains(&size) {
        format!("{value:.1e}")
    } else {
        let digits = (2 - size.log10().floor() as i32).max(0) as usize;
        let text = format!("{value:.digits$}");
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_string() } else { text }
    }
}

/// Axes, ticks and their names, for any kind of coordinates.
macro_rules! axes {
    ($chart:expr, $x:expr, $y:expr) => {
        $chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(GRID)
            .label_style(text(16))
            .axis_desc_style(text(16))
            .x_labels(6)
            .y_labels(6)
            .x_label_formatter(&|value| short(*value))
            .y_label_formatter(&|value| short(*value))
            .x_desc($x)
            .y_desc($y)
            .draw()?
    };
}

fn builder<'a, 'b>(root: &'a DrawingArea<SVGBackend<'b>, Shift>) -> ChartBuilder<'a, 'b, SVGBackend<'b>> {
    let mut builder = ChartBuilder::on(root);
    builder.margin(8).x_label_area_size(44).y_label_area_size(66);
    builder
}

/// Lines over a common axis; the values on a logarithmic scale if all are positive and they span more than a factor of
/// 20.
pub fn lines(series: &[Series], x: &str, y: &str) -> String {
    let values =
        || series.iter().flat_map(|series| series.points.iter().map(|point| point.1)).filter(|value| value.is_finite());
    let (low, high) = values().fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
    let across = range(series.iter().flat_map(|series| series.points.iter().map(|point| point.0)), 0.02);
    let finite =
        |series: &Series| series.points.iter().copied().filter(|point| point.1.is_finite()).collect::<Vec<_>>();
    macro_rules! plot {
        ($root:expr, $values:expr) => {{
            let mut chart = builder($root).build_cartesian_2d(across, $values)?;
            axes!(chart, x, y);
            for series in series {
                let colour = series_colour(series.colour);
                chart.draw_series(LineSeries::new(finite(series), colour.stroke_width(2)))?;
                if series.points.len() <= 12 {
                    chart
                        .draw_series(finite(series).into_iter().map(|point| Circle::new(point, 3, colour.filled())))?;
                }
            }
            Ok(())
        }};
    }
    draw(SIZE, |root| match low > 0.0 && high > 20.0 * low {
        true => plot!(root, (low * 0.8..high * 1.25).log_scale()),
        false => {
            let up = range(values().chain([0.0]), 0.05);
            plot!(root, if low >= 0.0 { 0.0..up.end } else { up })
        }
    })
}

/// Points coloured by their class.
pub fn scatter(points: &[(f64, f64, usize)], x: &str, y: &str) -> String {
    draw((480, 400), |root| {
        let (across, up) =
            (range(points.iter().map(|point| point.0), 0.03), range(points.iter().map(|point| point.1), 0.03));
        let mut chart = builder(root).build_cartesian_2d(across, up)?;
        axes!(chart, x, y);
        chart.draw_series(
            points.iter().map(|&(x, y, class)| Circle::new((x, y), 2, series_colour(class).mix(0.7).filled())),
        )?;
        Ok(())
    })
}

/// Counts of values, the series before one another; `mark` is a value that is pointed out, by a line and a name.
pub fn histogram(series: &[(usize, Vec<f64>)], x: &str, mark: Option<(f64, &str)>) -> String {
    let all = series.iter().flat_map(|(_, values)| values.iter().copied()).chain(mark.map(|mark| mark.0));
    let across = range(all, 0.01);
    let step = (across.end - across.start) / BINS as f64;
    let counts: Vec<Vec<f64>> = series
        .iter()
        .map(|(_, values)| {
            let mut counts = vec![0.0; BINS];
            for value in values.iter().filter(|value| value.is_finite()) {
                counts[(((value - across.start) / step) as usize).min(BINS - 1)] += 1.0 / values.len().max(1) as f64;
            }
            counts
        })
        .collect();
    let highest = counts.iter().flatten().copied().fold(f64::MIN_POSITIVE, f64::max);
    draw(SIZE, |root| {
        let mut chart = builder(root).build_cartesian_2d(across.clone(), 0.0..1.05 * highest)?;
        axes!(chart, x, "share");
        for ((colour, _), counts) in series.iter().zip(&counts) {
            let opacity = if series.len() > 1 { 0.6 } else { 0.9 };
            let bars = counts.iter().enumerate().filter(|(_, count)| **count > 0.0).map(|(bin, &count)| {
                let left = across.start + bin as f64 * step;
                Rectangle::new([(left, 0.0), (left + 0.94 * step, count)], series_colour(*colour).mix(opacity).filled())
            });
            chart.draw_series(bars)?;
        }
        if let Some((value, name)) = mark {
            chart.draw_series(LineSeries::new([(value, 0.0), (value, 1.05 * highest)], INK.stroke_width(1)))?;
            let right = value > 0.5 * (across.start + across.end);
            let style = text(13).pos(Pos::new(if right { HPos::Right } else { HPos::Left }, VPos::Top));
            let shift = if right { -0.01 } else { 0.01 } * (across.end - across.start);
            chart.draw_series([Text::new(name.to_string(), (value + shift, 1.03 * highest), style)])?;
        }
        Ok(())
    })
}

/// Values in their order, as bars; `colour` says each one's.
pub fn bars(values: &[f64], x: &str, y: &str, colour: impl Fn(usize) -> usize) -> String {
    draw(SIZE, |root| {
        let highest = values.iter().copied().filter(|value| value.is_finite()).fold(f64::MIN_POSITIVE, f64::max);
        let mut chart = builder(root).build_cartesian_2d(0.5..values.len() as f64 + 0.5, 0.0..1.05 * highest)?;
        axes!(chart, x, y);
        let bars = values.iter().enumerate().map(|(index, &value)| {
            let place = index as f64 + 1.0;
            Rectangle::new([(place - 0.42, 0.0), (place + 0.42, value.max(0.0))], series_colour(colour(index)).filled())
        });
        chart.draw_series(bars)?;
        Ok(())
    })
}

/// A line for each name with a bar for each of its values, one under the other.
pub fn named_bars(names: &[String], values: &[Vec<f64>]) -> String {
    let (line, height) = (if values.len() > 2 { 12 * values.len() } else { 26 }, 24);
    let size = (480, (names.len() * line + height) as u32);
    draw(size, |root| {
        let highest =
            values.iter().flatten().copied().filter(|value| value.is_finite()).fold(f64::MIN_POSITIVE, f64::max);
        let longest = names.iter().map(|name| name.chars().count().min(22)).max().unwrap_or(1);
        let left = (longest * 8 + 12) as i32;
        let right = 480 - 56;
        for (row, name) in names.iter().enumerate() {
            let top = (row * line + 6) as i32;
            let name: String =
                if name.chars().count() > 22 { name.chars().take(21).chain(['…']).collect() } else { name.clone() };
            let style = text(13).pos(Pos::new(HPos::Right, VPos::Center));
            root.draw(&Text::new(name, (left - 8, top + line as i32 / 2 - 3), style))?;
            let thick = ((line - 6) / values.len()) as i32;
            for (index, of) in values.iter().enumerate() {
                let value = of[row];
                let end = left + ((right - left) as f64 * (value / highest).clamp(0.0, 1.0)) as i32;
                let (from, to) = (top + index as i32 * thick, top + (index as i32 + 1) * thick - 1);
                root.draw(&Rectangle::new([(left, from), (end.max(left + 1), to)], series_colour(index).filled()))?;
                if index == 0 {
                    let style = text(12).pos(Pos::new(HPos::Left, VPos::Center));
                    root.draw(&Text::new(short(value), (end + 5, top + line as i32 / 2 - 3), style))?;
                }
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charts_take_their_colours_and_their_width_from_the_page() {
        let series = Series { name: "a".into(), points: vec![(1.0, 2.0), (2.0, f64::NAN), (3.0, 1.0)], colour: 1 };
        for svg in [
            lines(std::slice::from_ref(&series), "x", "y"),
            lines(&[Series { points: vec![(1.0, 1.0), (2.0, 1e4)], ..series }], "x", "y"),
            scatter(&[(0.0, 0.0, 1), (1.0, 2.0, 0)], "x", "y"),
            histogram(&[(1, vec![1.0, 1.0, 2.0])], "x", Some((1.5, "here"))),
            bars(&[1.0, 0.0], "x", "y", |_| 1),
            named_bars(&["<b>".into()], &[vec![1.0], vec![2.0]]),
        ] {
            assert!(
                svg.starts_with("<svg class=\"chart\"") && svg.contains("viewBox") && svg.contains("currentColor"),
                "{svg}"
            );
            assert!(
                svg.contains("var(--series-")
                    && !svg.contains("#010101")
                    && !svg.contains("NaN")
                    && !svg.contains("<b>"),
                "{svg}"
            );
        }
        // Nothing to draw is no reason to fail.
        assert!(lines(&[], "x", "y").contains("<svg") && histogram(&[(0, Vec::new())], "x", None).contains("<svg"));
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            [0.0, 0.01234, 12.34, 1234.0, 123456.0, 1e-5].map(short),
            ["0", "0.0123", "12.3", "1234", "1.2e5", "1.0e-5"]
        );
    }
}
