//! README.md and docs/guide: every command in a block marked `sh` is run, in order, page by page.
//!
//! Blocks marked `console`, and those behind a comment `<!-- not run: reason -->`, are not run: they install, build,
//! download or take long. Rust blocks are doctests of the top-level package.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use image::{GrayImage, Luma};

use crate::text;

/// Pages whose commands run at the same time.
const THREADS: usize = 2;

/// Pages that train briefly on few rows, which leaves units unused: a dictionary, and a network of three penalties.
const UNUSED_UNITS: [&str; 2] = ["docs/guide/dictionaries.md", "docs/guide/own-network-and-parts.md"];

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A fenced block: the line of its first line, what it is marked as, its text, and whether a comment says not to run
/// it.
struct Block {
    line: usize,
    mark: String,
    text: String,
    is_skipped: bool,
}

fn blocks(page: &str) -> Vec<Block> {
    let (mut found, mut open, mut comment) = (Vec::new(), None::<Block>, false);
    for (index, line) in page.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(mark)) => {
                open = Some(Block {
                    line: index + 2,
                    mark: mark.to_string(),
                    text: String::new(),
                    is_skipped: std::mem::take(&mut comment),
                });
            }
            (Some(_), Some(_)) => found.extend(open.take()),
            (Some(block), None) => block.text += &format!("{line}\n"),
            (None, None) if line.starts_with("<!-- not run: ") => comment = true,
            (None, None) if line.trim().is_empty() => {}
            (None, None) => comment = false,
        }
    }
    assert!(open.is_none(), "a block is not closed");
    found
}

/// The commands of a block, each with its line; a line that ends in a backslash goes on.
fn commands(block: &Block) -> Vec<(usize, String)> {
    let (mut all, mut begun) = (Vec::new(), None::<(usize, String)>);
    for (index, line) in block.text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let (at, mut command) = begun.take().unwrap_or((block.line + index, String::new()));
        match line.strip_suffix('\\') {
            Some(part) => begun = Some((at, command + part)),
            None => {
                command += line;
                all.push((at, command));
            }
        }
    }
    assert!(begun.is_none(), "line {}: the last line goes on", block.line);
    all
}

/// README and the pages of the guide, by path below the repository.
fn pages() -> Vec<(String, String)> {
    let mut names: Vec<String> = fs::read_dir(root().join("docs/guide"))
        .unwrap()
        .map(|entry| format!("docs/guide/{}", entry.unwrap().file_name().to_string_lossy()))
        .filter(|name| name.ends_with(".md"))
        .collect();
    names.push("README.md".to_string());
    names.sort();
    names.into_iter().map(|name| (name.clone(), fs::read_to_string(root().join(name)).unwrap())).collect()
}

/// What the pages take for granted in the folder where their commands run: `examples/`, and a folder of images in two
/// classes.
fn prepare(folder: &Path) {
    let data = folder.join("examples/data");
    fs::create_dir_all(&data).unwrap();
    for (from, to) in [("examples/data", data), ("examples", folder.join("examples"))] {
        for entry in fs::read_dir(root().join(from)).unwrap().map(Result::unwrap) {
            if entry.path().extension().is_some_and(|ending| ending == "csv" || ending == "toml") {
                fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
            }
        }
    }
    for class in ["stripes", "squares"] {
        let images = folder.join("photos").join(class);
        fs::create_dir_all(&images).unwrap();
        for number in 0..30 {
            let image = GrayImage::from_fn(40, 40, |x, y| {
                let is_light = if class == "stripes" { (x + number) % 10 < 5 } else { x.max(y) < 8 + number };
                Luma([if is_light { 220 } else { 30 }])
            });
            image.save(images.join(format!("{number}.png"))).unwrap();
        }
    }
}

/// Runs the commands of a page, and gives how many ran and how many did not; or what went wrong.
fn run(name: &str, page: &str) -> Result<[usize; 2], String> {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let programs = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_ae"), programs.path().join("ae")).unwrap();
    let path = format!("{}:{}", programs.path().display(), std::env::var("PATH").unwrap());
    let (mut ran, mut left) = (0, 0);
    for block in blocks(page) {
        if !["sh", "console"].contains(&block.mark.as_str()) {
            continue;
        }
        for (line, command) in commands(&block) {
            if block.mark == "console" || block.is_skipped {
                left += 1;
                continue;
            }
            let typed = match command.strip_prefix("cargo run -p ae-train") {
                Some("") => "ae".to_string(),
                Some(rest) => format!("ae{}", rest.strip_prefix(" --").ok_or(format!("{name}:{line}: {command}"))?),
                None => command.clone(),
            };
            let output =
                Command::new("sh").args(["-c", &typed]).current_dir(folder.path()).env("PATH", &path).output().unwrap();
            let (out, err) = (text(&output.stdout), text(&output.stderr));
            if !output.status.success() {
                return Err(format!("{name}:{line}: {command}\n{err}"));
            }
            if err.contains("are never active") && !UNUSED_UNITS.contains(&name) {
                return Err(format!("{name}:{line}: {command} leaves units unused\n{err}"));
            }
            if command == "cargo run -p ae-train" {
                as_printed(page, &out).map_err(|what| format!("{name}:{line}: {what}\n{out}"))?;
            }
            ran += 1;
        }
    }
    Ok([ran, left])
}

/// The lines of the result that the page shows are those that the command printed: of the baselines digit by digit, of
/// the model within 3%, because other processors round otherwise.
fn as_printed(page: &str, printed: &str) -> Result<(), String> {
    for (start, share) in [("undercomplete (10) ", 0.03), ("PCA (10) ", 1e-9), ("predict the mean ", 1e-9)] {
        let numbers = |from: &str| -> Option<Vec<f64>> {
            let line = from.lines().find_map(|line| line.strip_prefix(start))?;
            Some(line.split_whitespace().map(|number| number.parse().unwrap()).collect())
        };
        let (shown, found) = (numbers(page).ok_or("no result on the page")?, numbers(printed).ok_or("no result")?);
        let is_close = |(a, b): (&f64, &f64)| (a - b).abs() <= share * b;
        if shown.len() != 3 || found.len() != 3 || !shown.iter().zip(&found).all(is_close) {
            return Err(format!("{start}is {shown:?} on the page, and was {found:?}"));
        }
    }
    Ok(())
}

#[test]
fn every_command_of_the_guide_runs() {
    let pages = pages();
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some((name, page)) = pages.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = run(name, page);
                    results.lock().unwrap().push(result);
                }
            });
        }
    });
    let (mut ran, mut left, mut wrong) = (0, 0, Vec::new());
    for result in results.into_inner().unwrap() {
        match result {
            Ok(counts) => (ran, left) = (ran + counts[0], left + counts[1]),
            Err(what) => wrong.push(what),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{ran} commands ran, {left} did not");
    assert!(ran >= 50, "{ran} commands ran");
    assert!(left <= 15, "{left} commands did not run");
}

#[test]
fn settings_in_the_guide_and_in_examples_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut checked = 0;
    let mut check = |what: &str, settings: &str| {
        fs::write(folder.path().join("run.toml"), settings).unwrap();
        let output = crate::ae(folder.path(), &["config", "--config", "run.toml"]);
        assert!(output.status.success(), "{what}: {}", text(&output.stderr));
        checked += 1;
    };
    for (name, page) in pages() {
        for block in blocks(&page).iter().filter(|block| block.mark == "toml") {
            if !block.text.contains("[dependencies]") {
                check(&format!("{name}:{}", block.line), &block.text);
            }
        }
    }
    for entry in fs::read_dir(root().join("examples")).unwrap().map(Result::unwrap) {
        let name = entry.file_name().to_string_lossy().into_owned();
        // That one names parts of own_parts.rs, which `ae` does not have.
        if name.ends_with(".toml") && name != "own_parts.toml" {
            check(&name, &fs::read_to_string(entry.path()).unwrap());
        }
    }
    assert!(checked >= 2, "{checked} configurations");
}

#[test]
fn links_of_the_guide_lead_to_files_and_its_index_has_every_page() {
    let mut linked = BTreeSet::new();
    for (name, page) in pages() {
        let folder = root().join(&name).parent().unwrap().to_owned();
        for part in page.split("](").skip(1) {
            let target = part.split([')', '#']).next().unwrap();
            if target.is_empty() || target.starts_with("https:") {
                continue;
            }
            let path = folder.join(target);
            assert!(path.exists(), "{name} links to {target}");
            if name == "docs/guide/README.md" {
                linked.insert(path);
            }
        }
    }
    for (name, _) in pages() {
        let is_index = name.ends_with("README.md");
        assert!(is_index || linked.contains(&root().join(&name)), "docs/guide/README.md does not link to {name}");
    }
}
