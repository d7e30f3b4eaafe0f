"""The settings of memory: made once, before torch computes, and never against what a user has set."""

import ctypes
import os
import platform
import subprocess
import sys

import pytest

from jumok.learn import memory


class Library:
    """Stands in for the C library, and takes notes."""

    def __init__(self):
        self.asked = {}

    def mallopt(self, option, value):
        self.asked[option] = value
        return 1


@pytest.fixture
def settled(monkeypatch):
    def settle(platform="linux", library=None, **environment):
        for name in [*os.environ]:
            if name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" or name in memory.KERNELS:
                monkeypatch.delenv(name)
        for name in memory.KERNELS:  # so that what is set in a test is taken back after it
            monkeypatch.setenv(name, "")
            monkeypatch.delenv(name)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        library = library or Library()
        monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
        monkeypatch.setattr(sys, "platform", platform)
        memory.settle()
        return getattr(library, "asked", {}), {name: os.environ[name] for name in memory.KERNELS}

    return settle


def test_freed_memory_is_kept_and_few_kernels_are(settled):
    assert settled() == (memory.KEPT, memory.KERNELS)


@pytest.mark.parametrize("name", ["MALLOC_ARENA_MAX", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"])
def test_what_a_user_has_set_stays(settled, name):
    environment = {name: "1", "LRU_CACHE_CAPACITY": "7"}
    assert settled(**environment) == ({}, memory.KERNELS | {"LRU_CACHE_CAPACITY": "7"})


def test_other_systems_are_left_alone(settled):
    assert settled(platform="darwin")[0] == {}
    assert settled(library=object())[0] == {}  # a C library without it


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the settings are those of glibc")
def test_a_step_finds_the_memory_of_the_one_before():
    """Arrays of 120 MB in all, freed and wanted again: their pages are mapped once. Without the settings, each time."""
    code = """if True:
        import resource
        import jumok.learn, torch
        def faults():
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            arrays = [torch.empty(6 << 20).fill_(1.0) for _ in range(5)]
            return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
        print(*(faults() for _ in range(8)))
    """
    names = [n for n in os.environ if not n.startswith("MALLOC_") and n != "GLIBC_TUNABLES"]
    kept = {n: os.environ[n] for n in names}
    for environment, most in ((kept, 1_000), (kept | {"MALLOC_ARENA_TEST": "8"}, None)):  # the latter stands for a user's own
        ran = subprocess.run([sys.executable, "-c", code], check=True, env=environment, capture_output=True, text=True)
        *_, last = map(int, ran.stdout.split())
        assert last > 10_000 if most is None else last < most, ran.stdout
