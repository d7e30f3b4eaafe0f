"""Plain sentences out of numbers: what was found, and no more than the numbers say."""

from __future__ import annotations

from jumok.studies.statistics import Interval


def number(value: float, digits: int = 1) -> str:
    """A number for a sentence or a table; no negative zero."""
    text = f"{value:,.{digits}f}"
    return text[1:] if text.strip("-0.,") == "" and text.startswith("-") else text


def plus_minus(interval: Interval, digits: int = 1) -> str:
    """12.3 ± 0.8; only the mean where there is no interval."""
    if interval.half is None:
        return number(interval.mean, digits)
    return f"{number(interval.mean, digits)} ± {number(interval.half, digits)}"


def compared(a: str, b: str, gap: Interval, unit: str, where: str = "", higher_is_better: bool = True, digits: int = 1) -> str:
    """A sentence about the difference `gap` = a − b: who is ahead and by how much, or that it is not clear.

    Args:
        a, b: names of the two. unit: what the number counts. where: a phrase such as "in the longest quarter".
    """
    place = f" {where}" if where else ""
    lead = gap if higher_is_better else Interval(-gap.mean, gap.half, gap.n)
    if gap.half is None:
        if abs(gap.mean) < 0.5 * 10**-digits:
            return f"{a} and {b} are level{place}; it is one seed only, which says nothing of chance."
        first, second = (a, b) if lead.mean > 0 else (b, a)
        return (
            f"{first} is ahead of {second} by {number(abs(gap.mean), digits)} {unit}{place}; "
            "it is one seed only, which says nothing of chance."
        )
    if not gap.clear:
        return f"No clear difference between {a} and {b}{place}: {plus_minus(gap, digits)} {unit} over {gap.n} seeds."
    first, second = (a, b) if lead.mean > 0 else (b, a)
    size = Interval(abs(gap.mean), gap.half, gap.n)
    return f"{first} is ahead of {second} by {plus_minus(size, digits)} {unit}{place} ({gap.n} seeds)."
