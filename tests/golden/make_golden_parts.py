"""Prints reference values and gradients for parts that are combined, computed by PyTorch in float64.

Run:  python make_golden_parts.py --seed 3 > golden_parts.json      (needs only `torch`)

Every gradient is that of the batch mean of the named value. Weights are [d_in, d_out], row by row.

  * hessian: |J(x) - J(x + e)|_F^2 of h = sigmoid(x W + b), per example;
  * lifetime: of relu(z) the largest half of each unit's values over the batch; half the squared error of h V + c;
  * emphasis: 1/2 sum_i w_i (x_i - r_i)^2 with w = 1.5 where a value was hidden from the network and 0.25 where not;
  * mixed: a number by squared error, a truth value by Bernoulli logits, categories of 2 and of 3 levels by log-softmax;
  * tied: r = h W^T + c with h = tanh(x W + b), half the squared error;
  * layer_norm, batch_norm: r = phi(norm(x W + b)) V + c with phi = softplus, half the squared error; batch_norm with
    the statistics of the batch;
  * sparse_top_k: the 2 largest of 32 relu units, half the squared error;
  * mask: the encoder reads [x m, m]; half the squared error where m is 1.
"""

import argparse
import json

import torch
import torch.nn.functional as F

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=3)
torch.manual_seed(parser.parse_args().seed)
torch.set_default_dtype(torch.float64)


def leaves(**shapes):
    return {name: torch.randn(*shape).requires_grad_(True) for name, shape in shapes.items()}


def case(value, params, **given):
    grads = torch.autograd.grad(value.mean(), list(params.values()))
    made = {"params": params, "value": value, "grads": dict(zip(params, grads)), **given}
    made["grads"] = {key: None if grad.abs().max() < 1e-12 else grad for key, grad in made["grads"].items()}
    plain = lambda entry: (
        {k: plain(v) for k, v in entry.items()}
        if isinstance(entry, dict)
        else getattr(entry, "tolist", lambda: entry)()
    )
    return plain(made)


def error(x, r, weights=1.0):
    return 0.5 * (weights * (x - r) ** 2).sum(1)


x = torch.rand(6, 5)
cases = {}

p = leaves(w=(5, 3), b=(3,))
step = 0.3 * torch.randn(6, 5)
jacobian = lambda at: torch.vmap(torch.func.jacrev(lambda row: torch.sigmoid(row @ p["w"] + p["b"])))(at)
cases["hessian"] = case((jacobian(x) - jacobian(x + step)).square().sum((1, 2)), p, x=x, step=step)

p = leaves(w=(5, 4), b=(4,), v=(4, 5), c=(5,))
h = torch.relu(x @ p["w"] + p["b"])
kept = torch.zeros_like(h).scatter(0, h.topk(3, 0).indices, 1.0)
cases["lifetime"] = case(error(x, h * kept @ p["v"] + p["c"]), p, x=x, code=h * kept)

p = leaves(w=(5, 3), b=(3,), v=(3, 5), c=(5,))
hidden = (torch.rand(6, 5) < 0.4).double()
r = torch.sigmoid((x * (1 - hidden)) @ p["w"] + p["b"]) @ p["v"] + p["c"]
cases["emphasis"] = case(error(x, r, 1.5 * hidden + 0.25 * (1 - hidden)), p, x=x, hidden=hidden)

p = leaves(output=(6, 7))
row = torch.cat(
    [
        torch.randn(6, 1),
        (torch.rand(6, 1) < 0.5).double(),
        F.one_hot(torch.randint(2, (6,)), 2),
        F.one_hot(torch.randint(3, (6,)), 3),
    ],
    1,
)
o = p["output"]
value = error(row[:, :1], o[:, :1]) + F.binary_cross_entropy_with_logits(o[:, 1:2], row[:, 1:2], reduction="none").sum(
    1
)
value = value - (row[:, 2:4] * o[:, 2:4].log_softmax(1)).sum(1) - (row[:, 4:] * o[:, 4:].log_softmax(1)).sum(1)
cases["mixed"] = case(value, p, x=row)

p = leaves(w=(5, 3), b=(3,), c=(5,))
cases["tied"] = case(error(x, torch.tanh(x @ p["w"] + p["b"]) @ p["w"].T + p["c"]), p, x=x)

for name in ("layer_norm", "batch_norm"):
    p = leaves(w=(5, 4), b=(4,), gamma=(4,), beta=(4,), v=(4, 5), c=(5,))
    if name == "batch_norm":
        p["b"] = torch.zeros(4, requires_grad=True)  # the batch's mean takes it away: its gradient is 0
    z = x @ p["w"] + p["b"]
    over = 1 if name == "layer_norm" else 0
    y = (z - z.mean(over, keepdim=True)) / torch.sqrt(z.var(over, unbiased=False, keepdim=True) + 1e-5)
    cases[name] = case(error(x, F.softplus(y * p["gamma"] + p["beta"]) @ p["v"] + p["c"]), p, x=x)

p = leaves(w=(5, 32), b=(32,), v=(32, 5), c=(5,))
h = torch.relu(x @ p["w"] + p["b"])
values, places = h.topk(2, 1)
cases["sparse_top_k"] = case(error(x, torch.zeros_like(h).scatter(1, places, values) @ p["v"] + p["c"]), p, x=x, k=2)

p = leaves(w=(10, 3), b=(3,), v=(3, 5), c=(5,))
m = (torch.rand(6, 5) < 0.7).double()
r = torch.sigmoid(torch.cat([x * m, m], 1) @ p["w"] + p["b"]) @ p["v"] + p["c"]
cases["mask"] = case(error(x, r, m), p, x=x, observed=m)

print(json.dumps(cases))
