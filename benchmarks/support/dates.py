"""Data for normalisation, made here: dates as people write them to ISO 8601, and numbers in digits to English words.

The same pairs every time; no source is in two parts.
"""

import datetime
import random
from collections.abc import Callable

SIZES = {"test": 1_000, "dev": 500, "train": 4_000}  # the smaller are drawn first
FIRST, LAST = datetime.date(1900, 1, 1), datetime.date(2099, 12, 31)
FORMS = (
    *("{day} {month} {year}", "{day} {short} {year}", "{nth} {month} {year}", "the {nth} of {month}, {year}"),
    *("{month} {day}, {year}", "{short} {day} {year}", "{month} the {nth}, {year}", "{weekday}, {month} {day}, {year}"),
    *("{weekday} {day} {month} {year}", "{day:02}.{number:02}.{year}", "{day}.{number}.{year}", "{number}/{day}/{year}"),
    *("{year}-{number:02}-{day:02}", "{year}/{number}/{day}", "{day}-{short}-{year}", "{SHORT} {day}, {year}"),
)
ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
POWERS = ((10**9, "billion"), (10**6, "million"), (10**3, "thousand"), (100, "hundred"))


def made(part: str, name: str) -> list[str]:
    """The lines of a part ("dates", "numbers") for "train", "dev" or "test": source, a TAB, target."""
    rng, seen = random.Random(f"{part} 17"), set[str]()
    for split, size in SIZES.items():
        lines: list[str] = []
        while len(lines) < size:
            source, target = PARTS[part](rng)
            if source not in seen:
                seen.add(source)
                lines.append(f"{source}\t{target}\n")
        if split == name:
            return lines
    raise KeyError(name)


def date(rng: random.Random) -> tuple[str, str]:
    """A day in one of FORMS, and as 2026-11-28."""
    day = FIRST + datetime.timedelta(rng.randrange((LAST - FIRST).days + 1))
    month = MONTHS[day.month - 1]
    names = {"month": month, "short": month[:3], "SHORT": month[:3].upper(), "weekday": DAYS[day.weekday()]}
    written = rng.choice(FORMS).format(day=day.day, number=day.month, year=day.year, nth=nth(day.day), **names)
    return rng.choice((written, written.lower())), day.isoformat()


def number(rng: random.Random) -> tuple[str, str]:
    """1,204 or 1204, and one thousand two hundred four; numbers of 1 to 12 digits, each as often."""
    n = rng.randrange(10 ** rng.randint(1, 12))
    return rng.choice((str(n), f"{n:,}")), words(n)


def words(n: int) -> str:
    """A number from 0 on, below a thousand billion, in English words."""
    for power, name in POWERS:
        if n >= power:
            rest = n % power
            return f"{words(n // power)} {name}" + (f" {words(rest)}" if rest else "")
    if n < len(ONES):
        return ONES[n]
    return TENS[n // 10 - 2] + (f" {ONES[n % 10]}" if n % 10 else "")


def nth(n: int) -> str:
    """1st, 2nd, 3rd, 4th …"""
    ending = "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{ending}"


MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
PARTS: dict[str, Callable[[random.Random], tuple[str, str]]] = {"dates": date, "numbers": number}
