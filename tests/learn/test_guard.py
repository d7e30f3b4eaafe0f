"""A batch whose loss is not finite: it is named and left out, exactly; and no broken weights are ever kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from faulty_disk import Death
from safetensors.numpy import load_file
from toy_run import SHORT, TINY, die_at, listen, remains, write_pairs

import jumok
from jumok.config import LearnConfig
from jumok.errors import TrainingError
from jumok.learn import loop as loops
from jumok.learn.adam import BETAS, Adam
from jumok.learn.checkpoint import NEWEST
from jumok.learn.guard import MOST_IN_A_ROW, Guard
from jumok.net.model import Losses, Seq2Seq
from jumok.text import Batch
from jumok.text.vocabulary import UNK

BATCH = Batch(*(np.zeros((1, 1), np.int64),) * 4, np.zeros(1, np.int64))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pairs(tmp_path_factory.mktemp("data") / "pairs.tsv")


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return listen(monkeypatch)


def everything(w: torch.Tensor, o: Any) -> list[torch.Tensor]:
    return [w.detach().clone(), *(t.clone() for t in o.state[w].values())]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("warm", [0, 3])
def test_a_skipped_step_changes_nothing_at_all(bad: float, warm: int) -> None:
    """Neither weights nor moments nor the step count, whether it is the first step or a later one."""
    w, twin = (torch.arange(40.0, requires_grad=True) for _ in range(2))
    o, plain = Adam([w], 0.1), torch.optim.AdamW([twin], lr=0.1, betas=BETAS, weight_decay=0.1, fused=True)
    guard = Guard(LearnConfig(), lambda b: "", lambda t: None)

    def step(gradient: torch.Tensor) -> None:
        w.grad = gradient.clone()
        norm = torch.nn.utils.clip_grad_norm_([w], 1.0, foreach=True)
        guard.step(norm, lambda skip: o.step(0.1, skip))

    def plain_step(gradient: torch.Tensor) -> None:
        twin.grad = gradient.clone()
        torch.nn.utils.clip_grad_norm_([twin], 1.0, foreach=True)
        plain.step()

    good = [torch.randn(40, generator=torch.Generator().manual_seed(i)) for i in range(6)]
    for g in good[:warm]:
        step(g)
        plain_step(g)
    broken = good[0].clone()
    broken[7] = bad
    step(broken)
    assert guard.bad.item() == 1 and guard.only_good(torch.tensor(torch.nan)).item() == 0
    assert o.state[w]["step"].item() == warm
    for g in good[warm:]:
        step(g)
        plain_step(g)
    assert guard.bad.item() == 0 and guard.only_good(torch.tensor(2.5)).item() == 2.5
    for mine, theirs in zip(everything(w, o), everything(twin, plain), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [0.01, 1.0, 30.0])
def test_adam_divides_by_what_the_norm_is_too_large_by(size: float, dtype: torch.dtype) -> None:
    """Gradients below and above the clip's norm, two tensors together: as clipped by torch, then given to a plain Adam."""
    pairs = [[torch.arange(n, dtype=dtype, requires_grad=True) for _ in range(2)] for n in (40, 7)]
    mine, theirs = zip(*pairs, strict=True)
    plain = torch.optim.AdamW(theirs, lr=0.1, betas=BETAS, weight_decay=0.0)
    learn = LearnConfig(clip=0.5)
    loop = SimpleNamespace(
        parameters=list(mine),
        learn=learn,
        optimizer=Adam(mine),
        guard=Guard(learn, lambda b: "", lambda t: None),
    )
    g = torch.Generator().manual_seed(0)
    for _ in range(5):
        for a, b in pairs:
            a.grad = size * torch.randn(a.shape, generator=g, dtype=dtype)
            b.grad = a.grad.clone()
        loops.Loop._descend(loop, 0.1)  # type: ignore[arg-type]
        torch.nn.utils.clip_grad_norm_(theirs, 0.5)
        plain.step()
        torch.testing.assert_close(mine, theirs)


def seen(guard: Guard, flags: list[int], first: int = 1) -> None:
    for i, flag in enumerate(flags):
        guard.bad = torch.tensor(float(flag))
        guard.saw(first + i, BATCH, 5)


def test_many_steps_are_read_at_once_as_on_a_gpu() -> None:
    told: list[str] = []
    guard, at = Guard(LearnConfig(learning_rate=0.5), lambda b: "these lines", told.append), loops.Position()
    seen(guard, [0, 1, 0, 1, 1])
    assert guard.settle(at) == (3, 15) and at.bad_in_a_row == 2
    assert [line.split(":")[1] for line in told] == [" step 2", " step 4", " step 5"] and "these lines" in told[0]
    assert guard.settle(at) == (0, 0)
    seen(guard, [1] * (MOST_IN_A_ROW - 3) + [0], first=6)
    guard.settle(at)
    assert at.bad_in_a_row == 0
    seen(guard, [1] * 4, first=20)
    guard.settle(at)
    seen(guard, [1] * (MOST_IN_A_ROW - 4), first=24)
    with pytest.raises(TrainingError, match=r"step 29: .*these lines.* 10th in a row"):
        guard.settle(at)


def test_stop_at_the_first() -> None:
    guard = Guard(LearnConfig(on_bad_loss="stop", learning_rate=0.5), lambda b: "these lines", print)
    seen(guard, [0, 1, 0])
    with pytest.raises(TrainingError, match=r"step 2: .*these lines.*lower --learning-rate than 0\.5, or --on-bad-loss skip"):
        guard.settle(loops.Position())


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Losses]]:
    """Makes the losses of these steps (from 1) not finite; returns what all steps' losses were."""

    def planted(*steps: int, factor: float = float("nan")) -> list[Losses]:
        made: list[Losses] = []
        real = Seq2Seq.loss

        def loss(self: Seq2Seq, *arguments: Any) -> Losses:
            found = real(self, *arguments)
            made.append(found)
            if len(made) in steps:
                found = Losses(found.loss * factor, found.nll * factor, found.tokens)
            return found

        monkeypatch.setattr(Seq2Seq, "loss", loss)
        return made

    return planted


@pytest.mark.parametrize("factor", [float("nan"), float("inf")])
def test_a_bad_batch_is_named_and_left_out(data: Path, tmp_path: Path, plant: Any, said: list[str], factor: float) -> None:
    plant(2, 7, factor=factor)
    done = jumok.train(data, out=tmp_path / "m", **SHORT)
    warnings = [line for line in said if line.startswith("warning")]
    assert [w.split(":")[1] for w in warnings] == [" step 2", " step 7"]
    lines = [(data.name, n, source) for n, source in enumerate(data.read_text().splitlines(), 1)]
    for w in warnings:
        first = w.partition("batch of ")[2].partition(",")[0]
        text = w.partition("first source '")[2].partition("'")[0]
        assert any(first == f"{data.parent / name}:{n}" and line.split("\t")[0] == text for name, n, line in lines), w
    assert [e["skipped"] for e in done.history] == [1, 1]
    assert all(np.isfinite(a).all() for a in load_file(tmp_path / "m" / "model.safetensors").values())


def test_sums_are_those_of_the_good_batches(data: Path, tmp_path: Path, plant: Any) -> None:
    losses = plant(2, 7)
    done = jumok.train(data, out=tmp_path / "m", **SHORT)
    assert len(losses) == 8 and [e["skipped"] for e in done.history] == [1, 1]
    good = [losses[i] for i in (0, 2, 3)]
    wanted = sum(l.nll.item() for l in good) / sum(l.tokens for l in good)
    assert done.history[0]["train_loss"] == pytest.approx(wanted, rel=1e-6)
    assert done.history[0]["tokens_per_second"] > 0


def test_stop_ends_the_run_and_keeps_what_was_good(data: Path, tmp_path: Path, plant: Any) -> None:
    plant(7)
    with pytest.raises(TrainingError, match=r"step 7: .*pairs\.tsv:\d+.*--on-bad-loss skip"):
        jumok.train(data, out=tmp_path / "m", on_bad_loss="stop", **SHORT)
    assert np.isfinite(load_file(tmp_path / "m" / "model.safetensors")["readout.bias"]).all()
    jumok.load(tmp_path / "m").translate("ab")


def test_many_in_a_row_end_the_run_also_when_it_was_killed_among_them(
    data: Path,
    tmp_path: Path,
    plant: Any,
    monkeypatch: Any,
) -> None:
    options = {"steps": 40, "evaluate_every": 4, "save_every": 1, **TINY}
    losses = plant(*range(6, 50))
    with monkeypatch.context() as m:
        die_at(m, 9)
        with pytest.raises(Death):
            jumok.train(data, out=tmp_path / "m", **options)
    assert len(losses) == 9
    with pytest.raises(TrainingError, match=r"step 15: .*10th in a row"):
        jumok.train(data, out=tmp_path / "m", resume=True, **options)
    for name in ("model.safetensors", NEWEST):
        floats = [a for a in load_file(tmp_path / "m" / name).values() if a.dtype == np.float32]
        assert floats and all(np.isfinite(a).all() for a in floats)


def test_skipped_batches_and_death_leave_the_same_run(
    data: Path,
    tmp_path: Path,
    plant: Any,
    monkeypatch: Any,
) -> None:
    for name in ("whole", "killed"):
        losses = plant(2, 6)
        with monkeypatch.context() as m:
            if name == "killed":
                die_at(m, 5)
                with pytest.raises(Death):
                    jumok.train(data, out=tmp_path / name / "model", **SHORT)
        del losses[4:]  # resumed from step 4: step 5 comes again
        jumok.train(data, out=tmp_path / name / "model", resume=name == "killed", **SHORT)
    assert remains(tmp_path / "killed" / "model") == remains(tmp_path / "whole" / "model")


def test_weights_that_broke_otherwise_are_never_written(data: Path, tmp_path: Path, monkeypatch: Any) -> None:
    """A row of an embedding that no batch reads: neither the loss nor the gradient tells."""
    real = loops.Loop.update

    def update(self: loops.Loop, *arguments: Any) -> Any:
        if self.position.step == 6:
            with torch.no_grad():
                self.model.source_embedding[UNK].fill_(torch.nan)
        return real(self, *arguments)

    monkeypatch.setattr(loops.Loop, "update", update)
    with pytest.raises(TrainingError, match="at step 8 the weights are not finite; nothing was written"):
        jumok.train(data, out=tmp_path / "m", **SHORT)
    for name in ("model.safetensors", NEWEST):
        for name_, a in load_file(tmp_path / "m" / name).items():
            assert not name_.startswith(("model.", "source")) or np.isfinite(a).all()
