"""What a translator shows of its work: the next tokens that it weighs, and the whole tree of a beam search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from jumok import config
from jumok.config import SearchConfig
from jumok.config.building import plain
from jumok.errors import ConfigError, DataError
from jumok.keywords import done_by
from jumok.runtime.translation import END_TOKEN
from jumok.text.forms import form_advice
from jumok.text.given import Features
from jumok.text.vocabulary import END, UNK

if TYPE_CHECKING:
    from jumok.decode.alternatives import Alternatives
    from jumok.decode.translator import Translator
    from jumok.decode.tree import Recorded, Reference, Tree

Many = list[str] | tuple[str, ...]
Prefix = str | Sequence[str]


def _tree_given(self: Translator, text: Any, *, features: Any = None, reference: str | None = None, **options: Any) -> Tree:
    return _tree(self, text, features, reference, self._options(options, "tree"))


class Inspection:
    """The part of a `Translator` that shows how it works."""

    @overload
    def alternatives(
        self, text: str, prefix: Prefix = "", *, k: int | None = None, features: Features | None = None
    ) -> Alternatives: ...

    @overload
    def alternatives(
        self,
        text: Many,
        prefix: Prefix | Sequence[Prefix] = "",
        *,
        k: int | None = None,
        features: Sequence[Features] | None = None,
    ) -> list[Alternatives]: ...

    def alternatives(
        self: Any, text: str | Many, prefix: Any = "", *, k: int | None = None, features: Any = None
    ) -> Alternatives | list[Alternatives]:
        """The k likeliest next tokens after a beginning of the output, each with its probability and where it would look.

        Args:
            text: a line, or a sequence of lines.
            prefix: how the output begins: a text, which is cut into tokens as if it were whole, or a sequence of target tokens,
                as in `Translation.tokens`; for many lines also a list with one of these for each.
            k: how many. Default: 10, or all if there are fewer.
            features: as in `translate`.

        Raises:
            DataError: a line is blank or too long; a token of the prefix is not in the vocabulary.
            ConfigError: k is more than the tokens that the model can write.
        """
        from jumok.decode.alternatives import number_of

        k, prefix = number_of(k, self.codec), plain(prefix)
        if self._is_one(text):
            lines = self._checked([text], None if features is None else [features])
            return _alternatives(self, lines[0][0], lines[1][0], prefix, k)
        texts, given = self._checked(text, features)
        if isinstance(prefix, list) and not (prefix and len(prefix) == len(texts)):
            raise DataError(
                f"prefix has {len(prefix)}, but there are {len(texts)} line(s); wanted one for each, or one for all"
            )
        prefixes = prefix if isinstance(prefix, list) else [prefix] * len(texts)
        return [_alternatives(self, *line, k) for line in zip(texts, given, prefixes, strict=True)]

    @done_by(_tree_given)
    def tree(
        self,
        text: str,
        *,
        features: Features | None = None,
        reference: str | None = None,
        # options: SearchConfig -batch_size
        beam: int = 1,
        nbest: int = 1,
        length_penalty: float = 1.0,
        max_length: int | None = None,
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
    ) -> Tree:
        """The whole beam search for a line: every hypothesis that it looked at, and what became of it.

        Args:
            text: a line.
            features: as in `translate`.
            reference: a target; the tree then says where it leaves the beam, and whether that is an error of the search (the model
                ranks it above the output) or of the model.

        The options of `SearchConfig`, without `batch_size`:
            beam: Hypotheses kept at each step; 1 = greedy.
            nbest: Outputs given for a line, best first (at most beam; with sample and mbr, at most sample).
            length_penalty: Ranks hypotheses by log-probability / length ** length-penalty; 0 = no normalisation.
            max_length: Most tokens written for a line. Default: grows with the source, as the targets do in the training pairs.
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
            DataError: the text is no string, blank or too long.
            ConfigError: an option that cannot be.
        """
        raise NotImplementedError


def check_one_search(options: SearchConfig) -> None:
    """ConfigError if these options ask for something else than one beam search."""
    for name in ("groups", "sample", "mbr"):
        if (value := getattr(options, name, None)) != getattr(SearchConfig, name, None):
            raise ConfigError(f"tree: {name} is {value!r}, but a tree is of one beam search: leave it out")


def _read(model: Translator, text: str, features: Sequence[str], what: str) -> tuple[tuple[str, ...], np.ndarray]:
    """A source as tokens and as ids. DataError if it is not read."""
    if not text.strip():
        raise DataError(f"{what}: the text is blank; wanted a line that the model can read")
    tokens = model.codec.source_tokens(text, features)
    if len(tokens) >= model.longest:
        raise DataError(f"{what}: the text has {len(tokens):,} tokens, at most {model.longest - 1:,}; it is not read")
    return (*tokens, END_TOKEN), np.array([*model.codec.source.vocabulary.ids(tokens), END])


def _alternatives(model: Translator, text: str, features: Sequence[str], prefix: Prefix, k: int) -> Alternatives:
    from jumok.decode.alternatives import Alternative, Alternatives, beginning, next_tokens

    source_tokens, source = _read(model, text, features, "alternatives")
    written = beginning(prefix, model.codec)
    found = next_tokens(model.backend, source, written, k)
    names = model.codec.target_tokens(found.ids.tolist())
    alternatives = tuple(
        Alternative(
            name,
            model.codec.decode_target([*written, token]),
            float(np.exp(min(0.0, logarithm))),
            logarithm,
            None if found.weights is None else found.weights[i].copy(),
        )
        for i, (name, token, logarithm) in enumerate(
            zip(names, found.ids.tolist(), found.log_probabilities.tolist(), strict=True)
        )
    )
    rest = max(0.0, 1.0 - sum(a.probability for a in alternatives))
    tokens = tuple(model.codec.target_tokens(written))
    return Alternatives(text, source_tokens, tokens, found.before, alternatives, rest, model._kind)


def _tree(model: Translator, text: Any, features: Any, reference: str | None, options: SearchConfig) -> Tree:
    from jumok.decode.hindsight import in_hindsight
    from jumok.decode.tree import Tree, nodes_of, outputs_of, record

    if not model._is_one(text) or not isinstance(reference, str | None):
        wrong = ("text", text) if not model._is_one(text) else ("reference", reference)
        raise DataError(f"tree: {wrong[0]} is of type {type(wrong[1]).__name__}; wanted a string")
    check_one_search(options)
    (text,), (given,) = model._checked([text], None if features is None else [features])
    source_tokens, source = _read(model, text, given, "tree")
    limit, policy = model._plan(len(source), options)
    recorded = record(model.backend, source, options, limit, policy)
    if not recorded.found:
        raise DataError("tree: the search found no output")
    asked = model._requests.asked(options, None, 1)
    best, *others = (
        model._translation(text, source_tokens, found, asked)
        for found in in_hindsight(model.backend, [source.tolist()], [recorded.found])[0]
    )
    vocabulary = model.codec.target.vocabulary
    nodes = nodes_of(recorded, vocabulary.tokens(range(len(vocabulary))))
    beside = None if reference is None else _reference(model, reference, source, options, recorded)
    return Tree(replace(best, alternatives=tuple(others)), options.beam, limit, nodes, outputs_of(recorded), beside)


def _reference(model: Translator, text: str, source: np.ndarray, options: SearchConfig, recorded: Recorded) -> Reference:
    from jumok.decode.tree import Reference, follow, forced, judged

    codec, output = model.codec, recorded.found[0]
    limit, policy = model._plan(len(source), options)
    tokens = codec.encode_target(text)
    node, step, ending = follow(recorded, tokens)
    where = (node, ending, None if ending == "finished" else step)
    names = tuple(codec.target_tokens(tokens))
    reason = ""
    unknown = [token for token in codec.target.tokenizer.tokens(text) if token not in codec.target.vocabulary]
    if unknown and UNK in tokens:
        advice = form_advice(unknown, codec.target.vocabulary.tokens(range(len(codec.target))))
        reason = f"the model does not know {unknown[0]!r}" + f"; {advice}" * bool(advice)
    elif len(tokens) > limit:
        reason = f"it has {len(tokens)} tokens with </s>, and the limit is {limit}"
    else:
        h = forced(model.backend, source, tokens, options, policy)
        if h.log_probability > -np.inf:
            same = h.tokens == output.tokens or (output.finished and codec.decode_target(output.tokens) == text)
            verdict = "output" if same else judged(h, output)
            return Reference(text, names, h.log_probability, h.score, *where, verdict)
        barred = int(np.flatnonzero(~np.isfinite(h.token_log_probabilities))[0])  # type: ignore[arg-type, operator]
        reason = f"a rule forbids {names[barred]!r} as token {barred + 1}"
    return Reference(text, names, None, None, *where, "not allowed", reason)
