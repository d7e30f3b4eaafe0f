"""What a model is, as plain values by name, for programs; the command line words them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from jumok.decode.backend import engine_of, without_engine
from jumok.errors import FolderError
from jumok.runtime.record import FINISHED, read_record

if TYPE_CHECKING:
    from jumok.decode.translator import Translator


@dataclass(frozen=True)
class ModelInfo:
    """A model's facts; names and values are those of the options, and None is what the model does without.

    `info.layers` and `info["layers"]` are the same.

    Attributes:
        folder: where the model was read from.
        attention: the score, one of `jumok.scores.SCORES`; alignment: one of `jumok.alignments.ALIGNMENTS`, with a gate for copying
            if `copy`; window: one of `jumok.windows.WINDOWS`, which reaches `window_size`
            positions to each side.
        cell, layers, hidden: of encoder and decoder; bidirectional, reverse_source: of the encoder.
        readout_size: of the tanh readout.
        tie: what shares its embeddings, target or all.
        parameters: how many numbers were learned.
        source_entries, target_entries: tokens in the vocabularies, the four reserved ones counted; joint_vocabulary: it is one.
        features: features that the model knows.
        limit_ratio, limit_constant: an output has at most ratio x source tokens + constant tokens.
        engine: what computes the model, exact or int8 with the instructions that it uses, or numpy; no_engine: why not the compiled
            engine.
        run: the training that the folder belongs to; state: running (also what a killed run leaves), stopped or finished; step:
            of the last thing that was written, of `steps`. None without a record of it (`training.json`).
    """

    folder: str
    attention: str | None
    alignment: str | None
    copy: bool
    window: str | None
    window_size: int | None
    cell: str
    layers: int
    hidden: int
    bidirectional: bool
    reverse_source: bool
    embedding: int
    readout: str
    readout_size: int | None
    input_feeding: bool
    tie: str | None
    parameters: int
    source_tokenizer: str
    source_form: str | None
    source_entries: int
    target_tokenizer: str
    target_form: str | None
    target_entries: int
    joint_vocabulary: bool
    features: int
    limit_ratio: float
    limit_constant: float
    engine: str = "numpy"
    no_engine: str | None = None
    run: str | None = None
    state: str | None = None
    step: int | None = None
    steps: int | None = None

    @property
    def finished(self) -> bool | None:
        """Whether training is; None where nothing says so."""
        return None if self.state is None else self.state == FINISHED

    def __getitem__(self, name: str) -> Any:
        new = OLD_NAMES.get(name, name)
        if new != name:
            warnings.warn(
                f"info()[{name!r}] is now info().{new}; the old name works for this version only", DeprecationWarning, 2
            )
        if new not in {f.name for f in fields(self)}:
            raise KeyError(f"{name}; there are {', '.join(f.name for f in fields(self))}")
        return getattr(self, new)


OLD_NAMES = {"input feeding": "input_feeding", "tied embeddings": "tie", "joint vocabulary": "joint_vocabulary"}


def model_info(model: Translator) -> ModelInfo:
    """The facts of a model, and of the record in its folder where one is there."""
    text, m, codec = model.config.text, model.config.model, model.codec
    try:
        record = read_record(model.folder)
    except FolderError:
        record = None
    assert m.hidden is not None and m.embedding is not None
    return ModelInfo(
        folder=str(model.folder),
        attention=_or_none(m.attention),
        alignment=None if m.attention == "none" else m.alignment,
        copy=m.copy,
        window=_or_none(m.window),
        window_size=None if m.window == "none" else m.window_size,
        cell=m.cell,
        layers=m.layers,
        hidden=m.hidden,
        bidirectional=m.bidirectional,
        reverse_source=m.reverse_source,
        embedding=m.embedding,
        readout=m.readout,
        readout_size=m.readout_size if m.readout == "tanh" else None,
        input_feeding=m.input_feeding,
        tie=_or_none(m.tie or "none"),
        parameters=model._numbers,
        source_tokenizer=text.source_tokenizer,
        source_form=_or_none(text.source_form),
        source_entries=len(codec.source),
        target_tokenizer=text.target_tokenizer,
        target_form=_or_none(text.target_form),
        target_entries=len(codec.target),
        joint_vocabulary=codec.joint,
        features=len(model.features),
        limit_ratio=model.config.limit[0],
        limit_constant=model.config.limit[1],
        engine=engine_of(model.backend),
        no_engine=without_engine(m) or None,
        **({} if record is None else {"run": record.run, "state": record.state, "step": record.step, "steps": record.steps}),  # type: ignore[arg-type]
    )


def _or_none(name: str) -> str | None:
    return None if name == "none" else name
