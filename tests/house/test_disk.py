"""Files and folders that are there whole or not at all, on systems that swap names and on those that do not."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from faulty_disk import Death, faulty

from jumok import disk


def folder(path: Path, text: str) -> Path:
    path.mkdir()
    (path / "file").write_text(text)
    return path


def names(path: Path) -> list[str]:
    return sorted(p.name for p in path.iterdir())


def test_a_file_is_written_beside_in_parts(tmp_path: Path) -> None:
    with disk.Draft(tmp_path / "a.txt") as draft:
        draft.write(b"one ", memoryview(b"two"))
        assert draft.new == tmp_path / ".a.txt.new" and draft.new.read_bytes() == b"one two"
    assert names(tmp_path) == []
    disk.write_file(tmp_path / "a.txt", b"one ", memoryview(b"two"), by="1f3a5c77")
    assert names(tmp_path) == ["a.txt"] and (tmp_path / "a.txt").read_bytes() == b"one two"


def put(draft: disk.Draft) -> None:
    draft.put()


def put_and_keep(draft: disk.Draft) -> None:
    draft.put_and_keep(draft.path.with_name("kept"))


@pytest.mark.parametrize("put", [put, put_and_keep])
def test_whatever_call_fails_a_file_is_the_old_one_or_the_new_one(tmp_path: Path, put: Callable[[disk.Draft], None]) -> None:
    """An error of the disk leaves no hidden name; a death leaves one that `sweep` knows."""
    for error in (lambda: OSError(28, "full"), Death):
        for n in range(1, 30):
            folder(path := tmp_path / f"{error is Death} {n}", "old")
            with faulty(n, error, lasting=error is Death) as system:
                try:
                    with disk.Draft(path / "file", by="1f3a5c77") as draft:
                        draft.write(b"new")
                        put(draft)
                except (OSError, Death):
                    assert system.failed
            if error is Death:
                disk.sweep(path, ["file"])
            there = path / "file" if (path / "file").exists() else path / "kept"
            assert there.read_text() in ("old", "new") and set(names(path)) <= {"file", "kept"}
            assert error is Death or there.name == "file"
            if not system.failed:
                break
        assert 5 < n < 29 and there.read_text() == "new"


def test_a_new_file_takes_nobodys_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On disks that have second names for a file, and on those that have none."""

    def none(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    for _ in range(2):
        path = tmp_path / "file"
        with disk.Draft(path) as draft:
            draft.write(b"first").put_new()
        with disk.Draft(path) as draft, pytest.raises(FileExistsError):
            draft.write(b"second").put_new()
        assert path.read_bytes() == b"first" and names(tmp_path) == ["file"]
        path.unlink()
        monkeypatch.setattr("os.link", none)


def test_files_move_in_once_all_are_on_the_disk(tmp_path: Path) -> None:
    """A disk that fails before the first rename has moved nothing."""
    for n in range(1, 30):
        made, path = tmp_path / f"new {n}", tmp_path / str(n)
        made.mkdir(), path.mkdir()
        (made / "a").write_text("a"), (made / "b").write_text("b")
        with faulty(n, lambda: OSError(28, "full"), lasting=False) as system:
            try:
                disk.move_into(path, [made / "a", made / "b"])
            except OSError:
                assert system.failed
        assert sorted(names(made) + names(path)) == ["a", "b"]
        assert names(path) == [] or system.names[: system.names.index("replace")].count("fsync") == 2
        if not system.failed:
            break
    assert names(path) == ["a", "b"] and n > 5


def test_a_folder_that_cannot_be_flushed_is_no_error_and_a_disk_that_fails_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = os.fsync

    def fsync(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(number, os.strerror(number))
        really(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    for number in (errno.EINVAL, errno.EACCES, errno.ENOTSUP):
        disk.write_file(tmp_path / "a", str(number).encode())
        assert (tmp_path / "a").read_text() == str(number)
    number = errno.EIO
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        disk.write_file(tmp_path / "a", b"x")


def test_what_cannot_be_written_over_leaves_nothing_beside(tmp_path: Path) -> None:
    disk.write_file(tmp_path / "a.txt", b"old")
    disk.write_file(tmp_path / "a.txt", b"new")
    assert names(tmp_path) == ["a.txt"] and (tmp_path / "a.txt").read_bytes() == b"new"
    folder(tmp_path / "b.txt", "the user's")
    with pytest.raises(OSError):
        disk.write_file(tmp_path / "b.txt", b"new")
    assert names(tmp_path) == ["a.txt", "b.txt"]


@pytest.mark.parametrize("swaps", [True, False])
def test_a_folder_is_put_in_place_of_nothing_of_an_empty_one_and_of_a_full_one(tmp_path: Path, swaps: bool) -> None:
    with faulty(swaps=swaps):
        (tmp_path / "empty").mkdir()
        for name in ("nothing", "empty"):
            disk.put_folder(folder(tmp_path / "new", "new"), tmp_path / name)
            assert (tmp_path / name / "file").read_text() == "new"
        disk.put_folder(folder(tmp_path / "new", "newer"), tmp_path / "empty")
    assert (tmp_path / "empty" / "file").read_text() == "newer"
    assert names(tmp_path) == ["empty", "nothing"]


@pytest.mark.parametrize("swaps", [True, False])
def test_whoever_dies_while_a_folder_is_replaced_leaves_it_or_can_bring_it_back(tmp_path: Path, swaps: bool) -> None:
    path = folder(tmp_path / "model", "old")
    deaths = 0
    while True:
        new = folder(disk.beside(path, "new"), "new")
        with faulty(deaths + 1, swaps=swaps) as system:
            try:
                disk.put_folder(new, path)
            except Death:
                deaths += 1
        if not system.failed:
            break
        gone = not path.exists()
        assert (disk.left_behind(path) is not None) == gone and not (gone and swaps)
        disk.bring_back(path)
        assert (path / "file").read_text() in ("old", "new")
        disk.sweep(path, ["file"])
        assert names(tmp_path) == ["model"] and names(path) == ["file"]
    assert deaths >= 3 and (path / "file").read_text() == "new"


def test_sweep_leaves_what_is_not_ours(tmp_path: Path) -> None:
    path = folder(tmp_path / "model", "x")
    theirs = [".model.new", ".model.12345678.new.txt", ".other.12345678.new", "model.12345678.old"]
    for name in theirs:
        (tmp_path / name).write_text("precious")
    (path / ".notes.new").write_text("precious")
    (path / ".file.new").write_text("half of a fi")
    folder(disk.beside(path, "old"), "old")
    disk.sweep(path, ["file"])
    assert names(tmp_path) == sorted(["model", *theirs]) and names(path) == [".notes.new", "file"]


def test_nothing_is_brought_back_over_what_is_there(tmp_path: Path) -> None:
    path = folder(tmp_path / "model", "new")
    folder(disk.beside(path, "old"), "old")
    assert disk.left_behind(path) is None
    disk.bring_back(path)
    assert (path / "file").read_text() == "new"


def test_a_link_is_a_copy_where_the_disk_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_text("a")
    disk.link(tmp_path / "a", tmp_path / "b")

    def none(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("os.link", none)
    disk.link(tmp_path / "a", tmp_path / "c")
    assert (tmp_path / "b").read_text() == (tmp_path / "c").read_text() == "a"
    assert (tmp_path / "a").stat().st_nlink == 2
