#!/usr/bin/env python3
"""The workloads of `cargo bench -p ae-train --bench peers`, in PyTorch: the same networks, losses, batches, Adam and
JSON lines.

    python3 -m venv .venv && .venv/bin/pip install torch numpy
    .venv/bin/python scripts/pytorch_peer.py mnist_mlp --steps 100 [--device cuda] [--compile]

A step is zero_grad, loss, backward, fused Adam and one read of the loss, on a batch that is in memory. On a GPU the
losses of 16 steps are read at once, as in ours, and a step's time is a sixteenth of theirs.
"""

import argparse, json, resource, statistics, time

import torch
import torch.nn.functional as F
from torch import nn


def dense(*widths, hidden=nn.ReLU, last=None):
    parts = []
    for index, (wide, to) in enumerate(zip(widths, widths[1:])):
        activation = last if index == len(widths) - 2 else hidden
        parts += [nn.Linear(wide, to)] + ([activation()] if activation else [])
    return nn.Sequential(*parts)


def error(x, r):
    return 0.5 * F.mse_loss(r, x, reduction="none").sum(1).mean()


def plain(*widths):
    network = dense(*widths, last=nn.Sigmoid)
    return network, lambda x: error(x, network(x))


def conv():
    network = nn.Sequential(
        nn.Unflatten(1, (1, 28, 28)),
        nn.Conv2d(1, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(1568, 32),
        nn.Linear(32, 1568),
        nn.ReLU(),
        nn.Unflatten(1, (32, 7, 7)),
        nn.ConvTranspose2d(32, 16, 3, stride=2, padding=1, output_padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(16, 1, 3, stride=2, padding=1, output_padding=1),
        nn.Sigmoid(),
        nn.Flatten(),
    )
    return network, lambda x: error(x, network(x))


def denoising():
    network = dense(784, 512, 784, last=nn.Sigmoid)
    return network, lambda x: error(x, network(x + 0.3 * torch.randn_like(x)))


def contractive_shallow():
    encoder, decoder = nn.Linear(784, 1000), nn.Linear(1000, 784)

    def loss(x):
        h = torch.sigmoid(encoder(x))
        norm2 = (h - h * h).square() @ encoder.weight.square().sum(1)
        return error(x, torch.sigmoid(decoder(h))) + 0.1 * norm2.mean()

    return nn.ModuleList([encoder, decoder]), loss


def contractive_deep():
    encoder = dense(784, 256, 64, hidden=nn.Sigmoid, last=nn.Sigmoid)
    decoder = dense(64, 256, 784, last=nn.Sigmoid)

    def loss(x):
        h, tangent = torch.func.jvp(encoder, (x,), (torch.randn_like(x),))
        return error(x, decoder(h)) + 0.1 * tangent.square().sum(1).mean()

    return nn.ModuleList([encoder, decoder]), loss


def sparse_topk():
    encoder, decoder = nn.Linear(384, 6144), nn.Linear(6144, 384)

    def loss(x):
        z = torch.relu(encoder(x))
        kept, places = z.topk(32, dim=1, sorted=False)
        return error(x, decoder(torch.zeros_like(z).scatter(1, places, kept)))

    return nn.ModuleList([encoder, decoder]), loss


def variational():
    encoder, decoder = dense(784, 400, 40), dense(20, 400, 784)

    def loss(x):
        mean, logvar = encoder(x).chunk(2, 1)
        h = mean + torch.exp(0.5 * logvar) * torch.randn_like(mean)
        likelihood = F.binary_cross_entropy_with_logits(decoder(h), x, reduction="none").sum(1)
        return (likelihood + 0.5 * (mean**2 + logvar.exp() - 1 - logvar).sum(1)).mean()

    return nn.ModuleList([encoder, decoder]), loss


# What makes the network and its loss, the input's width, the batch, and the steps.
WORKLOADS = {
    "digits_mlp": (lambda: plain(64, 32, 10, 32, 64), 64, 64, 2000),
    "mnist_mlp": (lambda: plain(784, 256, 64, 256, 784), 784, 128, 300),
    "deep_mlp": (lambda: plain(784, 1000, 500, 250, 30, 250, 500, 1000, 784), 784, 256, 60),
    "conv": (conv, 784, 128, 60),
    "denoising": (denoising, 784, 128, 200),
    "contractive_shallow": (contractive_shallow, 784, 128, 100),
    "contractive_deep": (contractive_deep, 784, 128, 150),
    "sparse_topk": (sparse_topk, 384, 1024, 15),
    "variational": (variational, 784, 128, 200),
    # What ours does with Burn's own layers, and what Burn does alone; here the same as `mnist_mlp`.
    "own_network": (lambda: plain(784, 256, 64, 256, 784), 784, 128, 300),
    "own_dense": (lambda: plain(784, 256, 64, 256, 784), 784, 128, 300),
    "burn_alone": (lambda: plain(784, 256, 64, 256, 784), 784, 128, 300),
}


def run(name, steps, threads, device, compiled):
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    make, width, batch, default = WORKLOADS[name]
    steps = steps or default
    torch.set_default_device(device)
    (network, loss), x = make(), torch.rand(batch, width)
    adam = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
    loss = torch.compile(loss) if compiled else loss
    every = 1 if device == "cpu" else 16
    warm = -(-max(5, steps // 10) // every)
    times, losses = [], []
    for _ in range(warm - -steps // every):
        start = time.perf_counter()
        unread = []
        for _ in range(every):
            adam.zero_grad()
            value = loss(x)
            value.backward()
            adam.step()
            unread.append(value.detach())
        losses += [unread[0].item()] if every == 1 else torch.stack(unread).tolist()
        times.append((time.perf_counter() - start) / every)
    ms = 1e3 * statistics.median(times[warm:])
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        json.dumps(
            {
                "peer": f"torch-{torch.__version__}{'-compiled' if compiled else ''}",
                "workload": name,
                "batch": batch,
                "ms_per_step": ms,
                "mean_ms": 1e3 * statistics.fmean(times[warm:]),
                "samples_per_s": round(1e3 * batch / ms),
                "peak_rss_mb": memory,
                "loss_first": losses[0],
                "loss_last": losses[-1],
            }
        ),
        flush=True,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", choices=[*WORKLOADS, []])
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu", help="of PyTorch's: cpu, cuda, mps")
    parser.add_argument("--compile", action="store_true", help="the loss through torch.compile")
    arguments = parser.parse_args()
    for workload in arguments.workloads or WORKLOADS:
        run(workload, arguments.steps, arguments.threads, arguments.device, arguments.compile)
