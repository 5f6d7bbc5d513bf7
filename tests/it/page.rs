//! The page of a run and its model card: what runs in the page, what its decoder computes, what the card says.

use std::{fs, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use burn::tensor::f16;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{ae, ae_ok, text};

/// What lies between two texts, for the first time.
fn between<'a>(page: &'a str, before: &str, after: &str) -> &'a str {
    let start = page.find(before).unwrap_or_else(|| panic!("no {before}")) + before.len();
    &page[start..start + page[start..].find(after).unwrap()]
}

/// Trains with settings of a test's own behind those that name the run.
fn train(here: &Path, own: &[&str], settings: &[&str]) {
    ae_ok(here, &[["train"].as_slice(), own, settings].concat());
}

/// Names that would be markup, or end a script, if they were not kept text.
const HOSTILE: [&str; 3] = ["</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "\"'><b>&amp;"];

/// A table with every kind of column, with hostile names and cells, and blanks.
fn mixed(here: &Path) {
    let mut table = format!("id,{},ripe,\"{}\",weight,count\n", HOSTILE[0], HOSTILE[2].replace('"', "\"\""));
    for row in 0..240 {
        let level = format!("\"{}\"", HOSTILE[row * 7 % 3].replace('"', "\"\""));
        let weight = if row % 11 == 0 { String::new() } else { format!("{:.3}", 3.0 + (row % 17) as f32 * 0.21) };
        table += &format!("r{row},{level},{},{},{weight},{}\n", row % 3 == 0, (row * 13 % 29) as f32 * 0.5, row % 9);
    }
    fs::write(here.join("mixed.csv"), table).unwrap();
}

/// The decoder that a page holds.
struct Decoder {
    data: Value,
    weights: Vec<f64>,
}

impl Decoder {
    fn of(page: &str) -> Self {
        let data: Value =
            serde_json::from_str(between(page, "<script type=\"application/json\">", "</script>")).unwrap();
        let weights = &data["decoder"]["weights"];
        let bytes = STANDARD.decode(weights["data"].as_str().unwrap()).unwrap();
        let weights = match weights["bits"].as_u64() {
            Some(32) => bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap()).into()).collect(),
            Some(16) => bytes.chunks_exact(2).map(|two| f16::from_le_bytes(two.try_into().unwrap()).into()).collect(),
            other => panic!("{other:?} bits"),
        };
        Self { data, weights }
    }

    /// The row of a code, in the units of the data.
    fn decode(&self, code: &[f64]) -> Vec<f64> {
        let decoder = &self.data["decoder"];
        let place = |value: &Value| value.as_u64().unwrap() as usize;
        let mut x = code.to_vec();
        for layer in decoder["layers"].as_array().unwrap() {
            x = match layer[0].as_str().unwrap() {
                "linear" => {
                    let [from, to, at] = [1, 2, 3].map(|index| place(&layer[index]));
                    let weight = |i: usize, j: usize| self.weights[at + i * to + j];
                    let sum = |j: usize| (0..from).map(|i| x[i] * weight(i, j)).sum::<f64>() + weight(from, j);
                    (0..to).map(sum).collect()
                }
                "affine" => {
                    let [n, at] = [1, 2].map(|index| place(&layer[index]));
                    x.iter().enumerate().map(|(i, x)| x * self.weights[at + i] + self.weights[at + n + i]).collect()
                }
                "elu" => x.into_iter().map(|z| if z > 0.0 { z } else { z.exp_m1() }).collect(),
                "relu" => x.into_iter().map(|z| z.max(0.0)).collect(),
                "tanh" => x.into_iter().map(f64::tanh).collect(),
                "sigmoid" => x.into_iter().map(|z| 1.0 / (1.0 + (-z).exp())).collect(),
                other => panic!("{other}"),
            };
        }
        for output in decoder["outputs"].as_array().unwrap() {
            let part = &mut x[place(&output[1])..place(&output[2])];
            match output[0].as_str().unwrap() {
                "values" => {}
                "sigmoid" => part.iter_mut().for_each(|z| *z = 1.0 / (1.0 + (-*z).exp())),
                _ => {
                    let sum: f64 = part.iter().map(|z| z.exp()).sum();
                    part.iter_mut().for_each(|z| *z = z.exp() / sum);
                }
            }
        }
        let of = |name: &str, index: usize| {
            let all = decoder[name].as_array().unwrap();
            all[index % all.len()].as_f64().unwrap()
        };
        x.into_iter().enumerate().map(|(index, x)| x * of("scale", index) + of("offset", index)).collect()
    }
}

fn numbers(line: &str) -> Vec<f64> {
    line.split(',').map(|cell| cell.parse().unwrap()).collect()
}

#[test]
fn only_the_pages_own_script_may_run_and_names_stay_text() {
    let place = tempfile::tempdir().unwrap();
    let here = place.path();
    mixed(here);
    let small = ["--set", "model.network.hidden=[8]", "--set", "model.code_dim=2", "--epochs", "2"];
    train(here, &["--data", "mixed.csv", "--id", "id", "--out", "run"], &small);
    let page = fs::read_to_string(here.join("run/report.html")).unwrap();
    let policy = between(&page, "Content-Security-Policy\" content=\"", "\"");
    let script = between(&page, "<script>", "</script>");
    assert_eq!(script, ae_train::report::SCRIPT);
    let digest = STANDARD.encode(Sha256::digest(script));
    assert!(policy.starts_with("default-src 'none';"), "{policy}");
    assert!(policy.ends_with(&format!("script-src 'sha256-{digest}'")) && !policy.contains("unsafe-eval"), "{policy}");
    // One script and one block of data: none of the names began another one.
    assert_eq!((page.matches("<script").count(), page.matches("</script").count()), (2, 2));
    assert!(!page.contains("<img src=x") && !page.contains("'><b>"));
    let data = between(&page, "<script type=\"application/json\">", "</script>");
    assert!(!data.contains(['<', '>', '&']), "{data}");
    assert!(data.len() + script.len() < ae_train::report::ALIVE);
    let names = Decoder::of(&page).data["columns"].to_string();
    assert!(serde_json::to_string(HOSTILE[0]).is_ok_and(|name| names.contains(&name)), "{names}");
    assert!(page.contains("<figure id=\"imputation\"") && page.contains("<figure id=\"filled\""));
}

#[test]
fn the_decoder_of_the_page_says_what_ae_decode_says() {
    let place = tempfile::tempdir().unwrap();
    let here = place.path();
    mixed(here);
    let batch = "model.network.norm=\"batch\"";
    for (name, settings) in [
        ("images", vec!["--data", "digits", "--epochs", "2"]),
        (
            "sparse",
            vec![
                "--variant",
                "k_sparse",
                "--code-dim",
                "48",
                "--set",
                "model.code.k_start=0",
                "--set",
                "model.network.hidden=[]",
                "--epochs",
                "2",
            ],
        ),
        (
            "table",
            vec![
                "--data",
                "mixed.csv",
                "--id",
                "id",
                "--code-dim",
                "3",
                "--set",
                "model.network.hidden=[8]",
                "--set",
                batch,
                "--epochs",
                "5",
            ],
        ),
    ] {
        train(here, &["--out", name], &settings);
        let decoder = Decoder::of(&fs::read_to_string(here.join(name).join("report.html")).unwrap());
        ae_ok(here, &["encode", name, "--rows", "test", "--out", "codes.csv"]);
        let codes = fs::read_to_string(here.join("codes.csv")).unwrap();
        let head = codes.lines().next().unwrap();
        let units: Vec<usize> =
            head.split(',').enumerate().filter(|(_, name)| name.starts_with('h')).map(|(at, _)| at).collect();
        // Test codes, the first two of them larger than any.
        let mut rows: Vec<Vec<f64>> = codes
            .lines()
            .skip(1)
            .take(6)
            .map(|line| {
                let cells: Vec<&str> = line.split(',').collect();
                units.iter().map(|&at| cells[at].parse().unwrap()).collect()
            })
            .collect();
        rows[..2].iter_mut().flatten().for_each(|unit| *unit *= 2.5);
        let lines = |row: &Vec<f64>| row.iter().map(f64::to_string).collect::<Vec<_>>().join(",");
        let names: Vec<String> = (0..units.len()).map(|unit| format!("h{unit}")).collect();
        let text = [vec![names.join(",")], rows.iter().map(lines).collect()].concat().join("\n");
        fs::write(here.join("codes.csv"), text + "\n").unwrap();
        ae_ok(here, &["decode", name, "codes.csv", "--out", "decoded.csv"]);
        let decoded = fs::read_to_string(here.join("decoded.csv")).unwrap();
        let columns = decoder.data["columns"].as_array();
        let scale = decoder.data["decoder"]["scale"].as_array().unwrap();
        for (row, line) in rows.iter().zip(decoded.lines().skip(1)) {
            let found = decoder.decode(row);
            let Some(columns) = columns else {
                for (found, expected) in found.iter().zip(numbers(line)) {
                    assert!(
                        (found - expected).abs() <= 1e-3 * scale[0].as_f64().unwrap(),
                        "{name}: {found} {expected}"
                    );
                }
                continue;
            };
            // The names of the levels hold no comma, so that a line is cut at each.
            for (column, cell) in columns.iter().zip(line.split(',')) {
                let [start, end] = [2, 3].map(|index| column[index].as_u64().unwrap() as usize);
                let part = &found[start..end];
                let best = (0..part.len()).max_by(|&a, &b| part[a].total_cmp(&part[b])).unwrap();
                match column[1].as_str().unwrap() {
                    "category" => {
                        let level = column[4][best].as_str().unwrap();
                        let inner = cell.strip_prefix('"').and_then(|cell| cell.strip_suffix('"'));
                        let said = inner.map_or(cell.to_string(), |inner| inner.replace("\"\"", "\""));
                        assert_eq!(said, level, "{name}");
                    }
                    "boolean" => assert_eq!(cell, (part[0] >= 0.5).to_string(), "{name}"),
                    _ => {
                        let (expected, scale) = (cell.parse::<f64>().unwrap(), scale[start].as_f64().unwrap());
                        assert!((part[0] - expected).abs() <= 1e-3 * scale, "{name}: {} {expected}", part[0]);
                    }
                }
            }
        }
    }
}

#[test]
fn a_decoder_that_is_too_large_or_not_supported_is_left_out_with_the_reason() {
    let place = tempfile::tempdir().unwrap();
    let here = place.path();
    for (name, settings, reason) in [
        ("wide", vec!["--set", "model.network.hidden=[600,600]"], "parameters, which take"),
        (
            "conv",
            vec!["--set", "model.network.kind=\"conv\"", "--set", "model.network.channels=[4]"],
            "convolutions are not supported",
        ),
    ] {
        train(here, &["--epochs", "1", "--out", name], &settings);
        let page = fs::read_to_string(here.join(name).join("report.html")).unwrap();
        let figure = between(&page, "<figure id=\"code\"", "</figure>");
        assert!(figure.contains("The decoder is not part of this page") && figure.contains(reason), "{name}");
        assert!(!figure.contains("class=\"sliders\"") && figure.contains("<script type=\"application/json\">"));
    }
}

#[test]
fn an_anomaly_run_begins_with_its_scores() {
    let place = tempfile::tempdir().unwrap();
    let here = place.path();
    let mut table = "id,a,b,c,class\n".to_string();
    for row in 0..300 {
        let (x, odd) = ((row * 37 % 101) as f64 / 10.0, row % 10 == 0);
        table += &format!("n{row},{x},{},{},{}\n", 2.0 * x + 30.0 * f64::from(u8::from(odd)), row % 7, u8::from(odd));
    }
    fs::write(here.join("t.csv"), table).unwrap();
    let own = ["--data", "t.csv", "--id", "id", "--label", "class", "--normal-only", "--epochs", "20"];
    train(here, &own, &["--set", "model.code_dim=2", "--out", "run"]);
    let page = fs::read_to_string(here.join("run/report.html")).unwrap();
    let order: Vec<&str> = page.split("<figure id=\"").skip(1).map(|part| part.split('"').next().unwrap()).collect();
    assert_eq!(order[..5], ["scores", "roc", "recall", "anomalous", "measured"]);
    // What the purpose does not need is folded.
    let (begins, folded) = page.split_once("<details class=\"more\">").unwrap();
    let is_in = |part: &str, id: &str| part.contains(&format!("<figure id=\"{id}\""));
    assert!(["scores", "anomalous", "measured", "code"].iter().all(|id| is_in(begins, id)), "{order:?}");
    assert!(["jacobian", "units", "noise", "loss", "settings"].iter().all(|id| is_in(folded, id)), "{order:?}");
    let anomalous = between(&page, "<figure id=\"anomalous\"", "</figure>");
    // The first row is an anomaly, with its identifier, its label, and the column that makes it one.
    let first = between(anomalous, "<tbody>", "</tr>");
    let row: usize = between(first, "<th>n", "</th>").parse().unwrap();
    assert!(
        row.is_multiple_of(10) && first.contains("<td class=\"alarm\">1</td>") && first.contains("<b>b</b>"),
        "{first}"
    );
    // No validation row scores as high: the p-value is a bound, and the note says of what.
    let summary: Value = serde_json::from_str(&ae_ok(here, &["score", "run", "--json"])).unwrap();
    let held_out = summary["held_out_rows"].as_u64().unwrap();
    assert!(first.contains("<td class=\"number\">≤ 0."), "{first}");
    assert!(anomalous.contains(&format!("None of the {held_out} validation rows")), "{anomalous}");
    let measured = between(&page, "<figure id=\"measured\"", "</figure>");
    assert!(measured.contains("normal test rows") && !measured.contains("of the variance explained"), "{measured}");
}

/// The cells of a line of a table in the page, without its markup.
fn cells(line: &str) -> Vec<String> {
    let cells = line.split("</td>").map(|cell| {
        let text = cell.split('<').skip(1).filter_map(|part| part.split_once('>')).map(|(_, text)| text);
        text.collect::<String>().trim().to_string()
    });
    cells.collect()
}

#[test]
fn the_reasons_of_a_row_are_its_values_and_the_reconstruction_that_its_score_is_measured_by() {
    let place = tempfile::tempdir().unwrap();
    let here = place.path();
    // The price follows from the size, the city from the heating, but for the last rows.
    let mut table = "id,price,size,city,heating,garden\n".to_string();
    for row in 0..300 {
        let (size, city) = (1 + row * 7 % 23, row % 3);
        let price = [900, 700, 500][city] * size * 1000 + row * 37 % 101;
        let (city, heating) = (["Bern", "Basel", "Chur"][city], ["gas", "oil", "wood"][city]);
        table += &format!("h{row},\"${price}.00\",{size},{city},{heating},{}\n", if size > 11 { "yes" } else { "no" });
    }
    fs::write(here.join("homes.csv"), &table).unwrap();
    let odd = "id,price,size,city,heating,garden\n\
               a,$90000000.00,4,Bern,gas,no\nb,$3600000.00,4,Bern,peat,no\nc,$3600000.00,4,Bern,wood,no\n";
    fs::write(here.join("odd.csv"), odd).unwrap();
    let own = ["--data", "homes.csv", "--id", "id", "--code-dim", "2", "--epochs", "300"];
    train(here, &own, &["--set", "model.network.hidden=[16]", "--out", "run"]);
    let output = ae(here, &["score", "run", "--data", "odd.csv", "--top", "1"]);
    let (out, said) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{said}");
    let line = |name: &str| {
        let line = said.lines().find(|line| line.starts_with(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("{name}: {said}")).to_string()
    };
    // What the row holds is written as in the file; the most probable level has its probability.
    assert!(line("a").contains("price $90000000 ($"), "{said}");
    assert!(line("b").contains("heating peat ("), "{said}");
    assert!(out.contains("b,") && out.contains("heating"), "{out}");
    // A model without corruption scores the row as it is: the reconstruction is that of `ae reconstruct`, but where a
    // value lies far outside the training rows.
    let made = ae_ok(here, &["reconstruct", "run", "--data", "odd.csv"]);
    let made: Vec<Vec<&str>> = made.lines().map(|line| line.split(',').collect()).collect();
    let column = made[0].iter().position(|name| *name == "heating").unwrap();
    assert!(made[3][column] != "wood" && line("c").contains(&format!("heating wood ({} ", made[3][column])), "{said}");

    // The page says the same as the terminal.
    let page = fs::read_to_string(here.join("run/report.html")).unwrap();
    let said = text(&ae(here, &["score", "run"]).stderr);
    let anomalous = between(&page, "<figure id=\"anomalous\"", "</figure>");
    let body = between(anomalous, "<tbody>", "</tbody>");
    let first = cells(body.split("</tr>").next().unwrap());
    let (name, reasons) = (&first[0], first.iter().rev().find(|cell| cell.contains('(')).unwrap());
    let name: String = name.chars().take_while(|letter| *letter == 'h' || letter.is_ascii_digit()).collect();
    let line = said.lines().find(|line| line.split_whitespace().next().is_some_and(|first| name.starts_with(first)));
    let line = line.unwrap_or_else(|| panic!("{name}: {said}"));
    let told = line.split_whitespace().skip(2).collect::<Vec<_>>().join(" ").replace(", ", "");
    let shown = reasons.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(told.replace(' ', ""), shown.replace(' ', ""), "{line}\n{shown}");
}

#[test]
fn rounding_errors_are_shown_as_such_and_json_keeps_them() {
    let place = tempfile::tempdir().unwrap();
    let here = place.path();
    let mut table = "a,b,c\n".to_string();
    for row in 0..200 {
        let (a, b) = (f64::from(row * 37 % 101) / 7.0, f64::from(row * 13 % 29) / 3.0);
        table += &format!("{a},{b},{}\n", a + b);
    }
    fs::write(here.join("t.csv"), table).unwrap();
    train(here, &["--data", "t.csv", "--code-dim", "2", "--epochs", "5"], &["--out", "run"]);
    // Two components hold three columns of which one is the sum of the others.
    let summary: Value = serde_json::from_str(&ae_ok(here, &["evaluate", "run", "--json"])).unwrap();
    let error = summary["pca"]["mse"].as_f64().unwrap();
    assert!(error > 0.0 && error < 1e-6, "{error}");
    let shown = ae_ok(here, &["evaluate", "run"]);
    let line = shown.lines().find(|line| line.starts_with("PCA (2)")).unwrap();
    assert_eq!(line.matches("< 1e-6").count(), 3, "{line}");
    let page = fs::read_to_string(here.join("run/report.html")).unwrap();
    for id in ["measured", "columns", "copying"] {
        let figure = between(&page, &format!("<figure id=\"{id}\""), "</figure>");
        assert!(figure.contains("&lt; 1e-6"), "{id}: {figure}");
        let small = figure.split(['<', '>', ' ']).filter_map(|word| word.parse::<f64>().ok());
        assert!(
            small.clone().all(|value| value == 0.0 || value.abs() >= 1e-6),
            "{id}: {:?}",
            small.collect::<Vec<_>>()
        );
    }
    assert!(fs::read_to_string(here.join("run/README.md")).unwrap().contains("< 1e-6"));
}

#[test]
fn images_are_drawn_in_their_own_shades_whatever_their_scaling() {
    let place = tempfile::tempdir().unwrap();
    let here = place.path();
    let scaling = ["--set", "data.scaling=centered"];
    train(here, &["--epochs", "1", "--set", "model.network.hidden=[8]", "--out", "run"], &scaling);
    ae_ok(here, &["reconstruct", "run", "--sheet", "sheet.png"]);
    let sheet = image::open(here.join("sheet.png")).unwrap().to_luma8();
    let shades: std::collections::BTreeSet<u8> = sheet.pixels().map(|pixel| pixel.0[0]).collect();
    // The digits have 17 shades.
    assert!(shades.len() > 10, "{shades:?}");
}

#[test]
fn a_run_has_a_card_that_is_kept_once_a_person_has_changed_it() {
    let place = tempfile::tempdir().unwrap();
    let here = place.path();
    ae_ok(here, &["train", "--epochs", "2", "--set", "model.network.hidden=[16]", "--out", "run"]);
    let run = here.join("run");
    let card = fs::read_to_string(run.join("README.md")).unwrap();
    assert!(card.starts_with("---\nlibrary_name: burn\ntags:\n- \"autoencoder\"\n"), "{card}");
    let config: Value = serde_json::from_str(&fs::read_to_string(run.join("config.json")).unwrap()).unwrap();
    assert_eq!((&config["variant"], &config["d_input"]), (&Value::from("undercomplete"), &Value::from(64)));
    for said in
        ["PCA (10), test rows", config["data"]["fingerprint"].as_str().unwrap(), "## Limits", "from model import"]
    {
        assert!(card.contains(said), "{said}: {card}");
    }
    let lock = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock")).unwrap();
    let burn = config["versions"]["burn"].as_str().unwrap();
    assert!(lock.contains(&format!("name = \"burn\"\nversion = \"{burn}\"")), "{burn}");
    // Its commands work when they are typed in the folder, and it names no path of the machine.
    let commands = between(&card, "```sh\n", "```");
    assert!(commands.lines().count() >= 5);
    for command in commands.lines() {
        ae_ok(&run, &command.split(' ').skip(1).collect::<Vec<_>>());
    }
    let path = here.to_str().unwrap();
    assert!(!card.contains(path) && !config.to_string().contains(path));
    let again = fs::read_to_string(run.join("README.md")).unwrap();
    assert_eq!(again, card, "`ae report` writes the same card, hardware included");

    // A changed card is kept, which is said; a card that was not changed follows the run.
    fs::write(run.join("README.md"), format!("{card}\nMine.\n")).unwrap();
    let output = ae(here, &["train", "--resume", "run", "--epochs", "3"]);
    let said = text(&output.stderr);
    assert!(output.status.success() && said.contains("README.md was changed by hand and is kept"), "{said}");
    assert!(fs::read_to_string(run.join("README.md")).unwrap().ends_with("Mine.\n"));
    assert!(!said.contains("config.json was changed"), "{said}");
    fs::remove_file(run.join("README.md")).unwrap();
    assert!(!text(&ae(here, &["report", "run"]).stderr).contains("changed by hand"));
    assert!(fs::read_to_string(run.join("README.md")).unwrap().contains("Epochs: 3"));

    // A run of before, without a card and without digests.
    for file in ["README.md", "config.json", "files.json"] {
        fs::remove_file(run.join(file)).unwrap();
    }
    ae_ok(here, &["evaluate", "run"]);
    ae_ok(here, &["report", "run"]);
    assert!(run.join("README.md").is_file() && run.join("config.json").is_file());
    // What is not the run's own is not written through.
    #[cfg(unix)]
    {
        fs::rename(run.join("README.md"), here.join("elsewhere")).unwrap();
        std::os::unix::fs::symlink(here.join("elsewhere"), run.join("README.md")).unwrap();
        let before = fs::read(here.join("elsewhere")).unwrap();
        ae_ok(here, &["train", "--resume", "run", "--epochs", "4"]);
        assert!(!run.join("README.md").is_symlink());
        assert_eq!(fs::read(here.join("elsewhere")).unwrap(), before);
    }
}

#[test]
fn the_page_of_a_dictionary_shows_its_units() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let said = ae(
        here,
        &["train", "--variant", "batch_top_k", "--data", "digits", "--code-dim", "48", "--epochs", "2"]
            .into_iter()
            .chain(["--set", "model.code.k=4", "--seed", "3", "--out", "run"])
            .collect::<Vec<_>>(),
    );
    let said = text(&said.stderr);
    assert!(said.contains("only 8 training steps") && said.contains("training.batch_size=64 --epochs 10"), "{said}");
    // Every unit once, in the order that was asked for; its first row is the one with the largest value.
    ae_ok(here, &["report", "run", "--units", "5,0,47"]);
    let page = fs::read_to_string(here.join("run/report.html")).unwrap();
    let places: Vec<usize> = ["unit 5: ", "unit 0: ", "unit 47: "].map(|unit| page.find(unit).expect(unit)).to_vec();
    assert!(places.is_sorted() && page.matches("<summary>unit ").count() == 3, "{places:?}");
    ae_ok(here, &["encode", "run", "--rows", "test", "--out", "codes.csv"]);
    let codes = fs::read_to_string(here.join("codes.csv")).unwrap();
    let column = codes.lines().next().unwrap().split(',').position(|name| name == "h5").expect("a column h5");
    let values = codes.lines().skip(1).map(|line| line.split(',').nth(column).unwrap().parse::<f64>().unwrap());
    let values: Vec<f64> = values.collect();
    let active = values.iter().filter(|value| **value > 0.0).count();
    let rate = 100.0 * active as f64 / values.len() as f64;
    let shown: f64 = between(&page, "unit 5: ", " % of the rows").parse().unwrap();
    assert!(active > 0 && (shown - rate).abs() <= 0.005 * rate, "{shown} for {rate}");
    let most = values.iter().copied().fold(0.0, f64::max);
    let unit = &page[places[0]..places[1]];
    let shown: f64 = between(unit, ", largest ", ". ").parse().unwrap();
    assert!((shown - most).abs() <= 0.005 * most, "{shown} for {most}");
    // What says nothing about a dictionary is not drawn, and what it cannot do is refused.
    assert!(
        !page.contains("id=\"imputation\"")
            && !page.contains("id=\"scores\"")
            && ["dictionary", "density", "atoms"].iter().all(|id| page.contains(&format!("id=\"{id}\"")))
    );
    let refused = |args: &[&str], wanted: &str| {
        let output = ae(here, args);
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains(wanted) && said.lines().count() == 1, "{said}");
    };
    refused(&["report", "run", "--units", "48"], "`--units 48`: the code of run has the units 0 to 47");
    refused(&["impute", "run"], "cannot fill in missing values");
    let measured: Value = serde_json::from_str(&ae_ok(here, &["evaluate", "run", "--json"])).unwrap();
    let dictionary = &measured["dictionary"];
    let number = |name: &str| dictionary[name].as_f64().unwrap_or_else(|| panic!("no {name} in {dictionary}"));
    // One scale for all columns: the explained variance in the units of the data is that of the scaled data.
    assert!((number("explained_variance") - (1.0 - measured["fvu"].as_f64().unwrap())).abs() < 1e-5, "{measured}");
    assert!(
        number("shrinkage") > 0.5 && number("cosine") > 0.5 && number("nearest_atom_cosine") > number("atom_cosine")
    );
    assert_eq!(measured["noise"].as_array().map(Vec::len), Some(0));
    // Two sparse codes are drawn by their active units.
    let other = ["--code-dim", "48", "--epochs", "2", "--set", "model.code.k=8", "--out", "wider"];
    ae_ok(here, &[&["train", "--variant", "batch_top_k", "--data", "digits"], &other[..]].concat());
    ae_ok(here, &["report", "run", "wider", "--out", "both.html"]);
    let both = fs::read_to_string(here.join("both.html")).unwrap();
    let drawn = between(&both, "id=\"tradeoff\"", "</figure>");
    for name in ["batch_top_k (48) on digits", "PCA on digits", "random dictionary (48) on digits"] {
        assert!(drawn.contains(name), "{name}");
    }
    assert!(!page.contains("id=\"tradeoff\""), "one run has nothing to be drawn beside");
    // Beside another variant, whose figures it has in part.
    ae_ok(here, &["train", "--data", "digits", "--code-dim", "4", "--epochs", "1", "--out", "narrow"]);
    let lines: Value = serde_json::from_str(&ae_ok(here, &["compare", "run", "narrow", "--json"])).unwrap();
    let names = |line: &Value| -> Vec<String> {
        line["figures"].as_array().unwrap().iter().map(|of| of["name"].as_str().unwrap().to_string()).collect()
    };
    let of = lines.as_array().unwrap().iter().find(|line| line["name"].as_str().unwrap().starts_with("batch_top_k"));
    let names = names(of.expect("a line of the dictionary"));
    assert!(names.contains(&"L0".to_string()) && !names.contains(&"noisy mse".to_string()), "{names:?}");
}
