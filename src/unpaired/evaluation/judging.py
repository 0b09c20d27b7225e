"""A run on disk, judged: its test pictures translated, measured, and kept beside it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from unpaired.data.decode import Picture, Pixels, read_picture
from unpaired.data.domains import DataSet
from unpaired.data.fingerprint import fingerprint
from unpaired.errors import UserError, reason_of
from unpaired.evaluation.instruments import Instruments
from unpaired.evaluation.metrics import GROUPS, METRICS, ROWS, titled
from unpaired.evaluation.scores import evaluate
from unpaired.evaluation.segmenting.task import label_task
from unpaired.evaluation.sides import Evaluation
from unpaired.evaluation.valid_json import finite, json_text
from unpaired.evaluation.views import open_views
from unpaired.training.card import read_card
from unpaired.training.checkpoint import read_images
from unpaired.training.config import TrainConfig, read_yaml
from unpaired.training.finding import find_checkpoint
from unpaired.training.folder import refuse_links
from unpaired.training.shares import data_of
from unpaired.translation.output import choose_format, encode
from unpaired.translation.translator import Translator
from unpaired.whole import write_whole


@dataclass(frozen=True)
class Judged:
    """A run and what was found."""

    run: Path
    config: TrainConfig[Any]
    translators: dict[str, Translator]
    """By row of the table: "run", and "best" if a validation share chose another checkpoint."""
    folder: Path
    """The checkpoint whose pictures are shown."""
    evaluation: Evaluation
    instruments: Instruments
    data_key: str
    """Fingerprint of the pictures."""

    def numbers(self) -> dict[str, Any]:
        """All of it for machines, and what is needed to know whether it is still true."""
        evaluation = self.evaluation
        numbers: dict[str, Any] = finite(
            {
                "instruments": self.instruments.names(),
                "steps": {row: own.card.step for row, own in self.translators.items()},
                "data": self.translators["run"].card.data,
                "data_key": self.data_key,
                "preset": self.config.preset,
                "seed": self.config.seed,
                "held_out": evaluation.held_out,
                "figures": {
                    key: {**asdict(metric), "title": titled(metric, evaluation.nets)}
                    for key, metric in METRICS.items()
                },
                "questions": GROUPS,
                "rows": ROWS,
                "directions": evaluation.numbers(),
            }
        )
        return numbers


def judge(
    run: Path,
    instruments: Instruments,
    *,
    checkpoint: str = "latest",
    dataset: DataSet | None = None,
) -> Judged:
    """Score a run's last checkpoint, and the best one beside it if validation chose another.

    Args:
        checkpoint: "latest", "best" or a step number; only "latest" brings the best along.
        dataset: None: the data the run was trained on.
    Raises: UserError if `run` is no run, its data are no longer there, or can't be judged so.
    """
    run = Path(run)
    folder = find_checkpoint(run, checkpoint)
    translators = {"run": Translator.load(folder)}
    if checkpoint == "latest" and (run / "best").is_file():
        best = find_checkpoint(run, "best")
        if best.name != folder.name:
            translators["best"] = Translator.load(best)
    config = read_yaml(run / "config.yaml")
    card = translators["run"].card
    if not (dataset or config.data or config.x):
        raise UserError(
            f'"{run}" was imported without pictures to score it on; import it again with --data DIR'
        )
    images = read_images(card)
    data = dataset or data_of(config, card.channels_x, card.channels_y)
    key = fingerprint(data)  # before they are read: what changes meanwhile shows
    views = open_views(data, images, card.size, instruments.limit)
    labels = None
    if instruments.classes is not None:
        try:
            pairs = data_of(config, card.channels_x, card.channels_y, paired=True)
        except UserError:  # no true pairs to fit floors on
            pairs = None
        labels = label_task(
            instruments.classes,
            data,
            pairs,
            views,
            images,
            card.size,
            instruments.limit,
            instruments.segmenter,
        )
    evaluation = evaluate(
        translators,
        views,
        instruments.features,
        perceptual=instruments.perceptual,
        labels=labels,
        seed=instruments.seed,
    )
    return Judged(run, config, translators, folder, evaluation, instruments, key)


def save(judged: Judged) -> None:
    """Keep the numbers and every translated test picture in the run's folder.

    Raises: UserError if the folder can't be written, or has links that lead out of it.
    """
    refuse_links(judged.run)
    try:
        for side in judged.evaluation.sides:
            below = judged.run / "translations" / side.direction
            for name, pixels in zip(side.names, side.translated):
                picture = Picture(pixels)
                format = choose_format(picture, None)
                path = below / f"{name}.{format}"
                path.parent.mkdir(parents=True, exist_ok=True)
                write_whole(path, encode(picture, format))
        text = json_text(judged.numbers())
        write_whole(judged.run / "numbers.json", text.encode())  # last: it vouches for the pictures
    except OSError as error:
        reason = reason_of(error)
        raise UserError(
            f'cannot write to "{judged.run}": {reason}; make room or mend the folder'
        ) from None


def saved_numbers(run: Path, instruments: Instruments) -> dict[str, Any] | None:
    """What `save` wrote, if it is of this run's last checkpoint, these instruments, and the
    pictures that the run's data hold now.

    Raises: UserError if the data are no longer there.
    """
    try:
        numbers: dict[str, Any] = json.loads((run / "numbers.json").read_text(encoding="utf-8"))
        same = numbers["instruments"] == finite(instruments.names())
        folder = find_checkpoint(run)
        current = numbers["steps"]["run"] == int(folder.name.split("_")[-1])
        if not (same and current):
            return None
        key = numbers["data_key"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    card = read_card(folder)
    config = read_yaml(run / "config.yaml")
    data = data_of(config, card.channels_x, card.channels_y)
    return numbers if key == fingerprint(data) else None


def saved_translation(folder: Path, name: str) -> Pixels:
    """The saved translation of a test picture.

    Raises: UserError if it isn't there: the run was judged on other pictures.
    """
    for suffix in ("png", "tif"):
        if (path := folder / f"{name}.{suffix}").is_file():
            return read_picture(path).pixels
    raise UserError(
        f'"{folder}" has no translation of "{name}": the runs were not evaluated on the same '
        "pictures; compare runs on one data set, evaluated alike"
    )
