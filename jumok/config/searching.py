"""The options of decoding: how a trained model is loaded, and how it is searched for its outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jumok.places import ListPath

EngineName = Literal["auto", "exact", "int8", "numpy"]
LengthNormName = Literal["power", "wu"]
UnknownName = Literal["keep", "forbid", "copy"]
LineText = str  # of every line; in Python, also one for each line
LineTexts = tuple[str, ...]  # the same


@dataclass(frozen=True)
class SearchConfig:
    """How a trained model is searched for its best output."""

    beam: int = 1
    """Hypotheses kept at each step; 1 = greedy."""
    nbest: int = 1
    """Outputs given for a line, best first (at most --beam; with --sample and --mbr, at most --sample)."""
    length_penalty: float = 1.0
    """Ranks hypotheses by log-probability / length ** length-penalty; 0 = no normalisation."""
    max_length: int | None = None
    """Most tokens written for a line. Default: grows with the source, as the targets do in the training pairs."""
    batch_size: int = 64
    """Lines decoded together."""
    length_norm: LengthNormName = "power"
    """What --length-penalty is the power of: power = length; wu = (5 + length) / 6, as in Wu et al. 2016."""
    coverage_penalty: float = 0.0
    """Ranks hypotheses lower that leave source positions out: adds this times Σ log min(coverage, 1), as in Wu et al. 2016."""
    groups: int = 1
    """Diverse beams: into how many groups --beam is divided; each is kept from tokens that those before it write at the same step."""
    diversity: float = 0.5
    """How much a token loses in log-probability for each hypothesis of an earlier group that writes it at the same step."""
    sample: int = 0
    """Draws this many outputs of each line from the model's distribution, instead of a search for the best; 0 = none."""
    temperature: float = 1.0
    """With --sample: logits are divided by it; below 1 likely tokens become likelier, above 1 all become more equal."""
    top_k: int = 0
    """With --sample: only the k likeliest tokens of a step can be drawn; 0 = all."""
    top_p: float = 1.0
    """With --sample: only the likeliest tokens of a step that together reach this probability can be drawn; 1 = all."""
    seed: int = 1
    """With --sample: another seed gives other samples. A line has the same samples wherever it stands."""
    mbr: str = ""
    """Minimum Bayes risk: of all samples, or of the whole --beam, writes the output nearest to all of them by this metric of
    evaluate (accuracy, token-error-rate, bleu, chrf, …)."""

    prefix: LineText = ""
    """Every output begins with this text, whose last word may go on. A line's own goes before it (JSONL key "prefix")."""
    prefix_tokens: LineTexts = ()
    """As --prefix, but target tokens, which are written as they are."""
    forbid: tuple[str, ...] = ()
    """Target tokens that are not written."""
    forbid_text: tuple[str, ...] = ()
    """Texts that occur in no output. Beginning and end of an output count as a blank."""
    allow: tuple[str, ...] = ()
    """Only these target tokens are written."""
    require: LineTexts = ()
    """Texts that occur in every output, as words (char: anywhere). Needs a --beam of one more than their tokens. A line's own (JSONL
    key "require") go before them."""
    min_length: int = 0
    """Fewest tokens written for a line; as for --max-length, </s> is one."""
    no_repeat: int = 0
    """With 3, no three tokens in a row are written twice in an output, and likewise with other numbers; 0 = all may."""
    only: ListPath = ""
    """File of all outputs there may be, one a line; the likeliest of them is found for each line."""
    only_words: ListPath = ""
    """File of all words that outputs may have, one a line; punctuation between them is free."""
    unknown: UnknownName = "keep"
    """keep: <unk> may be written; forbid: it is not; copy: the source token with the most attention takes its place in the text."""

    @property
    def outputs(self) -> int:
        """The outputs of a line: all samples, or the n-best list."""
        return self.sample if self.sample and not self.mbr else self.nbest

    def __str__(self) -> str:
        """What makes a difference to the outputs, in words: greedy; beam 5, length penalty 1."""
        if self.sample:
            said = ["a sample" if self.outputs == 1 and not self.mbr else f"{self.sample} samples"]
            said += [f"temperature {self.temperature:g}"] * (self.temperature != 1) + [f"top-k {self.top_k}"] * (self.top_k > 0)
            said += [f"top-p {self.top_p:g}"] * (self.top_p < 1) + [f"seed {self.seed}"]
        elif self.beam > 1:
            said = [f"beam {self.beam}", f"length penalty {self.length_penalty:g}{' (wu)' * (self.length_norm == 'wu')}"]
            said += [f"coverage penalty {self.coverage_penalty:g}"] * (self.coverage_penalty > 0)
            said += [f"{self.groups} groups, diversity {self.diversity:g}"] * (self.groups > 1)
        else:
            said = ["greedy"]
        return ", ".join(said + [f"minimum Bayes risk by {self.mbr}"] * (self.mbr != ""))


@dataclass(frozen=True)
class LoadConfig:
    """How a trained model is loaded."""

    engine: EngineName = "auto"
    """What computes it: exact = compiled, the same bits on every machine; int8 = with weights of 8 bits, faster still; numpy;
    auto = exact where it is there. What the compiled engine does not know (docs/engine.md), NumPy computes."""
