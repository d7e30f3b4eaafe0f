"""The tree of a beam search: everything it looked at, what became of it, and where a given reference left it.

A search error is a reference that the model ranks higher than the output, so that a wider search would have been right; else it is
the model that prefers the output: a model error (Stahlberg & Byrne 2019).

Letters: K beams, S source positions, T tokens of a hypothesis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from jumok.config import SearchConfig
from jumok.decode.backend import Backend
from jumok.decode.choice import Candidates
from jumok.decode.hypotheses import Hypothesis, Past, Step, attention
from jumok.decode.policy import Policy
from jumok.decode.ranking import ranking_of
from jumok.decode.search import beam, greedy
from jumok.runtime.translation import Translation
from jumok.text.vocabulary import END

Array = np.ndarray

FATES = ("kept", "pruned", "finished", "cut", "left")
ENDINGS = ("finished", "pruned", "not a candidate", "stopped")
VERDICTS = ("output", "search error", "model error", "not allowed")


@dataclass(frozen=True, slots=True)
class Node:
    """A hypothesis that the search looked at: its parent's tokens, and one more.

    Attributes:
        id: its place among the nodes; 0 is the root, which has no token.
        parent: the id of the node that it grew from; None for the root.
        step: its number of tokens.
        token: its last token.
        log_probability: of that token, given those before it; total: of all its tokens.
        score: by which it is ranked where it ends.
        fate: kept: it went on; pruned: others were better; finished: it ended; cut: it reached the length limit; left: the search
            stopped before it went on, since it had found what is better.
    """

    id: int
    parent: int | None
    step: int
    token: str
    log_probability: float
    total: float
    score: float
    fate: str


@dataclass(frozen=True, slots=True)
class Reference:
    """A given output beside those of the search.

    Attributes:
        text, tokens: as the model would write it, the end token last.
        log_probability, score: the model's; None where it is not allowed.
        node: the id of the last node that it shares with the tree.
        ending: "finished": the search found it; else it left the beam at `step`, the number of the token, as "pruned" or as "not a
            candidate" (others were better, there were not even twice the beam of them), or because the search had "stopped".
        step: None if it is finished.
        verdict: "output": it is the output; "search error": its score is higher than the output's; "model error": it is not;
            "not allowed": it cannot be an output.
        reason: why it is not allowed; else "".
    """

    text: str
    tokens: tuple[str, ...]
    log_probability: float | None
    score: float | None
    node: int
    ending: str
    step: int | None
    verdict: str
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Tree:
    """A whole beam search for one line.

    Attributes:
        translation: the output, with the n-best list as its alternatives.
        beam: hypotheses kept at each step; limit: the most tokens of an output.
        nodes: in the order in which they were looked at; of a step, the best first.
        outputs: the ids of the nodes in which the outputs end, best first.
        reference: None if none was given.
    """

    translation: Translation
    beam: int
    limit: int
    nodes: tuple[Node, ...] = field(repr=False)
    outputs: tuple[int, ...]
    reference: Reference | None = None

    def path(self, node: int) -> list[Node]:
        """The nodes from the first token to this one."""
        found, at = [], self.nodes[node]
        while at.parent is not None:
            found.append(at)
            at = self.nodes[at.parent]
        return found[::-1]


@dataclass
class Recorder:
    """`Candidates` that keep in mind what they found: of each step parents, tokens and log-probabilities, and the trail."""

    choose: Candidates
    steps: list[tuple[Array, Array, Array]] = field(default_factory=list)
    trail: Sequence[Step] = ()

    def __call__(self, past: Past, logits: Array, bases: Array, number: int) -> tuple[Array, Array, Array]:
        """See `jumok.decode.choice.Candidates`."""
        found = self.choose(past, logits, bases, number)
        self.steps.append((found[0][0].copy(), found[1][0].copy(), found[2][0].copy()))
        self.trail = past.trail
        return found


@dataclass(frozen=True)
class Recorded:
    """A search with all that it looked at.

    Attributes:
        found: its outputs.
        rows: of each node but the root its parent, token id, log-probability and fate.
        children: (node, token id) -> node.
        scores: of each node.
    """

    found: list[Hypothesis]
    rows: list[tuple[int, int, float, str]]
    children: dict[tuple[int, int], int]
    scores: list[float]


def record(backend: Backend, source: Array, options: SearchConfig, limit: int, policy: Policy) -> Recorded:
    """Searches for one sentence, source int [S], END last; a beam of 1 is searched as a beam, too."""
    recorder, ranking = Recorder(policy.candidates), policy.ranking or ranking_of(options)
    recorded = replace(policy, candidates=recorder)
    (found,) = beam(backend, source[None], np.array([len(source)]), options, np.array([limit]), recorded)
    rows: list[tuple[int, int, float, str]] = []
    children: dict[tuple[int, int], int] = {}
    scores: list[float] = []
    frontier = [0]
    for t, (looked_at, step) in enumerate(zip(recorder.steps, recorder.trail, strict=True), 1):
        on = set(zip(step.parents[0].tolist(), step.tokens[0].tolist(), strict=True))
        last = t == len(recorder.steps)
        for rank, (parent, token, total) in enumerate(zip(*(a.tolist() for a in looked_at), strict=True)):
            if total == -np.inf:
                continue
            if token == END:
                fate = "finished" if rank < options.beam else "pruned"
            elif (parent, token) in on:
                fate = "kept" if not last else "cut" if t >= limit else "left"
            else:
                fate = "pruned"
            look = partial(attention, recorder.trail, 0, parent, t, len(source))
            scores.append(float(ranking.score(total, t, look)))
            children[frontier[parent], token] = len(rows) + 1
            rows.append((frontier[parent], token, total, fate))
        grown = zip(step.parents[0].tolist(), step.tokens[0].tolist(), strict=True)
        frontier = [children.get((frontier[parent], token), 0) for parent, token in grown]  # 0: a beam that cannot go on
    return Recorded(found, rows, children, scores)


def follow(recorded: Recorded, tokens: Sequence[int]) -> tuple[int, int, str]:
    """How far a given output, END last, goes along with the search: the last node, the step at which it leaves, its ending.

    The step is the number of the first token that is not written, or was not kept; T + 1 if the output is finished.
    """
    node = 0
    for step, token in enumerate(tokens, 1):
        after = recorded.children.get((node, token))
        if after is None:
            fate = recorded.rows[node - 1][3] if node else "kept"
            return node, step, "stopped" if fate in ("left", "cut") else "not a candidate"
        node = after
        fate = recorded.rows[node - 1][3]
        if fate == "pruned":
            return node, step, "pruned"
    return node, len(tokens) + 1, "finished"


@dataclass(frozen=True)
class Forced:
    """A way to choose that writes given tokens, whatever the model says."""

    tokens: Sequence[int]

    def __call__(self, past: Past, logits: Array) -> Array:
        """See `jumok.decode.choice.Choose`."""
        return np.full(len(logits), self.tokens[len(past.trail)])


def forced(backend: Backend, source: Array, tokens: Sequence[int], options: SearchConfig, policy: Policy) -> Hypothesis:
    """A given output, END last, by the steps of a search: its log-probability is -inf if a rule forbids a token."""
    with np.errstate(invalid="ignore"):
        (h,) = greedy(
            backend,
            source[None],
            np.array([len(source)]),
            options,
            np.array([len(tokens)]),
            replace(policy, choose=Forced(tokens)),
        )
    return h


def judged(reference: Hypothesis, output: Hypothesis | None) -> str:
    """Whether an output that is not the reference is an error of the search or of the model."""
    if output is None or (reference.finished, reference.score) > (output.finished, output.score):
        return "search error"
    return "model error"


def nodes_of(recorded: Recorded, names: Sequence[str]) -> tuple[Node, ...]:
    """The nodes, the root first; `names` are the tokens of the vocabulary, by id."""
    nodes = [Node(0, None, 0, "", 0.0, 0.0, 0.0, "kept")]
    for (parent, token, total, fate), score in zip(recorded.rows, recorded.scores, strict=True):
        before = nodes[parent]
        own = Node(len(nodes), parent, before.step + 1, names[token], total - before.total, total, score, fate)
        nodes.append(own)
    return tuple(nodes)


def outputs_of(recorded: Recorded) -> tuple[int, ...]:
    """The nodes in which the outputs end, best first."""
    ends = []
    for h in recorded.found:
        node = 0
        for token in h.tokens:
            node = recorded.children[node, token]
        ends.append(node)
    return tuple(ends)
