"""The same through Ray Data: a pool of actors, each of which holds a translator.

Whoever is free takes the next block, so slow machines do less, and actors that are lost are
replaced. The work itself, its order and its record are those of `work`.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from unpaired.data.remote import log
from unpaired.errors import UserError
from unpaired.translation.conveyor import Outcome
from unpaired.translation.many import record
from unpaired.translation.many.share import Share
from unpaired.translation.many.sources import Piece
from unpaired.translation.many.stores import URL
from unpaired.translation.many.work import Order, Progress, Worker

BLOCK = 256
"""Pictures that an actor takes at a time; of shards, one."""
RETRIES = 3
"""Of a block whose actor was lost. Counted here: Ray Data tries again without end, and what bounds
it there (`max_task_retries`) is on its way out."""


def translate_by_ray(order: Order, actors: int, on_progress: Progress | None = None) -> Outcome:
    """As `work.translate_many`, by so many actors of the Ray cluster that is found, or started.

    Run, sources and `out` must be reachable from every machine. A block whose actor is lost is
    done again, `RETRIES` times at most; outputs of the first attempt are replaced by equal ones.
    Each actor takes a GPU if the cluster has any, else its part of the processors.

    Raises: UserError as `translate_many`, or if Ray isn't installed.
    """
    try:
        ray: Any = import_module("ray")
        data: Any = import_module("ray.data")
    except ModuleNotFoundError as error:
        raise UserError(f"--ray needs {error.name}; run: pip install 'unpaired[ray]'") from None
    everything = Share()
    worker = Worker(order)
    worker.begin(everything)
    outcome, todo = worker.split(worker.pieces(everything))
    if todo:
        if not ray.is_initialized():
            ray.init(log_to_driver=False)
        have = ray.cluster_resources()
        each = (
            {"num_gpus": 1}
            if have.get("GPU")
            else {"num_cpus": max(1, int(have.get("CPU", 1)) // actors)}
        )
        size = 1 if worker.sources.shards else BLOCK
        blocks = [
            {"number": at // size, "pieces": json.dumps(todo[at : at + size])}
            for at in range(0, len(todo), size)
        ]
        tries = ray.remote(num_cpus=0, max_restarts=RETRIES, max_task_retries=RETRIES)(_Tries)
        results = data.from_items(blocks, override_num_blocks=len(blocks)).map(
            _Actor,
            fn_constructor_args=(_everywhere(order, worker.run), tries.remote()),
            compute=data.ActorPoolStrategy(size=actors),
            **each,
        )
        done = 0
        for row in results.iter_rows():
            if row["wrong"]:
                raise UserError(row["wrong"])
            if row["tries"] > 1:
                log.warning(
                    "an actor was lost and replaced; what it was at was done again (try %d of %d)",
                    *(row["tries"], RETRIES + 1),
                )
            made = record.outcome_of(row["outcome"])
            outcome.add(made)
            done += made.total
            if on_progress:
                on_progress(done, len(todo))
    record.finish(worker.out, everything, outcome)
    return outcome


def _everywhere(order: Order, run: Path) -> Order:
    """The same for a process that works in another folder, and while training goes on."""
    sources = tuple(
        place if URL.match(place) else str(Path(place).absolute()) for place in order.sources
    )
    out = order.out if URL.match(order.out) else str(Path(order.out).absolute())
    return replace(order, run=run.absolute(), sources=sources, out=out)


class _Tries:
    """An actor of its own that outlives the others: how often each block was begun."""

    def __init__(self) -> None:
        self.begun = Counter[int]()

    def begin(self, block: int) -> int:
        """1 for the first time."""
        self.begun[block] += 1
        return self.begun[block]


class _Actor:
    """Holds a translator; is given blocks of pieces."""

    def __init__(self, order: Order, tries: Any) -> None:
        self.worker, self.tries = Worker(order), tries
        self.get = import_module("ray").get

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        tries = self.get(self.tries.begin.remote(row["number"]))
        pieces = [Piece(*piece) for piece in json.loads(row["pieces"])]
        outcome, wrong = Outcome(), ""
        if tries > RETRIES + 1:
            wrong = (
                f"{RETRIES + 1} actors were lost, one after the other, at {len(pieces)} pieces "
                f'from "{pieces[0].name}" on; see the logs of Ray for why (often memory: fewer '
                "actors help), then run it again: what is done stays done"
            )
        else:
            try:
                outcome = self.worker.do(pieces)
            except UserError as error:
                wrong = str(error)
        return {"outcome": json.dumps(asdict(outcome)), "wrong": wrong, "tries": tries}
