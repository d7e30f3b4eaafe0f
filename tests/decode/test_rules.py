"""Rules of decoding against the whole space: the best output that keeps to them is found when the beam is as wide as the space."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_backend import Planted, log_softmax, random_logits
from random_models import CASES, CHAIN_IDS, CHAINS, IDS, parameters, sources

from jumok.config import SearchConfig, build
from jumok.decode.hypotheses import Hypothesis
from jumok.decode.policy import policy_of
from jumok.decode.rulebook import Prefix, Rulebook
from jumok.decode.search import beam as beam_search
from jumok.decode.search import greedy, search
from jumok.errors import ConfigError
from jumok.runtime.model import NumpyModel
from jumok.text.codec import Side
from jumok.text.given import Own
from jumok.text.pieces import Pieces
from jumok.text.tokenizers import BpeTokenizer, CharTokenizer, SpaceTokenizer, WordTokenizer
from jumok.text.vocabulary import END, UNK, Vocabulary

CHAR = Side(CharTokenizer("none"), Vocabulary(["a", "b", " "], [1] * 3))
SPACE = Side(SpaceTokenizer("none"), Vocabulary(["a", "b", "ab"], [1] * 3))
WORD = Side(WordTokenizer("none"), Vocabulary(["▁a", "▁ab", "b", "."], [1] * 4))
BPE = Side(BpeTokenizer("none", "ab▁", [("▁", "a"), ("▁a", "b")]), Vocabulary(["▁", "▁a", "b", "▁ab", "a"], [1] * 5))
JAMO = Side(CharTokenizer("NFD"), Vocabulary(sorted({*unicodedata.normalize("NFD", "각나")}), [1] * 4))
SIDES = {"char": CHAR, "space": SPACE, "word": WORD, "bpe": BPE, "NFD": JAMO}
ALPHABET = {"char": "ab ", "space": "ab ", "word": "ab. ", "bpe": "ab ", "NFD": "가각나"}


def run(side: Side, logits: Callable, limit: int, *given: Prefix | Own, **options) -> list[list[Hypothesis]]:
    """Search for one sentence for each that is given, a prefix or more, as the translator does it."""
    o = build(SearchConfig, options, "test")
    book = Rulebook(o, Pieces(side))
    wishes = [book.wish(one if isinstance(one, Own) else Own(one)) for one in given] or [book.usual]
    source = np.zeros((len(wishes), 3), int)
    source[:, 0] = 5
    limits = [book.limit(wish, limit) for wish in wishes]
    policy = policy_of(o, book, wishes, limits)
    return search(Planted(logits), source, np.full(len(wishes), 3), o, np.array(limits), policy)


def written(side: Side, tokens: tuple[int, ...]) -> str:
    kept = [t for t in tokens if t != END]
    named = side.vocabulary.tokens(kept)
    return side.tokenizer.text(side.tokenizer.unknown if t == UNK else n for t, n in zip(kept, named, strict=True))


def best(side: Side, logits: Callable, limit: int, keeps: Callable[[str, tuple[int, ...]], bool]) -> list[tuple[int, ...]]:
    """All outputs that end within the limit and keep to the rules, best first, by a loop over all that there are."""
    found = []
    rows = {}
    for n in range(limit):
        for prefix in itertools.product([t for t in range(UNK, len(side))], repeat=n):
            tokens = (*prefix, END)
            if keeps(written(side, tokens), tokens):
                for i in range(len(tokens)):
                    if tokens[:i] not in rows:
                        rows[tokens[:i]] = log_softmax(logits(5, tokens[:i]))
                found.append((sum(float(rows[tokens[:i]][t]) for i, t in enumerate(tokens)) / len(tokens), tokens))
    return [tokens for _, tokens in sorted(found, key=lambda one: -one[0])]


def occurs(name: str, part: str, text: str) -> bool:
    """Whether a text occurs in an output, between a blank in front and a blank behind. Of NFD, whole characters do."""
    if name != "NFD":
        return part in f" {text} "
    part, text = (unicodedata.normalize("NFD", t) for t in (part, text))
    return re.search(re.escape(part) + r"(?![\u1160-\u11ff])", text) is not None


def begins(name: str, part: str, text: str) -> bool:
    """Whether an output begins with a text; of NFD, with its whole characters."""
    if name != "NFD":
        return text.startswith(part)
    part, text = (unicodedata.normalize("NFD", t) for t in (part, text))
    return text.startswith(part) and not "\u1160" <= text[len(part) :][:1] <= "\u11ff"


def texts(name: str, most: int = 3) -> st.SearchStrategy[str]:
    return st.text(ALPHABET[name], min_size=1, max_size=most).filter(str.strip)


@st.composite
def cases(draw):
    name = draw(st.sampled_from(list(SIDES)))
    side, limit = SIDES[name], draw(st.sampled_from([2, 3, 3, 4]))
    return name, side, random_logits(draw(st.integers(0, 10**6)), len(side), -1.0), limit


def agree(side: Side, logits: Callable, limit: int, keeps: Callable[[str, tuple[int, ...]], bool], **options) -> None:
    """Search with these options finds the outputs that a loop over all finds, in the same order; or neither finds any."""
    wanted = best(side, logits, options.get("max_length", limit), keeps)
    try:
        (found,) = run(side, logits, limit, beam=700, nbest=5, max_length=options.pop("max_length", limit), **options)
    except ConfigError:
        said = "".join(written(side, tokens) for tokens in wanted)
        assert not any(c.isalnum() for c in said)  # refused before the search: then there is none with a word
        return
    assert [h.tokens for h in found if h.finished] == wanted[:5]


def grams(tokens: tuple[int, ...], n: int) -> list[tuple[int, ...]]:
    return [tokens[i : i + n] for i in range(len(tokens) - n + 1)]


@settings(max_examples=15)
@given(cases(), st.data())
def test_forbidden_allowed_least_and_fresh(case, data) -> None:
    _, side, logits, limit = case
    tokens = side.vocabulary.tokens(range(UNK, len(side)))
    forbid = data.draw(st.lists(st.sampled_from(tokens), max_size=2))
    allow = data.draw(st.lists(st.sampled_from(tokens), max_size=4))
    least, n = data.draw(st.integers(0, 3)), data.draw(st.integers(0, 2))
    unknown = data.draw(st.sampled_from(["keep", "forbid"]))

    def keeps(text: str, ids: tuple[int, ...]) -> bool:
        own = side.vocabulary.tokens(ids[:-1])
        return (
            not set(own) & set(forbid)
            and (not allow or set(own) <= set(allow))
            and len(ids) >= least
            and (n == 0 or len(set(grams(ids, n))) == len(grams(ids, n)))
            and (unknown == "keep" or "<unk>" not in own)
        )

    if set(forbid) & set(allow):
        with pytest.raises(ConfigError, match="allow and forbid both name"):
            run(side, logits, limit, forbid=forbid, allow=allow)
        return
    agree(side, logits, limit, keeps, forbid=forbid, allow=allow, min_length=least, no_repeat=n, unknown=unknown)


@settings(max_examples=15)
@given(cases(), st.data())
def test_forbidden_texts(case, data) -> None:
    name, side, logits, limit = case
    forbidden = data.draw(st.lists(texts(name), min_size=1, max_size=3))
    agree(side, logits, limit, lambda text, ids: not any(occurs(name, f, text) for f in forbidden), forbid_text=forbidden)


def word_in(name: str, word: str, text: str) -> bool:
    """Whether a required text occurs, as the docs say."""
    if name in ("char", "NFD"):
        return occurs(name, word, text)
    if name == "space":
        return f" {word} " in f" {text} "
    left, right = (r"(?<!\w)" if word[0].isalnum() else ""), (r"(?!\w)" if word[-1].isalnum() else "")
    return re.search(left + re.escape(word) + right, text) is not None


@settings(max_examples=15)
@given(cases(), st.data())
def test_required_texts(case, data) -> None:
    name, side, logits, limit = case
    required = [t.strip() for t in data.draw(st.lists(texts(name), min_size=1, max_size=2))]
    if name == "space":
        required = [" ".join(t.split()) for t in required]
    agree(side, logits, limit, lambda text, ids: all(word_in(name, r, text) for r in required), require=required)


@settings(max_examples=15)
@given(cases(), st.data())
def test_a_text_begins_the_output_however_it_goes_on(case, data) -> None:
    """The tokens in front of the last word are those of the tokenizer; in the rest, however cut, is all that begins so."""
    name, side, logits, limit = case
    prefix = data.draw(st.text(ALPHABET[name], min_size=1, max_size=3))
    cut = side.tokenizer.tokens(prefix)
    wanted = (" ".join(cut) + " " * (bool(cut) and prefix.endswith(" "))) if name == "space" else prefix

    def keeps(text: str, ids: tuple[int, ...]) -> bool:
        own = side.vocabulary.tokens(ids[:-1])
        if not cut:
            return True
        if not begins(name, wanted, text) or not own or (name in ("word", "bpe") and not own[0].startswith("▁")):
            return False
        if name == "bpe":
            fixed = max(i for i, token in enumerate(cut) if token.startswith("▁"))
        else:
            fixed = len(cut) - (name != "space" or not prefix.endswith(" "))
        known = own[: fixed + (name == "bpe" or not prefix.endswith(" "))]
        return own[:fixed] == cut[:fixed] and "<unk>" not in known

    if name == "word" and any(token not in side.vocabulary for token in cut[:-1]):
        return  # then other tokens may write it, as the test below has it
    agree(side, logits, limit, keeps, prefix=prefix)


@settings(max_examples=15)
@given(cases(), st.data())
def test_tokens_begin_the_output(case, data) -> None:
    _, side, logits, limit = case
    prefix = data.draw(st.lists(st.sampled_from(side.vocabulary.tokens(range(UNK, len(side)))), min_size=1, max_size=3))
    ids = tuple(UNK if t == "<unk>" else side.vocabulary.ids([t])[0] for t in prefix)
    agree(side, logits, limit, lambda text, own: own[: len(ids)] == ids and len(own) > len(ids), prefix_tokens=prefix)
    (found,) = run(side, logits, limit, beam=3, prefix_tokens=[*prefix, "</s>"])
    assert [h.tokens for h in found] == [(*ids, END)]


@settings(max_examples=15)
@given(cases(), st.data())
def test_only_listed_outputs(case, data) -> None:
    name, side, logits, limit = case
    listed = data.draw(st.lists(texts(name, 4), min_size=1, max_size=8))
    prefix = data.draw(st.sampled_from(["", *ALPHABET[name].replace(" ", "")]))
    forbidden = data.draw(st.lists(texts(name, 2), max_size=1))
    ids = {(*side.vocabulary.ids(side.tokenizer.tokens(t)), END) for t in listed}

    def keeps(text: str, own: tuple[int, ...]) -> bool:
        return (
            own in ids and UNK not in own and begins(name, prefix, text) and not any(occurs(name, f, text) for f in forbidden)
        )

    agree(side, logits, limit, keeps, only=listed, prefix=prefix, forbid_text=forbidden)
    try:
        every = [run(side, logits, 1, beam=b, only=listed, prefix=prefix, forbid_text=forbidden)[0] for b in (1, 2, 4)]
    except ConfigError:
        return
    for found in every:  # whatever the beam, and although the usual limit is too short for them
        assert found and all(h.finished and keeps(written(side, h.tokens), h.tokens) for h in found)


@settings(max_examples=15)
@given(cases(), st.data())
def test_only_listed_words(case, data) -> None:
    name, side, logits, limit = case
    words = [w.strip() for w in data.draw(st.lists(texts(name), min_size=1, max_size=4))]
    words = [w for w in words if " " not in w] or ["a"]
    known = {unicodedata.normalize("NFC", w) for w in words}

    def keeps(text: str, ids: tuple[int, ...]) -> bool:
        if UNK in ids or name == "NFD":
            return UNK not in ids and (not text or text in known)
        if name == "space":
            return all(w in known for w in text.split())
        return _of(known, text)

    agree(side, logits, limit, keeps, only_words=words)


def _of(words: set[str], text: str) -> bool:
    """Whether a text can be read as words with blanks and punctuation between them."""
    ends = {0}  # places where a word has ended, or none has begun
    for at in range(len(text)):
        if at not in ends:
            continue
        if not text[at].isalnum():
            ends.add(at + 1)
        if at == 0 or not text[at - 1].isalnum() or not text[at].isalnum():
            ends |= {
                at + len(w)
                for w in words
                if text.startswith(w, at) and (at + len(w) == len(text) or not text[at + len(w)].isalnum())
            }
    return len(text) in ends


# --- the same numbers as without rules, and each line its own


@pytest.mark.parametrize("c", CASES[::5] + CHAINS[::3], ids=IDS[::5] + CHAIN_IDS[::3])
def test_a_prefix_takes_the_same_steps(c) -> None:
    """Token by token what search writes by itself: the same bits. Forced elsewhere: the probability of a given target."""
    model = NumpyModel(c, parameters(c))
    pieces = Pieces(Side(CharTokenizer("none"), Vocabulary([chr(97 + i) for i in range(60)], [1] * 60)))
    for source in sources(c):
        ids, lengths, limits = np.array([source]), np.array([len(source)]), np.array([7])
        (free,) = greedy(model, ids, lengths, SearchConfig(), limits)
        names = pieces.side.vocabulary.tokens(free.tokens)
        for n in {1, len(names) // 2 + 1, len(names)}:
            o = build(SearchConfig, {"prefix_tokens": names[:n], "max_length": 7}, "test")
            book = Rulebook(o, pieces)
            (forced,) = greedy(model, ids, lengths, o, limits, policy_of(o, book, [book.usual], [7]))
            assert (forced.tokens, forced.log_probability, forced.score) == (free.tokens, free.log_probability, free.score)
            assert (forced.weights is None) == (free.weights is None)
            assert forced.weights is None or np.array_equal(forced.weights, free.weights)
        other = build(SearchConfig, {"prefix_tokens": ["c", "a", "b", "</s>"], "beam": 3}, "test")
        book = Rulebook(other, pieces)
        (given,) = search(model, ids, lengths, other, limits, policy_of(other, book, [book.usual], [7]))[0]
        target = np.array([given.tokens])
        logs, _ = model.score(ids, lengths, target, np.array([target.shape[1]]))
        assert given.finished and given.log_probability == pytest.approx(float(logs.sum()), abs=1e-4)


@settings(max_examples=10)
@given(st.integers(0, 10**6), st.data())
def test_each_line_has_its_own_wishes_whatever_stands_beside_it(seed: int, data) -> None:
    logits = random_logits(seed, len(CHAR), -1.0)
    prefixes = data.draw(st.lists(st.sampled_from(["", "a", "b", "ab", ("b", "b"), ("a",)]), min_size=1, max_size=5))
    texts_ = data.draw(st.lists(st.sampled_from([None, (), ("b",), ("ab", "ba"), ("bbb",)]), min_size=1, max_size=4))
    own = [Own(prefix, require) for prefix, require in zip(prefixes, texts_, strict=False)]
    together = run(CHAR, logits, 6, *own, beam=6, nbest=3)
    for one, found in zip(own, together, strict=True):
        (alone,) = run(CHAR, logits, 6, one, beam=6, nbest=3)
        assert [(h.tokens, h.log_probability) for h in found] == [(h.tokens, h.log_probability) for h in alone]
        assert found and all(text in written(CHAR, h.tokens) for h in found for text in one.require or ())
        if not one.require:
            assert [h.tokens for h in found] == [h.tokens for h in run(CHAR, logits, 6, one.prefix, beam=6, nbest=3)[0]]
    for options in (
        {},
        {"beam": 3, "nbest": 2},
        {"beam": 4, "require": ["ba"]},
        {"only": ["ab", "abb", "bba", "a"], "beam": 2},
    ):
        together = run(CHAR, logits, 5, *prefixes, **options)
        for prefix, found in zip(prefixes, together, strict=True):
            (alone,) = run(CHAR, logits, 5, prefix, **options)
            assert [(h.tokens, h.log_probability, h.score) for h in found] == [
                (h.tokens, h.log_probability, h.score) for h in alone
            ]
            for h in found:
                wanted = [Planted.weights(h.tokens[:i], 3, 3) for i in range(len(h.tokens))]
                np.testing.assert_allclose(h.weights, wanted, atol=1e-6)
                total = sum(float(log_softmax(logits(5, h.tokens[:i]))[t]) for i, t in enumerate(h.tokens))
                assert h.log_probability == pytest.approx(total, abs=1e-5)  # the model's own, rules or not


@settings(max_examples=15)
@given(cases(), st.data())
def test_a_beam_of_one_is_greedy_under_rules(case, data) -> None:
    name, side, logits, _ = case
    o = build(
        SearchConfig, {"forbid_text": data.draw(st.lists(texts(name), max_size=3)), "no_repeat": 2, "min_length": 3}, "test"
    )
    book = Rulebook(o, Pieces(side))
    source, lengths, limits = np.array([[5, 0, 0], [6, 0, 0]]), np.array([3, 3]), np.array([6, 4])
    found = [
        how(Planted(logits), source, lengths, o, limits, policy_of(o, book, [book.usual] * 2, [6, 4]))
        for how in (search, beam_search)
    ]
    assert [[(h.tokens, h.finished) for h in own] for own in found[0]] == [
        [(h.tokens, h.finished) for h in own] for own in found[1]
    ]


def test_an_impossible_search_ends_and_finds_nothing() -> None:
    """Every token is a dead end, with one beam or many."""
    logits = random_logits(1, len(CHAR))
    for beam in (1, 3):
        options = {"beam": beam, "forbid_text": ["a", "b"], "min_length": 3, "unknown": "forbid", "forbid": [" "]}
        assert run(CHAR, logits, 500, **options) == [[]]
