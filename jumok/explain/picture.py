"""What every SVG of ours shares: the element, the light panel it stands on, its fonts, and text made safe for XML."""

from __future__ import annotations

from collections.abc import Iterable
from xml.sax.saxutils import escape

from jumok.explain.color import LIGHT, PANEL

TEXT_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'Noto Sans CJK KR', 'DejaVu Sans', sans-serif"


def whole(width: float, height: float, title: str, description: str, parts: Iterable[str]) -> str:
    """These parts as one `<svg>` element; sizes in pixels. Title and description are escaped here, parts are not.

    It reaches for nothing outside it and has no ids, so it can stand alone or many times in a page.
    """
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" style="max-width:100%;height:auto">'
    )
    return "\n".join([head, f"<title>{safe(title)}</title>", f"<desc>{safe(description)}</desc>", *parts, "</svg>"]) + "\n"


def frame(width: float, height: float) -> str:
    """The light panel that a picture stands on, so that it reads on a dark page as on a light one."""
    size = f'width="{width - 1:.0f}" height="{height - 1:.0f}"'
    return f'<rect x="0.5" y="0.5" {size} rx="10" fill="{PANEL}" stroke="{LIGHT.line}"/>'


def safe(text: str) -> str:
    """Escaped for XML, in attributes as well; what XML 1.0 forbids even escaped is replaced."""
    allowed = (
        c if c in "\t\n\r" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff" else "\ufffd" for c in text
    )
    return escape("".join(allowed), {'"': "&quot;"})
