"""Writes sentences.csv: made-up English sentences, what textkit measures of them, and whether they are hard to read.

Run it from the project's folder: `PYTHONPATH=src python data/make_sentences.py`. The same script writes the same file.
Like collected data, the file has flaws: some cells are empty, some rows stand there twice, some numbers are broken.
"""

from __future__ import annotations

import csv
import random
from pathlib import Path

from textkit import readability

ROWS = 400
SEED = 20240229
COLUMNS = (
    "id",
    "genre",
    "sentence",
    "words",
    "letters_per_word",
    "syllables_per_word",
    "long_words",
    "label",
)
EASE_OF_HARD = 25.0
NOISE = 25.0
SHARE_OF_HARD_WORDS = {"story": 0.15, "news": 0.45, "law": 0.8}

EASY = {
    "subject": ["the cat", "my friend", "a boy", "the old man", "our dog", "she", "the teacher", "a small bird"],
    "verb": ["saw", "took", "found", "liked", "held", "lost", "made", "gave back"],
    "object": ["a red ball", "the boat", "some bread", "the key", "a good book", "the long road", "his hat", "a map"],
    "place": ["in the park", "by the sea", "at home", "on the hill", "near the farm", "in town", "under a tree"],
    "link": ["and", "but", "when", "so"],
}
HARD = {
    "subject": [
        "the administrative committee",
        "an independent investigation",
        "the international organisation",
        "every participating institution",
        "the responsible representative",
        "a comprehensive evaluation",
    ],
    "verb": ["acknowledged", "subsequently established", "reconsidered", "authorised", "systematically documented"],
    "object": [
        "the constitutional requirements",
        "an unprecedented interpretation",
        "considerable environmental consequences",
        "the financial implications",
        "additional responsibilities",
        "a preliminary recommendation",
    ],
    "place": [
        "throughout the metropolitan area",
        "in accordance with international regulations",
        "during the parliamentary negotiations",
        "within the municipal administration",
    ],
    "link": ["notwithstanding that", "whereas", "although", "inasmuch as"],
}


def main() -> None:
    """Write the file beside this script."""
    random_ = random.Random(SEED)
    rows = [row(number, random_) for number in range(1, ROWS + 1)]
    with (Path(__file__).parent / "sentences.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(with_flaws(rows, random_))


def row(number: int, random_: random.Random) -> list[str]:
    """One sentence with what is measured of it, and a label as a reader with a mood of their own would give it."""
    genre = random_.choice(sorted(SHARE_OF_HARD_WORDS))
    sentence = written(SHARE_OF_HARD_WORDS[genre], random_)
    measured = readability(sentence)
    felt = measured.reading_ease + random_.gauss(0, NOISE)
    return [
        f"s{number:04}",
        genre,
        sentence,
        f"{measured.words_per_sentence:.0f}",
        f"{measured.letters_per_word:.2f}",
        f"{measured.syllables_per_word:.2f}",
        f"{measured.long_words:.2f}",
        "hard" if felt < EASE_OF_HARD else "easy",
    ]


def written(hard_share: float, random_: random.Random) -> str:
    """A sentence of one to three clauses."""
    text = ""
    for clause in range(random_.randint(1, 3)):
        kinds = ("subject", "verb", "object", "place") if random_.random() < 0.6 else ("subject", "verb", "object")
        kinds = ("link", *kinds) if clause else kinds
        chosen = [random_.choice((HARD if random_.random() < hard_share else EASY)[kind]) for kind in kinds]
        text += (", " if clause else "") + " ".join(chosen)
    return f"{text[0].upper()}{text[1:]}."


def with_flaws(rows: list[list[str]], random_: random.Random) -> list[list[str]]:
    """The rows with some cells emptied, some numbers broken and some rows repeated."""
    flawed = []
    for cells in rows:
        kept = list(cells)
        chance = random_.random()
        if chance < 0.05:
            kept[random_.randrange(1, len(kept))] = ""
        elif chance < 0.07:
            kept[random_.randrange(3, 7)] = "n/a"
        flawed.append(kept)
        if random_.random() < 0.06:
            flawed.append(list(kept))
    return flawed


if __name__ == "__main__":
    main()
