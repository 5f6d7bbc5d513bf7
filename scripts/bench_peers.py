#!/usr/bin/env python3
"""Runs the `peers` benchmark and a peer's in turns, pair by pair, and prints their ratios.

    cargo bench -p ae-train --bench peers --no-run
    scripts/bench_peers.py --python .venv/bin/python --pairs 5

On a GPU, each side by the name that it has for it; PyTorch as it is (eager) and through `torch.compile`:

    scripts/bench_peers.py --features vulkan --device vulkan --peer-device cuda --pairs 5
    scripts/bench_peers.py --features vulkan --device vulkan --peer-device cuda --compile --pairs 5

There memory is the GPU's: how much more of it was in use while the process ran than before (`nvidia-smi`), the largest
of looks every 50 ms, so nothing else may use the GPU.

The peer is `pytorch_peer.py` beside this file, or any Python file that takes the name of a workload (and `--steps N`)
and prints the same JSON line as ours. Every measurement is a process of its own, so that memory and time to the first
step are its own. A pair runs ours and the peer's directly after one another, the order alternating, so that a slow
minute of the machine slows both. The ratio is the peer's time over ours: above 1 ours is faster.
"""

import argparse, json, math, os, re, shutil, statistics, subprocess, sys, threading, time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Runs the peer's file as it is, and notes when its first optimizer step is over.
PEER = """
import os, runpy, sys, time
import torch
step, first = torch.optim.Adam.step, []
def noted(self, *args, **kwargs):
    result = step(self, *args, **kwargs)
    if not first:
        first.append(time.time() - float(os.environ["BENCH_STARTED"]))
    return result
torch.optim.Adam.step = noted
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
print('{"first_step_s": %.4f}' % first[0])
"""


def ours(features):
    """The built benchmark; Cargo says where it is."""
    with_features = ["--features", features] if features else []
    built = subprocess.run(
        ["cargo", "bench", "-p", "ae-train", "--bench", "peers", "--no-run", *with_features],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    found = re.search(r"Executable .*\((.*)\)", built.stderr)
    if built.returncode or not found:
        sys.exit(built.stderr)
    return os.path.join(ROOT, found.group(1))


def gpu_memory_mb():
    """Memory in use on the first GPU."""
    query = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "--id=0"]
    return int(subprocess.run(query, capture_output=True, text=True, check=True).stdout)


def run(command, workload, steps, on_gpu):
    steps = ["--steps", str(steps)] if steps else []
    before = gpu_memory_mb() if on_gpu else 0
    environment = dict(os.environ, BENCH_STARTED=repr(time.time()))
    process = subprocess.Popen(
        [*command, workload, *steps], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    most, watching = before, threading.Event()

    def watch():
        nonlocal most
        while not watching.wait(0.05):
            most = max(most, gpu_memory_mb())

    watcher = threading.Thread(target=watch)
    if on_gpu:
        watcher.start()
    out, err = process.communicate()
    if on_gpu:
        watching.set()
        watcher.join()
    if process.returncode:
        sys.exit(f"{command[0]} {workload}: {err}")
    line = {}
    for part in out.splitlines():
        if part.startswith("{"):
            line.update(json.loads(part))
    if on_gpu:
        line["peak_gpu_mb"] = most - before
    return line


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", help="all of ours if none is named")
    parser.add_argument(
        "--peer", default=os.path.join(ROOT, "scripts", "pytorch_peer.py"), help="the peer's Python file"
    )
    parser.add_argument("--python", default=sys.executable, help="a Python that has what the peer needs")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=0, help="steps of each run; each workload's own number if 0")
    parser.add_argument("--json", help="also write every line to this file")
    parser.add_argument("--device", help="ours, one of `ae devices`; the CPU if it is left out")
    parser.add_argument("--peer-device", help="the peer's, such as cuda; its own choice if it is left out")
    parser.add_argument("--compile", action="store_true", help="the peer through torch.compile")
    parser.add_argument("--features", default="", help="of the benchmark, such as wgpu or vulkan")
    arguments = parser.parse_args()
    on_gpu = bool(arguments.device) and shutil.which("nvidia-smi") is not None
    bench = [ours(arguments.features)] + (["--device", arguments.device] if arguments.device else [])
    peer = [arguments.python, "-c", PEER, arguments.peer] + (
        ["--device", arguments.peer_device] if arguments.peer_device else []
    )
    peer += ["--compile"] if arguments.compile else []
    names = arguments.workloads or [
        "digits_mlp",
        "mnist_mlp",
        "deep_mlp",
        "conv",
        "denoising",
        "contractive_shallow",
        "contractive_deep",
        "sparse_topk",
        "variational",
    ]
    lines, ratios, small = [], {}, True
    print("| workload | ours, ms | peer, ms | ratio | spread | memory, MB | of the peer's | first step, s | peer's |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in names:
        pairs = []
        for pair in range(arguments.pairs):
            order = [("ours", bench), ("peer", peer)]
            results = {
                who: run(command, name, arguments.steps, on_gpu)
                for who, command in (order if pair % 2 == 0 else order[::-1])
            }
            pairs.append((results["ours"], results["peer"]))
            lines += [dict(results[who], pair=pair) for who in ("ours", "peer")]
        of = [peer["ms_per_step"] / ours["ms_per_step"] for ours, peer in pairs]
        ratios[name] = statistics.median(of)
        median = lambda who, key: statistics.median(pair[who][key] for pair in pairs)
        memory = [median(who, "peak_gpu_mb" if on_gpu else "peak_rss_mb") for who in (0, 1)]
        small &= memory[0] <= memory[1] / 4
        print(
            f"| {name} | {median(0, 'ms_per_step'):.3f} | {median(1, 'ms_per_step'):.3f} | **{ratios[name]:.2f}** | {min(of):.2f}-{max(of):.2f} | "
            f"{memory[0]:.0f} | {memory[0] / memory[1]:.1%} | {median(0, 'first_step_s'):.3f} | {median(1, 'first_step_s'):.2f} |",
            flush=True,
        )
    mean = math.exp(statistics.fmean(map(math.log, ratios.values())))
    print(
        f"\n{arguments.pairs} pairs; geometric mean of the ratios {mean:.2f}, lowest {min(ratios.values()):.2f} ({min(ratios, key=ratios.get)})."
    )
    print(
        "Peak memory is at most a quarter of the peer's everywhere."
        if small
        else "Peak memory is more than a quarter of the peer's somewhere."
    )
    if arguments.json:
        with open(arguments.json, "w") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)


if __name__ == "__main__":
    main()
