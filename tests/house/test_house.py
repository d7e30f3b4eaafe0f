"""The order of the house: who may import whom, torch in one room only, no pickle, small files with a first line."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import jumok

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "jumok").rglob("*.py"))
IDS = [str(f.relative_to(ROOT)) for f in FILES]

# A module may import its own room and any room on a later line; rooms on one line do not see each other.
ORDER = (
    ("__main__",),
    ("cli",),
    ("quickstart", "toml"),
    ("studies", "page", "serve"),
    ("learn",),
    ("net",),
    ("explain",),
    ("measure", "outputs"),
    ("decode",),
    ("engine", "runtime"),
    ("corpus",),
    ("text",),
    ("config", "console", "edge", "interrupt", "keywords"),
    ("alignments", "locks", "places", "schedules", "scores", "windows"),
    ("disk", "processes"),
    ("errors",),
)
PLACE = {room: i for i, rooms in enumerate(ORDER) for room in rooms}
# Against the order, and only inside these methods: a Translation draws itself, and a Translator makes its page.
EXCEPTIONS = {("jumok/runtime/translation.py", method, "explain") for method in ("save", "to_svg", "to_html")}
EXCEPTIONS.add(("jumok/explain/showing.py", "_written", "page"))  # `jumok explain --out x.html` is a page without a model
EXCEPTIONS |= {("jumok/decode/translator.py", function, "page") for function in ("page", "")}  # "": for type checkers alone

HEAVY = {"torch", "rich", "tokenizers", "sacrebleu", "rapidfuzz", "matplotlib"}
UNSAFE_MODULES = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
UNSAFE_CALLS = {"eval", "exec", "compile", "__import__"}
UNSAFE_ATTRIBUTES = {("torch", "load"), ("torch", "save")}
NETWORK = {"urllib", "http", "socket", "requests", "httpx", "ftplib", "huggingface_hub"}

MOVING = {"replace", "rename", "renames", "move", "link", "fsync"}  # of os, shutil and pathlib
# Functions that write a file which is not yet, or never, at the place that somebody reads.
WRITERS = {
    ("jumok/corpus/prepare.py", "__enter__"),  # in the folder of what is being made; disk.move_into puts it in its place
    ("jumok/corpus/prepare.py", "_finish"),
    ("jumok/corpus/shards.py", "write"),  # an open draft
    ("jumok/explain/files.py", "_write_text"),  # the path that places.Output gives
    ("jumok/places.py", "_stream"),  # a device or a pipe
    ("jumok/runtime/folder.py", "write_folder"),  # in a hidden folder; disk.put_folder puts it in its place
    ("jumok/studies/engine.py", "_start"),  # a log, which grows
    ("jumok/text/codec.py", "_write"),  # in the folder of what is being made
}

MOST = 6  # parameters of a function
PUBLIC = {name for room in (jumok, jumok.explain, jumok.measure) for name in room.__all__}  # these spell out options for users
PUBLIC_METHODS = {name for name in dir(jumok.Translator) if not name.startswith("_")}
# Functions with more parameters all the same.
MANY = {
    ("jumok/runtime/folder.py", "write_folder"),  # the parts of a model folder, and how another one is replaced
    ("jumok/engine/packing.py", "pack_planes"),  # has the parameters of engine_pack, in whose place it is called
}


class Import:
    """One imported module: its dotted name, the function it stands in ("" at module level), its line."""

    def __init__(self, name: str, function: str, line: int) -> None:
        self.name, self.function, self.line = name, function, line


def imports(tree: ast.Module, path: Path) -> Iterator[Import]:
    """Every import of a file with absolute names; `from a import b` gives a.b, since b may be a module."""
    package = path.relative_to(ROOT).parent.parts

    def walk(node: ast.AST, function: str) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield Import(alias.name, function, child.lineno)
            elif isinstance(child, ast.ImportFrom):
                start = ".".join(package[: len(package) - child.level + 1]) if child.level else ""
                module = ".".join(part for part in (start, child.module or "") if part)
                for alias in child.names:
                    yield Import(f"{module}.{alias.name}", function, child.lineno)
            else:
                inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
                yield from walk(child, child.name if inside else function)

    yield from walk(tree, "")


def room(name: str) -> str:
    """The room of a dotted name inside jumok: jumok.text.pairs -> text; a name of the package itself -> ""."""
    first = name.split(".")[1] if "." in name else ""
    return first if first in PLACE or (ROOT / "jumok" / first).is_dir() or (ROOT / "jumok" / f"{first}.py").exists() else ""


def against_order(path: str, source: str) -> list[str]:
    """What in this file's source imports against ORDER, a line each."""
    if path == "jumok/__init__.py":
        return []  # it offers the public names of all rooms
    file = ROOT / path
    own = room(".".join(file.relative_to(ROOT).with_suffix("").parts))
    wrong = []
    for found in imports(ast.parse(source), file):
        other = room(found.name) if found.name.split(".")[0] == "jumok" else ""
        if other in ("", own) or (path, found.function, other) in EXCEPTIONS:
            continue
        if PLACE[own] >= PLACE[other]:
            wrong.append(f"{path}:{found.line}: {own} imports {found.name}; {own} may only see rooms that stand after it")
    return wrong


def heavy_at_start(path: str, source: str) -> list[str]:
    """Imports of heavy packages that run when this file is imported; torch also inside functions, but in learn."""
    file = ROOT / path
    in_learn = path.startswith(("jumok/learn/", "jumok/net/"))
    wrong = []
    for found in imports(ast.parse(source), file):
        package = found.name.split(".")[0]
        if package == "torch" and not in_learn:
            wrong.append(f"{path}:{found.line}: torch is imported outside jumok/learn")
        elif package in HEAVY and package != "torch" and not found.function:
            wrong.append(f"{path}:{found.line}: {package} is imported at module level; import it in the function that needs it")
    return wrong


def unsafe(path: str, source: str) -> list[str]:
    """Code in this file that could run what a file says, or reach for the network."""
    file = ROOT / path
    tree = ast.parse(source)
    wrong = []
    for found in imports(tree, file):
        package = found.name.split(".")[0]
        if package in UNSAFE_MODULES or tuple(found.name.split(".")) in UNSAFE_ATTRIBUTES:
            wrong.append(f"{path}:{found.line}: {found.name} reads code from files")
        if package in NETWORK and not path.startswith("jumok/serve/"):
            wrong.append(f"{path}:{found.line}: {found.name} reaches for the network")
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in UNSAFE_CALLS:
            wrong.append(f"{path}:{node.lineno}: calls {node.func.id}")
        if isinstance(node, ast.Attribute) and (getattr(node.value, "id", ""), node.attr) in UNSAFE_ATTRIBUTES:
            wrong.append(f"{path}:{node.lineno}: {ast.unparse(node)} is pickle")
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle" and getattr(node.value, "value", True) is not False:
            wrong.append(f"{path}:{node.value.lineno}: allow_pickle is on")
    return wrong


def moves(path: str, source: str) -> list[str]:
    """Files that are renamed or flushed here; that is the work of jumok/disk.py alone."""
    wrong = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module in ("os", "shutil"):
            wrong += [f"{path}:{node.lineno}: {name.name} by its bare name" for name in node.names if name.name in MOVING]
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MOVING):
            continue
        of_a_module = getattr(node.func.value, "id", "") in ("os", "shutil")
        of_a_path = (
            len(node.args) == 1
            and not isinstance(node.args[0], ast.Starred)
            and not node.keywords
            and node.func.attr in ("rename", "replace")
        )
        if of_a_module or of_a_path:
            wrong.append(f"{path}:{node.lineno}: {ast.unparse(node)}; call jumok/disk.py, which also flushes and cleans up")
    return [] if path == "jumok/disk.py" else wrong


def writes(path: str, source: str) -> list[str]:
    """Files that are written here, without jumok/disk.py, so that a killed process would leave half of one."""
    wrong = []
    for function in ast.walk(ast.parse(source)):
        if not isinstance(function, ast.FunctionDef) or (path, function.name) in WRITERS:
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                mode = next((w for w in (*node.args, *(k.value for k in node.keywords)) if _is_mode(w)), None)
                if name in ("write_text", "write_bytes", "savez", "savez_compressed") or (name == "open" and mode):
                    wrong.append(f"{path}:{node.lineno}: {ast.unparse(node)[:60]}; write it with jumok/disk.py")
    return [] if path == "jumok/disk.py" else wrong


def _is_mode(node: ast.expr) -> bool:
    value = node.value if isinstance(node, ast.Constant) else ""
    return isinstance(value, str) and 0 < len(value) < 4 and set(value) <= set("rwaxbt+") and bool(set(value) & set("wax+"))


def many_parameters(path: str, source: str) -> list[str]:
    """Functions and methods with more than MOST parameters, self not counted."""
    long = []

    def walk(node: ast.AST, of: str) -> None:
        for child in ast.iter_child_nodes(node):
            name = f"{of}.{child.name}" if of and hasattr(child, "name") else getattr(child, "name", of)
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                arguments = [a.arg for a in (*child.args.posonlyargs, *child.args.args, *child.args.kwonlyargs)]
                if isinstance(node, ast.ClassDef):
                    arguments = [a for a in arguments if a not in ("self", "cls")]
                if len(arguments) > MOST and child.name not in PUBLIC | PUBLIC_METHODS and (path, name) not in MANY:
                    long.append(
                        f"{path}:{child.lineno}: {name} has {len(arguments)} parameters; at most {MOST}; pass a dataclass"
                    )
            walk(child, name)

    walk(ast.parse(source), "")
    return long


@pytest.fixture(params=FILES, ids=IDS)
def file(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Each file of the package: (path from the repository's root, source)."""
    return request.param.relative_to(ROOT).as_posix(), request.param.read_text(encoding="utf-8")


def test_imports_point_one_way(file: tuple[str, str]) -> None:
    assert against_order(*file) == []


def test_heavy_packages_are_imported_late_and_torch_only_in_learn(file: tuple[str, str]) -> None:
    assert heavy_at_start(*file) == []


def test_nothing_runs_code_from_files_or_reaches_for_the_network(file: tuple[str, str]) -> None:
    assert unsafe(*file) == []


def test_files_are_written_and_renamed_in_one_place(file: tuple[str, str]) -> None:
    assert moves(*file) + writes(*file) == []


def test_exceptions_for_writers_are_needed() -> None:
    needed = set[tuple[str, str]]()
    for path, name in WRITERS:
        for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name == name and writes("", ast.unparse(node)):
                needed.add((path, name))
    assert needed == WRITERS


def test_first_line_says_the_job(file: tuple[str, str]) -> None:
    path, source = file
    text = ast.get_docstring(ast.parse(source))
    assert text, f"{path}: the first statement must be a docstring that says the file's one job"
    first = text.split("\n\n")[0]
    assert first[-1] in ".:`", f"{path}: the docstring must begin with one whole sentence, not {first!r}"


def test_files_stay_small(file: tuple[str, str]) -> None:
    path, source = file
    assert source.count("\n") <= 450, f"{path}: over 450 lines; it is two things"


def test_functions_have_few_parameters(file: tuple[str, str]) -> None:
    assert many_parameters(*file) == []


def test_functions_that_may_have_many_parameters_do() -> None:
    """One that is mended, or moved, leaves the list."""
    have = set()
    for path, name in MANY:
        if (ROOT / path).is_file():
            texts = many_parameters("", (ROOT / path).read_text(encoding="utf-8"))
            have |= {(path, name)} if any(f": {name} has" in text for text in texts) else set()
    assert have == MANY, f"take {sorted(MANY - have)} off the list"


def test_every_room_has_its_place() -> None:
    rooms = {f.relative_to(ROOT / "jumok").parts[0].removesuffix(".py") for f in FILES} - {"__init__"}
    assert rooms <= set(PLACE), f"give {sorted(rooms - set(PLACE))} a place in ORDER"


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("jumok/text/pairs.py", "from jumok.runtime import model"),
        ("jumok/text/pairs.py", "import jumok.learn.loop"),
        ("jumok/text/pairs.py", "from ..runtime import model"),
        ("jumok/runtime/model.py", "from jumok.decode.search import search"),
        ("jumok/runtime/model.py", "def one(self):\n    from jumok.decode import rules"),
        ("jumok/decode/translator.py", "from jumok.measure import METRICS"),
        ("jumok/text/pairs.py", "def f():\n    from jumok import explain"),
        ("jumok/runtime/translation.py", "from jumok.explain import to_html"),
        ("jumok/runtime/translation.py", "def other():\n    from jumok.explain import to_html"),
        ("jumok/runtime/translator.py", "def save(self):\n    from jumok.explain import write"),
        ("jumok/runtime/translation.py", "def save(self):\n    from jumok.measure import measure"),
        ("jumok/explain/svg.py", "import jumok.net.model"),
        ("jumok/errors.py", "from jumok.config import check"),
        ("jumok/measure/bleu.py", "from jumok import cli"),
    ],
)
def test_imports_against_the_order_are_seen(path: str, source: str) -> None:
    assert against_order(path, source)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("jumok/runtime/translation.py", "def to_html(self):\n    from jumok.explain import to_html"),
        (
            "jumok/runtime/translation.py",
            "from jumok import __version__\nfrom .cells import CELLS\nfrom jumok.text import codec",
        ),
        ("jumok/config/training.py", "from jumok.errors import ConfigError"),
        ("jumok/__init__.py", "from jumok.decode.translator import Translator"),
        ("jumok/decode/backend.py", "def _numpy(folder):\n    from jumok.runtime.model import NumpyModel"),
    ],
)
def test_imports_along_the_order_are_let_through(path: str, source: str) -> None:
    assert against_order(path, source) == []


@pytest.mark.parametrize(
    ("check", "source"),
    [
        (heavy_at_start, "import rich.table"),
        (heavy_at_start, "class A:\n    from tokenizers import Tokenizer"),
        (heavy_at_start, "def f():\n    import torch.nn"),
        (heavy_at_start, "try:\n    import matplotlib\nexcept ImportError:\n    pass"),
        (unsafe, "import pickle"),
        (unsafe, "from torch import load"),
        (unsafe, "x = torch.load('a')"),
        (unsafe, "eval('1')"),
        (unsafe, "np.load('a', allow_pickle=True)"),
        (unsafe, "from urllib.request import urlopen"),
        (many_parameters, "def f(a, b, c, d, /, e, *, f, g=1): pass"),
        (many_parameters, "class A:\n    def f(self, a, b, c, d, e, f, g): pass"),
        (many_parameters, "def f():\n    async def g(a, b, c, d, e, f, g): pass"),
        (moves, "os.replace(new, path)"),
        (moves, "new.rename(path)"),
        (moves, "Path(new).replace(path)"),
        (moves, "from os import rename"),
        (moves, "shutil.move(new, path)"),
        (writes, "def f():\n    path.write_text(text)"),
        (writes, "def f():\n    with open(path, 'wb') as f:\n        pass"),
        (writes, "def f():\n    path.open(mode='a')"),
    ],
)
def test_what_is_not_allowed_is_seen(check, source: str) -> None:
    assert check("jumok/explain/svg.py", source)


def test_what_renames_and_writes_no_file_is_let_through() -> None:
    source = "def f(text, record):\n    text.replace('a', 'b')\n    dataclasses.replace(record, step=1)\n    open(path, 'rb')\n"
    assert moves("jumok/explain/svg.py", source) == writes("jumok/explain/svg.py", source) == []


def test_six_parameters_and_self_are_let_through() -> None:
    source = "class A:\n    def f(self, a, b, c, d, e, *f, g=1, **h): pass\n"
    assert many_parameters("jumok/explain/svg.py", source) == []


def test_model_eval_and_late_imports_are_let_through() -> None:
    source = "def f(model):\n    from rich.table import Table\n    model.eval()\n"
    assert unsafe("jumok/learn/loop.py", source) == heavy_at_start("jumok/measure/table.py", source) == []


def test_public_names_are_the_same_at_every_look() -> None:
    """A function that bears its module's name is hidden by the module once that is imported; in a fresh Python, then."""
    code = "import jumok; print([n for n in jumok.__all__ if getattr(jumok, n) is not getattr(jumok, n)])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
