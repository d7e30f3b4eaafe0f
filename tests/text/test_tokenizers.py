"""Every tokenizer of the table: text comes back, forms hold, damaged folders are refused."""

import json
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jumok.errors import FolderError
from jumok.text import TOKENIZERS, Tokenizer, load_tokenizer, train_tokenizer
from jumok.text.tokenizers import BpeTokenizer

TEXTS = ["a man , in a hat", "a woman , in a hat .", "zwei männer mit hut", "두 사람이 모자를 쓰고", "the hat ▁ of a man"]
HARD = [
    "",
    "a",
    "a man , in",
    "don't: x_y (3.14)!",
    "가니메데 메데",
    "ᄀ ᅡ jamo 간",
    "cafe\u0301 e\u0301",
    "हिन्दी में",
    "می\u200cخواهم",
    "全角\u3000空白",
    "1\u202f000\u00a0€",
    "🏳️\u200d🌈 👍🏽",
    "▁ ▁▁ a▁b",
    "<s> </s> <unk> <pad>",
    "‹V›",
    "x\u2028y\tz\x0b",
]


@pytest.fixture(params=list(TOKENIZERS))
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return train_tokenizer(request.param, "none", TEXTS, 60)


ALL = {name: train_tokenizer(name, "none", TEXTS, 60) for name in TOKENIZERS}
any_text = st.text(st.characters(exclude_categories=["Cs"]))
single_spaced = st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters=" "), min_size=1)).map(" ".join)


@pytest.mark.parametrize("text", HARD)
def test_hard_texts_come_back(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.text(tokenizer.tokens(text)) == text


@pytest.mark.parametrize("name", TOKENIZERS)
@given(text=single_spaced)
def test_single_spaced_text_comes_back(name: str, text: str) -> None:
    assert ALL[name].text(ALL[name].tokens(text)) == text


@pytest.mark.parametrize("name", ["char", "word", "bpe"])
@given(text=any_text)
def test_any_text_comes_back(name: str, text: str) -> None:
    assert ALL[name].text(ALL[name].tokens(text)) == text


@given(any_text)
def test_space_makes_blanks_single(text: str) -> None:
    space = ALL["space"]
    assert space.text(space.tokens(text)) == " ".join(part for part in text.split(" ") if part)


@pytest.mark.parametrize("name", TOKENIZERS)
@given(texts=st.lists(any_text))
def test_a_batch_is_one_by_one(name: str, texts: list[str]) -> None:
    assert ALL[name].batch(texts) == [ALL[name].tokens(t) for t in texts]


@pytest.mark.parametrize("name", TOKENIZERS)
@given(text=any_text)
def test_tokens_are_not_empty(name: str, text: str) -> None:
    assert all(ALL[name].tokens(text))


@pytest.mark.parametrize(
    ("name", "text", "tokens"),
    [
        ("char", "가 e\u0301", ["가", " ", "e", "\u0301"]),
        ("space", " a  b\u3000c\u202fd ", ["a", "b\u3000c\u202fd"]),
        ("word", "A man, here.", ["▁A", "▁man", ",", "▁here", "."]),
        ("word", "हिन्दी cafe\u0301!", ["▁हिन्दी", "▁cafe\u0301", "!"]),
        ("word", "a  b ", ["▁a", "▁", "▁b", "▁"]),
        ("word", "▁ a", ["▁ ", "▁a"]),
        ("word", "全角\u3000x", ["▁全角", "\u3000", "x"]),
    ],
)
def test_tokens_by_hand(name: str, text: str, tokens: list[str]) -> None:
    assert ALL[name].tokens(text) == tokens


def test_bpe_by_hand() -> None:
    # Pairs by count, marks included: a+b 5 times, then ▁+ab 5 times; c occurs once and joins nothing.
    bpe = BpeTokenizer.train("none", ["ab ab abc", "ab ab"], 100)
    assert bpe.alphabet == ["a", "b", "c", "▁"]
    assert bpe.merges == [("a", "b"), ("▁", "ab")]
    assert bpe.tokens("abc bab") == ["▁ab", "c", "▁", "b", "ab"]


def test_bpe_keeps_unseen_characters() -> None:
    assert ALL["bpe"].tokens("a Ж가가 a") == ["▁a", "▁", "Ж", "가", "가", "▁a"]


def test_bpe_has_the_size_asked_for_and_is_the_same_twice() -> None:
    first, second = (BpeTokenizer.train("none", TEXTS * 3, 60) for _ in range(2))
    assert len(first.alphabet) + len(first.merges) == 60
    assert first.to_dict() == second.to_dict()


def test_bpe_never_crosses_a_blank() -> None:
    assert all("▁" not in token[1:] for token in BpeTokenizer.train("none", ["a b"] * 9, 60).tokens("a b a b"))


# Words

FORMS = {
    (name, form): train_tokenizer(name, form, TEXTS, 60)
    for name in TOKENIZERS
    for form in ("none", "NFC", "NFD", "NFKC", "NFKD")
}


@pytest.mark.parametrize("form", ["none", "NFC", "NFD", "NFKC", "NFKD"])
@pytest.mark.parametrize("name", TOKENIZERS)
@given(text=any_text | st.text("ab ▁\u3000\u0301é가") | st.sampled_from(HARD))
def test_tokens_of_a_word_are_the_tokens_it_has(name: str, form: str, text: str) -> None:
    tokenizer = FORMS[name, form]
    tokens, indices = tokenizer.tokens(text), tokenizer.words(text)
    words = [word for word in text.split(" ") if word]
    assert len(indices) == len(tokens)
    seen = [i for i in indices if i >= 0]
    assert seen == sorted(seen)
    for i, word in enumerate(words):
        own = [token for token, index in zip(tokens, indices, strict=True) if index == i]
        plain = "".join(own).replace("▁", "").replace(" ", "")
        assert plain == "".join(unicodedata.normalize(form, word) if form != "none" else word).replace("▁", "").replace(" ", "")
    assert all(token.strip("▁ ") == "" for token, i in zip(tokens, indices, strict=True) if i < 0)


@pytest.mark.parametrize("name", TOKENIZERS)
@given(text=single_spaced)
def test_there_are_as_many_words_as_blanks_part(name: str, text: str) -> None:
    assert sorted({i for i in ALL[name].words(text) if i >= 0}) == list(range(len(text.split(" ")) if text else 0))


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("char", " ab  c ", [-1, 0, 0, -1, -1, 1, -1]),
        ("space", " ab  c ", [0, 1]),
        ("word", "A man, here.", [0, 1, 1, 2, 2]),
        ("word", "a  b ", [0, -1, 1, -1]),  # ▁a ▁ ▁b ▁
        ("word", "a \u3000 b", [0, 1, 2]),
        ("word", "▁ a▁b", [0, 1, 1, 1]),
    ],
)
def test_words_by_hand(name: str, text: str, words: list[int]) -> None:
    assert ALL[name].words(text) == words


def test_a_mark_that_stands_alone_begins_a_word_in_bpe() -> None:
    bpe = BpeTokenizer.train("none", ["ab ab abc", "ab ab"], 100)
    assert bpe.tokens("abc  bab ") == ["▁ab", "c", "▁", "▁", "b", "ab", "▁"]
    assert bpe.words("abc  bab ") == [0, 0, -1, 1, 1, 1, -1]


def test_words_are_those_of_the_text_as_given_whatever_the_form() -> None:
    # NFKC makes a blank of U+3000 and of U+202F: the one word is gone, the other is in two parts.
    for name, words in (("char", [0, -1, -1, -1, 2, -1, 2]), ("space", [0, 2, 2]), ("word", [0, -1, -1, 2, 2])):
        tokenizer = train_tokenizer(name, "NFKC", [], 0)
        assert tokenizer.words("a \u3000 1\u202f0") == words


# Unicode forms


@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_forms(name: str, form: str) -> None:
    text = "가니메데 é ﬁ １"
    tokenizer = train_tokenizer(name, form, [text], 60)
    tokens = tokenizer.tokens(text)
    assert ALL[name].text(tokens) == unicodedata.normalize(form, text)
    composed = "NFKC" if "K" in form else "NFC"
    assert tokenizer.text(tokens) == unicodedata.normalize(composed, text)


def test_nfd_cuts_hangul_into_jamo_and_puts_it_together() -> None:
    char = train_tokenizer("char", "NFD", [], 0)
    assert char.tokens("값 가") == ["\u1100", "\u1161", "\u11b9", " ", "\u1100", "\u1161"]
    assert char.text(["\u1100", "\u1161", "\u11b9"]) == "값"
    assert char.text(["\u1100", "\u1161", "\u1100"]) == "가\u1100"  # a syllable cut short stays what it is


@given(st.text(st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3)))
def test_hangul_round_trip_through_jamo(text: str) -> None:
    char = train_tokenizer("char", "NFD", [], 0)
    assert all(len(t) == 1 and not 0xAC00 <= ord(t) <= 0xD7A3 for t in char.tokens(text))
    assert char.text(char.tokens(text)) == text


def test_without_a_form_nothing_is_composed() -> None:
    assert all(t.text(t.tokens("e\u0301")) == "e\u0301" for t in ALL.values())


# JSON


@pytest.mark.parametrize("form", ["none", "NFD"])
@pytest.mark.parametrize("name", TOKENIZERS)
def test_json_round_trip(name: str, form: str) -> None:
    tokenizer = train_tokenizer(name, form, TEXTS, 60)
    again = load_tokenizer(json.loads(json.dumps(tokenizer.to_dict())), "f")
    assert type(again) is type(tokenizer) and again.form == form
    assert again.batch(HARD) == tokenizer.batch(HARD)
    assert again.to_dict() == tokenizer.to_dict()


BPE = {"name": "bpe", "form": "none", "alphabet": "ab▁", "merges": [["a", "b"]]}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (None, "no tokenizer among char, space, word, bpe"),
        ({"form": "none"}, "no tokenizer among"),
        ({"name": ["char"], "form": "none"}, "no tokenizer among"),
        ({"name": "sentencepiece", "form": "none"}, "no tokenizer among"),
        ({"name": "char"}, "form is None"),
        ({"name": "char", "form": "NFX"}, "form is 'NFX'"),
        ({**BPE, "form": []}, r"form is \[\]"),
        ({**BPE, "alphabet": None}, "no alphabet"),
        ({**BPE, "alphabet": "aab"}, "no alphabet"),
        ({**BPE, "merges": None}, "no merges"),
        ({**BPE, "merges": [["a", "c"]]}, "merge 1 "),
        ({**BPE, "merges": [["a", "b"], ["a", "b", "a"]]}, "merge 2 "),
        ({**BPE, "merges": [["ab", "a"], ["a", "b"]]}, "merge 1 "),
        ({**BPE, "merges": [[["a"], "b"]]}, "merge 1 "),
        ({**BPE, "merges": ["ab"]}, "merge 1 "),
    ],
)
def test_damaged(values: object, message: str) -> None:
    with pytest.raises(FolderError, match=f"^source.json: .*{message}.*damaged"):
        load_tokenizer(values, "source.json")


def test_the_engine_is_imported_for_training_bpe_alone() -> None:
    code = (
        "import sys, jumok.text as t\n"
        "for n in ('char', 'space', 'word'): t.train_tokenizer(n, 'NFD', [], 0).tokens('a b')\n"
        f"assert t.load_tokenizer({BPE}, '').tokens('ab') == ['▁', 'ab']\n"
        "assert 'tokenizers' not in sys.modules\n"
        "t.train_tokenizer('bpe', 'none', ['ab'], 9)\n"
        "assert 'tokenizers' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", TOKENIZERS)
def test_real_text_comes_back(shared_data, name: str) -> None:
    rows = shared_data("multi30k/tok/val.en-de.tsv").read_text(encoding="utf-8").rstrip("\n").split("\n")
    texts = [side for row in rows for side in row.split("\t")]
    tokenizer = train_tokenizer(name, "none", texts[:1000], 500)
    assert [tokenizer.text(tokens) for tokens in tokenizer.batch(texts)] == texts


def test_real_hangul_comes_back_through_jamo(shared_data) -> None:
    rows = shared_data("en-ko-transliteration/dev.tsv").read_text(encoding="utf-8").rstrip("\n").split("\n")
    targets = [row.split("\t")[1] for row in rows]
    char = train_tokenizer("char", "NFD", targets, 0)
    tokens = char.batch(targets)
    assert [char.text(t) for t in tokens] == targets
    assert len({t for row in tokens for t in row}) < 80 < len({c for t in targets for c in t})
