"""Everything that decides a run, as one frozen tree; `config.yaml` is this tree and runs again."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

import tyro
import yaml

from unpaired.data.images import ImageConfig
from unpaired.errors import UserError
from unpaired.methods import KINDS, METHODS
from unpaired.plain_yaml import read_plain
from unpaired.training.parsing import parse
from unpaired.training.precision import Precision
from unpaired.training.schedule import ScheduleConfig
from unpaired.whole import write_whole

S = TypeVar("S")
MOST = {
    "batch": 1 << 16,
    "size": 1 << 16,
    "workers": 1 << 10,
    "channels_x": 1024,
    "channels_y": 1024,
}
"""More than anyone has a use for; a file that asks for more is refused, not obeyed."""


@dataclass(frozen=True)
class OptimizerConfig:
    """Adam, as the paper sets it (sec. 7.1)."""

    lr: float = 2e-4
    """Learning rate of the generators, and of every other player unless given."""
    lr_discriminators: float | None = None
    """Learning rate of the later players; None: `lr`."""
    beta1: float = 0.5
    beta2: float = 0.999

    def __post_init__(self) -> None:
        for name in ("lr", "lr_discriminators"):
            value = getattr(self, name)
            if value is not None and not 0 < value < 1:
                raise UserError(
                    f"--optimizer.{name.replace('_', '-')} is {value}; give a rate between 0 and 1"
                )
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(
                    f"--optimizer.{name} is {getattr(self, name)}; give a number from 0 to below 1"
                )


@dataclass(frozen=True)
class TrainConfig(Generic[S]):
    """One training run. Exactly one of `steps`, `epochs`, `minutes` ends it."""

    settings: Annotated[S, tyro.conf.arg(name="")]
    """The method's own settings."""
    method: tyro.conf.Suppress[str] = "cyclegan"
    data: str | None = None
    """A named set (worldtiles:map-aerial), or a folder with trainA, trainB[, testA, testB], or with
    pictures side by side in train[, test]."""
    x: str | None = None
    """Folder of domain X (with --y, instead of --data); or shards (.tar), or hf://NAME."""
    y: str | None = None
    """Folder, shards or table of domain Y."""
    swap: bool = False
    """Exchange X and Y, so that a method that goes one way goes the other."""
    steps: int | None = None
    """End after so many steps."""
    epochs: int | None = None
    """End after so many epochs of max(|X|, |Y|) images; the default is the paper's 200."""
    minutes: float | None = None
    """End after so many minutes of training."""
    batch: int = 1
    """Images of each domain per step and device."""
    size: int = 256
    """Side of the training crops in pixels."""
    seed: int = 0
    """Everything random flows from it."""
    precision: Precision = "auto"
    """auto takes what the device does well; see `unpaired doctor`."""
    device: str = "auto"
    """cpu, cuda, cuda:1, mps, or auto."""
    compile: bool = False
    """Compile the networks that translate with torch.compile: a minute at the start, then steps may
    be faster, on GPUs above all; numbers differ by rounding."""
    preset: tyro.conf.Suppress[str | None] = None
    images: ImageConfig = field(default_factory=ImageConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    channels_x: int | None = None
    """Channels of domain X; None: as its files have."""
    channels_y: int | None = None
    """Channels of domain Y; None: as its files have."""
    ema: float = 0.0
    """Decay of the averaged weights that translate; 0: none, as in the paper."""
    history: int = 50
    """Generated images remembered for each discriminator (sec. 4); 0: none."""
    accumulate: int = 1
    """Batches whose gradients are averaged into one step."""
    clip: float = 0.0
    """Largest norm of a player's gradient; 0: no limit."""
    workers: int = 0
    """Processes that decode images; 0: in the training process, best for cached sets."""
    cache: float = 0.25
    """Share of the free memory that decoded images may take."""
    tracker: tuple[Literal["wandb", "mlflow"], ...] = ()
    """Services that hear of the run too: wandb, mlflow, or both; see docs/watching.md."""
    project: str = "unpaired"
    """What the run belongs to there (MLflow: the experiment); it is called as its folder is."""
    log_every: int = 50
    """Steps between lines of metrics.jsonl."""
    sample_every: int | None = None
    """Steps between sample grids; None: every epoch, but at most once a minute."""
    checkpoint_every: int | None = None
    """Steps between checkpoints; None: every epoch, but at most once a minute."""
    keep: int = 2
    """How many of the last checkpoints to keep, beside the best."""
    evaluate_every: int = 0
    """Steps between scores on a share held out of training, which choose `best`; 0: none."""
    stop_after: int = 0
    """End the run after so many evaluations in a row without a better score; 0: never."""
    patience: int = 10
    """Steps in a row with a loss or gradient that is not finite before the run stops."""
    timeout: float = 600.0
    """Seconds after which a process that does not answer the others counts as lost."""

    def __post_init__(self) -> None:
        lengths = [n for n in ("steps", "epochs", "minutes") if getattr(self, n) is not None]
        if len(lengths) > 1:
            names = " and ".join(f"--{n}" for n in lengths)
            raise UserError(f"{names} are both given, but only one can end a run; drop one")
        for name in ("steps", "epochs", "minutes", "sample_every", "checkpoint_every"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise UserError(f"--{_flag(name)} is {value}; give a number above 0")
        for name in ("batch", "accumulate", "log_every", "keep", "patience"):
            if getattr(self, name) < 1:
                raise UserError(f"--{_flag(name)} is {getattr(self, name)}; give 1 or more")
        for name, most in MOST.items():
            if (getattr(self, name) or 0) > most:
                raise UserError(f"--{_flag(name)} is {getattr(self, name)}; give {most} or less")
        for name in ("history", "workers", "evaluate_every", "stop_after", "clip", "seed"):
            if getattr(self, name) < 0:
                raise UserError(f"--{_flag(name)} is {getattr(self, name)}; give 0 or more")
        if not self.clip < float("inf"):
            raise UserError(f"--clip is {self.clip}; give a norm, or 0 for no limit")
        if self.seed >= 2**63:
            raise UserError(f"--seed is {self.seed}; give a number below 2^63")
        for name in ("channels_x", "channels_y"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise UserError(f"--{_flag(name)} is {value}; give 1 or more")
        if not 1 <= self.timeout < 1e9:
            raise UserError(f"--timeout is {self.timeout}; give seconds, 1 or more")
        if not 0 <= self.ema < 1:
            raise UserError(
                f"--ema is {self.ema}; give a decay from 0 to below 1, for example 0.999"
            )
        if not 0 <= self.cache <= 0.9:
            raise UserError(f"--cache is {self.cache}; give a share of memory from 0 to 0.9")
        if self.size < 16:
            raise UserError(f"--size is {self.size}; give 16 pixels or more")
        if self.schedule.kind == "plateau" and not self.evaluate_every:
            raise UserError(
                "--schedule.kind plateau reads the validation score; give --evaluate-every"
            )
        if self.stop_after and not self.evaluate_every:
            raise UserError(
                "--stop-after counts evaluations; give --evaluate-every too, or drop it"
            )

    @property
    def length(self) -> dict[str, float]:
        """What ends the run, as {"steps" | "epochs" | "minutes": amount}."""
        for name in ("steps", "epochs", "minutes"):
            if (value := getattr(self, name)) is not None:
                return {name: value}
        return {"epochs": 200}


CHANGEABLE_ON_RESUME = frozenset(
    {"steps", "epochs", "minutes", "device", "workers", "cache", "keep"}
    | {"log_every", "sample_every", "checkpoint_every", "stop_after", "timeout"}
    | {"tracker", "project"}
)


def _flag(name: str) -> str:
    return name.replace("_", "-")


def to_dict(config: TrainConfig[Any]) -> dict[str, Any]:
    """The tree as plain dictionaries, numbers and strings."""
    return dataclasses.asdict(config)


def from_dict(tree: dict[str, Any], source: str = "the configuration") -> TrainConfig[Any]:
    """Build and check a configuration.

    Raises: UserError that names the first key that is unknown, missing or of the wrong type.
    """
    if not isinstance(tree, dict):
        raise UserError(f"{source}: expected keys and values; give the config.yaml of a run")
    tree = dict(tree)
    method = tree.get("method", "cyclegan")
    if method not in KINDS:
        raise UserError(f'{source}: unknown method "{method}"; known are {", ".join(METHODS)}')
    settings = parse(KINDS[method].Config, tree.pop("settings", {}), f"{source}: settings")
    tree["settings"] = settings
    return parse(TrainConfig, tree, source)


def with_changes(config: Any, changes: dict[str, Any]) -> Any:
    """A copy of a frozen tree with dotted keys replaced: `{"optimizer.lr": 1e-3}`."""
    for dotted, value in changes.items():
        name, _, rest = dotted.partition(".")
        inner = with_changes(getattr(config, name), {rest: value}) if rest else value
        config = dataclasses.replace(config, **{name: inner})
    return config


def differences(a: Any, b: Any, prefix: str = "") -> list[str]:
    """Dotted names of the values in which two frozen trees differ."""
    found = []
    for part in dataclasses.fields(a):
        one, two, name = getattr(a, part.name), getattr(b, part.name), f"{prefix}{part.name}"
        if dataclasses.is_dataclass(one) and type(one) is type(two):
            found += differences(one, two, f"{name}.")
        elif one != two:
            found.append(name)
    return found


def refuse_changes(saved: TrainConfig[Any], asked: TrainConfig[Any]) -> None:
    """Refuse what can't change between the sessions of a run.

    Raises: UserError that names the option.
    """
    changed = [name for name in differences(saved, asked) if name not in CHANGEABLE_ON_RESUME]
    if changed:
        flag = changed[0].removeprefix("settings.").replace("_", "-")
        raise UserError(
            f"--{flag} differs from the run that --resume would continue; drop it, or start a new "
            "run with another --out"
        )


def write_yaml(config: TrainConfig[Any], path: Path) -> None:
    """Write `config` so that `read_yaml` gives it back; whole or not at all."""
    write_whole(path, yaml.safe_dump(to_dict(config), sort_keys=False), durable=True)


def read_yaml(path: Path) -> TrainConfig[Any]:
    """Read a `config.yaml`.

    Raises: UserError if it is missing, not YAML, or has a key that is wrong.
    """
    try:
        tree = read_plain(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f'no configuration at "{path}"; give the config.yaml of a run') from None
    except ValueError as error:
        raise UserError(
            f'"{path}" is not YAML of plain values ({error}); give the config.yaml of a run'
        ) from None
    except OSError as error:
        raise UserError(f'cannot read "{path}": {error.strerror}; check the path') from None
    return from_dict(tree, source=f'"{path}"')
