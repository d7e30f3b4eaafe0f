"""The settings of memory: made once, before torch computes, and never against what a user has set."""

import ctypes
import json
import os
import platform
import subprocess
import sys

import pytest

from jumok.config import TrainConfig, build
from jumok.learn import memory, start


def cut(source="char", target="char", pairs=""):
    return build(TrainConfig, {"source_tokenizer": source, "target_tokenizer": target, "pairs": pairs}, "test")


class Library:
    """Stands in for the C library, and takes notes."""

    def __init__(self):
        self.asked = {}

    def mallopt(self, option, value):
        self.asked[option] = value
        return 1


@pytest.fixture
def settled(monkeypatch):
    def settle(platform="linux", library=None, run=None, **environment):
        for name in [*os.environ]:
            if name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" or name in memory.FEW_KERNELS:
                monkeypatch.delenv(name)
        for name in memory.FEW_KERNELS:  # so that what is set in a test is taken back after it
            monkeypatch.setenv(name, "")
            monkeypatch.delenv(name)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        library = library or Library()
        monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
        monkeypatch.setattr(sys, "platform", platform)
        memory.prepare(run or cut(target="bpe"))
        return getattr(library, "asked", {}), {name: os.environ[name] for name in memory.FEW_KERNELS if name in os.environ}

    return settle


def test_freed_memory_is_kept_and_few_kernels_are(settled):
    assert settled() == (memory.KEPT, memory.FEW_KERNELS)


@pytest.mark.parametrize(
    ("source", "target", "few"),
    [
        ("char", "char", False),
        ("space", "char", False),
        ("char", "space", False),
        ("space", "space", True),  # words, as far as one can know
        ("char", "word", True),
        ("bpe", "space", True),
        ("word", "bpe", True),
    ],
)
@pytest.mark.parametrize("kind", ["", "pipe", "file"])
def test_letters_keep_all_kernels_and_no_pair_is_read_to_know(settled, source, target, few, kind, tmp_path, monkeypatch):
    pairs = tmp_path / "pairs.tsv"
    if kind == "file":
        pairs.write_text("a b\tc d\n" * 10)
    elif kind == "pipe":
        os.mkfifo(pairs)  # opening it would wait for ever

    def opened(*_, **__):
        raise AssertionError("a file was opened")

    monkeypatch.setattr("builtins.open", opened)
    found = settled(run=cut(source, target, str(pairs) if kind else ""))[1]
    monkeypatch.undo()
    assert found == (memory.FEW_KERNELS if few else {})


@pytest.mark.parametrize("name", ["MALLOC_ARENA_MAX", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"])
def test_what_a_user_has_set_stays(settled, name):
    environment = {name: "1", "LRU_CACHE_CAPACITY": "7"}
    assert settled(**environment) == ({}, memory.FEW_KERNELS | {"LRU_CACHE_CAPACITY": "7"})


def test_other_systems_are_left_alone(settled):
    assert settled(platform="darwin")[0] == {}
    assert settled(library=object())[0] == {}  # a C library without it


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the settings are those of glibc")
def test_a_step_finds_the_memory_of_the_one_before():
    """Arrays of 120 MB in all, freed and wanted again: their pages are mapped once. Without the settings, again."""
    code = """if True:
        import resource
        from jumok.config import TrainConfig
        from jumok.learn import memory
        memory.prepare(TrainConfig())
        import torch
        def faults():
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            arrays = [torch.empty(1 << 18).fill_(1.0) for _ in range(120)]
            return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
        print(*(faults() for _ in range(8)))
    """
    names = [n for n in os.environ if not n.startswith("MALLOC_") and n != "GLIBC_TUNABLES"]
    kept = {n: os.environ[n] for n in names}
    for environment, most in ((kept, 10_000), (kept | {"MALLOC_ARENA_TEST": "8"}, None)):  # the latter stands for a user's own
        ran = subprocess.run([sys.executable, "-c", code], check=True, env=environment, capture_output=True, text=True)
        _, *later = map(int, ran.stdout.split())
        assert sum(later) > 25_000 if most is None else sum(later) < most and later[-1] < 1_000, ran.stdout


def test_a_resumed_run_goes_by_what_its_folder_says(tmp_path):
    """The command that resumes need not say again how texts are cut; without a readable folder, what it says counts."""
    asked = build(TrainConfig, {"out": str(tmp_path), "target_tokenizer": "space"}, "test")
    for written in (None, "[]", "{", '{"training": {"text": {"target_tokenizer": "nothing"}}}'):
        if written:
            (tmp_path / "config.json").write_text(written)
        assert start._whole(asked, resume=True) == asked
    (tmp_path / "config.json").write_text(json.dumps({"training": {"pairs": "p", "text": {"target_tokenizer": "bpe"}}}))
    assert start._whole(asked, resume=True) == cut(target="bpe", pairs="p")
    assert start._whole(asked, resume=False) == asked


@pytest.mark.slow
def test_training_makes_the_settings_before_torch_is_imported(tmp_path):
    """As `jumok.train` is called, so that no import before it, of `jumok.learn` either, may bring torch in; and torch's compiler,
    which takes 70 MB and more than a second, never comes.
    """
    (tmp_path / "pairs.tsv").write_text("".join(f"{a} {b}\t{b} {a}\n" for a in "abcdef" for b in "uvwxyz"), encoding="utf-8")
    code = """if True:
        import os, sys
        import jumok.learn, jumok
        jumok.train, jumok.learn.train
        assert "torch" not in sys.modules
        class Watch:
            def find_spec(self, name, path=None, target=None):
                if name == "torch":
                    print(os.environ.get("LRU_CACHE_CAPACITY"))
        sys.meta_path.insert(0, Watch())
        options = dict(target_tokenizer=sys.argv[1], embedding=8, hidden=8, readout_size=8, steps=1, threads=1)
        jumok.train("pairs.tsv", out=sys.argv[1], quiet=True, **options)
        assert "torch" in sys.modules and "torch._dynamo" not in sys.modules
    """
    clean = {name: value for name, value in os.environ.items() if name not in memory.FEW_KERNELS}
    for tokenizer, kernels in (("word", "16"), ("char", "None")):
        command = [sys.executable, "-c", code, tokenizer]
        ran = subprocess.run(command, check=True, env=clean, cwd=tmp_path, capture_output=True, text=True)
        assert ran.stdout.split() == [kernels], ran
