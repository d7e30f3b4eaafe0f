"""The monotonic chain in torch without gradients: predictions under teacher forcing, scores of given targets, steps of a search.

Letters as in `jumok.net.monotonic`; K hypotheses of a sentence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from jumok import alignments
from jumok.net.monotonic import PIECE, Chained, OutputLayer, Piece, either, emissions, parts, readout
from jumok.text.vocabulary import PAD

LEAST = 1e-37  # probability whose logarithm is taken


@dataclass(frozen=True)
class _Chains:
    """Sentences of a batch whose chains run together: p(v | s) [b, t, s, V], gold ids and which are real [b, t], log p(y_t | s) and
    a(s | s') as `jumok.alignments` takes them."""

    piece: Piece
    probability: Tensor
    gold: Tensor
    real: Tensor
    emissions: Tensor
    moves: Tensor


def _chains(c: Chained, weight: Tensor, bias: Tensor, target: Tensor, lengths: Tensor) -> Iterator[_Chains]:
    output, device = OutputLayer(weight, bias, c.query.dtype), target.device.type
    steps, sources = (target != PAD).sum(1).tolist(), lengths.tolist()
    for first, end in parts(sources, steps, 6 * output.exact.itemsize, PIECE[device]):
        piece = Piece(slice(first, end), slice(max(steps[first:end])), max(sources[first:end]))
        with torch.autocast(device, enabled=False):
            gold = target[piece.rows, piece.steps]
            probability = output.logits(readout(c, piece), *gold.shape, piece.positions)
            log_p = either(c, piece, target, emissions(probability, gold, output.V, 0.0)[1])
            probability = probability[..., : output.V]
            if c.gates is not None and c.copies is not None:
                probability = _with_copies(probability, c.gates[piece.at], c.copies[piece.rows, : piece.positions])
            scores, jumps = c.scores[piece.at].to(output.exact), c.jumps[piece.rows, piece.steps].to(output.exact)
            moves = alignments.moves(torch, scores, jumps, c.mask[piece.rows, : piece.positions])
            real = gold != PAD
            log_p = torch.where(real[..., None], log_p, 0)
        yield _Chains(piece, probability, gold, real, log_p, moves)


@torch.no_grad()
def mixtures(c: Chained, weight: Tensor, bias: Tensor, target: Tensor, lengths: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """log p(· | y_<t, x) of the real target positions, some sentences at a time: [n, V], and their gold ids [n]."""
    for part in _chains(c, weight, bias, target, lengths):
        with torch.autocast(target.device.type, enabled=False):
            priors, *_ = alignments.forward(torch, part.moves, part.emissions)
            found = log_mixture(priors, part.probability)[part.real]
        yield found, part.gold[part.real]


@torch.no_grad()
def scored(c: Chained, weight: Tensor, bias: Tensor, target: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """log p(y_t | y_<t, x) [B, T] and the posteriors p(s_t | y_1…y_T, x) [B, T, S]; both 0 on pads."""
    posteriors = torch.zeros_like(c.scores, dtype=torch.promote_types(c.query.dtype, torch.float32))
    found = posteriors.new_zeros(target.shape)
    for part in _chains(c, weight, bias, target, lengths):
        with torch.autocast(target.device.type, enabled=False):
            _, reached, totals = alignments.forward(torch, part.moves, part.emissions)
            posterior, _ = alignments.backward(torch, part.moves, part.emissions, reached, totals)
        found[part.piece.rows, part.piece.steps] = totals * part.real
        posteriors[part.piece.at] = posterior[:, 1:] * part.real[..., None]
    return found, posteriors


def log_mixture(prior: Tensor, probability: Tensor) -> Tensor:
    """log Σ_s p(s) p(v | s): prior [..., S], probability [..., S, V] -> [..., V]."""
    return (prior[..., None, :] @ probability)[..., 0, :].clamp(min=LEAST).log()


@torch.no_grad()
def step(
    c: Chained, weight: Tensor, bias: Tensor, position: tuple[Tensor, Tensor], tokens: Tensor
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """One step of a search, for K hypotheses of each of B sentences.

    Args:
        c: of the step, its T being the K hypotheses.
        position: the chain at the step before: its prior [B·K, S], and log p(v | s) [B·K, S, V].
        tokens: int64 [B, K], chosen at the step before.

    Returns:
        log p(v | y_<t, x) [B, K, V]; and the new position: the prior [B·K, S], log p(v | s) [B·K, S, V].
    """
    output, (B, K, S) = OutputLayer(weight, bias, c.query.dtype), c.scores.shape
    with torch.autocast(tokens.device.type, enabled=False):
        emission = position[1].gather(-1, tokens.reshape(-1, 1, 1).expand(-1, S, 1))[..., 0]
        reached, _ = alignments.filtered(torch, position[0], emission)
        moves = alignments.moves(torch, c.scores.to(output.exact), c.jumps.to(output.exact), c.mask)
        prior = (reached.view(B, K, 1, S) @ moves)[:, :, 0]
        piece = Piece(slice(None), slice(None), S)
        emissions = output.logits(readout(c, piece), B, K, S)[..., : output.V].log_softmax(-1)
        probability = _with_copies(emissions.exp(), c.gates, c.copies)
        if c.gates is not None:
            emissions = probability.clamp(min=LEAST).log()
        return log_mixture(prior, probability), (prior.flatten(0, 1), emissions.flatten(0, 1))


def before(mask: Tensor, V: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """The position before the first `step`, of one hypothesis a sentence: certainly the first token. mask [B, S]."""
    reached = alignments.first(torch, torch.zeros_like(mask, dtype=torch.promote_types(like.dtype, torch.float32)))
    return reached, torch.zeros_like(reached)[..., None].expand(*reached.shape, V)


def _with_copies(probability: Tensor, gates: Tensor | None, copies: Tensor | None) -> Tensor:
    """p(v | s) [b, t, s, V] with copying: gates [b, t, s], copies [b, s]."""
    if gates is None or copies is None:
        return probability
    kappa = gates.to(probability.dtype).sigmoid()[..., None]
    index = copies.clamp(min=0)[:, None, :, None].expand_as(kappa)  # where nothing is copied, kappa is 0
    return (probability * (1 - kappa)).scatter_add_(-1, index, kappa)
