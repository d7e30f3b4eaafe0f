"""Tokenizers: text to tokens and back; `char`, `space`, `word` and `bpe`, each one class.

To add one, write a class with `cut`, `join` and `word_indices` below, say what its tokens are, and give it a line in
`TOKENIZERS`.

The tokenizer puts a text into the Unicode form of its side before it cuts it. If that form decomposes (NFD, NFKD), joined text
is composed (NFC). In `word` and `bpe`, the first token begins with ▁, and so does a token behind a blank. There, a ▁ of the
text itself becomes a blank (the two change places), so that every text comes back unchanged.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, pairwise
from typing import Any, ClassVar, Final, cast, final, get_args

from jumok.config import BETWEEN, UnicodeForm
from jumok.errors import FolderError
from jumok.text import bpe

_SWAP: Final = str.maketrans({" ": "▁", "▁": " "})


class Tokenizer(ABC):
    """Cuts text into tokens, and joins them again. `form` is the Unicode form of the text before it is cut.

    `several`: the texts are of several sources, with a TAB between two, which is a token of its own. So no text of one source can
    have that token.
    """

    name: ClassVar[str]
    unknown: ClassVar[str] = "�"
    """How <unk> is written in text: U+FFFD if a token is about one character, else the word <unk>."""
    characters: ClassVar[bool] = False
    """Whether tokens are characters, so that metrics and lengths count characters."""
    between_blanks: ClassVar[bool] = False
    """Whether tokens are the parts between blanks, so that the text is tokenised already: phones, or words."""
    learned: ClassVar[bool] = False
    """Whether `train` learns from texts. If both sides have such a tokenizer, they share it, and a vocabulary, by default."""

    def __init__(self, form: UnicodeForm) -> None:
        self.form, self.several = form, False

    @final
    def tokens(self, text: str) -> list[str]:
        """The tokens of a text; none for an empty one."""
        return self.batch([text])[0]

    @final
    def batch(self, texts: Iterable[str]) -> list[list[str]]:
        """The tokens of many texts, which may be faster than one by one."""
        form = self.form
        texts = texts if form == "none" else [unicodedata.normalize(form, t) for t in texts]
        return self._cut_several(texts) if self.several else self.cut(texts)

    def _cut_several(self, texts: Iterable[str]) -> list[list[str]]:
        parts = [t.split(BETWEEN) for t in texts]
        cut = iter(self.cut(part for of_text in parts for part in of_text))
        return [[token for part in of_text for token in (BETWEEN, *next(cut))][1:] for of_text in parts]

    @final
    def in_form(self, text: str) -> str:
        """The text in the Unicode form in which it is cut."""
        return text if self.form == "none" else unicodedata.normalize(self.form, text)

    @final
    def text(self, tokens: Iterable[str]) -> str:
        """The text of these tokens, in NFC if `form` decomposes."""
        joined = BETWEEN.join(map(self.join, _parts(tokens))) if self.several else self.join(tokens)
        return unicodedata.normalize("NFC", joined) if self.form in ("NFD", "NFKD") else joined

    @final
    def words(self, text: str) -> list[int]:
        """For each token of `text`, the index of its word, from 0; -1 for a token of blanks alone, which is in no word.

        Words are the parts between ASCII blanks of `text` as it is given. No other space separates words, and empty ones do
        not count.
        """
        if self.several and BETWEEN in text:
            return self._words_of_several(text.split(BETWEEN))
        indices = self.word_indices(self.tokens(text))
        if self.form not in ("NFKC", "NFKD"):
            return indices
        # These forms turn other spaces into blanks, so that a word of the given text may become several.
        parts = (unicodedata.normalize(self.form, word).split(" ") for word in text.split(" ") if word)
        old = [i for i, part in enumerate(parts) for word in part if word]
        return [old[i] if i >= 0 else -1 for i in indices]

    def _words_of_several(self, parts: Sequence[str]) -> list[int]:
        indices: list[int] = []
        before = 0
        for part in parts:
            indices += [-1] + [i + before if i >= 0 else -1 for i in self.words(part)]
            before += sum(bool(word) for word in part.split(" "))
        return indices[1:]

    def all_tokens(self) -> set[str]:
        """Every token that texts can be cut into by what it has learned; none if it does not learn."""
        return set()

    @abstractmethod
    def word_indices(self, tokens: Sequence[str]) -> list[int]:
        """As `words`, for the tokens of a text that is in the Unicode form already."""

    @abstractmethod
    def cut(self, texts: Iterable[str]) -> list[list[str]]:
        """The tokens of texts that are in the Unicode form already."""

    @abstractmethod
    def join(self, tokens: Iterable[str]) -> str:
        """The inverse of `cut`, for one text."""

    @classmethod
    def train(cls, form: UnicodeForm, texts: Iterable[str], size: int) -> Tokenizer:
        """A tokenizer for these texts. Only one that is `learned` reads them."""
        return cls(form)

    def to_dict(self) -> dict[str, Any]:
        """JSON values, for `load_tokenizer`."""
        return {"name": self.name, "form": self.form, **({"several": True} if self.several else {})}

    @classmethod
    def from_dict(cls, values: dict[str, Any], where: str) -> Tokenizer:
        """The tokenizer from values of `to_dict`. FolderError, with the file `where`, if they are damaged."""
        return cls(_form(values, where))


@final
class CharTokenizer(Tokenizer):
    """Code points. Every text comes back unchanged."""

    name = "char"
    characters = True

    def cut(self, texts: Iterable[str]) -> list[list[str]]:
        return [list(t) for t in texts]

    def word_indices(self, tokens: Sequence[str]) -> list[int]:
        first = [t != " " and (i == 0 or tokens[i - 1] == " ") for i, t in enumerate(tokens)]
        return [-1 if t == " " else i - 1 for t, i in zip(tokens, accumulate(first), strict=True)]

    def join(self, tokens: Iterable[str]) -> str:
        return "".join(tokens)


@final
class SpaceTokenizer(Tokenizer):
    """Parts between ASCII blanks; no other space separates. Text comes back with single blanks and none at its ends."""

    name = "space"
    unknown = "<unk>"
    between_blanks = True

    def cut(self, texts: Iterable[str]) -> list[list[str]]:
        return [[part for part in t.split(" ") if part] for t in texts]

    def word_indices(self, tokens: Sequence[str]) -> list[int]:
        return list(range(len(tokens)))

    def join(self, tokens: Iterable[str]) -> str:
        return " ".join(tokens)


@final
class WordTokenizer(Tokenizer):
    """Words (letters, digits, underscores and their combining marks) and single other characters.

    Every text comes back unchanged. "A man, here." -> ▁A ▁man , ▁here .
    """

    name = "word"
    unknown = "▁<unk>"

    def cut(self, texts: Iterable[str]) -> list[list[str]]:
        pattern = _words()
        return [pattern.findall(_with_marks(t)) for t in texts]

    def word_indices(self, tokens: Sequence[str]) -> list[int]:
        return _marked_words(tokens)

    def join(self, tokens: Iterable[str]) -> str:
        return _without_marks(tokens)


@final
class BpeTokenizer(Tokenizer):
    """Subwords by byte pair encoding of characters (Sennrich, Haddow & Birch 2016, section 3.2), never across a blank.

    Every text comes back unchanged. A character that was not seen in training is a token that no vocabulary has.

    Attributes:
        alphabet: the characters seen in training.
        merges: pairs of tokens that become one, in the order in which they were learned.
    """

    name = "bpe"
    learned = True

    def __init__(self, form: UnicodeForm, alphabet: Sequence[str], merges: Sequence[tuple[str, str]]) -> None:
        super().__init__(form)
        self.alphabet, self.merges = list(alphabet), list(merges)
        self._ranked = bpe.ranked(self.merges)
        self._cut = bpe.cutter(self._ranked)

    def __reduce__(self) -> tuple[Any, ...]:
        return BpeTokenizer, (self.form, self.alphabet, self.merges), {"several": self.several}  # without its cache

    @classmethod
    def train(cls, form: UnicodeForm, texts: Iterable[str], size: int) -> BpeTokenizer:
        """Learns merges until alphabet and merges have `size` entries together, or no pair occurs twice.

        Raises:
            MissingExtra: the package `tokenizers`, which only this needs, is not installed.
        """
        marked = (_with_marks(t if form == "none" else unicodedata.normalize(form, t)) for t in texts)
        return cls(form, *bpe.learn(marked, size))

    def cut(self, texts: Iterable[str]) -> list[list[str]]:
        return [self._cut(t) for t in texts]

    def cut_word(self, word: str, dropout: float, draw: Callable[[], float]) -> list[str]:
        """The tokens of one of `bpe.words`; each merge is passed over with probability `dropout`, see `merge_with_dropout`."""
        if not dropout or len(word) > bpe.LONGEST:
            return bpe.merge(word, self._ranked)
        return bpe.merge_with_dropout(word, self._ranked, dropout, draw)

    def all_tokens(self) -> set[str]:
        """Every token that a word can be cut into, but characters that were not seen in training."""
        return {*self.alphabet, *(a + b for a, b in self.merges)}

    def word_indices(self, tokens: Sequence[str]) -> list[int]:
        return _marked_words(tokens)

    def join(self, tokens: Iterable[str]) -> str:
        return _without_marks(tokens)

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "alphabet": "".join(self.alphabet), "merges": [list(m) for m in self.merges]}

    @classmethod
    def from_dict(cls, values: dict[str, Any], where: str) -> BpeTokenizer:
        alphabet, merges = values.get("alphabet"), values.get("merges")
        if not isinstance(alphabet, str) or not isinstance(merges, list) or len(set(alphabet)) < len(alphabet):
            raise FolderError(f"{where}: the bpe tokenizer has no alphabet or no merges; the file is damaged")
        known = set(alphabet)
        for i, merge in enumerate(merges):
            if not (isinstance(merge, list) and len(merge) == 2 and all(isinstance(m, str) and m in known for m in merge)):
                raise FolderError(
                    f"{where}: merge {i + 1} of the bpe tokenizer is not two tokens known before it; the file is damaged"
                )
            known.add(merge[0] + merge[1])
        return cls(_form(values, where), alphabet, [(a, b) for a, b in merges])


TOKENIZERS: dict[str, type[Tokenizer]] = {
    "char": CharTokenizer,
    "space": SpaceTokenizer,
    "word": WordTokenizer,
    "bpe": BpeTokenizer,
}


def train_tokenizer(name: str, form: UnicodeForm, texts: Iterable[str], bpe_size: int, several: bool = False) -> Tokenizer:
    """Trains a tokenizer of TOKENIZERS. Only one that is `learned` reads the texts and `bpe_size`; `several` as in `Tokenizer`."""
    if several:
        texts = (part for text in texts for part in text.split(BETWEEN))
    tokenizer = TOKENIZERS[name].train(form, texts, bpe_size)
    tokenizer.several = several
    return tokenizer


def load_tokenizer(values: Any, where: str) -> Tokenizer:
    """The tokenizer from values of `to_dict`. FolderError, with the file `where`, if they are damaged."""
    if not isinstance(values, dict) or not isinstance(values.get("name"), str) or values["name"] not in TOKENIZERS:
        raise FolderError(f"{where}: its tokenizer is none of {', '.join(TOKENIZERS)}; the file is damaged or of a newer Jumok")
    tokenizer = TOKENIZERS[values["name"]].from_dict(values, where)
    tokenizer.several = values.get("several") is True
    return tokenizer


def _parts(tokens: Iterable[str]) -> list[list[str]]:
    """The tokens of each of several texts."""
    parts: list[list[str]] = [[]]
    for token in tokens:
        if token == BETWEEN:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def _form(values: dict[str, Any], where: str) -> UnicodeForm:
    form = values.get("form")
    if form not in get_args(UnicodeForm):
        raise FolderError(
            f"{where}: the tokenizer's form is {form!r}, wanted {', '.join(get_args(UnicodeForm))}; the file is damaged"
        )
    return cast(UnicodeForm, form)


def _with_marks(text: str) -> str:
    return (" " + text).translate(_SWAP) if text else ""


def _without_marks(tokens: Iterable[str]) -> str:
    return "".join(tokens).removeprefix("▁").translate(_SWAP)


def _marked_words(tokens: Sequence[str]) -> list[int]:
    """The index of each token's word. Each ▁ begins a word, unless the next token begins one as well."""
    indices, words = [], 0
    for token, after in pairwise([*tokens, "▁"]):
        blank = token == "▁" and after.startswith("▁")
        words += token.startswith("▁") and not blank
        indices.append(-1 if blank else words - 1)
    return indices


@functools.cache
def _words() -> re.Pattern[str]:
    r"""Matches a word or another character, with a ▁ before it; or a ▁ alone. \w lacks combining marks and the two joiners."""
    marks = "".join(c for c in map(chr, range(0x300, 0x1F000)) if unicodedata.category(c).startswith("M"))
    marks += "\u200c\u200d\U000e0100-\U000e01ef"
    # The large set is slow, so it is tried only where a mark can be: seven times faster on Latin text.
    word = rf"(?:\w|(?=[^\0-\u02FF▁])[{marks}])(?:\w+|(?=[^\0-\u02FF▁])[{marks}])*"
    return re.compile(rf"▁?(?:{word}|[^▁])|▁")
