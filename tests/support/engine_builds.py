"""What tests of the engine's library share: which compilers are here."""

import shutil
from importlib import metadata
from pathlib import Path

import pytest

from jumok.engine import build, platforms
from jumok.engine.build import ZIG
from jumok.engine.platforms import SOURCE

ROOT = Path(__file__).resolve().parents[2]


def _zig() -> str:
    try:
        return metadata.version("ziglang")
    except metadata.PackageNotFoundError:
        return ""


NEEDS_CC = pytest.mark.skipif(not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="no C compiler here")
NEEDS_ZIG = pytest.mark.skipif(_zig() != ZIG, reason=f"ziglang {ZIG} is not installed: make engine")


def small_source(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that is built in no time: `engine_step` adds 100 times its level. All that builds or loads then takes this one."""
    folder.mkdir()
    for name in ("levels.c", "memory.c"):
        shutil.copy(SOURCE / name, folder)
    (folder / "engine.h").write_text(
        "#include <stdint.h>\n"
        "#define ENGINE_JOIN_(a, b) engine_##a##b\n#define ENGINE_JOIN(a, b) ENGINE_JOIN_(a, b)\n"
        "#if defined(_WIN32)\n#define ENGINE_EXPORT __declspec(dllexport)\n"
        '#else\n#define ENGINE_EXPORT __attribute__((visibility("default"), used))\n#endif\n',
        encoding="utf-8",
    )
    (folder / "engine.c").write_text(
        '#include "engine.h"\n'
        "ENGINE_EXPORT int32_t ENGINE_JOIN(step, ENGINE_SUFFIX)(int32_t n);\n"
        "int32_t ENGINE_JOIN(step, ENGINE_SUFFIX)(int32_t n) { return 100 * ENGINE_LEVEL + n; }\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(build, "SOURCE", folder)
    monkeypatch.setattr(platforms, "SOURCE", folder)
