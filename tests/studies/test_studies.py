"""Each study from the command line to its page, in seconds: tiny models on a few strings; what they say follows from planted results."""

import dataclasses
import itertools
import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import jumok
from jumok.cli import main
from jumok.errors import ConfigError
from jumok.measure import METRICS, Gold
from jumok.studies import exposure, faithful, gradients, links, scores
from jumok.studies.conduct import without_effect
from jumok.studies.plan import Outcome, Setting, Variant
from jumok.studies.spelling import invented, spoken
from jumok.studies.studies import STUDIES
from jumok.text import END, PAD

TINY = ("--hidden", "8", "--embedding", "8", "--readout-size", "8", "--batch-size", "16", "--steps", "4", "--threads", "1")
SOME = {
    "bottleneck": ("--seeds", "2", "--train-max-length", "5"),
    "gradients": ("--seeds", "1"),
    "exposure": ("--seeds", "2", "--variants", "always", "two-phase", "linear", "inverse-sigmoid"),
    "scores": ("--seeds", "1"),
    "faithful": ("--seeds", "2"),
    "links": ("--seeds", "2", "--variants", "soft", "monotonic"),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Training, dev and test pairs: strings of 1 to 7 letters in capitals."""
    folder, word = tmp_path_factory.mktemp("data"), lambda i: "".join("abcd"[(i // 4**k) % 4] for k in range(1 + i % 7))
    for name, numbers in (("train", range(120)), ("dev", range(1200, 1216)), ("test", range(3000, 3024))):
        lines = dict.fromkeys(f"{word(i)}\t{word(i).upper()}\n" for i in numbers)
        (folder / f"{name}.tsv").write_text("".join(lines), encoding="utf-8")
    return folder


def call(*arguments):
    return main([str(a) for a in arguments])


@pytest.mark.parametrize("name", STUDIES)
def test_each_study_from_the_command_line(name, files, tmp_path, capsys):
    out = tmp_path / "study"
    data = () if STUDIES[name].own_only else (files / "train.tsv", "--dev", files / "dev.tsv", "--test", files / "test.tsv")
    command = ("study", name, *data, "--out", out, *SOME[name], *TINY)
    assert call(*command) == 0
    printed, progress = capsys.readouterr()
    facts = json.loads((out / "study.json").read_text())
    assert facts["study"] == name and not facts["missing"] and facts["findings"] and facts["table"]
    for finding in facts["findings"]:
        assert f"- {finding}\n" in printed
    page, text = (out / "report.html").read_text(), (out / "report.md").read_text()
    pictures = sorted(out.glob("*.svg"))
    assert pictures
    for picture in pictures:
        ET.parse(picture)
        assert f"]({picture.name})" in text and picture.read_text() in page
    assert "nan" not in text.lower().replace("finance", "") and "Traceback" not in progress
    count = len(facts["runs"])
    assert progress.count("\n[") + progress.startswith("[") == count
    assert call(*command) == 0  # again: nothing is left to do
    assert "[" not in capsys.readouterr().err.split("pairs\n")[1]


def test_faithful_looks_at_a_given_model_without_training(files, model_folder, tmp_path, capsys):
    (tmp_path / "t.tsv").write_text("cat\tC A T\nzebra\tZ E B R A\nwhy\tW H Y\n", encoding="utf-8")
    assert call("study", "faithful", tmp_path / "t.tsv", "--model", model_folder, "--out", tmp_path / "s") == 0
    facts = json.loads((tmp_path / "s" / "study.json").read_text())
    assert [run["name"] for run in facts["runs"]] == ["model-1"] and "one model" in facts["findings"][0]
    assert call("study", "faithful", "--model", model_folder, "--out", tmp_path / "n") == 2
    assert "--test" in capsys.readouterr().err


def test_own_data_and_the_python_face(tmp_path):
    done = jumok.study("bottleneck", out=tmp_path / "s", seeds=1, variants=["attention"], steps=2, threads=1, quiet=True)
    assert done.folder == tmp_path / "s" and not done.interrupted
    splits = json.loads((tmp_path / "s" / "study.json").read_text())["data"]["splits"]
    assert splits["train"]["longest"] == 14 < splits["test"]["longest"]


def test_help_of_a_study_shows_its_own_defaults(capsys):
    for name, one_direction in (("bottleneck", True), ("exposure", False)):
        assert call("study", name, "--help") == 0
        out = capsys.readouterr().out
        assert "--seeds" in out and "--minutes-per-run" in out
        assert ("--bidirectional" in out) == one_direction
        assert call("study", name, "--help-all") == 0
        out = capsys.readouterr().out
        assert ("--no-bidirectional" not in out) == one_direction  # the flag that goes the other way than the default


def test_an_option_that_is_the_usual_one_of_train_is_still_heard(files, tmp_path, capsys):
    """--attention dot is what train does anyway; the study's own default is another, and must not win."""
    command = ("study", "faithful", files / "train.tsv", "--dev", files / "dev.tsv", "--test", files / "test.tsv", *TINY)
    for more, score in (((), "general"), (("--attention", "dot"), "dot"), (("--attention", "concat"), "concat")):
        out = tmp_path / score
        assert call(*command, *more, "--out", out, "--seeds", "1", "--variants", "one-direction") == 0
        model = json.loads((out / "runs" / "one-direction-1" / "model" / "config.json").read_text())["model"]
        assert (model["attention"], model["bidirectional"]) == (score, False)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"attention": "concat", "steps": 5}, ["--attention concat has no effect: each variant has its own (dot, general)"]),
        ({"attention": "dot", "seed": None}, []),
        ({"bidirectional": False}, []),
        ({"window_size": 5}, ["--window-size has no effect here: it works with --window local-p, say"]),
        ({"score_size": 5, "window_size": 5}, ["--score-size has no effect here: it works with --attention concat"]),
    ],
)
def test_options_that_change_no_run_are_told(given, told):
    """Only what changes none of the runs: where one variant has a window, its size is no idle option."""
    variants = [Variant("a", {"attention": "dot"}, ""), Variant("b", {"attention": "general"}, "")]
    variants += [Variant("c", {"attention": "dot", "window": "local-m"}, "")] if "score_size" in given else []
    options = {"attention": "dot", **{name: value for name, value in given.items() if value is not None}}
    assert without_effect(variants, options, given) == told


def test_options_of_training_beside_a_given_model(model_folder, tmp_path, capsys):
    (tmp_path / "t.tsv").write_text("cat\tC A T\nzebra\tZ E B R A\n", encoding="utf-8")
    study = ["faithful", tmp_path / "t.tsv", "--model", model_folder, "--out", tmp_path / "s"]
    assert call("study", *study, "--hidden", 6, "--seed", 2) == 0
    err = capsys.readouterr().err
    assert [line for line in err.splitlines() if "no effect" in line] == [
        f"warning: --hidden has no effect: nothing is trained, {model_folder} is examined"
    ]


def outcome(results, variants):
    return Outcome(Setting(None, {}, {}, {}), [Variant(v, {}, v) for v in variants], results)


def result(variant, seed, **measured):
    return {"variant": variant, "seed": seed, "measured": measured}


def regime(variant, seed, accuracy, gap, loss=1.0):
    history = [{"step": 10, "accuracy": accuracy, "gap": gap, "loss": loss, "seconds": 1.0}]
    return result(variant, seed, metric="accuracy", steps=10, history=history, test={"accuracy": accuracy, "token-error-rate": 0.0},
                  test_loss=loss, training_seconds=1.0)  # fmt: skip


def test_exposure_says_what_the_numbers_say():
    runs = [regime("always", s, 50 + s / 10, 4) for s in (1, 2, 3)] + [
        regime("linear", s, 60 + s / 10, 1, 1.2) for s in (1, 2, 3)
    ]
    runs += [regime("never", s, 20 + 9 * s, 4) for s in (1, 2, 3)] + [regime("two-phase", s, 45 + s / 10, 9) for s in (1, 2, 3)]
    found = " ".join(exposure.report(outcome(runs, ["always", "two-phase", "linear", "never"])).findings)
    assert "linear is ahead of always by 10.00 ± 0.00" in found
    assert "always is ahead of two-phase by 5.00 ± 0.00" in found  # the contrary finding too
    assert "No clear difference between never and always on the test set, free running: -12.20" in found
    assert (
        "smaller with linear than with always, by 3.00" in found and "larger with two-phase than with always, by 5.00" in found
    )
    assert "teacher-forced loss is higher with linear" in found
    assert "Under always, errors on dev are 4.00 ± 0.00 points more when the model runs free" in found


def test_studies_ask_the_table_which_way_a_metric_goes(monkeypatch):
    """Any metric that is better when lower, whatever its name."""
    runs = [regime("always", s, 50 + s / 10, 4) for s in (1, 2, 3)] + [regime("linear", s, 60 + s / 10, 4) for s in (1, 2, 3)]
    ordered = [score(n, s, value + s / 10) for n, value in (("none", 40), ("general", 31)) for s in (1, 2, 3)]
    monkeypatch.setitem(METRICS, "accuracy", dataclasses.replace(METRICS["accuracy"], higher_is_better=False))
    found = " ".join(exposure.report(outcome(runs, ["always", "linear"])).findings)
    assert "always is ahead of linear by 10.00 ± 0.00" in found
    report = scores.report(outcome(ordered, ["none", "general"]))
    assert "general, none." in report.findings[0] and "general is ahead of none by 9.00" in " ".join(report.findings)


def test_curves_are_read_at_shares_of_the_training():
    found = exposure.curve([{"step": 50, "gap": 4.0}, {"step": 100, "gap": 2.0}], "gap", 100)
    at = dict(zip(exposure.GRID.tolist(), found.tolist(), strict=True))
    assert at[50.0] == 4.0 and at[75.0] == 3.0 and at[100.0] == 2.0 and np.isnan(at[45.0])


def score(variant, seed, accuracy):
    test = {name: {"accuracy": accuracy, "token-error-rate": 1.0} for name in ("greedy", "beam 5")}
    history = [{"step": 1, "accuracy": accuracy}]
    return result(variant, seed, metric="accuracy", test=test, test_loss=0.5, dev=accuracy, parameters=10, training_seconds=1.0,
                  steps=1, best_step=1, history=history)  # fmt: skip


def test_scores_says_where_the_order_is_not_luongs():
    names = {"location": 50, "none-reversed": 40, "dot": 30, "general": 31}
    runs = [score(n, s, value + s / 10) for n, value in names.items() for s in (1, 2, 3)]
    runs = [score(r["variant"], r["seed"], 31 + [5, -5, 1][r["seed"] - 1]) if r["variant"] == "general" else r for r in runs]
    report = scores.report(outcome(runs, list(names)))
    verdicts = dict(scores._beside({n: {s: names[n] + s / 10 for s in (1, 2, 3)} for n in names}, "accuracy"))
    assert sorted(verdicts.values()) == ["other", "other", "same"]
    assert "1 are clearly the same here, 1 clearly the other way round, and 1 open" in report.findings[-1]
    assert report.findings[0].startswith("From best to worst by mean test accuracy (%): location, none-reversed")


def test_scores_varies_one_thing_at_a_time(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.jsonl").write_text(
        '{"source": "' + "a" * 300 + '", "target": "b"}\n{"source": "c", "target": "d"}\n'
    )
    found = {v.name: v.options for v in scores.variants(Setting(tmp_path, {"max_tokens": 400}, {}, {}))}
    for name, changed in (("input-feeding", {"input_feeding": True}), ("general-reversed", {"reverse_source": True})):
        assert dict(found[name]) == {**found["general"], **changed}
    assert dict(found["monotonic"]) == {**found["general"], "alignment": "monotonic"}
    assert dict(found["monotonic-dot"]) == {**found["dot"], "alignment": "monotonic"}
    assert found["location"]["location_length"] == 301 and found["local-p"]["window"] == "local-p"


def test_monotonic_is_a_variant_only_of_letters(tmp_path):
    """Words and subwords would be refused; and what else is asked for may not fit."""
    (tmp_path / "data").mkdir()
    for n, expected in ((1_990, True), (2_000, False)):
        lines = "".join(json.dumps({"source": "a", "target": f"w{i}"}) + "\n" for i in range(n))
        (tmp_path / "data" / "train.jsonl").write_text(lines)
        setting = Setting(
            tmp_path, {"target_tokenizer": "space", "min_count": 1, "bpe_size": 7_000 + n, "attention": "general"}, {}, {}
        )
        assert ("monotonic" in [v.name for v in scores.variants(setting)]) == expected
        assert ("monotonic" in [v.name for v in faithful.variants(setting)]) == expected
    (tmp_path / "data" / "train.jsonl").write_text('{"source": "a", "target": "b"}\n')
    for more in ({"window": "local-m"}, {"input_feeding": True}, {"alignment": "monotonic"}):
        names = [v.name for v in faithful.variants(Setting(tmp_path, {"attention": "general", **more}, {}, {}))]
        assert names == ["one-direction", "both-directions"]


def test_studies_of_a_monotonic_alignment_from_the_command_line(files, tmp_path, capsys):
    """scores overrides what is asked for; bottleneck and gradients, which need models without attention, refuse it before any run."""
    data = (files / "train.tsv", "--dev", files / "dev.tsv", "--test", files / "test.tsv")
    one = ("--seeds", "1", "--variants", "none", "monotonic")
    assert call("study", "scores", *data, "--out", tmp_path / "s", *one, *TINY, "--alignment", "monotonic") == 0
    folders = {
        name: json.loads((tmp_path / "s" / "runs" / f"{name}-1" / "model" / "config.json").read_text()) for name in one[3:]
    }
    assert [folders[n]["model"]["alignment"] for n in one[3:]] == ["soft", "monotonic"]
    capsys.readouterr()
    for name in ("bottleneck", "gradients"):
        assert call("study", name, *data, "--out", tmp_path / name, *TINY, "--alignment", "monotonic") == 2
        assert "give --attention dot, or --alignment soft" in capsys.readouterr().err
        assert not list((tmp_path / name).glob("runs/*/model"))


def test_copying_is_refused_by_faithful_before_any_run(files, tmp_path, capsys):
    data = (files / "train.tsv", "--dev", files / "dev.tsv", "--test", files / "test.tsv")
    more = ("--alignment", "monotonic", "--copy")
    assert call("study", "faithful", *data, "--out", tmp_path / "s", *TINY, *more) == 2
    assert "copy is on, and permuted weights leave what is copied as it is" in capsys.readouterr().err
    assert not (tmp_path / "s" / "runs").exists()
    letters = tmp_path / "letters.tsv"
    letters.write_text("".join(f"{w}\t{w}s\n" for w in map("".join, itertools.product("abc", repeat=3))), encoding="utf-8")
    options = {"hidden": 8, "embedding": 8, "readout_size": 8, "threads": 1, "steps": 2, "quiet": True}
    jumok.train(letters, out=tmp_path / "m", alignment="monotonic", copy=True, **options)
    assert call("study", "faithful", "--model", tmp_path / "m", "--test", letters, "--out", tmp_path / "n") == 2
    assert "the model copies tokens" in capsys.readouterr().err


def test_links_takes_no_pairs_of_others(files, tmp_path, capsys):
    assert call("study", "links", files / "train.tsv", "--out", tmp_path / "s") == 2
    assert "leave PAIRS out" in capsys.readouterr().err and not (tmp_path / "s").exists()
    with pytest.raises(ConfigError, match="no links to compare"):
        links.variants(Setting(tmp_path, {"attention": "none"}, {}, {}))


def test_the_links_of_the_invented_spelling():
    assert spoken("shaxe") == (
        "ŠAKS",
        Gold(frozenset({(2, 1), (3, 2), (3, 3)}), frozenset({(0, 0), (1, 0), (2, 1), (3, 2), (3, 3)})),
    )
    phones, gold = spoken("wghdate")  # w and gh are silent, and e, which makes the a long
    assert phones == "DĀT" and gold.sure == gold.possible == {(3, 0), (4, 1), (5, 2)}
    assert spoken("deebat")[0] == "DĒBAT" and spoken("deebate")[0] == "DĒBĀT"
    about, splits = invented()
    words = [word for pairs in splits.values() for word, _ in pairs]
    assert len(set(words)) == len(words) and splits == invented()[1] and "made here" in about
    for word, target in splits["test"]:
        phones, gold = spoken(word)
        assert phones == target and gold.sure <= gold.possible and {j for _, j in gold.possible} == set(range(len(phones)))
        assert [i for i, _ in sorted(gold.possible, key=lambda link: link[::-1])] == sorted(i for i, _ in gold.possible)
    silent = [set(range(len(w))) - {i for i, _ in spoken(w)[1].possible} for w, _ in splits["test"]]
    assert 0.2 < np.mean([bool(s) for s in silent]) < 0.95


def linked(variant, seed, aer, entropy):
    found = {
        m: {"aer": aer, "link-precision": 100 - aer, "link-recall": 100 - aer} for m in links.METHODS[variant.split("-")[0]]
    }
    return result(variant, seed, links=found, entropy=entropy, forward=99.0, test={"accuracy": 90.0})


def test_links_says_what_the_numbers_say():
    runs = [linked("soft", s, 8 + s / 10, 0.5) for s in (1, 2, 3)] + [linked("monotonic", s, s / 10, 0.01) for s in (1, 2, 3)]
    made = links.report(outcome(runs, ["soft", "monotonic"]))
    assert made.findings[0].startswith("soft: 8.2 % alignment error by argmax, 0.50 bits")
    assert "monotonic is ahead of soft by 8.0 ± 0.0 points of AER (3 seeds)." in made.findings
    (table,) = [block for block in made.blocks if hasattr(block, "rows")]
    assert [row[2] for row in table.rows] == ["argmax", "path", "argmax", "path", "viterbi"]
    assert len({len(row) for row in (table.head, *table.rows)}) == 1 and [f.name for f in made.figures] == [
        "aer.svg",
        "entropy.svg",
    ]
    weights = [np.array([[0.9, 0.1], [0.2, 0.8], [1, 0]]), np.array([[0.5, 0.5]])]
    assert links.spread(weights)["forward"] == 50.0 and links.spread([np.eye(2)])["entropy"] == 0


def test_gradient_sentences_have_the_length_asked_for():
    sources, targets = [[4, 5, END], [6, END], [7, 8, 9, END]], [[4, END], [6, 7, END], [5, END]]
    source, target = gradients.sentences(sources, targets, 4)
    assert source.tolist() == [[4, 5, 6, 7, END], [6, 7, 8, 9, END], [7, 8, 9, 4, END]]
    assert target.tolist() == [[4, END, PAD], [6, 7, END], [5, END, PAD]]
    assert gradients.sentences(sources, targets, 2)[0].tolist() == [[4, 5, END], [6, 7, END], [7, 8, END]]


def test_gradients_says_what_the_numbers_say():
    def run(variant, seed, first, last):
        lengths = lambda r: {str(n): {"norms": [1.0] * (n - 1) + [r], "first_to_last": r} for n in gradients.LENGTHS}  # noqa: E731
        seen = [{"step": 0, "forget": 0.7, "lengths": lengths(first)}, {"step": 9, "forget": 0.9, "lengths": lengths(last)}]
        return result(variant, seed, gradients=seen, steps=9, history=[{"accuracy": 1.0, "loss": 1.0}])

    runs = [run("rnn", s, 1e-9, 1e-9 * 10 ** (s - 2)) for s in (1, 2, 3)]
    runs += [run("rnn-attention", s, 1e-2, 1e-9 * 10 ** (5 * (s - 2))) for s in (1, 2, 3)]
    found = gradients.report(outcome(runs, ["rnn", "rnn-attention"])).findings
    assert (
        "1.0e-09 of the last token's gradient in the plain RNN" in found[0] and "larger by 7.0 ± 0.0 powers of ten" in found[0]
    )
    assert found[1].startswith("After training") and "no clear difference" in found[1]
