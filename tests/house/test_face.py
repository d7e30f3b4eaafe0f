"""The public face: every keyword spelled out as the dataclasses have it, every name documented, one form of features."""

import dataclasses
import inspect
import json
import pydoc
import runpy
import typing
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import jumok
from jumok import config, explain, measure
from jumok.cli import main
from jumok.config import LearnConfig, ModelConfig, SearchConfig, StudyConfig, TextConfig, TrainConfig
from jumok.errors import ConfigError, DataError, FolderError
from jumok.keywords import done_by
from jumok.learn import Trained
from jumok.runtime.folder import FolderConfig, write_folder
from jumok.runtime.parameters import random_parameters
from jumok.runtime.record import Record, write_record
from jumok.text import Pair, build_codec

ROOT = Path(__file__).resolve().parents[2]
LATE = {"Seq2Seq": object, "Tree": object}  # which is imported for types alone
RESULTS = [
    typing.get_type_hints(f, localns=LATE)["return"] for f in (jumok.train, jumok.study, jumok.evaluate, jumok.Translator.info)
]


def public_functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every public function, and every public method of every public class and of what these return."""
    for module in (jumok, explain, measure):
        for name in module.__all__:
            thing = getattr(module, name)
            if inspect.isclass(thing):
                yield from methods(thing)
            elif callable(thing):
                yield f"{module.__name__}.{name}", thing
    for result in RESULTS:
        yield from methods(result)


def methods(cls: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    for name, thing in inspect.getmembers(cls, callable):
        if name == "__init__" or not name.startswith("_"):
            yield f"{cls.__name__}.{name}", thing


FUNCTIONS = dict(public_functions())


def test_public_functions_are_found() -> None:
    assert {"jumok.train", "Translator.translate", "Translator.translate_lines", "Translator.score", "jumok.study"} < set(
        FUNCTIONS
    )
    assert {"jumok.load", "jumok.evaluate", "Trained.load", "Translation.save", "jumok.explain.align"} < set(FUNCTIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_public_signature_hides_its_keywords(name: str) -> None:
    function = FUNCTIONS[name]
    if name.startswith("JumokError."):
        return  # as any exception
    kinds = [p.kind for p in inspect.signature(function).parameters.values()]
    assert inspect.Parameter.VAR_KEYWORD not in kinds and inspect.Parameter.VAR_POSITIONAL not in kinds


SPELLED = [
    (jumok.train, TrainConfig, set()),
    (jumok.study, StudyConfig, set()),
    *((jumok.study, cls, set()) for cls in (TextConfig, ModelConfig, LearnConfig)),
    (jumok.Translator.translate, SearchConfig, set()),
    (jumok.Translator.translate_lines, SearchConfig, set()),
    (jumok.evaluate, SearchConfig, {"nbest"}),
    (jumok.Translator.tree, SearchConfig, {"batch_size"}),
]


@pytest.mark.parametrize(("function", "cls", "without"), SPELLED)
def test_names_and_defaults_are_those_of_the_options(function: Any, cls: type, without: set[str]) -> None:
    signature = inspect.signature(function)
    for name, f in config.options(cls).items():
        if name in without:
            assert name not in signature.parameters
            continue
        assert signature.parameters[name].default == f.default, name
        assert type(signature.parameters[name].default) is type(f.default), name
    hints, own = typing.get_type_hints(function, localns=LATE), config.type_hints(cls)
    for name in own.keys() - without:
        if not dataclasses.is_dataclass(own[name]) and own[name] not in (str, tuple[str, ...]):
            assert hints[name] == own[name], name


def test_the_options_of_every_overload_are_spelled_out() -> None:
    for overload in typing.get_overloads(jumok.Translator.translate.__wrapped__):  # type: ignore[attr-defined]
        assert config.options(SearchConfig).keys() <= inspect.signature(overload).parameters.keys()


def test_signatures_and_python_page_are_up_to_date() -> None:
    make = runpy.run_path(str(ROOT / "docs" / "make_signatures.py"))
    for file in make["FILES"]:
        text = file.read_text(encoding="utf-8")
        assert "# options: " in text and text == make["filled"](text), f"{file}: run .venv/bin/python docs/make_commands.py"
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    filled = runpy.run_path(str(ROOT / "docs" / "make_python.py"))["filled"](page)
    assert page == filled, "run .venv/bin/python docs/make_commands.py"


def test_an_option_that_is_missing_in_a_signature_is_seen() -> None:
    make = runpy.run_path(str(ROOT / "docs" / "make_signatures.py"))
    text = (ROOT / "jumok" / "learn" / "start.py").read_text(encoding="utf-8")
    for line in ("    clip: float = 1.0,\n", "        clip: Largest norm of the gradient.\n"):
        assert line in text and make["filled"](text.replace(line, "")) == text
    assert make["filled"](text.replace("clip: float = 1.0", "clip: float = 2.0")) == text


def test_every_public_name_is_documented() -> None:
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    for module in (jumok, explain, measure):
        for name in module.__all__:
            assert name == "__version__" or f"| `{name}` |" in page, f"docs/python.md does not tell of {name}"
    for name, function in FUNCTIONS.items():
        assert inspect.getdoc(function), f"{name} has no docstring"
        if name.startswith(("Translator.", "Translation.")) and "__init__" not in name:
            assert f"| `{name.partition('.')[2]}` |" in page, f"docs/python.md does not tell of {name}"


@pytest.mark.parametrize("function", [jumok.train, jumok.Translator.translate, jumok.evaluate, jumok.study])
def test_help_teaches_every_option(function: Any) -> None:
    said = pydoc.plain(pydoc.render_doc(function))
    for name in inspect.signature(function).parameters:
        assert said.count(name) > 1 or function is jumok.study or name == "self", name


def test_an_option_at_its_default_is_told_from_one_that_is_not_given() -> None:
    seen: list[dict[str, Any]] = []

    @done_by(lambda x, **options: seen.append(options))
    def face(x: int, *, attention: str = "dot", seed: int = 1) -> None:
        raise NotImplementedError

    face(1, attention="dot")
    face(1)
    assert seen == [{"attention": "dot"}, {}]
    with pytest.raises(ConfigError, match="face: there is no option 'atention'; did you mean 'attention'"):
        face(1, atention="dot")  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        face()  # type: ignore[call-arg]


def test_an_unknown_option_is_named_before_any_work(model_folder: Path, tmp_path: Path) -> None:
    for call, near in (
        (lambda: jumok.train("p.tsv", out=tmp_path / "m", atention="dot"), "attention"),  # type: ignore[call-arg]
        (lambda: jumok.study("scores", out=tmp_path / "s", seds=3), "seeds"),  # type: ignore[call-arg]
        (lambda: jumok.evaluate(model_folder, [("a", "b")], bem=3), "beam"),  # type: ignore[call-arg]
    ):
        with pytest.raises(ConfigError, match=f"did you mean '{near}'"):
            call()


# --- evaluate


PAIRS = [("cat", "C A T"), ("cat", "K A T"), ("zebra", "Z")]


def test_evaluate_takes_a_model_or_its_path_and_pairs_in_any_form(model_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("".join(f"{s}\t{t}\n" for s, t in PAIRS), encoding="utf-8")
    model, names = jumok.load(model_folder), ("accuracy", "token-error-rate")
    results = [
        jumok.evaluate(m, pairs, names, beam=2)
        for m in (model, model_folder, str(model_folder))
        for pairs in (tmp_path / "t.tsv", str(tmp_path / "t.tsv"), PAIRS, [Pair(*pair) for pair in PAIRS])
    ]
    first = results[0]
    assert list(first.metrics) == list(names) and first.sources == ["cat", "zebra"]
    assert first.references == [["C A T", "K A T"], ["Z"]] and first.search == "beam 2, length penalty 1"
    assert [t.text for t in first.outputs] == [t.text for t in model.translate(["cat", "zebra"], beam=2)]
    assert all((str(r), repr(r)) == (str(first), repr(first)) for r in results)
    value = first.metrics["token-error-rate"].value
    assert f"token-error-rate {value:.2f}" in repr(first) and repr(first).count("\n") == 0
    assert "2 sources, beam 2" in str(first) and f"{value:.2f} %" in str(first) and "token-error-rate|" in str(first)


def test_evaluate_says_what_the_command_says(model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.tsv").write_text("".join(f"{s}\t{t}\n" for s, t in PAIRS), encoding="utf-8")
    assert main(["evaluate", str(model_folder), str(tmp_path / "t.tsv")]) == 0
    table = capsys.readouterr().out.splitlines()[1:]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert str(jumok.evaluate(model_folder, tmp_path / "t.tsv")).splitlines()[1:] == table


def test_evaluate_warns_as_python_does_or_where_it_is_told_to(model_folder: Path) -> None:
    with pytest.warns(UserWarning, match="pair 1, 'C  A' as 'C A'|pair 1: 'C  A' as 'C A'") as warned:
        jumok.evaluate(model_folder, [("cat", "C  A")], "accuracy")
    assert {Path(w.filename).name for w in warned} == {"test_face.py"}  # the line that called it
    said: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(jumok.evaluate(model_folder, [("cat", "C  A")], "accuracy", warn=said.append).metrics) == ["accuracy"]
    assert any("form of outputs" in line for line in said)


@pytest.mark.parametrize(
    ("pairs", "says"),
    [
        ([], "there are no pairs"),
        ([("cat",)], r"pair 1 is \('cat',\); wanted a Pair, or a tuple"),
        ([("cat", "C"), ("cat", 3)], "pair 2 is"),
        ([("cat", "C", 3)], "features of pair 1 are 3"),
        (["cat"], "pair 1 is 'cat'"),
        ("none.tsv", "none.tsv"),
    ],
)
def test_pairs_that_are_none_are_named(model_folder: Path, pairs: Any, says: str) -> None:
    with pytest.raises(DataError, match=says):
        jumok.evaluate(model_folder, pairs, "accuracy")


# --- features


@pytest.fixture(scope="module")
def inflecting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with features, whose separator is a bar."""
    text = TextConfig(features_column=3, features_separator="|", joint_vocabulary=False)
    net = ModelConfig(attention="dot", size="small", embedding=4, hidden=8, score_size=4, readout_size=4, tie="none")
    codec = build_codec([Pair("walk", "walked", ("V", "PST")), Pair("cat", "cats", ("N", "PL"))], text)
    parameters = random_parameters(net, len(codec.source.vocabulary), len(codec.target.vocabulary), seed=1)
    folder = tmp_path_factory.mktemp("inflecting") / "m"
    write_folder(folder, FolderConfig(text, net, (1.0, 5.0), {}), parameters, codec, "# random\n", [])
    return folder


def same(a: jumok.Translation, b: jumok.Translation) -> bool:
    return (a.source_tokens, a.tokens, a.log_probability) == (b.source_tokens, b.tokens, b.log_probability)


FORMS: list[Any] = ["V|PST", ["V", "PST"], ("V", "PST"), "V||PST|", ["V", "", "PST"]]


@pytest.mark.parametrize("form", FORMS)
def test_features_have_one_form_in_python(inflecting: Path, form: Any) -> None:
    model = jumok.load(inflecting)
    wanted = model.translate("walk", features=["V", "PST"])
    assert wanted.source_tokens[:2] == ("‹V›", "‹PST›") and not wanted.unknown
    assert same(model.translate("walk", features=form), wanted)
    assert same(model.translate(["cat", "walk"], features=["N|PL", form])[1], wanted)
    assert same(model.translate(["cat", "walk"], features=[None, form])[1], wanted)
    assert same(next(iter(model.translate_lines([("walk", form)], beam=1))), wanted)
    scored = model.score("walk", "walked", ["V", "PST"])
    assert same(model.score("walk", "walked", form), scored) and same(model.score(["walk"], ["walked"], [form])[0], scored)
    found = jumok.evaluate(model, [("walk", "walked", form), Pair("walk", "walkt", form)], "accuracy")
    assert found.gold.sources == [("walk", ("V", "PST"))] and same(found.outputs[0], wanted)
    both = [next(iter(explain.align(model, [("walk", "walked", one)]))) for one in (form, ["V", "PST"])]
    assert both[0] == both[1] and both[0].links


def test_features_have_the_same_form_in_files_and_on_the_command_line(
    inflecting: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = jumok.load(inflecting).translate("walk", features="V|PST")
    for name, content in (
        ("a.tsv", "walk\tV|PST\n"),
        ("b.tsv", "walk\twalked\tV|PST\n"),
        ("c.jsonl", json.dumps({"source": "walk", "features": ["V", "PST"]}) + "\n"),
        ("d.jsonl", json.dumps({"source": "walk", "features": "V|PST"}) + "\n"),
    ):
        (tmp_path / name).write_text(content, encoding="utf-8")
        assert main(["translate", str(inflecting), str(tmp_path / name), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["source_tokens"] == list(wanted.source_tokens)
    for words in (["V", "PST"], ["V|PST"]):
        assert main(["explain", str(inflecting), "walk", "--out", str(tmp_path / "p.json"), "--features", *words]) == 0
        assert json.loads((tmp_path / "p.json").read_text())["source_tokens"] == list(wanted.source_tokens)


@pytest.mark.parametrize("wrong", [3, [1], b"V", {"V": 1}])
def test_features_that_are_none_are_named(inflecting: Path, wrong: Any) -> None:
    model = jumok.load(inflecting)
    for call in (
        lambda: model.translate("walk", features=wrong),
        lambda: model.translate(["walk"], features=[wrong]),
        lambda: list(model.translate_lines([("walk", wrong)])),
        lambda: model.score("walk", "walked", wrong),
        lambda: jumok.evaluate(model, [("walk", "walked", wrong)], "accuracy"),
        lambda: list(explain.align(model, [("walk", "walked", wrong)])),
    ):
        with pytest.raises(DataError, match="wanted a sequence of strings, such as"):
            call()


# --- results


def test_a_training_gives_its_model(model_folder: Path, tmp_path: Path) -> None:
    run = TrainConfig()
    assert (
        Trained(model_folder, run, [], 1.0, 1).load().translate("cat").tokens
        == jumok.load(model_folder).translate("cat").tokens
    )
    with pytest.raises(FolderError):
        Trained(tmp_path / "none", run, [], None, 0).load()


def test_info_has_values_and_how_far_training_is(inflecting: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = jumok.load(inflecting).info()
    assert (facts.attention, facts.window, facts.layers, facts.features) == ("dot", None, 1, 4)
    assert (facts.run, facts.state, facts.finished) == (None, None, None)
    for state, finished in (("running", False), ("stopped", False), ("finished", True)):
        write_record(inflecting, Record("abc", "def", state, 3, 12))
        facts = jumok.load(inflecting).info()
        assert (facts.run, facts.state, facts.finished, facts.step, facts.steps) == ("abc", state, finished, 3, 12)
        assert main(["info", str(inflecting)]) == 0
        assert f"{state}, step 3 of 12, run abc" in capsys.readouterr().out
        assert main(["info", str(inflecting), "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == dataclasses.asdict(facts) | {"finished": finished}
    (inflecting / "training.json").write_text("no JSON", encoding="utf-8")
    assert jumok.load(inflecting).info().state is None  # a model runs without it
    (inflecting / "training.json").unlink()


def test_options_that_come_again_are_told_from_others_that_look_like_them(model_folder: Path) -> None:
    model = jumok.load(model_folder)
    for _ in range(2):
        assert len(model.translate("cat", beam=2, nbest=1).tokens) > 0
        with pytest.raises(ConfigError, match="beam is True"):
            model.translate("cat", beam=True, nbest=1)
        with pytest.raises(ConfigError, match=r"beam is 2\.0"):
            model.translate("cat", beam=2.0, nbest=1)  # type: ignore[call-overload]
        with pytest.raises(ConfigError, match=r"max_length is \[2\]"):
            model.translate("cat", max_length=[2])  # type: ignore[call-overload]
