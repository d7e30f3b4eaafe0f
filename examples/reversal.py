"""A toy with a known answer: learn to write a word backwards, then see attention walk from the last letter to the first.

    python examples/reversal.py

It makes its own data, trains in well under a minute, and needs nothing else.
"""

import random
import tempfile
from pathlib import Path

import jumok
from jumok.explain import to_terminal

LETTERS = "abcdefgh"


def write_pairs(path: Path, lines: int, seed: int) -> None:
    """`lines` random words of 3 to 8 letters, each with its reversal, as a TSV."""
    rng = random.Random(seed)
    words = ["".join(rng.choices(LETTERS, k=rng.randint(3, 8))) for _ in range(lines)]
    path.write_text("".join(f"{word}\t{word[::-1]}\n" for word in words), encoding="utf-8")


def main() -> None:
    """Make data, train, print one attention."""
    with tempfile.TemporaryDirectory() as folder:
        train, dev, out = (Path(folder) / name for name in ("train.tsv", "dev.tsv", "model"))
        write_pairs(train, 4000, seed=1)
        write_pairs(dev, 200, seed=2)
        # plain attention on a small model: 600 steps are enough, and the alignment has to come from it
        jumok.train(train, dev=dev, out=out, steps=600, dropout=0.1, embedding=32, hidden=64, readout_size=64)

        translation = jumok.load(out).translate("abcdefgh")
        print(translation.text)
        print(to_terminal(translation))


if __name__ == "__main__":
    main()
