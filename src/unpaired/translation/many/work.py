"""Shares of many pictures, translated; killed and started again any number of times."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from unpaired.errors import UserError
from unpaired.training.card import read_card
from unpaired.training.finding import find_checkpoint
from unpaired.translation.base import Backend, chosen
from unpaired.translation.conveyor import Outcome
from unpaired.translation.exporting.sessions import Precision
from unpaired.translation.many import record
from unpaired.translation.many.loose import split_done, translate_loose
from unpaired.translation.many.shards import outcome_before, translate_shard
from unpaired.translation.many.share import Share
from unpaired.translation.many.sources import Piece, open_sources
from unpaired.translation.many.stores import LocalStore, open_store
from unpaired.translation.output import Format, check_format
from unpaired.translation.resolving import resolve
from unpaired.translation.tiling.tiler import Tiler, Tiles
from unpaired.translation.translator import Translator

Progress = Callable[[int, int], None]
"""Called with (pieces through, pieces to do)."""


@dataclass(frozen=True)
class Order:
    """What is to be translated, by what, and where to; whoever works on it is sent it.

    Attributes:
        run: what `resolving.resolve` knows, there on every machine.
        sources: folders, pictures or shards: paths and URLs.
        out: folder or URL that gets one picture for each, or one shard for each.
        device, precision, backend, direction, batch, format, tiles: as for one folder.
    """

    run: Path
    sources: tuple[str, ...]
    out: str
    checkpoint: str = "latest"
    device: str = "auto"
    precision: Precision = "auto"
    backend: Backend = "auto"
    direction: str | None = None
    batch: int = 1
    format: Format | None = None
    tiles: Tiles = "auto"

    def __post_init__(self) -> None:
        check_format(self.format)
        if self.batch < 1:
            raise UserError(f"--batch is {self.batch}; give 1 or more")


def translate_many(
    order: Order, share: Share | None = None, on_progress: Progress | None = None
) -> Outcome:
    """Translate one share of the sources; all ranks' shares together are the sources.

    What stands in `out` is done and isn't made again: killed at any moment and called again, each
    output is there once and whole. What failed is tried again, but for pictures of a shard that is
    done. The outcome is kept in `out`; `record.total` adds up all ranks'.

    Args: share: None: everything.
    Raises: UserError if `out` was begun with another checkpoint, direction, settings or sources,
        holds other files, or can't be written to; if there are no pictures; or if nothing more
        can be done, as with a full disk.
    """
    share = share or Share()
    worker = Worker(order)
    worker.begin(share)
    outcome, todo = worker.split(worker.pieces(share))
    outcome.add(worker.do(todo, on_progress))
    record.finish(worker.out, share, outcome)
    return outcome


class Worker:
    """Does pieces of an order, one after the other."""

    def __init__(self, order: Order) -> None:
        """Raises: UserError if sources, `out` or the run don't fit each other, or aren't there."""
        self.order = order
        self.out = open_store(order.out)
        if isinstance(self.out, LocalStore) and self.out.folder.is_file():
            raise UserError(f'--out "{order.out}" is a file; give a folder')
        self.sources = open_sources(order.sources, self.out)
        run = resolve(order.run)
        self.run = run if run.is_file() else find_checkpoint(run, order.checkpoint)

    @cached_property
    def translator(self) -> Translator:
        """Opened when there is something to do."""
        order = self.order
        return Translator.load(
            self.run, device=order.device, precision=order.precision, backend=order.backend
        )

    @cached_property
    def tiler(self) -> Tiler:
        order = self.order
        if order.tiles in ("auto", "off"):
            self.translator.open(self.translator.direction(order.direction))
        return Tiler(self.translator, order.direction, order.tiles)

    def begin(self, share: Share) -> None:
        """Claim `out`, or see that it is ours. Raises: UserError."""
        order = self.order
        card = self.translator.card if self.run.is_file() else read_card(self.run)
        header = record.Header(
            checkpoint=_digest(self.run),
            direction=chosen(card, order.direction),
            format=order.format,
            tiles=order.tiles,
            precision=order.precision,
            backend=order.backend,
            sources=self.sources.places,
        )
        record.begin(self.out, header)
        record.forget(self.out, share)

    def pieces(self, share: Share) -> list[Piece]:
        """What falls to a share. Raises: UserError if there are no pictures."""
        return self.sources.pieces(share, self.out)

    def split(self, pieces: list[Piece]) -> tuple[Outcome, list[Piece]]:
        """What became of the pieces that are done, and those that aren't."""
        if not self.sources.shards:
            todo, done = split_done(pieces, self.out)
            return Outcome(skipped=done), todo
        there = {name for name, _ in self.out.names()}
        outcome, todo = Outcome(), []
        for piece in pieces:
            before = outcome_before(self.out, piece.target) if piece.target in there else None
            if before:
                outcome.add(before)
            else:
                todo.append(piece)
        return outcome, todo

    def do(self, pieces: Sequence[Piece], on_progress: Progress | None = None) -> Outcome:
        """Translate pieces. Raises: UserError if no other would fare better."""
        order, stores = self.order, self.sources.stores
        if not pieces:
            return Outcome()
        if not self.sources.shards:
            return translate_loose(
                self.tiler,
                stores,
                pieces,
                self.out,
                batch=order.batch,
                format=order.format,
                on_progress=on_progress,
            )
        outcome = Outcome()
        for number, piece in enumerate(pieces, 1):
            store = stores[piece.source]
            made = translate_shard(
                self.tiler, store, piece.name, self.out, batch=order.batch, format=order.format
            )
            outcome.add(made)
            if on_progress:
                on_progress(number, len(pieces))
        return outcome


def _digest(run: Path) -> str:
    """Of an exported file and its weights, or of what a checkpoint says, digests of its weights."""
    whole = hashlib.sha256()
    if run.is_file():
        weights = run.with_suffix(".bin")
        files = [run, weights] if run.suffix == ".xml" and weights.is_file() else [run]
    else:
        files = [run / "checkpoint.json"]
    for file in files:
        whole.update(file.read_bytes())
    return whole.hexdigest()
