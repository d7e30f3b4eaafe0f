"""Builds the page: the models as data, modules, style and engine in one HTML text; and the frame that a notebook shows."""

from __future__ import annotations

import json
import zlib
from base64 import b85encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import jumok
from jumok.engine.platforms import WASM_FILE
from jumok.explain.page import page
from jumok.page.inline import inline
from jumok.page.models import PageModel

HERE = Path(__file__).parent
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'wasm-unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:; "
    "worker-src blob:; base-uri 'none'; form-action 'none'"
)
FRAME_HEIGHT = 760  # pixels, of the frame in a notebook


@dataclass(frozen=True)
class Example:
    """A source that the page offers: its features, and its target where that is known ("" if not)."""

    source: str
    features: tuple[str, ...] = ()
    gold: str = ""


def build_page(models: Sequence[PageModel], examples: Sequence[Example] = (), trace: Mapping[str, Any] | None = None) -> str:
    """The page as the text of one HTML file.

    Args:
        models: up to four; the first is shown, the others beside it in a comparison.
        examples: offered under the input; the first is written when the page opens.
        trace: in place of models, a recorded output (schema jumok.translation/1), which is shown and cannot be changed.
    """
    data = {
        "version": jumok.__version__,
        "models": [model.facts for model in models],
        "examples": [asdict(example) for example in examples],
        "trace": trace,
    }
    names = ", ".join(model.facts["name"] for model in models)
    title = f"{names} · jumok" if names else "jumok"
    parts = [_data("data", "application/json", json.dumps(data, ensure_ascii=True))]
    if models:
        parts.append(_data("engine", "text/plain", _packed(engine())))
        parts += [_data(f"model-{i}", "text/plain", _packed(model.block)) for i, model in enumerate(models)]
        parts.append(_data("worker", "text/plain", _packed(_script("worker").encode())))
    parts.append(_data("main", "text/plain", _packed(_script("main").encode())))
    script = _script("loader").replace("</", "<\\/")
    app = '<div id="app"><noscript>This page needs JavaScript; it works without network.</noscript></div>'
    return page(title, "\n".join([app, *parts, f"<script>\n{script}</script>"]), POLICY, _style())


def frame(html: str, height: int = FRAME_HEIGHT) -> str:
    """The page as an element for a notebook: a frame that carries the whole page, and can reach nothing around it."""
    return (
        f'<iframe sandbox="allow-scripts allow-downloads" title="jumok" srcdoc="{escape(html)}" '
        f'style="width:100%;height:{height}px;border:0;border-radius:12px"></iframe>'
    )


def _data(name: str, kind: str, text: str) -> str:
    """A block of data in the page; no text can end it, since `<` is written as an escape of JSON (packed data have none)."""
    return f'<script type="{kind}" id="jumok-{name}">{text.replace("<", chr(92) + "u003c")}</script>'


# base 85, with other characters in place of those that mean something in HTML
_SAFE = bytes.maketrans(b"&<>`", b",./:")


def _packed(data: bytes) -> str:
    """Compressed, and written in base 85: a tenth less than base 64 would take. js/packed.js reads it."""
    return b85encode(zlib.compress(data, 9)).translate(_SAFE).decode()


@cache
def engine() -> bytes:
    """The compiled engine as wasm."""
    return WASM_FILE.read_bytes()


@cache
def _module(name: str) -> str:
    return (HERE / "js" / f"{name}.js").read_text(encoding="utf-8")


@cache
def _script(entry: str, source: Callable[[str], str] = _module) -> str:
    return inline(entry, source)


@cache
def _style() -> str:
    text = "".join(path.read_text(encoding="utf-8") for path in sorted((HERE / "css").glob("*.css")))
    assert "</" not in text
    return text
