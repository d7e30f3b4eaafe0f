"""The model folder: written whole or not at all, and checked when it is read; whatever is wrong is one clear line.

    config.json         format, version, text and model settings, the length limit of search, the configuration of the training
    model.safetensors   the arrays of `jumok.runtime.parameters`, float32
    source.json …       tokenizers and vocabularies, see `jumok.text.codec`
    README.md           the model card
    history.json        the evaluations of the training
    training.json       which run the folder belongs to, and how far it has come, see `jumok.runtime.record`
    checkpoint.safetensors, checkpoint.before.safetensors    of an unfinished training, see `jumok.learn.checkpoint`

It has only numbers, strings and arrays: no pickle, no code, no import path. A folder from a stranger is safe to read.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

import jumok
from jumok import disk
from jumok.config import Config, ModelConfig, TextConfig, build, options, to_dict
from jumok.errors import ConfigError, FolderError
from jumok.runtime.parameters import check
from jumok.runtime.record import RECORD, Record, readable_record
from jumok.text.codec import SOURCE_FILE, TARGET_FILE, Codec

FORMAT = 1  # grows when older versions of Jumok cannot read the folder
CONFIG, WEIGHTS, CARD, HISTORY = "config.json", "model.safetensors", "README.md", "history.json"
ENSEMBLE = "ensemble.json"  # in a folder of several models
CHECKPOINTS = ("checkpoint.safetensors", "checkpoint.before.safetensors")  # the newest, and the one before
PROFILE = "profile.json"
# Jumok's own files; it replaces no others
OWN = (CONFIG, WEIGHTS, CARD, HISTORY, SOURCE_FILE, TARGET_FILE, RECORD, PROFILE, *CHECKPOINTS)
NEEDED = ("format", "model", "search", "text")  # keys of config.json; other keys may be missing, and unknown ones are ignored
SIZES = ("embedding", "hidden", "layers", "score_size", "readout_size", "tie")


@dataclass(frozen=True)
class FolderConfig:
    """What config.json holds.

    Attributes:
        text: how lines become tokens.
        model: the network, every size chosen.
        limit: (ratio, constant): an output has at most ratio · S + constant tokens, for a source of S tokens.
        training: the whole configuration of the training, as plain dicts; for people, but evaluation reads BLEU's unit in it.
    """

    text: TextConfig
    model: ModelConfig
    limit: tuple[float, float]
    training: dict[str, Any]


@dataclass(frozen=True)
class Folder:
    """The content of a model folder: its path, settings, arrays and codec."""

    path: Path
    config: FolderConfig
    parameters: dict[str, np.ndarray]
    codec: Codec


def write_folder(
    path: str | Path,
    config: FolderConfig,
    parameters: Mapping[str, np.ndarray],
    codec: Codec,
    card: str,
    history: Sequence[Mapping[str, Any]],
    overwrite: bool = False,
    carry: Sequence[str] = (),
    record: Record | None = None,
    ours: Callable[[], None] | None = None,
) -> None:
    """Writes a model folder under a temporary name beside `path`, flushes it, and renames it.

    Args:
        path: a new folder, or one to replace.
        overwrite: whether to replace the files (`OWN`) of a model folder or of an unfinished training at `path`. Other files
            in it stay.
        carry: files of the replaced folder that stay: the checkpoints of the training.
        record: of the training run, if the model is from one.
        ours: raises an error if the folder at `path` is not the writer's; used instead of `overwrite`.

    Raises:
        FolderError: at `path` there is a model folder, and `overwrite` is False; or anything else but an empty folder. What
            `ours` raises.
        OSError: the disk is full or not writable; `path` is then as it was.
    """
    path = Path(path)
    if path.is_symlink():
        path = path.resolve()  # replace what it points to, not the link
    check(parameters, config.model, len(codec.source), len(codec.target), str(path))
    allowed = ours or (lambda: refuse_to_replace(path, overwrite))
    allowed()
    new = disk.beside(path, "new")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        new.mkdir()
        codec.save(new)
        for name, data in _files(parameters, card, history, record).items():
            (new / name).write_bytes(data)
        (new / CONFIG).write_bytes(_json(_config_to_dict(config)))
        for file in new.iterdir():
            disk.flush(file)
        for name in carry:
            if (path / name).exists():
                disk.link(path / name, new / name)
        disk.flush(new)
        allowed()  # something may have come there meanwhile
        disk.put_folder(new, path, OWN)
    finally:
        disk.dissolve(new, path, OWN)


def update_folder(
    path: str | Path,
    parameters: Mapping[str, np.ndarray] | None,
    card: str,
    history: Sequence[Mapping[str, Any]],
    record: Record | None = None,
    ours: Callable[[], None] = lambda: None,
) -> None:
    """Replaces weights (unless None), card, history and record of a model folder. Settings and codec stay.

    All files are on the disk under hidden names before the first is renamed, so that a full disk changes nothing.

    Args:
        record, ours: as for `write_folder`.

    Raises:
        FolderError: no model folder is there. What `ours` raises.
        OSError: the disk is full or not writable; no file is left half written.
    """
    path = Path(path)
    _config_from_dict(path)
    ours()
    files = _files(parameters, card, history, record)
    with contextlib.ExitStack() as stack:
        drafts = []
        for name in sorted(files, key=lambda name: name != WEIGHTS):  # weights first: the card may not describe missing ones
            drafts.append(stack.enter_context(disk.Draft(path / name, by=record.sitting if record else "")))
            drafts[-1].write(files[name])
        ours()
        disk.put_all(drafts)


def update_config(path: Path, config: FolderConfig, ours: Callable[[], None] = lambda: None) -> None:
    """Replaces the configuration of a model folder, where it says something else. Errors as of `update_folder`."""
    now = _json(_config_to_dict(config))
    if (path / CONFIG).read_bytes() != now:
        ours()
        disk.write_file(path / CONFIG, now)


def read_folder(path: str | Path) -> Folder:
    """Reads a model folder.

    Raises:
        FolderError: it is no model folder, or too new, or a file in it is missing, damaged or does not fit the others.
    """
    path = Path(path)
    config = _config_from_dict(path)
    codec = Codec.load(path, config.text)
    where = path / WEIGHTS
    try:
        parameters = load_file(where)
    except FileNotFoundError:
        raise FolderError(f"{where}: there is no such file; the model folder is not whole, copy it again") from None
    except OSError as e:
        raise FolderError(f"{where}: cannot be read ({e.strerror or e})") from None
    except (SafetensorError, TypeError, KeyError, ValueError) as e:  # a bfloat16 array, for example, is a TypeError
        raise FolderError(f"{where}: not weights that NumPy can read ({e}); the file is damaged, copy it again") from None
    for side, name in ((codec.source, "source"), (codec.target, "target")):
        embedding = parameters.get(f"{name}.embedding", parameters.get("target.embedding"))
        if embedding is not None and len(embedding.shape) and len(embedding) != len(side):
            raise FolderError(
                f"{path}: the {name} vocabulary has {len(side)} entries, but the weights were made for {len(embedding)}; "
                f"{name}.json and {WEIGHTS} do not belong together, copy the folder again"
            )
    if config.model.depth > len(parameters):  # check this first: `shapes` lists the arrays of all layers
        raise FolderError(
            f"{path}: layers is {config.model.depth}, but {WEIGHTS} has {len(parameters)} arrays; {CONFIG} is damaged"
        )
    check(parameters, config.model, len(codec.source), len(codec.target), str(where))
    return Folder(path, config, parameters, codec)


def strangers(path: Path) -> list[str]:
    """The names in a folder that are not Jumok's, sorted. Jumok never touches them."""
    return disk.strangers(path, OWN) if path.is_dir() else []


def refuse_to_replace(path: Path, overwrite: bool, alone: bool = False, expected: Sequence[str] = ()) -> None:
    """Raises FolderError if `path` has a model, unless `overwrite`; or if it has other files and no model.

    Args:
        alone: whether the caller holds the folder's lock. Then a run that is recorded there without a checkpoint is over.
        expected: names of folders in `path` that this run writes into, and which may exist.
    """
    if not os.path.lexists(path):
        return
    others = [name for name in strangers(path) if name not in expected]
    if clash := next((name for name in others if name in OWN), None):
        raise FolderError(f"{path / clash}: this is a folder, where a file of Jumok's has its place; move it away")
    if not (path / CONFIG).is_file():
        names = set(os.listdir(path)) if path.is_dir() else {""}
        recorded, saved = readable_record(path) is not None, not names.isdisjoint(CHECKPOINTS)
        mine = {name for name in names if name in OWN}
        if not (others or mine or names == {""}):
            return
        if (recorded or saved) and mine <= {RECORD, PROFILE, *CHECKPOINTS}:
            if overwrite or (alone and not saved and not others):
                return
            raise FolderError(
                f"{path}: an unfinished training is there; name another folder, or say that it is to be overwritten"
            )
        raise FolderError(
            f"{path}: something that is not a model folder is there, and stays; name another folder, or move it away"
        )
    if not overwrite:
        raise FolderError(f"{path}: a model folder is there already; name another one, or say that it is to be overwritten")
    values = _read_json(path / CONFIG)
    if not isinstance(values, dict) or not {"format", "text", "model"} <= values.keys():
        raise FolderError(f"{path}: a folder with a {CONFIG} that is not jumok's is there, and stays; name another folder")


def _files(
    parameters: Mapping[str, np.ndarray] | None, card: str, history: Sequence[Mapping[str, Any]], record: Record | None
) -> dict[str, bytes]:
    files = {CARD: card.encode("utf-8", "backslashreplace"), HISTORY: _json([dict(entry) for entry in history])}
    if record is not None:
        files[RECORD] = record.to_bytes()
    if parameters is not None:
        files[WEIGHTS] = save({name: np.ascontiguousarray(array) for name, array in parameters.items()})
    return files


def _json(values: Any) -> bytes:
    """JSON in UTF-8. File names that are not UTF-8 become escapes, which JSON can read back."""
    return (json.dumps(values, ensure_ascii=False, indent=1) + "\n").encode("utf-8", "backslashreplace")


def _config_to_dict(config: FolderConfig) -> dict[str, Any]:
    model = to_dict(config.model) | {"layers": config.model.depth}
    if model["alignment"] == "auto":
        model["alignment"] = "soft"  # as `jumok.alignments.named` has it
    model["copy"] = bool(model["copy"])
    return {
        "format": FORMAT,
        "jumok": jumok.__version__,
        "text": to_dict(config.text),
        "model": model,
        "search": {"limit_ratio": config.limit[0], "limit_constant": config.limit[1]},
        "training": config.training,
    }


def _config_from_dict(path: Path) -> FolderConfig:
    """Reads and checks the config of a model folder."""
    where = path / CONFIG
    if not path.exists():
        if old := disk.left_behind(path):
            raise FolderError(
                f"{path}: a run that replaced it was killed; the old folder is {old}: rename it back, or --resume the training"
            )
        raise FolderError(f"{path}: there is no such folder; wanted a model folder, as `jumok train --out` writes it")
    if not where.is_file():
        if any((path / name).is_file() for name in (RECORD, *CHECKPOINTS)):
            raise FolderError(
                f"{path}: no model yet: a training was interrupted before its first one; --resume goes on with it"
            )
        if (path / ENSEMBLE).is_file():
            raise FolderError(f"{path}: an ensemble is there; one of its models is wanted, as {path / '1'}")
        raise FolderError(f"{path}: not a model folder: it has no {CONFIG}; wanted what `jumok train --out` writes")
    values = _read_json(where)
    if not isinstance(values, dict) or type(values.get("format")) is not int:
        raise FolderError(
            f"{where}: no format number in it; wanted a model folder's {CONFIG}; it is damaged or of something else"
        )
    if values["format"] > FORMAT:
        raise FolderError(
            f"{where}: made by jumok {values.get('jumok')}, format {values['format']}; this jumok reads {FORMAT}: upgrade jumok"
        )
    if values["format"] < 1:
        raise FolderError(f"{where}: format is {values['format']}; this jumok reads {FORMAT}; the file is damaged")
    if missing := [f"{name!r} is missing" for name in NEEDED if name not in values]:
        raise FolderError(f"{where}: {', '.join(missing)}; wanted {', '.join(NEEDED)}; the file is damaged")
    text, model = (
        _section(TextConfig, values["text"], f"{where}: text"),
        _section(ModelConfig, _with_older(values["model"]), f"{where}: model"),
    )
    if model.alignment == "auto":
        raise FolderError(f"{where}: model: alignment is 'auto'; a trained model has one of its own; the file is damaged")
    open_sizes = [name for name in SIZES if getattr(model, name) is None]
    if open_sizes:
        raise FolderError(
            f"{where}: model: {', '.join(open_sizes)} not given; a trained model has them all; the file is damaged"
        )
    if model.bidirectional and model.hidden is not None and model.hidden % 2:
        raise FolderError(
            f"{where}: model: hidden is {model.hidden}; with both directions it must be even; the file is damaged"
        )
    if model.tie != "none" and (model.readout == "linear" or model.readout_size != model.embedding):
        raise FolderError(f"{where}: model: tied embeddings need readout tanh of the embedding's size; the file is damaged")
    search, training = values["search"], values.get("training", {})
    limit: list[Any] = [search.get(name) for name in ("limit_ratio", "limit_constant")] if isinstance(search, dict) else []
    if not isinstance(search, dict) or not all(_is_limit(number) for number in limit):
        raise FolderError(f"{where}: search is {search!r}; wanted limit_ratio and limit_constant, numbers from 0 on")
    if not isinstance(training, dict):
        raise FolderError(f"{where}: training is {training!r}; wanted the run's configuration; the file is damaged")
    return FolderConfig(text, model, (float(limit[0]), float(limit[1])), training)


def _is_limit(number: Any) -> bool:
    return isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number) and 0 <= number < 1e9


def _section(cls: type[Config], values: Any, where: str) -> Config:
    if not isinstance(values, dict):
        raise FolderError(f"{where} is {values!r}; wanted a section of options; the file is damaged")
    known = options(cls)
    try:  # a newer Jumok may add options below the same format number; ours mean the same
        return build(cls, {name: value for name, value in values.items() if name in known}, where)
    except ConfigError as e:
        raise FolderError(f"{e}; the file is damaged, or from a jumok that had this option") from None


def _with_older(model: Any) -> Any:
    """A model's options; what older folders do not say is what it was then, whatever is the default now."""
    return {"alignment": "soft", "copy": False, "layers": 1, **model} if isinstance(model, dict) else model


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes().decode("utf-8"))
    except OSError as e:
        raise FolderError(f"{path}: cannot be read ({e.strerror or e})") from None
    except (ValueError, RecursionError) as e:
        raise FolderError(f"{path}: not JSON in UTF-8 ({e}); the file is damaged, copy it again") from None
