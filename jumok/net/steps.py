"""The torch model as a backend of the same search as every other, so that training's dev outputs come from it, too.

Letters: B sentences, K beams a sentence, S source positions, T target tokens, H state, V target vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from jumok.alignments import named
from jumok.net import chains
from jumok.net.model import Encoded, Seq2Seq, State, shifted

PIECE = 512  # positions whose logits [·, V] are looked at together


@dataclass(frozen=True)
class TorchState:
    """Encoded sources of B sentences, the decoder state of their K beams ([B·K, H] in each layer), and how many steps are done."""

    encoded: Encoded
    state: State
    beams: int
    position: int = 0


class TorchSteps:
    """A `jumok.decode.backend.Backend` over a torch model in evaluation mode; arrays are NumPy on the outside."""

    def __init__(self, model: Seq2Seq) -> None:
        self.model = model
        self.device = model.bias.device
        self.weights = named(model.config.alignment).weights

    @torch.no_grad()
    def start(self, source: np.ndarray, lengths: np.ndarray) -> TorchState:
        return TorchState(*self.model.begin(self._tensor(source), self._tensor(lengths)), 1)

    @torch.no_grad()
    def step(self, state: TorchState, tokens: np.ndarray) -> tuple[TorchState, np.ndarray, np.ndarray | None]:
        logits, after, weights = self.model.step(self._tensor(tokens), state.state, state.encoded, state.position)
        return (
            replace(state, state=after, position=state.position + 1),
            logits.float().cpu().numpy(),
            None if weights is None else weights.float().cpu().numpy(),
        )

    @torch.no_grad()
    def select(self, state: TorchState, sentences: np.ndarray, parents: np.ndarray) -> TorchState:
        kept, encoded = self._tensor(sentences), state.encoded
        if len(sentences) != encoded.mask.shape[0] or not np.array_equal(sentences, np.arange(len(sentences))):
            encoded = Encoded(
                encoded.memory[kept],
                None if encoded.keys is None else encoded.keys[kept],
                encoded.mask[kept],
                [tuple(part[kept] for part in layer) for layer in encoded.state],
                None if encoded.copies is None else encoded.copies[kept],
                None if encoded.values is None else encoded.values[kept],
            )
        rows = self._tensor((sentences[:, None] * state.beams + parents).reshape(-1))
        return TorchState(
            encoded, [tuple(part[rows] for part in layer) for layer in state.state], parents.shape[1], state.position
        )

    @torch.no_grad()
    def score(
        self, source: np.ndarray, lengths: np.ndarray, target: np.ndarray, target_lengths: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None]:
        gold = self._tensor(target)
        if self.model.config.alignment == "monotonic":
            sources = self._tensor(lengths)
            c = self.model.chained(self._tensor(source), sources, shifted(gold))
            found = chains.scored(c, self.model.output_weight, self.model.bias, gold, sources)
            return found[0].cpu().numpy(), found[1].cpu().numpy()
        encoded = self.model.encode(self._tensor(source), self._tensor(lengths))
        readout, weights = self._all(encoded, shifted(gold))
        real = np.arange(target.shape[1]) < np.asarray(target_lengths)[:, None]
        places = self._tensor(np.flatnonzero(real))
        pairs = zip(readout.flatten(0, 1)[places].split(PIECE), gold.flatten()[places].split(PIECE), strict=True)
        losses = [torch.nn.functional.cross_entropy(self.model.logits(r).float(), ids, reduction="none") for r, ids in pairs]
        log_probabilities = np.zeros(target.shape, np.float32)
        log_probabilities[real] = -torch.cat(losses).cpu().numpy()
        return log_probabilities, None if weights is None else weights.float().cpu().numpy() * real[:, :, None]

    def _all(self, encoded: Encoded, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Every step over what the decoder reads, int64 [B, T] -> readout [B, T, R], weights [B, T, S] or None."""
        if not self.model.config.input_feeding:
            queries, _ = self.model.decode(inputs, encoded.state)
            context, weights = self.model.attend(queries, encoded)
            return self.model.read(queries, context), weights
        state, steps = encoded.state, []
        for t in range(inputs.shape[1]):
            readout, state, looked = self.model.advance(inputs[:, t : t + 1], state, encoded, t)
            steps.append((readout, looked))
        return torch.cat([r for r, _ in steps], 1), torch.cat([w for _, w in steps if w is not None], 1)

    def _tensor(self, a: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(a, dtype=np.int64)).to(self.device)
