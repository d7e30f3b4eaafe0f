"""Turns numbers into plain sentences that say no more than the numbers."""

from __future__ import annotations

from dataclasses import dataclass

from jumok.studies.statistics import Interval


@dataclass(frozen=True)
class Quantity:
    """What a number counts, its direction, and how many digits are shown."""

    unit: str
    higher_is_better: bool = True
    digits: int = 1


def number(value: float, digits: int = 1) -> str:
    """A number for a sentence or a table, without a negative zero."""
    text = f"{value:,.{digits}f}"
    return text[1:] if text.strip("-0.,") == "" and text.startswith("-") else text


def plus_minus(interval: Interval, digits: int = 1) -> str:
    """12.3 ± 0.8; only the mean if there is no interval."""
    if interval.half is None:
        return number(interval.mean, digits)
    return f"{number(interval.mean, digits)} ± {number(interval.half, digits)}"


def compared(a: str, b: str, gap: Interval, quantity: Quantity, where: str = "") -> str:
    """A sentence about the difference `gap` = a − b: which is ahead and by how much, or that it is not clear.

    Args:
        a, b: names of the two. where: a phrase such as "in the longest quarter".
    """
    unit, digits = quantity.unit, quantity.digits
    place = f" {where}" if where else ""
    lead = gap if quantity.higher_is_better else Interval(-gap.mean, gap.half, gap.n)
    if gap.half is None:
        if abs(gap.mean) < 0.5 * 10**-digits:
            return f"{a} and {b} are level{place}; with only one seed, this may be chance."
        first, second = (a, b) if lead.mean > 0 else (b, a)
        return (
            f"{first} is ahead of {second} by {number(abs(gap.mean), digits)} {unit}{place}; "
            "with only one seed, this may be chance."
        )
    if not gap.clear:
        return f"No clear difference between {a} and {b}{place}: {plus_minus(gap, digits)} {unit} over {gap.n} seeds."
    first, second = (a, b) if lead.mean > 0 else (b, a)
    size = Interval(abs(gap.mean), gap.half, gap.n)
    return f"{first} is ahead of {second} by {plus_minus(size, digits)} {unit}{place} ({gap.n} seeds)."
