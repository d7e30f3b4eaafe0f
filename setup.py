"""The step of an installation that pyproject.toml cannot say: building the engine's library, where there is a C compiler.

An installation never fails for it: without a compiler, or with one that fails, Jumok computes with NumPy.

- `pip install .` builds for this machine, into the wheel; the wheel is then for this platform alone.
- `pip install --editable .` builds beside the source, unless a library of this source is there.
- `make wheel` names a folder with the libraries of all platforms in JUMOK_LIBRARIES; that wheel is for any platform.
"""

import os
import shutil
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))

from jumok.engine import build  # noqa: E402
from jumok.engine.platforms import PLATFORMS, file_name, here  # noqa: E402


class BuildPackage(build_py):
    """Copies the package, and adds the engine's library."""

    def run(self) -> None:
        folder = build.LIBRARIES
        if not self.editable_mode:
            shutil.rmtree(Path(self.build_lib) / "jumok", ignore_errors=True)  # what an earlier build left there
            folder = Path(self.build_lib).absolute() / "jumok" / "engine" / "libraries"
        super().run()
        if given := os.environ.get("JUMOK_LIBRARIES"):
            folder.mkdir(parents=True, exist_ok=True)
            for file in (Path(given) / file_name(name) for name in PLATFORMS):
                if not build.is_current(file):
                    raise SystemExit(f"{file} is missing, or was built from other source; make engine")
                shutil.copy(file, folder)
        elif not (self.editable_mode and build.is_current(folder / file_name(here() or "none"))):
            try:
                built = build.build_here(folder)
                print(f"engine: {built.path.name}, levels {', '.join(map(str, built.levels))}")
            except Exception as e:
                print(f"engine: not built, Jumok will compute with NumPy: {e}", file=sys.stderr)


class Wheel(bdist_wheel):
    """A wheel is for any platform if it holds the libraries of all of them, or none."""

    def get_tag(self) -> tuple[str, str, str]:
        folder = ROOT / self.get_finalized_command("build").build_lib / "jumok" / "engine" / "libraries"
        inside = {file.name for file in folder.glob("*")}
        if inside in (set(), {file_name(name) for name in PLATFORMS}):
            return "py3", "none", "any"
        self.root_is_pure = False
        platform = super().get_tag()[2]
        self.root_is_pure = True
        return "py3", "none", platform


setup(cmdclass={"build_py": BuildPackage, "bdist_wheel": Wheel})
