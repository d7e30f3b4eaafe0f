"""Batches: every pair once an epoch, an order from seed and epoch alone, pads that are pads, and little of them."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jumok.text import END, PAD, Batch, Batches, Rows, in_length_order

row = st.lists(st.integers(3, 99), max_size=12).map(lambda ids: [*ids, END])
data = st.lists(st.tuples(row, row), max_size=60)
sizes = st.one_of(
    st.integers(1, 9).map(lambda n: {"batch_size": n}),
    st.integers(1, 60).map(lambda n: {"batch_tokens": n}),
)


def unpadded(ids: np.ndarray, lengths: np.ndarray) -> list[list[int]]:
    assert ids.dtype == lengths.dtype == np.int64
    assert ids.shape == (len(lengths), lengths.max(initial=0))
    assert all((r[n:] == PAD).all() for r, n in zip(ids, lengths, strict=True))
    return [r[:n].tolist() for r, n in zip(ids, lengths, strict=True)]


def check(batch: Batch, sources: Sequence[list[int]], targets: Sequence[list[int]]) -> None:
    """A slow reference: each row of the batch is the pair that `rows` names."""
    assert unpadded(batch.source, batch.source_lengths) == [sources[i] for i in batch.rows]
    assert unpadded(batch.target, batch.target_lengths) == [targets[i] for i in batch.rows]


@given(data, sizes, st.integers(1, 4), st.integers(0, 5), st.integers(0, 5))
def test_every_pair_once_an_epoch(pairs: list, size: dict, pool: int, seed: int, epoch: int) -> None:
    sources, targets = [s for s, _ in pairs], [t for _, t in pairs]
    batches = Batches(sources, targets, pool=pool, seed=seed, **size)
    found = list(batches.epoch(epoch))
    assert sorted(i for b in found for i in b.rows) == list(range(len(pairs)))
    assert len(found) == batches.length(epoch)
    for b in found:
        assert len(b.rows) > 0
        check(b, sources, targets)
        if "batch_size" in size:
            assert len(b.rows) <= size["batch_size"]
        else:
            assert b.target.size <= size["batch_tokens"] or len(b.rows) == 1


@given(st.integers(0, 50), st.integers(1, 9), st.integers(1, 4))
def test_as_many_batches_in_every_epoch(n: int, batch_size: int, pool: int) -> None:
    rows = [[5] * (i % 7) + [END] for i in range(n)]
    batches = Batches(rows, rows, batch_size=batch_size, pool=pool)
    assert len(batches) == -(-n // batch_size)
    assert {len(batches.plan(epoch)) for epoch in range(3)} == {len(batches)}


def slow_plan(pairs: list, pool: int, seed: int, epoch: int, batch_size: int = 0, batch_tokens: int = 0) -> list[list[int]]:
    """The order as it is defined, pool by pool and row by row."""
    source, target = (np.array([len(pair[side]) for pair in pairs], np.int64) for side in (0, 1))
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(pairs))
    rows = pool * (batch_size or max(1, int(batch_tokens / max(1.0, target.mean() if len(pairs) else 1.0))))
    batches: list[list[int]] = []
    for start in range(0, len(order), rows):
        part = order[start : start + rows]
        snake = np.where(target[part] % 2, source[part], -source[part])
        batch: list[int] = []
        for i in part[np.lexsort((snake, target[part]))].tolist():
            full = len(batch) == batch_size if batch_size else (len(batch) + 1) * target[i] > batch_tokens
            if batch and full:
                batches.append(batch)
                batch = []
            batch.append(i)
        batches.append(batch)
    return [batches[i] for i in random.permutation(len(batches))]


@given(data, sizes, st.integers(1, 4), st.integers(0, 5), st.integers(0, 5), st.sampled_from([0, 100, 40_000]))
def test_the_plan_is_the_slow_one(pairs: list, size: dict, pool: int, seed: int, epoch: int, more: int) -> None:
    if pairs:
        pairs = [*pairs, ([5] * more, [5] * more)]  # lengths of one byte, of two and of four
    batches = Batches([s for s, _ in pairs], [t for _, t in pairs], pool=pool, seed=seed, **size)
    assert order(batches, epoch) == slow_plan(pairs, pool, seed, epoch, **size)


@given(data)
def test_rows_of_small_numbers_are_the_same_rows(pairs: list) -> None:
    sides = [Rows.of([pair[side] for pair in pairs]) for side in (0, 1)]
    small = [Rows(side.flat.astype(np.uint8), side.starts.astype(np.uint32), side.lengths.astype(np.uint8)) for side in sides]
    wide, narrow = (Batches(*both, batch_size=5) for both in (sides, small))
    assert wide.fingerprint() == narrow.fingerprint() and order(wide, 1) == order(narrow, 1)
    for b in narrow.epoch(0):
        check(b, [pair[0] for pair in pairs], [pair[1] for pair in pairs])
    assert [small[0][i].tolist() for i in range(len(pairs))] == [pair[0] for pair in pairs]


def toy(n: int = 1000) -> tuple[list[list[int]], list[list[int]]]:
    random = np.random.default_rng(0)
    source = random.integers(5, 30, n)
    target = source + random.integers(-4, 5, n)
    return [[7] * k + [END] for k in source], [[7] * k + [END] for k in target]


def order(batches: Batches, epoch: int) -> list[list[int]]:
    return [rows.tolist() for rows in batches.plan(epoch)]


def test_order_follows_from_seed_and_epoch_alone() -> None:
    make = lambda seed: Batches(*toy(), batch_size=32, pool=4, seed=seed)  # noqa: E731
    batches = make(1)
    third = order(batches, 3)
    assert order(batches, 0) != third
    assert order(batches, 3) == third == order(make(1), 3)
    assert order(make(2), 3) != third
    groups = [{frozenset(rows) for rows in order(batches, epoch)} for epoch in (0, 1)]
    assert len(groups[0] & groups[1]) < 3  # pools are new, not only the order of the batches


def test_skipping_goes_on_where_the_epoch_was() -> None:
    batches = Batches(*toy(100), batch_size=8, seed=3)
    whole = [b.rows.tolist() for b in batches.epoch(2)]
    assert [b.rows.tolist() for b in batches.epoch(2, skip=5)] == whole[5:]


@pytest.mark.parametrize("size", [{"batch_size": 32}, {"batch_tokens": 500}])
def test_little_is_padding_and_batches_do_not_come_by_length(size: dict) -> None:
    found = list(Batches(*toy(4000), pool=64, seed=1, **size).epoch(0))
    target = sum(b.target_lengths.sum() for b in found) / sum(b.target.size for b in found)
    source = sum(b.source_lengths.sum() for b in found) / sum(b.source.size for b in found)
    assert target > 0.97 and source > 0.85
    longest = np.array([b.target.shape[1] for b in found])
    assert abs(np.corrcoef(longest, np.arange(len(longest)))[0, 1]) < 0.3


def test_batches_of_tokens_are_full() -> None:
    found = list(Batches(*toy(4000), batch_tokens=500, pool=64, seed=1).epoch(0))
    assert np.median([b.target.size for b in found]) > 450


def test_a_target_longer_than_a_batch_is_one_of_its_own() -> None:
    rows = [[5] * 20 + [END], [5, END], [6, END]]
    found = {tuple(sorted(b.rows.tolist())) for b in Batches(rows, rows, batch_tokens=4).epoch(0)}
    assert found == {(0,), (1, 2)}


def test_by_hand() -> None:
    batch = Batches([[5, 6, END], [END]], [[7, END], [8, 9, 4, END]], batch_size=2).batch(np.array([1, 0]))
    assert batch.source.tolist() == [[END, PAD, PAD], [5, 6, END]]
    assert batch.source_lengths.tolist() == [1, 3]
    assert batch.target.tolist() == [[8, 9, 4, END], [7, END, PAD, PAD]]
    assert batch.target_lengths.tolist() == [4, 2]


@given(data, st.integers(1, 9))
def test_in_length_order(pairs: list, batch_size: int) -> None:
    sources, targets = [s for s, _ in pairs], [t for _, t in pairs]
    found = list(in_length_order(sources, targets, batch_size))
    lengths = [n for b in found for n in b.source_lengths.tolist()]
    assert lengths == sorted(map(len, sources), reverse=True)
    assert sorted(i for b in found for i in b.rows) == list(range(len(pairs)))
    assert [len(b.rows) for b in found[:-1]] == [batch_size] * (len(found) - 1)
    for b in found:
        check(b, sources, targets)


def test_in_length_order_without_targets() -> None:
    (batch,) = in_length_order([[5, END], [5, 6, END]], None, 4)
    assert batch.rows.tolist() == [1, 0]
    assert batch.target.shape == (2, 0) and batch.target_lengths.tolist() == [0, 0]
