"""Train from pairs: `jumok train`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, fields
from typing import ClassVar

from jumok import config
from jumok.cli._options import Options, Positional
from jumok.config import LearnConfig, ModelConfig, TextConfig, TrainConfig
from jumok.places import FolderPath, PairsPath


@dataclass(frozen=True)
class Train(TrainConfig, Options):
    """Train a model from a table of pairs; the best one, by a metric of what it writes on its own, ends in --out.

    jumok train words.tsv --dev dev.tsv --out model --target-tokenizer space --minutes 2
    """

    pairs: Positional[PairsPath] = ""
    resume: bool = False
    """Go on from the checkpoint in --out; where there is none yet, begin; where training is finished, do nothing."""
    overwrite: bool = False
    """Replace the model or the unfinished training at --out; files there that are not Jumok's own stay."""
    quiet: bool = False
    """Show nothing but errors."""
    profile: bool = False
    """Say in the end where the time went and what share of the machine's limit was reached; also as profile.json in --out."""
    tensorboard: FolderPath = ""
    """Folder for curves that TensorBoard shows (needs the extra `tensorboard`)."""
    # as in `TrainConfig`, without the section's name before each option
    text: TextConfig = field(default_factory=TextConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    learn: LearnConfig = field(default_factory=LearnConfig)

    GROUPS: ClassVar[dict[str, tuple[str, ...]]] = {
        "files": ("pairs", "dev", "out", "config", "resume", "overwrite"),
        "text": ("source_tokenizer", "target_tokenizer", "bpe_size", "features_column"),
        "model": ("attention", "size"),
        "learning, for one of --minutes, --epochs, --steps": (
            *("minutes", "epochs", "steps", "learning_rate", "teacher_forcing", "metric", "seed", "device"),
        ),
    }
    READ_ON: ClassVar[str] = "docs/training.md, docs/input.md, docs/commands.md"

    def run(self) -> TrainConfig:
        """The options of the run, without those of the command."""
        return TrainConfig(**{f.name: getattr(self, f.name) for f in fields(TrainConfig)})

    def check(self, where: str) -> None:
        config.check(self.run(), where)


def train(o: Train, given: Collection[str]) -> int:
    from jumok.learn import train

    done = train(
        config=o.run(),
        resume=o.resume,
        overwrite=o.overwrite,
        quiet=o.quiet,
        profile=o.profile,
        tensorboard=o.tensorboard,
        given=given,
    )
    return 128 + done.interrupted if done.interrupted else 0
