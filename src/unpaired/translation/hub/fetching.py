"""What translates, from a repository of the Hub into huggingface_hub's own cache.

A repository that `unpaired push` made is a checkpoint folder: of it, the card and the weights that
it vouches for come over the network, nothing else. Of any other repository its one file of weights
does, which is then recognised as files from elsewhere are. Nothing that comes is ever run.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from unpaired.errors import UserError
from unpaired.telling import note
from unpaired.translation.hub.client import client
from unpaired.translation.hub.names import WEIGHTS, HubName
from unpaired.translation.hub.refusing import UnreachedError, in_one_line

CARD = "checkpoint.json"
NEEDED = (CARD, "weights.safetensors", "ema.safetensors")
"""What translating needs of a checkpoint; the last is there if the run averaged its weights."""
USUAL = ("model.safetensors", "latest_net_G.pth", "latest_net_G_A.pth", "pytorch_model.bin")
"""What others call their generator; the first that is there is taken."""
LARGEST = 4_000_000_000
"""Bytes that are fetched of one repository; the largest generators have a hundredth."""

LARGEST_CARD = 1 << 20


@dataclass(frozen=True)
class Access:
    """How to reach the Hub; every name is huggingface_hub's."""

    token: str | bool | None = None
    """None: $HF_TOKEN, or what `hf auth login` keeps; False: none."""
    cache_dir: Path | str | None = None
    local_files_only: bool = False
    force_download: bool = False


@dataclass(frozen=True)
class Fetched:
    """What came, on this machine."""

    path: Path
    """A checkpoint folder, or a file of weights from elsewhere."""
    called: str
    """user/name, or user/name/FILE for people."""

    @property
    def is_checkpoint(self) -> bool:
        return self.path.is_dir()


def fetched(name: HubName, access: Access | None = None) -> Fetched:
    """What translates of a repository, fetched if the cache doesn't have it.

    Offline, what was fetched before is taken, which is told.

    Raises: UserError if there is no such repository, it may not be read, it holds nothing that
        translates, or too much; or nothing of it was ever fetched and the Hub can't be reached.
    """
    access = access or Access()
    if access.local_files_only:
        return _kept(name, access)
    try:
        sizes = _listed(name, access)
    except UnreachedError as unreached:
        try:
            found = _kept(name, access)
        except UserError:
            raise unreached from None
        note(f"{unreached}; taking what was fetched before")
        return found
    wanted = _wanted(name, sizes)
    if (total := sum(sizes[file] for file in wanted)) > LARGEST:
        raise UserError(
            f"{name} has {total / 1e9:.0f} GB of weights, more than any generator takes; take "
            "another"
        )
    if sizes.get(CARD, 0) > LARGEST_CARD:
        raise UserError(
            f"{name} has a {CARD} of {sizes[CARD]:,} bytes, which no run has; take another"
        )
    return _found(_snapshot(name, access, wanted), wanted, name)


def _listed(name: HubName, access: Access) -> dict[str, int]:
    """The repository's files and their sizes in bytes."""
    with in_one_line(name):
        info = client(access.token).model_info(
            name.repo, revision=name.revision, files_metadata=True, timeout=20
        )
    files = {one.rfilename: one.size or 0 for one in info.siblings or ()}
    return {file: size for file, size in files.items() if _stays_within(file)}


def _stays_within(file: str) -> bool:
    """Whether a name leads nowhere else than below the folder it is fetched to, on any system."""
    path = PureWindowsPath(file)
    return not (path.drive or path.root or ".." in path.parts)


def _wanted(name: HubName, files: dict[str, int] | list[str]) -> list[str]:
    """Which of its files to fetch. Raises: UserError if none of them translates."""
    if CARD in files:
        if NEEDED[1] not in files:
            raise UserError(f"{name} has {CARD} but no {NEEDED[1]}; who published it must mend it")
        return [file for file in NEEDED if file in files]
    weights = sorted(file for file in files if PurePosixPath(file).suffix.lower() in WEIGHTS)
    usual = [file for file in USUAL if file in weights]
    if not weights:
        raise UserError(
            f"{name} holds neither a run of unpaired ({CARD}) nor a file of weights; take another"
        )
    if not usual and len(weights) > 1:
        raise UserError(
            f"{name} holds {len(weights)} files of weights, among them {', '.join(weights[:3])}; "
            f"fetch the one you mean: hf download {name.repo} FILE --local-dir DIR"
        )
    return (usual or weights)[:1]


def _snapshot(name: HubName, access: Access, wanted: list[str], local: bool = False) -> Path:
    """The folder of the cache that holds these files. Raises: UserError."""
    with in_one_line(name):
        return Path(
            client(access.token).snapshot_download(
                name.repo,
                revision=name.revision,
                cache_dir=access.cache_dir,
                force_download=access.force_download and not local,
                local_files_only=local,
                allow_patterns=[_literally(file) for file in wanted],
            )
        )


def _literally(file: str) -> str:
    """A pattern that only this file fits."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in file)


def _kept(name: HubName, access: Access) -> Fetched:
    """What the cache has of it. Raises: UserError if that isn't all that is needed."""
    folder = _snapshot(name, access, list(NEEDED), local=True)
    there = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    try:
        wanted = _wanted(name, there)
    except UserError:
        raise UnreachedError(
            f"{name} is not in the cache whole; fetch it while the Hub can be reached"
        ) from None
    return _found(folder, wanted, name)


def _found(folder: Path, wanted: list[str], name: HubName) -> Fetched:
    if missing := [file for file in wanted if not (folder / file).is_file()]:
        raise UserError(f"{name} lacks {missing[0]}, which it listed; try again")
    if CARD in wanted:
        return Fetched(folder, str(name))
    return Fetched(folder / wanted[0], f"{name}/{wanted[0]}")
