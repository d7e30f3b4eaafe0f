"""A toy with a known answer: learn to write a word backwards, then see attention walk from the last letter to the first.

    python examples/reversal.py

It makes its own data and trains in about half a minute.
"""

import random
import tempfile
from pathlib import Path

import jumok
from jumok.explain import to_terminal

LETTERS = "abcdefgh"


def words(count: int) -> list[str]:
    """`count` different random words of 4 to 8 letters."""
    rng = random.Random(1)
    found: set[str] = set()
    while len(found) < count:
        found.add("".join(rng.choices(LETTERS, k=rng.randint(4, 8))))
    return sorted(found, key=lambda word: rng.random())


def main() -> None:
    """Make data, train, print one attention."""
    pairs = [f"{word}\t{word[::-1]}\n" for word in words(4200)]
    with tempfile.TemporaryDirectory() as folder:
        train, dev, out = (Path(folder) / name for name in ("train.tsv", "dev.tsv", "model"))
        train.write_text("".join(pairs[200:]), encoding="utf-8")
        dev.write_text("".join(pairs[:200]), encoding="utf-8")
        # small sizes and little dropout, since the rule is simple and the data follow it without exception
        jumok.train(train, dev=dev, out=out, steps=400, dropout=0.1, embedding=32, hidden=64, readout_size=64)

        translation = jumok.load(out).translate("abcdefgh")
        print(translation.text)
        print(to_terminal(translation))


if __name__ == "__main__":
    main()
