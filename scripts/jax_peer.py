#!/usr/bin/env python3
"""The workloads of `cargo bench -p ae-train --bench peers`, in JAX: the same networks, losses, batches, Adam and JSON
lines.

    python3 -m venv .venv && .venv/bin/pip install jax optax
    .venv/bin/python scripts/jax_peer.py mnist_mlp --steps 100

A step is one compiled function (`jax.jit`, with the parameters and moments of the step before given up to it): loss,
gradients and Adam of optax, on a batch that is in memory, and one read of the loss. Compiling is not part of a step.
"""

import argparse, functools, json, os, resource, statistics, time

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax, nn, random


def linear(key, wide, to):
    """A layer as PyTorch starts it: uniform within 1 / sqrt(inputs)."""
    of = wide**-0.5
    return {"w": random.uniform(key, (wide, to), minval=-of, maxval=of), "b": jnp.zeros(to)}


def dense(key, *widths):
    keys = random.split(key, len(widths) - 1)
    return [linear(*each) for each in zip(keys, widths, widths[1:])]


def affine(layer, x):
    return x @ layer["w"] + layer["b"]


def run_dense(layers, x, hidden=nn.relu, last=lambda y: y):
    for layer in layers[:-1]:
        x = hidden(affine(layer, x))
    return last(affine(layers[-1], x))


def error(x, r):
    return 0.5 * jnp.square(x - r).sum(1).mean()


def plain(*widths):
    return lambda key: dense(key, *widths), lambda layers, x, key: error(x, run_dense(layers, x, last=nn.sigmoid))


NHWC = ("NHWC", "HWIO", "NHWC")


def conv_start(key):
    keys, bound = random.split(key, 6), lambda inputs: (9 * inputs) ** -0.5
    kernel = lambda key, wide, to: {
        "w": random.uniform(key, (3, 3, wide, to), minval=-bound(wide), maxval=bound(wide)),
        "b": jnp.zeros(to),
    }
    return {
        "down": [kernel(keys[0], 1, 16), kernel(keys[1], 16, 32)],
        "code": [linear(keys[2], 1568, 32), linear(keys[3], 32, 1568)],
        "up": [kernel(keys[4], 32, 16), kernel(keys[5], 16, 1)],
    }


def conv_loss(p, x, key):
    y = x.reshape(-1, 28, 28, 1)
    for layer in p["down"]:
        y = lax.conv_general_dilated(y, layer["w"], (2, 2), [(1, 1), (1, 1)], dimension_numbers=NHWC)
        y = nn.relu(y + layer["b"])
    h = affine(p["code"][0], y.reshape(-1, 1568))
    y = nn.relu(affine(p["code"][1], h)).reshape(-1, 7, 7, 32)
    for layer, activation in zip(p["up"], (nn.relu, nn.sigmoid)):
        y = activation(lax.conv_transpose(y, layer["w"], (2, 2), "SAME", dimension_numbers=NHWC) + layer["b"])
    return error(x, y.reshape(-1, 784))


def denoising(layers, x, key):
    return error(x, run_dense(layers, x + 0.3 * random.normal(key, x.shape), last=nn.sigmoid))


def contractive_shallow(layers, x, key):
    encoder, decoder = layers
    h = nn.sigmoid(affine(encoder, x))
    norm2 = jnp.square(h - h * h) @ jnp.square(encoder["w"]).sum(0)
    return error(x, nn.sigmoid(affine(decoder, h))) + 0.1 * norm2.mean()


def contractive_deep(p, x, key):
    encode = lambda x: run_dense(p["encoder"], x, hidden=nn.sigmoid, last=nn.sigmoid)
    h, tangent = jax.jvp(encode, (x,), (random.normal(key, x.shape),))
    return error(x, run_dense(p["decoder"], h, last=nn.sigmoid)) + 0.1 * jnp.square(tangent).sum(1).mean()


def sparse_topk(layers, x, key):
    z = nn.relu(affine(layers[0], x))
    kept, places = lax.top_k(z, 32)
    h = jnp.zeros_like(z).at[jnp.arange(len(z))[:, None], places].set(kept)
    return error(x, affine(layers[1], h))


def variational(p, x, key):
    mean, logvar = jnp.split(run_dense(p["encoder"], x), 2, axis=1)
    h = mean + jnp.exp(0.5 * logvar) * random.normal(key, mean.shape)
    logits = run_dense(p["decoder"], h)
    divergence = 0.5 * (mean**2 + jnp.exp(logvar) - 1 - logvar).sum(1)
    return ((nn.softplus(logits) - x * logits).sum(1) + divergence).mean()


def two(encoder, decoder):
    return lambda key: {"encoder": dense(key, *encoder), "decoder": dense(random.fold_in(key, 1), *decoder)}


# What makes the parameters and the loss, the input's width, the batch, and the steps.
WORKLOADS = {
    "digits_mlp": (*plain(64, 32, 10, 32, 64), 64, 64, 2000),
    "mnist_mlp": (*plain(784, 256, 64, 256, 784), 784, 128, 300),
    "deep_mlp": (*plain(784, 1000, 500, 250, 30, 250, 500, 1000, 784), 784, 256, 60),
    "conv": (conv_start, conv_loss, 784, 128, 60),
    "denoising": (plain(784, 512, 784)[0], denoising, 784, 128, 200),
    "contractive_shallow": (plain(784, 1000, 784)[0], contractive_shallow, 784, 128, 100),
    "contractive_deep": (two((784, 256, 64), (64, 256, 784)), contractive_deep, 784, 128, 150),
    "sparse_topk": (plain(384, 6144, 384)[0], sparse_topk, 384, 1024, 15),
    "variational": (two((784, 400, 40), (20, 400, 784)), variational, 784, 128, 200),
    # What ours does with Burn's own layers, and what Burn does alone; here the same as `mnist_mlp`.
    **{name: (*plain(784, 256, 64, 256, 784), 784, 128, 300) for name in ("own_network", "own_dense", "burn_alone")},
}


def run(name, steps):
    start, loss, width, batch, default = WORKLOADS[name]
    steps = steps or default
    adam = optax.adam(1e-3)

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(parameters, state, x, index):
        key = random.fold_in(random.key(0), index)
        value, gradients = jax.value_and_grad(loss)(parameters, x, key)
        update, state = adam.update(gradients, state, parameters)
        return optax.apply_updates(parameters, update), state, value

    x = jnp.asarray(np.random.default_rng(0).random((batch, width), dtype=np.float32))
    parameters = start(random.key(0))
    state = adam.init(parameters)
    warm = max(5, steps // 10)
    times, losses, first = [], [], None
    for index in range(warm + steps):
        began = time.perf_counter()
        parameters, state, value = step(parameters, state, x, index)
        losses.append(float(value))
        times.append(time.perf_counter() - began)
        first = first or time.time()
    ms = 1e3 * statistics.median(times[warm:])
    line = {
        "peer": f"jax-{jax.__version__}",
        "workload": name,
        "batch": batch,
        "ms_per_step": ms,
        "mean_ms": 1e3 * statistics.fmean(times[warm:]),
        "samples_per_s": round(1e3 * batch / ms),
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "loss_first": losses[0],
        "loss_last": losses[-1],
    }
    if "BENCH_STARTED" in os.environ:
        line["first_step_s"] = round(first - float(os.environ["BENCH_STARTED"]), 4)
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", choices=[*WORKLOADS, []])
    parser.add_argument("--steps", type=int, default=0)
    arguments = parser.parse_args()
    for workload in arguments.workloads or WORKLOADS:
        run(workload, arguments.steps)
