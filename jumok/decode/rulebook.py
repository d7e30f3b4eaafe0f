"""The rulebook: what the options ask of every output and a line asks of its own, made into rules for a search.

What contradicts itself or cannot be written is refused before the search. Where whole outputs are listed, all other rules only
choose among the list, so that search has nothing but the trie to follow.
"""

from __future__ import annotations

import difflib
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple
from unicodedata import normalize

from jumok.config import SearchConfig
from jumok.decode.automata import Automaton, Begin, Fresh, Long, Within, Without
from jumok.decode.choice import Candidates
from jumok.decode.following import Follow
from jumok.decode.lists import entries_of, stamp
from jumok.decode.required import Banks, Having, Texts
from jumok.decode.rules import Never, Rule
from jumok.decode.trie import Listed, Trie
from jumok.errors import ConfigError
from jumok.text.forms import form_advice
from jumok.text.given import Own
from jumok.text.pieces import Pieces, continues
from jumok.text.vocabulary import END, SPECIALS, UNK

Prefix = str | tuple[str, ...]  # a text, or tokens
KEPT = 4096  # beginnings of lines that are kept


@dataclass(frozen=True)
class Wish:
    """What one line asks for.

    Attributes:
        begin: how its output begins; None if that is free, or said by the trie.
        trie: the outputs that it may have; None if there is no list.
        required: texts that it must have, unless the trie sees to that.
        room: tokens that all this takes, END counted.
    """

    begin: Begin | None
    trie: Trie | None
    required: Texts | None
    room: int


class Entry(NamedTuple):
    """A listed output, as marked text and as ids."""

    text: str
    ids: tuple[int, ...]


class Rulebook:
    """The rules of some options.

    Args:
        pieces: those of the target side.
        before: rules that were made before with the same pieces, whose lists are not read again if they are the same.

    Attributes:
        stamp: of the files that the options name.
        notes: what is remarkable about the lists, a line each.
        listed: the listed outputs as they were read.

    Raises:
        ConfigError: the options contradict each other, or ask for what the model cannot write.
        DataError: a list cannot be read.
    """

    def __init__(self, options: SearchConfig, pieces: Pieces, before: Rulebook | None = None) -> None:
        self.options, self.pieces, self.side, self.stamp = options, pieces, pieces.side, stamp(options)
        self.notes: list[str] = []
        self.banned = self._banned()
        self.without = self._without() if options.forbid_text else None
        self._texts: dict[tuple[str, ...], Texts] = {}
        self.within = self._within() if options.only_words else None
        same = before is not None and (before.options.only, before.stamp[0]) == (options.only, self.stamp[0])
        self.listed: list[Entry] | None = (
            before.listed if same and before is not None else self._listed() if options.only else None
        )
        self.entries = self._entries() if options.only else None
        self._wishes: dict[Own, Wish] = {}
        self._all = None if self.entries is None else Trie(entry.ids for entry in self.entries)
        self.usual = self.wish(Own())

    # -- what a search is given

    def wish(self, own: Own) -> Wish:
        """What a line asks for, in place of what all do.

        Raises:
            ConfigError: no output can be so.
        """
        if own not in self._wishes:
            if len(self._wishes) >= KEPT:
                self._wishes.clear()
                self._texts.clear()
            o = self.options
            prefix = (tuple(o.prefix_tokens) or o.prefix) if own.prefix is None else own.prefix
            self._wishes[own] = self._wish(prefix, o.require if own.require is None else own.require)
        return self._wishes[own]

    def limit(self, wish: Wish, usual: int) -> int:
        """The most tokens of a line's output; `usual` is the limit that the length of its source gives."""
        if self.options.max_length is not None:
            return self.options.max_length
        if wish.trie is not None:
            return max(usual, wish.trie.longest)
        return usual if wish.room <= usual else usual + wish.room

    def rules(self, wishes: Sequence[Wish], limits: Sequence[int]) -> tuple[list[Rule], Candidates | None]:
        """The rules for one search, and how it chooses candidates, if the rules have a say in that.

        Args:
            wishes, limits: of the sentences of the search, in their order.
        """
        rules: list[Rule] = [Never(tuple(sorted(self.banned)))] if self.banned else []
        automata = [self._automata(wish, limit) for wish, limit in zip(wishes, limits, strict=True)]
        if not any(automata):
            return rules, None
        follow = Follow(automata)
        return [*rules, follow], Banks(follow) if any(wish.required for wish in wishes) else None

    def _automata(self, wish: Wish, limit: int) -> list[Automaton]:
        if wish.trie is not None:
            return [Listed(wish.trie, limit)]
        having = [Having(wish.required, limit)] if wish.required else []
        return [*([wish.begin] if wish.begin else []), *self._shared, *having]

    @cached_property
    def _shared(self) -> list[Automaton]:
        o = self.options
        found: list[Automaton | None] = [self.without, self.within]
        found += [Fresh(o.no_repeat) if o.no_repeat else None, Long(o.min_length) if o.min_length > 1 else None]
        return [automaton for automaton in found if automaton is not None]

    def may(self, text: str) -> bool:
        """Whether an output may have this text, as far as forbidden texts go."""
        return not (self.without and text and self.without.has(self.pieces.lead + self.side.tokenizer.in_form(text)))

    def failure(self, limit: int) -> str:
        """Says that a search found no output."""
        advice = "" if self._all else "; a wider beam may find one, or other rules"
        return f"no output of at most {limit:,} tokens was found that keeps to the rules{advice}"

    # -- beginnings

    def _wish(self, prefix: Prefix, require: Sequence[str]) -> Wish:
        required = self._required(require) if require else None
        room = max(self.options.min_length, (required.total if required else 0) + 1)
        begin = self._begin(prefix) if prefix else None
        if self._all is not None:
            if begin is None and required is None:
                return Wish(None, self._all, None, room)
            return Wish(None, self._chosen(begin, prefix, required), None, room)
        if begin is not None:
            least = len(begin.tokens) + ((begin.ways.least or 0) if begin.ways else 0)
            self._fits(f"prefix {_shown(prefix)}", least)
            room += least
        return Wish(begin, None, required, room)

    def _begin(self, prefix: Prefix) -> Begin:
        begin = self._text(prefix) if isinstance(prefix, str) else self._tokens(prefix)
        marked = "".join(self.pieces.texts[i] for i in begin.tokens) + (begin.ways.text if begin.ways else "")
        if self.without and self.without.read(self.without.start(), marked) is None:
            raise ConfigError(f"prefix {_shown(prefix)}: it has a text that forbid_text forbids; change one of the two")
        if self.within and self.within.read(self.within.start(), marked) is None:
            raise ConfigError(
                f"prefix {_shown(prefix)}: it has a word that is not in the list of only_words; change one of the two"
            )
        if self.options.no_repeat and _repeats(begin.tokens, self.options.no_repeat):
            n = self.options.no_repeat
            raise ConfigError(
                f"prefix {_shown(prefix)}: it has the same {n} token(s) twice, which no_repeat {n} forbids; change one of the two"
            )
        return begin

    def _tokens(self, prefix: tuple[str, ...]) -> Begin:
        ends = prefix[-1] == SPECIALS[END] and prefix[-1] not in self.side.vocabulary
        ids = [self._id("prefix_tokens", token) for token in (prefix[:-1] if ends else prefix)]
        for i, token in zip(ids, prefix, strict=False):
            if i in self.banned:
                raise ConfigError(f"prefix_tokens: {token!r} is a token that other options forbid; change one of the two")
        return Begin(self.pieces, (*ids, END) if ends else ids, None)

    def _text(self, prefix: str) -> Begin:
        pieces, tokenizer = self.pieces, self.side.tokenizer
        tokens, marked = pieces.cut(prefix)
        known = [token in self.side.vocabulary for token in tokens]
        fixed = len(tokens) - 1  # the last token may become a longer one
        if tokenizer.between_blanks and tokens and prefix.endswith(" "):
            marked, fixed = marked + " ", len(tokens)
        elif tokenizer.learned:  # how the last word is cut depends on how it goes on
            fixed = self._word(tokens, fixed)
        if not all(known[:fixed]):
            fixed = known.index(False)
            fixed = self._word(tokens, fixed) if tokenizer.learned else fixed
        ids = self.side.vocabulary.ids(tokens[:fixed])
        for i, token in zip(ids, tokens, strict=False):
            if i in self.banned:
                raise ConfigError(
                    f"prefix {prefix!r}: it needs the token {token!r}, which other options forbid; change one of the two"
                )
        rest = marked[sum(len(pieces.of(token)) for token in tokens[:fixed]) :]
        if not rest:
            return Begin(pieces, ids, None)
        ways = pieces.ways(rest, False, self.banned)
        if ways.least is None:
            at = min(ways.farthest, len(rest) - 1)
            may = " that may be written" if self.banned else ""
            raise ConfigError(
                f"prefix {prefix!r}: the model has no target tokens{may} for {rest[at : at + 12].strip() or rest[at:]!r}; "
                + (self._other_form([prefix]) or "give another beginning")
            )
        return Begin(pieces, ids, ways)

    def _word(self, tokens: Sequence[str], last: int) -> int:
        """The first token of the word that a token stands in."""
        starts = [
            i
            for i, token in enumerate(tokens[: last + 1])
            if self.pieces.lead and self.pieces.of(token).startswith(self.pieces.lead)
        ]
        return starts[-1] if starts else 0

    def _chosen(self, begin: Begin | None, prefix: Prefix, required: Texts | None) -> Trie:
        """Of the listed outputs those that begin so and have the required texts."""
        assert self.entries is not None
        kept = self.entries if begin is None else list(self._beginning_with(begin))
        if not kept:
            raise ConfigError(f"prefix {_shown(prefix)}: none of the outputs of only begins so; give another beginning")
        kept = [entry for entry in kept if required is None or required.has(entry.text)]
        if not kept:
            raise ConfigError("require: none of the outputs of only has these texts; change one of the two")
        return Trie(entry.ids for entry in kept)

    def _beginning_with(self, begin: Begin) -> Iterator[Entry]:
        assert self.entries is not None
        if begin.ways is None:
            n, own = len(begin.tokens), tuple(begin.tokens)
            yield from (entry for entry in self.entries if entry.ids[:n] == own)
            return
        marked = "".join(self.pieces.texts[i] for i in begin.tokens) + begin.ways.text
        for entry in self.entries[bisect_left(self.entries, (marked,)) :]:
            if not entry.text.startswith(marked):
                return
            behind = entry.text[len(marked) : len(marked) + 1]
            if not (self.pieces.composes and behind and continues(behind)):
                yield entry

    # -- options, one by one

    def _fits(self, what: str, least: int) -> None:
        most = self.options.max_length
        if most is not None and least > most:
            raise ConfigError(f"{what} needs {least} tokens, but max_length is {most}; change one of the two")

    def _id(self, option: str, token: str) -> int:
        """The id of a token that an option names."""
        if token in self.side.vocabulary:
            return self.side.vocabulary.ids([token])[0]
        if token == SPECIALS[UNK]:
            return UNK
        tokens = self.side.vocabulary.tokens(range(len(SPECIALS), len(self.side)))
        own = normalize("NFC", token.strip())
        pieces = (normalize("NFC", piece.strip()) for piece in self.pieces.texts[len(SPECIALS) :])
        alike = [t for t, piece in zip(tokens, pieces, strict=True) if piece == own]
        near = alike or difflib.get_close_matches(token, tokens, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {' '.join(tokens[:8])} …"
        raise ConfigError(f"{option}: {token!r} is not a target token of the model; {hint}")

    def _banned(self) -> frozenset[int]:
        o, all_ids = self.options, range(UNK, len(self.side))
        forbidden = {self._id("forbid", token) for token in o.forbid if not self._is_end("forbid", token)}
        allowed = {self._id("allow", token) for token in o.allow if not self._is_end("allow", token)}
        for token in o.allow:
            if not self._is_end("allow", token) and self._id("allow", token) in forbidden:
                raise ConfigError(f"allow and forbid both name {token!r}; change one of the two")
        banned = forbidden | ({UNK} if o.unknown == "forbid" else set())
        if o.allow:
            banned |= {i for i in all_ids if i not in allowed}
        if len(banned) == len(all_ids):
            raise ConfigError("forbid, allow and unknown together leave no token that may be written; change one of them")
        return frozenset(banned)

    def _is_end(self, option: str, token: str) -> bool:
        """Whether a token is the end token, which is always allowed and never forbidden."""
        if token != SPECIALS[END] or token in self.side.vocabulary:
            return False
        if option == "forbid":
            raise ConfigError("forbid: '</s>' ends an output and cannot be forbidden; for longer outputs give min_length")
        return True

    def _required(self, given: Sequence[str]) -> Texts:
        o, texts = self.options, tuple(dict.fromkeys(text.strip(" ") for text in given))
        shown = " ".join(map(repr, texts))
        for text in texts:
            if self.without and self.without.read(0, self.side.tokenizer.in_form(text)) is None:
                raise ConfigError(f"require {text!r} has a text that forbid_text forbids; change one of the two")
            if self._least(text) is None:
                may = " that may be written" if self.banned else ""
                advice = self._other_form([text]) or "leave it out"
                raise ConfigError(f"require {text!r}: the model has no target tokens{may} for it; {advice}")
        if texts not in self._texts:
            self._texts[texts] = Texts(self.pieces, texts)
        required = self._texts[texts]
        self._fits(f"require {shown}", max(self._least(text) or 0 for text in texts))
        if o.beam // o.groups <= required.total and not o.only:
            n, each = required.total, "" if o.groups == 1 else f" in {o.groups} groups, {o.beam // o.groups} in each"
            raise ConfigError(
                f"require: {shown} has {n} token(s), and the search keeps hypotheses with 0 to {n} of them: "
                f"beam is {o.beam}{each}; give {(n + 1) * o.groups} or more"
            )
        return required

    def _least(self, text: str) -> int | None:
        """The fewest tokens that write a text, behind a blank or not; None if there are none."""
        inner = self.side.tokenizer.in_form(text)
        ways = [self.pieces.ways(start + inner, True, self.banned).least for start in {self.pieces.lead, ""}]
        return min((least for least in ways if least is not None), default=None)

    def _without(self) -> Without:
        o = self.options
        never = [] if o.unknown == "copy" else [text for text in o.forbid_text if self._strange([text])]
        if never:
            advice, them = self._other_form(never), "them" if len(never) > 1 else "it"
            self.notes.append(
                f"forbid_text: no target token has the characters of {' '.join(map(repr, never))}, so no output can have {them}"
                + f"; {advice}" * bool(advice)
            )
        return Without(self.pieces, o.forbid_text)

    def _within(self) -> Within:
        words, where = entries_of("only_words", self.options.only_words)
        kept: list[str] = []
        strange: list[str] = []
        for word in words:
            if " " in word:
                raise ConfigError(f"{where}: {word!r} has a blank; wanted one word a line")
            (strange if self._least(word) is None else kept).append(word)
        self._left_out(where, "only_words", len(words), strange, kept)
        return Within(self.pieces, kept, self.banned)

    def _listed(self) -> list[Entry]:
        """The outputs of the list that can be written at all."""
        texts, where = entries_of("only", self.options.only)
        tokens = self.side.tokenizer.batch(texts)
        known, strange = [], []
        for text, own in zip(texts, tokens, strict=True):
            ids = self.side.vocabulary.ids(own)
            if UNK in ids or not own:
                strange.append(text)
            else:
                known.append(Entry("".join(self.pieces.texts[i] for i in ids), (*ids, END)))
        self._left_out(where, "only", len(texts), strange, known)
        return sorted(dict.fromkeys(known))

    def _entries(self) -> list[Entry]:
        """Those that keep to the other rules."""
        assert self.listed is not None
        kept = list(filter(self._keeps_to_rules, self.listed))
        if not kept:
            n, where = len(self.listed), self.options.only if isinstance(self.options.only, str) else "only"
            raise ConfigError(f"{where}: none of its {n:,} outputs keeps to the other rules; change them or the list")
        return kept

    def _keeps_to_rules(self, entry: Entry) -> bool:
        o, (text, ids) = self.options, entry
        return (
            self.banned.isdisjoint(ids)
            and o.min_length <= len(ids) <= (o.max_length or len(ids))
            and not (self.without and self.without.has(text))
            and not (self.within and not self.within.has(text))
            and not (o.no_repeat and _repeats(ids, o.no_repeat))
        )

    def _left_out(self, where: str, option: str, n: int, strange: Sequence[str], kept: Sequence[object]) -> None:
        what = "outputs" if option == "only" else "words"
        if not kept:
            advice = self._other_form(strange) or "give others"
            raise ConfigError(f"{where}: none of its {n:,} {what} can be written with the model's target tokens; {advice}")
        if strange:
            advice = self._other_form(strange)
            self.notes.append(
                f"{where}: {len(strange):,} of {n:,} {what} cannot be written with the model's target tokens, and are left out: "
                + " ".join(map(repr, strange[:4]))
                + " …" * (len(strange) > 4)
                + f"; {advice}" * bool(advice)
            )

    def _other_form(self, texts: Iterable[str]) -> str:
        """Advice for texts that cannot be written, if they could be in another Unicode form; else ""."""
        return form_advice(self._strange(texts), self._characters)

    def _strange(self, texts: Iterable[str]) -> set[str]:
        """The characters of these texts that no target token has."""
        return set("".join(map(self.side.tokenizer.in_form, texts))) - self._characters

    @cached_property
    def _characters(self) -> set[str]:
        """The characters that an output can have."""
        return set(" ").union(*self.pieces.texts)


def _repeats(ids: Sequence[int], n: int) -> bool:
    """Whether n ids in a row occur twice."""
    grams = [tuple(ids[i : i + n]) for i in range(len(ids) - n + 1)]
    return len(set(grams)) < len(grams)


def _shown(prefix: Prefix) -> str:
    return repr(prefix if isinstance(prefix, str) else " ".join(prefix))
