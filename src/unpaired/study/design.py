"""What a study is: every parameter that a participant's answers depend on, in one file."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import yaml

from unpaired.errors import UserError
from unpaired.options import nearest
from unpaired.plain_yaml import read_plain

Order = Literal["sequence", "together"]
Question = Literal["real", "fake", "better"]

CONSENT = (
    "You will see pairs of pictures and answer one question about each pair. It takes about "
    "{minutes}. We keep your answers, your reaction times, the size of your browser window, when "
    "you agreed, and, if you came from a platform, your number there; no name, no address. You may "
    "stop at any time, and have everything deleted with one click. There is no known risk."
)
ROUNDING = 34
"""Milliseconds by which an exposure may be off: two frames at 60 Hz."""


@dataclass(frozen=True)
class Design:
    """Times are in milliseconds of the participant's screen, counts are per participant.

    Raises: UserError for values that make no study.
    """

    title: str = "Which picture is real?"
    question: Question = "real"
    """What is asked: which picture is real, which is fake, or (two algorithms) which is better."""
    order: Order = "sequence"
    """One after the other, or side by side."""
    exposure: int | None = 1000
    """Each picture is shown so long; None: until the answer."""
    blank_before: int = 900
    blank_between: int = 600
    practice: int = 10
    """Trials with feedback that don't count."""
    scored: int = 40
    attention: int = 3
    """Scored trials more, whose fake is obvious; they only tell who looked."""
    attention_allowed: int = 1
    """So many of these may be wrong; who has more is excluded."""
    late_allowed: float = 0.2
    """Who had more than this share of trials with a late frame is excluded."""
    fastest: int = 200
    """An answer sooner after the question (ms) counts as not thought about..."""
    fast_allowed: float = 0.2
    """...and who gave more than this share of them is excluded."""
    people: int = 25
    """Wanted per algorithm and direction."""
    same_scene: bool = False
    """Whether the real picture of a pair is the hidden truth of the generated one."""
    size: int = 256
    """Side in pixels that all pictures are brought to."""
    display: int = 256
    """Side on the screen, in CSS pixels; less on small screens. All pictures are scaled alike."""
    seed: int = 0
    consent: str = CONSENT
    consent_version: str = "1"
    contact: str = ""
    """Whom participants may write to."""
    completion_url: str = ""
    """Where Prolific wants participants to be sent at the end."""

    def __post_init__(self) -> None:
        for name, least in (("practice", 0), ("scored", 1), ("attention", 0), ("people", 1)):
            if getattr(self, name) < least:
                raise UserError(f"{name} is {getattr(self, name)}; give {least} or more")
        for name in ("blank_before", "blank_between", "fastest", "attention_allowed"):
            if getattr(self, name) < 0:
                raise UserError(f"{name} is {getattr(self, name)}; give 0 or more")
        for name in ("late_allowed", "fast_allowed"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"{name} is {getattr(self, name)}; give a share from 0 to 1")
        if self.exposure is not None and not 50 <= self.exposure <= 60_000:
            raise UserError(f"exposure is {self.exposure}; give 50 to 60000 ms, or null")
        if self.order == "sequence" and self.exposure is None:
            raise UserError("pictures one after the other need an exposure in ms")
        if not 16 <= self.size <= 1024:
            raise UserError(f"size is {self.size}; give 16 to 1024 pixels")
        if not 64 <= self.display <= 1024:
            raise UserError(f"display is {self.display}; give 64 to 1024 CSS pixels")
        if self.completion_url and not self.completion_url.startswith(("https://", "http://")):
            raise UserError("completion_url must begin with https://")

    @property
    def minutes(self) -> str:
        """About how long a session takes, "5 minutes"."""
        shown = 2 * (self.exposure or 2000) + self.blank_before + self.blank_between
        trials = self.practice + self.scored + self.attention
        minutes = max(1, round(trials * (shown + 1500) / 60_000) + 1)
        return f"{minutes} minute{'' if minutes == 1 else 's'}"

    @property
    def shown_for(self) -> int | None:
        """Milliseconds from the first picture's appearing to the question; None without limit."""
        if self.exposure is None or self.order == "together":
            return self.exposure
        return 2 * self.exposure + self.blank_between

    @property
    def least_seconds(self) -> float:
        """Before these have passed nobody can have seen a timed trial: browsers round to frames."""
        exposures = 1 if self.order == "together" else 2
        return max(0.0, ((self.shown_for or 0) - exposures * ROUNDING) / 1000)

    @property
    def trials(self) -> int:
        """Pairs that each participant sees."""
        return self.practice + self.scored + self.attention


PRESETS: dict[str, Design] = {
    "cyclegan2017": Design(),
    "pix2pix2016": Design(title="Which picture is fake?", question="fake", people=50),
    "untimed": Design(order="together", exposure=None, blank_before=500, blank_between=0),
    "versus": Design(
        title="Which picture looks better?",
        question="better",
        order="together",
        exposure=None,
        blank_before=500,
        blank_between=0,
        practice=0,
        attention=0,
        same_scene=True,
    ),
}
"""Zhu et al. 2017 and Isola et al. 2016 as their appendices describe them (attention checks are
ours); the same without a time limit; and two algorithms against each other."""


def write_design(path: Path, design: Design) -> None:
    """As YAML that people can change until data collection starts."""
    path.write_text(yaml.safe_dump(asdict(design), sort_keys=False, allow_unicode=True), "utf-8")


def read_design(path: Path) -> Design:
    """Raises: UserError in one line for what is missing, unknown or of a wrong type."""
    try:
        tree = read_plain(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        gist = " ".join(str(error).split())[:120]
        raise UserError(f'"{path}" is no design that can be read ({gist})') from None
    return parse_design(tree, str(path))


def parse_design(tree: Any, where: str) -> Design:
    """A design from a dictionary; values are held against the types of the defaults."""
    if not isinstance(tree, dict):
        raise UserError(f'"{where}" is no design: give "name: value" lines, as study create writes')
    kinds = {field.name: field.type for field in fields(Design)}
    for name, value in tree.items():
        if name not in kinds:
            raise UserError(f'"{where}": unknown "{name}"{nearest(str(name), kinds)}')
        if not _fits(value, str(kinds[name])):
            raise UserError(f'"{where}": {name} is {value!r}; it must be {kinds[name]}')
    return replace(Design(), **tree)


CHOICES: dict[str, tuple[str, ...]] = {
    "Order": ("sequence", "together"),
    "Question": ("real", "fake", "better"),
}


def _fits(value: Any, kind: str) -> bool:
    if kind in CHOICES:
        return value in CHOICES[kind]
    if kind.endswith("| None") and value is None:
        return True
    wanted: Any = {"int": int, "float": (int, float), "bool": bool, "str": str}[kind.split(" ")[0]]
    return isinstance(value, wanted) and (kind == "bool" or not isinstance(value, bool))
