"""A translation draws and saves itself, and a comparison too: the same as `jumok explain --out`, with the same errors."""

import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest
from explain_samples import blind, planted, small, translations
from hypothesis import given, settings

import jumok
from jumok.errors import ConfigError, JumokError
from jumok.explain import (
    COMPARISON_WRITERS,
    WRITERS,
    compare,
    comparison_html,
    comparison_svg,
    from_json,
    to_html,
    to_svg,
    write,
)
from jumok.runtime.translation import Translation


@pytest.mark.parametrize("suffix", [*WRITERS, ".SVG"])
def test_save_writes_what_explain_writes(suffix: str, tmp_path: Path) -> None:
    if suffix in (".png", ".pdf"):
        pytest.importorskip("matplotlib")
    small().save(tmp_path / f"a{suffix}")
    small().save(str(tmp_path / f"b{suffix}"))
    write(small(), tmp_path / f"c{suffix}")
    a, b, c = ((tmp_path / f"{name}{suffix}").read_bytes() for name in "abc")
    assert len(a) > 50
    assert suffix == ".pdf" or a == b == c  # a PDF holds the second in which it was made


@pytest.mark.parametrize("suffix", list(COMPARISON_WRITERS))
def test_a_comparison_saves_itself(suffix: str, tmp_path: Path) -> None:
    both = compare(small(), blind())
    both.save(tmp_path / f"a{suffix}")
    write(both, tmp_path / f"b{suffix}")
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


@given(translations(most=4))
@settings(max_examples=20)
def test_the_methods_draw_as_the_functions(t: Translation) -> None:
    assert (t.to_svg(), t.to_html(), t.to_html(whole_page=False)) == (to_svg(t), to_html(t), to_html(t, whole_page=False))
    assert t._repr_html_() == to_html(t, whole_page=False)
    both = compare(t, small())
    assert (both.to_svg(), both.to_html()) == (comparison_svg(both), comparison_html(both))
    assert both._repr_html_() == comparison_html(both, whole_page=False)


@pytest.mark.parametrize("name", ["a.gif", "a", "a.svgz", "a.svg.gz", ".svg", "a.htm", "a."])
def test_another_suffix_is_refused_in_one_line_with_the_list(name: str, tmp_path: Path) -> None:
    for drawn, listed in ((small(), WRITERS), (compare(small(), small()), COMPARISON_WRITERS)):
        with pytest.raises(ConfigError) as caught:
            drawn.save(tmp_path / name)
        assert "\n" not in str(caught.value) and ", ".join(listed) in str(caught.value)
    assert not any(tmp_path.iterdir())


def test_without_weights_only_json_is_saved(tmp_path: Path) -> None:
    for suffix in WRITERS.keys() - {".json"}:
        with pytest.raises(JumokError, match="no attention weights"):
            blind().save(tmp_path / f"a{suffix}")
    for draw in (blind().to_svg, blind().to_html):
        with pytest.raises(JumokError, match="no attention weights"):
            draw()
    blind().save(tmp_path / "a.json")
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
    assert from_json((tmp_path / "a.json").read_text(encoding="utf-8")).tokens == blind().tokens


@pytest.mark.parametrize("suffix", [".svg", ".html", ".csv", ".json"])
def test_where_it_cannot_be_written_the_error_names_the_path(suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"folder{suffix}").mkdir()
    for path in (tmp_path / "absent" / f"a{suffix}", tmp_path / f"folder{suffix}"):
        with pytest.raises(JumokError, match=r"cannot be written") as caught:
            small().save(path)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_save_writes_over_what_is_there_and_nbest_saves_too(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("x" * 100_000, encoding="utf-8")
    best = planted(["a", "</s>"], ["X", "</s>"], [[1, 0], [0, 1]])
    Translation(**{**vars(small()), "alternatives": (best,)}).alternatives[0].save(path)
    assert json.loads(path.read_text(encoding="utf-8"))["text"] == best.text


def test_a_real_translation_saves_itself(model_folder: Path, tmp_path: Path) -> None:
    t = jumok.load(model_folder).translate("cat")
    t.save(tmp_path / "a.html")
    assert t.to_svg().strip() in (tmp_path / "a.html").read_text(encoding="utf-8")


def test_signatures_teach() -> None:
    for method in (Translation.save, Translation.to_svg, Translation.to_html):
        kinds = {parameter.kind for parameter in inspect.signature(method).parameters.values()}
        assert kinds == {inspect.Parameter.POSITIONAL_OR_KEYWORD} and inspect.getdoc(method)


def test_import_jumok_alone_reaches_its_public_packages_and_stays_light() -> None:
    """In a fresh Python, since here they have been imported already."""
    code = (
        "import sys, jumok; before = [m for m in sys.modules if m.startswith('jumok.') or m == 'numpy']; "
        "found = [jumok.explain.to_json, jumok.explain.compare, jumok.measure.METRICS, jumok.measure.measure, "
        "jumok.errors.ConfigError, jumok.JumokError]; "
        "heavy = {'torch', 'rich', 'tokenizers', 'sacrebleu', 'rapidfuzz', 'matplotlib'} & set(sys.modules); "
        "print(before, len(found), heavy, jumok.explain is sys.modules['jumok.explain'], {'explain', 'measure', 'errors'} <= set(dir(jumok)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[] 6 set() True True\n", "")


def test_a_translation_loads_no_drawing_until_it_is_asked_to_draw() -> None:
    code = "import sys, jumok; jumok.Translation; print([m for m in sys.modules if m.startswith('jumok.explain')])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    for name in ("explian", "measures", "nothing"):
        with pytest.raises(AttributeError, match=name):
            getattr(jumok, name)
