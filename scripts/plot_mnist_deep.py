#!/usr/bin/env python3
"""Draws docs/gallery/mnist_deep.svg: squared error of the validation images by epoch, beside PCA and the paper.

Usage: python3 scripts/plot_mnist_deep.py docs/gallery/mnist_deep.svg RUN [RUN ...]
where each RUN is a folder of `ae train --config examples/mnist_deep.toml --data mnist --seed N`.
"""

import csv, json, os, sys

PIXELS, PAPER = 784, 3.00
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 300, 48, 16, 16, 40
HIGHEST = 15.0

out, *runs = sys.argv[1:]
curves, tests, pca = [], [], []
for run in runs:
    with open(os.path.join(run, "metrics.csv")) as file:
        curves.append([float(row["valid_mse"]) * PIXELS for row in csv.DictReader(file)])
    with open(os.path.join(run, "summary.json")) as file:
        summary = json.load(file)
    tests.append(summary["test"]["sse"])
    pca.append(summary["test"]["pca"]["sse"])
epochs = max(map(len, curves))
x = lambda epoch: LEFT + (epoch - 1) / (epochs - 1) * (WIDTH - LEFT - RIGHT)
y = lambda error: TOP + (1 - error / HIGHEST) * (HEIGHT - TOP - BOTTOM)
text = lambda at, height, words, anchor="start": (
    f'<text x="{at:.1f}" y="{height:.1f}" text-anchor="{anchor}" font-family="sans-serif" font-size="13" fill="#777">'
    f"{words}</text>"
)
level = lambda error, color: (
    f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(error):.1f}" y2="{y(error):.1f}" stroke="{color}" '
    'stroke-dasharray="6 4" stroke-width="1.5"/>'
)
parts = [
    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">',
    "<title>Squared error per image of MNIST by epoch, from a code of 30 units</title>",
]
for tick in range(0, 16, 3):
    parts += [
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" stroke="#8883"/>',
        text(LEFT - 8, y(tick) + 4, tick, "end"),
    ]
parts += [text(x(tick), HEIGHT - 18, tick, "middle") for tick in (1, *range(5, epochs + 1, 5))]
parts += [
    text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 2, "epoch", "middle"),
    level(pca[0], "#d08030"),
    text(WIDTH - RIGHT, y(pca[0]) + 16, f"PCA, 30 components, test images: {pca[0]:.2f}", "end"),
    level(PAPER, "#888"),
    text(WIDTH - RIGHT, y(PAPER) + 20, f"Hinton and Salakhutdinov (2006), test images: {PAPER:.2f}", "end"),
]
for curve in curves:
    points = " ".join(f"{x(epoch):.1f},{y(min(error, HIGHEST)):.1f}" for epoch, error in enumerate(curve, 1))
    parts.append(f'<polyline points="{points}" fill="none" stroke="#4a80c0" stroke-width="2"/>')
shown = ", ".join(f"{test:.2f}" for test in tests)
words = f"784-1000-500-250-30 with batch norm, validation images; test images at the end: {shown}"
parts.append(text(WIDTH - RIGHT, y(8.2), words, "end"))
with open(out, "w") as file:
    file.write("\n".join([*parts, "</svg>\n"]))
print(f"test squared error per image {shown}; PCA {pca[0]:.2f}")
