"""The engine of studies: finished runs are known again and never done twice, whatever stopped the study before."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import jumok
from jumok.config import StudyConfig, TextConfig, TrainConfig
from jumok.errors import ConfigError, DataError, TrainingError
from jumok.studies import bottleneck, command, data, engine, outputs, studies
from jumok.studies.plan import Interrupted, Setting, Study, Task, Variant, plan_runs, result_of, write_whole
from jumok.studies.report import Report

TINY = {"hidden": 8, "embedding": 8, "readout_size": 8, "batch_size": 16, "steps": 4, "threads": 1}


def write_tsv(path, count, longest=6, first=0):
    lines = []
    for i in range(first, first + count):
        word = "".join("abcd"[(i // 4**k) % 4] for k in range(1 + i % longest)) + "e" * (i % 2)
        lines.append(f"{word}\t{word.upper()}\n")
    path.write_text("".join(lines), encoding="utf-8")
    return path


@pytest.fixture
def toy(monkeypatch):
    """A study without training: its work notes that it was called, and may be told to stop or to fail at a run."""
    calls, trouble = [], {}

    def work(task):
        name = task.folder.name
        if name in trouble:
            raise trouble[name]
        calls.append(name)
        return {"value": task.options["seed"], "headline": "done"}

    study = Study(
        name="toy",
        question="?",
        claim="none.",
        defaults={},
        own_defaults={"steps": 10},
        own_data=lambda: ("made", {"train": [("a", "b")] * 3, "dev": [("c", "d")], "test": [("e", "f")]}),
        variants=lambda setting: [Variant("x", {}, "one"), Variant("y", {"hidden": 4}, "other")],
        work=work,
        report=lambda outcome: Report([f"{len(outcome.results)} results"], []),
    )
    monkeypatch.setitem(studies.STUDIES, "toy", study)
    return calls, trouble


def test_a_stopped_study_does_only_what_is_missing(toy, tmp_path):
    calls, trouble = toy
    trouble["x-2"] = Interrupted(signal.SIGINT)
    first = jumok.study("toy", out=tmp_path / "s", seeds=2, quiet=True)
    assert first.interrupted == signal.SIGINT and calls == ["x-1", "y-1"] and first.missing == ["x-2", "y-2"]
    assert first.findings == ["2 results"]  # what is finished is reported
    trouble.clear()
    second = jumok.study("toy", out=tmp_path / "s", seeds=2, quiet=True)
    assert calls == ["x-1", "y-1", "x-2", "y-2"] and not second.missing and second.findings == ["4 results"]
    jumok.study("toy", out=tmp_path / "s", seeds=2, quiet=True)
    assert len(calls) == 4
    jumok.study("toy", out=tmp_path / "s", seeds=3, variants=["y"], quiet=True)  # more of the same
    assert calls[4:] == ["y-3"]


def test_the_command_says_how_to_go_on(toy, tmp_path, capsys, monkeypatch):
    _, trouble = toy
    monkeypatch.setattr(command, "defaults", lambda _: {})
    trouble["y-1"] = KeyboardInterrupt()
    asked = StudyConfig(out=str(tmp_path / "s"), seeds=1)
    assert command.run("toy", "", asked, TrainConfig()) == 130
    out, err = capsys.readouterr()
    assert "1 of 2 runs are finished and kept; the same command continues" in err and "- 1 results" in out
    trouble.clear()
    assert command.run("toy", "", asked, TrainConfig()) == 0


def test_a_failed_run_keeps_the_others_and_is_done_again(toy, tmp_path):
    calls, trouble = toy
    trouble["y-1"] = TrainingError("the loss is nan")
    with pytest.raises(TrainingError, match="nan"):
        jumok.study("toy", out=tmp_path / "s", seeds=1, quiet=True)
    trouble.clear()
    assert not jumok.study("toy", out=tmp_path / "s", seeds=1, quiet=True).missing and calls == ["x-1", "y-1"]


def test_other_options_or_data_in_the_same_folder_are_refused(toy, tmp_path, monkeypatch):
    jumok.study("toy", out=tmp_path / "s", seeds=1, quiet=True)
    with pytest.raises(ConfigError, match=r"learning_rate None \(now 0.5\).*--out"):
        jumok.study("toy", out=tmp_path / "s", seeds=1, quiet=True, learning_rate=0.5)
    jumok.study("toy", out=tmp_path / "s", seeds=1, quiet=True, threads=1)  # changes nothing that is found
    with pytest.raises(ConfigError, match="holds the study 'toy'"):
        jumok.study("bottleneck", out=tmp_path / "s", quiet=True)
    pairs = write_tsv(tmp_path / "p.tsv", 60)
    with pytest.raises(ConfigError, match="other data"):
        jumok.study("toy", pairs, out=tmp_path / "s", seeds=1, quiet=True, steps=10)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(ConfigError, match="not a study"):
        jumok.study("toy", out=tmp_path / "mine", quiet=True)
    assert os.listdir(tmp_path / "mine") == ["letter.txt"]


def test_a_damaged_result_is_named(toy, tmp_path):
    jumok.study("toy", out=tmp_path / "s", seeds=1, quiet=True)
    (tmp_path / "s" / "runs" / "x-1" / "result.json").write_text('{"half')
    with pytest.raises(DataError, match=r"x-1.*result\.json.*delete it"):
        jumok.study("toy", out=tmp_path / "s", seeds=1, quiet=True)


def test_what_cannot_be_asked(toy, tmp_path):
    for options, said in [
        ({}, "out is missing"),
        ({"out": tmp_path / "a", "minutes": 2}, "minutes_per_run"),
        ({"out": tmp_path / "a", "variants": ["z"]}, "there are x, y"),
        ({"out": tmp_path / "a", "seeds": 0}, "1 or more"),
        ({"out": tmp_path / "a", "atention": "dot"}, "attention"),
        ({"out": tmp_path / "a", "test": "t.tsv"}, "without pairs"),
        ({"out": tmp_path / "a", "model": "m"}, "faithful"),
    ]:
        with pytest.raises(ConfigError, match=said):
            jumok.study("toy", quiet=True, **options)
    with pytest.raises(ConfigError, match="bottleneck"):
        jumok.study("botleneck", out=tmp_path / "a")


def test_minutes_take_the_place_of_the_studys_own_steps(toy, tmp_path):
    jumok.study("toy", out=tmp_path / "s", seeds=1, minutes_per_run=2.5, quiet=True)
    made_from = json.loads((tmp_path / "s" / "runs" / "x-1" / "result.json").read_text())["made_from"]
    assert made_from["options"]["minutes"] == 2.5 and made_from["options"]["steps"] is None


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"minutes": 60.0}, {"size": "small", "layers": 3, "batch_size": 64}),
        ({"minutes": 60.0, "layers": 2, "batch_tokens": 900}, {"size": "small", "layers": 2}),
        ({"steps": 9_000}, {}),
    ],
)
def test_runs_of_equal_time_have_one_size_whatever_the_machine_does(tmp_path, monkeypatch, given, wanted):
    """A training alone would measure what it has time for, and two runs of a study might differ in more than their variant."""
    write_whole(tmp_path / "train.jsonl", "".join(f'{{"source": "{n}", "target": "{n}"}}\n' for n in range(8_000)))
    found = {}

    def train(pairs, dev, out, **options):
        found.update(options)
        raise Interrupted(2)

    monkeypatch.setattr("jumok.learn.train", train)
    with pytest.raises(Interrupted):
        outputs.train(Task(tmp_path / "run", tmp_path, dict(given), {}))
    assert {name: found[name] for name in ("size", "layers", "batch_size") if name in found} == wanted


def test_fingerprints_know_options_seeds_and_data(tmp_path):
    def of(options, sha="0", settings=None):
        setting = Setting(tmp_path, options, {"splits": {"train": {"sha256": sha}}}, settings or {})
        return plan_runs("toy", setting, [Variant("x", {"layers": 2}, "")], [1])[0].fingerprint

    same = of({"hidden": 8})
    assert of({"hidden": 8, "threads": 3}) == same and of({"hidden": 8, "dropout": None}) == same
    assert len({same, of({"hidden": 9}), of({"hidden": 8}, "1"), of({"hidden": 8}, settings={"model": "m"})}) == 4


def test_study_json_tells_all(toy, tmp_path):
    jumok.study("toy", out=tmp_path / "s", seeds=1, quiet=True)
    facts = json.loads((tmp_path / "s" / "study.json").read_text())
    assert facts["schema"] == "jumok.study/1" and facts["study"] == "toy" and facts["missing"] == []
    assert [run["name"] for run in facts["runs"]] == ["x-1", "y-1"]
    assert facts["data"]["splits"]["train"]["pairs"] == 3 and facts["versions"]["jumok"] == jumok.__version__
    assert str(tmp_path) not in json.dumps(facts["machine"])


def test_nothing_half_written_is_left(tmp_path, monkeypatch):
    def fails(*_):
        raise OSError(28, "No space left on device")

    write_whole(tmp_path / "a.json", "old")
    monkeypatch.setattr("os.replace", fails)
    with pytest.raises(DataError, match="No space left"):
        write_whole(tmp_path / "a.json", "new")
    assert (tmp_path / "a.json").read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_longer_pairs_leave_training_and_dev_but_not_the_test(tmp_path):
    pairs = write_tsv(tmp_path / "p.tsv", 200)
    splits = data.read_splits(str(pairs), "", "", TextConfig(), lambda _: None)
    sources = [{p.source for p in splits[name]} for name in ("train", "dev", "test")]
    assert not sources[0] & sources[1] and not sources[0] & sources[2] and not sources[1] & sources[2]
    about = data.write_splits(tmp_path / "d", "x", splits, TextConfig(), 4)
    assert all(about["splits"][n]["longest"] <= 4 for n in ("train", "dev")) and about["splits"]["test"]["longest"] > 4
    again = data.write_splits(tmp_path / "d", "x", splits, TextConfig(), 4)
    assert again == about
    with pytest.raises(DataError, match="train-max-length"):
        data.write_splits(tmp_path / "e", "x", splits, TextConfig(), 0)


def test_length_is_counted_in_characters_or_words():
    assert data.length_of("ab c", "char") == 4 and data.length_of("ab c", "bpe") == data.length_of("ab c", "space") == 2


@pytest.mark.parametrize("make", [data.substitution, data.turned_words, data.harmony, data.first_letters])
def test_own_data_is_the_same_each_time_and_splits_share_no_source(make):
    about, splits = make()
    assert (about, splits) == make() and about.startswith("made here")
    sources = [{s for s, _ in splits[name]} for name in ("train", "dev", "test")]
    assert [len(s) for s in sources] == [len(splits[name]) for name in ("train", "dev", "test")]
    assert sum(map(len, sources)) == len(set().union(*sources))


def test_own_data_has_the_structure_it_says():
    _, splits = data.turned_words()
    table = {}
    for source, target in splits["train"][:500]:
        for word, written in zip(source.split(" "), target.split(" "), strict=True):
            for c, d in zip(word[::-1], written, strict=True):
                assert table.setdefault(c, d) == d
    _, splits = data.harmony()
    for source, target in splits["test"][:50]:
        vowels = [("aeiou".index(a), "aeiou".index(b)) for a, b in zip(source, target, strict=True) if a in "aeiou"]
        assert [b for _, b in vowels] == [sum(a for a, _ in vowels[: k + 1]) % 5 for k in range(len(vowels))]
        assert [c for c in source if c not in "aeiou"] == [c for c in target if c not in "aeiou"]


def test_bottleneck_gives_all_the_same_number_of_parameters(tmp_path):
    splits = data.read_splits(str(write_tsv(tmp_path / "p.tsv", 200)), "", "", TextConfig(), lambda _: None)
    about = data.write_splits(tmp_path / "data", "x", splits, TextConfig(), None)
    options = {"hidden": 48, "embedding": 24, "readout_size": 32, "bidirectional": False, "attention": "general"}
    setting = Setting(tmp_path, options, about, {})
    from jumok.studies import sizes

    counts = {v.name: sizes.parameters(setting, sizes.resolved(setting, dict(v.options))) for v in bottleneck.variants(setting)}
    assert max(counts.values()) / min(counts.values()) < 1.02, counts
    assert all(v.options.get("hidden", 48) > 48 for v in bottleneck.variants(setting) if v.name != "attention")


@pytest.mark.slow
def test_jobs_side_by_side_survive_a_kill(tmp_path):
    """Killed without warning after its first finished run, with two at a time; started again it does the rest, no more."""
    pairs, dev, test = (
        write_tsv(tmp_path / f"{n}.tsv", k, first=f) for n, k, f in (("p", 90, 0), ("d", 12, 200), ("t", 12, 300))
    )
    options = [f"--{name.replace('_', '-')}={value}" for name, value in TINY.items()]
    command = [sys.executable, "-m", "jumok", "study", "exposure", str(pairs), "--dev", str(dev), "--test", str(test)]
    command += ["--out", str(tmp_path / "s"), "--seeds", "1", "--jobs", "2"]
    command += [*options, "--variants", "always", "linear", "never"]
    results = lambda: sorted((tmp_path / "s" / "runs").glob("*/result.json"))  # noqa: E731
    process = subprocess.Popen(
        command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd=Path(jumok.__file__).parent.parent
    )
    deadline = time.monotonic() + 60
    while not results() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    process.kill()
    process.wait()
    time.sleep(0.5)  # its runs notice that it is gone
    before = {path: path.stat().st_mtime_ns for path in results()}
    assert before
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(jumok.__file__).parent.parent, timeout=120)
    assert done.returncode == 0, done.stderr
    assert len(results()) == 3 and {p: p.stat().st_mtime_ns for p in before} == before
    assert len(before) == 3 or f"{len(before)} of 3 runs are finished already" in done.stderr
    assert (tmp_path / "s" / "report.html").exists()


def test_a_run_that_fails_in_its_own_process_says_why(tmp_path):
    about = data.write_splits(
        tmp_path / "data", "x", {n: data.as_pairs([("ab" + n, "c")] * 4) for n in ("train", "dev", "test")}, TextConfig(), None
    )
    setting = Setting(tmp_path, {**TINY, "attention": "location", "location_length": 1}, about, {})
    (run,) = plan_runs("scores", setting, [Variant("location", {}, "")], [1])
    with pytest.raises(TrainingError, match=r"location-1: the run failed: .*location_length is 1.*log\.txt"):
        engine.carry_out([run], tmp_path / "data", 2, lambda _: None)
    assert result_of(run) is None
