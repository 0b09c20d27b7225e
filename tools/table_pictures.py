"""A strip of translations per method, from the folder that `unpaired reproduce` filled.

python tools/table_pictures.py FOLDER x2y|y2x OUT.jpg METHOD...

Draws the input, every METHOD (a run's folder in FOLDER/runs; METHOD-back where the method goes one
way) and the hidden truth, at the same test pictures, taken at even steps.
"""

import sys
from pathlib import Path

from strips import draw
from unpaired.data.order import spread
from unpaired.evaluation.entries import Entry, sightings
from unpaired.evaluation.judging import saved_translation
from unpaired.evaluation.sides import domains
from unpaired.evaluation.views import open_views
from unpaired.reproduction import CONTENDERS
from unpaired.training.card import read_card
from unpaired.training.checkpoint import read_images
from unpaired.training.config import read_yaml
from unpaired.training.finding import find_checkpoint
from unpaired.training.shares import data_of

TILES = 8


def main(folder: Path, direction: str, out: Path, methods: list[str]) -> None:
    first = folder / "runs" / methods[0]
    config, card = read_yaml(first / "config.yaml"), read_card(find_checkpoint(first))
    data = data_of(config, card.channels_x, card.channels_y, paired=False)
    views = open_views(data, read_images(card), card.size, 500)
    source, target = domains(direction)
    shown = spread(len(views.test[source]), TILES)
    rows = {"input": [views.test[source][i] for i in shown]}
    for method in methods:
        runs = [folder / "runs" / name for name in (method, f"{method}-back")]
        entry = Entry(method, tuple(run for run in runs if run.is_dir()))
        (seen,) = sightings(entry, direction, config.swap)
        made = seen.run / "translations" / seen.own
        names = [views.names[source][i] for i in shown]
        rows[CONTENDERS[method].label] = [saved_translation(made, name) for name in names]
    rows["hidden truth"] = [views.test[target][i] for i in shown]
    draw(rows, out, gap=3, quality=90)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), sys.argv[4:])
