"""The model in torch: encoder, decoder, attention and readout, all steps of a teacher-forced batch in one fused pass.

Letters: B sentences, S source positions, T target steps, N real target positions, E embedding, H memory and state,
h = H/2 in each direction of a bidirectional encoder (else H), R readout size, V target vocabulary.
Sutskever et al. 2014 (encoder-decoder), Bahdanau et al. 2015 (attention, both directions), Luong et al. 2015 (scores, readout).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jumok import alignments, scores
from jumok.config import ModelConfig
from jumok.net import cells, chains, feeding, monotonic
from jumok.net.attention import attend, score
from jumok.net.loss import linear_cross_entropy
from jumok.net.sections import ATTENTION, DECODER, ENCODER, FED, OUTPUT, section
from jumok.text.vocabulary import START
from jumok.windows import WINDOWS

START_SPREAD = 0.25  # standard deviation
ROWS = 32  # the output layer reads this many positions, or a multiple: a library compiles a kernel for each shape it meets

State = list[cells.CellState]  # of each layer: h, and c of an LSTM, [B, H] each; with input feeding a last entry: h~ [B, R];
# in a search with a monotonic alignment, a last entry: the position of `chains.step`


@dataclass(frozen=True)
class Encoded:
    """What the decoder gets of a source: memory [B, S, H], keys [B, S, K] or None, mask [B, S], first state of each layer; with a
    copy gate, copies: the target ids of the source tokens [B, S], or -1; in a search with a monotonic alignment, values: what
    all steps use of the memory, as `Seq2Seq._values` makes it."""

    memory: Tensor
    keys: Tensor | None
    mask: Tensor
    state: State
    copies: Tensor | None = None
    values: Tensor | None = None


@dataclass(frozen=True)
class Losses:
    """Sums over the real target positions of a batch: loss (smoothed, with gradient), nll (plain), and how many they are."""

    loss: Tensor
    nll: Tensor
    tokens: int


class Encoder(nn.Module):
    """Recurrent layers in one or both directions over padded batches, without packing.

    Each direction runs with its pads *first*: the backward one on the flipped batch, the forward one on a batch moved to
    the right. A pad is an input of zeros, and the bias is the weight of an input that is 1 on real positions, so that
    pads leave the zero state at zero. The last output is then the last state of every sentence, exactly.
    """

    def __init__(self, config: ModelConfig, embedding: int, hidden: int) -> None:
        super().__init__()
        size = hidden // 2 if config.bidirectional else hidden  # of one direction
        sizes = [embedding] + [hidden] * (config.depth - 1)
        self.forwards = nn.ModuleList(cells.new_layer(config.cell, n, size, pads=True) for n in sizes)
        self.backwards = nn.ModuleList(cells.new_layer(config.cell, n, size, pads=True) for n in sizes if config.bidirectional)

    def forward(self, x: Tensor, lengths: Tensor, drop: _Dropout) -> tuple[Tensor, Tensor, State]:
        """x [B, S, E] -> memory [B, S, H] (zeros on pads), mask [B, S], last state of each layer."""
        B, S = x.shape[:2]
        position = torch.arange(S, device=x.device)
        mask = position < lengths[:, None]
        real = mask[..., None].to(x.dtype)
        # rows of the flattened batch: from left-aligned to right-aligned, and from right-aligned to left-aligned
        shift = (S - lengths)[:, None]
        first = (torch.arange(B, device=x.device) * S)[:, None]
        right = (first + (position - shift) % S).flatten()
        left = (first + (position + shift) % S).flatten()
        state: State = []
        x = x * real  # above, outputs are 0 there already
        for layer, forwards in enumerate(self.forwards):
            x = cells.widened(forwards, x, real)
            out, last = cells.run(forwards, _Permuted.apply(x, right, left))
            out = _Permuted.apply(out, left, right)
            if self.backwards:
                backward, last_backward = cells.run(self.backwards[layer], x.flip(1))
                out = torch.cat([out, backward.flip(1)], -1)
                last = tuple(torch.cat(both, -1) for both in zip(last, last_backward, strict=True))
            state.append(last)
            x = drop.by_sentence(out)
        return x, mask, state


class _Permuted(torch.autograd.Function):
    """x [B, S, ·] with the rows of its first two dimensions, flattened, in the given order; `inverse` undoes it.

    The gradient is gathered by `inverse`. That of index_select adds rows up: slower, and on a GPU in no fixed order.
    """

    @staticmethod
    def forward(ctx, x: Tensor, order: Tensor, inverse: Tensor) -> Tensor:  # type: ignore[override]
        ctx.inverse = inverse
        return x.flatten(0, 1).index_select(0, order).view(x.shape)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        return grad.flatten(0, 1).index_select(0, ctx.inverse).view(grad.shape), None, None


class Decoder(nn.Module):
    """Recurrent layers over the target; every step of a known target in one call a layer."""

    def __init__(self, config: ModelConfig, inputs: int, hidden: int) -> None:
        super().__init__()
        sizes = [inputs] + [hidden] * (config.depth - 1)
        self.layers = nn.ModuleList(cells.new_layer(config.cell, n, hidden, pads=False) for n in sizes)

    def forward(self, y: Tensor, state: State, drop: _Dropout) -> tuple[Tensor, State]:
        """y [B, T, E], state -> h_t of the top layer [B, T, H], the state after the last step."""
        after: State = []
        for layer, before in zip(self.layers, state, strict=True):
            y, last = cells.run(layer, y, before)
            y = drop.by_sentence(y)
            after.append(last)
        return y, after


class _Dropout(nn.Module):
    """Dropout with one mask a sentence (Gal & Ghahramani 2016) or one a number; nothing outside training."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def by_sentence(self, x: Tensor) -> Tensor:
        """x [B, T, ·], the same mask at every T."""
        mask = self.mask(x, x.shape[2])
        return x if mask is None else x * mask[:, None]

    def mask(self, x: Tensor, size: int) -> Tensor | None:
        """[B, size], of x's kind, for its B sentences; None where nothing is dropped."""
        return _kept(x, (x.shape[0], size), self.rate) if self.training and self.rate else None

    def by_number(self, x: Tensor) -> Tensor:
        mask = self.numbers(x, x.shape)
        return x if mask is None else x * mask

    def numbers(self, x: Tensor, shape: Sequence[int]) -> Tensor | None:
        """A mask of this shape, of x's kind, with each number by itself; None where nothing is dropped."""
        return _kept(x, shape, self.rate) if self.training and self.rate else None


def _kept(x: Tensor, shape: Sequence[int], rate: float) -> Tensor:
    """A mask of dropout: 0 with probability `rate`, else what keeps the mean; of x's kind.

    On a CPU, where one core draws all random numbers, 16 bits decide (the rate is a multiple of 2⁻¹⁶), and a draw of 64 is four.
    """
    if x.device.type != "cpu":
        return F.dropout(x.new_ones(shape), rate)
    count, dropped = math.prod(shape), min(round(rate * 2**16), 2**16 - 1)
    draws = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None)
    return (draws.view(torch.int16)[:count] >= dropped - 2**15).to(x.dtype).mul_(2**16 / (2**16 - dropped)).view(shape)


class Seq2Seq(nn.Module):
    """Encoder, decoder, attention, readout. `config` has all its sizes (see `jumok.learn.recipe.resolve`).

    `copies` is what `Codec.copies` gives, for a config with a copy gate.

    Embeddings and output layer start with a spread of START_SPREAD, and the LSTMs read embeddings times 1 / START_SPREAD, so
    that inputs start at about 1 and logits neither flat nor wild, also where one table is both. Chosen on Multi30k's dev set,
    loss after 250 steps: 5.23 with 1/√E and no factor, 4.19 with 1/√E and √E, 4.44 with 1 and 1, 3.81 with 1/4 and 4.
    A model folder knows nothing of it: `export_parameters` puts the factor into the first layers' input weights.
    """

    copies: Tensor | None

    def __init__(
        self, config: ModelConfig, source_size: int, target_size: int, dropout: float = 0.0, copies: Tensor | None = None
    ) -> None:
        super().__init__()
        assert config.embedding and config.hidden and config.readout_size and config.score_size and config.tie
        E, H, R = config.embedding, config.hidden, config.readout_size
        self.scale = 1 / START_SPREAD
        self.config = config
        self.drop = _Dropout(dropout)
        self.target_embedding = nn.Parameter(torch.empty(target_size, E))
        self.source_embedding = None if config.tie == "all" else nn.Parameter(torch.empty(source_size, E))
        self.encoder = Encoder(config, E, H)
        self.decoder = Decoder(config, E + R if config.input_feeding else E, H)
        attention = config.attention != "none"
        shapes = scores.SCORES[config.attention].shapes(H, config.score_size, config.location_length) if attention else {}
        self.attention = nn.ParameterDict({name: nn.Parameter(torch.empty(shape)) for name, shape in shapes.items()})
        inside = WINDOWS[config.window].shapes(H, config.score_size) if config.window != "none" else {}
        self.window = nn.ParameterDict({name: nn.Parameter(torch.empty(shape)) for name, shape in inside.items()})
        after = alignments.named(config.alignment).shapes(H)  # all 0 at first: no jump is likelier than another
        self.alignment = nn.ParameterDict({name: nn.Parameter(torch.zeros(shape)) for name, shape in after.items()})
        gate = alignments.copying(H) if config.copy else {}
        self.copy_gate = nn.ParameterDict({name: nn.Parameter(torch.zeros(shape)) for name, shape in gate.items()})
        assert not config.copy or copies is not None, "what is copied, as `Codec.copies` has it"
        self.register_buffer("copies", copies, persistent=False)
        tanh = config.readout == "tanh"
        self.W_h = nn.Parameter(torch.empty(R, H)) if tanh else None
        self.W_c = nn.Parameter(torch.empty(R, H)) if tanh and attention else None
        width = R if tanh else (2 * H if attention else H)
        self.output = None if config.tie != "none" else nn.Parameter(torch.empty(target_size, width))
        self.bias = nn.Parameter(torch.zeros(target_size))
        for w in (self.source_embedding, self.target_embedding, self.output):
            if w is not None:
                nn.init.normal_(w, std=START_SPREAD)
        for w in (*self.attention.values(), *self.window.values(), self.W_h, self.W_c):
            if w is not None:
                nn.init.uniform_(w, -(w.shape[-1] ** -0.5), w.shape[-1] ** -0.5)
        for name in scores.SCORES[config.attention].identity if attention else ():
            nn.init.eye_(self.attention[name])

    def encode(self, source: Tensor, lengths: Tensor) -> Encoded:
        """source int64 [B, S] padded at the end, lengths [B] -> what the decoder needs."""
        table = self.target_embedding if self.source_embedding is None else self.source_embedding
        order = _reversed(source, lengths) if self.config.reverse_source else None
        x = self.drop.by_sentence(F.embedding(source if order is None else source.gather(1, order), table) * self.scale)
        memory, mask, state = self.encoder(x, lengths, self.drop)
        if order is not None:  # from here on, row s is position s of the source again
            memory = memory.gather(1, order[..., None].expand_as(memory))
        state = [tuple(self.drop.by_number(part) for part in layer) for layer in state]
        keys = None
        if self.config.attention != "none":
            keys = scores.SCORES[self.config.attention].keys(torch, dict(self.attention.items()), memory)
        if self.config.input_feeding:
            state.append((memory.new_zeros(len(memory), self.config.readout_size),))
        return Encoded(memory, keys, mask, state, None if self.copies is None else self.copies[source])

    def decode(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """inputs int64 [B, T] (what the decoder reads), state -> queries [B, T, H], state after them.

        With input feeding T must be 1, and the state after it still lacks what is fed next: see `advance`.
        """
        x = self._embedded(inputs)
        if not self.config.input_feeding:
            return self.decoder(x, state, self.drop)
        *layers, (fed,) = state
        return self.decoder(torch.cat([x, fed[:, None]], -1), layers, self.drop)

    def _embedded(self, inputs: Tensor) -> Tensor:
        """inputs int64 [B, T] -> what the decoder reads of them, [B, T, E]."""
        return self.drop.by_sentence(F.embedding(inputs, self.target_embedding) * self.scale)

    def advance(self, tokens: Tensor, state: State, encoded: Encoded, step: int) -> tuple[Tensor, State, Tensor | None]:
        """One step, for evaluation: tokens int64 [B, K] of K beams a sentence, state [B·K, ·], the step's number from 0.

        Returns readout [B, K, R], state, weights [B, K, S] or None.
        """
        queries, after = self.decode(tokens.reshape(-1, 1), state)
        queries = queries.reshape(*tokens.shape, -1)
        context, weights = self.attend(queries, encoded, torch.tensor([step], device=tokens.device))
        readout = self.read(queries, context)
        return readout, [*after, (readout.flatten(0, 1),)] if self.config.input_feeding else after, weights

    def attend(self, queries: Tensor, encoded: Encoded, steps: Tensor | None = None) -> tuple[Tensor | None, Tensor | None]:
        """queries [B, T, H] -> context [B, T, H], weights [B, T, S]; None and None without attention.

        `steps`, int [T] or [1], are the numbers of the queries' steps (for a window); left out, they are 0, 1, …, T-1.
        """
        if encoded.keys is None:
            return None, None
        if steps is None:
            steps = torch.arange(queries.shape[1], device=queries.device)
        p = {"keys": encoded.keys, "values": encoded.memory, **self.attention, **self.window}
        return self._attend(p, queries, encoded.mask, steps)

    def _attend(self, p: Mapping[str, Tensor], queries: Tensor, mask: Tensor, steps: Tensor) -> tuple[Tensor, Tensor]:
        """As `attend`, of keys, values and the parameters of score and window (whose names all differ) in `p`."""
        prior = self._prior(p, queries, mask, steps) if self.config.window != "none" else None
        return attend(self.config.attention, p, queries, (p["keys"], p["values"]), mask, prior)

    def _prior(self, p: Mapping[str, Tensor], queries: Tensor, mask: Tensor, steps: Tensor) -> Tensor:
        """What the window adds to the scores; never in bfloat16, whose positions are a whole token off from 256 on."""
        with torch.autocast(queries.device.type, enabled=False):
            exact = queries.to(torch.promote_types(queries.dtype, torch.float32))
            return WINDOWS[self.config.window].prior(torch, p, exact, mask, steps, self.config.window_size)

    def read(self, queries: Tensor, context: Tensor | None) -> Tensor:
        """queries [..., H] and context [..., H] -> readout [..., R], the output layer's input."""
        if self.W_h is None:
            r = queries if context is None else torch.cat([context, queries], -1)
        else:
            r = queries @ self.W_h.t()
            if self.W_c is not None and context is not None:
                r = r + context @ self.W_c.t()
            r = r.tanh()
        return self.drop.by_number(r)

    @property
    def output_weight(self) -> Tensor:
        """[V, R]"""
        return self.target_embedding if self.output is None else self.output

    def loss(
        self, source: Tensor, lengths: Tensor, inputs: Tensor, target: Tensor, real: Tensor, smoothing: float = 0.0
    ) -> Losses:
        """One fused pass over a batch whose decoder inputs are known.

        Args:
            source: int64 [B, S]; lengths: [B].
            inputs: int64 [B, T], what the decoder reads: under teacher forcing `<s>` and the target but its last token.
            target: gold ids int64 [B, T]; real: int64 [N], flat indices of the positions of [B, T] that are not padding.
        """
        if self.config.alignment == "monotonic":
            c = self.chained(source, lengths, inputs)
            with section(OUTPUT):
                loss, nll = monotonic.summed_loss(c, self.output_weight, self.bias, target, lengths, smoothing)
            return Losses(loss, nll, len(real))
        rows = F.pad(real, (0, -len(real) % ROWS))  # filled with the first position, so that products come in few shapes
        readout, gold = self.readout(source, lengths, inputs, target, rows)
        with section(OUTPUT):
            loss, nll = linear_cross_entropy(readout, self.output_weight, self.bias, gold[: len(real)], smoothing)
        return Losses(loss, nll, len(real))

    def readout(self, source: Tensor, lengths: Tensor, inputs: Tensor, target: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """The pass up to the output layer: readout [N, R] and gold ids [N] of the real positions. Arguments as in `loss`."""
        with section(ENCODER) as part:
            encoded = self.encode(source, lengths)
            part.gave(encoded.memory, encoded.keys, *(tensor for layer in encoded.state for tensor in layer))
        if self.config.input_feeding:
            with section(FED) as part:
                fed = self._fed(inputs, encoded)
                part.gave(fed)
            return self.drop.by_number(fed.flatten(0, 1).index_select(0, real)), target.flatten().index_select(0, real)
        with section(DECODER) as part:
            queries, _ = self.decode(inputs, encoded.state)
            part.gave(queries)
        with section(ATTENTION) as part:
            context, _ = self.attend(queries, encoded)
            queries = queries.flatten(0, 1).index_select(0, real)
            if context is not None:
                context = context.flatten(0, 1).index_select(0, real)
            readout = self.read(queries, context)
            part.gave(readout)
        return readout, target.flatten().index_select(0, real)

    def predictions(
        self, source: Tensor, lengths: Tensor, target: Tensor, real: Tensor, most: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Under teacher forcing, without gradient: logits (or log-probabilities) float [n, V] of the real positions and their
        gold ids [n], about `most` at a time. Arguments as in `loss`."""
        if self.config.alignment == "monotonic":
            c = self.chained(source, lengths, shifted(target))
            yield from chains.mixtures(c, self.output_weight, self.bias, target, lengths)
            return
        readout, gold = self.readout(source, lengths, shifted(target), target, real)
        for piece, ids in zip(readout.split(most), gold.split(most), strict=True):
            yield self.logits(piece).float(), ids

    def chained(self, source: Tensor, lengths: Tensor, inputs: Tensor) -> monotonic.Chained:
        """What the monotonic chain needs, for a batch; arguments as in `loss`."""
        with section(ENCODER) as part:
            encoded = self.encode(source, lengths)
            part.gave(encoded.memory, encoded.keys, *(tensor for layer in encoded.state for tensor in layer))
        with section(DECODER) as part:
            queries, _ = self.decode(inputs, encoded.state)
            part.gave(queries)
        with section(ATTENTION) as part:
            c = self._seen(queries, encoded)
            part.gave(c.query, c.memory, c.scores, c.jumps, c.gates)
        return c

    def _seen(self, queries: Tensor, encoded: Encoded) -> monotonic.Chained:
        """The same from queries [B, T, H], of T steps, or of T hypotheses at one step."""
        assert encoded.keys is not None, "an attention, as `jumok.config.check` sees to"
        raw = score(self.config.attention, dict(self.attention.items()), queries, encoded.keys)
        query = queries if self.W_h is None else queries @ self.W_h.t()
        memory = self._values(encoded.memory) if encoded.values is None else encoded.values
        kept = self.drop.numbers(query, (*queries.shape[:2], self.output_weight.shape[1]))
        jumps = alignments.jumps(self.alignment, queries)
        gates = None
        if encoded.copies is not None:
            gates = alignments.gates(torch, self.copy_gate, queries, encoded.memory, encoded.copies)
        return monotonic.Chained(query, memory, kept, raw, jumps, encoded.mask, self.W_h is not None, gates, encoded.copies)

    def _values(self, memory: Tensor) -> Tensor:
        """The memory's part of the readout at one position: W_c h̄_s, [B, S, R]; of the linear one h̄_s itself, [B, S, H]."""
        return memory if self.W_c is None else memory @ self.W_c.t()

    def begin(self, source: Tensor, lengths: Tensor) -> tuple[Encoded, State]:
        """What the first `step` gets, arguments as for `encode`."""
        encoded = self.encode(source, lengths)
        if self.config.alignment != "monotonic":
            return encoded, encoded.state
        state = [*encoded.state, chains.before(encoded.mask, len(self.bias), encoded.memory)]
        return replace(encoded, values=self._values(encoded.memory)), state

    def step(
        self, tokens: Tensor, state: State, encoded: Encoded, step: int, wanted: Tensor | None = None
    ) -> tuple[Tensor, State, Tensor | None]:
        """One step of a search, for evaluation: `advance` and the output layer, or `chains.step` with a monotonic alignment.

        `wanted`, int64: numbers of hypotheses among all B·K; the logits are then only theirs, [n, V] instead of [B, K, V].
        With a monotonic alignment they are log-probabilities, and the weights are the prior of the position.
        """
        if self.config.alignment != "monotonic":
            readout, after, weights = self.advance(tokens, state, encoded, step)
            return self.logits(readout if wanted is None else readout.flatten(0, 1)[wanted]), after, weights
        *layers, (prior, emissions) = state
        queries, after = self.decode(tokens.reshape(-1, 1), layers)
        c = self._seen(queries.view(*tokens.shape, -1), encoded)
        log_probabilities, position = chains.step(c, self.output_weight, self.bias, (prior, emissions), tokens)
        weights = position[0].view(*tokens.shape, -1)
        found = log_probabilities if wanted is None else log_probabilities.flatten(0, 1)[wanted]
        return found, [*after, position], weights

    def _fed(self, inputs: Tensor, encoded: Encoded) -> Tensor:
        """All steps of input feeding: inputs int64 [B, T] -> h~_t [B, T, R], nothing dropped of them yet.

        Like every input of a layer, what is fed is dropped with one mask a sentence.
        """
        assert self.W_h is not None and self.W_c is not None and encoded.keys is not None
        x, (R, H) = self._embedded(inputs), self.W_h.shape
        # W_c (Σ a_s h̄_s) = Σ a_s (W_c h̄_s): W_c is out of the loop
        p = {"keys": encoded.keys, "values": encoded.memory @ self.W_c.t(), **self.attention, **self.window}
        masks = [self.drop.mask(x, R), *(self.drop.mask(x, H) for _ in self.decoder.layers)]

        def glimpse(p: Mapping[str, Tensor], queries: Tensor, steps: Tensor, mask: Tensor = encoded.mask) -> Tensor:
            return self._attend(p, queries, mask, steps)[0]

        decoder = feeding.Fed(self.config.cell, list(self.decoder.layers), masks, self.W_h, glimpse, p)
        return feeding.readouts(decoder, x, encoded.state)

    def logits(self, readout: Tensor) -> Tensor:
        """readout [..., R] -> [..., V]"""
        return F.linear(readout, self.output_weight, self.bias)


def shifted(target: Tensor) -> Tensor:
    """Decoder inputs of teacher forcing: target [B, T] moved right by one, `<s>` first."""
    return torch.cat([torch.full_like(target[:, :1], START), target[:, :-1]], 1)


def _reversed(source: Tensor, lengths: Tensor) -> Tensor:
    """The order in which a source is read backwards (Sutskever et al. 2014), [B, S]: its own inverse; see `_encode` in the runtime."""
    position, last = torch.arange(source.shape[1], device=source.device), lengths[:, None] - 1
    return torch.where(position < last, last - 1 - position, position)
