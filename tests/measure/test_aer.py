"""Links against gold: published figures come back, hand-worked ones too; files of links, good and bad."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jumok.errors import DataError
from jumok.measure import (
    LINK_METRICS,
    Gold,
    as_dict,
    check_range,
    measure_links,
    read_gold,
    read_links,
    spread,
    table,
)

# AER, precision, recall of the aligner outputs that lie beside the gold sets, as published (shared/data/README.md)
PUBLISHED = {
    "enfr.fastalign.talp": (16.39, 80.01, 90.14),
    "enfr.fastalign.reverse.talp": (15.89, 81.34, 88.73),
    "enfr.fastalign.grow-diagonal.talp": (10.48, 90.84, 87.77),
    "enfr.fastalign.grow-diagonal-final.talp": (12.09, 87.66, 88.29),
    "enfr.giza.talp": (7.99, 91.42, 92.89),
    "enfr.giza.reverse.talp": (9.75, 91.64, 88.29),
    "enfr.giza.grow-diagonal.talp": (5.94, 97.54, 89.70),
    "enfr.giza.grow-diagonal-final.talp": (6.16, 95.50, 91.58),
    "enfr.awesome-align.out": (4.07, 96.27, 95.42),
    "jaen.awesome-align.out": (37.36, 72.74, 55.01),
}
Write = Callable[[str], str]
links = st.frozensets(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=8)
golds = st.tuples(links, links).map(lambda both: Gold(both[0], both[0] | both[1]))


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def put(text: str) -> str:
        path = tmp_path / "gold.tsv"
        path.write_text(text, encoding="utf-8", newline="\n")
        return str(path)

    return put


def ignore(_: str) -> None:
    pass


def values(found: list[frozenset], gold: list[Gold]) -> tuple[float, ...]:
    return tuple(m.value for m in measure_links(found, gold))


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_figures_come_back(name: str, shared_data) -> None:
    gold = read_gold(str(shared_data(f"word-alignment/{name[:4]}.tsv")), warn=ignore)
    found = read_links(str(shared_data(f"word-alignment/{name}")), reverse=".reverse." in name, warn=ignore)
    assert values(found, gold) == pytest.approx(PUBLISHED[name], abs=0.005 + 1e-9)


def test_gold_sets_hold_what_they_are_said_to(shared_data) -> None:
    for name, sure, possible in (("enfr", 4038, 17438), ("jaen", 13562, 13562)):
        path = shared_data(f"word-alignment/{name}.tsv")
        gold = read_gold(str(path), warn=ignore)
        assert (sum(len(g.sure) for g in gold), sum(len(g.possible) for g in gold)) == (sure, possible)
        rows = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
        for g, row in zip(gold, rows, strict=True):
            check_range(g, *(len(side.split(" ")) for side in row.split("\t")[:2]))


def test_by_hand() -> None:
    gold = [
        Gold(frozenset({(0, 0), (1, 1)}), frozenset({(0, 0), (1, 1), (2, 1)})),
        Gold(frozenset({(0, 0)}), frozenset({(0, 0)})),
    ]
    found = [frozenset({(0, 0), (2, 1), (2, 2)}), frozenset[tuple[int, int]]()]
    # |A| = 3, |S| = 3; in P: 0-0, 2-1; in S: 0-0. AER = 1 - (1 + 2) / 6, precision = 2 / 3, recall = 1 / 3.
    assert values(found, gold) == pytest.approx((50, 200 / 3, 100 / 3))


def test_no_links_are_all_wrong_and_have_no_spread() -> None:
    measured = measure_links([frozenset()], [Gold(frozenset({(0, 0)}), frozenset({(0, 0)}))])
    assert [m.value for m in measured] == [100, 0, 0]
    assert spread(measured[1]) is None
    assert json.loads(json.dumps(as_dict(measured)))["link-precision"]["spread"] is None


@given(st.lists(st.tuples(links, golds), min_size=1).filter(lambda rows: any(g.sure for _, g in rows)))
def test_bounds_and_the_order_of_lines(rows: list[tuple[frozenset, Gold]]) -> None:
    found, gold = [a for a, _ in rows], [g for _, g in rows]
    assert all(0 <= value <= 100 for value in values(found, gold))
    assert values(found[::-1], gold[::-1]) == pytest.approx(values(found, gold))


@given(st.lists(golds, min_size=1).filter(lambda gold: any(g.sure for g in gold)))
def test_sure_links_alone_are_perfect_and_possible_ones_cost_nothing(gold: list[Gold]) -> None:
    assert values([g.sure for g in gold], gold) == pytest.approx((0, 100, 100))
    assert values([g.possible for g in gold], gold) == pytest.approx((0, 100, 100))


@given(st.lists(st.tuples(links, links), min_size=1).filter(lambda rows: any(s for _, s in rows)))
def test_with_sure_links_only_aer_is_one_minus_f1(rows: list[tuple[frozenset, frozenset]]) -> None:
    aer, p, r = values([a for a, _ in rows], [Gold(s, s) for _, s in rows])
    assert aer == pytest.approx(100 - (2 * p * r / (p + r) if p + r else 0))


def test_table_and_json_carry_signatures() -> None:
    measured = measure_links([frozenset({(0, 0)})] * 2, [Gold(frozenset({(0, 0)}), frozenset({(0, 0), (1, 0)}))] * 2)
    lines = table(measured)
    assert [line.split()[0] for line in lines[1:]] == list(LINK_METRICS)
    assert "aer|n:2|sure:2|possible:4|version:jumok-" in lines[1] and " 0.00 %" in lines[1]
    assert not as_dict(measured)["aer"]["higher_is_better"] and as_dict(measured)["link-recall"]["higher_is_better"]


# Files


@pytest.mark.parametrize("text", ["a b\tc\t1-1 2p1\n\n\t\t\n", "1-1 2p1 \n\n \n", "a b\tc\t2p1  1-1 1p1\tmore\r\nx\ty\t\n\n"])
def test_gold(write: Write, text: str) -> None:
    gold = read_gold(write(text), warn=ignore)
    assert [(g.sure, g.possible) for g in gold] == [({(0, 0)}, {(0, 0), (1, 0)})] + 2 * [(set(), set())]
    assert [g.where.rpartition(":")[2] for g in gold] == ["1", "2", "3"]


def test_links(write: Write) -> None:
    path = write("0-1 2-0 \n\n0-0")
    assert read_links(path, warn=ignore) == [{(0, 1), (2, 0)}, set(), {(0, 0)}]
    assert read_links(path, reverse=True, warn=ignore) == [{(1, 0), (0, 2)}, set(), {(0, 0)}]


@given(st.lists(links))
def test_links_come_back(tmp_path_factory, rows: list[frozenset]) -> None:
    path = tmp_path_factory.mktemp("links") / "links"
    path.write_text("".join(" ".join(f"{i}-{j}" for i, j in row) + "\n" for row in rows), encoding="utf-8")
    assert read_links(str(path), warn=ignore) == rows


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1-1\n1:2\n", ":2: '1:2' is no link; wanted two numbers such as 3p4 or 3-4"),
        ("1-1\n\n1-2,2-1\n", ":3: '1-2,2-1' is no link"),
        ("a\tb\t1-1 -1-2\n", ":1: '-1-2' is no link"),
        ("1-²\n", ":1: '1-²' is no link"),
        ("1-" + 5000 * "9", f":1: '1-{38 * '9'}' is no link"),
        ("0-1\n", ":1: the link 0-1 has a number below 1; gold links count from 1"),
        ("a\tb\t1p0\n", ":1: the link 1p0 has a number below 1"),
        ("a\tb\n", ":1: the line has 2 columns; wanted links alone, or source TAB target TAB links"),
        ("1-1\n\0\n", ":2: a NUL character"),
    ],
)
def test_bad_gold(write: Write, text: str, message: str) -> None:
    path = write(text)
    with pytest.raises(DataError) as e:
        read_gold(path, warn=ignore)
    assert str(e.value).startswith(path + message)


def test_bad_links(write: Write) -> None:
    path = write("0-0\n0-0 1p1\n")
    with pytest.raises(DataError, match=r"gold\.tsv:2: '1p1' is no link; wanted two numbers such as 3-4,"):
        read_links(path, warn=ignore)
    with pytest.raises(DataError, match="no-such: there is no such file"):
        read_links("no-such", warn=ignore)


def test_numbers_beyond_the_sentence() -> None:
    gold = Gold(frozenset({(0, 0)}), frozenset({(0, 0), (1, 2)}), "g:7")
    check_range(gold, 2, 3)
    for sizes in ((1, 3), (2, 2), (0, 0)):
        with pytest.raises(DataError, match=r"^g:7: the gold links "):
            check_range(gold, *sizes)


def test_lines_that_do_not_match() -> None:
    one = Gold(frozenset({(0, 0)}), frozenset({(0, 0)}))
    with pytest.raises(DataError, match="1 lines of links and 2 of gold"):
        measure_links([frozenset()], [one, one])
    with pytest.raises(DataError, match="no sure link"):
        measure_links([frozenset()], [Gold(frozenset(), one.possible)])
    with pytest.raises(DataError, match="no sure link"):
        measure_links([], [])
