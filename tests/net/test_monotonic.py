"""The monotonic alignment against all alignments written out: loss, gradient, posteriors, search; and what it must not depend on."""

from __future__ import annotations

import dataclasses
import itertools
import json
import pickle
import shutil

import numpy as np
import pytest
import torch
from faulty_disk import Death
from small_models import BATCH as PLAIN
from small_models import SMALL, V, batch_of, losses, model_of
from toy_run import SHORT, die_at, remains, write_pairs

import jumok
from jumok import explain
from jumok.cli.info import in_words
from jumok.config import ModelConfig, SearchConfig, TrainConfig, build
from jumok.decode.search import search
from jumok.errors import ConfigError, DataError
from jumok.learn.evaluation import tensors
from jumok.learn.recipe import resolve
from jumok.net import monotonic
from jumok.net.export import export_parameters
from jumok.net.model import Seq2Seq, shifted
from jumok.net.steps import TorchSteps
from jumok.runtime.model import NumpyModel
from jumok.text import Batch, Pair
from jumok.text.vocabulary import END, START, UNK

OPTIONS = {
    "dot": {},
    "general": {"attention": "general", "layers": 2, "cell": "gru"},
    "concat, linear": {"attention": "concat", "readout": "linear", "bidirectional": False},
    "location, tied": {"attention": "location", "tie": "all", "location_length": 3},
    "reversed": {"reverse_source": True},
    "copying": {"copy": True},
    "copying, linear": {"copy": True, "attention": "general", "readout": "linear"},
}
COPIES = torch.tensor([-1] * 4 + [-1 if i % 6 == 5 else 4 + i % 6 for i in range(V - 4)])
EVERY = [pytest.param({"alignment": "monotonic"} | o, id=n) for n, o in OPTIONS.items()]


def repeating(batch: Batch) -> Batch:
    """With targets of so few tokens that many could be copied."""
    return dataclasses.replace(batch, target=np.where(batch.target > 3, 4 + batch.target % 6, batch.target))


TINY, BATCH = repeating(batch_of([4, 1, 3], [3, 4, 1])), repeating(PLAIN)


def numpy_of(model: Seq2Seq) -> NumpyModel:
    return NumpyModel(model.config, export_parameters(model), None if model.copies is None else model.copies.numpy())


def chain_of(options: dict, dtype: torch.dtype = torch.float64, seed: int = 0) -> Seq2Seq:
    """With jumps and copies that count, and outputs far from flat."""
    model = model_of(options, dtype, seed, COPIES if "copy" in options else None)
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in (*model.alignment.values(), *model.copy_gate.values()):
            p.copy_(torch.randn(p.shape, generator=g, dtype=p.dtype))
    return model


def written_out(model: Seq2Seq, source: np.ndarray, inputs: np.ndarray, target: np.ndarray, smoothing: float = 0.0):
    """One sentence: every alignment's s_1 … s_T and log probability together with the target, by the formulas; no pads."""
    S, T = len(source), len(target)
    encoded = model.encode(torch.tensor(source[None]), torch.tensor([S]))
    queries, _ = model.decode(torch.tensor(inputs[None]), encoded.state)
    emissions, moves = torch.zeros(T, S, dtype=queries.dtype), torch.zeros(T, S, S, dtype=queries.dtype)
    p, config = model.attention, model.config
    for t in range(T):
        h = queries[0, t]
        raw = []
        for s in range(S):
            m = encoded.memory[0, s]
            log_p = model.logits(model.read(h, m)).log_softmax(-1)
            log_either, copied = log_p[target[t]], -1 if model.copies is None else model.copies[source[s]]
            if copied >= 0:
                gate = model.copy_gate
                kappa = torch.sigmoid(gate["w_m"] @ m + gate["w_h"] @ h + gate["b"][0])
                log_either = ((1 - kappa) * log_p[target[t]].exp() + kappa * int(copied == target[t])).log()
            emissions[t, s] = (1 - smoothing) * log_either + smoothing * log_p.mean()
            raw.append(
                {
                    "dot": lambda h=h, m=m: h @ m,
                    "general": lambda h=h, m=m: h @ p["W_a"] @ m,
                    "concat": lambda h=h, m=m: p["v"] @ torch.tanh(p["W_q"] @ h + p["W_m"] @ m),
                    "location": lambda h=h, s=s: p["W_a"][s] @ h if s < config.location_length else torch.tensor(-1e9),
                }[config.attention]()
            )
        jump = model.alignment["W_j"] @ h + model.alignment["b_j"]
        for before in range(S):
            biased = torch.stack([raw[s] + jump[min(s - before, 4)] for s in range(before, S)])
            moves[t, before, before:] = biased.log_softmax(-1)
    paths = list(itertools.combinations_with_replacement(range(S), T))
    return paths, torch.stack([
        sum(moves[t, before, s] + emissions[t, s] for t, (before, s) in enumerate(itertools.pairwise((0, *path)))) for path in paths
    ])  # fmt: skip


def rows_of(batch: Batch, inputs: np.ndarray | None = None):
    for i in range(len(batch.rows)):
        S, T = batch.source_lengths[i], batch.target_lengths[i]
        target = batch.target[i, :T]
        yield batch.source[i, :S], np.array([START, *target[:-1]]) if inputs is None else inputs[i, :T], target


@pytest.mark.parametrize(("options", "smoothing"), [(p.values[0], 0.1) for p in EVERY] + [(EVERY[0].values[0], 0.0)], ids=str)
def test_loss_and_gradient_are_those_of_all_alignments_written_out(options, smoothing, monkeypatch):
    model = chain_of(options)
    written = -sum(written_out(model, *row, smoothing)[1].logsumexp(0) for row in rows_of(TINY))
    plain = -sum(written_out(model, *row)[1].logsumexp(0) for row in rows_of(TINY))
    parameters = dict(model.named_parameters())
    wanted = torch.autograd.grad(written, list(parameters.values()))
    # all at once; each by itself, formed twice; …; and the rows that count picked out
    for room, kept, picked in ((1 << 20, 1 << 26, False), (1, 1, False), (1, 1 << 26, True), (3000, 4000, True)):
        if picked:
            monkeypatch.setattr(monotonic._Gradients, "_worth", lambda self, share: share.nonzero().flatten())
        monkeypatch.setitem(monotonic.PIECE, "cpu", room)
        monkeypatch.setitem(monotonic.KEPT, "cpu", kept)
        found = losses(model, TINY, smoothing)
        torch.testing.assert_close(found.loss, written, rtol=1e-10, atol=0)
        torch.testing.assert_close(found.nll, plain, rtol=1e-10, atol=0)
        assert found.tokens == TINY.target_lengths.sum()
        gradient = torch.autograd.grad(found.loss, list(parameters.values()))
        for name, a, b in zip(parameters, gradient, wanted, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10, msg=lambda m, name=name: f"{name}: {m}")


@pytest.mark.parametrize("options", EVERY)
def test_posteriors_are_those_of_all_alignments_written_out(options):
    model = chain_of(options)
    fast = numpy_of(model)
    assert fast.weights == "posterior"
    log_probabilities, weights = fast.score(TINY.source, TINY.source_lengths, TINY.target, TINY.target_lengths)
    real = np.arange(TINY.target.shape[1]) < TINY.target_lengths[:, None]
    np.testing.assert_allclose(weights.sum(-1), real, atol=1e-6)
    for i, (source, inputs, target) in enumerate(rows_of(TINY)):
        paths, logs = written_out(model, source, inputs, target)
        share = logs.softmax(0).detach().numpy()
        wanted = np.zeros((len(target), len(source)))
        for path, p in zip(paths, share, strict=True):
            wanted[np.arange(len(path)), path] += p
        np.testing.assert_allclose(weights[i, : len(target), : len(source)], wanted, atol=2e-5)
        assert (weights[i, len(target) :] == 0).all() and (weights[i, :, len(source) :] == 0).all()
        prefixes = [
            written_out(model, source, inputs[:t], target[:t])[1].logsumexp(0).item() for t in range(1, len(target) + 1)
        ]
        np.testing.assert_allclose(np.cumsum(log_probabilities[i, : len(target)]), prefixes, atol=5e-5)


@pytest.mark.parametrize("options", EVERY)
def test_a_beam_as_wide_as_the_space_finds_the_best_of_all_outputs(options):
    """Of 3 tokens that can be written, and `</s>`: every output of at most 3 steps, its alignments written out."""
    torch.manual_seed(3)
    small = torch.where((COPIES > 3) & (COPIES < 7), COPIES, -1)
    model = (
        Seq2Seq(dataclasses.replace(SMALL, **(options | {"tie": "none"})), V, 7, copies=small if "copy" in options else None)
        .double()
        .eval()
    )
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(3 * p if len(p.shape) > 1 else torch.randn_like(p))
    source = np.array([5, 9, 6, END])
    outputs = {}
    for n in range(3):
        for tokens in itertools.product((UNK, 4, 5, 6), repeat=n):
            target = np.array([*tokens, END])
            outputs[tuple(target.tolist())] = (
                written_out(model, source, np.array([START, *target[:-1]]), target)[1].logsumexp(0).item()
            )
    best = sorted(outputs, key=lambda y: outputs[y] / len(y), reverse=True)[:5]
    how = SearchConfig(beam=64, nbest=5)
    for steps in (TorchSteps(model), numpy_of(model)):
        (found,) = search(steps, source[None], np.array([4]), how, np.array([3]))
        finished = [h for h in found if h.finished]
        assert [h.tokens for h in finished] == best[: len(finished)] and len(finished) == 5
        np.testing.assert_allclose([h.log_probability for h in finished], [outputs[y] for y in best], atol=1e-4)


@pytest.mark.parametrize("dropout", [0.4])
@pytest.mark.parametrize("options", [EVERY[0], EVERY[2], EVERY[5]])
def test_gradient_with_dropout_and_own_inputs_by_finite_differences(options, dropout):
    """The decoder reads other tokens than the gold ones, as when it runs freely."""
    model = chain_of(options)
    model.drop.rate = dropout
    model.train(dropout > 0)
    source, lengths, target, real = tensors(BATCH, "cpu")
    inputs = shifted(target).roll(1, 0)

    def loss():
        torch.manual_seed(2)
        return model.loss(source, lengths, inputs, target, real, 0.1).loss

    parameters = list(model.parameters())
    gradient = torch.autograd.grad(loss(), parameters)
    g = torch.Generator().manual_seed(1)
    direction = [torch.randn(p.shape, generator=g, dtype=p.dtype) for p in parameters]
    values = []
    with torch.no_grad():
        for size in (1e-5, -1e-5):
            torch._foreach_add_(parameters, direction, alpha=size)
            values.append(float(loss()))
            torch._foreach_add_(parameters, direction, alpha=-size)
    slope = sum(float((a * b).sum()) for a, b in zip(gradient, direction, strict=True))
    assert slope == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-6, abs=2e-6)


@pytest.mark.parametrize("options", EVERY)
def test_forced_steps_pieces_and_padding_agree(options):
    """Step by step as all at once, in NumPy and torch; what is predicted, as what is lost; pads and company change nothing."""
    model = chain_of(options, torch.float32)
    fast = numpy_of(model)
    forced, _ = fast.score(BATCH.source, BATCH.source_lengths, BATCH.target, BATCH.target_lengths)
    source, lengths, target, real = tensors(BATCH, "cpu")
    found = losses(model, BATCH)
    assert -forced.sum() == pytest.approx(found.nll.item(), rel=1e-5)
    predicted = list(model.predictions(source, lengths, target, real, 512))
    total = sum(float(torch.nn.functional.cross_entropy(logits, ids, reduction="sum")) for logits, ids in predicted)
    assert total == pytest.approx(found.nll.item(), rel=1e-5)
    assert sorted(torch.cat([ids for _, ids in predicted]).tolist()) == sorted(target[target != 0].tolist())
    rows = np.arange(len(BATCH.rows))
    for ours, theirs in zip(
        fast.score(BATCH.source, BATCH.source_lengths, BATCH.target, BATCH.target_lengths),
        TorchSteps(model).score(BATCH.source, BATCH.source_lengths, BATCH.target, BATCH.target_lengths),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
    for steps in (fast, TorchSteps(model)):
        state, tokens = steps.start(BATCH.source, BATCH.source_lengths), np.full((len(rows), 1), START)
        for t in range(BATCH.target.shape[1]):
            state, logits, weights = steps.step(state, tokens)
            np.testing.assert_allclose(np.log(np.exp(logits).sum(-1)), 0, atol=1e-5)
            np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-5)
            inside = t < BATCH.target_lengths
            tokens = BATCH.target[:, t : t + 1]
            np.testing.assert_allclose(logits[rows, 0, tokens[:, 0]][inside], forced[inside, t], atol=1e-4)
    wide = Batch(
        np.pad(BATCH.source, ((0, 0), (0, 4))), BATCH.source_lengths, np.pad(BATCH.target, ((0, 0), (0, 3))),
        BATCH.target_lengths, BATCH.rows,
    )  # fmt: skip
    exact = chain_of(options)
    alone = sum(losses(exact, Batch(*(x[i : i + 1] for x in dataclasses.astuple(BATCH)))).loss.item() for i in rows)
    for other in (losses(exact, wide).loss.item(), alone):
        assert other == pytest.approx(losses(exact, BATCH).loss.item(), rel=1e-12)


def test_scores_and_emissions_beyond_what_float32_holds_give_no_nan():
    """A position far likelier than all ahead of it, and tokens that only positions behind could write."""
    model = chain_of({"alignment": "monotonic"}, torch.float32)
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(40)
    found = losses(model, BATCH, 0.1)
    gradient = torch.autograd.grad(found.loss, list(model.parameters()))
    assert np.isfinite(found.loss.item()) and all(g.isfinite().all() for g in gradient)
    fast = numpy_of(model)
    log_probabilities, weights = fast.score(BATCH.source, BATCH.source_lengths, BATCH.target, BATCH.target_lengths)
    assert np.isfinite(log_probabilities).all() and np.isfinite(weights).all()
    np.testing.assert_allclose(-log_probabilities.sum(), found.nll.item(), rtol=1e-3)


def test_bfloat16_is_near():
    model = chain_of({"alignment": "monotonic"}, torch.float32)
    exact = losses(model, BATCH, 0.1)
    wanted = torch.autograd.grad(exact.loss, list(model.parameters()))
    with torch.autocast("cpu", torch.bfloat16):
        found = losses(model, BATCH, 0.1)
    gradient = torch.autograd.grad(found.loss, list(model.parameters()))
    assert found.loss.item() == pytest.approx(exact.loss.item(), rel=0.02)
    a, b = (torch.cat([g.flatten() for g in grads]) for grads in (gradient, wanted))
    assert torch.nn.functional.cosine_similarity(a, b, dim=0) > 0.98


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"attention": "none"}, "give --attention dot"),
        ({"window": "local-m"}, "give --window none"),
        ({"input_feeding": True}, "give --no-input-feeding"),
        ({"alignment": "soft", "copy": True}, "give --alignment monotonic"),
    ],
)
def test_what_does_not_combine_is_refused(options, said):
    with pytest.raises(ConfigError, match=said) as e:
        build(TrainConfig, {"alignment": "monotonic", **options}, "here")
    assert (
        "\n" not in str(e.value)
        and str(e.value).startswith("here: ")
        and repr(options.get("alignment", "monotonic")) in str(e.value)
    )


def test_a_large_target_vocabulary_is_refused():
    run = TrainConfig(model=ModelConfig(alignment="monotonic"))
    assert resolve(run, 50_000, 1_999, 1000).model.alignment == "monotonic"
    with pytest.raises(ConfigError, match="2,000 entries"):
        resolve(run, 50, 2_000, 1000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Each letter is written as one phone, `x` as two; features before the letters say nothing of them."""
    path = tmp_path_factory.mktemp("data") / "pairs.tsv"
    rng = np.random.default_rng(0)
    words = sorted({"".join(rng.choice(list("abcdex"), n)) for n in rng.integers(1, 6, 400)})
    phones = {c: c.upper() for c in "abcde"} | {"x": "K S"}
    path.write_text(
        "".join(f"{w}\t{' '.join(phones[c] for c in w)}\t{'N;SG' if i % 2 else 'V'}\n" for i, w in enumerate(words))
    )
    out = path.parent / "model"
    sizes = {"hidden": 32, "embedding": 16, "readout_size": 32, "batch_size": 32, "threads": 1, "matmul": "default"}
    jumok.train(
        path, out=out, alignment="monotonic", target_tokenizer="space", features_column=3, steps=200, evaluate_every=200,
        learning_rate=1e-2, dropout=0.0, precision="float32", teacher_forcing="linear", gold_at_end=0.5, quiet=True, **sizes,
    )  # fmt: skip
    return out


def test_it_learns_which_letter_each_phone_comes_from(folder):
    model = jumok.load(folder)
    assert (model.info().alignment, model.info().copy) == ("monotonic", False)
    assert in_words(model.info())["alignment"].startswith("monotonic: ")
    assert "alignment `monotonic`" in (folder / "README.md").read_text()
    t = model.translate("bxad", features=("V",))
    assert t.text == "B K S A D" and t.weights_kind == "posterior"
    assert t.source_tokens == ("‹V›", "b", "x", "a", "d", "</s>")
    np.testing.assert_allclose(t.weights.sum(-1), 1, atol=1e-5)
    assert t.weights.argmax(1)[:5].tolist() in ([1, 2, 2, 3, 4], [1, 1, 2, 3, 4])
    np.testing.assert_allclose(model.score("bxad", t.text, ("V",)).weights, t.weights, atol=1e-6)
    assert model.score("bxad", t.text, ("V",)).log_probability == pytest.approx(t.log_probability, abs=1e-4)
    words = ["bxad", "xx", "", "edcba"]
    together = model.translate(words, features=[("V",), ("N", "SG"), (), ()], beam=3, nbest=2)
    for word, features, found in zip(words, [("V",), ("N", "SG"), (), ()], together, strict=True):
        alone = model.translate(word, features=features, beam=3, nbest=2)
        assert [a.text for a in alone.alternatives] == [a.text for a in found.alternatives] and found.text == alone.text
        assert found.log_probability == pytest.approx(alone.log_probability, abs=1e-4)
        assert found.weights_kind == "posterior" and (alone.weights is None) == (word == "")
        if word:
            np.testing.assert_allclose(found.weights, alone.weights, atol=1e-5)
            np.testing.assert_allclose(found.alternatives[0].weights.sum(-1), 1, atol=1e-5)
    assert model.translate("xx", features=("N", "SG")).text == together[1].text


def test_the_kind_of_weights_is_in_links_json_and_pictures(folder):
    model = jumok.load(folder)
    t = model.translate("bxad", features=("V",))
    (links,) = explain.align(model, [Pair("bxad", "B K S A D", ("V",), "")], "path", "token")
    assert links.links[0] == (0, 0) and links.links[-1] == (3, 4) and list(links.links) == sorted(links.links)
    back = explain.from_json(explain.to_json_line(t))
    assert back.weights_kind == "posterior"
    np.testing.assert_array_equal(back.weights, t.weights)
    assert "% posterior" in explain.to_svg(t) and "posterior of the alignment: entropy" in explain.to_html(t)
    assert "posterior" in explain.in_words(t)
    with pytest.raises(DataError, match="weights_kind: 'guess' came; one of attention, posterior was wanted"):
        explain.from_json(explain.to_json_line(t).replace('"posterior"', '"guess"'))


def test_weights_are_looked_for_when_they_are_read(folder, monkeypatch):
    model, calls = jumok.load(folder, "numpy"), []
    monkeypatch.setattr(NumpyModel, "score", lambda self, *a, real=NumpyModel.score: calls.append(1) or real(self, *a))
    one, two = model.translate(["bxad", "xx"])
    assert one.text and not calls
    assert one.weights is one.weights and two.weights is not None and len(calls) == 1  # once for a batch
    three = model.translate("bxad", beam=3, nbest=2)
    assert len(calls) == 1  # nor for alternatives
    again = pickle.loads(pickle.dumps(three))
    np.testing.assert_array_equal(again.alternatives[0].weights, three.alternatives[0].weights)
    assert again.weights_kind == "posterior" and len(calls) == 2


def test_a_folder_from_before_there_were_alignments_is_soft(model_folder, tmp_path):
    old = shutil.copytree(model_folder, tmp_path / "old")
    config = json.loads((old / "config.json").read_text())
    assert config["model"].pop("alignment") == "soft"
    (old / "config.json").write_text(json.dumps(config))
    t = jumok.load(old).translate("abc")
    assert t.weights_kind == "attention" and t.weights is not None


def test_a_run_that_dies_goes_on_as_if_nothing_had_happened(tmp_path, monkeypatch):
    data = write_pairs(tmp_path / "pairs.tsv")
    jumok.train(data, out=tmp_path / "a" / "model", alignment="monotonic", **SHORT)
    with monkeypatch.context() as m:
        die_at(m, 5)
        with pytest.raises(Death):
            jumok.train(data, out=tmp_path / "b" / "model", alignment="monotonic", **SHORT)
    jumok.train(data, out=tmp_path / "b" / "model", resume=True, alignment="monotonic", **SHORT)
    assert remains(tmp_path / "b" / "model") == remains(tmp_path / "a" / "model")


def test_an_inflection_is_learned_by_copying(tmp_path):
    """Letters that training targets hold once each come out right; without anything to copy, the option is refused."""
    rng = np.random.default_rng(0)
    path = tmp_path / "pairs.tsv"
    words = sorted({"".join(rng.choice(list("abcdefghijklmnop"), n)) for n in rng.integers(2, 6, 300)})
    path.write_text("".join(f"{w}\t{w}en\n" for w in words))
    sizes = {"hidden": 16, "embedding": 8, "readout_size": 16, "batch_size": 32, "threads": 1, "matmul": "default"}
    done = jumok.train(
        path, out=tmp_path / "model", alignment="monotonic", copy=True, steps=150, evaluate_every=150, learning_rate=2e-2,
        dropout=0.0, precision="float32", metric="accuracy", quiet=True, **sizes,
    )  # fmt: skip
    assert done.best > 50
    model = jumok.load(tmp_path / "model")
    found = model.translate(["abc", "ponm"])
    for t in found:
        forced = model.score(t.source, t.text)
        assert forced.log_probability == pytest.approx(t.log_probability, abs=1e-3)
        alone = model.translate(t.source)
        assert alone.text == t.text and alone.log_probability == pytest.approx(t.log_probability, abs=1e-4)
    path.write_text("".join(f"{w}\t{w.upper()}\n" for w in words))
    with pytest.raises(ConfigError, match="nothing could be copied; give --no-copy"):
        jumok.train(path, out=tmp_path / "other", alignment="monotonic", copy=True, steps=1, quiet=True, **sizes)
