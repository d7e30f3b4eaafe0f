"""The face of a translator: the calls that take all options of a search, spelled out. `jumok.decode.translator` does the work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, Literal, overload

from jumok import config
from jumok.decode.asked import Prefix
from jumok.keywords import done_by
from jumok.runtime.translation import Translation
from jumok.text.given import Features, Own


class _Pause(Enum):
    PAUSE = "among lines: the next one has not come yet"


PAUSE = _Pause.PAUSE
Incoming = str | tuple[str, Features] | tuple[str, Features, Own | Prefix | None] | Literal[_Pause.PAUSE]
Many = list[str] | tuple[str, ...]


def _translate(self: Face, text: Any, **options: Any) -> Translation | list[Translation]:
    return self._translate_given(text, **options)


def _translate_lines(self: Face, lines: Iterable[Incoming], **options: Any) -> Iterator[Translation]:
    return self._translate_lines_given(lines, **options)


class Face:
    """What a translator is asked for."""

    def _translate_given(self, text: Any, *, features: Any = None, **options: Any) -> Translation | list[Translation]:
        raise NotImplementedError

    def _translate_lines_given(self, lines: Iterable[Incoming], **options: Any) -> Iterator[Translation]:
        raise NotImplementedError

    @overload
    def translate(
        self,
        text: str,
        *,
        features: Features | None = None,
        # options: SearchConfig
        beam: int = 1,
        nbest: int = 1,
        length_penalty: float = 1.0,
        max_length: int | None = None,
        batch_size: int = 64,
        length_norm: config.LengthNormName = "power",
        coverage_penalty: float = 0.0,
        groups: int = 1,
        diversity: float = 0.5,
        sample: int = 0,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 1,
        mbr: str = "",
        prefix: str | Sequence[str] = "",
        prefix_tokens: Sequence[str] | Sequence[Sequence[str]] = (),
        forbid: Sequence[str] = (),
        forbid_text: Sequence[str] = (),
        allow: Sequence[str] = (),
        require: Sequence[str] | Sequence[Sequence[str]] = (),
        min_length: int = 0,
        no_repeat: int = 0,
        only: str | Path | Sequence[str] = "",
        only_words: str | Path | Sequence[str] = "",
        unknown: config.UnknownName = "keep",
        # end of options
    ) -> Translation: ...

    @overload
    def translate(
        self,
        text: Many,
        *,
        features: Sequence[Features] | None = None,
        # options: SearchConfig
        beam: int = 1,
        nbest: int = 1,
        length_penalty: float = 1.0,
        max_length: int | None = None,
        batch_size: int = 64,
        length_norm: config.LengthNormName = "power",
        coverage_penalty: float = 0.0,
        groups: int = 1,
        diversity: float = 0.5,
        sample: int = 0,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 1,
        mbr: str = "",
        prefix: str | Sequence[str] = "",
        prefix_tokens: Sequence[str] | Sequence[Sequence[str]] = (),
        forbid: Sequence[str] = (),
        forbid_text: Sequence[str] = (),
        allow: Sequence[str] = (),
        require: Sequence[str] | Sequence[Sequence[str]] = (),
        min_length: int = 0,
        no_repeat: int = 0,
        only: str | Path | Sequence[str] = "",
        only_words: str | Path | Sequence[str] = "",
        unknown: config.UnknownName = "keep",
        # end of options
    ) -> list[Translation]: ...

    @done_by(_translate)
    def translate(
        self,
        text: str | Many,
        *,
        features: Any = None,
        # options: SearchConfig
        beam: int = 1,
        nbest: int = 1,
        length_penalty: float = 1.0,
        max_length: int | None = None,
        batch_size: int = 64,
        length_norm: config.LengthNormName = "power",
        coverage_penalty: float = 0.0,
        groups: int = 1,
        diversity: float = 0.5,
        sample: int = 0,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 1,
        mbr: str = "",
        prefix: str | Sequence[str] = "",
        prefix_tokens: Sequence[str] | Sequence[Sequence[str]] = (),
        forbid: Sequence[str] = (),
        forbid_text: Sequence[str] = (),
        allow: Sequence[str] = (),
        require: Sequence[str] | Sequence[Sequence[str]] = (),
        min_length: int = 0,
        no_repeat: int = 0,
        only: str | Path | Sequence[str] = "",
        only_words: str | Path | Sequence[str] = "",
        unknown: config.UnknownName = "keep",
        # end of options
    ) -> Translation | list[Translation]:
        """The best output for a line, or for each of many, in their order.

        Args:
            text: a line, or a sequence of lines. A blank line gives an empty output, without running the model.
            features: for a line a sequence of strings, or one string as in a table: ["V", "PST"] or "V;PST"; for many lines a
                sequence with one of these for each.

        The options of `SearchConfig`:
            beam: Hypotheses kept at each step; 1 = greedy.
            nbest: Outputs given for a line, best first (at most beam; with sample and mbr, at most sample).
            length_penalty: Ranks hypotheses by log-probability / length ** length-penalty; 0 = no normalisation.
            max_length: Most tokens written for a line. Default: grows with the source, as the targets do in the training pairs.
            batch_size: Lines decoded together.
            length_norm: What length_penalty is the power of: power = length; wu = (5 + length) / 6, as in Wu et al. 2016.
            coverage_penalty: Ranks hypotheses lower that leave source positions out: adds this times Σ log min(coverage, 1), as
                in Wu et al. 2016.
            groups: Diverse beams: into how many groups beam is divided; each is kept from tokens that those before it write at
                the same step.
            diversity: How much a token loses in log-probability for each hypothesis of an earlier group that writes it at the
                same step.
            sample: Draws this many outputs of each line from the model's distribution, instead of a search for the best; 0 =
                none.
            temperature: With sample: logits are divided by it; below 1 likely tokens become likelier, above 1 all become more
                equal.
            top_k: With sample: only the k likeliest tokens of a step can be drawn; 0 = all.
            top_p: With sample: only the likeliest tokens of a step that together reach this probability can be drawn; 1 = all.
            seed: With sample: another seed gives other samples. A line has the same samples wherever it stands.
            mbr: Minimum Bayes risk: of all samples, or of the whole beam, writes the output nearest to all of them by this
                metric of evaluate (accuracy, token-error-rate, bleu, chrf, …).
            prefix: Every output begins with this text, whose last word may go on. A line's own goes before it (JSONL key
                "prefix").
            prefix_tokens: As prefix, but target tokens, which are written as they are.
            forbid: Target tokens that are not written.
            forbid_text: Texts that occur in no output. Beginning and end of an output count as a blank.
            allow: Only these target tokens are written.
            require: Texts that occur in every output, as words (char: anywhere). Needs a beam of one more than their tokens. A
                line's own (JSONL key "require") go before them.
            min_length: Fewest tokens written for a line; as for max_length, </s> is one.
            no_repeat: With 3, no three tokens in a row are written twice in an output, and likewise with other numbers; 0 = all
                may.
            only: File of all outputs there may be, one a line; the likeliest of them is found for each line.
            only_words: File of all words that outputs may have, one a line; punctuation between them is free.
            unknown: keep: <unk> may be written; forbid: it is not; copy: the source token with the most attention takes its
                place in the text.

        Raises:
            DataError: text or features are not strings, or not as many features as lines.
            ConfigError: an option that cannot be.
        """
        raise NotImplementedError

    @done_by(_translate_lines)
    def translate_lines(
        self,
        lines: Iterable[Incoming],
        *,
        # options: SearchConfig
        beam: int = 1,
        nbest: int = 1,
        length_penalty: float = 1.0,
        max_length: int | None = None,
        batch_size: int = 64,
        length_norm: config.LengthNormName = "power",
        coverage_penalty: float = 0.0,
        groups: int = 1,
        diversity: float = 0.5,
        sample: int = 0,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 1,
        mbr: str = "",
        prefix: str | Sequence[str] = "",
        prefix_tokens: Sequence[str] | Sequence[Sequence[str]] = (),
        forbid: Sequence[str] = (),
        forbid_text: Sequence[str] = (),
        allow: Sequence[str] = (),
        require: Sequence[str] | Sequence[Sequence[str]] = (),
        min_length: int = 0,
        no_repeat: int = 0,
        only: str | Path | Sequence[str] = "",
        only_words: str | Path | Sequence[str] = "",
        unknown: config.UnknownName = "keep",
        # end of options
    ) -> Iterator[Translation]:
        """A `Translation` for each line of a stream, in order. Reads ahead 16 batches; with batch_size 1, nothing.

        Args:
            lines: any iterable of strings, of (string, features), the features as in `translate`, or of (string, features,
                own): how its output begins, a string or a sequence of tokens; a `jumok.text.given.Own`; or None. PAUSE among them says that
                the next one is not there yet: those that came are translated before it is asked for.

        The options of `SearchConfig`:
            beam: Hypotheses kept at each step; 1 = greedy.
            nbest: Outputs given for a line, best first (at most beam; with sample and mbr, at most sample).
            length_penalty: Ranks hypotheses by log-probability / length ** length-penalty; 0 = no normalisation.
            max_length: Most tokens written for a line. Default: grows with the source, as the targets do in the training pairs.
            batch_size: Lines decoded together.
            length_norm: What length_penalty is the power of: power = length; wu = (5 + length) / 6, as in Wu et al. 2016.
            coverage_penalty: Ranks hypotheses lower that leave source positions out: adds this times Σ log min(coverage, 1), as
                in Wu et al. 2016.
            groups: Diverse beams: into how many groups beam is divided; each is kept from tokens that those before it write at
                the same step.
            diversity: How much a token loses in log-probability for each hypothesis of an earlier group that writes it at the
                same step.
            sample: Draws this many outputs of each line from the model's distribution, instead of a search for the best; 0 =
                none.
            temperature: With sample: logits are divided by it; below 1 likely tokens become likelier, above 1 all become more
                equal.
            top_k: With sample: only the k likeliest tokens of a step can be drawn; 0 = all.
            top_p: With sample: only the likeliest tokens of a step that together reach this probability can be drawn; 1 = all.
            seed: With sample: another seed gives other samples. A line has the same samples wherever it stands.
            mbr: Minimum Bayes risk: of all samples, or of the whole beam, writes the output nearest to all of them by this
                metric of evaluate (accuracy, token-error-rate, bleu, chrf, …).
            prefix: Every output begins with this text, whose last word may go on. A line's own goes before it (JSONL key
                "prefix").
            prefix_tokens: As prefix, but target tokens, which are written as they are.
            forbid: Target tokens that are not written.
            forbid_text: Texts that occur in no output. Beginning and end of an output count as a blank.
            allow: Only these target tokens are written.
            require: Texts that occur in every output, as words (char: anywhere). Needs a beam of one more than their tokens. A
                line's own (JSONL key "require") go before them.
            min_length: Fewest tokens written for a line; as for max_length, </s> is one.
            no_repeat: With 3, no three tokens in a row are written twice in an output, and likewise with other numbers; 0 = all
                may.
            only: File of all outputs there may be, one a line; the likeliest of them is found for each line.
            only_words: File of all words that outputs may have, one a line; punctuation between them is free.
            unknown: keep: <unk> may be written; forbid: it is not; copy: the source token with the most attention takes its
                place in the text.

        """
        raise NotImplementedError
