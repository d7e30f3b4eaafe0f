"""What a model folder holds: `jumok info`."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass

from tyro.conf import Positional

from jumok.cli._options import Options
from jumok.places import ModelPath


@dataclass(frozen=True)
class Info(Options):
    """Tell what a model folder holds.

    jumok info model
    """

    model: Positional[ModelPath]
    """Model folder."""
    json: bool = False
    """JSON instead of lines."""


def info(o: Info, given: Collection[str]) -> int:
    from jumok.runtime import load

    facts = load(o.model).info()
    if o.json:
        print(json.dumps(facts, ensure_ascii=False))
    else:
        width = max(len(name) for name in facts)
        for name, value in facts.items():
            print(f"{name:<{width}}  {value}")
    return 0
