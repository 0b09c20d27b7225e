import csv
import io
import os
from pathlib import Path

import numpy as np
import pytest

from unpaired.errors import UserError
from unpaired.evaluation.per_image import write_csv


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def test_each_picture_has_a_line_with_its_numbers(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    write_csv(path, "x2y", ["a.1.png", "b.png"], {"l1": np.array([1 / 3, 12.0])})
    assert path.read_bytes() == (
        b"direction,name,l1\r\nx2y,a.1.png,0.3333333333333333\r\nx2y,b.png,12.0\r\n"
    )


def test_numbers_come_back_exactly(tmp_path: Path) -> None:
    values = np.random.default_rng([0, 2]).normal(size=50) * 10.0 ** np.arange(-25, 25)
    write_csv(tmp_path / "t.csv", "x2y", [str(i) for i in range(50)], {"v": values})
    assert [float(line["v"]) for line in lines(tmp_path / "t.csv")] == values.tolist()


def test_what_is_not_finite_is_left_empty(tmp_path: Path) -> None:
    values = np.array([np.nan, np.inf, -np.inf, -1.5])
    write_csv(tmp_path / "t.csv", "x2y", list("abcd"), {"v": values})
    assert [line["v"] for line in lines(tmp_path / "t.csv")] == ["", "", "", "-1.5"]


@pytest.mark.parametrize(
    "name",
    [
        '=HYPERLINK("http://x.test","photo")',
        "+1.png",
        "-2+3.png",
        "@SUM(A1).png",
        "\tcmd.png",
        "\r=1.png",
        "\n=1.png",
        "＝1.png",
        "'=1.png",
        "'plain.png",
    ],
)
def test_a_name_is_no_formula_and_can_be_had_back(name: str, tmp_path: Path) -> None:
    write_csv(tmp_path / "t.csv", "x2y", [name, "next.png"], {"v": np.zeros(2)})
    first, second = lines(tmp_path / "t.csv")
    assert first["name"].startswith("'")
    assert first["name"].removeprefix("'") == name
    assert second["name"] == "next.png"


@pytest.mark.parametrize(
    "name", ['a "quoted", name.png', "two\nlines.png", "ünï 雪.png", "a'b.png", "semi;colon.png"]
)
def test_other_names_are_kept_as_they_are(name: str, tmp_path: Path) -> None:
    write_csv(tmp_path / "t.csv", "x2y", [name], {"v": np.zeros(1)})
    assert [line["name"] for line in lines(tmp_path / "t.csv")] == [name]


def test_a_name_that_is_no_unicode_is_written_as_escapes(tmp_path: Path) -> None:
    name = os.fsdecode(b"photo-\xff.png")
    write_csv(tmp_path / "t.csv", "x2y", [name], {"v": np.zeros(1)})
    assert lines(tmp_path / "t.csv")[0]["name"] == r"photo-\udcff.png"


def test_a_second_direction_is_appended_with_its_own_columns(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    write_csv(path, "x2y", ["=a"], {"l1": np.array([1.0]), "iou": np.array([0.5])})
    write_csv(
        path, "y2x", ["b", "c"], {"l1": np.array([2.0, 3.0]), "psnr": np.ones(2)}, append=True
    )
    head = ["direction", "name", "l1", "iou", "psnr"]
    rows = [
        ["x2y", "'=a", "1.0", "0.5", ""],
        ["y2x", "b", "2.0", "", "1.0"],
        ["y2x", "c", "3.0", "", "1.0"],
    ]
    assert lines(path) == [dict(zip(head, row)) for row in rows]


def test_without_append_a_table_is_written_afresh(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    write_csv(path, "x2y", ["old"], {"l1": np.ones(1)})
    write_csv(path, "y2x", ["new"], {"l1": np.ones(1)})
    assert [line["name"] for line in lines(path)] == ["new"]


@pytest.mark.parametrize(
    "content", [b"", b"a,b\r\n1,2\r\n", b"\xff\xfe\x00", b"direction,name\r\nx2y,a,too many\r\n"]
)
def test_another_file_is_not_appended_to(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(UserError, match="no table of scores"):
        write_csv(path, "x2y", ["a"], {"v": np.ones(1)}, append=True)
    assert path.read_bytes() == content


def test_a_folder_that_is_not_there_is_named_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot write .*missing.*no such file"):
        write_csv(tmp_path / "missing" / "t.csv", "x2y", ["a"], {"v": np.ones(1)})
    with pytest.raises(UserError, match=r"cannot read .*no such file"):
        write_csv(tmp_path / "t.csv", "x2y", ["a"], {"v": np.ones(1)}, append=True)


def test_a_failed_write_leaves_the_old_table_and_nothing_else(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "t.csv"
    write_csv(path, "x2y", ["a"], {"v": np.ones(1)})
    before = path.read_bytes()

    def full(self: Path, content: bytes) -> int:
        with self.open("wb") as file:
            file.write(content[:5])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError, match="no space left"):
        write_csv(path, "x2y", ["b"], {"v": np.ones(1)})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_column_of_another_length_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"l1 is \(3,\) for 2 pictures"):
        write_csv(tmp_path / "t.csv", "x2y", ["a", "b"], {"l1": np.ones(3)})
    assert not list(tmp_path.iterdir())


def test_pandas_reads_the_table_as_it_was_meant(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    path = tmp_path / "t.csv"
    names = ["ünï.png", "=1+1.png", 'a "b", c.png']
    write_csv(path, "x2y", names, {"l1": np.array([1 / 3, np.nan, 2.0])})
    table = pandas.read_csv(path)
    assert table["name"].str.removeprefix("'").tolist() == names
    assert table["l1"].dtype == float
    assert table["l1"].isna().tolist() == [False, True, False]
    assert table["l1"][0] == 1 / 3
    assert pandas.read_csv(io.BytesIO(path.read_bytes())).equals(table)
