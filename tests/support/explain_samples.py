"""Translations with planted weights, which the tests of `jumok.explain` draw."""

import numpy as np
from hypothesis import strategies as st

from jumok.runtime.translation import Translation


def planted(source_tokens: list[str], tokens: list[str], weights: list[list[float]] | np.ndarray | None) -> Translation:
    """A translation of these tokens; its texts are the tokens joined."""
    return Translation(
        source="".join(source_tokens),
        text="".join(tokens),
        source_tokens=tuple(source_tokens),
        tokens=tuple(tokens),
        weights=None if weights is None else np.array(weights, dtype=np.float32).reshape(len(tokens), len(source_tokens)),
        log_probability=-1.5,
        score=-0.5,
    )


def small() -> Translation:
    """Two output tokens over three source tokens, each cell another weight."""
    return planted(["a", "b", "</s>"], ["X", "</s>"], [[0.75, 0.2, 0.05], [0.0, 0.35, 0.65]])


def blind() -> Translation:
    """What a model trained with attention none gives."""
    return planted(["a", "</s>"], ["X", "</s>"], None)


def uniform(source_tokens: list[str], tokens: list[str]) -> Translation:
    return planted(source_tokens, tokens, np.full((len(tokens), len(source_tokens)), 1 / len(source_tokens)))


HARD_TOKENS = [
    " ",
    "\t",
    "\n",
    "\x00",
    "\x1b[31m",
    "\x7f",
    "\x85",
    "\u00a0",
    "\u3000",
    "\u200b",
    "\u200d",
    "\u200e",
    "\u202e",
    "\u2028",
    "\ufeff",
    "\uffff",
    "\u0301",
    "e\u0301",
    "ा",
    "हि",
    "ส",
    "\u1112",
    "\u1161",
    "\u11ab",
    "한국어",
    "日本",
    "ｗ",
    "שלום",
    "م",
    "👩\u200d💻",
    "🇰🇷",
    "👍🏽",
    "❤\ufe0f",
    "<script>alert(1)</script>",
    "&amp;",
    '"',
    "'",
    "$x$",
    "]]>",
    "a,b",
    "=1+1",
    "Donaudampfschifffahrtsgesellschaft",
    "",
    "</s>",
    "‹PST›",
]
any_token = st.one_of(st.sampled_from(HARD_TOKENS), st.text(max_size=4), st.text(alphabet="abc", min_size=1, max_size=20))


@st.composite
def translations(draw: st.DrawFn, most: int = 12, token: st.SearchStrategy[str] = any_token) -> Translation:
    """Any tokens, any weights whose rows sum to 1."""
    source_tokens = draw(st.lists(token, min_size=1, max_size=most))
    tokens = draw(st.lists(token, min_size=1, max_size=most))
    raw = np.random.default_rng(draw(st.integers(0, 1000))).random((len(tokens), len(source_tokens))) ** 4 + 1e-9
    return planted(source_tokens, tokens, raw / raw.sum(axis=1, keepdims=True))
