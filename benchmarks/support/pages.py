"""What benchmarks of the page need: where Chromium and the packages of its driver are."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def environment() -> dict[str, str]:
    """CHROMIUM and NODE_MODULES, where both are there; else nothing."""
    chromium = os.environ.get("JUMOK_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    modules = Path(os.environ.get("JUMOK_PAGE_MODULES", ROOT / ".venv" / "page" / "node_modules"))
    there = chromium and (modules / "playwright-core").is_dir()
    return {"CHROMIUM": str(chromium), "NODE_MODULES": str(modules)} if there else {}


def measured(script: Path, *files: Path) -> dict[str, Any]:
    """What a script of Node finds, which writes it as JSON."""
    command = ["node", str(script), *map(str, files)]
    done = subprocess.run(command, env=os.environ | environment(), check=True, timeout=3600, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)
