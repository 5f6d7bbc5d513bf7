#!/usr/bin/env python3
"""Measures which variant, width, strength and norm suits which data, and writes the tables of docs/guide/choosing.md.

Needs: the binary (cargo build --release -p ae-train), a folder with MNIST's four IDX files (--mnist), and a folder with
the UCI tables pendigits.csv, satellite.csv and pima.csv (--tables): a header, numbers, and a last column `anomaly` of 0
and 1, in the versions of the Outlier Detection DataSets collection. What is not given is left out.
Usage: python3 scripts/choosing.py target/release/ae --work FOLDER [--mnist FOLDER] [--tables FOLDER]
           [--studies variants,widths,...] [--sets digits,wdbc,...] [--page docs/guide/choosing.md]
Runs are kept in --work: called again, it continues, and only prints what is there already.
"""

import argparse, itertools, json, os, shutil, statistics, struct, subprocess, sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SEEDS = 3
# Epochs: a short training and a long one.
LENGTHS = (15, 60)
IMAGES = ["digits", "fashion-mini", "mnist-2000"]
TABLES = ["pendigits", "satellite", "wdbc", "pima"]
# Rows of the MNIST sample, training and test.
SAMPLE = {"train": 2000, "t10k": 500}
# Of these tables every so many rows are taken, but for anomalies all of them.
EVERY = {"pendigits": 4, "satellite": 3}
# A narrow code for each set; the overcomplete variants keep their own width.
NARROW = {"digits": 10, "fashion-mini": 10, "mnist-2000": 10, "pendigits": 4, "satellite": 4, "wdbc": 4, "pima": 4}
NARROW_VARIANTS = ["undercomplete", "linear", "variational"]
WIDE_VARIANTS = ["overcomplete", "sparse", "k_sparse", "contractive", "denoising", "masked"]
# Columns, so that a code is narrower than its input.
COLUMNS = {
    "digits": 64, "fashion-mini": 784, "mnist-2000": 784, "pendigits": 16, "satellite": 36, "wdbc": 30, "pima": 8
}  # fmt: skip
# Setting, grid, and the figure that the strength is chosen by on validation rows.
STRENGTHS = {
    "sparse": ("model.penalty.l1.weight", [0.005, 0.02, 0.05, 0.2], "probe"),
    "k_sparse": ("model.code.k", [5, 12, 25, 50], "probe"),
    "contractive": ("model.penalty.contractive.weight", [0.01, 0.1, 0.3, 1.0], "probe"),
    "denoising": ("model.corruption.gaussian.std", None, "probe"),
    "masked": ("model.corruption.masking.rate_max", [0.2, 0.4, 0.6, 0.8], "missing"),
}
# What `ae compare` calls these figures.
NAMES = {"probe": "probe", "missing": "missing mse"}
# The sets whose strengths are measured.
STRONG = ["digits", *TABLES]
# Noise in units of the scaled data: images are in [0, 1], the columns of tables have deviation 1. `auto` is 0.3 and 1.
NOISE = {"images": [0.1, 0.3, 0.5, 1.0], "tables": [0.3, 1.0, 2.0, 3.0]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("ae")
    parser.add_argument("--work", required=True)
    parser.add_argument("--mnist")
    parser.add_argument("--tables")
    parser.add_argument("--studies", default="anomalies,variants,widths,strengths,norm")
    parser.add_argument("--sets", default=",".join(IMAGES + TABLES))
    parser.add_argument("--page")
    args = parser.parse_args()
    args.ae = os.path.abspath(args.ae)
    os.makedirs(args.work, exist_ok=True)
    sets = sources(args)
    for name in args.studies.split(","):
        text = STUDIES[name](args, sets)
        print(f"\n{text}\n", flush=True)
        if args.page:
            replace(args.page, name, text)


def sources(args):
    """What `--data` is for each set, with the options that it needs."""
    sets = {"digits": ["--data", "digits"], "fashion-mini": ["--data", "fashion-mini"]}
    if args.mnist:
        sets["mnist-2000"] = ["--data", sample(args)]
    if args.tables:
        for name in ["pendigits", "satellite", "pima"]:
            sets[name] = ["--data", thinned(args, name), "--label", "anomaly"]
    wdbc = os.path.join(ROOT, "examples/data/wdbc.csv")
    sets["wdbc"] = ["--data", wdbc, "--label", "diagnosis", "--id", "id"]
    return {name: sets[name] for name in IMAGES + TABLES if name in sets and name in args.sets.split(",")}


def thinned(args, name):
    """Every so many rows of a large table."""
    with open(os.path.join(args.tables, f"{name}.csv")) as file:
        header, *rows = file.readlines()
    path = os.path.abspath(os.path.join(args.work, f"{name}.csv"))
    with open(path, "w") as file:
        file.writelines([header, *rows[:: EVERY.get(name, 1)]])
    return path


def sample(args):
    """The first images of MNIST, as a folder of IDX files."""
    folder = os.path.abspath(os.path.join(args.work, "mnist-2000-data"))
    os.makedirs(folder, exist_ok=True)
    for part, rows in SAMPLE.items():
        for kind, head, size in [("images-idx3", 16, 784), ("labels-idx1", 8, 1)]:
            name = f"{part}-{kind}-ubyte"
            with open(os.path.join(args.mnist, name), "rb") as file:
                header = bytearray(file.read(head))
                values = file.read(rows * size)
            header[4:8] = struct.pack(">I", rows)
            with open(os.path.join(folder, name), "wb") as file:
                file.write(header + values)
    return folder


def call(args, *command):
    done = subprocess.run([args.ae, *map(str, command)], capture_output=True, text=True, cwd=args.work)
    if done.returncode:
        sys.exit(f"ae {' '.join(map(str, command))}: {done.stderr[-2000:]}")
    return done.stdout


def cached(args, key, compute):
    """What was computed before under this key, or what is computed now."""
    path = os.path.join(args.work, "results", key.replace("/", "-") + ".json")
    if not os.path.exists(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        value = compute()
        with open(path + ".new", "w") as file:
            json.dump(value, file)
        os.rename(path + ".new", path)
    with open(path) as file:
        return json.load(file)


def compare(args, sets, data, variants, epochs, key, *options):
    """The lines of `ae compare`, by name, each a table of figures to (mean, deviation). Runs are removed afterwards."""

    def compute():
        folder = f"runs/{key}"
        out = call(
            args, "compare", "--variants", ",".join(variants), "--seeds", SEEDS, "--epochs", epochs, *sets[data],
            *options, "--out", folder, "--json",
        )  # fmt: skip
        shutil.rmtree(os.path.join(args.work, folder))
        return json.loads(out)

    print(key, file=sys.stderr, flush=True)
    lines = cached(args, key, compute)
    return {
        line["name"]: {figure["name"]: (figure["mean"], figure["deviation"]) for figure in line["figures"]}
        for line in lines
    }


def line_of(lines, variant):
    """The line of a variant, whatever its width; of PCA the narrowest."""
    names = [name for name in lines if name.split(" ")[0] == variant]
    return lines[min(names, key=lambda name: int(name.split("(")[1].rstrip(")")))]


def widths(args, sets):
    """Fraction of variance unexplained, and the probe, by width of the code."""
    grid = [2, 4, 8, 16, 32, 64]
    rows = []
    for data in sets:
        of = {}
        for width in [width for width in grid if width < COLUMNS[data]]:
            lines = compare(args, sets, data, ["undercomplete"], 30, f"widths-{data}-{width}", "--code-dim", width)
            of[width] = (line_of(lines, "undercomplete"), line_of(lines, "PCA"))
        for figure in ["fvu", "probe"] if data != "pendigits" else ["fvu"]:
            for index, name in enumerate(["undercomplete", "PCA"]):
                cells = [cell(of[width][index][figure], figure) if width in of else "" for width in grid]
                rows.append([data if figure == "fvu" and index == 0 else "", f"{name}, {figure}", *cells])
    return table(["data", "", *map(str, grid)], rows)


def norm(args, sets):
    """Test error with and without batch norm, by depth and length of training."""
    depths = {"256": "[256]", "512, 256, 128": "[512,256,128]"}
    rows = []
    for data in [data for data in ["digits", "fashion-mini", "satellite", "wdbc"] if data in sets]:
        for name, hidden in depths.items():
            cells = []
            for epochs, kind in itertools.product(LENGTHS, ["none", "batch"]):
                key = f"norm-{data}-{hidden.strip('[]').replace(',', '_')}-{epochs}-{kind}"
                lines = compare(
                    args, sets, data, ["undercomplete"], epochs, key, "--code-dim", NARROW[data],
                    "--set", f"model.network.hidden={hidden}", "--set", "model.network.activation=relu",
                    "--set", f"model.network.norm={kind}",
                )  # fmt: skip
                cells.append(line_of(lines, "undercomplete")["fvu"])
            marked = [cell(value, "fvu") for value in cells]
            for pair in (0, 2):
                better = pair + (cells[pair + 1][0] < cells[pair][0])
                marked[better] = bold(marked[better])
            rows.append([data if name == "256" else "", name, *marked])
    short, long = LENGTHS
    return table(["data", "hidden layers", f"{short} epochs, none", "batch", f"{long} epochs, none", "batch"], rows)


def anomalies(args, sets):
    """AUROC of runs that were trained on normal rows only, beside neighbors and PCA."""
    normal = {"wdbc": ["--normal", "benign"]}
    wide = ["denoising", "masked"]
    rows = []
    for data in [data for data in TABLES if data in sets]:

        whole = list(sets[data])
        if data in EVERY:
            whole[1] = os.path.join(os.path.abspath(args.tables), f"{data}.csv")

        def compute():
            folder, found = f"runs/anomalies-{data}", {}
            for variant, epochs, seed in itertools.product(wide + ["undercomplete"], LENGTHS, range(SEEDS)):
                run = f"{folder}/{variant}-{epochs}-{seed}"
                width = ["--code-dim", NARROW[data]] if variant == "undercomplete" else []
                call(args, "train", "--variant", variant, "--epochs", epochs, "--seed", seed, *whole, *width,
                     "--normal-only", *normal.get(data, []), "--out", run)  # fmt: skip
                scores = json.loads(call(args, "score", run, "--json"))
                found.setdefault(f"{variant} {epochs}", {})[seed] = scores["auroc"]
                # The baselines depend on the split, and so on the seed only.
                for name in ("neighbors", "pca", "mean"):
                    baseline = scores[name] if name in scores else scores["neighbours"]
                    found.setdefault(name, {})[seed] = baseline["auroc"]
            shutil.rmtree(os.path.join(args.work, folder))
            return {name: mean_and_deviation(values.values()) for name, values in found.items()}

        print(f"anomalies-{data}", file=sys.stderr, flush=True)
        found = cached(args, f"anomalies-{data}", compute)
        names = [f"{variant} {epochs}" for variant in wide + ["undercomplete"] for epochs in LENGTHS]
        names += ["neighbors", "pca", "mean"]
        best = max(found[name][0] for name in names)
        rows.append([data] + [bold(cell(found[name], "auroc"), found[name][0] == best) for name in names])
    heads = [f"`{variant}`, {epochs}" for variant in wide + ["undercomplete"] for epochs in LENGTHS]
    return turned(["AUROC", *heads, "5th nearest neighbor", "PCA, 90% of the variance", "distance to the mean"], rows)


def variants(args, sets):
    """What each variant is good for, with its defaults."""
    sets = {name: source for name, source in sets.items() if name != "mnist-2000"}
    titles = {
        "fvu": "Reconstruction: fraction of variance unexplained",
        "probe": "Classes: accuracy of a linear classifier on the code",
        "noisy mse": "Noise: mean squared error to the clean row, from one with noise of 0.3 (images) or 1 (tables)",
        "missing mse": "Missing values: mean squared error at 30% of the values, hidden and filled in",
    }
    of = {}
    for epochs, data in itertools.product(LENGTHS, sets):
        narrow = compare(
            args, sets, data, NARROW_VARIANTS, epochs, f"variants-{data}-{epochs}-narrow", "--code-dim", NARROW[data]
        )
        wide = compare(args, sets, data, WIDE_VARIANTS, epochs, f"variants-{data}-{epochs}-wide")
        of[data, epochs] = {name: line_of(narrow, name) for name in ["PCA", *NARROW_VARIANTS]}
        of[data, epochs] |= {name: line_of(wide, name) for name in WIDE_VARIANTS}
        # The best of the widths that PCA has beside the variants.
        for figure, better in [("noisy mse", min), ("missing mse", min), ("probe", max)]:
            every = [line[figure] for lines in (narrow, wide) for name, line in lines.items() if name.startswith("PCA")]
            of[data, epochs]["PCA"][figure] = better(every)
    texts = []
    for figure, title in titles.items():
        rows = []
        names = ["PCA", *NARROW_VARIANTS, *WIDE_VARIANTS]
        if figure == "fvu":
            names = ["PCA", *NARROW_VARIANTS]
        places = [data for data in sets if not (figure == "probe" and data == "pendigits")]
        for name in names:
            cells = []
            for data in places:
                short = [of[data, epochs][name][figure] for epochs in LENGTHS]
                best = [
                    (max if figure == "probe" else min)(of[data, epochs][other][figure][0] for other in names)
                    for epochs in LENGTHS
                ]
                shown = [bold(cell(value, figure, False), value[0] == top) for value, top in zip(short, best)]
                cells.append(shown[0] if name == "PCA" else ", ".join(shown))
            rows.append([name if name == "PCA" else f"`{name}`", *cells])
        texts.append(f"**{title}**,\nafter {LENGTHS[0]} and after {LENGTHS[1]} epochs\n\n" + table(["", *places], rows))
    return "\n\n".join(texts)


def strengths(args, sets):
    """The strength that validation rows choose, and what test rows then show."""
    rows = []
    for variant, (setting, grid, criterion) in STRENGTHS.items():
        for data in [data for data in sets if data in STRONG and (data != "pendigits" or criterion != "probe")]:
            values = grid or NOISE["images" if data in IMAGES else "tables"]

            def compute():
                found = {}
                for value in values:
                    folder = f"runs/strengths-{variant}-{data}-{value}"
                    out = call(
                        args, "compare", "--variants", variant, "--seeds", SEEDS, "--epochs", 20, *sets[data], "--set",
                        f"{setting}={value}", "--set", "data.validation=0.25", "--out", folder, "--json",
                    )  # fmt: skip
                    line = [line for line in json.loads(out) if line["name"].startswith(variant)][0]
                    test = [figure for figure in line["figures"] if figure["name"] == NAMES[criterion]][0]
                    validation = []
                    for seed in range(SEEDS):
                        run = f"{folder}/{variant}-seed{seed}"
                        measured = json.loads(call(args, "evaluate", run, "--rows", "validation", "--json"))
                        if criterion == "probe":
                            validation.append(measured["classes"]["linear"]["code"])
                        else:
                            validation.append(measured["missing"][2]["mse"])
                    shutil.rmtree(os.path.join(args.work, folder))
                    found[str(value)] = {"test": test["mean"], "validation": statistics.mean(validation)}
                return found

            print(f"strengths-{variant}-{data}", file=sys.stderr, flush=True)
            found = cached(args, f"strengths-{variant}-{data}", compute)
            better = max if criterion == "probe" else min
            chosen = better(found, key=lambda value: found[value]["validation"])
            cells = [f"{found[str(value)]['test']:.3f}" for value in values]
            cells = [bold(text, str(value) == chosen) for text, value in zip(cells, values)]
            grid_text = ", ".join(str(value) for value in values)
            rows.append([f"`{variant}`", criterion, data, grid_text, ", ".join(cells)])
    return table(["variant", "chosen by", "data", "strengths", "test rows, at each strength"], rows)


def mean_and_deviation(values):
    values = list(values)
    return statistics.mean(values), statistics.stdev(values)


def cell(value, figure, spread=True):
    digits = 4 if figure in ("noisy mse", "missing mse") else 3
    if value[0] >= 10:
        return "over 10"
    return f"{value[0]:.{digits}f}" + (f" ±{value[1]:.{digits}f}" if spread else "")


def bold(text, condition=True):
    return f"**{text}**" if condition else text


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def turned(head, columns):
    return table([head[0], *(column[0] for column in columns)], [
        [name, *(column[index + 1] for column in columns)] for index, name in enumerate(head[1:])
    ])  # fmt: skip


def replace(page, name, text):
    """Puts the text between the comments of this name."""
    begin, end = f"<!-- scripts/choosing.py: {name} -->", f"<!-- end: {name} -->"
    with open(page) as file:
        before, rest = file.read().split(begin)
    _, after = rest.split(end)
    with open(page, "w") as file:
        file.write(f"{before}{begin}\n\n{text}\n\n{end}{after}")


STUDIES = {"anomalies": anomalies, "variants": variants, "widths": widths, "strengths": strengths, "norm": norm}

if __name__ == "__main__":
    main()
