"""Prints reference numbers for stochastic codes and for dictionaries, computed by PyTorch in float64.

Run:  python make_golden_beyond.py --seed 7 --folders saelens > golden_beyond.json    (torch, numpy and safetensors)

  * kl: z = mu + exp(logvar / 2) eps; KL(N(mu, exp(logvar)) || N(0, I)) of each unit and of each example, in nats; free
    bits of half a nat a unit, on the batch mean of each unit and on each example;
  * iwae_linear_gaussian: x ~ N(W z + b, sigma2 I), z ~ N(0, I): the logarithms of the importance weights of six
    samples, and the bound that they give.
  * sae_*: dictionaries of each kind: code, reconstruction, each term of the loss and the gradients of all parameters
    in training, and the code and reconstruction afterwards; three units are dead;
  * sae_*transcoder: code and output of transcoders, with and without thresholds and a skip connection;
  * geometric_median: of nine points, after a thousand of Weiszfeld's iterations.
"""

import argparse
import json
import math

import torch

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=7)
parser.add_argument("--folders", help="also write each dictionary as SAELens stores it, into folders here")
arguments = parser.parse_args()
torch.manual_seed(arguments.seed)
torch.set_default_dtype(torch.float64)

mu, logvar, eps = torch.randn(3, 4), 0.5 * torch.randn(3, 4), torch.randn(3, 4)
kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar)
half = torch.tensor(0.5)
first = {
    "mu": mu,
    "logvar": logvar,
    "eps": eps,
    "z": mu + (logvar / 2).exp() * eps,
    "kl_per_dim": kl,
    "kl": kl.sum(1),
    "free_bits_half_batch_mean": torch.maximum(kl.mean(0), half).sum(),
    "free_bits_half_per_example": torch.maximum(kl, half).sum(1),
}

weight, bias, sigma2 = torch.randn(5, 4), torch.randn(5), 0.3
x, noise = torch.randn(3, 5), torch.randn(6, 3, 4)


def normal(value, mean, variance):
    """The logarithm of a diagonal normal density, summed over the last dimension."""
    return (-0.5 * ((value - mean) ** 2 / variance + torch.log(2 * math.pi * variance))).sum(-1)


z = mu + (logvar / 2).exp() * noise
log_w = (
    normal(x, z @ weight.T + bias, torch.full_like(x, sigma2))
    + normal(z, torch.zeros(()), torch.ones(()))
    - normal(z, mu, logvar.exp())
)
second = {
    "W": weight,
    "b": bias,
    "sigma2": sigma2,
    "x": x,
    "mu": mu,
    "logvar": logvar,
    "eps": noise,
    "log_w": log_w,
    "iwae_6": log_w.logsumexp(0) - math.log(6),
}


# Dictionaries: `z = (x - b_dec) W_enc + b_enc`, `r = f W_dec + b_dec`, with the squared error without a factor 1/2.
D, UNITS, ROWS = 5, 7, 6
dead = torch.tensor([False, True, False, True, False, False, True])
inputs = 1.5 * torch.randn(ROWS, D) + 0.3


def parameters(names):
    """Random parameters. A matrix is scaled so that atoms have different lengths."""
    shapes = {"W_enc": (D, UNITS), "W_dec": (UNITS, D), "b_dec": (D,)}
    made = {}
    for name in names:
        shape = shapes.get(name, (UNITS,))
        if name == "threshold":
            made[name] = 0.2 + 0.3 * torch.rand(shape)
        else:
            made[name] = (0.7 if len(shape) == 2 else 0.3) * torch.randn(shape)
    return {name: value.requires_grad_() for name, value in made.items()}


def largest(scores, count):
    """1 for the `count` largest of all scores, and 0 for the others."""
    chosen = torch.zeros(scores.numel())
    chosen[scores.flatten().argsort(descending=True)[:count]] = 1
    return chosen.reshape(scores.shape)


class Jump(torch.autograd.Function):
    """`z^power [z > threshold]`, with the derivative by the threshold estimated within half a width of it."""

    @staticmethod
    def forward(ctx, z, threshold, width, through_input, power):
        ctx.save_for_backward(z, threshold)
        ctx.settings = width, through_input, power
        return (z**power) * (z > threshold)

    @staticmethod
    def backward(ctx, by_output):
        (z, threshold), (width, through_input, power) = ctx.saved_tensors, ctx.settings
        near = ((z - threshold).abs() < width / 2) / width
        jump = near * (threshold if power else 1) * by_output
        by_z = (z > threshold) * by_output if power else torch.zeros_like(z)
        return by_z + (jump if through_input else 0), -jump.sum(0), None, None, None


def mean_square(error):
    return (error**2).sum(1).mean()


def dictionary(name, config):
    gated, jump = name == "gated", name.startswith("jumprelu")
    names = ["W_enc", "W_dec", "b_dec"]
    names += ["b_gate", "r_mag", "b_mag"] if gated else ["b_enc"]
    p = parameters(names + (["threshold"] if jump else []))
    l1, l0, rows = 0.3, 0.7, inputs.clone()
    product = (rows - p["b_dec"]) @ p["W_enc"]
    z = product + p["b_gate" if gated else "b_enc"]
    lengths = p["W_dec"].norm(dim=1)
    losses, extra, before, after = {}, {}, None, None
    k = config.get("k")
    if gated:
        acts = (z > 0) * torch.relu(product * p["r_mag"].exp() + p["b_mag"])
    elif jump:
        width, through_input = config["jumprelu_bandwidth"], config["jumprelu_ste_to_input"]
        acts = Jump.apply(z, p["threshold"], width, through_input, 1)
    elif name == "standard":
        acts = torch.relu(z)
    else:
        scores = (z * lengths).detach()
        by_row = torch.stack([largest(row, k) for row in scores])
        acts = torch.relu(z) * (by_row if name == "topk" else largest(scores, k * ROWS))
    output = acts @ p["W_dec"] + p["b_dec"]
    losses["mse_loss"] = mean_square(rows - output)
    if name == "standard":
        losses["l1_loss"] = l1 * (acts * lengths).sum(1).mean()
    if gated:
        gate, (atoms, bias) = torch.relu(z), (p["W_dec"], p["b_dec"])
        if config["frozen"]:
            atoms, bias = atoms.detach(), bias.detach()
        losses["l1_loss"] = l1 * (gate * lengths).sum(1).mean()
        losses["auxiliary_reconstruction_loss"] = mean_square(rows - gate @ atoms - bias)
    if name == "jumprelu_tanh":
        scale, raised = config["jumprelu_tanh_scale"], config["pre_act_loss_coefficient"]
        losses["l0_loss"] = l0 * torch.tanh(scale * acts * lengths).sum(1).mean()
        losses["pre_act_loss"] = raised * (torch.relu(p["threshold"] - z) * dead * lengths).sum(1).mean()
    elif jump:
        count = Jump.apply(z, p["threshold"], width, through_input, 0).sum(1)
        target = config.get("target_l0")
        losses["l0_loss"] = l0 * (2 / target * (count - target) ** 2 if target else count).mean()
    if k:
        wanted = D // 2
        few = min(wanted, int(dead.sum()))
        scores = (z * lengths).detach().masked_fill(~dead, -torch.inf)
        chosen = torch.stack([largest(row, few) for row in scores])
        error = (rows - output).detach() - (z * chosen) @ p["W_dec"]
        losses["auxiliary_reconstruction_loss"] = min(1, int(dead.sum()) / wanted) * mean_square(error)
    for width in config.get("matryoshka_widths", [])[:-1]:
        inner = acts[:, :width] @ p["W_dec"][:width] + p["b_dec"]
        losses[f"inner_mse_loss_{width}"] = mean_square(rows - inner)
    if name in ("batchtopk", "matryoshka_batchtopk"):
        kept = (acts * lengths).detach()
        before = 0.37
        after = before + 0.01 * (kept[kept > 0].min() - before)
    loss = sum(losses.values())
    loss.backward()
    scaled = bool(config["rescale_acts_by_decoder_norm"]) if k else False
    with torch.no_grad():
        trained = acts if after is None else torch.relu(z) * (z * lengths > after)
        extra = {
            "feature_acts": acts * lengths if scaled else acts,
            "sae_out": output,
            "inference_acts": trained * lengths if scaled else trained,
            "inference_out": trained @ p["W_dec"] + p["b_dec"],
        }
    return {
        "params": p,
        "x": rows,
        "dead": dead,
        "coefficients": {"l1": l1, "l0": l0},
        "config": config,
        **extra,
        "losses": losses,
        "loss": loss,
        "grads": {name: value.grad for name, value in p.items() if value.grad is not None},
        "threshold_before": before,
        "threshold_after": after,
    }


jump = {"jumprelu_bandwidth": 0.5, "jumprelu_ste_to_input": False}
largest_k = {"k": 2, "aux_loss_coefficient": 1.0, "rescale_acts_by_decoder_norm": True}
raised = {"jumprelu_ste_to_input": True, "jumprelu_tanh_scale": 4.0, "pre_act_loss_coefficient": 0.1}
dictionaries = {
    "standard": {},
    "gated": {"frozen": True},
    "topk": largest_k,
    "batchtopk": largest_k,
    "jumprelu": jump,
    "jumprelu_tanh": {**jump, **raised},
    "jumprelu_quadratic": {**jump, "target_l0": 2},
    "matryoshka_batchtopk": {**largest_k, "matryoshka_widths": [2, 4, 7]},
}
dictionaries = {f"sae_{name}": dictionary(name, config) for name, config in dictionaries.items()}

points = torch.randn(9, 3)
median = points.mean(0)
for _ in range(1000):
    weights = 1 / (points - median).norm(dim=1)
    median = (weights[:, None] * points).sum(0) / weights.sum()
third = {"points": points, "median": median}


OUTPUTS = 3


def transcoder(with_threshold, with_skip):
    """A transcoder: `y = f W_dec + x W_skip^T + b_dec` for a code `f` of `x W_enc + b_enc`."""
    p = {
        "W_enc": 0.7 * torch.randn(D, UNITS),
        "b_enc": 0.3 * torch.randn(UNITS),
        "W_dec": 0.7 * torch.randn(UNITS, OUTPUTS),
        "b_dec": 0.3 * torch.randn(OUTPUTS),
    }
    if with_threshold:
        p["threshold"] = 0.2 + 0.3 * torch.rand(UNITS)
    if with_skip:
        p["W_skip"] = 0.7 * torch.randn(OUTPUTS, D)
    x = torch.randn(ROWS, D)
    z = x @ p["W_enc"] + p["b_enc"]
    acts = z.relu() * (z > p["threshold"]) if with_threshold else z.relu()
    out = acts @ p["W_dec"] + p["b_dec"]
    return {"params": p, "x": x, "acts": acts, "out": out + x @ p["W_skip"].T if with_skip else out}


transcoders = {
    f"sae_{jump}{skip}transcoder": transcoder(bool(jump), bool(skip))
    for jump in ["", "jumprelu_"]
    for skip in ["", "skip_"]
}


def plain(value):
    """Tensors as lists of numbers."""
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    return value.tolist() if isinstance(value, torch.Tensor) else value


def stored(name, case):
    """Configuration and tensors of the trained dictionary. Those that compare by lengths have atoms of length 1."""
    p = {key: value.detach().clone() for key, value in case["params"].items()}
    if name.endswith("transcoder"):
        config = {"architecture": name, "d_in": D, "d_sae": UNITS, "d_out": OUTPUTS, "dtype": "float32"}
        config.update(apply_b_dec_to_input=False, normalize_activations="none", reshape_activations="none")
        config.update(device="cpu", metadata={})
        return config, {key: value.float().contiguous() for key, value in p.items()}
    config = {"architecture": name, "d_in": D, "d_sae": UNITS, "dtype": "float32", "apply_b_dec_to_input": True}
    config.update(normalize_activations="none", reshape_activations="none", device="cpu", metadata={})
    if "k" in case["config"]:
        lengths = p["W_dec"].norm(dim=1)
        p["W_enc"], p["b_enc"] = p["W_enc"] * lengths, p["b_enc"] * lengths
        p["W_dec"] = p["W_dec"] / lengths[:, None]
    if name == "topk":
        config.update(k=case["config"]["k"], rescale_acts_by_decoder_norm=True)
    elif case["threshold_after"] is not None:
        config["architecture"] = "jumprelu"
        p["threshold"] = torch.full((UNITS,), float(case["threshold_after"]))
    elif name.startswith("jumprelu"):
        config["architecture"] = "jumprelu"
    return config, {key: value.float().contiguous() for key, value in p.items()}


if arguments.folders:
    from pathlib import Path

    from safetensors.torch import save_file

    for name, case in {**dictionaries, **transcoders}.items():
        folder = Path(arguments.folders) / name.removeprefix("sae_")
        folder.mkdir(parents=True, exist_ok=True)
        config, tensors = stored(folder.name, case)
        (folder / "cfg.json").write_text(json.dumps(config))
        save_file(tensors, folder / "sae_weights.safetensors")

cases = {"kl": first, "iwae_linear_gaussian": second, **dictionaries, "geometric_median": third, **transcoders}
print(json.dumps(plain(cases)))
