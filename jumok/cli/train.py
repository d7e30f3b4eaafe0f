"""Train from pairs: `jumok train`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import ClassVar

from tyro.conf import OmitArgPrefixes, Positional

from jumok import config
from jumok.cli._options import Options
from jumok.config import LearnConfig, ModelConfig, TextConfig, TrainConfig
from jumok.places import FolderPath, LinesPath, ModelPath, PairsPath, VectorsPath

# options of `TrainConfig` itself
OF_THE_RUN = (
    *("pairs", "dev", "out", "from_", "members", "member", "source_embeddings", "target_embeddings", "teacher", "teacher_beam"),
    *("teacher_gold", "teacher_sources", "cache"),
)


@dataclass(frozen=True)
class Train(Options):
    """Train a model from a table of pairs; the best one, by a metric of what it writes on its own, ends in --out.

    jumok train words.tsv --dev dev.tsv --out model --target-tokenizer space --minutes 2
    """

    pairs: Positional[PairsPath] = ""
    """Training pairs: TSV or JSONL (.gz too; - = standard input), or SOURCE,TARGET for two parallel files."""
    dev: PairsPath = ""
    """Development pairs, in the same form; they pick the best model. Without: 1 in 20 training pairs, at most 2,000."""
    out: FolderPath = ""
    """Model folder to write."""
    from_: ModelPath = ""
    """Model folder to start from (fine-tuning): its text and model options, vocabularies and weights. Tokens that are new in PAIRS
    are added to the vocabularies; those of bpe stay."""
    members: int = 1
    """Models to train one after the other, with seeds from --seed on; they write together, as an ensemble, and lie in --out. The
    length given by --minutes is for all together."""
    member: int = 0
    """With --members: train only this one of them (1, 2, …), on a machine of its own, say. 0 = all."""
    source_embeddings: VectorsPath = ""
    """Known vectors of source tokens, as text (word2vec, GloVe, fastText; .gz too): --embedding is then their size."""
    target_embeddings: VectorsPath = ""
    """As --source-embeddings, for the target."""
    teacher: ModelPath = ""
    """Model, or ensemble, to learn from (distillation): it first writes outputs for all training sources. Each pair is then trained
    on one of them or on its own target, by their shares, drawn anew for every epoch. What it wrote is kept in --out until the end."""
    teacher_beam: int = 5
    """With --teacher: beam of its search; the outputs, at most so many, share by their probabilities."""
    teacher_gold: float = 0.5
    """With --teacher: share of the pairs' own targets; the rest is for what the teacher wrote."""
    teacher_sources: LinesPath = ""
    """With --teacher: further sources, without targets, as for translate; they are trained on what the teacher writes for them."""
    cache: FolderPath = ""
    """Folder for the tokenised pairs, which are then read from the disk and may be larger than memory; made once, used again.
    Default: pairs stay in memory; those in files of more than 100 MB (.gz: 25 MB) go to a folder beside --out."""
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
    text: OmitArgPrefixes[TextConfig] = field(default_factory=TextConfig)
    model: OmitArgPrefixes[ModelConfig] = field(default_factory=ModelConfig)
    learn: OmitArgPrefixes[LearnConfig] = field(default_factory=LearnConfig)

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
        own = {name: getattr(self, name) for name in OF_THE_RUN}
        return TrainConfig(**own, text=self.text, model=self.model, learn=self.learn)

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
