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
from finite_differences import slopes
from small_models import SMALL, V, losses
from toy_run import SHORT, die_at, remains, write_pairs
from written_out import BATCH, COPIES, EVERY, TINY, chain_of, copied_at, numpy_of, rows_of, written_out

import jumok
from jumok import explain
from jumok.cli import main
from jumok.cli.info import in_words
from jumok.config import ModelConfig, SearchConfig, TrainConfig, build
from jumok.decode.search import search
from jumok.errors import ConfigError, DataError
from jumok.learn.evaluation import tensors
from jumok.learn.recipe import resolve
from jumok.net import monotonic
from jumok.net.model import Seq2Seq, shifted
from jumok.net.steps import TorchSteps
from jumok.runtime.model import NumpyModel
from jumok.text import Batch, Pair
from jumok.text.vocabulary import END, START, UNK


@pytest.mark.parametrize(("options", "smoothing"), [(p.values[0], 0.1) for p in EVERY] + [(EVERY[0].values[0], 0.0)], ids=str)
def test_loss_and_gradient_are_those_of_all_alignments_written_out(options, smoothing, monkeypatch):
    model = chain_of(options)
    written = -sum(written_out(model, *row, smoothing)[1].logsumexp(0) for row in rows_of(TINY))
    plain = -sum(written_out(model, *row)[1].logsumexp(0) for row in rows_of(TINY))
    parameters = dict(model.named_parameters())
    wanted = torch.autograd.grad(written, list(parameters.values()))
    # all at once; each by itself, formed twice; …; and the rows that count picked out; products of any number of rows, or filled
    cases = (1 << 20, 1 << 26, False, 256), (1, 1, False, 1), (1, 1 << 26, True, 7), (3000, 4000, True, 5)
    for room, kept, picked, filling in cases:
        monkeypatch.setattr(monotonic, "ROWS", filling)
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
def test_the_likeliest_alignment_and_copies_are_those_of_all_alignments_written_out(options):
    model = chain_of(options, seed=3)
    fast = numpy_of(model)
    found = fast.trace(TINY.source, TINY.source_lengths, TINY.target, TINY.target_lengths, path=True)
    assert (found.copied is None) == ("copy" not in options) and found.path is not None
    for i, (source, inputs, target) in enumerate(rows_of(TINY)):
        paths, logs = written_out(model, source, inputs, target)
        T = len(target)
        assert found.path[i, :T].tolist() == list(paths[int(logs.argmax())]) and (found.path[i, T:] == -1).all()
        if found.copied is not None:
            at = copied_at(model, source, inputs, target)
            share = logs.softmax(0).detach().numpy()
            wanted = sum(p * at[np.arange(T), path] for path, p in zip(paths, share, strict=True))
            np.testing.assert_allclose(found.copied[i, :T], wanted, atol=2e-5)
            assert (found.copied[i, T:] == 0).all()
    assert found.copied is None or found.copied.max() > 0.05
    alone = [fast.trace(*(x[None] for x in (source, np.int64(len(source)), target, np.int64(len(target)))), path=True)
             for source, _, target in rows_of(BATCH)]  # fmt: skip
    together = fast.trace(BATCH.source, BATCH.source_lengths, BATCH.target, BATCH.target_lengths, path=True)
    for i, one in enumerate(alone):
        T = BATCH.target_lengths[i]
        assert one.path[0].tolist() == together.path[i, :T].tolist()  # whatever the company and the padding
        if one.copied is not None:
            np.testing.assert_allclose(one.copied[0], together.copied[i, :T], atol=1e-5)


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

    by_gradient, by_differences = slopes(model, loss)
    assert by_gradient == pytest.approx(by_differences, rel=1e-6, abs=2e-6)


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


def test_products_over_positions_have_few_shapes(monkeypatch):
    """Each new number of rows costs a kernel, whatever the lengths of a batch and the rows that count."""
    monkeypatch.setattr(monotonic, "ROWS", 128)
    model, rows = chain_of({"alignment": "monotonic"}, torch.float32), set[int]()
    real = monotonic.OutputLayer.logits
    monkeypatch.setattr(monotonic.OutputLayer, "logits", lambda self, r, *shape: rows.add(len(r)) or real(self, r, *shape))
    for first in range(len(BATCH.rows)):
        part = Batch(*(x[first:] for x in (BATCH.source, BATCH.source_lengths, BATCH.target, BATCH.target_lengths, BATCH.rows)))
        losses(model, part, 0.1).loss.backward()
    assert rows and all(n % 128 == 0 for n in rows)
    assert len(rows) < len(BATCH.rows)  # each of these batches has another number of pairs of positions


@pytest.mark.parametrize("onednn", [True, False])
def test_bfloat16_is_near(onednn):
    """Everywhere with PyTorch's own LSTM, and with oneDNN's where the CPU has one."""
    model = chain_of({"alignment": "monotonic"}, torch.float32)
    exact = losses(model, BATCH, 0.1)
    wanted = torch.autograd.grad(exact.loss, list(model.parameters()))
    with torch.autocast("cpu", torch.bfloat16), torch.backends.mkldnn.flags(enabled=onednn):
        try:
            found = losses(model, BATCH, 0.1)
        except RuntimeError as e:
            if not onednn or "primitive" not in str(e):
                raise
            pytest.skip(f"this CPU has no bfloat16 LSTM in oneDNN: {e}")
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
    assert t.copied is None and model.score("xx", "K S").copied is None
    (links,) = explain.align(model, [Pair("bxad", "B K S A D", ("V",), "")], "path", "token")
    assert links.links[0] == (0, 0) and links.links[-1] == (3, 4) and list(links.links) == sorted(links.links)
    back = explain.from_json(explain.to_json_line(t))
    assert back.weights_kind == "posterior"
    np.testing.assert_array_equal(back.weights, t.weights)
    assert "% posterior" in explain.to_svg(t) and "posterior of the alignment: entropy" in explain.to_html(t)
    assert "posterior" in explain.in_words(t)
    with pytest.raises(DataError, match="weights_kind: 'guess' came; one of attention, posterior was wanted"):
        explain.from_json(explain.to_json_line(t).replace('"posterior"', '"guess"'))


def test_the_likeliest_alignment_links_given_pairs(folder, model_folder, tmp_path, capsys):
    """Links that never go back, at most one for each token; a soft model has no such alignment."""
    model = jumok.load(folder)
    pairs = [Pair("bxad", "B K S A D", ("V",), ""), Pair("xx", "K S K S", (), ""), Pair("edcba", "E D C B A", ("N", "SG"), "")]
    for found in explain.align(model, pairs, "viterbi", "token"):
        assert len({j for _, j in found.links}) == len(found.links) >= len(found.target) / 2
        assert [i for i, _ in found.links] == sorted(i for i, _ in found.links)
    (one, *_), (posterior, *_) = (list(explain.align(model, pairs, m, "token")) for m in ("viterbi", "argmax"))
    assert {(0, 0), (3, 4)} < set(one.links) and one.log_probability == posterior.log_probability
    (tmp_path / "pairs.tsv").write_text("bxad\tB K S A D\tV\nxx\tK S K S\t\n")
    assert main(["align", str(folder), str(tmp_path / "pairs.tsv"), "--method", "viterbi"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and lines[0].split()[0] == "0-0"
    (tmp_path / "soft.tsv").write_text("cat\tC A T\n")
    assert main(["align", str(model_folder), str(tmp_path / "soft.tsv"), "--method", "viterbi"]) == 2
    assert "method is 'viterbi', but the model was trained with alignment 'soft'" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="argmax, path, viterbi"):
        explain.align(model, pairs, "guess")


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


@pytest.mark.parametrize(
    "options",
    [{}, {"copy": True}, {"copy": True, "teacher_forcing": "linear", "accumulate": 2, "attention": "general"}],
    ids=str,
)
def test_a_run_that_dies_goes_on_as_if_nothing_had_happened(options, tmp_path, monkeypatch):
    data, options = write_pairs(tmp_path / "pairs.tsv"), {"alignment": "monotonic", **options, **SHORT}
    jumok.train(data, out=tmp_path / "a" / "model", **options)
    with monkeypatch.context() as m:
        die_at(m, 5)
        with pytest.raises(Death):
            jumok.train(data, out=tmp_path / "b" / "model", **options)
    jumok.train(data, out=tmp_path / "b" / "model", resume=True, **options)
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
        np.testing.assert_allclose(forced.copied, t.copied, atol=1e-5)
        same = [token in t.source for token in t.tokens]
        assert (
            t.copied.shape == (len(t.tokens),)
            and (t.copied[~np.array(same)] == 0).all()
            and t.copied[: len(t.source)].max() > 0.5
        )
        assert explain.from_json(explain.to_json_line(t)).copied.tolist() == t.copied.tolist()
        alone = model.translate(t.source)
        assert alone.text == t.text and alone.log_probability == pytest.approx(t.log_probability, abs=1e-4)
    path.write_text("".join(f"{w}\t{w.upper()}\n" for w in words))
    with pytest.raises(ConfigError, match="nothing could be copied; give --no-copy"):
        jumok.train(path, out=tmp_path / "other", alignment="monotonic", copy=True, steps=1, quiet=True, **sizes)
