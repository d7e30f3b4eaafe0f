"""What a model is, as plain values by name, for programs; the command line words them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from jumok.decode.backend import engines_of, without_engine
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
        source_columns: of the training pairs; several are read one after the other.
        features: features that the model knows.
        limit_ratio, limit_constant: an output has at most ratio x source tokens + constant tokens.
        members: of an ensemble, the facts of each of its models. Its own are those of the first, with all folders, the sum of the
            parameters, and the highest length limit.
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
    source_columns: list[int] = field(hash=False)
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
    members: list[ModelInfo] = field(default_factory=list, hash=False)

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
    """The facts of a model, and of the record in its folder where one is there; of an ensemble, those of all its models, too."""
    each = [_info(model, i) for i in range(len(model.folders))]
    if len(each) == 1:
        return each[0]
    ratio, constant = model.config.limit
    whole = {"folder": model.name, "parameters": sum(model._numbers), "limit_ratio": ratio, "limit_constant": constant}
    engines = {member.engine: member.no_engine for member in each}
    by = {"engine": "; ".join(engines), "no_engine": "; ".join(filter(None, engines.values())) or None}
    return replace(each[0], **whole, **by, members=each)  # type: ignore[arg-type]


def _info(model: Translator, i: int) -> ModelInfo:
    """The facts of its i-th model."""
    config, codec = model.configs[i], model.codec
    text, m = config.text, config.model
    try:
        record = read_record(model.folders[i])
    except FolderError:
        record = None
    assert m.hidden is not None and m.embedding is not None
    return ModelInfo(
        folder=str(model.folders[i]),
        attention=_or_none(m.attention),
        alignment=None if m.attention == "none" else m.alignment,
        copy=bool(m.copy),
        window=_or_none(m.window),
        window_size=None if m.window == "none" else m.window_size,
        cell=m.cell,
        layers=m.depth,
        hidden=m.hidden,
        bidirectional=m.bidirectional,
        reverse_source=m.reverse_source,
        embedding=m.embedding,
        readout=m.readout,
        readout_size=m.readout_size if m.readout == "tanh" else None,
        input_feeding=m.input_feeding,
        tie=_or_none(m.tie or "none"),
        parameters=model._numbers[i],
        source_columns=list(text.source_columns),
        source_tokenizer=text.source_tokenizer,
        source_form=_or_none(text.source_form),
        source_entries=len(codec.source),
        target_tokenizer=text.target_tokenizer,
        target_form=_or_none(text.target_form),
        target_entries=len(codec.target),
        joint_vocabulary=codec.joint,
        features=len(model.features),
        limit_ratio=config.limit[0],
        limit_constant=config.limit[1],
        engine=engines_of(model.backend)[i],
        no_engine=without_engine(m) or None,
        **({} if record is None else {"run": record.run, "state": record.state, "step": record.step, "steps": record.steps}),  # type: ignore[arg-type]
    )


def _or_none(name: str) -> str | None:
    return None if name == "none" else name
