#!/usr/bin/env python3
"""Whether exported models say in PyTorch, ONNX Runtime and SAELens what `ae` says, and whether weights come back.

Needs: pip install torch onnx onnxruntime safetensors numpy sae-lens; the binary: cargo build -p ae-train Usage: python3
scripts/check_interop.py [target/debug/ae] Prints the largest difference of each model (of code and reconstruction,
relative to the largest value), and fails above 1e-5.
"""

import csv, os, subprocess, sys, tempfile

import numpy as np
import onnx
import onnxruntime
import torch
from sae_lens import SAE
from safetensors.torch import save_file

AE = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "target/debug/ae")
LIMIT = 1e-5
rng = np.random.default_rng(0)


def ae(*args):
    done = subprocess.run([AE, *args], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"ae {' '.join(args)}: {done.stderr}")
    return done.stdout


def difference(a, b):
    assert a.shape == b.shape, (a.shape, b.shape)
    return float(np.abs(a - b).max() / max(1.0, np.abs(a).max()))


def numbers(path):
    with open(path) as file:
        rows = list(csv.reader(file))
    return np.array([[float(cell) for cell in row] for row in rows[1:]], dtype=np.float32)


def table(path, missing, offset=0):
    """Numbers that hang together, some of them missing."""
    hidden = rng.normal(size=(300, 3))
    x = hidden @ rng.normal(size=(3, 8)) * [1, 5, 100, 0.1, 1, 1, 1, 1] + 3
    x = x.astype(np.float32).astype(float) + offset
    if missing:
        x[rng.random(x.shape) < 0.1] = np.nan
    with open(path, "w") as file:
        file.write(",".join(f"c{i}" for i in range(8)) + "\n")
        for row in x:
            file.write(",".join("" if np.isnan(value) else repr(float(value)) for value in row) + "\n")
    return np.genfromtxt(path, delimiter=",", skip_header=1, dtype=np.float64 if offset else np.float32)


def mixed(path):
    """Numbers, truth values and categories; the features in the order in which the model reads them."""
    z = rng.normal(size=400)
    color = np.where(z > 0.5, "red", np.where(z > -0.5, "green", "blue"))
    with open(path, "w") as file:
        file.write("color,weight,ripe,size\n")
        for i, value in enumerate(z):
            file.write(f"{color[i]},{value:.4f},{str(value > 0).lower()},{value * value:.4f}\n")
    data = list(csv.DictReader(open(path)))
    levels = ["blue", "green", "red"]
    return np.array(
        [
            [float(r["weight"]), float(r["size"]), float(r["ripe"] == "true")]
            + [float(r["color"] == level) for level in levels]
            for r in data
        ],
        dtype=np.float32,
    )


def images(path, shape):
    y, x = np.mgrid[0 : shape[1], 0 : shape[2]]
    phase = rng.random((200, 1, 1, 1)) * 6
    values = (127 * (1 + np.sin(x + y * 0.5 + phase)) + np.zeros((200, shape[0], 1, 1))).astype(np.uint8)
    np.save(path, values)
    return values.reshape(200, -1).astype(np.float32)


def check(name, source, x, *options):
    run = f"run-{name}"
    ae("train", "--data", source, "--epochs", "2", "--out", run, "--device", "flex", *options)
    python = ae("export", run)
    ae("encode", run, "--rows", "all", "--out", f"{run}.csv")
    ae("reconstruct", run, "--rows", "all", "--out", f"{run}-r.csv")
    code = numbers(f"{run}.csv")
    here = os.getcwd()
    os.chdir(f"{run}/export")
    scope = {}
    exec(open("model.py").read(), scope)
    torch_code = scope["encode"](torch.tensor(x)).numpy()
    torch_r = scope["decode"](torch.tensor(code)).numpy()
    for part in ["encoder", "decoder", "model"]:
        onnx.checker.check_model(onnx.load(f"{part}.onnx"), full_check=True)
    session = lambda part: onnxruntime.InferenceSession(f"{part}.onnx", providers=["CPUExecutionProvider"])
    onnx_code = session("encoder").run(None, {"x": x})[0]
    onnx_r = session("decoder").run(None, {"code": code})[0]
    both_code, both_r = session("model").run(["code", "reconstruction"], {"x": x})
    os.chdir(here)
    differences = {
        "torch code": difference(code, torch_code),
        "onnx code": difference(code, onnx_code),
        "both code": difference(code, both_code),
        "torch and onnx reconstruction": difference(torch_r, onnx_r),
        "both reconstruction": difference(onnx_r, both_r),
    }
    if "mixed" not in name:
        differences["reconstruction"] = difference(numbers(f"{run}-r.csv"), torch_r)
    worst = max(differences, key=differences.get)
    print(f"{name:<28} {differences[worst]:.1e} ({worst})", flush=True)
    assert differences[worst] <= LIMIT, f"{name}: {differences}"
    return run


def check_import(name, source, *options):
    """The weights that PyTorch holds make a run whose codes and reconstructions are PyTorch's."""
    scope = {}
    here = os.getcwd()
    os.chdir(f"run-{name}/export")
    exec(open("model.py").read(), scope)
    os.chdir(here)
    torch.manual_seed(1)
    state = {
        key: torch.randn_like(value) * 0.2 if value.dtype == torch.float32 else value
        for key, value in scope["model"].state_dict().items()
    }
    state = {key: value.abs() + 0.1 if key.endswith("running_var") else value for key, value in state.items()}
    scope["model"].load_state_dict(state)
    weights = {key: value.contiguous() for key, value in state.items()}
    weights["scaling.offset"], weights["scaling.scale"] = scope["offset"].clone(), scope["scale"].clone()
    save_file(weights, f"{name}.safetensors")
    run = f"imported-{name}"
    ae("import", f"{name}.safetensors", "--data", source, "--out", run, *options)
    ae("encode", run, "--rows", "all", "--out", f"{run}.csv")
    ae("reconstruct", run, "--rows", "all", "--out", f"{run}-r.csv")
    code = numbers(f"{run}.csv")
    x = inputs[source]
    worst = max(
        difference(code, scope["encode"](torch.tensor(x)).numpy()),
        difference(numbers(f"{run}-r.csv"), scope["decode"](torch.tensor(code)).numpy()),
    )
    print(f"{'import ' + name:<28} {worst:.1e}", flush=True)
    assert worst <= LIMIT, name


def check_saelens(variant, architecture, *options):
    """SAELens loads an exported dictionary and gives its codes and reconstructions; so does `ae` from that folder."""
    run, sae = f"sae-{variant}", f"sae-{variant}-exported"
    source = ["--data", "numbers.csv"]
    ae("train", *source, "--epochs", "3", "--out", run, "--variant", variant, "--code-dim", "40", *options)
    ae("export", run, "--format", "saelens", "--out", sae)
    ae("import", sae, *source, "--out", f"{run}-again")
    loaded = SAE.load_from_disk(sae)
    assert loaded.cfg.architecture() == architecture, loaded.cfg.architecture()
    with torch.no_grad():
        code = loaded.encode(torch.tensor(inputs["numbers.csv"]))
        output = loaded.decode(code).numpy()
    differences = {}
    for of in [run, f"{run}-again"]:
        ae("encode", of, "--rows", "all", "--out", "codes.csv")
        ae("reconstruct", of, "--rows", "all", "--out", "r.csv")
        ours = numbers("codes.csv")
        # Rounding may carry a value across a threshold; that changes a unit as a whole.
        other = np.abs(ours - code.numpy()) > 1e-6 * np.abs(ours).max()
        assert other.sum() <= 2, f"{of}: {other.sum()} units of {other.size} differ"
        rows = ~other.any(axis=1)
        differences[f"code of {of}"] = difference(ours[rows], code.numpy()[rows])
        differences[f"reconstruction of {of}"] = difference(numbers("r.csv")[rows], output[rows])
    worst = max(differences, key=differences.get)
    print(f"{'SAELens ' + variant:<28} {differences[worst]:.1e} ({worst})", flush=True)
    assert differences[worst] <= LIMIT, differences


def check_transcoder(variant, architecture):
    """The same of a model that predicts other rows than it reads."""
    generator = np.random.default_rng(5)
    x = generator.normal(size=(2000, 6)).astype(np.float32) + 3
    y = np.maximum(x @ generator.normal(size=(6, 9)).astype(np.float32), 0) @ generator.normal(size=(9, 4))
    np.save("x.npy", x)
    np.save("y.npy", y.astype(np.float32))
    run, sae = f"sae-{variant}", f"sae-{variant}-exported"
    source = ["--data", "x.npy", "--target", "y.npy"]
    few = ["--code-dim", "40", "--epochs", "3", "--set", "model.code.k=5", "--set", "training.batch_size=64"]
    ae("train", *source, *few, "--variant", variant, "--out", run)
    ae("export", run, "--format", "saelens", "--out", sae)
    ae("import", sae, *source, "--out", f"{run}-again")
    loaded = SAE.load_from_disk(sae)
    assert loaded.cfg.architecture() == architecture, loaded.cfg.architecture()
    with torch.no_grad():
        code = loaded.encode(torch.tensor(x)).numpy()
        output = loaded(torch.tensor(x)).numpy()
    differences = {}
    for of in [run, f"{run}-again"]:
        ae("encode", of, "--data", "x.npy", "--out", "codes.npy")
        ae("reconstruct", of, "--data", "x.npy", "--out", "r.npy")
        ours = np.load("codes.npy")
        other = np.abs(ours - code) > 1e-6 * np.abs(ours).max()
        assert other.sum() <= 2, f"{of}: {other.sum()} units of {other.size} differ"
        rows = ~other.any(axis=1)
        differences[f"code of {of}"] = difference(ours[rows], code[rows])
        differences[f"prediction of {of}"] = difference(np.load("r.npy")[rows], output[rows])
    worst = max(differences, key=differences.get)
    print(f"{'SAELens ' + variant:<28} {differences[worst]:.1e} ({worst})", flush=True)
    assert differences[worst] <= LIMIT, differences


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    inputs = {
        "numbers.csv": table("numbers.csv", False),
        "far.csv": table("far.csv", True, 1e9),
        "holes.csv": table("holes.csv", True),
        "mixed.csv": mixed("mixed.csv"),
        "grey.npy": images("grey.npy", (1, 9, 7)),
        "color.npy": images("color.npy", (3, 8, 8)),
    }
    small = ["--set", "model.network.hidden=[12, 9]", "--code-dim", "4"]
    for variant in [line.split()[0] for line in ae("variants").splitlines() if line[:1].islower()]:
        if variant.endswith("transcoder"):
            continue  # they are not written for PyTorch or ONNX
        options = {
            "linear": ["--code-dim", "4"],
            "overcomplete": [],
            "stacked": ["--code-dim", "4"],
            "k_sparse": [],
            "undercomplete": small,
        }.get(variant, [])
        check(variant, "numbers.csv", inputs["numbers.csv"], "--variant", variant, *options)
    for activation in ["relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid", "softplus"]:
        check(
            activation, "numbers.csv", inputs["numbers.csv"], *small, "--set", f"model.network.activation={activation}"
        )
    check("holes-masked", "holes.csv", inputs["holes.csv"], "--variant", "masked", "--code-dim", "16")
    check("holes", "holes.csv", inputs["holes.csv"], *small)
    check("far", "far.csv", inputs["far.csv"], *small)
    check("far-masked", "far.csv", inputs["far.csv"], "--variant", "masked", "--code-dim", "16")
    check("tied", "numbers.csv", inputs["numbers.csv"], *small, "--set", "model.network.tied=true")
    check("mixed", "mixed.csv", inputs["mixed.csv"], "--code-dim", "3", "--set", "model.network.hidden=[12]")
    check("layer-norm", "numbers.csv", inputs["numbers.csv"], *small, "--set", "model.network.norm=layer")
    check("batch-norm", "numbers.csv", inputs["numbers.csv"], *small, "--set", "model.network.norm=batch")
    check("bernoulli", "grey.npy", inputs["grey.npy"], *small, "--set", "model.reconstruction=bernoulli")
    for norm in ["none", "layer", "batch"]:
        conv = ["--set", "model.network={kind='conv', channels=[4, 6]}", "--set", f"model.network.norm={norm}"]
        check(f"conv-{norm}", "color.npy", inputs["color.npy"], *conv)
        check(f"conv-grey-{norm}", "grey.npy", inputs["grey.npy"], *conv)
    check_import("relu", "numbers.csv", "--set", "model.network.activation=relu")
    check_import("batch-norm", "numbers.csv")
    check_import("linear", "numbers.csv", "--variant", "linear")
    check_import("variational", "numbers.csv", "--variant", "variational")
    check_import("far", "far.csv")
    check_import("conv-none", "color.npy")
    check_import("conv-grey-batch", "grey.npy")
    few = ["--set", "model.code.k=3"]
    check_saelens("batch_top_k", "jumprelu", *few)
    check_saelens("matryoshka", "jumprelu", *few)
    check_saelens("jump_relu", "jumprelu", "--set", "model.code.target=3")
    check_saelens("k_sparse", "topk", *few, "--set", "model.code.k_start=0")
    check_saelens("sparse", "standard")
    gated = ["--set", "model.network.kind=dictionary", "--set", "model.code.kind=gated"]
    check_saelens("overcomplete", "gated", *gated, "--set", "model.penalty.gate_reconstruction.weight=1")
    check_transcoder("transcoder", "jumprelu_transcoder")
    check_transcoder("skip_transcoder", "jumprelu_skip_transcoder")
print("every model says the same everywhere")
