#!/usr/bin/env python3
"""Runs the `peers` benchmark and a peer's in turns, pair by pair, and prints their ratios.

    cargo bench -p ae-train --bench peers --no-run
    scripts/bench_peers.py --python .venv/bin/python --pairs 5

The peer is `pytorch_peer.py` beside this file, or any Python file that takes the name of a workload (and `--steps N`) and prints the same JSON
line as ours. Every measurement is a
process of its own, so that memory and time to the first step are its own. A pair runs ours and the peer's directly after one another, the
order alternating, so that a slow minute of the machine slows both. The ratio is the peer's time over ours: above 1 ours is faster.
"""
import argparse, json, math, os, re, statistics, subprocess, sys, time

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


def ours():
    """The built benchmark; Cargo says where it is."""
    built = subprocess.run(["cargo", "bench", "-p", "ae-train", "--bench", "peers", "--no-run"], cwd=ROOT, capture_output=True, text=True)
    found = re.search(r"Executable .*\((.*)\)", built.stderr)
    if built.returncode or not found:
        sys.exit(built.stderr)
    return os.path.join(ROOT, found.group(1))


def run(command, workload, steps):
    steps = ["--steps", str(steps)] if steps else []
    environment = dict(os.environ, BENCH_STARTED=repr(time.time()))
    done = subprocess.run([*command, workload, *steps], capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(f"{command[0]} {workload}: {done.stderr}")
    line = {}
    for part in done.stdout.splitlines():
        line.update(json.loads(part))
    return line


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", help="all of ours if none is named")
    parser.add_argument("--peer", default=os.path.join(ROOT, "scripts", "pytorch_peer.py"), help="the peer's Python file")
    parser.add_argument("--python", default=sys.executable, help="a Python that has what the peer needs")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=0, help="steps of each run; each workload's own number if 0")
    parser.add_argument("--json", help="also write every line to this file")
    arguments = parser.parse_args()
    bench = [ours()]
    peer = [arguments.python, "-c", PEER, arguments.peer]
    names = arguments.workloads or ["digits_mlp", "mnist_mlp", "deep_mlp", "conv", "denoising", "contractive_shallow", "contractive_deep", "sparse_topk"]
    lines, ratios, small = [], {}, True
    print("| workload | ours, ms | peer, ms | ratio | spread | memory, MB | of the peer's | first step, s | peer's |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in names:
        pairs = []
        for pair in range(arguments.pairs):
            order = [("ours", bench), ("peer", peer)]
            results = {who: run(command, name, arguments.steps) for who, command in (order if pair % 2 == 0 else order[::-1])}
            pairs.append((results["ours"], results["peer"]))
            lines += [dict(results[who], pair=pair) for who in ("ours", "peer")]
        of = [peer["ms_per_step"] / ours["ms_per_step"] for ours, peer in pairs]
        ratios[name] = statistics.median(of)
        median = lambda who, key: statistics.median(pair[who][key] for pair in pairs)
        memory = [median(who, "peak_rss_mb") for who in (0, 1)]
        small &= memory[0] <= memory[1] / 4
        print(f"| {name} | {median(0, 'ms_per_step'):.3f} | {median(1, 'ms_per_step'):.3f} | **{ratios[name]:.2f}** | {min(of):.2f}-{max(of):.2f} | "
              f"{memory[0]:.0f} | {memory[0] / memory[1]:.1%} | {median(0, 'first_step_s'):.3f} | {median(1, 'first_step_s'):.2f} |", flush=True)
    mean = math.exp(statistics.fmean(map(math.log, ratios.values())))
    print(f"\n{arguments.pairs} pairs; geometric mean of the ratios {mean:.2f}, lowest {min(ratios.values()):.2f} ({min(ratios, key=ratios.get)}).")
    print("Peak memory is at most a quarter of the peer's everywhere." if small else "Peak memory is more than a quarter of the peer's somewhere.")
    if arguments.json:
        with open(arguments.json, "w") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)


if __name__ == "__main__":
    main()
