"""A file is whole or not there, whoever else writes it."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from unpaired import whole
from unpaired.whole import passing_folder, passing_name, write_whole


def test_two_that_write_one_file_never_move_each_other_s_halves(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    with passing_name(path) as one:
        one.write_bytes(b"ha")
        write_whole(path, b"whole, by another")
        assert path.read_bytes() == b"whole, by another"
        with one.open("ab") as file:
            file.write(b"lf and half")
        one.replace(path)
    assert path.read_bytes() == b"half and half"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    with passing_name(path) as left:
        left.write_bytes(b"left behind")
    write_whole(path, b"whole")
    assert path.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_under_the_passing_name_is_not_followed(tmp_path: Path) -> None:
    path, victim = tmp_path / "out/a.png", tmp_path / "victim"
    path.parent.mkdir()
    victim.write_bytes(b"mine")
    with passing_name(path) as passing:
        pass
    passing.unlink(missing_ok=True)
    passing.symlink_to(victim)
    write_whole(path, b"whole")
    assert path.read_bytes() == b"whole"
    assert victim.read_bytes() == b"mine"


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="no names of open files")
@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1"])
def test_what_is_printed_to_is_written_to_and_never_replaced(tmp_path: Path, name: str) -> None:
    code = (
        "from pathlib import Path; from unpaired.whole import write_whole; print('before');"
        f"write_whole(Path('{name}'), 'told\\n'); print('after')"
    )
    with (tmp_path / "printed").open("wb") as file:
        subprocess.run([sys.executable, "-c", code], check=True, stdout=file)
    assert (tmp_path / "printed").read_text() == "before\ntold\nafter\n"
    assert os.path.islink("/dev/stdout")  # noqa: PTH114


def test_a_folder_that_can_t_be_flushed_is_told_once_and_a_file_is_an_error(
    tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(whole, "_told", [])
    whole_fsync, refused = os.fsync, Path.is_dir

    def fsync(descriptor):
        if refused(Path(f"/proc/self/fd/{descriptor}").readlink()):
            raise OSError(errno.EINVAL, "Invalid argument")
        whole_fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    for name in ("a", "b"):
        write_whole(tmp_path / name, name, durable=True)
    assert (tmp_path / "b").read_text() == "b"
    assert caplog.text.count("cannot flush folders") == 1
    assert f'"{tmp_path}" (invalid argument)' in caplog.text
    refused = Path.is_file
    with pytest.raises(OSError, match="Invalid argument"):
        write_whole(tmp_path / "a", "new", durable=True)
    assert (tmp_path / "a").read_text() == "a"


def test_two_that_make_one_folder_have_one_each_and_it_is_gone_in_the_end(tmp_path: Path) -> None:
    path = tmp_path / "run"
    with passing_folder(path) as one:
        (one / "a").touch()
        with passing_folder(path) as other:
            assert one != other
            assert not list(other.iterdir())
            other.rename(path)
        assert [p.name for p in one.iterdir()] == ["a"]
    assert list(tmp_path.iterdir()) == [path]


def left_by_a_killed_process(path: Path) -> None:
    """A passing folder with something in it."""
    code = (
        "import os; from pathlib import Path; from unpaired.whole import passing_folder\n"
        f"with passing_folder(Path({str(path)!r})) as one: (one / 'a').touch(); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9


def test_a_folder_that_a_killed_process_left_goes_and_that_of_another_path_stays(
    tmp_path: Path,
) -> None:
    left_by_a_killed_process(tmp_path / "run")
    [left] = tmp_path.iterdir()
    with passing_folder(tmp_path / "other"):
        assert left.exists()
    with passing_folder(tmp_path / "run") as one:
        assert list(tmp_path.iterdir()) == [one]
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640)])
def test_a_file_of_a_library_gets_the_mode_of_our_own(
    tmp_path: Path, umask: int, mode: int
) -> None:
    path = tmp_path / "weights"
    before = os.umask(umask)
    try:
        path.touch(0o600)
        whole.give_usual_mode(path)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == mode
    assert list(tmp_path.iterdir()) == [path]
