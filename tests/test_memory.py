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
        for name in [n for n in os.environ if n.startswith("MALLOC_") or n == "GLIBC_TUNABLES" or n in memory.KERNELS]:
            monkeypatch.delenv(name)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        library = library or Library()
        monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
        monkeypatch.setattr(sys, "platform", platform)
        memory.settle()
        return getattr(library, "asked", {}), {name: os.environ[name] for name in memory.KERNELS}

    return settle


def test_free_memory_is_kept_and_few_kernels_are(settled):
    assert settled() == (memory.KEPT, memory.KERNELS)


@pytest.mark.parametrize("name", ["MALLOC_ARENA_MAX", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"])
def test_what_a_user_has_set_stays(settled, name):
    kept, kernels = settled(**{name: "1", "LRU_CACHE_CAPACITY": "7"})
    assert kept == {} and kernels == memory.KERNELS | {"LRU_CACHE_CAPACITY": "7"}


def test_other_systems_are_left_alone(settled):
    assert settled(platform="darwin")[0] == {}
    assert settled(library=object())[0] == {}  # a C library without it


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the settings are those of glibc")
def test_a_freed_array_is_there_again_without_page_faults():
    """The second array of a size stands in the memory of the first, already mapped."""
    code = """if True:
        import resource
        import jumok.learn, torch
        def faults():
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            torch.empty(6 << 20).fill_(1.0)  # 24 MB: 6,000 pages
            return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
        first, later = faults(), [faults() for _ in range(3)]
        assert max(later) < 500, (first, later)
    """
    names = [n for n in os.environ if not n.startswith("MALLOC_") and n != "GLIBC_TUNABLES"]
    subprocess.run([sys.executable, "-c", code], check=True, env={n: os.environ[n] for n in names})
