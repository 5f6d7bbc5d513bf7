#!/usr/bin/env python3
"""Kills, damages and fills up runs, and says what came of it.

    cargo build -p ae-train
    python3 scripts/torture.py                 # everything, a few minutes
    python3 scripts/torture.py kills --times 200

Each part prints one line: what was done, how often, and how often it went wrong; the exit status is 1 if anything did.
`AE` names another program than target/debug/ae. `disks` mounts small file systems, and `lost` runs the program as
another user; both need root.
"""

import argparse
import collections
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
AE = os.environ.get("AE") or str(ROOT / "target/debug/ae")
EPOCHS = ["train", "--epochs", "40", "--seed", "3"]
# Where the length of a training does not matter.
FEW = ["train", "--epochs", "12", "--seed", "3"]
RESUME = ["train", "--resume", "run"]


def ae(folder, arguments, **options):
    return subprocess.run([AE, *arguments], cwd=folder, capture_output=True, text=True, **options)


def start(folder, arguments, **options):
    return subprocess.Popen(
        [AE, *arguments], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **options
    )


def table(place, rows, name="table.csv"):
    """A table of numbers, and the settings of a run on it that takes a tenth of a second."""
    numbers = random.Random(1)
    lines = ["a,b,c,d,e,f"]
    for _ in range(rows):
        x, y, z = (numbers.gauss(0, 1) for _ in range(3))
        lines.append(",".join(f"{value:.4f}" for value in (x, y, x + y, x - y, 0.5 * x + 0.1 * z, z)))
    (place / name).write_text("\n".join(lines) + "\n")
    return [
        "train",
        "--data",
        str(place / name),
        "--set",
        "model.code_dim=2",
        "--set",
        "model.network.hidden=[16]",
        "--seed",
        "3",
    ]


def weights(folder):
    return (folder / "run/model.safetensors").read_bytes()


def whole(place, settings=EPOCHS):
    """A run that nothing happened to."""
    folder = place / "whole"
    folder.mkdir()
    done = ae(folder, [*settings, "--out", "run"])
    assert done.returncode == 0, done.stderr
    return folder


def again(folder, settings=FEW):
    """Goes on with what is there, or begins anew."""
    return ae(folder, RESUME if (folder / "run/config.toml").exists() else [*settings, "--out", "run"])


def has_panicked(text):
    return "panicked" in text or "PANIC" in text or "backtrace" in text or "failed inside" in text


def is_one_line(done):
    """Whether a failure is told in one line, with exit status 1, and success with none."""
    errors = sum(line.startswith("error: ") for line in done.stderr.splitlines())
    return not has_panicked(done.stderr) and (done.returncode, errors) in ((0, 0), (1, 1))


def is_half_written(folder):
    """Whether a checkpoint was being written: a file that is not yet in its place, or records without the file that
    says they are whole."""
    names = {path.name for path in (folder / "run/checkpoint").glob("*")}
    epochs = {re.search(r"-(\d+)\.bpk$", name)[1] for name in names if re.search(r"-(\d+)\.bpk$", name)}
    whole = {name[6:-5] for name in names if name.startswith("epoch-")}
    return bool(epochs - whole) or any(name.startswith(".") or name.endswith(".tmp") for name in names)


def kills(place, times):
    """SIGKILL at random moments, of the start, of epochs, of checkpoints and of resuming; every run ends in the bytes
    of one that was never killed."""
    expected, wrong, runs, hit = weights(whole(place)), [], 0, collections.Counter()
    while hit["SIGKILLs"] < times:
        folder = place / f"kills-{runs}"
        folder.mkdir()
        arguments = [*EPOCHS, "--out", "run"]
        for _ in range(random.randint(3, 12)):
            process = start(folder, arguments)
            time.sleep(random.choice([random.uniform(0, 0.1), random.uniform(0, 1.0)]))
            process.kill()
            said = process.communicate()[1]
            hit["SIGKILLs"] += 1
            hit["of those while resuming"] += arguments == RESUME and process.returncode == -signal.SIGKILL
            hit["within a checkpoint"] += is_half_written(folder)
            if has_panicked(said):
                wrong.append(said)
            arguments = RESUME if (folder / "run/config.toml").exists() else arguments
        done = ae(folder, arguments)
        if done.returncode != 0 or weights(folder) != expected:
            wrong.append(f"{folder.name}: {done.returncode} {done.stderr[-300:]}")
        shutil.rmtree(folder)
        runs += 1
    return ", ".join(f"{count} {what}" for what, count in hit.items()) + f" in {runs} runs", wrong


def flips(place, times):
    """One bit of a file of the last checkpoint flipped before resuming; it is said, and the result is that of a run
    that was not damaged."""
    settings = [*table(place, 300), "--epochs", "20"]
    source, wrong = whole(place, settings), []
    expected = weights(source)
    (source / "run/summary.json").unlink()
    files = sorted((source / "run/checkpoint").iterdir())
    last = max(int(re.search(r"-(\d+)\.", file.name)[1]) for file in files)
    of_last = [file for file in files if f"-{last}." in file.name]
    folder = place / "flips"
    for count in range(times):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(source, folder)
        file = folder / "run/checkpoint" / of_last[count % len(of_last)].name
        flip(file)
        done = ae(folder, RESUME)
        if done.returncode != 0 or "is damaged" not in done.stderr or weights(folder) != expected:
            wrong.append(f"{file.name}: {done.returncode} {done.stderr[-300:]}")
    return f"{times} flipped bits of the last checkpoint's {len(of_last)} files", wrong


def flip(file):
    data = bytearray(file.read_bytes())
    data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    file.write_bytes(data)


# What is protected by a digest: a flipped bit of it is never passed over where the file is read.
DIGESTS = [
    "data.toml",
    "detector.json",
    "files.json",
    "model.bpk",
    "model.safetensors",
    "neighbours.safetensors",
    "pca.safetensors",
    "summary.json",
]
# What reads the files of a run that has ended.
READERS = [
    ["train", "--resume", "run"],
    ["evaluate", "run"],
    ["score", "run"],
    ["export", "run", "--out", "out.bpk"],
    ["report", "run"],
]


def files(place, times):
    """One bit of any file of a run that has ended flipped: what reads it says so in one line, or says what it said
    before."""
    settings = [*table(place, 300), "--epochs", "20"]
    source, wrong, seen = whole(place, settings), [], collections.Counter()
    names = sorted(path.name for path in (source / "run").iterdir() if path.is_file() and path.stat().st_size > 0)
    expected = [ae(source, reader) for reader in READERS]
    assert all(done.returncode == 0 for done in expected), [done.stderr for done in expected]
    folder = place / "files"
    for count in range(times):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(source, folder)
        name = names[count % len(names)]
        flip(folder / "run" / name)
        ended = [ae(folder, reader) for reader in READERS]
        same = all(done.stdout == before.stdout for done, before in zip(ended, expected) if done.returncode == 0)
        refused = any(done.returncode != 0 for done in ended)
        outcome = "changed" if not same else "refused" if refused else "same"
        seen[f"{name} {outcome}"] += 1
        lines = all(not has_panicked(done.stderr) and done.returncode in (0, 1, 2) for done in ended)
        lines &= all(
            sum(line.startswith("error: ") for line in done.stderr.splitlines()) == (done.returncode != 0)
            for done in ended
        )
        if not lines or (name in DIGESTS and outcome == "changed"):
            wrong.append(f"{name} {outcome}: {[(done.returncode, done.stderr[-200:]) for done in ended]}")
    return (
        f"{times} flipped bits of {len(names)} files ({', '.join(f'{what}: {count}' for what, count in sorted(seen.items()))})",
        wrong,
    )


def pairs(place, times):
    """Two processes on one folder: one works, the other is refused, and the result is that of one alone."""
    expected, wrong = weights(whole(place, FEW)), []
    for count in range(times):
        folder = place / f"pairs-{count}"
        folder.mkdir()
        first = start(folder, [*FEW, "--out", "run"])
        while not (folder / "run/config.toml").exists():
            time.sleep(0.002)
        time.sleep(random.uniform(0, 0.3))
        both = [start(folder, RESUME), start(folder, RESUME)]
        said = [process.communicate()[1] for process in [first, *both]]
        ended = [process.returncode for process in [first, *both]]
        refused = sum("another process is working" in text for text in said)
        if (
            ended.count(0) + refused != 3
            or ended.count(0) < 1
            or any(map(has_panicked, said))
            or weights(folder) != expected
        ):
            wrong.append(f"{ended} {said}")
        shutil.rmtree(folder)
    return f"{times} times three processes on one folder", wrong


def signals(place, times):
    """SIGINT, SIGTERM and SIGHUP at random moments: exit status 130 (or 0 or the signal, before it listens), and the
    run goes on to the same bytes."""
    expected, wrong = weights(whole(place, FEW)), []
    for count in range(times):
        folder = place / f"signals-{count}"
        folder.mkdir()
        process = start(folder, [*FEW, "--out", "run"])
        time.sleep(random.uniform(0, 0.8))
        which = random.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
        process.send_signal(which)
        said = process.communicate()[1]
        if process.returncode not in (130, 0, -which) or has_panicked(said):
            wrong.append(f"{which.name}: {process.returncode} {said[-300:]}")
        done = again(folder)
        if done.returncode != 0 or weights(folder) != expected:
            wrong.append(f"{which.name}, resumed: {done.returncode} {done.stderr[-300:]}")
        shutil.rmtree(folder)
    return f"{times} signals", wrong


def closed(place, times):
    """Standard output and standard error closed at random moments: the training goes on."""
    expected, wrong = weights(whole(place, FEW)), []
    for count in range(times):
        folder = place / f"closed-{count}"
        folder.mkdir()
        process = subprocess.Popen(
            [AE, *FEW, "--out", "run"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        time.sleep(random.uniform(0, 0.5))
        process.stdout.close()
        process.stderr.close()
        if process.wait() != 0 or weights(folder) != expected:
            wrong.append(f"exit {process.returncode}")
        shutil.rmtree(folder)
    return f"{times} times both outputs closed", wrong


def disks(place, times):
    """A file system of a few hundred kilobytes: one line, no panic; with room again the run goes on to the same
    bytes."""
    expected, wrong = weights(whole(place, FEW)), []
    folder = place / "disk"
    folder.mkdir()
    for _ in range(times):
        size = random.randint(300, 2500)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(folder)], check=True)
        try:
            done = ae(folder, [*FEW, "--out", "run"])
            if not is_one_line(done):
                wrong.append(f"{size} kB: {done.returncode} {done.stderr[-400:]}")
            subprocess.run(["mount", "-o", "remount,size=64m", str(folder)], check=True)
            done = again(folder)
            if done.returncode != 0 or weights(folder) != expected:
                wrong.append(f"{size} kB, resumed: {done.returncode} {done.stderr[-400:]}")
        finally:
            subprocess.run(["umount", str(folder)], check=True)
    return f"{times} full disks", wrong


class Watched:
    """A training whose lines are known while it goes on."""

    def __init__(self, folder, arguments, **options):
        self.folder, self.began, self.lines = folder, time.monotonic(), []
        self.process = start(folder, arguments, **options)
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stderr:
            self.lines.append((time.monotonic() - self.began, line))

    def wait(self, is_there):
        """Seconds from the start until something is so; none if the program ends first."""
        while self.process.poll() is None:
            if is_there():
                return time.monotonic() - self.began
            time.sleep(0.001)
        return None

    def count(self, start_of_line):
        return sum(line.startswith(start_of_line) for _, line in list(self.lines))

    def has_trained(self):
        return any(line.startswith(f"epoch {LAST:>4}/{LAST}") for _, line in list(self.lines))

    def phase(self):
        """What it is doing, by what it said and what is in its folder."""
        if (self.folder / "run/summary.json").exists():
            return "report"
        if self.has_trained():
            return "measuring"
        if self.count("epoch"):
            return "epoch"
        return "pre-training" if self.count("pre-training") else "reading"

    def end(self):
        status = self.process.wait()
        self.reader.join()
        return status, "".join(line for _, line in self.lines)


# Epochs of the trainings of `phases`.
LAST = 12


def timed(folder, settings):
    """Weights of a run that nothing happened to, and the seconds that it reads, an epoch takes, it measures, and it
    draws its page."""
    folder.mkdir()
    run = Watched(folder, [*settings, "--out", "run"])
    read = run.wait(lambda: run.count("code of"))
    trained = run.wait(run.has_trained)
    measured = run.wait(lambda: (folder / "run/summary.json").exists())
    status, said = run.end()
    assert status == 0 and measured, said
    epochs = [seconds for seconds, line in run.lines if line.startswith("epoch")]
    times = {"reading": read, "epoch": (epochs[-1] - epochs[0]) / (LAST - 1), "measuring": measured - trained}
    return weights(folder), times | {"report": time.monotonic() - run.began - measured}


def reach(run, phase, took):
    """Waits for a moment of a phase."""
    if phase == "reading":
        time.sleep(random.uniform(0.02, took["reading"]))
    elif phase == "pre-training":
        lines = random.randint(1, 6)
        run.wait(lambda: run.count("pre-training") >= lines)
    elif phase in ("epoch", "validation"):
        lines = random.randint(1, LAST - 4)
        run.wait(lambda: run.count("epoch") >= lines)
        time.sleep(took["epoch"] * (random.uniform(0, 1) if phase == "epoch" else random.uniform(0.6, 0.95)))
    else:
        run.wait(run.has_trained if phase == "measuring" else (run.folder / "run/summary.json").exists)
        time.sleep(random.uniform(0, took[phase]))


def phases(place, times):
    """SIGINT, SIGTERM and SIGHUP in each phase, of a first process and of one that resumes: exit status 130, or the
    result if it came too late, and the bytes of a run that was never interrupted."""
    wrong, hit, late = [], collections.Counter(), 0
    stacked = [
        *table(place, 30000),
        "--variant",
        "stacked",
        "--set",
        "training.pretrain_epochs=30",
        "--epochs",
        str(LAST),
    ]
    # With 19 of 20 rows held out, most of an epoch is validation.
    held_out = [*table(place, 100000, "wide.csv"), "--set", "data.validation=0.95", "--epochs", str(LAST)]
    known = {"validation": (held_out, *timed(place / "held-out", held_out))}
    known |= dict.fromkeys(
        ["reading", "pre-training", "epoch", "measuring", "report"], (stacked, *timed(place / "stacked", stacked))
    )
    cases = [
        (phase, which, resumed)
        for phase in known
        for which in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        for resumed in (False, True)
    ]
    each = max(1, times // len(cases))
    for case in cases:
        phase, which, resumed = case
        settings, expected, took = known[phase]
        for attempt in range(each * 5):
            if hit[case] == each:
                break
            folder = place / f"phase-{attempt}"
            folder.mkdir()
            arguments = [*settings, "--out", "run"]
            if resumed:
                # Pre-training is done again until the first epoch is saved.
                run = Watched(folder, arguments)
                run.wait(lambda: run.count("pre-training" if phase == "pre-training" else "epoch"))
                run.process.kill()
                run.end()
                arguments = RESUME
            run = Watched(folder, arguments)
            reach(run, phase, took)
            met, is_alive = run.phase(), run.process.poll() is None
            run.process.send_signal(which)
            status, said = run.end()
            errors = sum(line.startswith("error: ") for line in said.splitlines())
            # Before it listens, the signal itself ends it.
            fits = (status, errors) in ((130, 1), (0, 0)) or (status == -which and phase == "reading")
            if not fits or has_panicked(said):
                wrong.append(f"{which.name} in {phase} (resumed: {resumed}): {status} {said[-300:]}")
            if is_alive and status != 0 and met == {"validation": "epoch"}.get(phase, phase):
                hit[case] += 1
            else:
                late += 1
            done = again(folder, settings)
            if done.returncode != 0 or weights(folder) != expected or not (folder / "run/report.html").exists():
                wrong.append(
                    f"{which.name} in {phase} (resumed: {resumed}), then resumed: {done.returncode} {done.stderr[-300:]}"
                )
            shutil.rmtree(folder)
        if hit[case] < each:
            wrong.append(f"{phase} was met {hit[case]} times by {which.name} (resumed: {resumed}) instead of {each}")
    met = {phase: sum(count for (one, _, _), count in hit.items() if one == phase) for phase in known}
    return (
        f"signals: {', '.join(f'{count} in {phase}' for phase, count in met.items())}, and {late} in another phase or too late",
        wrong,
    )


NOBODY = 65534


def lost(place, times):
    """The folder, or its checkpoints, made read-only, renamed or removed while it trains: one line, exit status 1, and
    what was saved goes on."""
    expected, wrong, seen = weights(whole(place, FEW)), [], collections.Counter()
    place.chmod(0o755)
    for count in range(times):
        folder = place / f"lost-{count}"
        folder.mkdir()
        os.chown(folder, NOBODY, NOBODY)
        kind = [
            "read-only",
            "read-only checkpoints",
            "read-only from the start",
            "renamed",
            "removed",
            "checkpoints removed",
        ][count % 6]
        run = folder / "run"
        if kind == "read-only from the start":
            folder.chmod(0o555)
            done = ae(folder, [*FEW, "--out", "run"], user=NOBODY, group=NOBODY)
            ended, said = done.returncode, done.stderr
        else:
            process = start(folder, [*FEW, "--out", "run"], user=NOBODY, group=NOBODY)
            while not (run / "checkpoint/epoch-1.json").exists() and process.poll() is None:
                time.sleep(0.002)
            time.sleep(random.uniform(0, 0.5))
            if kind == "read-only":
                run.chmod(0o555)
                (run / "checkpoint").chmod(0o555)
            elif kind == "read-only checkpoints":
                (run / "checkpoint").chmod(0o555)
            elif kind == "renamed":
                run.rename(folder / "elsewhere")
            else:
                gone = run if kind == "removed" else run / "checkpoint"
                while gone.exists():
                    shutil.rmtree(gone, ignore_errors=True)
            ended, said = None, process.communicate()[1]
            ended = process.returncode
        seen[kind] += 1
        errors = [line for line in said.splitlines() if line.startswith("error: ")]
        if has_panicked(said) or (ended, len(errors)) not in ((1, 1), (0, 0)):
            wrong.append(f"{kind}: {ended} {said[-600:]}")
        elif ended == 0:
            seen["ended before"] += 1
        folder.chmod(0o755)
        if kind == "renamed":
            shutil.rmtree(run, ignore_errors=True)
            (folder / "elsewhere").rename(run)
        for path in (run, run / "checkpoint"):
            if path.exists():
                path.chmod(0o755)
        if run.exists() and not (run / "config.toml").exists():
            shutil.rmtree(run)
        done = again(folder)
        if done.returncode != 0 or weights(folder) != expected:
            wrong.append(f"{kind}, resumed: {done.returncode} {done.stderr[-400:]}")
        shutil.rmtree(folder)
    return f"{times} folders lost ({', '.join(f'{what}: {count}' for what, count in seen.items())})", wrong


PARTS = {
    "kills": (kills, 200),
    "flips": (flips, 1000),
    "files": (files, 1000),
    "pairs": (pairs, 50),
    "signals": (signals, 50),
    "phases": (phases, 72),
    "closed": (closed, 20),
    "disks": (disks, 50),
    "lost": (lost, 50),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="all of them if none is named")
    parser.add_argument("--times", type=int, default=0, help="how often; each part's own number if 0")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    failed = False
    for name in arguments.parts or PARTS:
        part, times = PARTS[name]
        random.seed(arguments.seed)
        with tempfile.TemporaryDirectory() as place:
            what, wrong = part(Path(place), arguments.times or times)
        print(f"{name}: {what}, {len(wrong)} went wrong", flush=True)
        for one in wrong[:5]:
            print(f"    {one}")
        failed |= bool(wrong)
    sys.exit(failed)


if __name__ == "__main__":
    main()
