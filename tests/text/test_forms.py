"""Letters in two Unicode forms: found in training pairs, between training and dev, and between a model and what it reads."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from warned import Warned

import jumok
from jumok.config import TextConfig, TrainConfig, build
from jumok.decode.remarks import Remarks
from jumok.learn import data
from jumok.text.forms import Letters, other_form
from jumok.text.oddities import Oddities

WORDS = ["café", "über", "señor", "가방", "Việt", "плохой", "plain", "naïve", "für", "école"]


def decomposed(text: str) -> str:
    return unicodedata.normalize("NFD", text)


def told(sources: list[str], targets: list[str] | None = None, text: TextConfig = TextConfig()) -> list[str]:  # noqa: B008
    said: list[str] = []
    odd = Oddities(text, ["p.tsv"])
    odd.look(range(1, len(sources) + 1), sources, targets or ["x"] * len(sources))
    odd.tell(said.append)
    return said


def test_letters_in_two_forms_are_told() -> None:
    assert told(WORDS) == told([decomposed(w) for w in WORDS]) == []
    (line,) = told([*WORDS, decomposed("café"), "plain", decomposed("für")])
    assert line.startswith("p.tsv:11: 2 sources with letters in another Unicode form than in other lines (é ü),")
    assert "--source-form NFC" in line
    (line,) = told(["x"] * 11, [*WORDS, decomposed("가")])
    assert line.startswith("p.tsv:11: 1 target with") and "(가)" in line and "--target-form NFC" in line
    assert told([*WORDS, decomposed("café")], text=TextConfig(source_form="NFD")) == []
    assert told([*WORDS, decomposed("ô")]) == []  # no line has it in the other form


@given(st.lists(st.tuples(st.sampled_from(WORDS), st.booleans()), max_size=12), st.integers(0, 12))
def test_as_a_slow_search_finds_them_and_in_pieces(rows: list[tuple[str, bool]], cut: int) -> None:
    texts = [decomposed(word) if apart else word for word, apart in rows]
    whole, first, rest = Letters(), Letters(), Letters()
    numbers = range(1, len(texts) + 1)
    for letters, start, part in ((whole, 0, texts), (first, 0, texts[:cut]), (rest, cut, texts[cut:])):
        if part:
            letters.see(numbers, start, part, "\n".join(part))
    first.add(rest.facts())
    assert first.facts() == whole.facts()
    together = {c for word, apart in rows if not apart for c in word if decomposed(c) != c}
    apart = {c for word, taken in rows if taken for c in word if decomposed(c) != c}
    assert whole.both() == sorted(together & apart)
    lines = [n for n, text in zip(numbers, texts, strict=True) if unicodedata.normalize("NFC", text) != text]
    assert (whole.count, whole.first) == (len(lines), lines[0] if lines else 0)


@pytest.mark.parametrize(
    ("unknown", "known", "form"),
    [
        (["e", "\u0301"], ["a", "é"], "NFC"),
        (["é", "ö"], ["e", "o", "\u0301", "\u0308"], "NFD"),
        (["ж"], ["é", "a"], ""),
        (["ж", "ш", "\u0301"], ["é", "a"], ""),
        ([decomposed("가")[0]], ["가", "나"], "NFC"),
        (["가"], list(decomposed("가나")), "NFD"),
        ([decomposed("café")], ["café", "thé"], "NFC"),  # words as tokens
        (["fac"], ["café"], ""),  # a new word of known letters
        (["e"], ["é", "a"], ""),  # just another letter
        (["e", "\u0301"], ["e\u0300", "a"], ""),
        (["\u2126"], ["\u03a9"], "NFC"),  # ohm, omega
        ([], ["a"], ""),
    ],
)
def test_the_form_in_which_tokens_would_be_known(unknown: list[str], known: list[str], form: str) -> None:
    assert other_form(unknown, known) == form


def files(tmp_path: Path, train: list[str], dev: list[str]) -> TrainConfig:
    for name, words in (("t", train), ("d", dev)):
        (tmp_path / f"{name}.tsv").write_text("".join(f"{w}\t{w[::-1]}{name}\n" for w in words), encoding="utf-8")
    return build(
        TrainConfig, {"pairs": str(tmp_path / "t.tsv"), "dev": str(tmp_path / "d.tsv"), "out": str(tmp_path / "m")}, "test"
    )


def test_dev_in_another_form_or_script(tmp_path: Path) -> None:
    display = Warned()
    run = files(tmp_path, ["abé", "aéa", "bbé"] * 9, [decomposed("éab"), "ab", "ba"])
    data.read(run, None, display)
    source, target = display.lines
    assert source.startswith(
        "d.tsv:1: the model will not know 25.0 % of the source tokens of dev (1 of 3 pairs): e \u0301; write them in NFC"
    )
    assert target == (
        "d.tsv:1: the model will not know 45.5 % of the target tokens of dev (3 of 3 pairs): d \u0301 e; write them in NFC, as in the "
        "training pairs, or train with --target-form NFC"
    )
    display.lines.clear()
    data.read(files(tmp_path, ["abc", "cab"] * 9, ["abx", "xca", "acb", "bac"]), None, display)
    assert display.lines[0].endswith("of the source tokens of dev (2 of 4 pairs): x")
    display.lines.clear()
    data.read(files(tmp_path, ["abc", "cab"] * 9, ["жш", "ш"]), None, display)
    assert display.lines[0].startswith(
        "d.tsv:1: the model will not know 100.0 % of the source tokens of dev (2 of 2 pairs): ш ж"
    )
    assert display.lines[0].endswith("; is it the right file?")
    display.lines.clear()
    data.read(files(tmp_path, ["abc", "cab"] * 9, ["abcabcabcabcabcabcabcx"]), None, display)  # a few are usual
    assert not [line for line in display.lines if "source" in line]


def test_a_model_says_in_which_form_it_would_know_a_text(tmp_path: Path) -> None:
    pairs = tmp_path / "p.tsv"
    pairs.write_text("".join(f"{w}\tx\n" for w in WORDS * 3), encoding="utf-8")
    options = {"hidden": 8, "embedding": 4, "readout_size": 8, "steps": 1, "batch_size": 4, "threads": 1, "quiet": True}
    model = jumok.train(pairs, out=tmp_path / "m", precision="float32", matmul="default", **options).load()
    for text, said in ((decomposed("café"), "; write them in NFC, as in its training pairs)"), ("жж", "(read as <unk>)")):
        remarks, lines = Remarks(model), list[str]()
        remarks.see("f:1", model.translate(text))
        remarks.tell(lines.append)
        assert said in lines[0]


def test_a_model_that_is_trained_further(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    options = {"hidden": 8, "embedding": 4, "readout_size": 8, "batch_size": 4}
    more = {"steps": 1, "threads": 1, "precision": "float32", "matmul": "default"}
    first, other = tmp_path / "p.tsv", tmp_path / "q.tsv"
    first.write_text("".join(f"{w}\tx\n" for w in WORDS * 3), encoding="utf-8")
    other.write_text("".join(f"{decomposed(w)}\tx\n" for w in WORDS * 3), encoding="utf-8")
    model = jumok.train(first, out=tmp_path / "m", quiet=True, **options, **more).folder
    capfd.readouterr()
    jumok.train(first, out=tmp_path / "n", from_=model, **more)
    assert "another Unicode form" not in capfd.readouterr().err
    jumok.train(other, out=tmp_path / "o", from_=model, **more)
    said = capfd.readouterr().err
    assert "warning: new source tokens are letters that the model knows in another Unicode form" in said
    assert "write the pairs in NFC" in said and "new target tokens" not in said
