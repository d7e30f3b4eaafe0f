"""Free running and its mixtures: what the decoder reads where it is given its own tokens instead of gold ones.

Exact and cheap (DESIGN.md, idea 2). A choice of token carries no gradient, so it is made first: the decoder runs step by
step, without gradient and without dropout, and writes down what it would have read. Then the one fused pass of
`Seq2Seq.loss` runs on these inputs. Loss and gradient are those of the loop that mixes as it goes.
With a monotonic alignment the tokens that were read move the chain while the decoder runs freely, as in a search. The loss sums
over the alignments of the gold target; only h_t has read other tokens.

Letters: B sentences, T target steps, V target vocabulary.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from jumok.decode.rules import NEVER
from jumok.net.model import Seq2Seq, shifted
from jumok.text.vocabulary import PAD

Coin = Literal["token", "sentence", "batch"]
OwnToken = Literal["argmax", "sample"]


def toss(target: Tensor, gold_share: float, coin: Coin) -> Tensor:
    """Where the decoder reads gold: bool [B, T], each True with probability `gold_share`, step 0 (which reads <s>) always.

    token: a coin a position (Bengio et al. 2015); sentence: one a sentence; batch: one for all.
    """
    B, T = target.shape
    shape = {"token": (B, T), "sentence": (B, 1), "batch": (1, 1)}[coin]
    gold = (torch.rand(shape, device=target.device) < gold_share).expand(B, T).clone()
    gold[:, 0] = True
    return gold


@torch.no_grad()
def own_inputs(model: Seq2Seq, source: Tensor, lengths: Tensor, target: Tensor, gold: Tensor, choice: OwnToken) -> Tensor:
    """What the decoder reads at each step: the gold token where `gold`, else the one it wrote at the step before.

    Args:
        source: int64 [B, S]; lengths: [B]; target: int64 [B, T].
        gold: bool [B, T] as from `toss`.
        choice: the model's token is the likeliest one, or drawn from its distribution.

    Returns:
        Decoder inputs, int64 [B, T], as `Seq2Seq.loss` takes them.
    """
    inputs = shifted(target)
    needed = ~gold & (target != PAD)
    steps = needed.any(0).nonzero().flatten()
    if not len(steps):
        return inputs
    was_training = model.training
    model.eval()
    try:
        encoded, state = model.begin(source, lengths)
        for t in range(int(steps[-1])):
            rows = needed[:, t + 1].nonzero().flatten()
            logits, state, _ = model.step(inputs[:, t : t + 1], state, encoded, t, rows)
            if len(rows):
                inputs[rows, t + 1] = _choose(logits, choice)
    finally:
        model.train(was_training)
    return inputs


def _choose(logits: Tensor, choice: OwnToken) -> Tensor:
    """logits [N, V] -> ids [N]; never padding or the start token, which search never writes either."""
    logits = logits.float()
    logits[:, list(NEVER)] = -torch.inf
    return logits.argmax(-1) if choice == "argmax" else logits.softmax(-1).multinomial(1).squeeze(-1)
