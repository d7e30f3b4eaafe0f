"""Two models on one word, side by side: does a score that knows positions alone look where one looks that reads the letters?

    python examples/two_models.py

Both learn to write words backwards (data as in reversal.py), one with the general score and one with location; under a minute.
"""

import tempfile
from pathlib import Path

from reversal import words

import jumok
from jumok import explain

MODELS = ("general", "location")


def main() -> None:
    """Make data, train both, print their attention side by side and write it as SVG."""
    pairs = [f"{word}\t{word[::-1]}\n" for word in words(4200)]
    with tempfile.TemporaryDirectory() as folder:
        train, dev = Path(folder) / "train.tsv", Path(folder) / "dev.tsv"
        train.write_text("".join(pairs[200:]), encoding="utf-8")
        dev.write_text("".join(pairs[:200]), encoding="utf-8")
        found = []
        for attention in MODELS:
            out = Path(folder) / attention
            jumok.train(
                train, dev=dev, out=out, attention=attention, steps=400, dropout=0.1, embedding=32, hidden=64, readout_size=64
            )
            found.append(jumok.load(out).translate("abcdefgh"))
    comparison = explain.compare(*found, names=MODELS)
    print(explain.comparison_terminal(comparison))
    explain.write(comparison, "two_models.svg")


if __name__ == "__main__":
    main()
