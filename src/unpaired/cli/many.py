"""`unpaired translate` over object stores, shards, ranks and Ray: one share, and the whole."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from unpaired.cli.translate_options import TranslateOptions
from unpaired.errors import UserError
from unpaired.telling import note
from unpaired.translation.conveyor import Outcome
from unpaired.translation.many import record
from unpaired.translation.many.share import Share, share_of
from unpaired.translation.many.stores import open_store
from unpaired.translation.many.work import Order, translate_many
from unpaired.whole import write_whole

EVERY = 30
"""Seconds between lines that say how far it is."""
SHOWN = 20
"""Failures on paper; all are in the files."""


def translate_share(options: TranslateOptions) -> int:
    """Translate what falls to this process; the last of all says what became of the whole."""
    if options.overwrite:
        raise UserError(
            "--overwrite would begin anew at every restart of a rank; delete "
            f'"{options.out}" or give another --out'
        )
    options.check_still()
    order = Order(
        run=Path(options.run),
        sources=options.inputs,
        out=options.out,
        checkpoint=options.checkpoint,
        device=options.device,
        precision=options.precision,
        backend=options.backend,
        direction=options.direction,
        batch=options.batch,
        format=options.format,
        tiles=options.tiles,
    )
    share = share_of(os.environ) or Share()
    name = f"rank {share.rank} of {share.ranks}: " if share.ranks > 1 else ""
    progress = _Progress(name)
    if options.ray is None:
        outcome = translate_many(order, share, progress)
    elif share.ranks > 1:
        raise UserError("--ray has its own workers; call it without torchrun")
    else:
        from unpaired.translation.many.ray import translate_by_ray

        outcome = translate_by_ray(order, options.ray, progress)
    for source, reason in outcome.failed[:SHOWN]:
        print(f"failed: {source}: {reason}", file=sys.stderr)
    if len(outcome.failed) > SHOWN:
        rest = len(outcome.failed) - SHOWN
        print(f"failed: {rest} more, in {options.out}/{record.FOLDER}", file=sys.stderr)
    print(f"{name}{_counts(outcome)} -> {options.out}")
    _tell_total(options, share)
    return 1 if outcome.failed else 0


def _tell_total(options: TranslateOptions, share: Share) -> None:
    """What became of everything, if this rank is the last to end."""
    whole, missing = record.total(open_store(options.out), share.ranks)
    if missing:
        print(f"{record.in_words(missing)} not done yet", file=sys.stderr)
        return
    if share.ranks > 1:
        print(f"all {share.ranks} ranks: {_counts(whole)} -> {options.out}")
    if options.json:
        failed = [{"path": path, "reason": reason} for path, reason in whole.failed]
        facts = {
            "sources": whole.total,
            "translated": whole.translated,
            "skipped": whole.skipped,
            "failed": failed,
        }
        # two ranks may both be the last, and write the same at the same time
        write_whole(Path(options.json), json.dumps(facts, indent=1))


def _counts(outcome: Outcome) -> str:
    return (
        f"{outcome.translated} translated, {outcome.skipped} skipped (already there), "
        f"{len(outcome.failed)} failed, {outcome.total} in all"
    )


class _Progress:
    """Says from time to time how far it is, and how fast."""

    def __init__(self, name: str) -> None:
        self.name, self.began, self.told = name, time.monotonic(), time.monotonic()

    def __call__(self, done: int, of: int) -> None:
        now = time.monotonic()
        if now - self.told > EVERY:
            self.told = now
            rate = done / (now - self.began)
            note(f"{self.name}{done} of {of}, {rate:.1f} a second")
