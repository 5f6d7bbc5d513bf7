"""Prints reference numbers for stochastic codes, computed by PyTorch in float64.

Run:  python make_golden_beyond.py --seed 7 > golden_beyond.json      (needs only `torch`)

  * kl: z = mu + exp(logvar / 2) eps; KL(N(mu, exp(logvar)) || N(0, I)) of each unit and of each example, in nats; free
    bits of half a nat a unit, on the batch mean of each unit and on each example;
  * iwae_linear_gaussian: x ~ N(W z + b, sigma2 I), z ~ N(0, I): the logarithms of the importance weights of six
    samples, and the bound that they give.
"""

import argparse
import json
import math

import torch

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=7)
torch.manual_seed(parser.parse_args().seed)
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
cases = {"kl": first, "iwae_linear_gaussian": second}
print(
    json.dumps(
        {
            name: {key: getattr(value, "tolist", lambda value=value: value)() for key, value in case.items()}
            for name, case in cases.items()
        }
    )
)
