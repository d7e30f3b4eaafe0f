"""The loop that tutorials teach, in torch, on the arrays of a model folder: the yardstick of decoding speed and agreement.

One sentence at a time; the encoder is torch's LSTM; the decoder is stepped in Python, and every step scores the memory,
takes the context and runs the output layer. One layer, both directions, `dot`, `general` or `concat`, tanh readout.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from jumok.runtime.folder import read_folder

START, END = 1, 2


class Naive:
    """The folder's model as a tutorial would write it."""

    def __init__(self, folder: str) -> None:
        found = read_folder(folder)
        config, self.limit = found.config.model, found.config.limit
        assert config.layers == 1 and config.bidirectional and config.readout == "tanh" and config.attention != "none"
        assert config.embedding and config.hidden
        self.attention = config.attention
        p = self.p = {k: torch.from_numpy(v) for k, v in found.parameters.items()}
        self.target = p["target.embedding"]
        self.source = p.get("source.embedding", self.target)
        self.output = p.get("readout.output", self.target)
        self.encoder = nn.LSTM(config.embedding, config.hidden // 2, bidirectional=True, batch_first=True)
        self.cell = nn.LSTMCell(config.embedding, config.hidden)
        with torch.no_grad():
            for way, end in (("forward", "l0"), ("backward", "l0_reverse")):
                self._fill(self.encoder, f"encoder.0.{way}", end)
            self.cell.weight_ih.copy_(p["decoder.0.w_ih"])
            self.cell.weight_hh.copy_(p["decoder.0.w_hh"])
            self.cell.bias_ih.copy_(p["decoder.0.bias"])
            self.cell.bias_hh.zero_()

    def _fill(self, lstm: nn.LSTM, name: str, end: str) -> None:
        for ours, theirs in (("w_ih", "weight_ih"), ("w_hh", "weight_hh"), ("bias", "bias_ih")):
            getattr(lstm, f"{theirs}_{end}").copy_(self.p[f"{name}.{ours}"])
        getattr(lstm, f"bias_hh_{end}").zero_()

    def scores(self, h: Tensor, memory: Tensor) -> Tensor:
        """h [1, H], memory [S, H] -> [S]"""
        p = self.p
        if self.attention == "dot":
            return memory @ h[0]
        if self.attention == "general":
            return (memory @ p["attention.W_a"].t()) @ h[0]
        return torch.tanh(h @ p["attention.W_q"].t() + memory @ p["attention.W_m"].t()) @ p["attention.v"]

    @torch.no_grad()
    def greedy(self, source: list[int]) -> tuple[list[int], np.ndarray, float]:
        """Ids of a source, END last -> ids written, weights [T, S], log-probability."""
        memory, (h, c) = self.encoder(self.source[torch.tensor([source])])
        memory, h, c = memory[0], torch.cat([h[0], h[1]], -1), torch.cat([c[0], c[1]], -1)
        written, weights, total, token = [], [], 0.0, START
        for _ in range(int(np.ceil(self.limit[0] * len(source) + self.limit[1]))):
            h, c = self.cell(self.target[torch.tensor([token])], (h, c))
            a = torch.softmax(self.scores(h, memory), 0)
            context = a[None] @ memory
            readout = torch.tanh(context @ self.p["readout.w_c"].t() + h @ self.p["readout.w_h"].t())
            logits = torch.log_softmax(readout @ self.output.t() + self.p["readout.bias"], -1)[0]
            logits[:2] = -torch.inf  # padding and the start token are never written
            token = int(logits.argmax())
            written.append(token)
            weights.append(a)
            total += float(logits[token])
            if token == END:
                break
        return written, torch.stack(weights).numpy(), total
