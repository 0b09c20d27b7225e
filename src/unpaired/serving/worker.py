"""What runs in a worker process: batches of uploaded pictures to encoded translations."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from typing import Any

from litserve import LitAPI

from unpaired.data.decode import Picture, UnreadableImage, read_picture
from unpaired.data.opening import Member
from unpaired.errors import UserError
from unpaired.serving.batching import TOGETHER, Loop
from unpaired.serving.jobs import (
    BROKEN,
    MEDIA,
    NO_MEMORY,
    Answer,
    Describe,
    Job,
    Model,
)
from unpaired.shortage import give_back, is_shortage
from unpaired.translation.base import Backend, BaseTranslator
from unpaired.translation.exported import ExportedTranslator
from unpaired.translation.exporting.sessions import Precision
from unpaired.translation.output import Unwritable, choose_format, encode
from unpaired.translation.tiling.tiler import WHOLE, Tiler

MISTAKE = 2
"""Exit code of a worker that can't load a run; it has said why."""


class Worker(LitAPI):  # type: ignore[misc]  # litserve has no types
    """Loads all runs once, then translates what comes.

    Args:
        sources: name to run.
        batch: pictures that go through a network together.
        workers: how many there are of us.
        device, precision, backend: as `translation.loading.load` takes them.

    Attributes:
        keeper: process that holds the queue; it is ended when the server is gone.
    """

    def __init__(
        self,
        sources: dict[str, str],
        *,
        batch: int,
        workers: int,
        device: str,
        precision: Precision,
        backend: Backend,
    ) -> None:
        super().__init__(max_batch_size=batch, batch_timeout=TOGETHER, loop=Loop())
        self.sources, self.workers = sources, workers
        self.asked: dict[str, Any] = {
            "device": device,
            "precision": precision,
            "backend": backend,
        }
        self.translators: dict[str, BaseTranslator] = {}
        self.tilers: dict[tuple[str, str], Tiler] = {}
        self.keeper: int | None = None

    def setup(self, device: str) -> None:
        """Load the runs and make them ready. `device` is LitServe's guess; ours is asked for."""
        del device
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; the server ends us
        if self.workers > 1:  # they share the processors
            os.environ["LOCAL_WORLD_SIZE"] = str(self.workers)
            os.environ["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // self.workers))
            if self.asked["device"] != "cpu":
                _take_turns_with_gpus(int(os.environ["LITSERVE_WORKER_ID"]))
        from unpaired.translation.loading import load

        try:
            for name, source in self.sources.items():
                translator = load(source, **self.asked)
                for way in translator.directions:
                    translator.open(way)
                    tiler = Tiler(translator, way)
                    tiler.together = WHOLE
                    self.tilers[name, way] = tiler
                self.translators[name] = translator
        except UserError as error:
            print("unpaired: error:", " ".join(str(error).split()), file=sys.stderr, flush=True)
            raise SystemExit(MISTAKE) from None

    # without annotations, as LitServe would make a web interface of them
    def decode_request(self, request):  # type: ignore[no-untyped-def]
        return request

    def encode_response(self, output):  # type: ignore[no-untyped-def]
        return output

    def batch(self, inputs: Sequence[Any]) -> Sequence[Any]:
        return inputs

    def unbatch(self, output: list[Answer]) -> list[Answer]:
        return output

    def predict(self, x: Sequence[Job | Describe], **context: Any) -> list[Answer]:
        """An answer to each of a batch, all `alike`; a damaged one does not hold up the others."""
        del context
        if isinstance(x[0], Describe):
            return [Answer(200, "", models=tuple(self.models()))]
        began = time.monotonic()
        answers: list[Answer] = [BROKEN] * len(x)
        read: list[tuple[int, Job, Picture]] = []
        for place, job in enumerate(x):
            assert isinstance(job, Job)
            try:
                span = self.tilers[job.model, job.direction].span
                picture = read_picture(Member("the picture", job.content), span=span)
                read.append((place, job, picture))
            except UnreadableImage as error:
                answers[place] = Answer(422, f"The picture can't be read: {error.reason}.")
        made = self._translate(x[0], [picture for _, _, picture in read]) if read else []
        count, took = len(read), time.monotonic() - began
        for (place, job, _), result in zip(read, made):
            if isinstance(result, Picture):
                answers[place] = _encoded(job, result, count, took)
                count, took = 0, 0.0  # told once
            else:
                answers[place] = result
        return answers

    def _translate(self, like: Job, pictures: list[Picture]) -> Sequence[Picture | Answer]:
        tiler = self.tilers[like.model, like.direction]
        try:
            return tiler.pictures(pictures)
        except UserError as error:
            return [Answer(422, f"The picture can't be translated: {error}.")] * len(pictures)
        except (RuntimeError, MemoryError) as error:
            short = is_shortage(error)
            if not short:
                traceback.print_exc()
        except Exception:
            traceback.print_exc()
            return [BROKEN] * len(pictures)
        if short:
            give_back()
        return [NO_MEMORY if short else BROKEN] * len(pictures)

    def models(self) -> list[Model]:
        """What there is."""
        found = []
        for name, translator in self.translators.items():
            card = translator.card
            forth = (card.channels_x, card.channels_y)
            ways: dict[str, tuple[int, int]] = {
                way: forth if way == "x2y" else forth[::-1] for way in translator.directions
            }
            found.append(
                Model(
                    name,
                    card.method,
                    card.data,
                    card.step,
                    translator.directions,
                    ways,
                    translator.computes,
                )
            )
        return found

    def alike(self, one: Job | Describe, other: Job | Describe) -> bool:
        """Whether two can go through a network together.

        Only where torch computes: the other backends run on the CPU, where nothing is won by it,
        and may round by company. Nor what is translated in pieces.
        """
        if not isinstance(one, Job) or not isinstance(other, Job):
            return False
        if (one.model, one.direction) != (other.model, other.direction):
            return False
        translator = self.translators[one.model]
        (width, height), (wide, high) = one.size, other.size
        return (
            not isinstance(translator, ExportedTranslator)
            and max(height * width, high * wide) <= WHOLE
            and translator.padded(height, width) == translator.padded(high, wide)
        )


def _encoded(job: Job, picture: Picture, batch: int, seconds: float) -> Answer:
    format = choose_format(picture, job.format)
    try:
        return Answer(200, encode(picture, format), MEDIA[format], batch, seconds)
    except Unwritable as error:
        return Answer(422, f"The result can't be given so: {error}.", "", batch, seconds)


def _take_turns_with_gpus(worker: int) -> None:
    import torch

    if count := torch.cuda.device_count():
        os.environ["LOCAL_RANK"] = str(worker % count)
