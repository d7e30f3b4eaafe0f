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


def write_small_source(folder: Path) -> None:
    """Writes a source that is built in no time: `engine_step` adds 100 times its level."""
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


def small_source(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Writes that source; all that builds or loads in this process then takes it for the engine's."""
    write_small_source(folder)
    patch.setattr(build, "SOURCE", folder)
    patch.setattr(platforms, "SOURCE", folder)
