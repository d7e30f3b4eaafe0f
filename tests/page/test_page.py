"""The page as Python makes it: one file, nothing that text could break out of, examples, refusals, the order of its modules."""

import ctypes
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from page_models import HOSTILE, KINDS, write_model

from jumok.decode.translator import Translator
from jumok.engine.layout import PLANES, block
from jumok.engine.library import EngineError, load_library
from jumok.engine.packing import pack_planes
from jumok.errors import ConfigError, DataError, FolderError, JumokError
from jumok.page import Example, build_page, living_page, write_page
from jumok.page.inline import inline
from jumok.page.models import names, page_models
from jumok.page.recording import recorded_page
from jumok.runtime.folder import read_folder
from jumok.runtime.members import write_ensemble

HERE = Path(__file__).resolve()
PAGE = HERE.parents[2] / "jumok" / "page"
MODULES = sorted((PAGE / "js").glob("*.js"))
EVIL = "</script><img src=x onerror=alert(1)><!-- <script> ]]> \u2028 &lt;"


class Parts(HTMLParser):
    """Tags with their attributes, and the text of each script by its id."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.scripts: dict[str, str] = {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] == "script":
            name = self.tags[-1][1].get("id", "main")
            self.scripts[name] = self.scripts.get(name, "") + data


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("page") / "model", "dot", features=("V", EVIL))


def test_text_cannot_break_out_of_the_page(folder):
    html = build_page(page_models([folder]), [Example(EVIL, (EVIL,), EVIL)])
    parts = Parts(html)
    assert [tag for tag, _ in parts.tags if tag in ("img", "link", "iframe", "object", "embed", "form")] == []
    assert sum(tag == "script" for tag, _ in parts.tags) == 6  # data, engine, model, worker, main, and what unpacks it
    data = json.loads(parts.scripts["jumok-data"])
    assert data["examples"] == [{"source": EVIL, "features": [EVIL], "gold": EVIL}]
    assert data["models"][0]["text"]["target"]["tokens"][: len(HOSTILE)] == HOSTILE and EVIL in data["models"][0]["features"]
    assert not any("src" in attributes or "href" in attributes for _, attributes in parts.tags)


def test_the_page_forbids_itself_to_load_or_send(folder):
    policy = next(a["content"] for _, a in Parts(build_page(page_models([folder]))).tags if "http-equiv" in a)
    assert "default-src 'none'" in policy and "connect-src" not in policy and "http" not in policy


def test_a_page_is_small_beside_its_models(folder):
    one, none = build_page(page_models([folder])), build_page([], trace={})
    assert len(none) < 75_000 and len(one) < 125_000


def test_a_page_is_the_same_each_time(folder):
    assert build_page(page_models([folder])) == build_page(page_models([folder]))


@pytest.mark.parametrize("kind", KINDS)
def test_a_plane_packed_by_numpy_has_the_bytes_of_the_compiled_engine(kind, tmp_path):
    try:
        pack = load_library().function("pack")
    except EngineError as e:
        pytest.skip(str(e))
    pointer, whole = ctypes.c_void_p, ctypes.c_int32
    pack.restype, pack.argtypes = None, [pointer, pointer, whole, whole, whole, pointer, ctypes.c_int64]
    content = read_folder(write_model(tmp_path / "m", kind))
    content.parameters["target.embedding"][5] = 0  # a row of nothing
    content.parameters["target.embedding"][6] = np.float32(1e-39)  # and one too small for a scale
    copies = content.codec.copies() if content.config.model.copy else None
    made = [block(content.config.model, content.parameters, copies, PLANES["page"], by) for by in (pack, pack_planes)]
    assert np.array_equal(*made)


@pytest.mark.parametrize("changes", [{"cell": "rnn"}, {"attention": "location"}, {"window": "local-m"}], ids=str)
def test_a_model_that_the_engine_does_not_know_is_refused_in_one_line(changes, tmp_path):
    path = write_model(tmp_path / "m", "dot", **changes)
    with pytest.raises(ConfigError, match=r"m: a page cannot hold it: its engine does not know (cell|attention|window) "):
        page_models([path])


def test_one_to_four_models(folder, tmp_path):
    for paths in ([], [folder] * 5):
        with pytest.raises(ConfigError, match=f"page: {len(paths)} models came; a page holds 1 to 4"):
            page_models(paths)
    with pytest.raises(FolderError, match="there is no such folder"):
        page_models([tmp_path / "absent"])


def test_models_are_called_by_what_tells_their_folders_apart(tmp_path):
    assert names(["a/model", "b/model", "c"]) == ["a/model", "b/model", str(Path.cwd().name) + "/c"]
    assert names(["x/model"]) == ["model"]
    assert names(["model", "model"]) == ["model (1)", "model (2)"]


def test_examples_from_a_file_from_python_and_from_the_dev_pairs(folder, tmp_path):
    table, lines, out = tmp_path / "pairs.tsv", tmp_path / "lines.txt", tmp_path / "page.html"
    table.write_text("ab\tAH T\tV\n\ncd\tN\tV\n", encoding="utf-8")
    lines.write_text("".join(f"word {i}\n" for i in range(20)), encoding="utf-8")

    def examples(file: str) -> list:
        *said, last = write_page([str(folder)], file, str(out), lambda _: None)
        assert last.startswith(f"written to {out}") and bool(said) == (not file and bool(said))
        return json.loads(Parts(out.read_text(encoding="utf-8")).scripts["jumok-data"])["examples"]

    assert examples(str(lines))[0] == {"source": "word 0", "features": [], "gold": ""} and len(examples(str(lines))) == 8
    assert examples(str(table))[0] == {"source": "ab", "features": ["V"], "gold": "AH T"}
    assert examples("") == []  # this model was not trained
    (tmp_path / "blank.txt").write_text("\n \n", encoding="utf-8")
    with pytest.raises(DataError, match="no line could be used as an example"):
        examples(str(tmp_path / "blank.txt"))

    page = living_page(folder, ["one", ("two", "AH"), ("three", "T", "V;PST")])
    found = json.loads(Parts(page.html).scripts["jumok-data"])["examples"]
    assert [e["source"] for e in found] == ["one", "two", "three"] and found[2]["features"] == ["V", "PST"]
    for wrong in ([1], [("a", 2)], [("a", "b", "c", "d")], [["a"]]):
        with pytest.raises(DataError, match="example 1 is"):
            living_page(folder, wrong)


def test_a_translator_has_its_page(folder, tmp_path):
    page = Translator.load(folder).page(["zebra"])
    assert re.fullmatch(r"<jumok page of \d\.\d MB; .*>", repr(page))
    shown = page._repr_html_()
    assert shown.startswith("<iframe sandbox=") and "allow-same-origin" not in shown
    frame = next(a for tag, a in Parts(shown).tags if tag == "iframe")
    assert frame["srcdoc"] == page.html
    page.save(tmp_path / "p.html")
    assert (tmp_path / "p.html").read_text(encoding="utf-8") == page.html
    with pytest.raises(JumokError, match="cannot be written"):
        page.save(tmp_path)


def test_the_folder_of_an_ensemble_is_a_page_of_its_models(folder, tmp_path):
    members = [write_model(tmp_path / "e" / str(n), "dot", seed=n, features=("V", EVIL)) for n in (1, 2, 3)]
    write_ensemble(tmp_path / "e", 3)
    *_, said, _ = write_page([str(tmp_path / "e")], "", str(tmp_path / "all.html"), lambda _: None)
    assert said.startswith("3 models side by side")
    for one in (members, [f"{members[0]},{members[1]}", str(members[2])]):
        list(write_page(list(map(str, one)), "", str(tmp_path / "each.html"), lambda _: None))
        assert (tmp_path / "all.html").read_bytes() == (tmp_path / "each.html").read_bytes()
    with pytest.raises(ConfigError, match=r"page: 7 models came; a page holds 1 to 4; choose from .*1 .*2 .*3"):
        list(write_page([str(tmp_path / "e")] * 2 + [str(folder)], "", str(tmp_path / "no.html"), lambda _: None))


def test_an_ensemble_has_no_page_of_its_own_and_says_what_has(folder, tmp_path):
    other = write_model(tmp_path / "other", "dot", seed=2, features=("V", EVIL))
    with pytest.raises(ConfigError, match=r"is an ensemble; a page shows models side by side: jumok page .*model .*other$"):
        Translator.load([folder, other]).page()


def test_a_recording_holds_the_output_and_no_model(folder, tmp_path):
    translation = Translator.load(folder).translate("ab")
    parts = Parts(recorded_page(translation))
    data = json.loads(parts.scripts["jumok-data"])
    assert data["models"] == [] and data["trace"]["source"] == "ab" and "jumok-engine" not in parts.scripts
    assert data["trace"]["weights"] == pytest.approx(translation.weights, abs=1e-7)
    blind = Translator.load(write_model(tmp_path / "none", "none")).translate("ab")
    with pytest.raises(JumokError, match="no attention weights"):
        recorded_page(blind)


def test_modules_become_one_script():
    sources = {
        "main": 'import { one, two as other } from "./part-a.js";\nimport { three } from "./b.js";\n// a note\nother(one, three);\n',
        "part-a": 'import { three } from "./b.js";\nexport const one = 1;\nexport function two() {\n  return three;\n}\n',
        "b": "export const three = 3;\nexport class Four {}\nexport async function five() {}\nexport function* six() {}\n",
    }
    text = inline("main", sources.__getitem__)
    assert text.index("const $b = ") < text.index("const $part_a = ") < text.index("const $main = ")
    assert text.count("const $b = ") == 1 and "a note" not in text and "import" not in text and "export" not in text
    assert "const { one, two: other } = $part_a;" in text and "return { three, Four, five, six };" in text
    with pytest.raises(AssertionError, match="in a circle: main → b → main"):
        inline("main", {"main": 'import { x } from "./b.js";\n', "b": 'import { y } from "./main.js";\n'}.__getitem__)
    with pytest.raises(AssertionError, match=r"imports \['gone'\] from b"):
        inline("main", {"main": 'import { gone } from "./b.js";\n', "b": "export const here = 1;\n"}.__getitem__)


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.name)
def test_a_module_is_small_says_its_job_and_writes_text_as_text(module):
    text = module.read_text(encoding="utf-8")
    assert text.startswith("// ") and text.split("\n")[0].rstrip(".:;,") and text.count("\n") <= 450
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "fetch(",
        "XMLHttpRequest",
        "http://",
        "https://",
    ):
        assert word not in text.replace("http://www.w3.org/2000/svg", ""), word
