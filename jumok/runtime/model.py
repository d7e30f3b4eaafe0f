"""The trained network in NumPy: encoder, decoder step, attention and readout.

Letters: B sentences, K beams a sentence, N = B·K rows, S source positions, T target positions, D encoder directions (1 or 2),
H hidden, h = H/D, E embedding, G gates of the cell, R inner size of the readout, V target vocabulary.

Weights are stored transposed, [inputs, outputs]: that makes `x @ w` fastest, for one row and for many.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from jumok import alignments, scores
from jumok.config import ModelConfig
from jumok.runtime import monotonic
from jumok.runtime.cells import CELLS, CellState, Layer
from jumok.runtime.parameters import shapes
from jumok.runtime.single import greedy
from jumok.text.vocabulary import START
from jumok.windows import WINDOWS

if TYPE_CHECKING:
    from jumok.runtime.beams import Products

Array = np.ndarray

BLOCK = 16  # rows of a table filled together
TABLE_BYTES = 1 << 29  # a larger table is not stored
SCORED_ROWS = 256  # positions that go through the output layer together in `score`


@dataclass(frozen=True, slots=True)
class State:
    """The state of a search: all that a step needs. Its arrays are never written to again.

    Attributes:
        layers: the state of each decoder layer: h, and c of an LSTM, [B, K, H] each.
        keys: [B, S, ·] memory prepared for the score; None without attention.
        values: [B, S, ·] whose weighted sum is the context: W_c·memory for the tanh readout, the memory for the linear one (with a
            monotonic alignment: the memory times its part of the output layer).
        mask: [B, S], True where the source is real.
        position: steps done, the same for all: the number t of the next one.
        fed: [B, K, R] what the readout's tanh made of the step before; None without input feeding.
        chain: the state of a monotonic alignment; None with a soft one.
    """

    layers: tuple[CellState, ...]
    keys: Array | None
    values: Array | None
    mask: Array
    position: int = 0
    fed: Array | None = None
    chain: monotonic.Chain | None = None


class NumpyModel:
    """A model as a `jumok.decode.backend.Backend`: the reference for all others, with a faster way for one sentence.

    State goes in and comes out. Between calls, only the rows of E·W_ihᵀ + b are kept, a row for each token, computed when it
    is first met. A row's numbers do not depend on when that is, so that only the time saved can be observed.

    Args:
        model: with all sizes chosen.
        parameters: as `jumok.runtime.parameters.shapes` names them, float32.
        copies: what `Codec.copies` gives, for a model with a copy gate.
    """

    def __init__(self, model: ModelConfig, parameters: Mapping[str, Array], copies: Array | None = None) -> None:
        p = parameters
        sizes = len(p.get("source.embedding", p["target.embedding"])), len(p["target.embedding"])
        assert {name: array.shape for name, array in p.items()} == shapes(model, *sizes)
        directions = ("forward", "backward") if model.bidirectional else ("forward",)
        self.cell = CELLS[model.cell]
        self.encoder = [Layer.of(self.cell, p, [f"encoder.{l}.{d}" for d in directions]) for l in range(model.depth)]
        self.decoder = [Layer.of(self.cell, p, [f"decoder.{l}"]) for l in range(model.depth)]
        self.w_feed = self.cell.arrange(_transposed(p["decoder.0.w_feed"])) if model.input_feeding else None
        self.reverse = model.reverse_source
        self.source_rows = _Rows(p.get("source.embedding", p["target.embedding"]), self.encoder[0])
        self.target_rows = _Rows(p["target.embedding"], self.decoder[0])
        self.attention = scores.SCORES.get(model.attention)
        self.score_parameters = {n.removeprefix("attention."): a for n, a in p.items() if n.startswith("attention.")}
        self.window, self.window_size = WINDOWS.get(model.window), model.window_size
        self.window_parameters = {n.removeprefix("window."): a for n, a in p.items() if n.startswith("window.")}
        self.alignment = model.alignment
        self.jump_parameters = {n.removeprefix("alignment."): a for n, a in p.items() if n.startswith("alignment.")}
        self.copy_parameters = {n.removeprefix("copy."): a for n, a in p.items() if n.startswith("copy.")}
        assert not model.copy or copies is not None
        self.copies = copies if model.copy else None
        self.w_h = _transposed(p["readout.w_h"]) if model.readout == "tanh" else None
        self.w_c = _transposed(p["readout.w_c"]) if model.readout == "tanh" and self.attention else None
        self.output = _transposed(p["readout.output"] if "readout.output" in p else p["target.embedding"])
        self.output_bias = p["readout.bias"]

    @property
    def weights(self) -> str:
        """What the weights of `score` are: attention, or the posterior of an alignment."""
        return alignments.named(self.alignment).weights

    def start(self, source: Array, lengths: Array) -> State:
        """Reads the sources. source int [B, S] padded at the end, lengths int [B] -> state with one beam a sentence."""
        memory, last = self._encode(source, lengths)
        keys = values = None
        if self.attention:
            keys = self.attention.keys(np, self.score_parameters, memory)
            values = memory if self.w_c is None else memory @ self.w_c
            if self.alignment == "monotonic" and self.w_c is None:
                values = memory @ self.output[: memory.shape[-1]]
        mask = np.arange(source.shape[1]) < np.asarray(lengths)[:, None]
        chain = None
        if self.alignment == "monotonic":
            copied = None if self.copies is None else (memory, self.copies[source])
            chain = monotonic.before(mask, len(self.output_bias), copied)
        fed = None if self.w_feed is None or self.w_h is None else np.zeros((len(mask), 1, self.w_h.shape[1]), np.float32)
        return State(tuple(tuple(part[:, None] for part in layer) for layer in last), keys, values, mask, fed=fed, chain=chain)

    def step(self, state: State, tokens: Array) -> tuple[State, Array, Array | None]:
        """One token further. tokens int [B, K] -> state, logits [B, K, V] (before softmax), weights [B, K, S] or None.

        The logits are a fresh array that the caller may write to. With a monotonic alignment they are log-probabilities, and the
        weights are the prior of the position, before the token is known; `score` gives posteriors.
        """
        B, K = tokens.shape
        if state.chain is not None:
            layers = self._decode(state, self.target_rows(tokens.reshape(1, -1))[0])
            found, prior, chain = monotonic.step(self, state, layers[-1][0], tokens)
            after = State(layers, state.keys, state.values, state.mask, state.position + 1, chain=chain)
            return after, found, prior
        # the first layer's input, already multiplied: [N, G·H]
        after, features, weights = self._advance(state, self.target_rows(tokens.reshape(1, -1))[0])
        logits = features @ self.output
        logits += self.output_bias
        return after, logits.reshape(B, K, -1), weights

    def _advance(self, state: State, x: Array) -> tuple[State, Array, Array | None]:
        """`step` up to the output layer: x [N, G·H] as `target_rows` has it -> state, what that layer reads [N, ·], weights."""
        B, K = state.layers[0][0].shape[:2]
        if self.w_feed is not None and state.fed is not None:
            x = x + state.fed.reshape(B * K, -1) @ self.w_feed
        layers = self._decode(state, x)
        features, weights = self._attend(state, layers[-1][0], np.array([state.position]))
        fed = None if state.fed is None else features.reshape(B, K, -1)
        return State(layers, state.keys, state.values, state.mask, state.position + 1, fed), features, weights

    def _decode(self, state: State, x: Array) -> tuple[CellState, ...]:
        """The decoder's layers one step further: x [N, G·H], the first one's input, already multiplied."""
        B, K = state.layers[0][0].shape[:2]
        layers = []
        for l, layer in enumerate(self.decoder):
            if l > 0:
                x = x @ layer.w_ih[0] + layer.bias[0]
            reached = self.cell.step(x, tuple(part.reshape(B * K, -1) for part in state.layers[l]), layer.w_hh[0])
            layers.append(tuple(part.reshape(B, K, -1) for part in reached))
            x = reached[0]
        return tuple(layers)

    def select(self, state: State, sentences: Array, parents: Array) -> State:
        """The state with only these sentences, int [B'], and of each these beams, int [B', K'] -> state of B' x K'."""
        rows = sentences[:, None]
        layers = tuple(tuple(part[rows, parents] for part in layer) for layer in state.layers)
        keys, values, mask = state.keys, state.values, state.mask
        if len(sentences) < len(mask) or (sentences != np.arange(len(mask))).any():
            same = values is keys
            keys = None if keys is None else keys[sentences]
            values = keys if same else None if values is None else values[sentences]
            mask = mask[sentences]
        fed = None if state.fed is None else state.fed[rows, parents]
        chain = None if state.chain is None else state.chain.select(sentences, parents)
        return State(layers, keys, values, mask, state.position, fed, chain)

    def score(self, source: Array, lengths: Array, target: Array, target_lengths: Array) -> tuple[Array, Array | None]:
        """What the model makes of given targets (forced decoding), in one pass over all steps but with input feeding.

        Args:
            source, lengths: as in `start`.
            target: int [B, T], each ending with the end token, padded at the end; no start token.
            target_lengths: int [B].

        Returns:
            log-probabilities float32 [B, T] of the target's tokens and weights [B, T, S] or None; both 0 on pads. With a
            monotonic alignment the weights are posteriors given the whole target.
        """
        if self.alignment == "monotonic":
            found = self.trace(source, lengths, target, target_lengths)
            return found.log_probabilities, found.weights
        (B, T), state = target.shape, self.start(source, lengths)
        x = self._read_before(target)
        features, weights = self._each(state, x[:, 0]) if self.w_feed is not None else self._all(state, x)
        real = np.arange(T) < np.asarray(target_lengths)[:, None]
        if weights is not None:
            weights = weights * real[:, :, None]
        features, gold = features[real.ravel()], target[real]
        gold_logs = np.empty(len(gold), np.float32)
        for i in range(0, len(gold), SCORED_ROWS):
            logits = features[i : i + SCORED_ROWS] @ self.output
            logits += self.output_bias
            logits -= logits.max(1, keepdims=True)
            chosen = logits[np.arange(len(logits)), gold[i : i + SCORED_ROWS]]
            gold_logs[i : i + SCORED_ROWS] = chosen - np.log(np.exp(logits).sum(1))
        log_probabilities = np.zeros((B, T), np.float32)
        log_probabilities[real] = gold_logs
        return log_probabilities, weights

    def trace(self, source: Array, lengths: Array, target: Array, target_lengths: Array, path: bool = False) -> monotonic.Trace:
        """As `score`, of a model with a monotonic alignment: also which tokens were copied, and with `path` the likeliest alignment."""
        assert self.alignment == "monotonic"
        state = self.start(source, lengths)
        given = monotonic.Given(target, np.asarray(lengths), np.asarray(target_lengths), path)
        return monotonic.score(self, state, self._queries(state, self._read_before(target)), given)

    def _read_before(self, target: Array) -> Array:
        """What the decoder reads when it writes target [B, T]: rows [T, 1, B, G·H] of the tokens before."""
        before = np.concatenate([np.full((len(target), 1), START), target[:, :-1]], axis=1)
        return self.target_rows(before.T[:, None])

    def one(self, source: Array, limit: int, never: Sequence[int]) -> tuple[list[int], list[float], Array | None]:
        """Greedy search for one sentence; see `jumok.runtime.single.greedy`."""
        return greedy(self, source, limit, never)

    @cached_property
    def products(self) -> Products:
        """The decoder's matrices for the beams of one sentence."""
        from jumok.runtime.beams import Products

        return Products(self)

    def start_one(self, source: Array) -> Any:
        """The state of a beam search for one sentence; see `jumok.decode.backend.OneSentence`."""
        from jumok.runtime import beams

        return beams.start(self, source)

    def step_one(self, state: Any, parents: Array, tokens: Array) -> tuple[Any, Array, Array | None]:
        """A step of a beam search for one sentence; see `jumok.decode.backend.OneSentence`."""
        from jumok.runtime import beams

        return beams.step(self, state, parents, tokens)

    def _all(self, state: State, x: Array) -> tuple[Array, Array | None]:
        """Layer after layer: x [T, 1, B, G·H] of known tokens -> what the output layer reads [B·T, ·], weights [B, T, S]."""
        return self._attend(state, self._queries(state, x), np.arange(len(x)))

    def _queries(self, state: State, x: Array) -> Array:
        """h_t of all steps [B, T, H]; x as in `_all`."""
        T = len(x)
        for l, layer in enumerate(self.decoder):
            reached, outputs = tuple(part[:, 0] for part in state.layers[l]), []
            if l > 0:
                x = x @ layer.w_ih + layer.bias
            for t in range(T):
                reached = self.cell.step(x[t, 0], reached, layer.w_hh[0])
                outputs.append(reached[0])
            x = np.stack(outputs)[:, None]  # [T, 1, B, H]
        return x[:, 0].swapaxes(0, 1)

    def _each(self, state: State, x: Array) -> tuple[Array, Array]:
        """Step after step, which input feeding needs: x [T, B, G·H], results as in `_all`."""
        features, weights = [], []
        for row in x:
            state, read, looked = self._advance(state, row)
            features.append(read)
            weights.append(looked)
        return np.stack(features, 1).reshape(-1, features[0].shape[1]), np.concatenate(weights, 1)  # type: ignore[arg-type]

    def _encode(self, source: Array, lengths: Array) -> tuple[Array, list[CellState]]:
        """The memory [B, S, H], 0 on pads, and each layer's last state, [B, H] each.

        A reversed source (Sutskever et al. 2014) is read from its last token to its first, features included, and then
        `</s>`, which so stays what ends every reading. The memory goes back to the source's own order at once, so that
        nothing that sees its rows, weights first of all, has to know.
        """
        if self.reverse:
            position, end = np.arange(source.shape[1]), np.asarray(lengths)[:, None] - 1
            backwards = np.where(position < end, end - 1 - position, position)  # its own inverse
            memory, last = self._read(np.take_along_axis(source, backwards, 1), lengths)
            return np.take_along_axis(memory, backwards[..., None], 1), last
        return self._read(source, lengths)

    def _read(self, source: Array, lengths: Array) -> tuple[Array, list[CellState]]:
        """As `_encode`, reading the source in the given order.

        Sentences are sorted, longest first, so that at step t those longer than t are the first `rows[t]`: only real positions
        are computed. The second direction reads each sentence from its last position down to 0. Below 0 its index wraps
        around to the end, where such a sentence has only pads.
        """
        B, S = source.shape
        D = len(self.encoder[0].w_hh)
        order = np.argsort(-np.asarray(lengths), kind="stable")
        lengths = np.asarray(lengths)[order]
        rows = (np.arange(S)[:, None] < lengths).sum(1).tolist()
        positions = np.empty((S, D, B), np.int64)
        positions[:, 0] = np.arange(S)[:, None]
        positions[:, 1:] = (lengths - 1 - np.arange(S)[:, None])[:, None]
        sentences = np.arange(B)
        x = self.source_rows(source[order][sentences, positions])
        memory, last = np.empty(0), []
        unsorted = np.empty(B, np.int64)
        unsorted[order] = sentences
        for l, layer in enumerate(self.encoder):
            if l > 0:
                x = memory[sentences, positions] @ layer.w_ih + layer.bias
            outputs, reached = layer.run(x, rows)
            # position s of direction d is step positions[s, d] of its own order: going back is the same indexing
            parts = [outputs[positions[:, d], d, sentences] for d in range(D)]
            memory = np.concatenate(parts, axis=-1).swapaxes(0, 1)  # [B, S, H]
            last.append(tuple(part.swapaxes(0, 1).reshape(B, -1)[unsorted] for part in reached))
        return memory[unsorted], last

    def _attend(self, state: State, query: Array, steps: Array) -> tuple[Array, Array | None]:
        """query [B, T, H], of steps int [T] or [1] -> what the output layer reads, [B·T, ·], and the weights [B, T, S]."""
        h, weights, context = query.reshape(-1, query.shape[-1]), None, None
        if self.attention:
            raw = self.attention.score(np, self.score_parameters, query, state.keys)
            if self.window:
                raw = raw + self.window.prior(np, self.window_parameters, query, state.mask, steps, self.window_size)
            weights = scores.weights(np, raw, state.mask)
            context = scores.context(weights, state.values)
            context = context.reshape(len(h), -1)
        if self.w_h is None:
            return (h if context is None else np.concatenate([context, h], axis=1)), weights
        inner = h @ self.w_h
        if context is not None:
            inner += context
        return np.tanh(inner, out=inner), weights


class _Rows:
    """E·W_ihᵀ + b by token, for all directions of a first layer; rows are computed when first met, and kept.

    They are computed in fixed blocks of tokens, so that a row does not depend on earlier calls: a product's rounding may
    depend on its shape. (Neighbours in a vocabulary sorted by count are often met together.)
    """

    def __init__(self, embedding: Array, layer: Layer) -> None:
        self.embedding, self.layer = embedding, layer
        self.offsets = len(embedding) * np.arange(len(layer.w_ih))[:, None]
        self._clear()

    def _clear(self) -> None:
        """Makes an empty table."""
        (D, _, gates), n = self.layer.w_ih.shape, len(self.embedding)
        self.table = self.filled = None
        if 4 * D * n * gates <= TABLE_BYTES:
            self.table = np.empty((D, n, gates), np.float32)  # memory is taken when written to
            self.filled = np.zeros(-(-n // BLOCK), bool)

    def __getstate__(self) -> dict[str, Any]:
        """For pickle: without the rows, which another process computes when it meets them."""
        return {"embedding": self.embedding, "layer": self.layer, "offsets": self.offsets}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._clear()

    def __call__(self, ids: Array) -> Array:
        """ids [..., D, N] -> fresh rows [..., D, N, G·h]."""
        if self.table is None or self.filled is None:
            return self.embedding[ids] @ self.layer.w_ih + self.layer.bias
        blocks = ids // BLOCK
        if not self.filled[blocks].all():
            for block in np.unique(blocks[~self.filled[blocks]]):
                self._fill(block)
        flat = self.table.reshape(-1, self.table.shape[-1])
        return flat.take(ids + self.offsets if len(self.offsets) > 1 else ids, axis=0)

    def row(self, token: int) -> Array:
        """One token's row of a layer in one direction, [G·h], not to be written to."""
        if self.table is None or self.filled is None:
            return (self.embedding[token] @ self.layer.w_ih + self.layer.bias)[0, 0]
        if not self.filled[token // BLOCK]:
            self._fill(token // BLOCK)
        return self.table[0, token]

    def _fill(self, block: int) -> None:
        assert self.table is not None and self.filled is not None
        tokens = slice(BLOCK * block, BLOCK * (block + 1))
        self.table[:, tokens] = self.embedding[tokens] @ self.layer.w_ih + self.layer.bias
        self.filled[block] = True


def _transposed(w: Array) -> Array:
    return np.ascontiguousarray(w.T)
