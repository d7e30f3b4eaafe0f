"""The platforms that the engine's library is built for, with which options, and which of them this Python runs on.

A library holds the same functions several times, once for each level of instructions: 1 is what every CPU of the platform has
(SSE2, NEON), 3 is x86-64-v3 (AVX2), 4 is x86-64-v4 (AVX-512) with VNNI. `source/levels.c` asks the CPU which it can run.
"""

from __future__ import annotations

import platform
import struct
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
SOURCE = FOLDER / "source"
LIBRARIES = FOLDER / "libraries"
WASM_FILE = FOLDER / "engine.wasm"

FLAGS = (
    "-O3",
    "-std=c11",
    "-ffreestanding",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fvisibility=hidden",
    "-fno-stack-protector",
    "-fno-asynchronous-unwind-tables",
    "-Wall",
    "-Wextra",
    "-Werror=implicit-function-declaration",
)
LINK = ("-shared", "-nostdlib", "-s")
V3 = ("-mavx2", "-mfma", "-mf16c", "-mbmi", "-mbmi2", "-mlzcnt", "-mmovbe", "-mpopcnt", "-mcx16", "-msahf")
V4 = (*V3, "-mavx512f", "-mavx512bw", "-mavx512cd", "-mavx512dq", "-mavx512vl", "-mavx512vnni")
# what a machine's own compiler is told for each level; -march=x86-64-v3 is too new for many
CC_LEVELS: dict[str, dict[int, tuple[str, ...]]] = {"x86_64": {1: (), 3: V3, 4: V4}}

X86 = {1: "x86_64", 3: "x86_64_v3", 4: "x86_64_v4+avx512vnni"}
# __chkstk, which touches each page of a large frame, is a function of the C library; no frame is as large as a page
WINDOWS = ("-mno-stack-arg-probe", "-Wframe-larger-than=4000", "-Werror=frame-larger-than")


@dataclass(frozen=True)
class Platform:
    """How zig builds for a platform: its target, the CPU of each level, and further options of compiler and linker."""

    target: str
    cpus: dict[int, str]
    options: tuple[str, ...] = ()
    link: tuple[str, ...] = ()


# name -> how it is built
PLATFORMS = {
    "linux-x86_64": Platform("x86_64-linux-gnu.2.17", X86, ("-fPIC",)),
    "linux-arm64": Platform("aarch64-linux-gnu.2.17", {1: "generic"}, ("-fPIC",)),
    "macos-x86_64": Platform("x86_64-macos.10.13", X86, link=("-Wl,-install_name,@rpath/jumok.dylib",)),
    "macos-arm64": Platform("aarch64-macos.11.0", {1: "apple_m1"}, link=("-Wl,-install_name,@rpath/jumok.dylib",)),
    "windows-x86_64": Platform("x86_64-windows-gnu", X86, WINDOWS),
    "windows-arm64": Platform("aarch64-windows-gnu", {1: "generic"}, WINDOWS),
}
WASM = Platform(
    "wasm32-freestanding",
    {1: "generic+simd128+bulk_memory+nontrapping_fptoint+sign_ext"},
    ("-Oz", "-fno-inline", "-mllvm", "-disable-lsr", "-DENGINE_EXPORT="),
    (
        "--no-entry",
        "--import-memory",
        "--strip-all",
        "--compress-relocations",
        "--gc-sections",
        "-z",
        "stack-size=262144",
        "--export=__heap_base",
    ),
)
# what a page calls: it searches by itself, and its models are packed and checked before; score for the posteriors of a chain
WASM_EXPORTS = (
    "table_bytes",
    "source_floats",
    "beam_floats",
    "scratch_bytes",
    "greedy_floats",
    "start",
    "step",
    "step_given",
    "look",
    "score",
)

SYSTEMS = {"win32": "windows", "darwin": "macos"}
MACHINES = {"amd64": "x86_64", "x64": "x86_64", "aarch64": "arm64"}
ENDINGS = {"windows": ".dll", "macos": ".dylib"}


def here() -> str | None:
    """The platform of this Python, as linux-x86_64; None for a 32-bit one, for which the engine is not made.

    It need not be one of PLATFORMS: where there is a C compiler, a library can be built for any 64-bit machine.
    """
    if struct.calcsize("P") != 8 or sys.platform in ("emscripten", "wasi"):
        return None
    machine = platform.machine().lower()
    return f"{SYSTEMS.get(sys.platform, sys.platform)}-{MACHINES.get(machine, machine)}"


def file_name(name: str) -> str:
    """The file of a platform's library: linux-x86_64 -> linux-x86_64.so."""
    return name + ENDINGS.get(name.split("-")[0], ".so")


def mark() -> str:
    """What each library carries: words, and eight hexadecimal digits of source and options.

    A library of other source is not used: its functions may take other arguments.
    """
    value = zlib.crc32(repr((FLAGS, LINK, CC_LEVELS, PLATFORMS)).encode())
    for file in sorted(SOURCE.glob("*.[ch]")):
        value = zlib.crc32(file.name.encode() + b"\0" + file.read_bytes().replace(b"\r\n", b"\n"), value)
    return f"jumok engine source {value:08x}"
