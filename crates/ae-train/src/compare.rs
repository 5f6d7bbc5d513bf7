//! Runs side by side: mean and deviation over seeds, with PCA of every width that occurs among them.
//!
//! A line is runs whose settings differ in nothing but the seeds; of several lines of one variant and width, each is
//! named by the settings that tell it from the others. A table is lines on the same rows, columns and units: figures of
//! two tables are never compared.

use std::collections::BTreeMap;

use ae_data::{Options, Scaling};
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::{
    Config, Error, Result, Run, Which, baseline, evaluation::Atoms, known_features::matched, run_folder::Schema,
};

/// The name of the figure of how alike the atoms of runs with different seeds are.
const STABILITY: &str = "stability";
/// Pairs of runs whose atoms are compared, at most.
const PAIRS: usize = 10;

/// A figure of several runs that differ in their seed alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Its name.
    pub name: String,
    /// Mean over the runs.
    pub mean: f64,
    /// Standard deviation over the runs (`n - 1`); 0 of one run.
    pub deviation: f64,
    /// Whether less is better; none if neither is.
    pub less_is_better: Option<bool>,
    /// Whether no other line of the same table has a better mean.
    pub best: bool,
}

/// A line: runs that differ in their seeds alone, or PCA.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The variant and the width of its code, and what else tells it from other lines.
    pub name: String,
    /// The data, and what else tells its rows and units from other tables'. Lines are compared with those of the same
    /// data alone.
    pub data: String,
    /// Runs.
    pub runs: usize,
    /// Their folders; of PCA none.
    #[serde(default)]
    pub folders: Vec<String>,
    /// Its figures.
    pub figures: Vec<Figure>,
}

/// A figure of one run: its name, its value, and whether less is better.
type Measure = (&'static str, f64, Option<bool>);

/// Settings by their dotted names.
type Settings = BTreeMap<String, String>;

/// A run, and what is compared of it and of the PCA beside it.
#[derive(Debug, Clone, Default)]
struct Measured {
    folder: String,
    /// The variant and the width of its code.
    name: String,
    /// Short name of the data.
    data: String,
    /// Seeds of the run and of its split.
    seeds: [u64; 2],
    settings: Setup,
    model: Vec<Measure>,
    /// The name of the baseline, and its figures.
    pca: (String, Vec<Measure>),
    /// The atoms of a dictionary.
    atoms: Option<Atoms>,
}

/// The settings of a run, but for its seeds.
#[derive(Debug, Clone, Default)]
struct Setup {
    /// What decides rows, features and units: figures of runs that differ in it cannot be compared.
    table: Settings,
    /// Where the data is and how it is read: that it is the same is told by its fingerprint.
    origin: Settings,
    /// All others.
    line: Settings,
}

impl Setup {
    fn of(mut config: Config, schema: &Schema) -> Self {
        // What was found out is the same as what was said.
        config.data.scaling = schema.scaling.method;
        config.data.normal.clone_from(&schema.normal);
        let mut setup =
            Self { table: [("fingerprint".to_string(), schema.fingerprint.clone())].into(), ..Self::default() };
        for (key, value) in config.by_path() {
            match key.as_str() {
                "seed" | "data.split_seed" | "variant" | "model.code_dim" => {}
                "data.validation" => drop(setup.line.insert(key, value)),
                "data.source" => drop(setup.origin.insert(key, value)),
                _ if key.starts_with("data.read.") => drop(setup.origin.insert(key, value)),
                _ if key.starts_with("data.") => drop(setup.table.insert(key, value)),
                _ => drop(setup.line.insert(key, value)),
            }
        }
        setup
    }
}

/// Measures a run on its test rows. `fitted` are the scalings of the runs that were not trained elsewhere.
fn measure(run: &Run, device: &Device, fitted: &[Scaling]) -> Result<Measured> {
    let folder = run.folder.path().display().to_string();
    let Some(summary) = run.folder.summary()? else {
        return Err(Error::Unfinished { folder: run.folder.path().to_owned() });
    };
    let trained = run.trained(device.clone())?;
    let pca = run.folder.pca()?;
    let test = trained.rows(None, &Options::default(), Which::Test)?;
    let train = trained.rows(None, &Options::default(), Which::Train)?;
    let evaluation = trained.evaluate(&test, &pca, Some(&train))?;
    let middle = evaluation.noise.len() / 2 + 1;
    let (mut ours, mut of_pca) = (Vec::new(), Vec::new());
    let mut both = |name: &'static str, model: f64, pca: f64, less_is_better: bool| {
        ours.push((name, model, Some(less_is_better)));
        of_pca.push((name, pca, Some(less_is_better)));
    };
    both("mse", evaluation.errors.model.mse, evaluation.errors.pca.mse, true);
    both("fvu", evaluation.errors.model.fvu, evaluation.errors.pca.fvu, true);
    // A dictionary has neither curve.
    for (name, point) in [("noisy mse", evaluation.noise.get(middle)), ("missing mse", evaluation.missing.get(2))] {
        point.iter().for_each(|point| both(name, point.mse, point.pca, true));
    }
    if let Some(classes) = &evaluation.classes {
        both("probe", classes.linear.code, classes.linear.pca, false);
        both("5-nn", classes.neighbours.code, classes.neighbours.pca, false);
    }
    if let Some(normal) = &trained.schema.normal {
        let detector = run.folder.detector()?;
        if let Some(detection) = detector.detection(&trained, &pca, &test, normal)? {
            both("auroc", detection.model.auroc, detection.pca.auroc, false);
        }
    }
    if evaluation.dictionary.is_some() {
        ours.push(("L0", evaluation.code.l0, None));
        ours.push(("dead", evaluation.code.dead_units as f64, Some(true)));
    }
    ours.push(("|J|^2", evaluation.code.jacobian_norm2, None));
    ours.push(("seconds", summary.train_seconds, None));
    let (config, schema) = (&run.config, &trained.schema);
    let mut settings = Setup::of(config.clone(), schema);
    if summary.epochs == 0 {
        // Weights from elsewhere are no other seed of anything, and may have come with units of their own.
        settings.line.retain(|key, _| !key.starts_with("training."));
        settings.line.insert("weights".to_string(), folder.clone());
        if !fitted.contains(&schema.scaling) {
            settings.table.insert("data.scaling".to_string(), format!("that of {folder}"));
        }
    }
    Ok(Measured {
        name: format!("{} ({})", config.variant, config.model.code_dim),
        data: schema.name.clone(),
        seeds: [config.seed, config.data.split_seed.unwrap_or(config.seed)],
        settings,
        model: ours,
        pca: (baseline::name(evaluation.pca_components, evaluation.linear_map.is_some()), of_pca),
        atoms: if config.model.network.is_dictionary() { trained.atoms()? } else { None },
        folder,
    })
}

/// The runs side by side, in their order, behind PCA of each width that occurs. `seen` is told of each run once it is
/// measured.
///
/// # Errors
/// A run that has not ended, whose files are damaged, or whose data is gone.
pub fn compare(runs: &[Run], device: &Device, mut seen: impl FnMut(&Run)) -> Result<Vec<Line>> {
    let mut fitted = Vec::new();
    for run in runs {
        if run.folder.summary()?.is_some_and(|summary| summary.epochs > 0) {
            fitted.push(run.folder.schema()?.scaling);
        }
    }
    let mut measured = Vec::new();
    for run in runs {
        measured.push(measure(run, device, &fitted)?);
        seen(run);
    }
    Ok(lines(&measured))
}

/// Runs that differ in their seeds alone; or the PCA beside some runs, one for each of their seeds.
struct Group<'a> {
    name: String,
    first: &'a Measured,
    seeds: Vec<[u64; 2]>,
    runs: Vec<&'a [Measure]>,
    /// Of dictionaries: the atoms of each run.
    atoms: Vec<&'a Atoms>,
    /// Folders of runs; of PCA none.
    folders: Vec<String>,
}

impl<'a> Group<'a> {
    fn new(name: String, run: &'a Measured, figures: &'a [Measure]) -> Self {
        Self { name, first: run, seeds: vec![run.seeds], runs: vec![figures], atoms: Vec::new(), folders: Vec::new() }
    }

    fn add(&mut self, run: &Measured, figures: &'a [Measure]) {
        self.seeds.push(run.seeds);
        self.runs.push(figures);
    }

    fn is_like(&self, run: &Measured) -> bool {
        self.name == run.name && self.first.settings.line == run.settings.line
    }

    fn line(&self, name: String, data: &str) -> Line {
        let figures = self.runs[0].iter().map(|&(name, _, less_is_better)| {
            let values = self.runs.iter().flat_map(|run| run.iter().find(|(other, ..)| *other == name));
            Figure::of(name, values.map(|(_, value, _)| *value).collect(), less_is_better)
        });
        let stability = (self.atoms.len() > 1).then(|| Figure::of(STABILITY, self.stability(), Some(false)));
        let figures = figures.chain(stability);
        let folders = self.folders.clone();
        Line { figures: figures.collect(), name, data: data.to_string(), runs: self.runs.len(), folders }
    }
}

impl Group<'_> {
    /// How alike the atoms of each two runs are, at most [`PAIRS`] of them; `NaN` where they cannot be compared.
    fn stability(&self) -> Vec<f64> {
        let pairs = (0..self.atoms.len()).flat_map(|b| (0..b).map(move |a| (a, b)));
        let alike = |(a, b): (usize, usize)| {
            let found = matched(self.atoms[a].matrix(), self.atoms[b].matrix());
            found.map_or(f64::NAN, |found| found.mean())
        };
        pairs.take(PAIRS).map(alike).collect()
    }
}

impl Figure {
    fn of(name: &str, values: Vec<f64>, less_is_better: Option<bool>) -> Self {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = if values.len() > 1 { (squares / (values.len() - 1) as f64).sqrt() } else { 0.0 };
        Self { name: name.to_string(), mean, deviation, less_is_better, best: false }
    }
}

/// The settings of one that are not those of all, to be put behind its name.
fn differing(own: &Settings, all: &[&Settings]) -> String {
    let differs = |key: &String, value: &String| all.iter().any(|other| other.get(key) != Some(value));
    own.iter().filter(|(key, value)| differs(key, value)).map(|(key, value)| format!(", {key}={value}")).collect()
}

/// The lines of all tables.
fn lines(runs: &[Measured]) -> Vec<Line> {
    let mut tables: Vec<Vec<&Measured>> = Vec::new();
    for run in runs {
        match tables.iter_mut().find(|table| table[0].settings.table == run.settings.table) {
            Some(table) => table.push(run),
            None => tables.push(vec![run]),
        }
    }
    let described = |run: &Measured| {
        let all = run.settings.table.iter().chain(&run.settings.origin).filter(|(key, _)| *key != "fingerprint");
        all.map(|(key, value)| (key.clone(), value.clone())).collect::<Settings>()
    };
    let descriptions: Vec<Settings> = tables.iter().map(|table| described(table[0])).collect();
    let mut lines = Vec::new();
    for (table, own) in tables.iter().zip(&descriptions) {
        let data = &table[0].data;
        let alike: Vec<&Settings> = tables
            .iter()
            .zip(&descriptions)
            .filter(|(other, _)| other[0].data == *data)
            .map(|(_, settings)| settings)
            .collect();
        lines.extend(lines_of_table(table, &format!("{data}{}", differing(own, &alike))));
    }
    lines
}

fn lines_of_table(runs: &[&Measured], data: &str) -> Vec<Line> {
    let (mut baselines, mut groups): (Vec<Group>, Vec<Group>) = (Vec::new(), Vec::new());
    for run in runs {
        // A seed that was there already is no other draw, but something else that no setting tells: a line of its own.
        match groups.iter_mut().find(|group| group.is_like(run) && !group.seeds.contains(&run.seeds)) {
            Some(group) => {
                group.add(run, &run.model);
                group.atoms.extend(&run.atoms);
                group.folders.push(run.folder.clone());
            }
            None => {
                let folders = vec![run.folder.clone()];
                let atoms = run.atoms.iter().collect();
                groups.push(Group { folders, atoms, ..Group::new(run.name.clone(), run, &run.model) });
            }
        }
        let name = run.pca.0.clone();
        match baselines.iter_mut().find(|group| group.name == name) {
            Some(group) if group.seeds.contains(&run.seeds) => {}
            Some(group) => group.add(run, &run.pca.1),
            None => baselines.push(Group::new(name, run, &run.pca.1)),
        }
    }
    let name = |group: &Group| {
        let alike: Vec<&Group> = groups.iter().filter(|other| other.name == group.name).collect();
        let settings: Vec<&Settings> = alike.iter().map(|other| &other.first.settings.line).collect();
        let copies = alike.iter().filter(|other| other.is_like(group.first)).count();
        let more = match group.runs.len() {
            1 => String::new(),
            runs => format!(" and {} more", runs - 1),
        };
        let folder = if copies > 1 { format!(", {}{more}", group.first.folder) } else { String::new() };
        format!("{}{}{folder}", group.name, differing(&group.first.settings.line, &settings))
    };
    let mut lines: Vec<Line> = baselines.iter().map(|group| group.line(group.name.clone(), data)).collect();
    lines.extend(groups.iter().map(|group| group.line(name(group), data)));
    mark_best(&mut lines);
    lines
}

/// Of the lines of a table.
fn mark_best(lines: &mut [Line]) {
    let means: Vec<(String, f64)> =
        lines.iter().flat_map(|line| line.figures.iter().map(|figure| (figure.name.clone(), figure.mean))).collect();
    for figure in lines.iter_mut().flat_map(|line| &mut line.figures) {
        let mut others = means.iter().filter(|(name, _)| *name == figure.name).map(|(_, mean)| *mean);
        figure.best = figure
            .less_is_better
            .is_some_and(|less| others.all(|other| if less { figure.mean <= other } else { figure.mean >= other }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(seed: u64, line: &[(&str, &str)], table: &[(&str, &str)], mse: f64) -> Measured {
        let settings = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect::<Settings>()
        };
        Measured {
            folder: format!("runs/{mse}"),
            name: "a (2)".to_string(),
            data: "d".to_string(),
            seeds: [seed, seed],
            settings: Setup { table: settings(table), line: settings(line), origin: Settings::new() },
            model: vec![("mse", mse, Some(true)), ("probe", 1.0 - mse, Some(false))],
            pca: (baseline::name(2, false), vec![("mse", 1.5, Some(true))]),
            atoms: None,
        }
    }

    #[test]
    fn dictionaries_of_several_seeds_are_as_stable_as_their_atoms_are_alike() {
        let with = |seed: u64, atoms: &[f32]| Measured {
            atoms: Some(Atoms::new(atoms.to_vec(), 2)),
            ..run(seed, &[], &[], 1.0)
        };
        // The same atoms in another order, and of other lengths; then one that is turned by 60 degrees.
        let runs = [with(0, &[1.0, 0.0, 0.0, 2.0]), with(1, &[0.0, 1.0, -3.0, 0.0])];
        let of = |runs: &[Measured]| {
            let line = lines(runs).into_iter().next_back().expect("a line of the runs");
            line.figures.into_iter().find(|figure| figure.name == STABILITY)
        };
        assert!((of(&runs).unwrap().mean - 1.0).abs() < 1e-6);
        let turned = [with(0, &[1.0, 0.0, 0.0, 1.0]), with(1, &[0.5, 0.75f32.sqrt(), 0.0, 1.0])];
        assert!((of(&turned).unwrap().mean - 0.75).abs() < 1e-6);
        assert!(of(&runs[..1]).is_none(), "one run");
    }

    /// Name, data, runs, mean of the first figure, whether it is the best.
    fn shown(runs: &[Measured]) -> Vec<(String, String, usize, f64, bool)> {
        let of =
            |line: &Line| (line.name.clone(), line.data.clone(), line.runs, line.figures[0].mean, line.figures[0].best);
        lines(runs).iter().map(of).collect()
    }

    fn expected(lines: &[(&str, &str, usize, f64, bool)]) -> Vec<(String, String, usize, f64, bool)> {
        lines
            .iter()
            .map(|&(name, data, runs, mean, best)| (name.to_string(), data.to_string(), runs, mean, best))
            .collect()
    }

    #[test]
    fn means_deviations_and_the_best_of_each_column() {
        let runs = [run(0, &[], &[], 1.0), run(1, &[], &[], 3.0)];
        assert_eq!(shown(&runs), expected(&[("PCA (2)", "d", 2, 1.5, true), ("a (2)", "d", 2, 2.0, false)]));
        let figures = &lines(&runs)[1].figures;
        assert!((figures[0].deviation - 2f64.sqrt()).abs() < 1e-12);
        assert!((figures[1].mean, figures[1].best) == (-1.0, true));
    }

    #[test]
    fn a_line_is_runs_that_differ_in_their_seeds_alone() {
        let (short, long) = ([("epochs", "5"), ("x", "1")], [("epochs", "9"), ("x", "1"), ("l1", "0.1")]);
        let runs = [run(0, &short, &[], 1.0), run(0, &long, &[], 5.0), run(1, &short, &[], 2.0)];
        let lines = [
            ("PCA (2)", "d", 2, 1.5, true),
            ("a (2), epochs=5", "d", 2, 1.5, true),
            ("a (2), epochs=9, l1=0.1", "d", 1, 5.0, false),
        ];
        assert_eq!(shown(&runs), expected(&lines));
        // The same settings and the same seed: no second seed.
        let runs = [run(0, &short, &[], 1.0), run(0, &short, &[], 2.0)];
        let lines = [
            ("PCA (2)", "d", 1, 1.5, false),
            ("a (2), runs/1", "d", 1, 1.0, true),
            ("a (2), runs/2", "d", 1, 2.0, false),
        ];
        assert_eq!(shown(&runs), expected(&lines));
        let runs = [run(0, &[], &[], 1.0), run(0, &[], &[], 2.0), run(1, &[], &[], 3.0)];
        let names: Vec<String> = shown(&runs).into_iter().map(|line| line.0).collect();
        assert_eq!(names, ["PCA (2)", "a (2), runs/1 and 1 more", "a (2), runs/2"]);
    }

    #[test]
    fn other_rows_or_units_are_another_table() {
        let runs =
            [run(0, &[], &[("scaling", "standard")], 1.0), run(1, &[], &[("scaling", "min_max"), ("group", "g")], 0.1)];
        let lines = [
            ("PCA (2)", "d, scaling=standard", 1, 1.5, false),
            ("a (2)", "d, scaling=standard", 1, 1.0, true),
            ("PCA (2)", "d, group=g, scaling=min_max", 1, 1.5, false),
            ("a (2)", "d, group=g, scaling=min_max", 1, 0.1, true),
        ];
        assert_eq!(shown(&runs), expected(&lines));
    }
}
