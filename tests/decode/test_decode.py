"""The room of decoding: a backend that is only a table runs through all of it; rules, rankings and choices are arguments."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_backend import Planted, log_softmax, random_logits

from jumok.config import SearchConfig
from jumok.decode import hypotheses
from jumok.decode.backend import BACKENDS, without_engine
from jumok.decode.choice import best_continuations
from jumok.decode.hypotheses import Past
from jumok.decode.ranking import LengthPenalty, Ranking
from jumok.decode.rules import NEVER, RULES, Never, Rule, never
from jumok.decode.search import Policy, beam, greedy, search, search_one
from jumok.decode.translator import Translator
from jumok.engine.layout import PLANES
from jumok.errors import ConfigError
from jumok.explain.aligning import align
from jumok.runtime import folder
from jumok.text import Pair
from jumok.text.vocabulary import END, PAD, START, UNK

# --- a backend that is only a table


class Table:
    """p(next | last token): rows of probabilities; the state holds no more than how many steps are done; step t looks at source position t."""

    def __init__(self, rows: object) -> None:
        self.logits = np.log(np.array(rows, np.float32))

    def looked(self, lengths, T, width):
        weights = np.zeros((len(lengths), T, width), np.float32)
        for row, S in zip(weights, lengths, strict=True):
            row[np.arange(T), np.minimum(np.arange(T), S - 1)] = 1
        return weights

    def start(self, source, lengths):
        return lengths, source.shape[1], 0

    def step(self, state, tokens):
        lengths, width, t = state
        weights = self.looked(lengths, t + 1, width)[:, [t] * tokens.shape[1]]
        return (lengths, width, t + 1), self.logits[tokens], weights

    def select(self, state, sentences, parents):
        return state[0][sentences], state[1], state[2]

    def score(self, source, lengths, target, target_lengths):
        real = np.arange(target.shape[1]) < target_lengths[:, None]
        before = np.concatenate([np.ones((len(target), 1), int), target[:, :-1]], 1)
        found = np.where(real, np.take_along_axis(self.logits[before], target[:, :, None], 2)[:, :, 0], 0)
        return found.astype(np.float32), self.looked(lengths, target.shape[1], source.shape[1]) * real[:, :, None]


# <pad> <s> </s> <unk> a b: after <s>, a is likeliest, but only b leads on to a sure end
ROWS = [
    [0.20, 0.20, 0.20, 0.20, 0.10, 0.10],
    [0.01, 0.01, 0.02, 0.06, 0.50, 0.40],
    [0.20, 0.20, 0.20, 0.20, 0.10, 0.10],
    [0.01, 0.01, 0.90, 0.02, 0.03, 0.03],
    [0.01, 0.01, 0.20, 0.28, 0.25, 0.25],
    [0.01, 0.01, 0.90, 0.02, 0.03, 0.03],
]
ALONE = """
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.startswith(("jumok.runtime", "jumok.learn", "jumok.explain", "jumok.measure", "safetensors", "torch")):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Block())
from jumok.config import SearchConfig
from jumok.decode.search import search, search_one
source, lengths, limits = np.array([[4, 5, 2], [4, 2, 0]]), np.array([3, 2]), np.array([6, 6])
for beam in (1, 2):
    for (h, *_) in search(Table(ROWS), source, lengths, SearchConfig(beam=beam, nbest=beam), limits):
        print(h.tokens, round(float(np.exp(h.log_probability)), 4), h.weights.shape, h.weights.argmax(1).tolist())
print(search_one(Table(ROWS), source[0], SearchConfig(), 6)[0].tokens)
"""


def test_a_table_is_searched_where_no_model_can_be_imported() -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import numpy as np\n{inspect.getsource(Table)}\nROWS = {ROWS}\n{ALONE}"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    likeliest = 0.5 * 0.28 * 0.9
    assert done.stdout.splitlines() == [
        f"(4, 3, 2) {likeliest:.3f} (3, 3) [0, 1, 2]",
        f"(4, 3, 2) {likeliest:.3f} (3, 2) [0, 1, 1]",
        "(5, 2) 0.36 (2, 3) [0, 1]",
        "(5, 2) 0.36 (2, 2) [0, 1]",
        "(4, 3, 2)",
    ]


def test_a_backend_is_a_line_in_the_table(monkeypatch: pytest.MonkeyPatch, model_folder: Path) -> None:
    """Translator, given targets and alignments run with a backend that none of them has heard of."""
    read = folder.read_folder(model_folder)
    phones = len(read.codec.target.vocabulary)
    rows = np.full((phones, phones), 1e-3)
    chain = [START, *read.codec.encode_target("C A T")]
    rows[chain[:-1], chain[1:]] = 1
    monkeypatch.setitem(BACKENDS, "planted", lambda folder: Table(rows / rows.sum(1, keepdims=True)))  # type: ignore[arg-type]
    model = Translator(read, "planted")
    for t in [model.translate("why"), *model.translate(["cat", "why"]), model.translate("cat", beam=3)]:
        assert t.text == "C A T" and t.weights is not None and t.weights.shape == (4, 4)
    (scored,) = model.score(["why"], ["C A T"])
    assert scored.log_probability == pytest.approx(4 * np.log(1 / (1 + 1e-3 * (phones - 1))), abs=1e-5)
    assert scored.log_probability == pytest.approx(model.translate("why").log_probability, abs=1e-5)
    (aligned,) = align(model, [Pair("why", "C A T")])
    assert aligned.links == ((0, 0), (1, 1), (2, 2))


def test_a_backend_that_does_not_exist_is_named(model_folder: Path) -> None:
    with pytest.raises(ConfigError, match="engine: 'quick' came; one of auto, numpy, exact, int8 was wanted"):
        Translator(folder.read_folder(model_folder), "quick")


def test_every_backend_of_the_table_scores_what_it_writes(model_folder: Path) -> None:
    read, reference = folder.read_folder(model_folder), Translator(folder.read_folder(model_folder))
    for name in BACKENDS:
        if name in PLANES and without_engine(read.config.model):
            continue  # no compiled engine on this machine
        model = Translator(read, name)
        for t, wanted in zip(model.translate(["cat", "zebra"]), reference.translate(["cat", "zebra"]), strict=True):
            assert t.tokens == wanted.tokens
            if t.finished and "<unk>" not in t.tokens:
                assert model.score(t.source, t.text).log_probability == pytest.approx(t.log_probability, abs=1e-3)


# --- the way for one sentence


@dataclass
class Quick:
    """A table with a way of its own for one sentence, which tells when it was taken."""

    calls: list[tuple[list[int], int, tuple[int, ...]]]

    def __getattr__(self, name: str) -> object:
        return getattr(Table(ROWS), name)

    def one(self, source, limit, never):
        self.calls.append((source.tolist(), limit, never))
        return [5, END], -1.0, None


def test_the_way_for_one_sentence_is_taken_where_nothing_asks_for_more() -> None:
    model, source = Quick([]), np.array([4, 5, END])
    (found,) = search_one(model, source, SearchConfig(length_penalty=2.0), 7)  # type: ignore[arg-type]
    assert (found.tokens, found.log_probability, found.score, found.finished) == ((5, END), -1.0, -0.25, True)
    assert model.calls == [([4, 5, END], 7, NEVER)]
    search_one(model, source, SearchConfig(), 7, policy=Policy(rules=(*RULES, Never((4,)))))  # type: ignore[arg-type]
    assert model.calls[1:] == [([4, 5, END], 7, (*NEVER, 4))]
    assert search_one(model, source, SearchConfig(beam=2), 7)[0].tokens == (5, END)  # type: ignore[arg-type]
    (ruled,) = search_one(model, source, SearchConfig(), 7, policy=Policy(rules=(*RULES, not_twice)))  # type: ignore[arg-type]
    assert ruled.tokens == (4, UNK, END)
    assert len(model.calls) == 2


def test_a_single_line_takes_that_way_and_many_do_not(monkeypatch: pytest.MonkeyPatch, model_folder: Path) -> None:
    model = Quick([])
    monkeypatch.setitem(BACKENDS, "quick", lambda folder: model)  # type: ignore[arg-type, return-value]
    translator = Translator(folder.read_folder(model_folder), "quick")
    assert translator.translate("cat", max_length=9).log_probability == -1.0
    assert [t.log_probability for t in translator.translate_lines(["cat", "", "why"], batch_size=1)] == [-1.0, 0.0, -1.0]
    assert [(len(ids), limit) for ids, limit, _ in model.calls] == [(4, 9), (4, 9), (4, 9)]
    assert translator.translate("cat", beam=2).log_probability != -1.0 and len(model.calls) == 3
    assert translator.translate(["cat", "why"])[0].log_probability != -1.0 and len(model.calls) == 3


def test_tokens_forbidden_at_every_step_are_known_if_there_is_nothing_else() -> None:
    assert never(RULES) == (PAD, START) and never(()) == ()
    assert never((*RULES, Never((7, 8)))) == (PAD, START, 7, 8)
    assert never((*RULES, not_twice)) is None


# --- rules and rankings as arguments, beside a search written out


def not_twice(past: Past, logits: np.ndarray) -> np.ndarray:
    """No token but the end is written twice."""
    for row, written in zip(logits, past.tokens(), strict=True):
        row[[t for t in written if t != END]] = -np.inf
    return logits


@dataclass(frozen=True)
class NotIn:
    """A token for each sentence, which this one does not write."""

    tokens: np.ndarray

    def __call__(self, past: Past, logits: np.ndarray) -> np.ndarray:
        logits[np.arange(len(logits)), self.tokens[past.owners()]] = -np.inf
        return logits


@dataclass(frozen=True)
class NotWhereItLooked:
    """Forbids the token whose number is 4 and the position most looked at so far."""

    def __call__(self, past: Past, logits: np.ndarray) -> np.ndarray:
        weights = past.weights()
        if weights is not None:
            logits[np.arange(len(logits)), 4 + weights.sum(1).argmax(1)] = -np.inf
        return logits


@dataclass(frozen=True)
class Covered:
    """log-probability a token, less for source positions that little looked at (in the manner of Wu et al. 2016)."""

    def score(self, total: float, length: int, attention: Callable[[], np.ndarray | None]) -> float:
        weights = attention()
        assert weights is not None and len(weights) == length
        return total / length - float((1 - np.minimum(weights.sum(0), 1)).sum())

    def bound(self, total, length):
        return total / length


V, WIDTH = 9, 3


def forbidden(rules: tuple[Rule, ...], sentence: int, prefix: tuple[int, ...]) -> set[int]:
    """The same rules, of one prefix."""
    found = set(NEVER)
    for rule in rules:
        if rule is not_twice:
            found |= set(prefix) - {END}
        if isinstance(rule, NotIn):
            found.add(int(rule.tokens[sentence]))
        if isinstance(rule, NotWhereItLooked) and prefix:
            found.add(4 + int(looked(prefix).sum(0).argmax()))
    return found


def looked(tokens: tuple[int, ...]) -> np.ndarray:
    return np.array([Planted.weights(tokens[:i], WIDTH, WIDTH) for i in range(len(tokens))])


def slow(logits, first: int, limit: int, o: SearchConfig, ranking: Ranking, rules: tuple[Rule, ...], sentence: int) -> list:
    """`search` of one sentence, hypothesis by hypothesis: (tokens, log-probability, score)."""
    beams: list[tuple[tuple[int, ...], float]] = [((), 0.0)]
    finished: list[tuple[tuple[int, ...], float, float]] = []
    for length in range(1, limit + 1):
        grown = []
        for prefix, total in beams:
            row = log_softmax(logits(first, prefix))
            banned = forbidden(rules, sentence, prefix)
            grown += [((*prefix, t), total + float(row[t])) for t in range(V) if t not in banned]
        grown = sorted(grown, key=lambda h: -h[1])[: 2 * o.beam]
        for tokens, total in grown[: o.beam]:
            if tokens[-1] == END:
                finished.append((tokens, total, ranking.score(total, length, lambda t=tokens: looked(t))))  # type: ignore[misc]
        beams = [h for h in grown if h[0][-1] != END][: o.beam]
        scores = sorted((score for _, _, score in finished), reverse=True)
        floor = scores[o.nbest - 1] if len(scores) >= o.nbest else -np.inf
        best = max((total for _, total in beams), default=-np.inf)
        greedily = o.beam == 1 and len(finished) == 1
        if (
            greedily
            or floor >= ranking.bound(best, limit)
            or (len(finished) >= o.beam and floor >= ranking.bound(best, length))
        ):
            beams = []
            break
    cut = [(t, total, ranking.score(total, limit, lambda t=t: looked(t))) for t, total in beams]  # type: ignore[misc]
    return [h for group in (finished, cut) for h in sorted(group, key=lambda h: -h[2])][: o.nbest]


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    sentences=st.lists(st.tuples(st.integers(3, 9), st.integers(1, 7)), min_size=1, max_size=4),
    width=st.integers(1, 5),
    ranking=st.sampled_from([LengthPenalty(0.0), LengthPenalty(0.7), LengthPenalty(1.0), Covered()]),
    used=st.sets(st.integers(0, 2)),
    data=st.data(),
)
def test_search_finds_what_a_search_written_out_finds(seed, sentences, width, ranking, used, data) -> None:
    logits = random_logits(seed, V, -1.0)
    first, limits = (np.array(column) for column in zip(*sentences, strict=True))
    rules = (Never(NEVER), *((not_twice, NotIn(4 + np.arange(len(first)) % 3), NotWhereItLooked())[i] for i in sorted(used)))
    options = SearchConfig(beam=width, nbest=data.draw(st.integers(1, width)))
    source = np.zeros((len(first), WIDTH), int)
    source[:, 0] = first
    found = search(Planted(logits), source, np.full(len(first), WIDTH), options, limits, Policy(ranking, rules))
    for i, own in enumerate(found):
        wanted = slow(logits, int(first[i]), int(limits[i]), options, ranking, rules, i)
        assert [h.tokens for h in own] == [tokens for tokens, _, _ in wanted]
        np.testing.assert_allclose([h.log_probability for h in own], [total for _, total, _ in wanted], atol=1e-5)
        np.testing.assert_allclose([h.score for h in own], [score for _, _, score in wanted], atol=1e-5)
        for h in own:
            np.testing.assert_allclose(h.weights, looked(h.tokens), atol=1e-6)


def test_the_past_is_followed_only_for_what_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that looks at nothing, and a ranking that does not ask for attention, cost no walk back."""
    walks, follow = [], hypotheses.follow
    monkeypatch.setattr(hypotheses, "follow", lambda *a: walks.append(1) or follow(*a))  # type: ignore[func-returns-value]
    source, lengths, limits = np.array([[5, 0, 0], [6, 0, 0]]), np.array([3, 3]), np.array([6, 6])
    model = Planted(random_logits(3, V, -2.0))
    search(model, source, lengths, SearchConfig(), limits)
    assert walks == []
    search(model, source, lengths, SearchConfig(beam=3, nbest=3), limits)
    assert walks == [1]  # the outputs themselves, all together
    search(model, source, lengths, SearchConfig(), limits, policy=Policy(rules=(*RULES, not_twice)))
    assert len(walks) > 3


# --- how a step chooses, as an argument


def test_a_choice_of_its_own_is_followed() -> None:
    """The second likeliest token of each step, from logits and from a beam's candidates."""
    logits = random_logits(11, V)
    source, lengths, limits = np.array([[5, 0, 0]]), np.array([3]), np.array([5])

    def second(past: Past, rows: np.ndarray) -> np.ndarray:
        assert past.tokens().shape == (len(rows), len(past.trail))
        return np.argsort(-rows, axis=1)[:, 1]

    (found,) = greedy(Planted(logits), source, lengths, SearchConfig(), limits, Policy(choose=second))
    tokens: tuple[int, ...] = ()
    while len(tokens) < 5 and tokens[-1:] != (END,):
        row = log_softmax(logits(5, tokens))
        tokens += (sorted((t for t in range(V) if t not in NEVER), key=lambda t: -row[t])[1],)
    assert found.tokens == tokens
    assert found.log_probability == pytest.approx(
        sum(log_softmax(logits(5, tokens[:i]))[t] for i, t in enumerate(tokens)), abs=1e-5
    )

    seen = []

    def kept(past: Past, rows: np.ndarray, bases: np.ndarray, number: int):
        """The whole tree of a beam search, as data: what every step had to choose from."""
        parents, tokens, totals = best_continuations(past, rows, bases, number)
        written = past.tokens()
        seen.append([(*written[p].tolist(), t) for p, t in zip(parents[0], tokens[0].tolist(), strict=True)])
        return parents, tokens, totals

    options = SearchConfig(beam=3, nbest=3)
    watched = beam(Planted(logits), source, lengths, options, limits, Policy(candidates=kept))
    plain = beam(Planted(logits), source, lengths, options, limits)
    assert [h.tokens for h in watched[0]] == [h.tokens for h in plain[0]]
    assert all(h.tokens in seen[len(h.tokens) - 1] for h in plain[0])
