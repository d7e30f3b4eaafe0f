"""Translation with subwords: trains on two parallel files (or a TSV), measures BLEU, and writes the attention of one line.

    python examples/translation_bpe.py train.en,train.de dev.en,dev.de test.en,test.de --minutes 15

For small data (tens of thousands of sentences), one vocabulary of subwords over both languages and one table of embeddings
for encoder, decoder and output layer is what makes training fast; both are the default where both sides are bpe.
"""

import argparse
import sys

import jumok
from jumok import explain
from jumok.config import TextConfig
from jumok.measure import measure
from jumok.text import read_pairs


def main() -> None:
    """Train, measure, look."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("train", help="SOURCE,TARGET: two parallel files; or one TSV")
    arguments.add_argument("dev")
    arguments.add_argument("test")
    arguments.add_argument("--out", default="translation-model")
    arguments.add_argument("--minutes", type=float, default=15)
    arguments.add_argument("--bpe-size", type=int, default=8000)
    given = arguments.parse_args()

    jumok.train(
        given.train,
        dev=given.dev,
        out=given.out,
        source_tokenizer="bpe",
        target_tokenizer="bpe",
        bpe_size=given.bpe_size,
        minutes=given.minutes,
    )
    model = jumok.load(given.out)
    pairs = read_pairs(given.test, TextConfig(), warn=lambda text: print(text, file=sys.stderr))
    translations = model.translate([pair.source for pair in pairs], beam=5)
    for name in ("bleu", "chrf"):
        measured = measure(name, [t.text for t in translations], [[pair.target] for pair in pairs])
        print(f"{measured.value:.2f}  {measured.signature}")

    first = translations[0]
    print(first.source, first.text, sep="\n")
    with open("attention.svg", "w", encoding="utf-8") as f:
        f.write(explain.to_svg(first))


if __name__ == "__main__":
    main()
