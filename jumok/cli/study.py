"""A claim about attention, trained and compared: `jumok study`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal

from jumok import config
from jumok.cli._options import Options, Positional
from jumok.config import LearnConfig, ModelConfig, StudyConfig, TextConfig, TrainConfig
from jumok.places import PairsPath


@dataclass(frozen=True)
class Study(Options):
    """Train and compare: what does attention repair, what does teacher forcing cost? A table, figures and a page in --out.

    jumok study bottleneck --out bottleneck --jobs 2
    """

    name: Positional[Literal["bottleneck", "gradients", "exposure", "scores", "faithful", "links"]]
    """bottleneck: quality by source length without and with attention. gradients: how much of the loss reaches the first
    token. exposure: teacher forcing against free running. scores: Luong's tables. faithful: do the weights tell the truth? links: are they an
    alignment, soft and monotonic?"""
    pairs: Positional[PairsPath] = ""
    """Training pairs, as for train. Without: strings with known structure, made for the study; a result in minutes."""
    plan: StudyConfig = field(default_factory=StudyConfig)
    text: TextConfig = field(default_factory=TextConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    learn: LearnConfig = field(default_factory=LearnConfig)

    GROUPS: ClassVar[dict[str, tuple[str, ...]]] = {
        "the study": ("name", "pairs", *(f.name for f in fields(StudyConfig)), "config"),
        "its trainings": ("source_tokenizer", "target_tokenizer", "attention", "size", "epochs", "steps", "seed"),
    }
    READ_ON: ClassVar[str] = "docs/studies/, docs/commands.md"

    @classmethod
    def usual(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        from jumok.studies.command import defaults

        return defaults(str(values.get("name", "")))

    def check(self, where: str) -> None:
        config.check(self.plan, where)


def study(o: Study, given: Collection[str]) -> int:
    from jumok.studies.command import run

    return run(o.name, o.pairs, o.plan, TrainConfig(text=o.text, model=o.model, learn=o.learn))
