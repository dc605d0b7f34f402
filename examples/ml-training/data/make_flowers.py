"""Writes flowers.csv: made-up measurements of two kinds of flowers, a few of them broken."""

import csv
import random
from pathlib import Path

chance = random.Random(7)
rows = [
    (kind, f"{chance.gauss(petal, 0.4):.2f}", f"{chance.gauss(sepal, 0.4):.2f}")
    for kind, petal, sepal in [("small", 1.5, 5.0), ("large", 4.5, 6.5)] * 60
]
rows[10] = ("small", "", "5.1")
rows[20] = ("large", "n/a", "6.4")
with (Path(__file__).parent / "flowers.csv").open("w", newline="") as stream:
    csv.writer(stream, lineterminator="\n").writerows([("kind", "petal", "sepal"), *rows])
