#!/usr/bin/env python3
"""Writes examples/data/wdbc.csv and wdbc_missing.csv from scikit-learn's copy of the UCI table (needs scikit-learn).

Usage: python3 scripts/make_example_data.py
"""

import csv, os
from sklearn.datasets import load_breast_cancer

FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "examples/data")


def write(name, header, rows):
    with open(os.path.join(FOLDER, name), "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


table = load_breast_cancer()
names = [name.replace(" ", "_") for name in table.feature_names]
text = lambda value: repr(int(value)) if value == int(value) else repr(float(value))
rows = [
    [f"P{number:03}", table.target_names[target], *map(text, values)]
    for number, (values, target) in enumerate(zip(table.data, table.target), 1)
]
write("wdbc.csv", ["id", "diagnosis", *names], rows)

# The first ten measurements. In row r (from 1) that of column c (from 0) is empty where 7 r + 3 c is a multiple of 11.
missing = [
    row[:2] + ["" if (7 * r + 3 * c) % 11 == 0 else cell for c, cell in enumerate(row[2:12])]
    for r, row in enumerate(rows, 1)
]
write("wdbc_missing.csv", ["id", "diagnosis", *names[:10]], missing)
print(sum(cell == "" for row in missing for cell in row), "of", 10 * len(missing), "cells are empty")
