"""A teacher writes what a new model learns from: what it writes, by which shares, once only, and what is refused."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from faulty_disk import Death
from hypothesis import given
from hypothesis import strategies as st
from small_run import TINY, same_weights, write_pairs
from toy_run import die_at

import jumok
from jumok.cli import main
from jumok.config import TrainConfig, build
from jumok.engine import library
from jumok.engine.library import EngineError
from jumok.errors import ConfigError, DataError, FolderError
from jumok.learn import teacher as teachers
from jumok.learn.calibrate import Allowance
from jumok.learn.display import Display
from jumok.text import Batches, Pair, Rows, build_codec
from jumok.text.choices import Choices

QUICK = TINY | {"steps": 6, "evaluate_every": 3, "learning_rate": 1e-2}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_pairs(tmp_path_factory.mktemp("data") / "pairs.tsv", 300)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory) -> Path:
    """It has learned to write words in capitals."""
    folder = tmp_path_factory.mktemp("teacher")
    pairs = write_pairs(folder / "pairs.tsv", 400, seed=1, turn=str.upper)
    return jumok.train(pairs, out=folder / "model", steps=120, evaluate_every=120, learning_rate=1e-2, **TINY).folder


def choices(sizes: list[int], gold: float, pairs: list[int]) -> Choices:
    """Sources with so many targets, whose shares are as 1 to 2 to 3 …"""
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(int)
    shares = np.concatenate([np.arange(1, n + 1) / (n * (n + 1) / 2) for n in sizes] + [np.zeros(0)])
    rows = Rows.of([[10 + m, 2] for m in range(starts[-1])])
    return Choices(Rows.of([[7, 7, 2]] * len(pairs)), rows, starts, shares, np.array(pairs), np.full(len(pairs), gold))


@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=5).flatmap(
        lambda sizes: st.tuples(st.just(sizes), st.lists(st.integers(0, len(sizes) - 1), min_size=1, max_size=6))
    ),
    st.sampled_from([0.0, 0.25, 0.5, 0.9]),
    st.integers(0, 3),
)
def test_each_target_is_drawn_by_its_share(sources, gold, seed):
    """Over 40 epochs, every pair has every target as often as it should, to within two times or so."""
    (sizes, pairs), epochs = sources, 40
    c = choices(sizes, gold, pairs)
    drawn = np.array([c.draw(seed, epoch) for epoch in range(epochs)])
    for pair, source in enumerate(pairs):
        own = drawn[:, pair]
        if not sizes[source]:
            assert (own == -1).all()
            continue
        assert ((own == -1) | ((own >= c.starts[source]) & (own < c.starts[source + 1]))).all()
        assert abs((own == -1).sum() - gold * epochs) <= 3
        for m in range(c.starts[source], c.starts[source + 1]):
            assert abs((own == m).sum() - (1 - gold) * c.shares[m] * epochs) <= 3
    assert (c.draw(seed, 3) == drawn[3]).all()


def test_batches_have_the_target_that_was_drawn():
    sources = [[4 + i, 2] for i in range(30)]
    c = choices([2] * 30, 0.5, list(range(30)))
    batches = Batches(sources, c, batch_size=4, seed=3)
    seen = set()
    for epoch in range(4):
        drawn, found = c.draw(3, epoch), {}
        for batch in batches.epoch(epoch):
            for row, target, length in zip(batch.rows, batch.target, batch.target_lengths, strict=True):
                found[int(row)] = target[:length].tolist()
        assert sorted(found) == list(range(30))
        for row, target in found.items():
            assert target == ([7, 7, 2] if drawn[row] < 0 else [10 + drawn[row], 2])
        seen.add(tuple(map(str, found.values())))
    assert len(seen) == 4
    assert batches.fingerprint() != Batches(sources, c.own, batch_size=4, seed=3).fingerprint()


def test_a_model_learns_what_its_teacher_writes(data, teacher, tmp_path, capfd):
    """The pairs say otherwise: with no share of them, the model writes capitals, of which it has never seen a pair."""
    options = TINY | {"quiet": False, "steps": 120, "evaluate_every": 120, "learning_rate": 1e-2}
    done = jumok.train(data, out=tmp_path / "m", teacher=teacher, teacher_gold=0.0, **options)
    model = done.load()
    assert sum(model.translate(word).text == word.upper() for word in ("abc", "bad", "face", "gh", "heed")) >= 3
    record = json.loads((tmp_path / "m" / "training.json").read_text())
    assert record["teacher"] == {"name": str(teacher), "digest": teachers.digest(str(teacher))}
    assert f"the rest written by `{teacher}`" in (tmp_path / "m" / "README.md").read_text(encoding="utf-8")
    assert "outputs for each of" in capfd.readouterr().err
    assert not (tmp_path / "m" / "teacher").exists()


def test_what_is_written_is_the_n_best_with_its_shares(data, teacher, tmp_path):
    run = build(TrainConfig, {"pairs": str(data), "out": str(tmp_path), "teacher": f"{teacher},{teacher}"}, "test")
    words = [("abc", ()), ("fg", ())]
    translator = jumok.load([teacher, teacher])
    for (word, _), outputs in zip(words, teachers._outputs(translator, words, run.teacher_beam), strict=True):
        best = translator.translate(word, beam=5, nbest=5)
        whole = [t for t in (best, *best.alternatives) if t.finished and t.text]
        mass = {t.text: np.exp(t.log_probability) for t in whole}
        assert [text for text, _ in outputs] == sorted(mass, key=lambda text: -mass[text])
        assert [share for _, share in outputs] == pytest.approx(
            [mass[text] / sum(mass.values()) for text, _ in outputs], rel=1e-4
        )


@pytest.mark.parametrize("engine", ["int8", "numpy"])
def test_what_computes_the_teacher(teacher, monkeypatch, engine):
    """Weights of 8 bits, or NumPy where there is no compiled engine; both write the same words."""
    if engine == "numpy":
        monkeypatch.setattr(library, "load_library", without_library)
    elif no_engine := jumok.load(teacher).info().no_engine:
        pytest.skip(no_engine)
    loaded = teachers._loaded(str(teacher))
    assert engine in loaded.info().engine
    outputs = list(teachers._outputs(loaded, [("abc", ()), ("fg", ())], 5))
    exact = list(teachers._outputs(jumok.load(teacher), [("abc", ()), ("fg", ())], 5))
    assert [best[0][0] for best in outputs] == [best[0][0] for best in exact]


def without_library():
    raise EngineError("there is none here")


def test_a_teacher_never_writes_unk(tmp_path):
    """Not even one to which most tokens were unknown, so that it has learned to write it."""
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text(
        "".join(f"{'ab'[i % 2]}{i % 10}\t{'x' * (i % 3)}{chr(0x4E00 + i)}\n" for i in range(200)), encoding="utf-8"
    )
    options = QUICK | {"steps": 40, "evaluate_every": 40, "min_count": 2}
    translator = jumok.load(jumok.train(pairs, out=tmp_path / "m", **options).folder)
    assert "\ufffd" in translator.translate("a1").text
    outputs = [text for one in teachers._outputs(translator, [("a1", ()), ("b2", ())], 3) for text, _ in one]
    assert outputs and not [text for text in outputs if "\ufffd" in text]


def test_a_killed_teacher_goes_on_where_it_was(data, teacher, tmp_path, monkeypatch):
    monkeypatch.setattr(teachers, "PIECE", 50)
    real, asked = teachers._outputs, []

    def outputs(translator, sources, beam):
        if len(asked) == 3:
            asked.append(0)
            raise KeyboardInterrupt
        asked.append(len(sources))
        return real(translator, sources, beam)

    monkeypatch.setattr(teachers, "_outputs", outputs)
    with pytest.raises(KeyboardInterrupt):
        jumok.train(data, out=tmp_path / "m", teacher=teacher, **QUICK)
    (tmp_path / "m" / "teacher" / "00000050.json").write_text("[[")  # damaged: written again
    before = len(asked)
    done = jumok.train(data, out=tmp_path / "m", teacher=teacher, resume=True, **QUICK).folder
    again = asked[before:]
    whole = jumok.train(data, out=tmp_path / "whole", teacher=teacher, **QUICK).folder
    once = asked[before + len(again) :]
    assert len(again) == len(once) - 2 and sum(again) == sum(once) - 100
    assert same_weights(done, whole)


def test_a_run_that_was_killed_in_training_needs_its_teacher_no_more(data, teacher, tmp_path, monkeypatch):
    (tmp_path / "t").symlink_to(teacher)
    options = QUICK | {"save_every": 2}
    with monkeypatch.context() as patch, pytest.raises(Death):
        die_at(patch, 4)
        jumok.train(data, out=tmp_path / "m", teacher=tmp_path / "t", **options)
    (tmp_path / "t").unlink()
    done = jumok.train(out=tmp_path / "m", resume=True, quiet=True).folder
    whole = jumok.train(data, out=tmp_path / "whole", teacher=teacher, **options).folder
    assert same_weights(done, whole)
    digest = json.loads((done / "training.json").read_text())["teacher"]["digest"]
    assert digest == teachers.digest(str(teacher))


def test_another_teacher_writes_anew(data, teacher, tmp_path, monkeypatch):
    monkeypatch.setattr(teachers, "forget", lambda place: None)
    jumok.train(data, out=tmp_path / "m", teacher=teacher, **QUICK)
    kept = (tmp_path / "m" / "teacher" / "teacher.json").read_text()
    for more in ({"teacher": f"{teacher},{teacher}"}, {"teacher": teacher, "teacher_beam": 2}):
        jumok.train(data, out=tmp_path / "m", overwrite=True, **QUICK, **more)
        assert (tmp_path / "m" / "teacher" / "teacher.json").read_text() != kept


def test_members_learn_from_one_writing(data, teacher, tmp_path, monkeypatch):
    real, asked = teachers._outputs, []
    monkeypatch.setattr(teachers, "_outputs", lambda *given: asked.append(1) or real(*given))
    jumok.train(data, out=tmp_path / "e", members=2, teacher=teacher, **QUICK)
    assert len(asked) == 1 and not (tmp_path / "e" / "teacher").exists()
    jumok.train(data, out=tmp_path / "m", teacher=tmp_path / "e", teacher_beam=1, **QUICK)  # and teach, as an ensemble


def test_members_that_are_begun_by_hand_wait_for_one_writing(data, teacher, tmp_path, monkeypatch, capfd):
    """All at once, as on several machines with one disk: one of them has the teacher write, and the others read it."""
    monkeypatch.setattr(teachers, "PIECE", 50)
    real, asked, together = teachers._outputs, [], threading.Barrier(3)
    monkeypatch.setattr(teachers, "_outputs", lambda *given: asked.append(given[1][0]) or time.sleep(0.1) or real(*given))
    loaded = teachers._loaded
    monkeypatch.setattr(teachers, "_loaded", lambda path: (loaded(path), together.wait())[0])

    def member(number: int) -> Path:
        more = {"members": 3, "member": number, "teacher": teacher, "quiet": False}
        return jumok.train(data, out=tmp_path / "e", **(QUICK | more)).folder

    with ThreadPoolExecutor(3) as pool:
        assert set(pool.map(member, (1, 2, 3))) == {tmp_path / "e"}
    assert len(asked) == len(set(asked)) > 1
    assert capfd.readouterr().err.count("waiting for it") == 2
    assert sorted(p.name for p in (tmp_path / "e").iterdir()) == ["1", "2", "3", "ensemble.json"]


@pytest.mark.parametrize(
    "more", [{"alignment": "monotonic", "copy": True}, {"target_form": "NFD"}, {"target_tokenizer": "bpe"}]
)
def test_the_new_model_may_be_of_another_kind(data, teacher, tmp_path, more):
    """What the teacher writes is text, cut into tokens anew; what is new in it is in the vocabulary."""
    done = jumok.train(data, out=tmp_path / "m", teacher=teacher, **QUICK, **more).load()
    assert "A" in "".join(done.codec.target.vocabulary.tokens(range(4, len(done.codec.target))))


def test_sources_without_targets(data, teacher, tmp_path, capfd):
    """They are trained on with the teacher's outputs alone; those of the pairs and of dev are not taken twice."""
    words = [line.split("\t")[0] for line in data.read_text(encoding="utf-8").splitlines()]
    dev = tmp_path / "dev.tsv"
    dev.write_text("hag\tx\n")
    more = tmp_path / "more.txt"
    more.write_text("".join(f"{word}\n" for word in [*words[:20], "hag", "hahaha", "gagag", "hahaha", ""]), encoding="utf-8")
    options = QUICK | {"quiet": False, "teacher": teacher, "teacher_sources": more, "steps": 2}
    done = jumok.train(data, dev, tmp_path / "m", **options)
    err = capfd.readouterr().err
    assert f"2 further sources of {more}; 1 of dev are left out" in err and f"{len(words) + 2:,} training pairs" in err
    assert done.config.teacher_sources == str(more)
    run = build(TrainConfig, {"pairs": str(data), "out": str(tmp_path), "teacher": str(teacher)}, "test")
    pairs = [Pair("abc", "x"), Pair("abd", "y")]
    lesson = teachers.learn_from(run, pairs, {("hahaha", ()): "more:3"}, Display(quiet=True), False, lambda _: None)
    (extra,) = lesson.pairs()
    assert (extra.source, extra.target, extra.where) == ("hahaha", lesson.outputs[2][0][0], "more:3")
    codec = build_codec([*pairs, extra], run.text, lesson.texts())
    found = lesson.choices([*pairs, extra], Rows.of([[4, 2]] * 3), codec, run)
    assert found.gold.tolist() == [0.5, 0.5, 0.0] and all((found.draw(1, epoch)[2] >= 0) for epoch in range(20))
    with pytest.raises(DataError, match="there is no such file"):
        jumok.train(data, dev, tmp_path / "n", **(options | {"teacher_sources": tmp_path / "none"}))
    with pytest.raises(ConfigError, match="but there is no teacher"):
        jumok.train(data, dev, tmp_path / "n", **QUICK, teacher_sources=more)


def test_a_source_of_dev_is_left_out_in_any_form(tmp_path):
    more = tmp_path / "more.txt"
    more.write_text("e\u0301\nu\u0308\nnew\n", encoding="utf-8")
    run = build(TrainConfig, {"pairs": "p", "out": "m", "teacher": "t", "teacher_sources": str(more)}, "test")
    assert list(teachers.unlabelled(run, [Pair("ü", "x")], [Pair("é", "y")], Display(quiet=True))) == [("new", ())]


def test_features(data, teacher, tmp_path):
    rows = [line.split("\t") for line in data.read_text(encoding="utf-8").splitlines()]
    with_features = tmp_path / "features.tsv"
    with_features.write_text("".join(f"{s}\t{t}\tV;{'PST' if i % 2 else 'PRS'}\n" for i, (s, t) in enumerate(rows)))
    column = {"features_column": 3}
    reader = jumok.train(with_features, out=tmp_path / "reader", **QUICK, **column).folder
    jumok.train(with_features, out=tmp_path / "m", teacher=reader, **QUICK, **column)
    with pytest.raises(ConfigError, match="trained without features, but column 3 has some"):
        jumok.train(with_features, out=tmp_path / "n", teacher=teacher, **QUICK, **column)
    with pytest.raises(ConfigError, match=r"the teacher reads features .*but the pairs have none"):
        jumok.train(data, out=tmp_path / "n", teacher=reader, **QUICK)


def test_a_teacher_that_cannot_read_the_sources(teacher, tmp_path, capfd):
    words = write_pairs(tmp_path / "pairs.tsv", 100).read_text(encoding="utf-8")
    greek = tmp_path / "greek.tsv"
    greek.write_text(words.translate(str.maketrans("abcdefgh", "αβγδεζηθ")), encoding="utf-8")
    with pytest.raises(ConfigError, match="have a token that the teacher never saw"):
        jumok.train(greek, out=tmp_path / "m", teacher=teacher, **QUICK)
    assert not (tmp_path / "m").exists()
    some = tmp_path / "some.tsv"
    some.write_text(words + "äb\tbä\n", encoding="utf-8")
    jumok.train(some, out=tmp_path / "m", teacher=teacher, **(QUICK | {"quiet": False}))
    assert "1 of" in (err := capfd.readouterr().err) and "never saw ('ä' in 'äb'); it reads it as <unk>" in err


def test_what_is_refused(data, teacher, tmp_path):
    with pytest.raises(ConfigError, match="--teacher and --out are one folder"):
        jumok.train(data, out=teacher, teacher=teacher, overwrite=True, **QUICK)
    with pytest.raises(ConfigError, match="--teacher and --out are one folder"):
        jumok.train(data, out=teacher / "new", teacher=teacher, **QUICK)
    with pytest.raises(ConfigError, match="teacher_beam is 3, but there is no teacher"):
        jumok.train(data, out=tmp_path / "m", teacher_beam=3, **QUICK)
    with pytest.raises(ConfigError, match="teacher and cache are given"):
        jumok.train(data, out=tmp_path / "m", teacher=teacher, cache=tmp_path / "c", **QUICK)
    with pytest.raises(FolderError, match="there is no such folder"):
        jumok.train(data, out=tmp_path / "m", teacher=tmp_path / "none", **QUICK)
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "config.json").write_text("{")
    with pytest.raises(FolderError, match="damaged"):
        jumok.train(data, out=tmp_path / "m", teacher=damaged, **QUICK)
    assert not (tmp_path / "m").exists()


def test_time_that_is_gone_while_the_teacher_writes(data, teacher, tmp_path, monkeypatch):
    """One line, and what was written is there for the next try."""
    real, asked = teachers._outputs, []
    monkeypatch.setattr(teachers, "PIECE", 50)
    monkeypatch.setattr(teachers, "_outputs", lambda *given: asked.append(1) or real(*given))
    monkeypatch.setattr(Allowance, "spent", lambda self: 1e4 if len(asked) > 1 else 0.0)
    with pytest.raises(ConfigError, match=r"are gone and the teacher has written for .* is kept in .*teacher"):
        jumok.train(data, out=tmp_path / "m", teacher=teacher, minutes=1.0, **TINY)
    assert len(list((tmp_path / "m" / "teacher").glob("0*.json"))) == 2


def test_on_the_command_line(data, teacher, tmp_path):
    options = [
        "--steps=3",
        "--hidden=8",
        "--embedding=4",
        "--readout-size=8",
        "--quiet",
        "--teacher-beam=2",
        "--teacher-gold=0.2",
    ]
    assert main(["train", str(data), "--out", str(tmp_path / "m"), "--teacher", str(teacher), *options]) == 0
    config = json.loads((tmp_path / "m" / "config.json").read_text())["training"]
    assert (config["teacher"], config["teacher_beam"], config["teacher_gold"]) == (str(teacher), 2, 0.2)
