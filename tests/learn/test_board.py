"""Curves for TensorBoard: what is written when, on a stand-in for its writer; the real one where it is installed."""

import sys
from types import ModuleType

import pytest
from small_run import TINY, write_pairs

import jumok
from jumok.cli import main
from jumok.errors import MissingExtra, TrainingError
from jumok.learn import loop as loops
from jumok.learn.loop import LOOK


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_pairs(tmp_path_factory.mktemp("data") / "pairs.tsv", 300)


@pytest.fixture
def writers(monkeypatch):
    """A stand-in for torch.utils.tensorboard; every writer that was made."""
    made = []

    class SummaryWriter:
        def __init__(self, folder, purge_step=None):
            self.folder, self.purge_step, self.scalars, self.closed = folder, purge_step, {}, False
            made.append(self)

        def add_scalar(self, tag, value, step):
            assert not self.closed
            self.scalars.setdefault(tag, {})[step] = float(value)

        def flush(self):
            pass

        def close(self):
            self.closed = True

    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = SummaryWriter
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    return made


def test_curves(data, tmp_path, writers):
    options = {"steps": 2 * LOOK + 5, "evaluate_every": 30, "teacher_forcing": "linear", "metric": "chrf"}
    done = jumok.train(data, out=tmp_path / "m", tensorboard=tmp_path / "runs" / "first", **options, **TINY)
    (writer,) = writers
    assert writer.folder == str(tmp_path / "runs" / "first") and writer.purge_step is None and writer.closed
    curves = writer.scalars
    looks = ("train/loss", "train/learning_rate", "train/gold_share", "train/tokens_per_second")
    assert all(list(curves[tag]) == [LOOK, 2 * LOOK] for tag in looks)
    assert curves["train/gold_share"][LOOK] == pytest.approx(1 - (LOOK - 1) / options["steps"])
    for entry in done.history:
        assert entry["step"] in (30, options["steps"])
        for name in ("loss", "accuracy", "token-error-rate", "chrf", "gap"):
            assert curves[f"dev/{name}"][entry["step"]] == entry[name]
        for name in ("train_loss", "learning_rate", "gold_share", "tokens_per_second"):
            assert curves[f"evaluation/{name}"][entry["step"]] == entry[name]
    assert len(curves) == 4 + 5 + 4


def test_the_loss_is_that_since_the_last_look(data, tmp_path, writers, monkeypatch):
    real = loops.Loop.update

    def update(self, batch, rate, gold_share=1.0):
        real(self, batch, rate, gold_share)
        return loops.torch.tensor(10.0 * (1 + self.position.step // LOOK)), 10

    monkeypatch.setattr(loops.Loop, "update", update)
    jumok.train(data, out=tmp_path / "m", tensorboard=tmp_path / "runs", steps=3 * LOOK, evaluate_every=2 * LOOK, **TINY)
    assert writers[0].scalars["train/loss"] == {LOOK: 1.0, 2 * LOOK: 2.0, 3 * LOOK: 3.0}
    assert writers[0].scalars["evaluation/train_loss"] == {2 * LOOK: 1.5, 3 * LOOK: 3.0}


def test_a_resumed_run_hides_what_an_earlier_sitting_wrote_of_later_steps(data, tmp_path, writers, monkeypatch):
    real = loops.Loop.update

    def update(self, batch, rate, gold_share=1.0):
        self.interrupted = self.interrupted or (bool(rate) and self.position.step == 14)
        return real(self, batch, rate, gold_share)

    with monkeypatch.context() as m:
        m.setattr(loops.Loop, "update", update)
        jumok.train(data, out=tmp_path / "m", tensorboard=tmp_path / "runs", steps=30, evaluate_every=10, **TINY)
    jumok.train(out=tmp_path / "m", tensorboard=tmp_path / "runs", resume=True, quiet=True)
    assert [writer.purge_step for writer in writers] == [None, 16]  # 15 steps were done
    assert list(writers[1].scalars["dev/loss"]) == [20, 30]


def test_a_folder_that_cannot_be_written_is_named(data, tmp_path, writers, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(sys.modules["torch.utils.tensorboard"], "SummaryWriter", refuse)
    with pytest.raises(TrainingError, match=r"runs: cannot be written to .*--tensorboard another folder"):
        jumok.train(data, out=tmp_path / "m", tensorboard=tmp_path / "runs", steps=2, **TINY)


def test_without_the_package_the_command_that_installs_it_is_said(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingExtra):
        jumok.train(data, out=tmp_path / "m", tensorboard=tmp_path / "runs", steps=2, **TINY)
    assert main(["train", str(data), "--out", str(tmp_path / "m"), "--tensorboard", "runs"]) == 2
    assert "pip install 'jumok[tensorboard]'" in capsys.readouterr().err
    assert not (tmp_path / "m").exists()


def test_tensorboard_reads_what_was_written(data, tmp_path):
    pytest.importorskip("tensorboard", reason="the extra `tensorboard` is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    done = jumok.train(data, out=tmp_path / "m", tensorboard=tmp_path / "runs", steps=2 * LOOK, **TINY)
    events = EventAccumulator(str(tmp_path / "runs"))
    events.Reload()
    assert [e.step for e in events.Scalars("train/loss")] == [LOOK, 2 * LOOK]
    assert [e.value for e in events.Scalars("dev/loss")] == pytest.approx([entry["loss"] for entry in done.history])
