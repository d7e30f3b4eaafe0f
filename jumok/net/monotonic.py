"""Monotonic alignment in training: the loss summed over all alignments in one step, whose forward pass also computes the gradients.

Three passes over a batch: the emissions log p(y_t | s) of all pairs of a target and a source position, a piece of sentences
at a time; the chain forward and backward, for the posterior of each alignment (`jumok.alignments`); the gradients of the
readouts, which are those of a cross-entropy, weighted with that posterior. Automatic differentiation would keep each step of
the chain, and several copies of all logits.

Letters: B sentences, T target steps, S source positions, R what the output layer reads, V target vocabulary.
Wu & Cotterell 2019, "Exact Hard Monotonic Attention for Character-Level Transduction", eq. 5 to 8.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from jumok import alignments
from jumok.net.loss import ALIGN
from jumok.text.vocabulary import PAD

PIECE = {"cpu": 3 << 20, "cuda": 1 << 28}  # bytes of readouts and logits computed together
KEPT = {"cpu": 1 << 26, "cuda": 1 << 31}  # bytes of them kept for the gradients; any more are computed twice
TINY = 1e-20  # of a gradient
# Products have a multiple of so many rows: oneDNN compiles a kernel for each number of rows, which takes longer than a product.
ROWS = 256


@dataclass(frozen=True)
class Chained:
    """What the chain gets from encoder and decoder, for a batch.

    Attributes:
        query, memory: the readout's two parts: W_h h_t [B, T, R] and W_c h̄_s [B, S, R] of the tanh readout, or h_t and h̄_s
            themselves, [B, T, H] and [B, S, H], of the linear one.
        kept: the mask of dropout on the readout, the same for all positions, [B, T, R]; None without dropout.
        scores: of the attention, [B, T, S]. jumps: `jumok.alignments.jumps`, [B, T, FAR + 1]. mask: [B, S].
        tanh: which readout it is.
        gates: of copying, logits [B, T, S]; copies: the ids that are copied, [B, S]; None without copying.
    """

    query: Tensor
    memory: Tensor
    kept: Tensor | None
    scores: Tensor
    jumps: Tensor
    mask: Tensor
    tanh: bool
    gates: Tensor | None = None
    copies: Tensor | None = None

    def part(self, rows: slice) -> Chained:
        """Some sentences of the batch."""
        cut: dict[str, Any] = {name: x[rows] for name, x in vars(self).items() if isinstance(x, Tensor)}
        return replace(self, **cut)


@dataclass(frozen=True)
class Piece:
    """Sentences and steps whose readouts are computed together, cut to the steps and positions that they have."""

    rows: slice
    steps: slice
    positions: int

    @property
    def at(self) -> tuple[slice, slice, slice]:
        return self.rows, self.steps, slice(self.positions)


def _pieces(lengths: Sequence[int], steps: Sequence[int], size: int, room: int) -> Iterator[Piece]:
    """size: bytes of a readout and its logits."""
    row = 0
    while row < len(lengths):
        end, S, T = row, 0, 0
        while end < len(lengths):
            wider, longer = max(S, lengths[end]), max(T, steps[end])
            if end > row and (end + 1 - row) * wider * longer * size > room:
                break
            end, S, T = end + 1, wider, longer
        most = max(1, room // (S * size)) if end == row + 1 else T  # one sentence may be too much by itself
        for t in range(0, T, most):
            yield Piece(slice(row, end), slice(t, min(t + most, T)), S)
        row = end


def parts(lengths: Sequence[int], steps: Sequence[int], size: int, room: int) -> Iterator[tuple[int, int]]:
    """Sentences whose chains run together: (first, end)."""
    row = 0
    for end in range(1, len(lengths) + 1):
        if end == len(lengths) or (end + 1 - row) * max(lengths[row : end + 1]) ** 2 * max(steps[row : end + 1]) * size > room:
            yield row, end
            row = end


def readout(c: Chained, piece: Piece) -> Tensor:
    """[b · t · s and filling, R] of a piece, dropout included; filling rows are 0."""
    query, memory = c.query[piece.rows, piece.steps, None], c.memory[piece.rows, None, : piece.positions]
    kind, (b, t), s, H = query.dtype, query.shape[:2], memory.shape[2], query.shape[-1]
    exact = torch.promote_types(kind, torch.float32) if c.tanh else kind  # torch's tanh takes four times as long in bfloat16
    flat = query.new_empty(filled(b * t * s), H if c.tanh else 2 * H, dtype=exact)
    flat[b * t * s :] = 0
    r = flat[: b * t * s].view(b, t, s, -1)
    if c.tanh:
        torch.add(query.to(exact), memory.to(exact), out=r).tanh_()
    else:
        r[..., :H], r[..., H:] = memory, query
    if c.kept is not None:
        r.mul_(c.kept[piece.rows, piece.steps, None])
    return flat.to(kind)


def filled(rows: int) -> int:
    """The rows of a product that needs so many."""
    return -(-rows // ROWS) * ROWS


class OutputLayer:
    """The output layer, filled up to a multiple of ALIGN entries, with which products are fast; V of them are real."""

    def __init__(self, weight: Tensor, bias: Tensor, kind: torch.dtype) -> None:
        self.V, short = len(weight), -len(weight) % ALIGN
        self.exact = torch.promote_types(kind, torch.float32)
        self.table = F.pad(weight.detach().to(kind), (0, 0, 0, short))
        self.offsets = F.pad(bias.detach().to(self.exact), (0, short), value=-torch.inf)

    def logits(self, r: Tensor, *shape: int) -> Tensor:
        """r [b · t · s and filling, R] -> [b, t, s, V and filling], exact; shape: b, t, s."""
        if r.dtype == self.exact:
            found = torch.addmm(self.offsets, r, self.table.t())
        else:
            found = (r @ self.table.t()).to(self.exact).add_(self.offsets)
        return found[: math.prod(shape)].view(*shape, -1)


def emissions(logits: Tensor, gold: Tensor, V: int, smoothing: float) -> tuple[Tensor, Tensor]:
    """Smoothed and plain log p(y_t | s) [b, t, s] of a piece; its logits [b, t, s, V and filling] are overwritten with probabilities.

    gold: [b, t]. Smoothing applies to the distribution at each position: (1 - ε) log p(y_t | s) + ε mean of log p(v | s) over v.
    """
    of_gold = logits.gather(-1, gold[:, :, None, None].expand(-1, -1, logits.shape[2], 1))[..., 0]
    mean = logits[..., :V].mean(-1) if smoothing else 0.0
    top = logits.amax(-1)
    torch.softmax(logits, -1, out=logits)
    total = top - logits.amax(-1).log()  # the likeliest token's is 1 / Σ exp(logit - top)
    plain = of_gold - total
    return (1 - smoothing) * plain + smoothing * (mean - total) if smoothing else plain, plain


def either(c: Chained, piece: Piece, gold: Tensor, written: Tensor) -> Tensor:
    """log p(y_t | s) with copying: gold [B, T], written: log p(y_t | s) of the output layer for the piece, [b, t, s]."""
    if c.gates is None or c.copies is None:
        return written
    same = c.copies[piece.rows, None, : piece.positions] == gold[piece.rows, piece.steps, None]
    return alignments.copied(torch, c.gates[piece.at].to(written.dtype), written, same)


@dataclass(frozen=True)
class _Gold:
    """What the loss is of: target [B, T], its lengths `steps`, the sources' lengths, and the smoothing ε."""

    target: Tensor
    lengths: Sequence[int]
    steps: Sequence[int]
    smoothing: float


class _Summed(torch.autograd.Function):
    """`_summed` as one step. Its tensors: query, memory, scores, jumps and gates of `c`, and weight and bias."""

    @staticmethod
    def forward(ctx, c: Chained, given: _Gold, *tensors: Tensor | None):  # type: ignore[override]
        *_, weight, bias = tensors
        assert weight is not None and bias is not None
        with torch.autocast(weight.device.type, enabled=False):
            wanted = any(ctx.needs_input_grad)
            loss, nll, gradients = _summed(c, weight, bias, given, wanted)
        ctx.gradients = gradients
        ctx.mark_non_differentiable(nll)
        return loss, nll

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor, _: Tensor):  # type: ignore[override]
        found, ctx.gradients = ctx.gradients, None
        assert found is not None, "gradients are there once"
        return None, None, *(None if part is None else part.mul_(grad) for part in found)


def _summed(
    c: Chained, weight: Tensor, bias: Tensor, given: _Gold, wanted: bool
) -> tuple[Tensor, Tensor, tuple[Tensor | None, ...] | None]:
    """Loss and nll, and if they are wanted the gradients of query, memory, scores, jumps, gates, weight and bias."""
    target, lengths, steps, smoothing = given.target, given.lengths, given.steps, given.smoothing
    device, output = target.device.type, OutputLayer(weight, bias, c.query.dtype)
    size = c.query.element_size() * output.table.shape[1] + output.exact.itemsize * len(output.offsets)
    sum_ = _Gradients(c, output, smoothing) if wanted else None
    loss, nll = output.offsets.new_zeros(()), output.offsets.new_zeros(())
    d_scores, d_jumps = (torch.zeros_like(x, dtype=output.exact) if wanted else x for x in (c.scores, c.jumps))
    d_gates = torch.zeros_like(c.scores if wanted else loss, dtype=output.exact)
    T, S = c.scores.shape[1:]
    # a chain's matrices are held about six times at once
    for first, end in parts(lengths, steps, 6 * output.exact.itemsize, KEPT[device]):
        pieces = list(_pieces(lengths[first:end], steps[first:end], size, PIECE[device]))
        own = slice(first, end)
        inside = c.part(own)
        gold = target[own]
        emitted = output.offsets.new_zeros(end - first, T, S)
        plain = torch.zeros_like(emitted) if smoothing else emitted
        by_output = torch.ones_like(emitted)  # how much of a token's probability is not from copying
        held: dict[int, tuple[Tensor, Tensor]] = {}
        free = KEPT[device]
        for i, piece in enumerate(pieces):
            r, of_piece = readout(inside, piece), gold[piece.rows, piece.steps]
            probability = output.logits(r, *of_piece.shape, piece.positions)
            spread, written = emissions(probability, of_piece, output.V, smoothing)
            plain[piece.at] = whole = either(inside, piece, gold, written)
            emitted[piece.at] = spread + (1 - smoothing) * (whole - written)
            if inside.gates is not None:
                by_output[piece.at] = (written - whole).exp_() * (-inside.gates[piece.at].to(output.exact)).sigmoid()
            free -= len(r) * size
            if wanted and free >= 0:
                held[i] = r, probability
        real = (gold != PAD)[..., None]
        emitted = torch.where(real, emitted, 0)
        moves = alignments.moves(torch, inside.scores.to(output.exact), inside.jumps.to(output.exact), inside.mask)
        _, reached, totals = alignments.forward(torch, moves, emitted)
        loss -= totals.sum()
        nll -= alignments.forward(torch, moves, torch.where(real, plain, 0))[2].sum() if smoothing else totals.sum()
        if sum_ is None:
            continue
        posterior, pulls = alignments.backward(torch, moves, emitted, reached, totals)
        d_scores[own], d_jumps[own] = map(_flushed, _of_moves(moves, reached, posterior, pulls))
        share = _flushed(posterior[:, 1:] * real)
        for i, piece in enumerate(pieces):
            if i in held:
                formed = held.pop(i)
            else:
                r = readout(inside, piece)
                formed = r, output.logits(r, *share[piece.at].shape).softmax(-1)
            not_copied = None if inside.gates is None else by_output[piece.at]
            sum_.add(piece, first, formed, gold[piece.rows, piece.steps], share[piece.at], not_copied)
        if inside.gates is not None:
            d_gates[own] = share * (by_output + inside.gates.to(output.exact).sigmoid() - 1) * (1 - smoothing)
    if sum_ is None:
        return loss, nll, None
    query, memory, *layer = sum_.found(weight, bias)
    of_gates = None if c.gates is None else d_gates.to(c.gates.dtype)
    return loss, nll, (query, memory, d_scores.to(c.scores.dtype), d_jumps.to(c.jumps.dtype), of_gates, *layer)


def _flushed(x: Tensor) -> Tensor:
    """Tiny numbers set to 0: such gradients become denormal numbers, with which a step took 1.3 times as long (inflection, one core)."""
    return torch.where(x.abs() > TINY, x, 0)


def _of_moves(moves: Tensor, reached: Tensor, posterior: Tensor, pulls: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient of -log p(y | x) by scores [B, T, S] and jumps [B, T, FAR + 1]: for each transition, its prior times
    the posterior of where it starts, minus its pairwise posterior."""
    excess = (posterior[:, :-1, :, None] - reached[:, :-1, :, None] * pulls[:, :, None]).mul_(moves)  # [B, T, S', S]
    near = [excess.diagonal(d, -2, -1).sum(-1) for d in range(alignments.FAR)]
    far = -torch.stack(near).sum(0)  # all of them sum to 0
    return excess.sum(-2), torch.stack([*near, far], -1)


class _Gradients:
    """The gradients of the readouts' parts and of the output layer, summed a piece at a time."""

    def __init__(self, c: Chained, output: OutputLayer, smoothing: float) -> None:
        self.c, self.output, self.smoothing = c, output, smoothing
        self.query = c.query.new_zeros(c.query.shape, dtype=output.exact)  # contiguous, unlike perhaps the query itself
        self.memory = c.memory.new_zeros(c.memory.shape, dtype=output.exact)
        self.weight = torch.zeros_like(output.table, dtype=output.exact)
        self.bias = torch.zeros_like(output.offsets)
        self.scale = None if c.kept is None else float(c.kept.amax())  # what dropout multiplies what it keeps with

    def add(
        self,
        piece: Piece,
        first: int,
        formed: tuple[Tensor, Tensor],
        gold: Tensor,
        share: Tensor,
        written: Tensor | None,
    ) -> None:
        """The piece's rows are counted from sentence `first`; share [b, t, s] is each position's posterior, `written` the share of
        a token that is not copied, None without copying. `formed`, readouts (and filling) and probabilities, is overwritten."""
        r, probability = formed
        V, kept_gold, (b, t, s) = self.output.V, 1 - self.smoothing, share.shape
        each = (gold[:, :, None].expand(b, t, s), share, share if written is None else written)
        rows = [probability.flatten(0, 2), *(x.flatten() for x in each)]
        chosen = self._worth(rows[2])
        if chosen is not None:
            rows = [x.index_select(0, chosen) for x in rows]
            r = r.index_select(0, F.pad(chosen, (0, filled(len(chosen)) - len(chosen))))
        probability, gold, share, some = rows
        less = probability.new_full((), -kept_gold).expand(len(gold), 1)
        if written is not None:
            less = (some * -kept_gold)[:, None]
            probability *= self.smoothing - less
        share = share[:, None]
        if self.smoothing:  # also of the filling, whose rows of the table are 0
            torch.addcmul(share * (-self.smoothing / V), probability, share, out=probability)
        else:
            probability.mul_(share)
        gradient = probability.scatter_add_(1, gold[:, None], less * share)  # of the logits
        self.bias += gradient.sum(0)
        n = len(gradient)
        gradient = F.pad(gradient.to(r.dtype), (0, 0, 0, len(r) - n))
        self.weight += (r.t() @ gradient).t()
        d, r = (gradient @ self.output.table)[:n], r[:n]
        sentences = slice(first + piece.rows.start, first + piece.rows.stop)
        if chosen is None:
            kept = None if self.c.kept is None else self.c.kept[sentences, piece.steps, None]
            query, memory = self._of_parts(d.view(b, t, s, -1), r.view(b, t, s, -1), kept)
            self.query[sentences, piece.steps] += query.sum(2)
            self.memory[sentences, : piece.positions] += memory.sum(1)
            return
        row = sentences.start + chosen // (t * s)
        at_query = row * self.query.shape[1] + piece.steps.start + chosen // s % t
        kept = None if self.c.kept is None else self.c.kept.flatten(0, 1).index_select(0, at_query)
        query, memory = self._of_parts(d, r, kept)
        self.query.flatten(0, 1).index_add_(0, at_query, query.to(self.query.dtype))
        at_memory = row * self.memory.shape[1] + chosen % s
        self.memory.flatten(0, 1).index_add_(0, at_memory, memory.to(self.memory.dtype))

    def _worth(self, share: Tensor) -> Tensor | None:
        """The rows that count, if they are few; None for all.

        A trained posterior is nearly one-hot: in three models 66 to 84 % of the rows were below this bound, a 64th of a
        rounding error. On a GPU rows are added in no fixed order, and products are cheap: there all rows count.
        """
        if share.device.type != "cpu":
            return None
        chosen = (share > torch.finfo(share.dtype).eps / 64).nonzero().flatten()
        return chosen if 4 * len(chosen) < 3 * len(share) else None

    def _of_parts(self, d: Tensor, r: Tensor, kept: Tensor | None) -> tuple[Tensor, Tensor]:
        """From the gradients d of readouts r [..., R] to those of their two parts, for each row. Both are overwritten."""
        if not self.c.tanh:
            d = d if kept is None else d.mul_(kept)
            H = self.memory.shape[-1]
            return d[..., H:], d[..., :H]
        if kept is None:
            d = torch.ops.aten.tanh_backward(d, r)
        else:  # r = k · tanh of what is kept, else 0: so that the derivative is k - r² / k there, and 0 elsewhere
            d.mul_(torch.addcmul(kept, r, r, value=-1 / (self.scale or 1.0), out=r))
        return d, d

    def found(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        kind = self.c.query.dtype
        return (
            self.query.to(kind),
            self.memory.to(kind),
            self.weight[: self.output.V].to(weight.dtype),
            self.bias[: self.output.V].to(bias.dtype),
        )


def summed_loss(
    c: Chained, weight: Tensor, bias: Tensor, target: Tensor, lengths: Tensor, smoothing: float = 0.0
) -> tuple[Tensor, Tensor]:
    """-log of the probability of each target, summed over all alignments, and over sentences.

    Args:
        c: of the batch. weight: [V, R]; bias: [V].
        target: gold ids, int64 [B, T], padded at the end; lengths: of the sources, int64 [B].
        smoothing: ε, of the distribution at each position (see `emissions`).

    Returns:
        The smoothed loss, with gradient, and the plain negative log-likelihood, without; both summed, in nats.
    """
    steps = (target != PAD).sum(1).tolist()
    given = _Gold(target, lengths.tolist(), steps, smoothing)
    return _Summed.apply(c, given, c.query, c.memory, c.scores, c.jumps, c.gates, weight, bias)
