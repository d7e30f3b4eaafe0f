"""The tree of a beam search against a naive beam search; references that leave it; the command and its JSON."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_backend import Planted, log_softmax, random_logits
from random_models import CHAINS, parameters, sources

import jumok
from jumok.cli import main
from jumok.config import SearchConfig
from jumok.decode.policy import PLAIN, Policy
from jumok.decode.rules import RULES, Never
from jumok.decode.search import search
from jumok.decode.tree import Tree, follow, forced, judged, nodes_of, outputs_of, record
from jumok.errors import ConfigError, DataError
from jumok.explain.trees import tree_from_json, tree_in_words, tree_json, write_tree
from jumok.runtime.model import NumpyModel
from jumok.text.vocabulary import END, PAD, START

SOURCE = np.array([5, 6, 7])


def naive(logits, V: int, width: int, steps: int, limit: int) -> list[tuple[tuple[int, ...], str, float]]:
    """(tokens, fate, log-probability) of all that a beam search of so many steps looks at."""
    beams: list[tuple[tuple[int, ...], float]] = [((), 0.0)]
    seen = []
    for t in range(1, steps + 1):
        grown = []
        for k, (tokens, total) in enumerate(beams):
            row = log_softmax(logits(5, tokens))
            grown += [(-(total + float(row[v])), k, v, (*tokens, v)) for v in range(V) if v not in (PAD, START)]
        grown = sorted(grown)[: 2 * width]
        kept = [one for one in grown if one[2] != END][:width]
        for rank, one in enumerate(grown):
            if one[2] == END:
                fate = "finished" if rank < width else "pruned"
            else:
                fate = "pruned" if one not in kept else "kept" if t < steps else "cut" if t == limit else "left"
            seen.append((one[3], fate, -one[0]))
        beams = [(one[3], -one[0]) for one in kept]
    return seen


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10**6),
    V=st.integers(4, 8),
    width=st.integers(1, 4),
    limit=st.integers(1, 6),
    end=st.sampled_from([-3.0, 0.0]),
    data=st.data(),
)
def test_a_tree_is_what_a_naive_beam_search_looks_at(seed, V, width, limit, end, data) -> None:
    logits = random_logits(seed, V, end)
    options = SearchConfig(beam=width, nbest=data.draw(st.integers(1, width)))
    recorded = record(Planted(logits), SOURCE, options, limit, PLAIN)
    (found,) = search(Planted(logits), SOURCE[None], np.array([3]), options, np.array([limit]))
    assert [h.tokens for h in recorded.found] == [h.tokens for h in found]
    names = [str(v) for v in range(V)]
    nodes = nodes_of(recorded, names)
    paths: list[tuple[int, ...]] = [()]
    for node in nodes[1:]:
        assert node.parent is not None and node.parent < node.id and node.step == nodes[node.parent].step + 1
        paths.append((*paths[node.parent], int(node.token)))
        assert node.total == pytest.approx(nodes[node.parent].total + node.log_probability, abs=1e-9)
        assert node.score == pytest.approx(node.total / node.step)
    wanted = naive(logits, V, width, max(n.step for n in nodes), limit)
    assert Counter((p, n.fate) for p, n in zip(paths[1:], nodes[1:], strict=True)) == Counter((p, f) for p, f, _ in wanted)
    totals = {p: total for p, _, total in wanted}
    for path, node in zip(paths[1:], nodes[1:], strict=True):
        assert node.total == pytest.approx(totals[path], abs=1e-4)
    for h, end_node in zip(found, outputs_of(recorded), strict=True):
        assert paths[end_node] == h.tokens
        assert nodes[end_node].total == pytest.approx(h.log_probability, abs=1e-9)
        assert nodes[end_node].score == pytest.approx(h.score, abs=1e-9)
        assert nodes[end_node].fate == ("finished" if h.finished else "cut")


@pytest.mark.parametrize("c", CHAINS[:2], ids=["dot", "general"])
def test_a_monotonic_model_has_a_tree(c) -> None:
    model = NumpyModel(c, parameters(c))
    for source in sources(c):
        recorded = record(model, np.array(source), SearchConfig(beam=3), 6, PLAIN)
        (found,) = search(model, np.array([source]), np.array([len(source)]), SearchConfig(beam=3), np.array([6]))
        assert recorded.found[0].tokens == found[0].tokens and len(outputs_of(recorded)) == 1


# --- references


def poor_start(first: int, prefix: tuple[int, ...]) -> np.ndarray:
    """4 looks better than 5 at first, but after 5 the rest is certain."""
    out, answer = np.zeros(7), (5, 6, 5, END)
    out[END] = -9.0
    if prefix == ():
        out[4], out[5] = 5.0, 4.5
    elif prefix == answer[: len(prefix)]:
        out[answer[len(prefix)]] = 12.0
    return out


def verdict(logits, reference: tuple[int, ...], width: int, limit: int, policy: Policy = PLAIN) -> tuple[str, int, str]:
    """How a reference ends, at which step, and whose error that is."""
    options = SearchConfig(beam=width)
    recorded = record(Planted(logits), SOURCE, options, limit, policy)
    _, step, ending = follow(recorded, reference)
    h = forced(Planted(logits), SOURCE, reference, options, policy)
    return ending, step, judged(h, recorded.found[0])


def test_a_reference_that_a_wider_beam_finds_is_a_search_error() -> None:
    assert verdict(poor_start, (5, 6, 5, END), 1, 6) == ("pruned", 1, "search error")
    assert verdict(poor_start, (5, 6, 5, END), 2, 6)[:2] == ("finished", 5)
    assert verdict(poor_start, (4, 4, END), 2, 6)[::2] == ("pruned", "model error")
    assert verdict(poor_start, (6, END), 1, 6) == ("not a candidate", 1, "search error")  # the output does not end


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10**6),
    width=st.integers(1, 3),
    reference=st.lists(st.sampled_from([3, 4, 5]), max_size=3),
)
def test_a_verdict_compares_scores(seed: int, width: int, reference: list[int]) -> None:
    logits, tokens = random_logits(seed, 6), (*reference, END)
    recorded = record(Planted(logits), SOURCE, SearchConfig(beam=width), 4, PLAIN)
    node, step, ending = follow(recorded, tokens)
    total = sum(float(log_softmax(logits(5, tokens[:i]))[t]) for i, t in enumerate(tokens))
    output = recorded.found[0]
    better = not output.finished or total / len(tokens) > output.score + 1e-6
    if ending == "finished":
        assert step == len(tokens) + 1 and (output.finished and not better)
        assert recorded.rows[node - 1][1:] == (END, pytest.approx(total, abs=1e-4), "finished")
    if tokens != output.tokens and abs(total / len(tokens) - output.score) > 1e-5:
        assert verdict(logits, tokens, width, 4)[2] == ("search error" if better else "model error")
    lengths = [row[3] for row in recorded.rows]
    assert ending != "stopped" or "left" in lengths or "cut" in lengths


def test_a_reference_with_a_token_that_a_rule_forbids_has_no_probability() -> None:
    policy = Policy(rules=(*RULES, Never((4,))))
    logits = random_logits(3, 6)
    allowed, barred = (5, 3, END), (5, 4, END)
    h = forced(Planted(logits), SOURCE, allowed, SearchConfig(), policy)
    total = sum(float(log_softmax(logits(5, allowed[:i]))[t]) for i, t in enumerate(allowed))
    assert h.log_probability == pytest.approx(total, abs=1e-5) and h.finished
    assert forced(Planted(logits), SOURCE, barred, SearchConfig(), policy).log_probability == -np.inf


# --- with a model folder


def test_a_tree_in_python(model_folder: Path) -> None:
    model = jumok.load(model_folder)
    plain = model.translate("cat", beam=3, nbest=2)
    tree = model.tree("cat", beam=3, nbest=2, reference="C A T")
    assert tree.translation.tokens == plain.tokens and len(tree.translation.alternatives) == 1
    np.testing.assert_allclose(tree.translation.weights, plain.weights, atol=1e-5)
    assert [n.token for n in tree.path(tree.outputs[0])] == list(plain.tokens)
    assert tree.limit == 9 and tree.beam == 3 and "nodes" not in repr(tree)
    reference = tree.reference
    assert reference is not None and reference.tokens == ("C", "A", "T", "</s>") and reference.reason == ""
    scored = model.score("cat", "C A T")
    assert reference.log_probability == pytest.approx(scored.log_probability, abs=1e-4)
    assert reference.score == pytest.approx(scored.score, abs=1e-5)
    itself = model.tree("cat", reference=model.translate("cat", max_length=3).text, max_length=4).reference
    assert itself is not None and itself.verdict in ("output", "search error", "model error")
    finished = model.tree("cat", beam=200, nbest=200, max_length=2)
    texts = [t for t in (finished.translation, *finished.translation.alternatives) if t.finished]
    first, second = (model.tree("cat", beam=200, max_length=2, reference=t.text).reference for t in texts[:2])
    assert first is not None and (first.verdict, first.ending, first.step) == ("output", "finished", None)
    assert second is not None and (second.verdict, second.ending) == ("model error", "finished")


@pytest.mark.parametrize(
    ("reference", "says"),
    [("C QQ", "the model does not know 'QQ'"), ("C A T C A T", "it has 7 tokens with </s>, and the limit is 5")],
)
def test_references_that_cannot_be_an_output(model_folder: Path, reference: str, says: str) -> None:
    tree = jumok.load(model_folder).tree("cat", beam=2, max_length=5, reference=reference)
    assert tree.reference is not None and (tree.reference.verdict, tree.reference.reason) == ("not allowed", says)
    assert tree.reference.score is None and tree_in_words(tree)[1] == f"the reference cannot be an output: {says}"
    assert tree_from_json(tree_json(tree)).reference == tree.reference


@pytest.mark.parametrize(
    ("arguments", "options", "says"),
    [
        ((" ",), {}, "tree: the text is blank"),
        (("a" * 3000,), {}, "tree: the text has 3,000 tokens, at most 2,499"),
        ((["cat"],), {}, "tree: text is of type list"),
        (("cat",), {"reference": ["C"]}, "tree: reference is of type list"),
        (("cat",), {"nbest": 2}, "nbest is 2; it must be at most beam"),
        (("cat",), {"batch_size": 2}, "tree: there is no option 'batch_size'"),
    ],
)
def test_what_has_no_tree(model_folder: Path, arguments: Any, options: Any, says: str) -> None:
    with pytest.raises((ConfigError, DataError), match=says):
        jumok.load(model_folder).tree(*arguments, **options)


def grown(folder: Path) -> Tree:
    return jumok.load(folder).tree("cat", beam=3, nbest=2, reference="C A T")


def test_json_is_read_again_and_what_is_wrong_in_it_is_named(model_folder: Path) -> None:
    text = tree_json(grown(model_folder))
    again = tree_from_json(text)
    assert tree_json(again) == text and again.nodes == grown(model_folder).nodes
    data = json.loads(text)
    assert data["schema"] == "jumok.tree/1" and data["nodes"][0]["parent"] is None
    assert tree_json(tree_from_json(json.dumps(data | {"new": 1}))) == text  # a newer key is passed over
    broken: list[tuple[Any, str]] = [
        ("{", "tree JSON: "),
        ([], "got list"),
        (data | {"schema": "jumok.tree/2"}, "expected 'jumok.tree/1'"),
        ({k: v for k, v in data.items() if k != "nodes"}, "nodes: the key is missing"),
        (data | {"nodes": []}, "outputs"),
        (data | {"outputs": [10**6]}, "outputs"),
        (data | {"beam": "3"}, "beam: got str"),
        (data | {"nodes": [data["nodes"][0], data["nodes"][0]]}, r"nodes\[1\]: got id 0"),
        (data | {"nodes": [data["nodes"][0] | {"fate": "lost"}]}, r"nodes\[0\], fate"),
        (data | {"reference": data["reference"] | {"verdict": "x"}}, "reference: got"),
        (data | {"reference": data["reference"] | {"tokens": [1]}}, "reference, tokens"),
        (data | {"translation": {}}, "tree JSON, translation"),
    ]
    for wrong, says in broken:
        with pytest.raises(DataError, match=says):
            tree_from_json(wrong if isinstance(wrong, str) else json.dumps(wrong))


def test_explain_reads_its_model_once(model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    real = jumok.load
    monkeypatch.setattr("jumok.explain.showing.load", lambda *asked: read.append(asked[0]) or real(*asked))
    assert main(["explain", str(model_folder), "cat", "--tree", str(tmp_path / "tree.json")]) == 0
    assert read == [str(model_folder)] and (tmp_path / "tree.json").exists()


def test_explain_writes_the_tree_and_says_where_the_reference_leaves(model_folder: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "tree.json"
    command = ["explain", str(model_folder), "cat", "--beam", "3", "--tree", str(out), "--reference", "C A T"]
    assert main(command) == 0
    shown = capsys.readouterr().out.splitlines()
    tree = tree_from_json(out.read_text(encoding="utf-8"))
    assert tree.nodes == jumok.load(model_folder).tree("cat", beam=3).nodes
    assert shown[-3:-1] == tree_in_words(tree) and shown[-1] == f"written to {out}"
    assert "the reference leaves the beam at token" in shown[-2] and "error: its score is" in shown[-2]
    write_tree(tree, tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == out.read_bytes()
    before = capsys.readouterr()
    assert main([*command[:5], "--reference", tree.translation.text, "--max-length", "9"]) == 0
    assert "the reference" in capsys.readouterr().out.splitlines()[-1] and before.err == ""
    assert main([*command[:3], "--reference", ""]) == 0  # which is the output that ends at once
    assert "the reference leaves the beam at token 1, </s>" in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--tree", "a.svg"], "--tree is 'a.svg'; it is written as JSON: give a name that ends in .json"),
        (["--tree", "no/such/a.json"], "no/such"),
        (["--tree", "a.json", "--compare", "b"], "tree is about the search of one model: leave out --compare or --tree"),
        (["--reference", "C", "--compare", "b"], "leave out --compare or --reference"),
    ],
)
def test_trees_that_cannot_be_written(model_folder: Path, options: list[str], says: str, capsys) -> None:
    assert main(["explain", str(model_folder), "cat", *options]) == 2
    err = capsys.readouterr().err
    assert says in err and err.count("\n") == 1
