"""Pairs of source and target from TSV, JSON Lines or two parallel files; what cannot be used is refused or told.

`read_pairs`: a pair with an empty side is left out with a warning; everything else that is wrong ends reading with a
`DataError` that names file and line. `read_every_pair`: every line keeps its place, whatever is wrong with it. Text is never
changed.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from jumok.config import TextConfig
from jumok.errors import ConfigError, DataError
from jumok.text.lines import Line, read_lines, source_name

Warn = Callable[[str], None]
TOLD_ONE_BY_ONE = 3  # lines left out that are named singly; the rest are counted


@dataclass(frozen=True, slots=True)
class Pair:
    """One example. `where` is "file:line"."""

    source: str
    target: str
    features: tuple[str, ...] = ()
    where: str = ""


def read_pairs(path: str, text: TextConfig, *, warn: Warn) -> list[Pair]:
    """All pairs of a file whose two sides are not empty, in order.

    Args:
        path: a file: `.jsonl` or `.json` has an object a line with "source", "target" and, optionally, "features" (a list, or a
            string as in a TSV; other keys are passed over); any other name is a TSV. "A,B" without a file of that name:
            two parallel files. Any of them may end in `.gz`; `-` is a TSV on standard input.
        text: columns of a TSV and the features' separator. Empty features ("V;;PST") are passed over.
        warn: given one-line messages: byte order mark, CRLF, lines left out.

    Raises:
        DataError: file missing, a folder, damaged, or without pairs; a line that is not UTF-8, has a NUL, a million characters,
            or too few columns; JSON that is not as above; parallel files of unequal length.
    """
    left_out, pairs = _LeftOut(warn), []
    for entry in _entries(path, text, warn):
        if isinstance(entry, Pair):
            pairs.append(entry)
        elif isinstance(entry, _Empty):
            left_out.add(entry.where, entry.reason)
        else:
            raise entry
    files = _parallel_files(path)
    name = " and ".join(files) if files else source_name(path)
    left_out.sum_up(name)
    if not pairs:
        why = f"all {left_out.count:,} lines were left out" if left_out.count else "nothing is in it"
        raise DataError(f"{name}: no pairs: {why}; wanted at least one line with a source and a target")
    return pairs


def read_every_pair(path: str, text: TextConfig, *, warn: Warn) -> Iterator[Pair | None]:
    """A pair for every line of a file, in order; None, and a warning that names file and line, for one that cannot be used.

    Args are those of `read_pairs`.

    Raises:
        DataError: file missing, a folder or damaged; parallel files of unequal length.
    """
    for entry in _entries(path, text, warn):
        if isinstance(entry, Pair):
            yield entry
        else:
            warn(f"{entry}; it gets an empty line")
            yield None


class _Empty(DataError):
    """A line with nothing on one side."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where}: {reason}")
        self.where, self.reason = where, reason


def _entries(path: str, text: TextConfig, warn: Warn) -> Iterator[Pair | DataError]:
    """Each line as a pair, or as the error it is."""
    if not text.features_separator:
        raise ConfigError("features_separator is ''; it must be one character or more")
    files = _parallel_files(path)
    if files:
        return _parallel(*files, warn)
    if path.removesuffix(".gz").endswith((".jsonl", ".json")):
        return _by_line(path, _json_line, text, warn)
    return _by_line(path, _tsv_line, text, warn)


def _by_line(
    path: str, read: Callable[[str, str, TextConfig], Pair], text: TextConfig, warn: Warn
) -> Iterator[Pair | DataError]:
    name = source_name(path)
    for line in read_lines(path, warn=warn):
        where = f"{name}:{line.number}"
        try:
            content = _usable(line, name)
            yield read(content, where, text) if content.strip() else _Empty(where, "the line is blank")
        except DataError as e:
            yield e


class _LeftOut:
    """Lines left out: the first few told one by one, all counted."""

    def __init__(self, warn: Warn) -> None:
        self.warn = warn
        self.reasons: Counter[str] = Counter()

    @property
    def count(self) -> int:
        return self.reasons.total()

    def add(self, where: str, reason: str) -> None:
        self.reasons[reason] += 1
        if self.count <= TOLD_ONE_BY_ONE:
            self.warn(f"{where}: {reason}; left out")

    def sum_up(self, name: str) -> None:
        if self.count > TOLD_ONE_BY_ONE:
            by_reason = ", ".join(f"{reason}: {n:,}" for reason, n in self.reasons.most_common())
            self.warn(
                f"{name}: {self.count:,} lines left out in all ({by_reason}); the first {TOLD_ONE_BY_ONE} are named above"
            )


def _filled(pair: Pair, where_target: str | None = None) -> Pair:
    """The pair, if both its sides have something to read."""
    if pair.source.strip() and pair.target.strip():
        return pair
    if pair.source.strip():
        raise _Empty(where_target or pair.where, "the target is empty")
    raise _Empty(pair.where, "the source is empty" if pair.target.strip() else "source and target are empty")


def _tsv_line(content: str, where: str, text: TextConfig) -> Pair:
    columns = {"source": text.source_column, "target": text.target_column}
    if text.features_column:
        columns["features"] = text.features_column
    wanted = max(columns.values())
    cells = content.split("\t")
    if len(cells) < wanted:
        have = "1 column" if len(cells) == 1 else f"{len(cells)} columns"
        places = ", ".join(f"{side} in {n}" for side, n in columns.items())
        raise DataError(f"{where}: the line has {have}, wanted at least {wanted} ({places}); put one TAB between columns")
    cell = cells[text.features_column - 1] if text.features_column else ""
    source, target = cells[text.source_column - 1], cells[text.target_column - 1]
    return _filled(Pair(source, target, _features(cell, text.features_separator), where))


def _json_line(content: str, where: str, text: TextConfig) -> Pair:
    try:
        entry = json.loads(content)
    except (ValueError, RecursionError) as e:
        raise DataError(f"{where}: not JSON ({e}); wanted one object a line, {_WANTED_JSON}") from None
    if not isinstance(entry, dict):
        raise DataError(f"{where}: JSON that is not an object; wanted one object a line, {_WANTED_JSON}")
    source, target = (_json_string(entry, key, where) for key in ("source", "target"))
    features = entry.get("features", "")
    if isinstance(features, str):
        features = _features(features, text.features_separator)
    if not isinstance(features, list | tuple) or not all(isinstance(f, str) for f in features):
        raise DataError(f'{where}: "features" is {_short(features)}; wanted a list of strings or one string')
    for feature in features:
        _check_json_string(feature, "features", where)
    return _filled(Pair(source, target, tuple(f for f in features if f), where))


_WANTED_JSON = '{"source": "…", "target": "…"}'


def _json_string(entry: dict, key: str, where: str) -> str:
    if key not in entry:
        raise DataError(f'{where}: no key "{key}" (keys: {_short(", ".join(entry))}); wanted {_WANTED_JSON}')
    if not isinstance(entry[key], str):
        raise DataError(f'{where}: "{key}" is {_short(entry[key])}; wanted a string')
    _check_json_string(entry[key], key, where)
    return entry[key]


def _check_json_string(value: str, key: str, where: str) -> None:
    """JSON's escapes can write what no line of text can hold."""
    if "\0" in value:
        raise DataError(f'{where}: a NUL character in "{key}"; wanted text; take it out')
    if "\n" in value:
        raise DataError(f'{where}: a line feed in "{key}"; source and target are one line each; take it out')
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise DataError(f'{where}: half a surrogate pair (\\ud800 to \\udfff) in "{key}"; wanted whole characters') from None


def _parallel(source_path: str, target_path: str, warn: Warn) -> Iterator[Pair | DataError]:
    names = source_name(source_path), source_name(target_path)
    lines = zip_longest(read_lines(source_path, warn=warn), read_lines(target_path, warn=warn))
    for number, (source, target) in enumerate(lines, 1):
        if source is None or target is None:
            longer, shorter = (names[1], names[0]) if source is None else names
            total = number + sum(1 for _ in lines)
            raise DataError(
                f"{longer}:{number}: no line to go with it: {longer} has {total:,} lines, {shorter} {number - 1:,}; "
                "parallel files need the same number of lines"
            )
        where, where_target = f"{names[0]}:{number}", f"{names[1]}:{number}"
        try:
            yield _filled(Pair(_usable(source, names[0]), _usable(target, names[1]), (), where), where_target)
        except DataError as e:
            yield e


def _parallel_files(path: str) -> tuple[str, str] | None:
    """The two files of "A,B"; None where `path` is one file."""
    if "," not in path or Path(path).exists():
        return None
    parts = [part.strip() for part in path.split(",")]
    if len(parts) != 2 or not all(parts) or parts == ["-", "-"]:
        raise DataError(f"{path}: there is no such file; for two parallel files give SOURCE,TARGET")
    return parts[0], parts[1]


def _usable(line: Line, name: str) -> str:
    if line.text is None:
        raise DataError(f"{name}:{line.number}: {line.problem}")
    return line.text


def _features(cell: str, separator: str) -> tuple[str, ...]:
    return tuple(part for part in cell.split(separator) if part)


def _short(value: object) -> str:
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= 60 else shown[:59] + "…"


def check_dev(train: Sequence[Pair], dev: Sequence[Pair], warn: Warn) -> None:
    """Refuse dev pairs that are the training pairs; warn where some of them are.

    A pair is the same where source, target and features are.

    Raises:
        DataError: the two sets are equal.
    """
    seen = {(p.source, p.target, p.features) for p in train}
    keys = [(p.source, p.target, p.features) for p in dev]
    name = _file(dev[0]) if dev else "dev"
    if dev and seen == set(keys):
        raise DataError(
            f"{name}: the dev pairs are the training pairs; a model picked by pairs it has seen cannot be trusted; "
            "give others, or leave --dev out (1 in 20 training pairs is then held out)"
        )
    common = sum(key in seen for key in keys)
    if common:
        share = f"{100 * common / len(keys):.1f} %"
        warn(f"{name}: {common:,} of {len(keys):,} dev pairs ({share}) are training pairs too; dev figures will be too good")


def split_dev(pairs: Sequence[Pair], seed: int, share: float = 1 / 20, most: int = 2000) -> tuple[list[Pair], list[Pair]]:
    """Pairs -> (train, dev), split by source: all pairs of a source are on one side, both sides keep their order.

    Dev has about `share` of the pairs and at most `most`, but at least one source. Which sources follows from their SHA-256
    with the seed, so that it is the same on every machine and in any order of the file.

    Raises:
        DataError: fewer than two different sources.
    """
    sizes = Counter(p.source for p in pairs)
    if len(sizes) < 2:
        where = f"{_file(pairs[0])}: " if pairs else ""
        raise DataError(f"{where}fewer than 2 different sources; they cannot be split into training and dev; give --dev")
    wanted = max(1, min(most, round(share * len(pairs))))
    by_hash = sorted(sizes, key=lambda s: hashlib.sha256(f"{seed}\t{s}".encode("utf-8", "surrogatepass")).digest())
    held: set[str] = set()
    taken = 0
    for source in by_hash[:-1]:  # one source is left for training, whatever the share
        if taken + sizes[source] <= wanted:
            held.add(source)
            taken += sizes[source]
        if taken == wanted:
            break
    held = held or {min(by_hash, key=lambda s: sizes[s])}  # every source has more pairs than wanted: the one with fewest
    return [p for p in pairs if p.source not in held], [p for p in pairs if p.source in held]


def _file(pair: Pair) -> str:
    return pair.where.rpartition(":")[0] or "pairs"
