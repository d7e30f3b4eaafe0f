"""Known vectors of tokens (`--source-embeddings`, `--target-embeddings`): their size is the model's, and it starts with them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch

from jumok.config import TrainConfig, flag
from jumok.errors import ConfigError, DataError
from jumok.learn.display import Display
from jumok.net.model import START_SPREAD, Seq2Seq
from jumok.text import Codec
from jumok.text.lines import source_name
from jumok.text.vectors import Vectors, read_vectors


@dataclass(frozen=True)
class Known:
    """The vectors that were found for each side; None where no file is given."""

    source: Vectors | None = None
    target: Vectors | None = None

    def sized(self, asked: TrainConfig) -> TrainConfig:
        """The configuration with the vectors' size as that of the embeddings. ConfigError if it must be another."""
        sizes = {flag(f"{side}_embeddings"): v.size for side, v in vars(self).items() if v is not None}
        if not sizes:
            return asked
        if len(set(sizes.values())) > 1:
            raise ConfigError(
                "; ".join(f"--{name} has {n} numbers a token" for name, n in sizes.items()) + ": both need the same size"
            )
        (name, size), *_ = sizes.items()
        if asked.model.embedding not in (None, size):
            raise ConfigError(
                f"--embedding is {asked.model.embedding}, but --{name} has {size} numbers a token: leave --embedding out"
            )
        return dataclasses.replace(asked, model=dataclasses.replace(asked.model, embedding=size))

    def put_into(self, model: Seq2Seq) -> None:
        """Sets the rows of the found tokens. Their numbers get the spread that others start with; the rest stays at random."""
        for vectors, table in self._tables(model):
            rows = torch.from_numpy(vectors.rows)
            spread = rows.square().mean().sqrt().clamp(min=1e-12)
            with torch.no_grad():
                table[torch.from_numpy(vectors.ids)] = (rows * (START_SPREAD / spread)).to(table)

    def frozen(self, model: Seq2Seq) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Each table with the ids of its known rows, and these as they are now, for `Loop.frozen`."""
        tables = [(table, torch.from_numpy(vectors.ids).to(table.device)) for vectors, table in self._tables(model)]
        return [(table, ids, table.detach()[ids].clone()) for table, ids in tables]

    def _tables(self, model: Seq2Seq) -> list[tuple[Vectors, torch.Tensor]]:
        source = model.target_embedding if model.source_embedding is None else model.source_embedding
        both = (self.source, source), (self.target, model.target_embedding)
        return [(vectors, table) for vectors, table in both if vectors is not None]


def read_known(asked: TrainConfig, codec: Codec, display: Display) -> Known:
    """Reads the files that are given, for the tokens of the codec; a line says how many were found; warnings say what looks wrong.

    Raises:
        DataError: a file is no such file, or has none of the tokens.
    """
    found = {}
    for side, vocabulary in (("source", codec.source.vocabulary), ("target", codec.target.vocabulary)):
        path = getattr(asked, f"{side}_embeddings")
        if path:
            tokens = vocabulary.tokens(range(len(vocabulary)))
            vectors = read_vectors(path, tokens, display.warn)
            if not len(vectors.ids):
                raise DataError(
                    f"{source_name(path)}: has none of the {len(tokens):,} {side} tokens ({tokens[-1]!r}, say); is it the right file?"
                )
            display.note(
                f"{source_name(path)}: {len(vectors.ids):,} of {len(tokens):,} {side} tokens found ({vectors.size} numbers each)"
            )
            found[side] = vectors
    return Known(**found)
