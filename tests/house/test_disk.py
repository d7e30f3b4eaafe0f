"""Files and folders that are there whole or not at all, on systems that swap names and on those that do not."""

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
    new = disk.write_beside(tmp_path / "a.txt", b"one ", memoryview(b"two"))
    assert new == tmp_path / ".a.txt.new" and new.read_bytes() == b"one two"


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
