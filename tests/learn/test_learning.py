"""It learns: every attention on a toy, and the default recipe on real words. Minutes, so marked slow."""

import random

import pytest

import jumok
from jumok.measure import measure
from jumok.scores import ATTENTIONS
from jumok.text import read_pairs

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def reversal(tmp_path_factory):
    """Words of 6 to 10 letters, to be written backwards."""
    random_ = random.Random(0)
    words = sorted({"".join(random_.choices("abcdefghijkl", k=random_.randint(6, 10))) for _ in range(4000)})
    path = tmp_path_factory.mktemp("data") / "pairs.tsv"
    path.write_text("".join(f"{w}\t{w[::-1]}\n" for w in words), encoding="utf-8")
    return path


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_reversal_needs_attention(reversal, tmp_path, attention):
    done = jumok.train(
        reversal,
        out=tmp_path / "m",
        attention=attention,
        steps=500,
        evaluate_every=50,  # a fixed number: by default it follows the machine's speed, and a fast one learns before it looks
        hidden=64,
        embedding=32,
        dropout=0.0,
        learning_rate=1e-2,
        quiet=True,
    )
    losses = [entry["loss"] for entry in done.history]
    assert losses[-1] < losses[0] / 2
    if attention in ("dot", "general", "concat"):  # one vector, or positions without content, need longer than this
        assert done.best > 90


def test_default_recipe_on_real_words(shared_data, tmp_path):
    train, dev, test = (shared_data(f"sigmorphon2020-g2p/hin_{part}.tsv") for part in ("train", "dev", "test"))
    done = jumok.train(train, dev=dev, out=tmp_path / "m", target_tokenizer="space", steps=700, quiet=True)
    model = jumok.load(done.folder)
    pairs = read_pairs(str(test), model.config.text, warn=print)
    outputs = [t.text for t in model.translate([p.source for p in pairs])]
    assert measure("accuracy", outputs, [[p.target] for p in pairs]).detail["wer"] < 20
