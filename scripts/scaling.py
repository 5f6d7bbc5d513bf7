#!/usr/bin/env python3
"""The tables of docs/SCALING.md: seconds for an epoch in one process, in one that exchanges with itself, in several.

Needs `ae` with the feature `remote` (cargo build --release -p ae-train --features remote) and numpy; nothing else may
run. `python3 scripts/scaling.py target/release/ae 2`, or `2 4 8 16` on a machine with as many cores. One thread in each
process; the median of the last five of seven epochs.
"""

import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile

import numpy as np

EPOCHS, LAST = 7, 5


def data(folder):
    """Smooth images of 28 x 28 (as rows, and as images), and rows of 384 values that few features explain."""
    random = np.random.default_rng(0)
    images = 1 / (1 + np.exp(-(random.normal(size=(14400, 20)) @ random.normal(size=(20, 784))) / 4))
    images = (255 * images).astype("u1")
    np.save(f"{folder}/rows.npy", images)
    np.save(f"{folder}/images.npy", images.reshape(-1, 28, 28))
    features, active = random.normal(size=(1000, 384)), random.random((16384, 1000)) < 0.02
    np.save(f"{folder}/activations.npy", (active @ features).astype("f4"))


DEEP = ["-d", "rows.npy", "--code-dim", "30", "-s", "model.network.hidden=[1000,500,250]"]
DEEP += ["-s", "model.network.activation=relu"]
CONV = ["-d", "images.npy", "--code-dim", "32", "-s", "model.network.kind=conv"]
SPARSE = ["-d", "activations.npy", "--variant", "k_sparse", "--code-dim", "6144", "-s", "model.code.k=32"]
SPARSE += ["-s", "model.code.k_start=32", "-s", "model.network.tied=false"]
BF16 = ["-s", "training.exchange=bf16"]
CASES = [("deep_mlp", DEEP, [256, 1024, 4096]), ("conv", CONV, [128, 512, 2048]), ("sparse_topk", SPARSE, [1024, 4096])]


def epoch(ae, folder, arguments, batch, more, threads="1"):
    """Seconds for an epoch, and the number of parameters."""
    with tempfile.TemporaryDirectory(dir=folder) as run:
        command = [ae, "train", *arguments, "-e", str(EPOCHS), "-s", f"training.batch_size={batch}", "--seed", "1"]
        command += ["--progress", "none", "--out", f"{run}/run", *more]
        environment = {**os.environ, "RAYON_NUM_THREADS": threads}
        subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
        with open(f"{run}/run/metrics.csv") as file:
            seconds = [float(row["seconds"]) for row in csv.DictReader(file)]
        with open(f"{run}/run/summary.json") as file:
            parameters = json.load(file)["parameters"]
    return statistics.median(seconds[-LAST:]), parameters


def main():
    ae, counts = os.path.abspath(sys.argv[1]), [int(count) for count in sys.argv[2:]] or [2]
    with tempfile.TemporaryDirectory() as folder:
        data(folder)
        both = [name for count in counts for name in (str(count), f"{count}, bf16")]
        columns = ["parameters", "bytes", "batch", "one, alone", "one", *both, "ratios to one, alone"]
        print("| | " + " | ".join(columns) + " |\n|" + "---|" * (len(columns) + 1))
        for name, arguments, batches in CASES:
            for batch in batches:
                alone, parameters = epoch(ae, folder, arguments, batch, [])
                several_of = lambda count: ["--processes", str(count)]
                kinds = [several_of(1), *[several_of(count) + more for count in counts for more in ([], BF16)]]
                several = [epoch(ae, folder, arguments, batch, kind)[0] for kind in kinds]
                row = [f"`{name}`", f"{parameters:,}", f"{4e-6 * parameters:.1f} MB", f"{batch:,}"]
                row += [f"{seconds:.3f}" for seconds in [alone, *several]]
                row += [", ".join(f"{alone / seconds:.2f}" for seconds in several[1:])]
                print(f"| {' | '.join(row)} |", flush=True)
        for threads in map(str, counts):
            seconds = epoch(ae, folder, CONV, 2048, [], threads)[0]
            print(f"{threads} threads in one process, conv, 2,048: {seconds:.3f}", flush=True)


if __name__ == "__main__":
    main()
