"""BPE as we apply it: equal to the package `tokenizers`, quick for any word, with a bounded memory, shared by threads."""

import copy
import json
import pickle
import random
import sys
import unicodedata
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Engine
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import Split

from jumok.errors import MissingExtra
from jumok.text import bpe, load_tokenizer, train_tokenizer
from jumok.text.tokenizers import BpeTokenizer

SWAP = str.maketrans({" ": "▁", "▁": " "})
UNSEEN = "\U0010ffff"  # a noncharacter, for what the engine does not know

# A piece of each script, with marks, joiners and emoji: what tokenizers are trained on and what texts are drawn from.
SCRIPTS = {
    "latin": "the cat sat on the mat, the cat that sat; naïve café na\u0308ive cafe\u0301 straße ﬁﬂ ŋŋ",
    "greek": "η γάτα στο χαλί και η γάτα ήταν στο χαλί ΓΆΤΑ",
    "cyrillic": "кошка на ковре и кошка под ковром ёлка йод",
    "hebrew": "הַחָתוּל יָשַׁב עַל הַשָּׁטִיחַ החתול ישב",
    "arabic": "القطة على السجادة القطة می\u200cخواهم العربيّة ـــ",
    "devanagari": "बिल्ली चटाई पर बैठी बिल्ली क्ष क्\u200dष हिन्दी में",
    "bengali": "বিড়াল মাদুরে বিড়াল বাংলা ক্ষ",
    "tamil": "பூனை பாயில் பூனை தமிழ் கொ கௌ",
    "thai": "แมวนั่งบนเสื่อ แมวนั่งบนเสื่อ น้ำ",
    "khmer": "ឆ្មា អង្គុយ លើ ឆ្មា ភាសាខ្មែរ",
    "georgian": "კატა ხალიჩაზე კატა ზის",
    "amharic": "ድመት ምንጣፍ ላይ ድመት",
    "hangul": "고양이가 매트에 앉았다 고양이가 ㄱㄴ " + unicodedata.normalize("NFD", "고양이가"),
    "kana": "ねこがマットにすわった ねこが ｱｲｳ がが ヴ",
    "han": "貓坐在墊子上 貓坐在 𠮷野家 𠮷 全角\u3000空白",
    "emoji": "😀😀 👍🏽👍🏽 👩\u200d🚀👩\u200d🚀 🇩🇪🇫🇷 ❤\ufe0f❤\ufe0f 🏴\U000e0067\U000e007f",
    "signs": "▁ ▁▁ a▁b <s> </s> <unk> [UNK] \t\x0b\x00\u2028 1\u202f000\u00a0€ -- -- ... 3.14 ''",
}
TRAINED = {name: train_tokenizer("bpe", "none", [text] * 3, 90) for name, text in SCRIPTS.items()}
TRAINED["all"] = train_tokenizer("bpe", "none", SCRIPTS.values(), 700)


def theirs(merges: Sequence[tuple[str, str]], alphabet: Sequence[str], texts: Sequence[str]) -> list[list[str]]:
    """The tokens of texts by the package `tokenizers`."""
    entries = dict.fromkeys([UNSEEN, *alphabet, *(a + b for a, b in merges)])
    engine = Engine(BPE(vocab={token: i for i, token in enumerate(entries)}, merges=list(merges), unk_token=UNSEEN))
    engine.pre_tokenizer = Split("▁", "merged_with_next")
    marked = [(" " + text).translate(SWAP) if text else "" for text in texts]
    return [[m[a:b] for a, b in found.offsets] for m, found in zip(marked, engine.encode_batch(marked), strict=True)]


def compare(tokenizer: BpeTokenizer, texts: Sequence[str]) -> None:
    expected = theirs(tokenizer.merges, tokenizer.alphabet, texts)
    for text, found, wanted in zip(texts, tokenizer.batch(texts), expected, strict=True):
        assert found == wanted, ascii(text)


def drawn(random_: random.Random, text: str, count: int) -> list[str]:
    """Texts of pieces of this one and of its characters, anyhow, and some of other characters of Unicode."""
    found = []
    for _ in range(count):
        parts = []
        for _ in range(random_.randint(0, 8)):
            start = random_.randrange(len(text))
            other = chr(random_.choice([random_.randrange(0x20, 0x3000), random_.randrange(0xE000, 0x20000)]))
            parts.append(random_.choice([text[start : start + random_.randint(1, 9)], random_.choice(text), " ", other]))
        found.append("".join(parts))
    return found


@pytest.mark.parametrize("name", TRAINED)
def test_as_the_package_on_500_texts_of_each_script(name: str) -> None:
    assert len(TRAINED[name].merges) > 5
    random_ = random.Random(name)
    compare(TRAINED[name], drawn(random_, SCRIPTS.get(name, " ".join(SCRIPTS.values())), 500))


@pytest.mark.parametrize("name", TRAINED)
def test_as_the_package_on_texts_of_all_scripts(name: str) -> None:
    compare(TRAINED[name], [*SCRIPTS.values(), *(text.replace(" ", "") * 5 for text in SCRIPTS.values()), "", " ", "   "])


@settings(max_examples=300)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters=UNSEEN)), min_size=1, max_size=5))
def test_as_the_package_on_any_text(texts: list[str]) -> None:
    compare(TRAINED["all"], texts)


@st.composite
def merge_tables(draw: st.DrawFn) -> list[tuple[str, str]]:
    """Merges that no training would give: in any order, one twice, one token by several ways."""
    known, merges = list("ab▁é"), []
    for _ in range(draw(st.integers(1, 12))):
        pair = (draw(st.sampled_from(known)), draw(st.sampled_from(known)))
        if "▁" not in pair[1]:
            merges.append(pair)
            known.append("".join(pair))
    return merges


@settings(max_examples=300)
@given(merge_tables(), st.lists(st.text("ab éЖ", max_size=30), min_size=1, max_size=8))
def test_as_the_package_for_any_merges(merges: list[tuple[str, str]], texts: list[str]) -> None:
    compare(BpeTokenizer("none", list("ab▁é"), merges), texts)


def test_as_the_package_on_real_text(shared_data) -> None:
    rows = shared_data("multi30k/tok/val.en-de.tsv").read_text(encoding="utf-8").rstrip("\n").split("\n")
    texts = [side for row in rows for side in row.split("\t")]
    compare(train_tokenizer("bpe", "none", texts[:1000], 800), texts)


def test_a_character_nobody_saw_stays_what_it_is_beside_a_nul() -> None:
    tokenizer = BpeTokenizer("none", ["\0", "a", "▁"], [("a", "\0")])
    assert tokenizer.tokens("a\0 aЖ a\ud800") == ["▁", "a\0", "▁", "a", "Ж", "▁", "a", "\ud800"]


# Long words, and what is remembered


class Counted(dict):
    """Merges that count how often they are asked."""

    asked = 0

    def get(self, *arguments):
        Counted.asked += 1
        return super().get(*arguments)

    def __contains__(self, key: object) -> bool:
        Counted.asked += 1
        return super().__contains__(key)


@pytest.mark.parametrize("kind", ["one letter", "all letters"])
def test_a_word_of_100_000_characters_costs_no_more_for_each_than_a_short_one(kind: str) -> None:
    letters = "a" if kind == "one letter" else "abcdefgh"
    merges, known = [], list(letters)
    random_ = random.Random(1)
    for _ in range(12):
        merges.append((known[-1], known[-1]) if kind == "one letter" else (random_.choice(known), random_.choice(known)))
        known.append("".join(merges[-1]))
    table = Counted({pair: (rank, pair[0] + pair[1]) for rank, pair in enumerate(dict.fromkeys(merges))})
    word = "".join(random_.choices(letters, k=100_000))
    Counted.asked = 0
    assert "".join(bpe.merge(word, table)) == word
    assert 100_000 < Counted.asked < 600_000


def test_long_words_are_as_the_package_has_them() -> None:
    random_ = random.Random(2)
    compare(TRAINED["latin"], ["".join(random_.choices("thecasonm", k=3000)), "cat" * 1000, " " * 1000])


@pytest.fixture
def merged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The words that were merged, one after the other."""
    words: list[str] = []
    merge = bpe.merge

    def watched(word, merges):
        words.append(word)
        return merge(word, merges)

    monkeypatch.setattr(bpe, "merge", watched)
    return words


def test_words_are_remembered_but_few_and_short_ones(merged: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bpe, "KEPT", 2)
    cut = bpe.cutter(bpe.ranked([("a", "b")]))
    cut("ab ab ba ab")
    assert merged == ["▁ab", "▁ba"]
    cut("c ab ba")  # c took the place of what was asked longest ago
    assert merged == ["▁ab", "▁ba", "▁c", "▁ba"]
    merged.clear()
    long = "a" * (bpe.LONGEST + 1)
    assert cut(f"{long} ab {long}") == ["▁", *long, "▁", "ab", "▁", *long]
    assert merged == ["▁" + long] * 2


def test_what_is_given_out_is_the_callers() -> None:
    tokenizer = TRAINED["latin"]
    first = tokenizer.tokens("the cat")
    kept = list(first)
    first.clear()
    assert tokenizer.tokens("the cat") == kept


def test_threads_share_a_tokenizer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bpe, "KEPT", 50)
    tokenizer = BpeTokenizer("none", TRAINED["all"].alphabet, TRAINED["all"].merges)
    texts = drawn(random.Random(3), " ".join(SCRIPTS.values()), 800)
    expected = TRAINED["all"].batch(texts)
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(tokenizer.batch, [texts] * 8):
            assert found == expected


@pytest.mark.parametrize("again", [lambda t: pickle.loads(pickle.dumps(t)), copy.copy, copy.deepcopy])
def test_copies_are_equal(again) -> None:
    tokenizer = BpeTokenizer("NFD", TRAINED["all"].alphabet, TRAINED["all"].merges)
    tokenizer.tokens("the cat")
    other = again(tokenizer)
    assert other.to_dict() == tokenizer.to_dict()
    assert other.batch(SCRIPTS.values()) == tokenizer.batch(SCRIPTS.values())


def test_applying_needs_no_package_and_learning_names_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    values = json.loads(json.dumps(TRAINED["latin"].to_dict()))
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    assert load_tokenizer(values, "f").tokens("the cat") == TRAINED["latin"].tokens("the cat")
    with pytest.raises(MissingExtra, match=r"'tokenizers'.*pip install 'jumok\[train\]'"):
        train_tokenizer("bpe", "none", ["a b"], 10)
