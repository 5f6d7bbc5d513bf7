//! Trainings in several processes, over the loopback interface.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use safetensors::SafeTensors;

/// Longest time that a process may take here.
const LIMIT: Duration = Duration::from_secs(120);

fn ae(here: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ae"));
    command.current_dir(here).env_remove("AE_TOKEN").env("RAYON_NUM_THREADS", "1").stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The output of a process, which must end in time.
fn ended(mut child: Child) -> Output {
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if began.elapsed() > LIMIT {
            child.kill().unwrap();
            panic!("a process did not end: {}", said(&child.wait_with_output().unwrap()));
        }
        thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().unwrap()
}

/// Standard output and standard error.
fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Waits until there is this file.
fn wait_for(path: &Path) {
    let began = Instant::now();
    while !path.exists() {
        assert!(began.elapsed() < LIMIT, "{} was not written", path.display());
        thread::sleep(Duration::from_millis(5));
    }
}

fn ae_ok(here: &Path, args: &[&str]) -> String {
    let output = ended(ae(here).args(args).spawn().unwrap());
    assert!(output.status.success(), "ae {args:?}: {}", said(&output));
    said(&output)
}

/// A server, and where it listens.
fn serving(here: &Path, args: &[&str], token: &str) -> (Child, String) {
    let mut command = ae(here);
    command.args(args).args(["--listen", "127.0.0.1:0"]).env("AE_TOKEN", token);
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (child, line.trim().strip_prefix("listening on ").expect("an address").to_string())
}

/// `ae gather`, and where it listens.
fn gather(here: &Path, of: usize, token: Option<&str>) -> (Child, String) {
    serving(here, &["gather", "--of", &of.to_string(), "--patience", "20"], token.unwrap_or_default())
}

/// A process of a training.
fn joined(here: &Path, args: &[&str], address: &str, rank: usize, of: usize) -> Child {
    let (rank, of) = (rank.to_string(), of.to_string());
    ae(here).args(args).args(["--join", address, "--rank", &rank, "--of", &of]).spawn().unwrap()
}

/// Kills a worker whose device trains: an error, and no hang.
fn ends_when_lost(here: &Path, mut worker: Child, device: &str) {
    let args = ["train", "-e", "20000", "--out", "lost", "--device", device];
    let training = ae(here).args(args).spawn().unwrap();
    wait_for(&here.join("lost/checkpoint/epoch-1.json"));
    worker.kill().unwrap();
    worker.wait().unwrap();
    let lost = Instant::now();
    let output = ended(training);
    assert!(!output.status.success() && lost.elapsed() < Duration::from_secs(40), "{}", said(&output));
    assert!(said(&output).lines().last().unwrap_or_default().starts_with("error: "), "{}", said(&output));
}

/// The weights of a run, by name.
fn weights(run: &Path) -> BTreeMap<String, Vec<f32>> {
    let bytes = fs::read(run.join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let numbers = |bytes: &[u8]| {
        bytes.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect::<Vec<_>>()
    };
    file.tensors().into_iter().map(|(name, tensor)| (name, numbers(tensor.data()))).collect()
}

/// The largest difference of two runs' weights but for one in 10,000, and the largest of all.
///
/// Adam divides a gradient by its own size: where the gradients of a batch cancel out, what is left is rounding, and
/// moves a weight as far as any other gradient does.
fn differences(one: &Path, other: &Path) -> [f32; 2] {
    let [one, other] = [weights(one), weights(other)];
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    let pairs = one.iter().flat_map(|(name, values)| values.iter().zip(&other[name]));
    let mut differences: Vec<f32> = pairs.map(|(a, b)| (a - b).abs()).collect();
    differences.sort_by(f32::total_cmp);
    let all_but = differences.len() - 1 - differences.len() / 10_000;
    [differences[all_but], differences[differences.len() - 1]]
}

/// Two and three processes give the weights of one, up to rounding, and the same bits again. At the end of a training
/// each process compares its weights with those of the others, so that one that ends well has the same bits.
#[test]
fn several_processes_give_the_weights_of_one() {
    let place = tempfile::tempdir().unwrap();
    let here = place.path();
    // 3,441 training rows: 35 batches, of which the last one has 41 rows.
    let train = |out: &str, more: &[&str]| {
        let settings = ["-e", "1", "-s", "training.batch_size=100", "--seed", "3", "--out", out];
        ae_ok(here, &[&["train"][..], &settings, more].concat())
    };
    train("one", &[]);
    for of in ["2", "3"] {
        let said = train(&format!("first-{of}"), &["--processes", of]);
        assert!(said.contains(&format!("{of} processes with")) && said.contains("PCA (10)"), "{said}");
        train(&format!("again-{of}"), &["--processes", of]);
        let [one, first, again] =
            ["one".to_string(), format!("first-{of}"), format!("again-{of}")].map(|run| here.join(run));
        assert!(weights(&first) == weights(&again), "{of} processes gave other bits the second time");
        let [almost_all, all] = differences(&one, &first);
        assert!(almost_all < 1e-6 && all < 1e-4, "{of} processes differ by {almost_all} and {all} from one");
    }
    // With gradients in bf16 they are near those, and still the same in all processes, which compare them.
    let said = train("rounded", &["--processes", "2", "-s", "training.exchange=bf16"]);
    assert!(!said.contains("weights that differ"), "{said}");
    let [almost_all, all] = differences(&here.join("one"), &here.join("rounded"));
    assert!(almost_all > 1e-6 && almost_all < 3e-3 && all < 1e-2, "bf16 differs by {almost_all} and {all} from one");
    // With its own half of each batch only, and none of the other's, it differs by more.
    train("half", &["-s", "training.batch_size=50"]);
    assert!(differences(&here.join("one"), &here.join("half"))[0] > 1e-3);
}

/// More processes than some batches have rows, and rows that stay in their file.
#[test]
fn every_row_is_seen_once_whatever_the_batches_and_wherever_the_rows_are() {
    let place = tempfile::tempdir().unwrap();
    let here = place.path();
    let table: String = std::iter::once("a,b,c\n".to_string())
        .chain((0..61).map(|i| format!("{},{},{}\n", i % 7, (i * 5) % 11, (i * 3) % 13)))
        .collect();
    fs::write(here.join("t.csv"), table).unwrap();
    let train = |out: &str, more: &[&str]| {
        let settings = ["-d", "t.csv", "--code-dim", "2", "-e", "3", "-s", "training.batch_size=7", "--out", out];
        ae_ok(here, &[&["train"][..], &settings, more].concat())
    };
    // 44 training rows: the last batch has two.
    train("one", &[]);
    train("three", &["--processes", "3"]);
    let is_alike = |one: &str, other: &str| {
        let [almost_all, all] = differences(&here.join(one), &here.join(other));
        assert!(almost_all < 1e-6 && all < 1e-4, "{one} and {other} differ by {almost_all} and {all}");
    };
    is_alike("one", "three");
    train("streamed", &["--stream"]);
    train("streamed-two", &["--stream", "--processes", "2"]);
    is_alike("streamed", "streamed-two");
}

/// Codes that compare the rows of a batch, units that are never active, running statistics, and noise: each process
/// computes them on its part, and all end with the same weights.
#[test]
fn what_depends_on_the_batch_is_said_and_stays_the_same_in_all_processes() {
    let place = tempfile::tempdir().unwrap();
    let here = place.path();
    let cases: [(&str, &[&str], &str); 4] = [
        (
            "batch_top_k",
            &["--code-dim", "128", "-s", "model.code.k=4", "-s", "model.penalty.aux_k.dead_after=500"],
            "code",
        ),
        ("winner_take_all", &[], "code"),
        ("denoising", &[], "corruption"),
        ("undercomplete", &["-s", "model.network.norm=batch"], "network.norm"),
    ];
    for (variant, more, said_of) in cases {
        let train = |out: &str| {
            let settings = ["train", "--variant", variant, "-e", "2", "--out", out, "--processes", "2"];
            ae_ok(here, &[&settings[..], more].concat())
        };
        let said = train(&format!("{variant}-first"));
        assert!(said.contains(&format!("`model.{said_of}`")) && said.contains("depends on the number"), "{said}");
        train(&format!("{variant}-again"));
        let [first, again] = ["first", "again"].map(|run| weights(&here.join(format!("{variant}-{run}"))));
        assert!(first == again, "{variant}: other bits the second time");
    }
    let args = ["train", "--variant", "linear", "-s", "model.resample.every=5", "--processes", "2", "--out", "no"];
    let refused = ended(ae(here).args(args).spawn().unwrap());
    assert!(!here.join("no").exists(), "a run folder is left");
    assert!(refused.status.code() == Some(2) && said(&refused).contains("model.resample.every"), "{}", said(&refused));
}

/// A process for each device, and a device of another process, which computes with Burn's operations.
#[test]
fn devices_of_others_and_several_devices_train() {
    let place = tempfile::tempdir().unwrap();
    let here = place.path();
    let (worker, address) = serving(here, &["worker", "--device", "flex"], "");
    let remote = format!("ws://{address}");
    let train = |out: &str, more: &[&str]| {
        let settings = ["train", "-e", "1", "-s", "training.batch_size=100", "--seed", "3", "--out", out];
        ae_ok(here, &[&settings[..], more].concat())
    };
    train("local", &[]);
    train("remote", &["--device", &remote]);
    let two = train("two", &["--devices", "flex,flex"]);
    assert!(two.contains("2 processes") && !two.contains("weights that differ"), "{two}");
    let mixed = train("mixed", &["--devices", &format!("flex,{remote}")]);
    assert!(mixed.contains("weights that differ by up to"), "Burn's operations round differently: {mixed}");
    for run in ["remote", "two", "mixed"] {
        let [almost_all, all] = differences(&here.join("local"), &here.join(run));
        assert!(almost_all < 1e-5 && all < 1e-3, "{run}: {almost_all} and {all}");
    }
    let refused = |device: &str, expected: &str| {
        let output = ended(ae(here).args(["train", "--out", "refused", "--device", device]).spawn().unwrap());
        assert!(output.status.code() == Some(1) && said(&output).contains(expected), "{}", said(&output));
        assert!(!here.join("refused").exists());
    };
    refused(&format!("{remote}#3"), "serves 1 device");

    // The worker is killed while it trains: an error, and no hang.
    ends_when_lost(here, worker, &remote);
}

/// Over Iroh: the same weights, an identity that stays, and errors instead of a wrong server or of a hang.
#[cfg(unix)]
#[test]
fn over_iroh_the_weights_are_the_same_and_only_the_right_server_answers() {
    use std::os::unix::fs::PermissionsExt;
    let place = tempfile::tempdir().unwrap();
    let here = place.path();
    let settings =
        |out: &'static str| ["train", "-e", "1", "-s", "training.batch_size=100", "--seed", "3", "--out", out];
    let with_token = |args: &[&str], address: &str, rank: usize, token: &str| {
        let mut command = ae(here);
        command.args(args).args(["--join", address, "--rank", &rank.to_string(), "--of", "2"]);
        command.env("AE_TOKEN", token).spawn().unwrap()
    };
    let (server, address) = serving(here, &["gather", "--of", "2", "--iroh", "gather.key"], "secret");
    let (id, at) = address.strip_prefix("iroh://").and_then(|rest| rest.split_once('@')).expect("an identity");
    assert_eq!(fs::metadata(here.join("gather.key")).unwrap().permissions().mode() & 0o777, 0o600);
    let guess = ended(with_token(&settings("no"), &address, 0, "guess"));
    assert!(guess.status.code() == Some(1) && said(&guess).contains("AE_TOKEN"), "{}", said(&guess));
    let ranks = [0, 1].map(|rank| with_token(&settings("over-iroh"), &address, rank, "secret"));
    for output in ranks.map(ended).into_iter().chain([ended(server)]) {
        assert!(output.status.success(), "{}", said(&output));
    }
    ae_ok(here, &[&settings("over-websocket")[..], &["--processes", "2"]].concat());
    assert!(weights(&here.join("over-iroh")) == weights(&here.join("over-websocket")), "other bits");

    // A device, and another server at the address that was meant.
    let (worker, device) = serving(here, &["worker", "--device", "flex", "--iroh", "gather.key"], "");
    assert!(device.contains(id) && !device.contains(at), "the identity stays, and the port was free: {device}");
    ae_ok(here, &[&settings("device")[..], &["--device", &device]].concat());
    let [almost_all, all] = differences(&here.join("over-iroh"), &here.join("device"));
    assert!(almost_all < 1e-5 && all < 1e-3, "{almost_all} and {all}");
    let (mut other, another) = serving(here, &["worker", "--device", "flex", "--iroh", "other.key"], "");
    let place = device.rsplit('@').next().unwrap();
    let wrong = format!("{}@{place}", another.split('@').next().unwrap());
    let refused = |device: &str, expected: &str, code: i32| {
        let output = ended(ae(here).args(settings("no")).args(["--device", device]).spawn().unwrap());
        let text = said(&output);
        let line = text.lines().last().unwrap_or_default();
        assert!(output.status.code() == Some(code) && line.starts_with("error: "), "{text}");
        assert!(line.contains(expected), "{text}");
    };
    refused(&wrong, "nobody with this identity", 1);
    refused("iroh://127.0.0.1:7101", "it has no `@`", 2);
    refused(&format!("{device}#1"), "serves 1 device", 1);
    assert!(!here.join("no").exists());
    other.kill().unwrap();
    other.wait().unwrap();

    // Nobody says that a killed server is gone: it is noticed when it is silent.
    ends_when_lost(here, worker, &device);

    // What is no key, and others without a token.
    fs::write(here.join("short.key"), "no key").unwrap();
    for (args, expected, code) in [
        (&["--iroh", "short.key"][..], "short.key", 1),
        (&["--iroh", "other.key", "--relays", "public"], "needs a token", 2),
        (&["--iroh", "other.key", "--relays", "nowhere"], "--relays", 2),
        (&["--iroh", "other.key", "--listen", "0.0.0.0:0"], "needs a token", 2),
    ] {
        let output = ended(ae(here).args(["worker", "--device", "flex"]).args(args).spawn().unwrap());
        assert!(output.status.code() == Some(code) && said(&output).contains(expected), "{args:?}: {}", said(&output));
    }
}

/// A process is killed: the others stop within seconds, and the run goes on from what was saved, with fewer processes,
/// to the weights of a training that was never interrupted.
#[cfg(unix)]
#[test]
fn a_lost_process_stops_the_others_and_the_run_goes_on() {
    let place = tempfile::tempdir().unwrap();
    let here = place.path();
    let settings = ["train", "-e", "12", "-s", "training.batch_size=20", "--seed", "3"];
    let first = [&settings[..], &["--out", "run"]].concat();
    let (server, address) = gather(here, 3, None);
    let ranks: Vec<Child> = (0..3).map(|rank| joined(here, &first, &address, rank, 3)).collect();
    let mut ranks = ranks.into_iter();
    let (zero, one, mut two) = (ranks.next().unwrap(), ranks.next().unwrap(), ranks.next().unwrap());
    wait_for(&here.join("run/checkpoint/epoch-1.json"));
    two.kill().unwrap();
    two.wait().unwrap();
    let lost = Instant::now();
    let (zero, one, server) = (ended(zero), ended(one), ended(server));
    assert!(lost.elapsed() < Duration::from_secs(10), "the others stopped after {:?}", lost.elapsed());
    for output in [&zero, &one, &server] {
        assert_eq!(output.status.code(), Some(1), "{}", said(output));
    }
    let line = said(&zero).lines().last().unwrap_or_default().to_string();
    assert!(
        line.starts_with("error: the connection to rank 2 was lost") && line.contains("ae train --resume run"),
        "{line}"
    );
    assert!(said(&one).contains("rank 2 was lost"), "{}", said(&one));

    // With two processes, from the same run folder.
    let (server, address) = gather(here, 2, None);
    let resume = ["train", "--resume", "run"];
    let others: Vec<Child> = (0..2).map(|rank| joined(here, &resume, &address, rank, 2)).collect();
    others.into_iter().for_each(|child| {
        let output = ended(child);
        assert!(output.status.success(), "{}", said(&output));
    });
    assert!(ended(server).status.success());
    ae_ok(here, &[&settings[..], &["--out", "whole"]].concat());
    let [losses, whole] = ["run", "whole"].map(|run| {
        let text = fs::read_to_string(here.join(run).join("summary.json")).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()["test"]["sse"].as_f64().unwrap()
    });
    assert!((losses / whole - 1.0).abs() < 0.02, "{losses} resumed, {whole} in one process");
}

/// A partner that does not fit is refused in a sentence, without a run folder, and does not disturb the others.
#[test]
fn a_wrong_partner_is_refused_in_a_sentence() {
    let place = tempfile::tempdir().unwrap();
    let here = place.path();
    let refused = |address: &str, rank: usize, of: usize, more: &[&str], token: &str, expected: &str, code: i32| {
        let args = [&["train", "-e", "2", "--out", "refused"][..], more].concat();
        let (rank, of) = (rank.to_string(), of.to_string());
        let mut command = ae(here);
        command.args(args).args(["--join", address, "--rank", &rank, "--of", &of]).env("AE_TOKEN", token);
        let output = ended(command.spawn().unwrap());
        let text = said(&output);
        let line = text.lines().last().unwrap_or_default();
        assert!(line.starts_with("error: ") && line.contains(expected), "{text}");
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(!here.join("refused").exists(), "{expected}: a run folder is left");
    };
    let (server, address) = gather(here, 2, Some("secret"));
    refused(&address, 0, 2, &[], "guess", "AE_TOKEN", 1);
    refused(&address, 0, 2, &[], "", "AE_TOKEN", 1);
    refused(&address, 2, 2, &[], "secret", "the ranks are 0 to 1", 2);
    refused(&address, 1, 3, &[], "secret", "ae gather --of 2", 2);
    let start = |rank: usize, out: &str| {
        let mut command = ae(here);
        command.args(["train", "-e", "2", "--out", out, "--join", &address, "--rank", &rank.to_string(), "--of", "2"]);
        command.env("AE_TOKEN", "secret").spawn().unwrap()
    };
    let first = start(0, "run");
    wait_for(&here.join("run/config.toml"));
    thread::sleep(Duration::from_millis(500));
    refused(&address, 0, 2, &[], "secret", "rank 0 has joined already", 2);
    // What came before disturbed nobody.
    let second = start(1, "other");
    for output in [ended(second), ended(first), ended(server)] {
        assert!(output.status.success(), "{}", said(&output));
    }
    assert!(here.join("run/summary.json").exists() && !here.join("other").exists());

    // One that is gone before all have joined leaves its place to another one.
    let (server, address) = gather(here, 2, None);
    let args = ["train", "-e", "1", "--out", "third"];
    let mut gone = joined(here, &args, &address, 1, 2);
    thread::sleep(Duration::from_millis(1500));
    gone.kill().unwrap();
    gone.wait().unwrap();
    thread::sleep(Duration::from_millis(500));
    for output in [1, 0].map(|rank| joined(here, &args, &address, rank, 2)).map(ended) {
        assert!(output.status.success(), "{}", said(&output));
    }
    assert!(ended(server).status.success());

    // Another configuration or other data ends the training for both: nobody can tell which one is right.
    for (more, expected) in [
        (&["-s", "training.learning_rate=0.5"][..], "`training.learning_rate` is 0.001 in rank 0 and 0.5 in rank 1"),
        (&["-d", "digits:64"], "other data"),
    ] {
        let more = if expected == "other data" {
            fs::write(here.join("t.csv"), "a,b\n1,2\n2,3\n3,5\n4,1\n5,9\n6,2\n7,7\n8,1\n9,4\n1,1\n2,8\n").unwrap();
            fs::write(here.join("u.csv"), "a,b\n1,2\n2,3\n3,5\n4,1\n5,9\n6,2\n7,7\n8,1\n9,4\n1,1\n2,9\n").unwrap();
            &["-d", "u.csv", "--code-dim", "1"][..]
        } else {
            more
        };
        let of_first = if expected == "other data" { &["-d", "t.csv", "--code-dim", "1"][..] } else { &[] };
        let (server, address) = gather(here, 2, None);
        let first = joined(here, &[&["train", "-e", "2", "--out", "first"][..], of_first].concat(), &address, 0, 2);
        wait_for(&here.join("first/config.toml"));
        thread::sleep(Duration::from_millis(500));
        refused(&address, 1, 2, more, "", expected, 2);
        let first = ended(first);
        assert!(first.status.code() == Some(2) && said(&first).contains(expected), "{}", said(&first));
        assert_eq!(ended(server).status.code(), Some(1));
        assert!(!here.join("first").exists());
    }
}

/// The server is killed: an error within seconds, and no process hangs.
#[test]
fn a_server_that_is_killed_stops_all_processes() {
    let place = tempfile::tempdir().unwrap();
    let here = place.path();
    let (mut server, address) = gather(here, 2, None);
    let args = ["train", "-e", "200", "-s", "training.batch_size=20", "--out", "run"];
    let [zero, one] = [0, 1].map(|rank| joined(here, &args, &address, rank, 2));
    wait_for(&here.join("run/checkpoint/epoch-1.json"));
    server.kill().unwrap();
    server.wait().unwrap();
    let lost = Instant::now();
    for output in [ended(zero), ended(one)] {
        assert!(output.status.code() == Some(1) && said(&output).contains("was lost"), "{}", said(&output));
    }
    assert!(lost.elapsed() < Duration::from_secs(10), "they stopped after {:?}", lost.elapsed());
    // Nobody listens, and another address without a token.
    let nobody = ended(joined(here, &["train", "-e", "1", "--out", "alone"], &address, 0, 2));
    assert!(nobody.status.code() == Some(1) && said(&nobody).contains("nobody listens"), "{}", said(&nobody));
    assert!(!here.join("alone").exists());
    let open = ended(ae(here).args(["gather", "--listen", "0.0.0.0:0", "--of", "2"]).spawn().unwrap());
    assert!(open.status.code() == Some(2) && said(&open).contains("needs a token"), "{}", said(&open));
}

/// The commands of docs/SCALING.md that need one machine.
#[cfg(unix)]
#[test]
fn the_commands_of_the_page_work_as_they_are_printed() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/SCALING.md");
    let page = fs::read_to_string(page).unwrap();
    let place = tempfile::tempdir().unwrap();
    let programs = Path::new(env!("CARGO_BIN_EXE_ae")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let blocks: Vec<&str> = page.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(!blocks.is_empty(), "the page has no commands");
    for command in blocks.iter().flat_map(|block| block.lines()) {
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).current_dir(place.path()).env("PATH", &path);
        let output = ended(shell.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
        assert!(output.status.success(), "{command}: {}", said(&output));
    }
}
