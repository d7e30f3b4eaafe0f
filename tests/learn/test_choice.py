"""The best model is the best: histories full of ties, in the loop itself, over a resume, and in trainings from the command line."""

from __future__ import annotations

import json
import math
import random
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from one_of_many import LEARN, new_loop
from toy_run import TINY, listen, remains

import jumok
from jumok.config import TextConfig, TrainConfig, build
from jumok.errors import ConfigError
from jumok.learn import recipe
from jumok.learn.choice import Choice
from jumok.learn.folder import stored_run
from jumok.learn.loop import Loop, Sums
from jumok.measure import METRICS
from jumok.text.shape import shape

CHOSEN = [*METRICS, "loss"]


def entry(metric: str, value: float, ter: float = 90.0, loss: float = 1.0) -> dict[str, float]:
    """What an evaluation measures."""
    return {"loss": loss, "accuracy": 0.0, "token-error-rate": ter} | {metric: value}


few = st.sampled_from([0.0, 0.001, 0.004, 12.5, 50.0, 100.0, math.nan])
histories = st.lists(
    st.tuples(few, st.sampled_from([0.0, 33.0, 100.0, 130.0, 140.0]), st.sampled_from([0.5, 1.0, 2.0, math.inf, math.nan])),
    min_size=1,
    max_size=12,
)


def slow_key(metric: str, e: dict[str, float]) -> tuple[float, ...] | None:
    """How good, written out by hand: what is shown as 0.00 is 0; a token error rate of 100 and more settles no tie."""
    names = {"loss": ["loss"], "token-error-rate": ["token-error-rate", "loss"]}
    used = [e[name] for name in names.get(metric, [metric, "token-error-rate", "loss"])]
    if not all(math.isfinite(value) for value in [*used, e["loss"]]):
        return None
    if metric == "loss":
        return (-e["loss"],)
    if metric == "token-error-rate":
        return -e[metric], -e["loss"]
    return (0.0 if e[metric] < 0.005 else e[metric]), -min(100.0, e["token-error-rate"]), -e["loss"]


def scripted(metric: str, script: list[dict[str, float]], keep: list[int], **learn: Any) -> Loop:
    """A loop whose evaluations come out as the script says."""
    loop = new_loop(build(type(LEARN), {**vars(LEARN), **learn}, "test"))
    lines = iter(script)
    loop.dev = SimpleNamespace(metric=metric, evaluate=lambda *_: next(lines))  # type: ignore[assignment]
    loop.keep = lambda: keep.append(loop.position.step)  # type: ignore[method-assign]
    return loop


def evaluate(loop: Loop, times: int) -> None:
    for _ in range(times):
        loop.position.step += 1
        loop._evaluate(Sums(), 1e-3)


def best_step(metric: str, script: list[dict[str, float]]) -> int:
    """Counted from 1; 0 where no evaluation is finite."""
    keys = [slow_key(metric, e) for e in script]
    return max((i for i, key in enumerate(keys, 1) if key is not None and key == max(k for k in keys if k)), default=0)


@settings(max_examples=300, deadline=None)
@given(metric=st.sampled_from(CHOSEN), history=histories)
def test_the_kept_step_is_the_best_and_the_latest_of_equals(metric: str, history: list[tuple[float, float, float]]) -> None:
    script = [entry(metric, *values) for values in history]
    choice, kept, stale = Choice(metric), 0, 0
    for i, new in enumerate(script):
        judged = choice.judge(new, script[kept - 1] if kept else None, script[:i], stale)
        kept, stale = i + 1 if judged.best else kept, judged.stale
        assert kept == best_step(metric, script[: i + 1])  # at every moment, for a run may be stopped at any


@settings(max_examples=25, deadline=None)
@given(metric=st.sampled_from(CHOSEN), history=histories, cut=st.integers(0, 12))
def test_the_loop_keeps_it_also_when_resumed(metric: str, history: list[tuple[float, float, float]], cut: int) -> None:
    """From a checkpoint of any moment, read back from JSON, in another loop."""
    script = [entry(metric, *values) for values in history]
    cut, kept = min(cut, len(script)), list[int]()
    whole = scripted(metric, script, kept)
    evaluate(whole, len(script))
    assert (kept[-1:] or [0]) == [best_step(metric, script)] == [whole.position.best_step]

    first, second = scripted(metric, script[:cut], []), scripted(metric, script[cut:], [])
    evaluate(first, cut)
    tensors, facts = first.state()
    second.restore(tensors, json.loads(json.dumps(facts)))
    evaluate(second, len(script) - cut)
    told = ([at.best_step, at.stale, [e.best for e in at.history]] for at in (second.position, whole.position))
    assert next(told) == next(told)


@pytest.mark.parametrize(
    ("metric", "script", "stale"),
    [
        ("accuracy", [(0, 90, 3.0), (0, 90, 2.0), (0, 90, 1.0)], [0, 0, 0]),  # the loss falls: each is better
        ("accuracy", [(0, 90, 3.0), (0, 90, 3.0), (0, 90, 3.0)], [0, 0, 0]),  # nothing can be told
        ("bleu", [(0, 100, 3.0), (0.004, 140, 2.0), (0.001, 150, 1.0)], [0, 0, 0]),  # shown as 0.00: it is 0
        ("accuracy", [(0, 90, 3.0), (0, 95, 2.0), (0, 97, 1.0)], [0, 0, 0]),  # loss better than ever: not counted
        ("accuracy", [(0, 90, 1.0), (0, 95, 2.0), (0, 95, 2.0)], [0, 1, 2]),  # worse in all that can be told
        ("accuracy", [(50, 40, 1.0), (40, 30, 0.5), (40, 30, 0.4)], [0, 1, 2]),  # the metric tells: worse
        ("accuracy", [(50, 40, 1.0), (40, 30, 0.5), (60, 30, 0.5)], [0, 1, 0]),
        ("accuracy", [(100, 0, 1.0), (100, 0, 0.9), (100, 0, 0.95)], [0, 0, 1]),  # a dev set of one line
        ("token-error-rate", [(90, 90, 1.0), (90, 90, 0.9), (91, 91, 0.8)], [0, 0, 1]),
        ("loss", [(1, 90, 1.0), (1.5, 90, 1.5), (1, 90, 1.0), (1.2, 90, 1.2)], [0, 1, 1, 2]),
        ("accuracy", [(0, 90, math.nan), (0, 90, math.inf), (0, 90, 1.0)], [1, 2, 0]),
    ],
)
def test_patience_counts_only_what_could_be_told(
    metric: str, script: list[tuple[float, float, float]], stale: list[int]
) -> None:
    loop, seen = scripted(metric, [entry(metric, *values) for values in script], [], patience=2), []
    for _ in script:
        evaluate(loop, 1)
        seen.append(loop.position.stale)
    assert seen == stale
    assert loop._out_of_patience() == (stale[-1] >= 2)


def test_two_phase_training_switches_by_the_same_judgement() -> None:
    falling = [entry("accuracy", 0.0, 90, 5.0 - i) for i in range(4)]
    loop = scripted("accuracy", falling, [], teacher_forcing="two-phase", switch_patience=1)
    evaluate(loop, 4)
    assert loop.position.switched is None
    loop = scripted("accuracy", falling[::-1], [], teacher_forcing="two-phase", switch_patience=1)
    evaluate(loop, 4)
    assert loop.position.switched == 2


@pytest.mark.parametrize(
    ("metric", "script", "wanted"),
    [
        (
            "bleu",
            [(0, 100, 3.0), (0, 130, 2.0)],
            r"^BLEU was 0.00 at every evaluation; the model was chosen by dev loss; --metric chrf",
        ),
        (
            "accuracy",
            [(0, 90, 3.0), (0, 80, 4.0)],
            r"^accuracy was 0.00 .* chosen by token error rate; --metric chrf or token-error-rate",
        ),
        ("accuracy", [(0, 90, 3.0), (0, 90, 4.0), (0, 91, 1.0)], r"chosen by token error rate and dev loss;"),
        (
            "accuracy",
            [(100, 0, 3.0), (100, 0, 2.0)],
            r"^accuracy was 100.00 at every evaluation; the model was chosen by dev loss$",
        ),
        (
            "chrf",
            [(0, 90, 1.0), (0, 90, 1.0)],
            r"^chrF was 0.00 at every evaluation; the last model was kept; --metric token-error-rate",
        ),
        ("token-error-rate", [(100, 100, 3.0), (100, 100, 2.0)], r"^token error rate was 100.00 .* by dev loss; --metric loss"),
        ("bleu", [(0, 100, 3.0), (1, 130, 2.0)], None),  # it told something
        ("bleu", [(0, 100, 3.0)], None),  # there was nothing to choose from
        ("bleu", [(0, 100, 3.0), (0, 100, math.nan)], None),
        ("loss", [(1, 100, 1.0), (1, 90, 1.0)], None),
    ],
)
def test_a_line_says_when_the_metric_told_nothing(
    metric: str, script: list[tuple[float, float, float]], wanted: str | None
) -> None:
    said = Choice(metric).remark([entry(metric, *values) for values in script])
    assert (said is None) if wanted is None else (said is not None and re.search(wanted, said)), said


# -- trainings ------------------------------------------------------------------------------------------------------


def lines(count: int, make: Any, seed: int = 1) -> str:
    rng = random.Random(seed)
    return "".join("\t".join(make(rng)) + "\n" for _ in range(count))


def hopeless(rng: random.Random) -> tuple[str, str]:
    """No output is ever equal to its gold."""
    return "".join(rng.choices("abcd", k=4)), "".join(rng.choices("efgh", k=14))


@pytest.mark.parametrize(
    ("options", "dev"),
    [({"metric": "accuracy"}, 20), ({"metric": "accuracy"}, 1), ({"metric": "bleu", "tokenize": "13a"}, 20), ({}, 20)],
    ids=["accuracy", "a dev set of one line", "BLEU of one word", "the default"],
)
def test_a_run_whose_metric_is_zero_keeps_the_best_by_finer_measures(
    options: dict[str, Any], dev: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "p.tsv").write_text(lines(60, hopeless), encoding="utf-8")
    (tmp_path / "d.tsv").write_text(lines(dev, hopeless, 2), encoding="utf-8")
    said = listen(monkeypatch)
    run = {"steps": 24, "evaluate_every": 4, "patience": 3, **TINY, **options}
    done = jumok.train(tmp_path / "p.tsv", tmp_path / "d.tsv", tmp_path / "m", **run)
    assert done.best_step == done.history[best_step(done.config.learn.metric or "", done.history) - 1]["step"]
    assert done.best_step > 4 and done.best == 0
    assert any("was 0.00 at every evaluation; the model was chosen by" in line for line in said)
    assert "signature" in (tmp_path / "m" / "README.md").read_text()


def test_a_checkpoint_from_before_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One whose configuration has no unit for BLEU, with a history in which all accuracies are 0."""
    from faulty_disk import Death
    from toy_run import die_at

    from jumok.learn.checkpoint import read_checkpoint, write_checkpoint

    (tmp_path / "p.tsv").write_text(lines(60, hopeless), encoding="utf-8")
    run = {"steps": 16, "evaluate_every": 4, "metric": "accuracy", **TINY}
    whole = jumok.train(tmp_path / "p.tsv", out=tmp_path / "whole" / "m", **run)
    out = tmp_path / "killed" / "m"
    with monkeypatch.context() as m:
        die_at(m, 10)
        with pytest.raises(Death):
            jumok.train(tmp_path / "p.tsv", out=out, **run)
    found = read_checkpoint(out, pytest.fail)
    assert found is not None
    tensors, facts = found
    for name in ("config", "asked"):
        del facts[name]["learn"]["tokenize"]
    del facts["format"]
    write_checkpoint(out, tensors, facts)
    done = jumok.train(out=out, resume=True, quiet=True)
    assert done.best_step == whole.best_step and done.config.learn.tokenize == "13a"
    ours, theirs = remains(out), remains(tmp_path / "whole" / "m")
    assert ours["history.json"] == theirs["history.json"] and ours["model.safetensors"] == theirs["model.safetensors"]


def test_a_resumed_run_counts_bleu_as_it_did() -> None:
    for target, tokenize in (("space", "none"), ("bpe", "13a"), ("char", "13a")):
        values = {"text": {"target_tokenizer": target}, "learn": {"metric": "bleu"}}
        assert stored_run(values, Path("m")).learn.tokenize == tokenize
    values["learn"]["tokenize"] = "char"
    assert stored_run(values, Path("m")).learn.tokenize == "char"


# -- which metric suits -----------------------------------------------------------------------------------------------

JAPANESE, CHINESE, THAI = "私は昨日友達と公園へ行きました。", "他昨天和朋友一起去了公园。", "เมื่อวานนี้เขาไปสวนสาธารณะกับเพื่อน"
KATAKANA, ENGLISH, KOREAN = "ガニメデ", "he lived a hard life .", "그는 어제 친구와 공원에 갔다."
PHONES, JOINED = "K AE T S", "abcdefghijklmnopqrstuvwxyzabcdef"


@pytest.mark.parametrize(
    ("target", "text", "metric", "tokenize"),
    [
        ("bpe", ENGLISH, "bleu", "13a"),
        ("bpe", KOREAN, "bleu", "13a"),
        ("bpe", JAPANESE, "bleu", "char"),
        ("bpe", CHINESE, "bleu", "char"),
        ("word", THAI, "bleu", "char"),
        ("bpe", JOINED, "bleu", "char"),  # longer than any word
        ("bpe", "私 は 昨日 友達 と 行き まし た 。", "bleu", "13a"),  # cut into words already
        ("bpe", KATAKANA, "accuracy", "char"),
        ("word", "가니메데", "accuracy", "char"),
        ("bpe", "gas mask", "accuracy", "char"),
        ("char", "gegangen", "accuracy", "char"),
        ("char", "ei olisi ollut", "accuracy", "char"),
        ("char", ENGLISH, "chrf", "13a"),
        ("char", JAPANESE, "chrf", "char"),
        ("char", KOREAN, "chrf", "13a"),
        ("space", PHONES, "accuracy", "none"),
        ("space", " ".join(["K", "AE", "T", "S"] * 10), "token-error-rate", "none"),
    ],
)
def test_default_metric_and_unit_fit_the_targets(target: str, text: str, metric: str, tokenize: str) -> None:
    asked = build(TrainConfig, {"target_tokenizer": target}, "test")
    learn = recipe.resolve(asked, 40, 50, 1000, [text, text, "x"]).learn
    assert (learn.metric, learn.tokenize) == (metric, tokenize)
    assert (
        METRICS[metric]
        and recipe.resolve(build(TrainConfig, {"metric": "loss", "tokenize": "intl"}, "t"), 9, 9, 9, [text]).learn.tokenize
        == "intl"
    )


def test_words_between_blanks_are_bleu_of_tokens() -> None:
    look = shape([ENGLISH])
    assert recipe.default_metric(TextConfig(target_tokenizer="space"), look, 8_000) == "bleu"


def test_a_tokenizer_that_is_none_ends_the_run_before_it_begins(tmp_path: Path) -> None:
    (tmp_path / "p.tsv").write_text(lines(60, hopeless), encoding="utf-8")
    for metric in ("bleu", "accuracy"):  # with the other one, evaluate would meet it
        with pytest.raises(ConfigError, match="tokenize of bleu is '14a'"):
            jumok.train(tmp_path / "p.tsv", out=tmp_path / "m", metric=metric, tokenize="14a", steps=10**6, **TINY)
    assert not (tmp_path / "m").exists()


def test_all_that_is_compared_is_measured() -> None:
    for metric in CHOSEN:
        assert Choice(metric).measures[0] == metric and Choice(metric).measures[-1] == "loss"
        assert set(Choice(metric).measures) <= {"loss", "accuracy", "token-error-rate", metric}
