"""Vocabulary: order, specials, minimum count, and what a damaged file says."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jumok.errors import FolderError
from jumok.text import END, PAD, SPECIALS, START, UNK, Vocabulary

lists = st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1)))


def test_specials_come_first() -> None:
    assert (PAD, START, END, UNK) == (0, 1, 2, 3)
    assert Vocabulary([], []).tokens([PAD, START, END, UNK]) == list(SPECIALS) == ["<pad>", "<s>", "</s>", "<unk>"]


def test_tokens_by_falling_count_ties_by_code_point() -> None:
    v = Vocabulary.build([["c", "b", "b"], ["a", "가"], ["가", "b"]])
    assert v.tokens(range(4, len(v))) == ["b", "가", "a", "c"]
    assert v.counts == [3, 2, 1, 1]
    assert v.ids(["가", "b", "z"]) == [5, 4, UNK]
    assert "가" in v and "z" not in v and "<s>" not in v


def test_min_count() -> None:
    v = Vocabulary.build([["a", "a", "b"]], min_count=2)
    assert len(v) == 5 and v.ids(["a", "b"]) == [4, UNK]


@pytest.mark.parametrize("special", SPECIALS)
def test_a_special_in_the_text_is_not_the_special(special: str) -> None:
    assert Vocabulary.build([["a"]]).ids([special]) == [UNK]
    v = Vocabulary.build([["a", special, special]])
    assert v.ids([special]) == [4] and v.tokens([4]) == [special]


@given(lists)
def test_ids_and_tokens_are_inverse(token_lists: list[list[str]]) -> None:
    v = Vocabulary.build(token_lists)
    for tokens in token_lists:
        ids = v.ids(tokens)
        assert all(4 <= i < len(v) for i in ids)
        assert v.tokens(ids) == tokens


@given(lists, st.integers(1, 3))
def test_json_round_trip(token_lists: list[list[str]], min_count: int) -> None:
    v = Vocabulary.build(token_lists, min_count)
    again = Vocabulary.from_dict(json.loads(json.dumps(v.to_dict())), "f")
    assert again == v and len(again) == len(v)


def test_equality_sees_tokens_and_counts() -> None:
    assert Vocabulary(["a"], [1]) != Vocabulary(["a"], [2])
    assert Vocabulary(["a"], [1]) != Vocabulary(["b"], [1])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (None, "tokens are not a list of strings"),
        ([], "tokens are not a list of strings"),
        ({"counts": []}, "tokens are not a list of strings"),
        ({"tokens": "ab", "counts": [1, 1]}, "tokens are not a list of strings"),
        ({"tokens": ["a", 1], "counts": [1, 1]}, "tokens are not a list of strings"),
        ({"tokens": ["a", ""], "counts": [1, 1]}, "tokens are not a list of strings"),
        ({"tokens": ["a", "b", "a"], "counts": [1, 1, 1]}, "has the token 'a' twice"),
        ({"tokens": ["a"]}, "counts are not one number a token"),
        ({"tokens": ["a"], "counts": [1, 2]}, "counts are not one number a token"),
        ({"tokens": ["a"], "counts": ["1"]}, "counts are not one number a token"),
        ({"tokens": ["a"], "counts": [True]}, "counts are not one number a token"),
        ({"tokens": ["a"], "counts": [-1]}, "counts are not one number a token"),
    ],
)
def test_damaged(values: object, message: str) -> None:
    with pytest.raises(FolderError, match=f"^target.json: .*{message}; the file is damaged$"):
        Vocabulary.from_dict(values, "target.json")
