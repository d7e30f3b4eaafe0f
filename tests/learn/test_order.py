"""How far targets follow their sources, on planted pairs; and what `--alignment auto` makes of it."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import numpy as np
import pytest
from faulty_disk import Death
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_run import TINY, die_at, listen, remains

import jumok
from jumok.alignments import clash, misfit
from jumok.cli import main
from jumok.cli._options import read
from jumok.cli.train import Train
from jumok.config import ModelConfig, TextConfig, TrainConfig, build
from jumok.errors import ConfigError, FolderError
from jumok.learn.automatic import (
    COPY,
    LEAST_COPIED,
    LEAST_ORDER,
    LEAST_PAIRS,
    LEAST_TOLD,
    MOST_PAIRS,
    MOST_TOKENS,
    Choice,
    Facts,
    automatic,
    in_a_line,
    measured,
)
from jumok.learn.order import Order, order_of
from jumok.learn.recipe import alignment_of, resolve
from jumok.net.model import Seq2Seq
from jumok.runtime.model import NumpyModel
from jumok.runtime.parameters import random_parameters, shapes
from jumok.text import Pair, Rows, build_codec, read_pairs

LETTERS = "abcdefghijklmn"


def words(n: int, letters: str = LETTERS, seed: int = 0) -> list[str]:
    rng = random.Random(seed)
    return ["".join(rng.choices(letters, k=rng.randint(2, 10))) for _ in range(n)]


def order(pairs: list[Pair], seed: int = 1, **text: str | int) -> Order:
    codec = build_codec(pairs, TextConfig(**text))  # type: ignore[arg-type]
    return measured(*map(Rows.of, codec.encode_pairs(pairs)), codec, seed)


def shuffled(word: str) -> str:
    return "".join(random.Random(word).sample(word, len(word)))


PLANTED = {
    "copied": (lambda w: w, 1.0, 1.0),
    "other letters": (lambda w: w.translate(str.maketrans(LETTERS, LETTERS[3:] + LETTERS[:3])), 1.0, 1.0),
    "each letter twice": (lambda w: "".join(2 * c for c in w), 1.0, 1.0),
    "silent letters": (lambda w: "".join(c for c in w if c not in "aei") or "b", 0.98, 1.0),
    "a prefix and a suffix": (lambda w: f"xy{w}z", 0.8, 1.0),
    "neighbours in turn": (lambda w: "".join(w[i : i + 2][::-1] for i in range(0, len(w), 2)), -0.2, 0.3),
    "halves in turn": (lambda w: w[len(w) // 2 :] + w[: len(w) // 2], -0.3, 0.2),
    "rotated": (lambda w: w[3:] + w[:3], -0.3, 0.3),
    "twice": (lambda w: w + w, 0.0, 0.45),
    "reversed": (lambda w: w[::-1], -1.0, -0.3),
    "shuffled": (shuffled, -0.1, 0.1),
}


@pytest.mark.parametrize("n", [40, 1500])
@pytest.mark.parametrize("name", PLANTED)
def test_the_order_of_planted_pairs_is_found(name, n):
    write, least, most = PLANTED[name]
    found = order([Pair(w, write(w)) for w in words(n)])
    assert least - 1e-6 <= found.kept <= most + 1e-6 and found.told > 0.5 and found.pairs == n


def test_targets_that_the_sources_do_not_tell_show_no_order():
    rng = random.Random(1)
    found = order([Pair(w, "".join(rng.choices("xyz", k=5))) for w in words(1500)])
    assert abs(found.kept) < 0.1 and found.told < LEAST_TOLD
    same = order([Pair(w, "xyz") for w in words(200)])
    assert same.told < 0.01
    alone = order([Pair("a", "b")] * 30)
    assert alone.kept <= 0


@pytest.mark.parametrize(
    ("letters", "form"), [("アイウエオカキクケコ", "none"), ("가나다라마바사한글말", "NFD"), ("αβγδεζηθ", "none")]
)
def test_any_script_does(letters, form):
    phones = {c: [f"p{i}", f"q{i}"][: 1 + i % 2] for i, c in enumerate(letters)}
    made = words(300, letters)
    for turn, least, most in ((1, 0.95, 1.01), (-1, -1, 0)):
        pairs = [Pair(w, " ".join(p for c in w[::turn] for p in phones[c])) for w in made]
        assert least <= order(pairs, source_form=form, target_tokenizer="space").kept <= most


def test_features_have_no_place_in_the_order():
    """Two features tell an ending and a prefix; with each, the rest of the word is copied."""
    made = words(600)
    pairs = [
        Pair(w, ("ge" if i % 2 else "") + w + ("ten" if i % 3 else "s"), (f"P{i % 2}", f"E{i % 3 > 0}"))
        for i, w in enumerate(made)
    ]
    assert order(pairs).kept > 0.8
    assert order([replace(p, features=()) for p in pairs]).kept < order(pairs).kept - 0.02


@given(seed=st.integers(0, 10), n=st.integers(1, 30), longest=st.integers(1, 12), kinds=st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_any_pairs_have_an_order_and_always_the_same(seed, n, longest, kinds):
    rng = np.random.default_rng(seed)
    sides = [[[*rng.integers(3, 4 + kinds, rng.integers(0, longest + 1)).tolist(), 2] for _ in range(n)] for _ in range(2)]
    found = order_of(*map(Rows.of, sides), np.arange(4 + kinds) == 4, seed)
    assert np.isfinite(found.kept) and found.kept <= 1 + 1e-6 and 0 <= found.told <= 1 and found.pairs == n
    assert order_of(*map(Rows.of, sides), np.arange(4 + kinds) == 4, seed) == found


def test_many_and_long_pairs_are_sampled():
    made = words(5_000)
    a, b = (order([Pair(w, w) for w in made], seed) for seed in (1, 2))
    assert a.pairs == b.pairs == 2_000 and a.kept == b.kept == 1
    long = order([Pair("ab" * 100, "ab" * 100)] * 50 + [Pair("ab" * 200, "c")] * 50)
    assert 1 <= long.pairs < 50
    assert order([Pair("ab" * 200, "c")] * 3) == Order(0, 0, 0)


def test_pronunciation_is_in_order_and_letters_of_sentences_are_not(shared_data):
    space = TextConfig(target_tokenizer="space")
    for language in ("dut", "geo", "hin", "jpn"):
        pairs = read_pairs(str(shared_data(f"sigmorphon2020-g2p/{language}_train.tsv")), space, warn=lambda _: None)
        assert order(pairs[:800], target_tokenizer="space").kept > 0.85
    pairs = read_pairs(str(shared_data("multi30k/tok/val.en-de.tsv")), TextConfig(), warn=lambda _: None)
    assert order(pairs).kept < LEAST_ORDER / 2


GOOD = Facts(True, 1_000, (8.0, 7.0), ModelConfig(alignment="auto"))
IN_ORDER = Order(0.96, 0.9, 1_000)


def test_letters_in_order_are_monotonic():
    assert automatic(GOOD, lambda: IN_ORDER) == Choice("monotonic", False, "1,000 pairs of letters, 96 % in order")


@pytest.mark.parametrize(
    ("facts", "order", "said"),
    [
        (replace(GOOD, letters=False), IN_ORDER, "words or subwords"),
        (replace(GOOD, pairs=MOST_PAIRS + 1), IN_ORDER, "enough to learn"),
        (replace(GOOD, pairs=LEAST_PAIRS - 1), IN_ORDER, "too few"),
        (replace(GOOD, tokens=(MOST_TOKENS + 1.0, 5.0)), IN_ORDER, "61 tokens a side"),
        (GOOD, Order(LEAST_ORDER - 0.01, 0.9, 9), "do not follow"),
        (GOOD, Order(-0.4, 0.9, 9), "(0 % in order)"),
        (GOOD, Order(0.9, LEAST_TOLD - 0.01, 9), "do not follow"),
        (replace(GOOD, model=ModelConfig(window="local-p")), IN_ORDER, "--window local-p"),
        (replace(GOOD, model=ModelConfig(input_feeding=True)), IN_ORDER, "--input-feeding"),
        (replace(GOOD, model=ModelConfig(attention="none")), IN_ORDER, ""),
    ],
)
def test_what_is_soft_and_why(facts, order, said):
    for copied in (0.0, 1.0):
        chosen = automatic(facts, lambda copied=copied: replace(order, copied=copied))
        assert chosen.alignment == "soft" and not chosen.copy
        assert said in chosen.reason and bool(said) == bool(chosen.reason)


def test_copying_decides():
    chosen = automatic(replace(GOOD, letters=False, model=ModelConfig(copy=True)), lambda: pytest.fail("not asked"))
    assert chosen == Choice("monotonic", True, COPY)
    with pytest.raises(ConfigError, match="copy is on, which needs alignment 'monotonic', with window 'local-m'"):
        build(TrainConfig, {"alignment": "auto", "copy": True, "window": "local-m"}, "here")


COPIED = "70 % of what is written stands in the source"


@pytest.mark.parametrize(
    ("options", "order", "copy", "line"),
    [
        ({}, replace(IN_ORDER, copied=0.7), True, f"alignment: monotonic, copying: 1,000 pairs of letters, 96 % in order, {COPIED}; "
         "--alignment soft turns this off, --no-copy the copying"),
        ({}, replace(IN_ORDER, copied=LEAST_COPIED - 0.01), False, "alignment: monotonic: 1,000 pairs of letters, 96 % in order; "
         "--alignment soft turns this off"),
        ({"copy": False}, replace(IN_ORDER, copied=0.7), False, "alignment: monotonic: 1,000 pairs of letters, 96 % in order; "
         "--alignment soft turns this off"),
        ({"copy": True}, IN_ORDER, True, "alignment: monotonic, copying: --copy needs it"),
        ({"alignment": "monotonic"}, replace(IN_ORDER, copied=0.7), True, f"copying: {COPIED}; --no-copy turns this off"),
        ({"alignment": "monotonic"}, replace(IN_ORDER, kept=0.1, copied=0.7), False, ""),  # letters that stand anywhere
        ({"alignment": "monotonic"}, IN_ORDER, False, ""),
        ({"alignment": "monotonic", "copy": False}, replace(IN_ORDER, copied=0.7), False, ""),
        ({"alignment": "monotonic", "copy": True}, IN_ORDER, True, ""),
        ({"alignment": "soft"}, replace(IN_ORDER, copied=0.7), False, ""),
    ],
)  # fmt: skip
def test_copying_where_nobody_said(options, order, copy, line):
    asked = ModelConfig(**({"alignment": "auto"} | options))
    chosen = automatic(replace(GOOD, model=asked), lambda: order)
    assert chosen.copy is copy and chosen.of(asked).copy is copy
    assert chosen.alignment == chosen.of(asked).alignment == options.get("alignment", "monotonic")
    assert (in_a_line(chosen, asked) if chosen.reason else "") == line


@pytest.mark.parametrize(
    ("pairs", "copied"),
    [
        ([("abc", "abc"), ("abc", "abcd")], 6 / 7),
        ([("abc", "cba"), ("abc", "xyz")], 1 / 6),  # one letter of a path that only goes forward
        ([("ab", "aabb")], 1.0),  # twice from one position
        ([("abc", "xyz")], 0.0),
    ],
)
def test_what_is_copied_keeps_the_order(pairs, copied):
    assert order([Pair(*p) for p in pairs] * 3).copied == pytest.approx(copied)


@pytest.mark.parametrize(
    ("typed", "copy"),
    [("--copy", True), ("--no-copy", False), ("--no_copy", False), ("--copy=False", False), ("--copy True", True)],
)
@pytest.mark.parametrize("place", [0, 1, 3, 4])
def test_options_that_the_data_decide_are_flags_too(typed, copy, place):
    words = ["p.tsv", "--out", "m", "--no-joint-vocabulary"]
    asked, given = read(Train, [*words[:place], *typed.split(), *words[place:]])
    assert (asked.model.copy, asked.text.joint_vocabulary, asked.pairs, asked.out) == (copy, False, "p.tsv", "m")
    assert {"copy", "joint_vocabulary"} <= given
    asked, given = read(Train, ["p.tsv", "--out", "m"])
    assert asked.model.copy is None and "copy" not in given


@pytest.mark.parametrize("attention", ["dot", "none"])
@pytest.mark.parametrize("window", ["none", "local-m"])
@pytest.mark.parametrize("feeding", [False, True])
def test_the_rule_and_the_check_know_the_same_clashes(attention, window, feeding):
    assert bool(clash(attention, window, feeding)) == bool(misfit("monotonic", attention, window, feeding, False))
    assert misfit("auto", attention, window, feeding, False) == ""
    assert misfit("auto", attention, window, feeding, True).removeprefix(
        "copy is on, which needs alignment 'monotonic',"
    ) == misfit("monotonic", attention, window, feeding, True).removeprefix("alignment is 'monotonic'")


def test_a_recipe_is_never_open():
    asked = build(TrainConfig, {"alignment": "auto"}, "test")
    assert resolve(asked, 40, 50, 3_600).model.alignment == "soft"  # nobody measured
    assert alignment_of(asked, (40, 50), 3_600, (8, 8), lambda: IN_ORDER)[0].model.alignment == "monotonic"
    copying = build(TrainConfig, {"alignment": "auto", "copy": True}, "test")
    assert resolve(copying, 40, 50, 3_600).model.alignment == "monotonic"
    with pytest.raises(ConfigError, match="5,000 entries"):
        resolve(copying, 40, 5_000, 3_600)


def test_a_network_for_which_nobody_chose_is_soft():
    sizes = {"embedding": 4, "hidden": 6, "score_size": 6, "readout_size": 6, "tie": "none"}
    open_, soft = (ModelConfig(alignment=name, **sizes) for name in ("auto", "soft"))
    assert shapes(open_, 9, 9) == shapes(soft, 9, 9)
    model = NumpyModel(open_, random_parameters(open_, 9, 9, 1))
    assert model.weights == "attention"
    model.score(np.array([[5, 2]]), np.array([2]), np.array([[6, 2]]), np.array([2]))
    assert {name for name, _ in Seq2Seq(open_, 9, 9).named_parameters()} == {
        n for n, _ in Seq2Seq(soft, 9, 9).named_parameters()
    }


@pytest.mark.parametrize(("turn", "chosen"), [(1, "monotonic"), (-1, "soft")])
def test_a_run_says_what_it_chose_and_keeps_to_it(turn, chosen, tmp_path, monkeypatch):
    """Killed and resumed, by options and by a file of them; what is written is never `auto`."""
    data, out = tmp_path / "pairs.tsv", tmp_path / "a" / "model"
    data.write_text("".join(f"{w}\t{w[::turn]}\n" for w in sorted(set(words(120, "abcd")))), encoding="utf-8")
    short = {"steps": 6, "evaluate_every": 3, "save_every": 2, "metric": "loss", **TINY}
    said = listen(monkeypatch)
    jumok.train(data, out=out, alignment="auto", **short)
    lines = [line for line in said if line.startswith("alignment: ")]
    assert len(lines) == 1 and lines[0].startswith(f"alignment: {chosen}{', copying' * (turn == 1)}: ")
    assert ("; --alignment soft turns this off" in lines[0]) == (chosen == "monotonic")
    config = json.loads((out / "config.json").read_text())
    assert config["model"]["alignment"] == config["training"]["model"]["alignment"] == chosen
    assert config["model"]["copy"] is config["training"]["model"]["copy"] is (turn == 1)
    assert jumok.load(out).info().alignment == chosen
    with monkeypatch.context() as m, pytest.raises(Death):
        die_at(m, 5)
        jumok.train(data, out=tmp_path / "b" / "model", alignment="auto", **short)
    (tmp_path / "run.toml").write_text('[model]\nalignment = "auto"\n')
    said.clear()
    given = [f"--{name.replace('_', '-')}={value}" for name, value in short.items() if name != "quiet"]
    assert (
        main(
            [
                "train",
                str(data),
                "--out",
                str(tmp_path / "b" / "model"),
                "--config",
                str(tmp_path / "run.toml"),
                "--resume",
                *given,
            ]
        )
        == 0
    )
    assert not [line for line in said if "not used" in line or line.startswith("alignment: ")]
    assert remains(tmp_path / "b" / "model") == remains(out)
    config["model"]["alignment"] = "auto"
    (out / "config.json").write_text(json.dumps(config))
    with pytest.raises(FolderError, match="alignment is 'auto'; a trained model has one of its own"):
        jumok.load(out)
