"""Tables of pictures: data sets of the Hugging Face hub, parquet and arrow files.

    hf://NAME?split=train&column=image&config=CONFIG&revision=REVISION&streaming=1&count=N

NAME is a data set of the hub, or a path to a folder or a parquet or arrow file. No code that comes
with a data set is ever run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np

from unpaired.data.opening import Encoded, Member
from unpaired.data.order import Arrival
from unpaired.data.remote import log, patiently
from unpaired.data.streams import Stream, in_blocks
from unpaired.errors import UserError

PREFIX = "hf://"
OPTIONS = ("split", "column", "config", "revision", "streaming", "count", "x", "y")
FILES = {".parquet": "parquet", ".arrow": "arrow"}


@dataclass(frozen=True)
class Table:
    """Pictures in one column of one split; attributes as of `packed.Collection`."""

    title: str
    split: str
    count: int
    fetch: Callable[[int], Encoded]
    state: str
    arrival: Arrival | None = None
    far: bool = False


def parsed(spec: str) -> tuple[str, dict[str, str]]:
    """Name and options. Raises: UserError for an option that there isn't."""
    name, _, query = spec.removeprefix(PREFIX).partition("?")
    options = dict(parse_qsl(query))
    if unknown := [o for o in options if o not in OPTIONS]:
        raise UserError(f'"{spec}": no option {unknown[0]}; there are {", ".join(OPTIONS)}')
    if not name:
        raise UserError(f'"{spec}" names no data set; write hf://NAME')
    return name, options


def splits_of(spec: str) -> tuple[list[str], tuple[str, str] | None]:
    """The splits of a data set; and the columns of its pairs, if they are given."""
    name, options = parsed(spec)
    if ("x" in options) != ("y" in options):
        raise UserError(f'"{spec}" names one column of pairs; give both ?x=...&y=...')
    columns = (options["x"], options["y"]) if "x" in options else None
    datasets, path = _library(), Path(name)
    if (path / "dataset_dict.json").is_file():
        return list(_opened(spec, lambda: datasets.load_from_disk(name))), columns
    if (path / "state.json").is_file() or path.suffix in FILES:
        return ["train"], columns
    config, revision = options.get("config"), options.get("revision")
    look = datasets.get_dataset_split_names
    return list(_opened(spec, lambda: look(name, config, revision=revision))), columns


def table_of(spec: str, split: str | None = None, column: str | None = None) -> Table:
    """Open one split. Raises: UserError."""
    name, options = parsed(spec)
    split = split or options.get("split", "train")
    streaming = options.get("streaming", "0") not in ("0", "false", "no")
    source = _Source(spec, name, split, options.get("config"), options.get("revision"), streaming)
    dataset = source.open()
    column = column or options.get("column") or _image_column(spec, dataset.features)
    if dataset.features is not None and column not in dataset.features:
        known = ", ".join(dataset.features)
        raise UserError(f'"{spec}" has no column {column}; it has {known}')
    title = f"{spec} ({split})"
    if not streaming:
        rows = _undecoded(dataset, column)
        if not len(rows):
            raise UserError(f'"{title}" has no rows; check the split')
        return Table(title, split, len(rows), _FetchRows(title, rows, column), rows._fingerprint)
    count = int(options.get("count") or 0) or _count(dataset, split, title)
    arrival = in_blocks([0] * count, [0] * count)
    told = f"{name} {split} {column} {options.get('config')} {options.get('revision')} {count}"
    state = hashlib.sha256(told.encode()).hexdigest()[:24]
    stream = _RowStream(arrival, np.arange(count), source, column)
    return Table(title, split, count, stream, state, arrival, far=True)


@dataclass(frozen=True)
class _Source:
    """What is opened, in every process anew where it is a stream."""

    spec: str
    name: str
    split: str
    config: str | None
    revision: str | None
    streaming: bool

    def open(self) -> Any:
        datasets, path = _library(), Path(self.name)

        def load() -> Any:
            if (path / "state.json").is_file() or (path / "dataset_dict.json").is_file():
                found = datasets.load_from_disk(self.name)
                found = found[self.split] if isinstance(found, dict) else found
                return found.to_iterable_dataset() if self.streaming else found
            if path.suffix in FILES:
                kind, files = FILES[path.suffix], {"train": self.name}
                return datasets.load_dataset(
                    kind, data_files=files, split="train", streaming=self.streaming
                )
            return datasets.load_dataset(
                self.name,
                self.config,
                split=self.split,
                revision=self.revision,
                streaming=self.streaming,
            )

        return _opened(self.spec, load)


def _library() -> Any:
    try:
        import datasets
    except ModuleNotFoundError:
        raise UserError("hf:// needs datasets; run: pip install 'unpaired[hf]'") from None
    return datasets


def _opened(spec: str, load: Callable[[], Any]) -> Any:
    """Raises: UserError with the first line of whatever the library says."""
    try:
        return load()
    except Exception as error:  # it raises nearly anything
        said = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise UserError(
            f'cannot open "{spec}": {said}; check the name, ?split= and the network'
        ) from None


def _image_column(spec: str, features: Any) -> str:
    """The one column of pictures. Raises: UserError if there is none, or are several."""
    kinds = {name: type(kind).__name__ for name, kind in (features or {}).items()}
    found = [name for name, kind in kinds.items() if kind == "Image"]
    if len(found) == 1:
        return found[0]
    known = ", ".join(f"{name} ({kind})" for name, kind in kinds.items()) or "unknown ones"
    raise UserError(f'"{spec}" has {len(found)} columns of pictures of {known}; give ?column=NAME')


def _undecoded(dataset: Any, column: str) -> Any:
    """One column, as the bytes of its files: the decoding is ours."""
    only = dataset.select_columns([column])
    kind = (dataset.features or {}).get(column)
    if type(kind).__name__ == "Image":
        return only.cast_column(column, _library().Image(decode=False))
    return only


def _count(dataset: Any, split: str, title: str) -> int:
    """Rows of a stream: what its description says, or what reading it once shows."""
    info = (getattr(dataset.info, "splits", None) or {}).get(split)
    if info is not None and info.num_examples:
        return int(info.num_examples)
    log.warning("%s: counting its rows by reading all of it; ?count=N saves that", title)
    count = patiently(lambda: sum(1 for _ in dataset))
    if not count:
        raise UserError(f'"{title}" has no rows; check the split')
    return int(count)


def _file(name: str, value: Any) -> Encoded:
    """A row's picture: bytes, or the path of a file of this machine."""
    if isinstance(value, dict):
        if value.get("bytes") is None and value.get("path"):
            return Path(value["path"])
        value = value.get("bytes")
    return Member(name, value if isinstance(value, bytes) else b"")


@dataclass(frozen=True)
class _FetchRows:
    title: str
    rows: Any
    column: str

    def __call__(self, index: int) -> Encoded:
        return _file(f"{self.title}, row {index}", self.rows[index][self.column])


class _RowStream(Stream):
    """Rows from the first to the last."""

    def __init__(self, arrival: Arrival, keys: Any, source: _Source, column: str) -> None:
        super().__init__(arrival, keys)
        self.source, self.column = source, column

    def __str__(self) -> str:
        return self.source.spec

    def open(self, part: int, key: int) -> Iterator[tuple[int, Encoded]]:
        assert part == 0
        rows = _undecoded(self.source.open(), self.column).skip(key)
        for row, value in enumerate(rows, key):
            yield row, _file(f"{self.source.spec}, row {row}", value[self.column])
