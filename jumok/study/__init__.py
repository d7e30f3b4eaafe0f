"""Studies: claims about attention turned into runs that anyone repeats. `jumok.study("bottleneck", out="folder")` does one.

The package can be called, since it and the function have one name.
"""

from __future__ import annotations

import sys
import types
from typing import Any


class _Callable(types.ModuleType):
    """This package, which is also the function `jumok.study.conduct.study`."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        from jumok.study.conduct import study

        return study(*arguments, **options)


sys.modules[__name__].__class__ = _Callable
