"""Sight into training: the floor's arithmetic, where the time went, what is said of it, and that looking changes nothing."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from one_of_many import LEARN, batches, new_loop
from safetensors.numpy import load_file
from small_run import TINY, write_pairs
from torch.utils.flop_counter import FlopCounterMode

import jumok
from jumok import scores
from jumok.config import ModelConfig, building
from jumok.learn import calibrate, start
from jumok.learn import loop as loops
from jumok.learn import run as runs
from jumok.learn.evaluation import Development
from jumok.learn.optimizer import Average
from jumok.learn.parallel import Team
from jumok.learn.profile import verdict
from jumok.learn.profile.limit import PASSES, Rates
from jumok.learn.profile.profiler import Profile, Profiler
from jumok.learn.work import Tokens, multiply_adds, of_attention, tokens_of
from jumok.net import model as models
from jumok.net import sections as profiles
from jumok.net.model import Seq2Seq, shifted
from jumok.net.sections import UNTIMED, Clock, Section, backward, recorder, section
from jumok.scores import SCORES, Score
from jumok.text import Batch, Batches

# -- the floor ------------------------------------------------------------------------------------------------------

SIZES = {"embedding": 3, "hidden": 4, "readout_size": 5, "score_size": 6, "tie": "none"}
SUMS = Tokens(source=10, target=8, cells=30, source_places=12, target_places=9)


@pytest.mark.parametrize(
    ("options", "encoder", "decoder", "attention", "output"),
    [
        # both directions: 2 · 4·2·(3+2) a source token; decoder 4·4·(3+4) a target token; V = 7
        ({"attention": "none"}, 10 * 80, 8 * 112, 8 * 5 * 4, 8 * 7 * 5),
        ({"attention": "dot"}, 10 * 80, 8 * 112, 8 * 5 * 8 + 30 * 8, 8 * 7 * 5),
        ({"attention": "general"}, 10 * (80 + 16), 8 * 112, 8 * 5 * 8 + 30 * 8, 8 * 7 * 5),
        ({"attention": "concat"}, 10 * (80 + 24), 8 * 112, 8 * (24 + 5 * 8) + 30 * (6 + 4), 8 * 7 * 5),
        ({"attention": "location"}, 10 * 80, 8 * 112, 8 * 5 * 8 + 30 * 8, 8 * 7 * 5),
        ({"attention": "dot", "window": "local-p"}, 10 * 80, 8 * 112, 8 * (24 + 6 + 5 * 8) + 30 * 8, 8 * 7 * 5),
        ({"attention": "dot", "readout": "linear"}, 10 * 80, 8 * 112, 30 * 8, 8 * 7 * 8),
        ({"attention": "dot", "input_feeding": True}, 10 * 80, 8 * 4 * 4 * (3 + 5 + 4), 8 * 5 * 8 + 30 * 8, 8 * 7 * 5),
        # one direction, two layers of three gates: 3·4·(3+4) + 3·4·(4+4)
        ({"attention": "dot", "cell": "gru", "bidirectional": False, "layers": 2}, 10 * 180, 8 * 180, 8 * 5 * 8 + 240, 280),
        ({"attention": "none", "cell": "rnn", "readout": "linear"}, 10 * 20, 8 * 28, 0, 8 * 7 * 4),
    ],
)
def test_multiply_adds_by_hand(options, encoder, decoder, attention, output):
    found = multiply_adds(ModelConfig(**SIZES, **options), 7, SUMS)
    steps = {profiles.DECODER: decoder, profiles.ATTENTION: attention}
    if options.get("input_feeding"):
        steps = {profiles.FED: decoder + attention}
    assert found == {profiles.ENCODER: encoder, **steps, profiles.OUTPUT: output}


def score_products(name, H, A, L):
    """As `of_attention` has them, without the context."""
    sizes = {"hidden": H, "embedding": H, "readout_size": H, "score_size": A, "location_length": L, "tie": "none"}
    source, target, pair = of_attention(replace(ModelConfig(**sizes), attention=name))
    return source, target, pair - H


@pytest.fixture
def later(monkeypatch):
    """A score that nobody has named anywhere but in SCORES: (W_p h_t) · (W_m h̄_s) + u · h_t."""
    score = scores.Score(
        shapes=lambda H, A, L: {"W_p": (A, H), "W_m": (A, H), "u": (H,)},
        keys=lambda xp, p, memory: memory @ p["W_m"].swapaxes(-1, -2),
        score=lambda xp, p, query, keys: (
            query @ p["W_p"].swapaxes(-1, -2) @ keys.swapaxes(-1, -2) + (query @ p["u"])[..., None]
        ),
        formula="(W_p h_t) · (W_m h̄_s) + u · h_t",
        source="made up",
    )
    monkeypatch.setitem(scores.SCORES, "later", score)
    hints = building.type_hints
    monkeypatch.setattr(building, "type_hints", lambda cls: hints(cls) | ({"attention": str} if cls is ModelConfig else {}))
    return "later"


def test_multiply_adds_of_a_score_that_came_later(later):
    H, A = 4, 6
    assert score_products(later, H, A, 9) == (A * H, A * H + H, A)
    found = multiply_adds(ModelConfig(**SIZES, attention=later), 7, SUMS)
    assert found[profiles.ENCODER] == 10 * (80 + A * H) and found[profiles.ATTENTION] == 8 * (A * H + H + 5 * 8) + 30 * (A + H)


@pytest.mark.parametrize("name", scores.SCORES)
@pytest.mark.parametrize(("H", "A", "L"), [(2, 3, 2), (8, 5, 40)])
def test_a_scores_products_are_counted_right_at_any_length(name, H, A, L):
    """What is said of a source token, a target token and a pair of them adds up to what torch counts, at other lengths."""
    per_source, per_target, cell = score_products(name, H, A, L)
    S, T = 2, 2
    score, p = scores.SCORES[name], {k: torch.zeros(shape) for k, shape in scores.SCORES[name].shapes(H, A, L).items()}
    with FlopCounterMode(display=False, custom_mapping={torch.ops.aten.mv: lambda a, b, *_, **__: 2 * a[0] * a[1]}) as counter:
        keys = score.keys(torch, p, torch.zeros(1, S, H))
        score.score(torch, p, torch.zeros(1, T, H), keys)
    assert counter.get_total_flops() == 2 * (S * per_source + T * per_target + S * T * cell)


def test_profile_of_a_score_that_came_later(later, data, tmp_path):
    jumok.train(data, out=tmp_path / "m", steps=12, attention=later, profile=True, **TINY)
    assert read(tmp_path / "m")["steps"] == 12
    assert jumok.load(tmp_path / "m").translate("abc").weights is not None


@pytest.mark.filterwarnings("ignore:TF32")  # of the switch that turns oneDNN off
@pytest.mark.parametrize("options", [{"attention": "dot"}, {"attention": "general", "layers": 2}, {"attention": "none"}])
def test_multiply_adds_are_those_that_torch_counts(options):
    """Without pads. Beside the formula's, torch counts two input columns of the encoder's: the bias, and what makes them even."""
    config = ModelConfig(**{**SIZES, "embedding": 8, "hidden": 12, "readout_size": 20}, **options)
    V, B, S, T = 32, 3, 5, 4
    model = Seq2Seq(config, 11, V)
    source, target = torch.randint(4, 11, (B, S)), torch.randint(4, 11, (B, T))
    with torch.backends.mkldnn.flags(enabled=False), FlopCounterMode(display=False) as counter, torch.no_grad():
        readout, _ = model.readout(source, torch.full((B,), S), shifted(target), target, torch.arange(B * T))
        model.logits(readout)
    expected = multiply_adds(config, V, Tokens(B * S, B * T, B * S * T, B * S, B * T))
    two_columns = 2 * B * S * 2 * 4 * (12 // 2) * config.depth
    assert counter.get_total_flops() == 2 * (sum(expected.values()) + two_columns)

    readout = readout.requires_grad_()
    with FlopCounterMode(display=False) as counter:  # an output layer's forward pass, and both gradients
        loss, _ = models.linear_cross_entropy(readout, model.output_weight, model.bias, target.flatten())
        loss.backward()
    assert counter.get_total_flops() == 2 * PASSES * expected[profiles.OUTPUT]


def test_products_are_counted_wherever_they_stand_in_a_formula(monkeypatch):
    """Between other functions, of parts of arrays, with vectors, a tensor's own `matmul`."""
    score = Score(
        shapes=lambda H, A, L: {"W": (A, H), "v": (A,), "U": (A, A)},
        keys=lambda xp, p, memory: xp.where(memory > 0, memory, 0.0) @ p["W"].T,  # A·H a source token
        score=lambda xp, p, query, keys: (
            (
                (xp.concatenate([query, query], -1)[..., 2:6] @ p["W"][:, :4].T).matmul(p["U"])[..., None, :]
                * keys[..., None, :, :]
            )
            @ p["v"]
        ),
        formula="",
        source="",
    )
    monkeypatch.setitem(SCORES, "planted", score)
    H, A = SIZES["hidden"], SIZES["score_size"]
    model = replace(ModelConfig(**SIZES), attention="planted")
    assert of_attention(model) == (A * H, A * 4 + A * A, A + H)
    assert of_attention(replace(model, window="local-p")) == (A * H, A * 4 + A * A + A * H + A, A + H)
    assert of_attention(replace(model, window="local-m")) == of_attention(model)


def test_tokens_of_a_batch_by_hand():
    source, target = np.array([[5, 6, 2], [7, 2, 0]]), np.array([[5, 5, 5, 2], [2, 0, 0, 0]])
    batch = Batch(source, np.array([3, 2]), target, np.array([4, 1]), np.arange(2))
    assert tokens_of(batch) == Tokens(5, 5, 3 * 4 + 2 * 1, 6, 8)
    assert tokens_of(batch) + SUMS == Tokens(15, 13, 44, 18, 17)


def test_seconds_at_best_by_hand():
    rates = Rates(operations_per_second=100.0, bytes_per_second=50.0)
    assert rates.products(200) == 4.0
    own = {profiles.ENCODER: 50, profiles.DECODER: 0, profiles.OUTPUT: 50}
    assert rates.limits({profiles.ENCODER: 100, profiles.OUTPUT: 200}, own, parameters=5, steps=3) == {
        profiles.OWN: 2.0,
        profiles.CLIP: 32 * 5 * 3 / 50,
        profiles.ENCODER: 2.0,
        backward(profiles.ENCODER): 4.0,
        profiles.OUTPUT: 12.0,  # with its backward pass
    }


# -- the clocks, on a time that only planted work moves ---------------------------------------------------------------


@pytest.fixture
def now(monkeypatch):
    """A list with the time in it; every clock of a training reads it."""
    time = [100.0]
    for module in (profiles, calibrate, loops, start):
        monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: time[0]))
    return time


def test_clock_gives_each_moment_to_one_section(now):
    clock = Clock("a", since=90.0)
    now[0] = 103.0
    with Section("b", clock):
        now[0] = 104.0
        with Section("c", clock):
            now[0] = 109.0
        now[0] = 111.0
    now[0] = 112.0
    clock.to("")
    assert clock.seconds == {"a": 14.0, "b": 3.0, "c": 5.0}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_pairs(tmp_path_factory.mktemp("data") / "pairs.tsv", 300)


# section: seconds that its forward work takes, and its backward work
COSTS = {
    profiles.ENCODER: (1, 16),
    profiles.DECODER: (2, 32),
    profiles.ATTENTION: (4, 64),
    profiles.OUTPUT: (8, 128),
    profiles.CLIP: (256, 0),
    profiles.AVERAGE: (512, 0),
    profiles.WAIT: (1024, 0),
    profiles.MOVE: (2048, 0),
}


@pytest.fixture
def planted(now, monkeypatch):
    """Work of known length in every part of a step."""

    class Work(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, forward, backward):
            now[0] += forward
            ctx.cost = backward
            return x.view_as(x)

        @staticmethod
        def backward(ctx, grad):
            now[0] += ctx.cost
            return grad, None, None

    def plant(owner, name, section, argument):
        real = getattr(owner, name)

        def call(*given, **named):
            given = list(given)
            if argument is None:
                now[0] += COSTS[section][0]
            else:
                given[argument] = Work.apply(given[argument], *COSTS[section])
            return real(*given, **named)

        monkeypatch.setattr(owner, name, call)

    plant(models.Encoder, "forward", profiles.ENCODER, 1)
    plant(models.Decoder, "forward", profiles.DECODER, 1)
    plant(Seq2Seq, "_attend", profiles.ATTENTION, 2)
    plant(models, "linear_cross_entropy", profiles.OUTPUT, 0)
    plant(loops.Loop, "_descend", profiles.CLIP, None)
    plant(Average, "update", profiles.AVERAGE, None)
    plant(Batches, "batch", profiles.WAIT, None)
    plant(loops, "tensors", profiles.MOVE, None)


def read(folder):
    return json.loads((folder / "profile.json").read_text(encoding="utf-8"))


def sections(profile):
    return {s["name"]: s["seconds"] for s in profile["sections"]}


@pytest.mark.parametrize(("steps", "looked_into"), [(6, 6), (40, 20)])
def test_planted_work_is_found_where_it_was_done(data, tmp_path, planted, steps, looked_into):
    jumok.train(data, out=tmp_path / "m", steps=steps, profile=True, attention="dot", **TINY)
    profile = read(tmp_path / "m")
    found = sections(profile)
    assert (profile["steps"], profile["steps_looked_into"]) == (steps, looked_into)
    for name, (forward, back) in COSTS.items():
        assert found[name] == pytest.approx(steps * forward), name
        assert found.get(backward(name), 0) == pytest.approx(steps * back), name
    known = {*COSTS, *map(backward, COSTS), profiles.SETUP, profiles.DEV}
    assert {name: s for name, s in found.items() if name not in known and s} == {}
    assert found[profiles.DEV] > 0 and found[profiles.SETUP] > 0  # the rehearsal's steps
    assert sum(found.values()) == pytest.approx(profile["total_seconds"])


def test_every_part_of_an_accumulated_batch_is_timed_as_a_whole_one(data, tmp_path, planted):
    options = {"teacher_forcing": "never", "accumulate": 2, **TINY}
    jumok.train(data, out=tmp_path / "m", steps=6, profile=True, attention="dot", **options)
    profile = read(tmp_path / "m")
    found = sections(profile)
    for name, (forward, back) in COSTS.items():
        parts = 1 if name in (profiles.CLIP, profiles.AVERAGE, profiles.WAIT) else 2
        if name != profiles.MOVE:  # it belongs to free running here
            assert found[name] == pytest.approx(6 * parts * forward), name
            assert found.get(backward(name), 0) == pytest.approx(6 * parts * back), name
    assert found[profiles.OWN] > 12 * COSTS[profiles.MOVE][0]


def test_of_many_processes_each_counts_its_share(now, monkeypatch):
    def sum_up(self, parameters, loss):
        now[0] += 5.0
        return loss

    monkeypatch.setattr(Team, "sum_up", sum_up)
    seen = []
    for rank in (0, 1):
        loop = new_loop(replace(LEARN, steps=9, evaluate_every=10), team=Team(rank, 2))
        loop.dev, loop.model = SimpleNamespace(evaluate=None), loop.model.train()
        with Profiler(loop, 100.0) as profiler:
            for _, batch in zip(range(9), loop._batches_from(0), strict=False):
                with section(profiles.STEP, batch):
                    loop.update(batch, 1e-3)
        seen.append(profiler)
        assert profiler.seconds()[profiles.GATHER] == pytest.approx(45.0)
    whole = sum((tokens_of(batch) for batch in batches().epoch(0)), Tokens())
    assert seen[0].target_tokens == seen[1].target_tokens == whole.target
    both = seen[0].tokens + seen[1].tokens
    assert (both.source, both.target, both.cells) == (whole.source, whole.target, whole.cells)


def test_free_running_and_input_feeding_have_sections_of_their_own(data, tmp_path, planted):
    jumok.train(
        data, out=tmp_path / "m", steps=4, profile=True, attention="dot", teacher_forcing="never", input_feeding=True, **TINY
    )
    found = sections(read(tmp_path / "m"))
    assert found[profiles.OWN] > 4 * COSTS[profiles.MOVE][0]  # the encoder's pass, and the decoder's, step by step
    assert found[profiles.ENCODER] == pytest.approx(4 * 1) and found[backward(profiles.ENCODER)] == pytest.approx(4 * 16)
    assert found[profiles.FED] >= 4 * COSTS[profiles.ATTENTION][0] and found[backward(profiles.FED)] > 0
    assert profiles.DECODER not in found and profiles.MOVE not in found


def test_evaluations_are_planned_to_take_a_small_share_of_the_time(data, tmp_path, now, monkeypatch):
    """An evaluation that takes as long as thirty steps, in a run of two thousand."""

    def update(self, batch, rate, gold_share=1.0):
        now[0] += 1.0
        return torch.tensor(1.0), 10

    def evaluate(self, *_):
        now[0] += 30.0
        return {"loss": 1.0, "accuracy": 0.0, "token-error-rate": 100.0}

    monkeypatch.setattr(loops.Loop, "update", update)
    monkeypatch.setattr(Development, "rehearse", evaluate)
    monkeypatch.setattr(Development, "evaluate", evaluate)
    done = jumok.train(data, out=tmp_path / "m", steps=2000, profile=True, **TINY | {"quiet": False})
    profile = read(tmp_path / "m")
    assert [e["step"] for e in done.history] == [600, 1200, 1800, 2000]
    assert profile["evaluations"] == 4 and profile["dev_evaluation_share"] == pytest.approx(120 / 2120)
    assert sections(profile)[profiles.DEV] == 120.0


def test_a_section_that_nobody_listens_to_is_one_and_the_same_object():
    with section(profiles.ENCODER) as part:
        part.gave(torch.ones(2, requires_grad=True) * 2, None)
    assert part is section(profiles.DEV) is UNTIMED


# -- looking changes nothing ------------------------------------------------------------------------------------------


def test_a_profiled_run_has_the_same_weights_and_leaves_nothing_behind(data, tmp_path, monkeypatch):
    watched = []

    class Watching(Profiler):
        def __init__(self, loop, begun):
            super().__init__(loop, begun)
            watched.append((loop, {owner: set(vars(owner)) for owner in (loop, loop.model, loop.average, loop.dev)}))

    monkeypatch.setattr(runs, "Profiler", Watching)
    options = {"steps": 30, "evaluate_every": 10, "teacher_forcing": "linear", **TINY, "dropout": 0.2}
    after = []
    for name, profile in (("with", True), ("without", False)):
        jumok.train(data, out=tmp_path / name, profile=profile, **options)
        after.append(torch.get_rng_state())
    a, b = (load_file(tmp_path / name / "model.safetensors") for name in ("with", "without"))
    assert all(np.array_equal(a[k], b[k]) for k in a)
    assert torch.equal(*after)
    assert (tmp_path / "with" / "profile.json").exists() and not (tmp_path / "without" / "profile.json").exists()
    ((loop, before),) = watched
    assert recorder.get() is None
    assert {owner: set(vars(owner)) for owner in before} == before
    assert not any(p._backward_hooks or p.grad is not None for p in loop.model.parameters())


def test_what_is_said_and_written(data, tmp_path, capsys):
    jumok.train(data, out=tmp_path / "m", steps=30, evaluate_every=10, profile=True, **TINY | {"quiet": False})
    profile, said = read(tmp_path / "m"), capsys.readouterr().err
    assert all(part["name"] in said for part in profile["sections"])
    assert "training reached" in said and "padding:" in said and "dev evaluations: 3," in said
    assert all(finding in said for finding in profile["findings"])
    assert sum(s["share"] for s in profile["sections"]) == pytest.approx(1)
    assert 0 < profile["share_of_limit"] < 1
    limit = profile["limit"]
    products = 2 * limit["multiply_adds"] / limit["operations_per_second"]
    adam = 32 * limit["parameters"] * 30 / limit["bytes_per_second"]
    assert limit["seconds"] == pytest.approx(products + adam)
    assert jumok.load(tmp_path / "m").translate("abc").text is not None  # a folder with a profile in it is still one


def test_a_run_stopped_at_once_is_profiled_too(data, tmp_path, monkeypatch):
    real = loops.Loop.update

    def update(self, batch, rate, gold_share=1.0):
        self.interrupted = self.interrupted or bool(rate)
        return real(self, batch, rate, gold_share)

    monkeypatch.setattr(loops.Loop, "update", update)
    jumok.train(data, out=tmp_path / "m", steps=1000, profile=True, **TINY)
    profile = read(tmp_path / "m")
    assert (profile["steps"], profile["steps_looked_into"]) == (1, 0) and profiles.STEPS in sections(profile)


def test_a_run_that_fails_leaves_nobody_listening(data, tmp_path, monkeypatch):
    def fails(self, *_):
        raise RuntimeError("in the middle of a step")

    monkeypatch.setattr(Average, "update", lambda self, step: fails(self) if recorder.get() else None)
    with pytest.raises(RuntimeError, match="middle"):
        jumok.train(data, out=tmp_path / "m", steps=10, profile=True, **TINY)
    assert recorder.get() is None


# -- what is said of it -----------------------------------------------------------------------------------------------

GOOD = Profile(
    machine="float32, 2 threads on the CPU",
    threads=2,
    model=ModelConfig(attention="general"),
    parameters=1000,
    seconds={
        profiles.SETUP: 9,
        profiles.WAIT: 1,
        profiles.ENCODER: 40,
        profiles.OUTPUT: 59,
        profiles.DEV: 5,
        profiles.KEEP: 1,
        profiles.SAVE: 1,
    },
    limits={profiles.ENCODER: 30.0, profiles.OUTPUT: 40.0},
    steps=100,
    sampled=10,
    evaluations=3,
    tokens=Tokens(900, 950, 9000, 1000, 1000),
    target_tokens=950,
    multiply_adds=10**12,
    rates=Rates(2e11, 3e10),
    one_thread=Rates(1e11, 2e10),
    alone=0.1,
)
SLOW = replace(GOOD, limits={profiles.ENCODER: 25.0, profiles.OUTPUT: 5.0})


def test_nothing_is_said_where_nothing_is_amiss():
    assert GOOD.training == 100 and GOOD.total == 116 and GOOD.reached == pytest.approx(0.7)
    assert list(verdict.reasons(GOOD)) == []
    assert list(verdict.reasons(replace(GOOD, alone=0.9, tokens=SUMS))) == []  # as long as the limit is near


def test_the_part_that_is_furthest_from_its_limit_is_named():
    (said,) = verdict.reasons(SLOW)
    assert said.startswith("furthest from the limit: output layer and loss, 59.0 s instead of 5.0 (the softmax")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"seconds": GOOD.seconds | {profiles.DEV: 30}}, "dev evaluation takes 23% of the time: evaluate less often"),
        ({"seconds": GOOD.seconds | {profiles.SAVE: 30}}, "writing models and checkpoints takes 23% of the time"),
        ({"seconds": GOOD.seconds | {profiles.WAIT: 20}}, "waits for its batches 17% of its time"),
        ({"seconds": GOOD.seconds | {profiles.OWN: 100}, "limits": {profiles.OWN: 1.0}}, "free running goes step by step"),
        ({"seconds": GOOD.seconds | {profiles.FED: 100}, "limits": {profiles.FED: 1.0}}, "--input-feeding goes step by step"),
        ({"seconds": GOOD.seconds | {profiles.GATHER: 25}}, "waiting for the slowest, takes 20% of training"),
        ({"alone": 0.5}, "one pair alone takes 50% of the time of a whole batch"),
        ({"tokens": Tokens(600, 800, 9000, 1000, 1000)}, "30% of all positions are padding"),
        ({"model": ModelConfig(attention="concat")}, "tanh, which the limit does not count"),
        ({"one_thread": Rates(1.9e11, 2e10)}, "2 threads reach only 1.1 times the rate of one"),
    ],
)
def test_each_trouble_has_its_sentence(changed, said):
    assert any(said in reason for reason in verdict.reasons(replace(SLOW, **changed)))
    assert not any(said in reason for reason in verdict.reasons(SLOW))
