"""What all tests share: where the real data lies, a small thread pool, no waiting for the disk, and a hypothesis profile for a busy machine."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

THREADS = "1"  # the models are tiny: a second thread only waits, for minutes where the machine is busy
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, THREADS)  # read once, when NumPy or torch is first imported: so here, before any of them

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # tests that run in the background of a script
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what they start hears Ctrl-C

settings.register_profile("jumok", deadline=None)  # a deadline in milliseconds fails on a busy machine, not on a bug
settings.load_profile("jumok")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def no_waiting_for_the_disk() -> Iterator[None]:
    """Flushing files onto a disk that others use, too, takes longer than all else in a test; that it is done is tested."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """A function from a name such as "sigmorphon2020-g2p/ady_test.tsv" to its path; skips the test where it is absent.

    Looks in $JUMOK_DATA, or else in ../shared/data beside the repository.
    """
    root = Path(os.environ.get("JUMOK_DATA") or REPOSITORY.parent / "shared" / "data")

    def find(name: str) -> Path:
        path = root / name
        if not path.exists():
            pytest.skip(f"no real data: {path} is absent (set JUMOK_DATA to the folder that has it)")
        return path

    return find


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with random weights, made without torch: letters in, phones out. Read it, do not write to it."""
    from jumok.config import ModelConfig, TextConfig
    from jumok.runtime.folder import FolderConfig, write_folder
    from jumok.runtime.parameters import random_parameters
    from jumok.text import Pair, build_codec

    text = TextConfig(target_tokenizer="space", joint_vocabulary=False)
    model = ModelConfig(attention="general", size="small", embedding=6, hidden=8, score_size=8, readout_size=8, tie="none")
    words = ("attention", "cat", "jumok", "zebra", "quick", "why")
    codec = build_codec([Pair(w, " ".join(w.upper()), (), f"words:{i}") for i, w in enumerate(words, 1)], text)
    parameters = random_parameters(model, len(codec.source.vocabulary), len(codec.target.vocabulary), seed=1)
    folder = tmp_path_factory.mktemp("folder") / "model"
    write_folder(folder, FolderConfig(text, model, (1.0, 5.0), {}), parameters, codec, "# A model with random weights\n", [])
    return folder
