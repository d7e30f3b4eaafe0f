"""Pages for tests in a browser: built once, from planted models; and what such tests need, or why they are skipped."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from page_models import write_model

from jumok.decode.translator import Translator
from jumok.page import Example, build_page
from jumok.page.build import frame
from jumok.page.models import page_models
from jumok.page.recording import recorded_page
from jumok.runtime.folder import read_folder

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
EXAMPLES = [Example("attention", (), "AH T N"), Example("zebra"), Example("한글 <b>")]
# seeds and scales with which these random models write different tokens, and end
VARIED: dict[str, dict[str, float]] = {
    "dot": {"seed": 7, "scale": 5},
    "general": {"seed": 10, "scale": 5},
    "monotonic": {"seed": 12, "scale": 2.5},
    "concat": {"seed": 9, "scale": 4},
    "none": {"seed": 15, "scale": 2.5},
    "gru": {"seed": 21, "scale": 4},
    "fed": {"seed": 1, "scale": 6},
    "tied": {"seed": 9, "scale": 4},
    "copying": {"seed": 6, "scale": 4},
}
# where `make .venv/ready-page` puts playwright-core and axe-core
MODULES = Path(os.environ.get("JUMOK_PAGE_MODULES", ROOT / ".venv" / "page" / "node_modules"))


def chromium() -> str | None:
    return os.environ.get("JUMOK_CHROMIUM") or next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """name -> the path of a page."""
    folder = tmp_path_factory.mktemp("pages")
    kinds = {
        "dot": [("dot", ())],
        "features": [("dot", ("V", "PST", "<b>"))],
        "chain": [("monotonic", ())],
        "four": [(kind, ()) for kind in ("dot", "none", "general", "concat")],
        "more": [(kind, ()) for kind in ("gru", "fed", "tied", "copying")],
    }
    made = {}
    for name, models in kinds.items():
        paths = [
            str(write_model(folder / name / kind, kind, features=features, **VARIED.get(kind, {}))) for kind, features in models
        ]
        made[name] = str(folder / f"{name}.html")
        Path(made[name]).write_text(build_page(page_models(paths), EXAMPLES), encoding="utf-8")
    dot = Path(made["dot"]).read_text(encoding="utf-8")
    broken = re.sub(r'(id="jumok-model-0">).{200}', r"\1" + "A" * 200, dot)
    translation = Translator(read_folder(folder / "dot" / "dot")).translate("attention")
    for name, text in (("damaged", broken), ("frame", frame(dot)), ("trace", recorded_page(translation))):
        made[name] = str(folder / f"{name}.html")
        Path(made[name]).write_text(text, encoding="utf-8")
    return made


@pytest.fixture(scope="session")
def browser(pages: dict[str, str]) -> Callable[..., None]:
    """Runs a file of browser tests; skips, with the reason, where the browser or its driver is missing."""
    for missing, reason in (
        (shutil.which("node") is None, "node is not installed"),
        (not (MODULES / "playwright-core").is_dir(), f"playwright-core is not in {MODULES}: make .venv/ready-page"),
        (chromium() is None, "chromium is not installed"),
    ):
        if missing:
            pytest.skip(reason)

    def run(script: str, **environment: str) -> None:
        done = subprocess.run(
            ["node", "--test", "--test-reporter=tap", str(HERE / "browser" / script)],
            env=os.environ
            | {"NODE_MODULES": str(MODULES), "CHROMIUM": chromium() or "", "PAGES": json.dumps(pages)}
            | environment,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-8000:]

    return run
