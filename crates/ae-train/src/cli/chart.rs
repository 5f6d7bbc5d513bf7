//! The chart of a sweep: an error against each swept setting, as SVG that needs nothing else.

use std::fmt::Write;

use super::printable::printable;

/// A point: the value on the axis, its name, the mean and the standard deviation of the error.
#[derive(Debug, Clone)]
pub struct Point {
    /// The value as it is written.
    pub value: String,
    /// Mean error.
    pub mean: f64,
    /// Its standard deviation; 0 of one run.
    pub deviation: f64,
}

/// Points that differ in the setting of the axis alone.
#[derive(Debug, Clone)]
pub struct Series {
    /// What the others are set to; empty if nothing else is swept.
    pub name: String,
    /// In the order of the axis.
    pub points: Vec<Point>,
}

/// A panel: one swept setting.
#[derive(Debug, Clone)]
pub struct Panel {
    /// The setting.
    pub setting: String,
    /// Its values, in their order.
    pub values: Vec<String>,
    /// One for each combination of the other settings.
    pub series: Vec<Series>,
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 320.0;
/// Room for labels left and right, above and below a panel's axes.
const ROOM: [f64; 4] = [72.0, 16.0, 28.0, 52.0];
/// Height of a line of the legend.
const LINE: f64 = 18.0;
/// Series that are named; more would be a page of names.
const NAMED: usize = 8;
/// Colors that can be told apart with any kind of color vision (Okabe and Ito 2008).
const COLORS: [&str; NAMED] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a6a00", "#555555"];

/// The panels below one another.
pub fn svg(panels: &[Panel], error: &str) -> String {
    let heights: Vec<f64> = panels.iter().map(|panel| HEIGHT + LINE * named(panel) as f64).collect();
    let height: f64 = heights.iter().sum();
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n"
    );
    let mut top = 0.0;
    for (panel, height) in panels.iter().zip(heights) {
        text += &format!("<g transform=\"translate(0 {top})\">\n{}</g>\n", draw(panel, error));
        top += height;
    }
    text + "</svg>\n"
}

/// Lines of the legend.
fn named(panel: &Panel) -> usize {
    if panel.series.len() < 2 { 0 } else { panel.series.len().min(NAMED) + usize::from(panel.series.len() > NAMED) }
}

/// Where each value stands on the axis, from 0 to 1: numbers by their size, on a scale of their logarithm where they
/// span more than a factor of 10; anything else evenly. Whether the scale is logarithmic.
fn places(values: &[String]) -> (Vec<f64>, bool) {
    let numbers: Option<Vec<f64>> =
        values.iter().map(|value| value.parse().ok().filter(|number: &f64| number.is_finite())).collect();
    let evenly = || (0..values.len()).map(|index| (index as f64 + 0.5) / values.len() as f64).collect();
    let Some(numbers) = numbers else { return (evenly(), false) };
    let (low, high) = ends(numbers.iter().copied());
    if low == high {
        return (evenly(), false);
    }
    let is_log = low > 0.0 && high / low >= 10.0;
    let on_scale = |number: f64| if is_log { number.ln() } else { number };
    let place = |number: f64| 0.04 + 0.92 * (on_scale(number) - on_scale(low)) / (on_scale(high) - on_scale(low));
    (numbers.into_iter().map(place).collect(), is_log)
}

fn ends(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values
        .filter(|value| value.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
}

/// Round numbers between the ends, about `count` of them.
fn ticks(low: f64, high: f64, count: usize) -> Vec<f64> {
    let raw = (high - low) / count as f64;
    let power = 10f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|part| part * power).find(|step| *step >= raw).unwrap_or(raw);
    let first = (low / step).ceil() as i64;
    (first..).map(|tick| tick as f64 * step).take_while(|tick| *tick <= high + step * 1e-9).collect()
}

fn draw(panel: &Panel, error: &str) -> String {
    let [left, right, above, below] = ROOM;
    let (width, height) = (WIDTH - left - right, HEIGHT - above - below);
    let points = || panel.series.iter().flat_map(|series| &series.points);
    let (mut low, mut high) =
        ends(points().flat_map(|point| [point.mean - point.deviation, point.mean + point.deviation]));
    if !low.is_finite() {
        (low, high) = (0.0, 1.0);
    }
    let margin = if high > low { 0.06 * (high - low) } else { 0.1 * high.abs().max(1e-9) };
    (low, high) = (low - margin, high + margin);
    let y = |value: f64| above + height * (1.0 - (value - low) / (high - low));
    let (places, is_log) = places(&panel.values);
    let x = |value: &str| {
        let index = panel.values.iter().position(|known| known == value).unwrap_or(0);
        left + width * places[index]
    };
    let mut text = String::new();
    let mut line = |x1: f64, y1: f64, x2: f64, y2: f64, color: &str| {
        let _ =
            writeln!(text, "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{color}\"/>");
    };
    let ticks = ticks(low, high, 5);
    ticks.iter().for_each(|&tick| line(left, y(tick), left + width, y(tick), "#ddd"));
    line(left, above + height, left + width, above + height, "#222");
    let mut word = |x: f64, y: f64, anchor: &str, said: &str| {
        let said = escaped(said);
        let _ = writeln!(text, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{said}</text>");
    };
    for &tick in &ticks {
        word(left - 6.0, y(tick) + 4.0, "end", &rounded(tick));
    }
    let mut free = f64::NEG_INFINITY;
    let mut in_order: Vec<&String> = panel.values.iter().collect();
    in_order.sort_by(|a, b| x(a).total_cmp(&x(b)));
    for value in in_order {
        // Names that would lie over one another are left out.
        let half = 3.5 * value.chars().count() as f64;
        if x(value) - half > free {
            word(x(value), above + height + 16.0, "middle", value);
            free = x(value) + half + 4.0;
        }
    }
    let scale = if is_log { " (logarithmic scale)" } else { "" };
    word(left + width / 2.0, above + height + 36.0, "middle", &format!("{}{scale}", panel.setting));
    word(left, above - 10.0, "start", error);
    for (index, series) in panel.series.iter().take(NAMED).enumerate().filter(|_| panel.series.len() > 1) {
        word(left + 24.0, HEIGHT + LINE * index as f64 + 4.0, "start", &series.name);
    }
    if panel.series.len() > NAMED {
        let more = format!("and {} more, in gray", panel.series.len() - NAMED);
        word(left + 24.0, HEIGHT + LINE * NAMED as f64 + 4.0, "start", &more);
    }
    for (index, series) in panel.series.iter().enumerate() {
        let color = COLORS.get(index).copied().unwrap_or("#bbbbbb");
        let mut sorted: Vec<&Point> = series.points.iter().filter(|point| point.mean.is_finite()).collect();
        sorted.sort_by(|a, b| x(&a.value).total_cmp(&x(&b.value)));
        let path: Vec<String> =
            sorted.iter().map(|point| format!("{:.1},{:.1}", x(&point.value), y(point.mean))).collect();
        let path = path.join(" ");
        let _ = writeln!(text, "<polyline points=\"{path}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"1.5\"/>");
        for point in sorted {
            let (x, middle) = (x(&point.value), y(point.mean));
            if point.deviation > 0.0 {
                let (from, to) = (y(point.mean - point.deviation), y(point.mean + point.deviation));
                let _ = writeln!(text, "<path d=\"M{x:.1} {from:.1}V{to:.1}\" stroke=\"{color}\"/>");
            }
            let said = format!("{}: {} ± {}", point.value, rounded(point.mean), rounded(point.deviation));
            let said = escaped(&said);
            let _ = writeln!(
                text,
                "<circle cx=\"{x:.1}\" cy=\"{middle:.1}\" r=\"3.5\" fill=\"{color}\"><title>{said}</title></circle>"
            );
        }
        if panel.series.len() > 1 && index < NAMED {
            let row = HEIGHT + LINE * index as f64;
            let _ = writeln!(text, "<circle cx=\"{:.1}\" cy=\"{row:.1}\" r=\"3.5\" fill=\"{color}\"/>", left + 12.0);
        }
    }
    text
}

/// Four digits.
fn rounded(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_string(),
        size if !(1e-4..1e5).contains(&size) => format!("{value:.1e}"),
        size => {
            let digits = (3 - size.log10().floor() as i64).max(0) as usize;
            let text = format!("{value:.digits$}");
            if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_string() } else { text }
        }
    }
}

/// A text as XML has it.
fn escaped(text: &str) -> String {
    printable(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_where_they_are_and_names_evenly() {
        let of = |values: &[&str]| places(&values.iter().map(|value| value.to_string()).collect::<Vec<_>>());
        let close = |found: Vec<f64>, expected: &[f64]| {
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9), "{found:?}");
        };
        let (linear, is_log) = of(&["10", "20", "15"]);
        assert!(!is_log);
        close(linear, &[0.04, 0.96, 0.5]);
        let (logarithmic, is_log) = of(&["0.001", "0.1", "0.01"]);
        assert!(is_log);
        close(logarithmic, &[0.04, 0.96, 0.5]);
        close(of(&["relu", "elu"]).0, &[0.25, 0.75]);
        close(of(&["8", "8"]).0, &[0.25, 0.75]);
        assert_eq!(ticks(0.0, 1.0, 5), [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]);
        assert_eq!([1234.5, 0.05, 12.0, 0.0].map(rounded), ["1234", "0.05", "12", "0"]);
    }

    #[test]
    fn every_point_is_drawn_and_no_text_is_markup() {
        let point = |value: &str, mean| Point { value: value.to_string(), mean, deviation: 0.1 };
        let series =
            |name: &str| Series { name: name.to_string(), points: vec![point("<a>", 1.0), point("b", f64::NAN)] };
        let values = vec!["<a>".to_string(), "b".to_string()];
        let panel = Panel { setting: "x&y".to_string(), values, series: vec![series("one"), series("two")] };
        let text = svg(&[panel], "error");
        assert_eq!(text.matches("<title>").count(), 2);
        assert!(
            !text.contains("<a>") && text.contains("&lt;a&gt;") && text.contains("x&amp;y") && !text.contains("NaN")
        );
    }
}
