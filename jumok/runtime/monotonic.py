"""The monotonic alignment in NumPy: the state of the chains in a search, one step of them, and scores of given targets.

Letters: B sentences, K beams a sentence, S source positions (S' the one before), T target positions, H hidden, R inner size of
the readout, V target vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jumok import alignments

if TYPE_CHECKING:
    from jumok.runtime.model import NumpyModel, State

Array = np.ndarray

LEAST = np.float32(1e-37)  # of a probability before its logarithm
FORCED_CELLS = 1 << 13  # readouts computed together in `score`: source times target positions
MOVED_CELLS = 1 << 21  # numbers of a(s | s', h_t) held together there


@dataclass(frozen=True, slots=True)
class Copies:
    """What can be copied: memory [B, S, H], for the gate, and the target ids of the source tokens, int [B, S], or -1."""

    memory: Array
    ids: Array

    def part(self, sentences: Array | slice, positions: int | None = None) -> Copies:
        return Copies(self.memory[sentences, :positions], self.ids[sentences, :positions])


@dataclass(frozen=True, slots=True)
class Chain:
    """The chains of a search: all that the next step needs, once a token is chosen.

    The arrays of a step are kept as they were; `rows` and `parents` say which of its hypotheses each present one comes from.

    Attributes:
        prior: [B', K', S] p(s_t | y_<t) of the last step.
        logits: [B', K', S, V] its output layer at each position; totals: [B', K', S] their log Σ exp.
        gates: [B', K', S] its copy gates; None without one, and before the first step.
        rows: [B, 1], parents: [B, K], both int.
        copies: of the B sentences; None without a copy gate.
    """

    prior: Array
    logits: Array
    totals: Array
    gates: Array | None
    rows: Array
    parents: Array
    copies: Copies | None

    def select(self, sentences: Array, parents: Array) -> Chain:
        """As `NumpyModel.select`."""
        chosen = self.parents[sentences[:, None], parents]
        copies = self.copies
        if copies is not None and not np.array_equal(sentences, np.arange(len(self.rows))):
            copies = copies.part(sentences)
        return Chain(self.prior, self.logits, self.totals, self.gates, self.rows[sentences], chosen, copies)

    def reached(self, tokens: Array) -> Array:
        """p(s_t | y_1…y_t) [B, K, S], once the step's tokens [B, K] are chosen."""
        emission = self.logits[self.rows, self.parents, :, tokens] - self.totals[self.rows, self.parents]
        if self.gates is not None and self.copies is not None:
            same = self.copies.ids[:, None] == tokens[:, :, None]
            emission = alignments.copied(np, self.gates[self.rows, self.parents], emission, same)
        with np.errstate(divide="ignore"):
            return alignments.filtered(np, self.prior[self.rows, self.parents], emission)[0]


def before(mask: Array, V: int, copied: tuple[Array, Array] | None) -> Chain:
    """Before the first step: certainly at the first position. mask [B, S]; copied: as in `Copies`."""
    B, S = mask.shape
    totals = np.zeros((B, 1, S), np.float32)
    logits = np.broadcast_to(np.float32(0), (B, 1, S, V))
    copies = None if copied is None else Copies(*copied)
    return Chain(alignments.first(np, totals), logits, totals, None, np.arange(B)[:, None], np.zeros((B, 1), np.int64), copies)


def step(model: NumpyModel, state: State, query: Array, tokens: Array) -> tuple[Array, Array, Chain]:
    """One step of a search.

    Args:
        state: before the step, with its chain. query: h_t [B, K, H] of this step. tokens: [B, K] chosen at the step before.

    Returns:
        log p(v | y_<t, x) float32 [B, K, V]; the prior over positions [B, K, S]; the chain.
    """
    assert state.chain is not None and state.keys is not None and state.values is not None
    B, K = tokens.shape
    prior = (state.chain.reached(tokens)[:, :, None] @ _moves(model, query, state.keys, state.mask))[:, :, 0]
    logits = _logits(model, query, state.values)
    logits -= logits.max(-1)[..., None]
    probabilities = np.exp(logits)
    sums = probabilities.sum(-1)
    copies, gates, share = state.chain.copies, None, prior
    if copies is not None:
        gates = _gates(model, query, copies)
        kappa = np.exp(alignments.log_sigmoid(np, gates))
        share = prior * (1 - kappa)
    mixture = ((share / sums)[:, :, None] @ probabilities)[:, :, 0]
    if copies is not None:
        for s in range(prior.shape[-1]):  # where nothing is copied, kappa is 0
            mixture[np.arange(B)[:, None], np.arange(K), np.maximum(copies.ids[:, s], 0)[:, None]] += (prior * kappa)[..., s]
    found = np.log(np.maximum(mixture, LEAST, out=mixture), out=mixture)
    parents = np.broadcast_to(np.arange(K), (B, K))
    return found, prior, Chain(prior, logits, np.log(sums), gates, np.arange(B)[:, None], parents, copies)


@dataclass(frozen=True, slots=True)
class Trace:
    """What a model makes of given targets, all alignments summed.

    Attributes:
        log_probabilities: log p(y_t | y_<t, x) float32 [B, T]; weights: the posteriors p(s_t | y_1…y_T, x) [B, T, S]. 0 on pads.
        copied: [B, T] the probability that y_t was copied, given x and y_1…y_T; 0 on pads. None without a copy gate.
        path: int [B, T] the likeliest alignment, -1 on pads; None if it was not asked for.
    """

    log_probabilities: Array
    weights: Array
    copied: Array | None
    path: Array | None


@dataclass(frozen=True, slots=True)
class Given:
    """Targets to be scored: int [B, T]; lengths of the sources, steps of the targets, int [B] each; whether the likeliest alignment is
    looked for, too."""

    target: Array
    lengths: Array
    steps: Array
    path: bool = False


def score(model: NumpyModel, state: State, query: Array, given: Given) -> Trace:
    """Scores of given targets. state: at the start; query: h_t of all steps [B, T, H]."""
    assert state.keys is not None and state.values is not None
    target, lengths, steps = given.target, given.lengths, given.steps
    B, T, _ = query.shape
    S = state.values.shape[1]
    log_probabilities, weights = np.zeros((B, T), np.float32), np.zeros((B, T, S), np.float32)
    copied = np.zeros((B, T), np.float32) if state.chain is not None and state.chain.copies is not None else None
    paths = np.full((B, T), -1) if given.path else None
    for rows, t, s in _parts(lengths, steps):
        gold = target[rows, :t]
        emissions = np.zeros((*gold.shape, s), np.float32)
        most = max(1, FORCED_CELLS // (len(gold) * s))
        for i in range(0, t, most):
            logits = _logits(model, query[rows, i : min(t, i + most)], state.values[rows, :s])
            top = logits.max(-1)
            chosen = np.take_along_axis(logits, gold[:, i : i + most, None, None], -1)[..., 0]
            logits -= top[..., None]
            emissions[:, i : i + most] = chosen - top - np.log(np.exp(logits, out=logits).sum(-1))
        if state.chain is not None and state.chain.copies is not None:
            copies = state.chain.copies.part(rows, s)
            gates, same = _gates(model, query[rows, :t], copies), copies.ids[:, None] == gold[:, :, None]
            emissions = alignments.copied(np, gates, emissions, same)
            shares = alignments.by_copying(np, gates, emissions, same)
        real = np.arange(t) < steps[rows, None]
        emissions[~real] = 0
        moves = _moves(model, query[rows, :t], state.keys[rows, :s], np.arange(s) < lengths[rows, None])
        with np.errstate(divide="ignore", over="ignore"):
            _, reached, totals = alignments.forward(np, moves, emissions)
            posterior, _ = alignments.backward(np, moves, emissions, reached, totals)
            if paths is not None:
                paths[rows, :t] = alignments.likeliest(np, moves, emissions, real)
        log_probabilities[rows, :t] = totals * real
        weights[rows, :t, :s] = posterior = posterior[:, 1:] * real[..., None]
        if copied is not None:
            copied[rows, :t] = (posterior * shares).sum(-1)
    return Trace(log_probabilities, weights, copied, paths)


def _parts(lengths: Array, steps: Array) -> Iterator[tuple[slice, int, int]]:
    """Sentences whose chains run together, with their largest number of steps and of positions."""
    row = 0
    while row < len(lengths):
        end, t, s = row, 0, 0
        while end < len(lengths):
            longer, wider = max(t, int(steps[end])), max(s, int(lengths[end]))
            if end > row and (
                (end + 1 - row) * longer * wider > FORCED_CELLS or (end + 1 - row) * longer * wider**2 > MOVED_CELLS
            ):
                break
            end, t, s = end + 1, longer, wider
        yield slice(row, end), t, s
        row = end


def _moves(model: NumpyModel, query: Array, keys: Array, mask: Array) -> Array:
    """a(s | s', h_t) [B, T, S', S] for query [B, T, H]."""
    assert model.attention is not None
    raw = model.attention.score(np, model.score_parameters, query, keys)
    return alignments.moves(np, raw, alignments.jumps(model.jump_parameters, query), mask)


def _gates(model: NumpyModel, query: Array, copies: Copies) -> Array:
    """For query [B, T, H], logits [B, T, S]."""
    return alignments.gates(np, model.copy_parameters, query, copies.memory, copies.ids)


def _logits(model: NumpyModel, query: Array, values: Array) -> Array:
    """The output layer at every position, before softmax: query [B, T, H], values [B, S, ·] -> fresh [B, T, S, V].

    The parts of the linear readout go through the layer one by one; those of the values did before the search.
    """
    if model.w_h is None:
        return (query @ model.output[query.shape[-1] :] + model.output_bias)[:, :, None] + values[:, None]
    inner = (query @ model.w_h)[:, :, None] + values[:, None]
    logits = np.tanh(inner, out=inner) @ model.output
    logits += model.output_bias
    return logits
