"""The torch model behind the search's `start`, `step` and `select`, so that training's dev outputs come from the same search.

Letters: B sentences, K beams a sentence, S source positions, H state, V target vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from jumok.learn.model import Encoded, Seq2Seq, State


@dataclass(frozen=True)
class TorchState:
    """Encoded sources of B sentences, the decoder state of their K beams ([B·K, H] in each layer), and how many steps are done."""

    encoded: Encoded
    state: State
    beams: int
    position: int = 0


class TorchSteps:
    """A `jumok.runtime.search.Steps` over a torch model in evaluation mode; arrays are NumPy on the outside."""

    def __init__(self, model: Seq2Seq) -> None:
        self.model = model
        self.device = model.bias.device

    @torch.no_grad()
    def start(self, source: np.ndarray, lengths: np.ndarray) -> TorchState:
        encoded = self.model.encode(self._tensor(source), self._tensor(lengths))
        return TorchState(encoded, self.model.first(encoded), 1)

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
            )
        rows = self._tensor((sentences[:, None] * state.beams + parents).reshape(-1))
        return TorchState(
            encoded, [tuple(part[rows] for part in layer) for layer in state.state], parents.shape[1], state.position
        )

    def _tensor(self, a: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(a, dtype=np.int64)).to(self.device)
