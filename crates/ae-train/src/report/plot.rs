//! Charts as SVG, in colors that follow the page: light or dark, on a screen or on paper.

use maud::{Markup, html};
use plotters::{
    coord::Shift,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use crate::{auroc::quantile, digits::beside};

/// Size of a chart in its own units; the page scales it.
const SIZE: (u32, u32) = (480, 300);
/// Bars of a histogram.
const BINS: usize = 40;
/// What stands for the page's own colors until the chart is done; the first is text, the second the grid, then come
/// the series.
const INK: RGBColor = RGBColor(1, 1, 1);
const GRID: RGBColor = RGBColor(2, 2, 2);
/// The colors of series: the page defines as many.
pub const COLORS: usize = 10;

fn series_color(index: usize) -> RGBColor {
    let shade = 3 + (index % COLORS) as u8;
    RGBColor(shade, shade, shade)
}

/// A line of a chart.
#[derive(Debug, Clone)]
pub struct Series {
    /// What it is.
    pub name: String,
    /// Its points.
    pub points: Vec<(f64, f64)>,
    /// Number of its color.
    pub color: usize,
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
    (0..COLORS).fold(svg, |svg, index| {
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

/// What the numbers at an axis are beside: its length, or its lower end if it does not reach 0.
fn size(range: std::ops::Range<f64>) -> f64 {
    if range.start > 0.0 { range.start } else { range.end - range.start }
}

/// Axes, ticks and their names, for any kind of coordinates.
macro_rules! axes {
    ($chart:expr, $x:expr, $y:expr) => {{
        let [across, up] = [size($chart.x_range()), size($chart.y_range())];
        $chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(GRID)
            .label_style(text(19))
            .axis_desc_style(text(19))
            .x_labels(6)
            .y_labels(6)
            .x_label_formatter(&|value| beside(*value, across))
            .y_label_formatter(&|value| beside(*value, up))
            .x_desc($x)
            .y_desc($y)
            .draw()?
    }};
}

fn builder<'a, 'b>(root: &'a DrawingArea<SVGBackend<'b>, Shift>) -> ChartBuilder<'a, 'b, SVGBackend<'b>> {
    let mut builder = ChartBuilder::on(root);
    builder.margin(8).x_label_area_size(52).y_label_area_size(76);
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
                let color = series_color(series.color);
                chart.draw_series(LineSeries::new(finite(series), color.stroke_width(2)))?;
                if series.points.len() <= 12 {
                    chart.draw_series(finite(series).into_iter().map(|point| Circle::new(point, 3, color.filled())))?;
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

/// Lines over two shares, from 0 to 1 each: ROC and precision-recall.
pub fn shares(series: &[Series], x: &str, y: &str) -> String {
    draw(SIZE, |root| {
        let mut chart = builder(root).build_cartesian_2d(-0.01..1.01, 0.0..1.02)?;
        axes!(chart, x, y);
        // The first series is drawn last, above the others.
        for series in series.iter().rev() {
            let color = series_color(series.color);
            chart.draw_series(LineSeries::new(series.points.iter().copied(), color.stroke_width(2)))?;
        }
        Ok(())
    })
}

/// Where the points of a scatter are drawn: the plot area in the units of the drawing, and the ends of the axes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Frame {
    /// Left, top, right and bottom of the plot area.
    pub area: [f64; 4],
    /// Least and largest value along x, then along y.
    pub ends: [f64; 4],
}

impl Frame {
    /// A frame for these points. Each axis reaches from the 0.5th to the 99.5th percentile, with a margin: single
    /// distant points would squeeze all others together.
    pub fn around(points: &[(f64, f64)]) -> Self {
        let ends = |of: fn(&(f64, f64)) -> f64| {
            let mut values: Vec<f64> = points.iter().map(of).filter(|value| value.is_finite()).collect();
            values.sort_by(f64::total_cmp);
            match values.is_empty() {
                true => 0.0..1.0,
                false => range([quantile(&values, 0.005), quantile(&values, 0.995)].into_iter(), 0.06),
            }
        };
        let (across, up) = (ends(|point| point.0), ends(|point| point.1));
        Self { area: [58.0, 8.0, 472.0, 352.0], ends: [across.start, across.end, up.start, up.end] }
    }

    /// Where a point is drawn, and whether that is at the border because it lies outside.
    pub fn place(&self, (x, y): (f64, f64)) -> (f64, f64, bool) {
        let [left, top, right, bottom] = self.area;
        let [x0, x1, y0, y1] = self.ends;
        let (across, up) = ((x - x0) / (x1 - x0), (y - y0) / (y1 - y0));
        let is_outside = !(0.0..=1.0).contains(&across) || !(0.0..=1.0).contains(&up);
        let (across, up) = (across.clamp(0.0, 1.0), up.clamp(0.0, 1.0));
        (left + across * (right - left), bottom - up * (bottom - top), is_outside)
    }
}

/// About `count` round numbers between two ends.
fn ticks(low: f64, high: f64, count: f64) -> Vec<f64> {
    let rough = (high - low) / count;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|times| times * power).into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(10.0 * power);
    let first = (low / step).ceil() as i64;
    (first..).map(|index| index as f64 * step).take_while(|tick| *tick <= high).take(20).collect()
}

/// Points in the color of their class. Points outside the frame are squares at its border. A color has one path for
/// all of its points, which keeps the page small.
pub fn scatter(points: &[(f64, f64, usize)], frame: &Frame, x: &str, y: &str) -> Markup {
    let [left, top, right, bottom] = frame.area;
    let mut paths = vec![[String::new(), String::new()]; COLORS];
    for &(x, y, class) in points.iter().filter(|(x, y, _)| x.is_finite() && y.is_finite()) {
        let (x, y, is_outside) = frame.place((x, y));
        paths[class % COLORS][usize::from(is_outside)] += &format!("M{x:.1} {y:.1}h0");
    }
    let [x0, x1, y0, y1] = frame.ends;
    html! {
        svg class="chart" viewBox="0 0 480 400" aria-hidden="true" {
            g class="grid-lines" {
                @for tick in ticks(x0, x1, 6.0) {
                    @let at = format!("{:.1}", frame.place((tick, y0)).0);
                    path d=(format!("M{at} {top}V{bottom}")) {}
                    text x=(at) y=(bottom + 18.0) text-anchor="middle" { (beside(tick, x1 - x0)) }
                }
                @for tick in ticks(y0, y1, 6.0) {
                    @let at = format!("{:.1}", frame.place((x0, tick)).1);
                    path d=(format!("M{left} {at}H{right}")) {}
                    text x=(left - 6.0) y=(at) dy="4" text-anchor="end" { (beside(tick, y1 - y0)) }
                }
                text x=((left + right) / 2.0) y="392" text-anchor="middle" { (x) }
                text transform=(format!("translate(12 {}) rotate(-90)", (top + bottom) / 2.0)) text-anchor="middle" {
                    (y)
                }
            }
            @for (color, [inside, outside]) in paths.iter().enumerate() {
                @if !inside.is_empty() { path class="dots" stroke=(format!("var(--series-{color})")) d=(inside) {} }
                @if !outside.is_empty() {
                    path class="dots outside" stroke=(format!("var(--series-{color})")) d=(outside) {}
                }
            }
        }
    }
}

/// Counts of values, the series in front of one another; `mark` is a value that is pointed out, by a line and a name.
/// The axis ends at `most`: a mark at its end says how many values are beyond.
pub fn histogram(series: &[(usize, Vec<f64>)], (x, y): (&str, &str), mark: Option<(f64, &str)>, most: f64) -> String {
    let inside = |value: &&f64| **value <= most;
    let all = series.iter().flat_map(|(_, values)| values.iter().filter(inside).copied());
    let across = range(all.chain(mark.map(|mark| mark.0)), 0.01);
    let step = (across.end - across.start) / BINS as f64;
    let counts: Vec<Vec<f64>> = series
        .iter()
        .map(|(_, values)| {
            let mut counts = vec![0.0; BINS];
            for value in values.iter().filter(|value| value.is_finite()).filter(inside) {
                counts[(((value - across.start) / step) as usize).min(BINS - 1)] += 1.0 / values.len().max(1) as f64;
            }
            counts
        })
        .collect();
    let beyond = |(_, values): &(usize, Vec<f64>)| values.iter().filter(|value| !inside(value)).count();
    let highest = counts.iter().flatten().copied().fold(f64::MIN_POSITIVE, f64::max);
    draw(SIZE, |root| {
        let mut chart = builder(root).build_cartesian_2d(across.clone(), 0.0..1.12 * highest)?;
        axes!(chart, x, y);
        for ((color, _), counts) in series.iter().zip(&counts) {
            let opacity = if series.len() > 1 { 0.6 } else { 0.9 };
            let bars = counts.iter().enumerate().filter(|(_, count)| **count > 0.0).map(|(bin, &count)| {
                let left = across.start + bin as f64 * step;
                Rectangle::new([(left, 0.0), (left + 0.94 * step, count)], series_color(*color).mix(opacity).filled())
            });
            chart.draw_series(bars)?;
        }
        let shift = 0.01 * (across.end - across.start);
        if let Some((value, name)) = mark {
            chart.draw_series(LineSeries::new([(value, 0.0), (value, 1.12 * highest)], INK.stroke_width(1)))?;
            let right = value > 0.5 * (across.start + across.end);
            let style = text(17).pos(Pos::new(if right { HPos::Right } else { HPos::Left }, VPos::Top));
            let shift = if right { -shift } else { shift };
            chart.draw_series([Text::new(name.to_string(), (value + shift, 1.1 * highest), style)])?;
        }
        for (line, (series, count)) in series.iter().map(|of| (of, beyond(of))).filter(|of| of.1 > 0).enumerate() {
            let style = ("sans-serif", 17).into_font().color(&series_color(series.0));
            let style = style.pos(Pos::new(HPos::Right, VPos::Top));
            let at = (across.end - shift, (1.02 - 0.08 * line as f64) * highest);
            chart.draw_series([Text::new(format!("{count} beyond →"), at, style)])?;
        }
        Ok(())
    })
}

/// Values in their order, as bars; `color` says each one's.
pub fn bars(values: &[f64], x: &str, y: &str, color: impl Fn(usize) -> usize) -> String {
    draw(SIZE, |root| {
        let highest = values.iter().copied().filter(|value| value.is_finite()).fold(f64::MIN_POSITIVE, f64::max);
        let mut chart = builder(root).build_cartesian_2d(0.5..values.len() as f64 + 0.5, 0.0..1.05 * highest)?;
        axes!(chart, x, y);
        let bars = values.iter().enumerate().map(|(index, &value)| {
            let place = index as f64 + 1.0;
            Rectangle::new([(place - 0.42, 0.0), (place + 0.42, value.max(0.0))], series_color(color(index)).filled())
        });
        chart.draw_series(bars)?;
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charts_take_their_colors_and_their_width_from_the_page() {
        let series = Series { name: "a".into(), points: vec![(1.0, 2.0), (2.0, f64::NAN), (3.0, 1.0)], color: 1 };
        for svg in [
            lines(std::slice::from_ref(&series), "x", "y"),
            lines(&[Series { points: vec![(1.0, 1.0), (2.0, 1e4)], ..series.clone() }], "x", "y"),
            shares(std::slice::from_ref(&series), "x", "y"),
            histogram(&[(1, vec![1.0, 1.0, 2.0])], ("x", "y"), Some((1.5, "here")), 2.0),
            bars(&[1.0, 0.0], "x", "y", |_| 1),
        ] {
            assert!(
                svg.starts_with("<svg class=\"chart\"") && svg.contains("viewBox") && svg.contains("currentColor"),
                "{svg}"
            );
            assert!(svg.contains("var(--series-") && !svg.contains("#010101") && !svg.contains("NaN"), "{svg}");
        }
        // Nothing to draw is no reason to fail.
        assert!(
            lines(&[], "x", "y").contains("<svg")
                && histogram(&[(0, Vec::new())], ("x", "y"), None, 1.0).contains("<svg")
        );
    }

    #[test]
    fn distant_values_do_not_stretch_an_axis_and_are_counted() {
        let mut values: Vec<f64> = (0..500).map(f64::from).collect();
        values.push(1e9);
        let chart = histogram(&[(1, values.clone())], ("x", "y"), None, 500.0);
        assert!(chart.contains("1 beyond →"), "{chart}");
        let points: Vec<(f64, f64)> = values.iter().map(|&value| (value, -value)).collect();
        let frame = Frame::around(&points);
        assert!(frame.ends[1] < 600.0 && frame.ends[2] > -600.0, "{frame:?}");
        assert_eq!(frame.place(points[500]), (frame.area[2], frame.area[3], true));
        let (x, y, is_outside) = frame.place(points[250]);
        assert!(!is_outside && (x - 265.0).abs() < 1.0 && (y - 180.0).abs() < 1.0, "{x} {y}");
        let drawn = scatter(&[(1e9, 0.0, 0), (3.0, f64::NAN, 1)], &frame, "<b>", "y").into_string();
        assert!(drawn.contains("dots outside") && !drawn.contains("NaN") && !drawn.contains("<b>"), "{drawn}");
        assert_eq!(ticks(-1.0, 1.2, 5.0), [-1.0, -0.5, 0.0, 0.5, 1.0]);
    }
}
