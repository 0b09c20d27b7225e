"""A run pushed to the Hub: packed beside it first, then uploaded in one commit."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

from unpaired.errors import UserError
from unpaired.telling import note
from unpaired.training.checkpoint import TENSOR_FILES
from unpaired.translation.hub.client import client
from unpaired.translation.hub.names import HubName, need_hub_name
from unpaired.translation.hub.packing import SAMPLES, Publishing, pack
from unpaired.translation.hub.refusing import in_one_line

OURS = (
    *(f"{name}.safetensors" for name in TENSOR_FILES),
    "state.json",
    "checkpoint.json",
    "config.yaml",
    SAMPLES,
)
"""What a push takes away where it brings none: an earlier one may have left it."""


def push(
    source: Path | str,
    repo_id: str,
    *,
    checkpoint: str = "latest",
    commit_message: str | None = None,
    private: bool | None = None,
    token: str | None = None,
    branch: str | None = None,
    license: str | None = None,
    samples: bool = True,
    full: bool = False,
) -> str:
    """Publish a run: what translates, config.yaml, a model card with its sample grid and numbers.

    Args:
        source: a run folder, or a checkpoint folder.
        repo_id: user/name; made if it isn't there.
        checkpoint: "latest", "best" or a step number.
        private: True: only those with access see it; None: as the account's settings say.
        token: None: $HF_TOKEN, or what `hf auth login` keeps.
        branch: None: the main branch; made if it isn't there.
        license: of the weights, as the Hub names licences.
        samples: with the grid of sample pictures, which shows pictures of the data.
        full: the complete checkpoint, so that training can go on.
    Returns: the address of the commit.
    Raises: UserError if the run is damaged, the Hub can't be reached, or the token may not write.
    """
    name = HubName(need_hub_name(repo_id).repo, branch)
    what = Publishing(license, samples, full)
    with tempfile.TemporaryDirectory(prefix="unpaired-push-") as kept:
        folder = Path(kept) / "packed"
        # the card says where it will be found, which on the main branch needs no revision
        files = pack(Path(source), folder, name, what, checkpoint)
        return _uploaded(name, files, commit_message or "Push with unpaired", private, token)


def _uploaded(
    name: HubName, files: list[Path], message: str, private: bool | None, token: str | None
) -> str:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    api, size = client(token), sum(file.stat().st_size for file in files)
    note(f"pushing {len(files)} files, {size / 1e6:.1f} MB, to {name} ...")
    with in_one_line(name, writing=True):
        api.create_repo(name.repo, private=private, exist_ok=True)
        if private and not api.model_info(name.repo).private:
            raise UserError(
                f"{name.repo} is there and public, so nothing was pushed; make it private in its "
                "settings, or give another name"
            )
        if name.revision:
            api.create_branch(name.repo, branch=name.revision, exist_ok=True)
        there = set(api.list_repo_files(name.repo, revision=name.revision))
        brought = {file.name for file in files}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on fields of the card that the Hub would like to have
            commit = api.create_commit(
                name.repo,
                [CommitOperationAdd(file.name, file) for file in files]
                + [CommitOperationDelete(old) for old in OURS if old in there - brought],
                commit_message=message,
                revision=name.revision,
            )
    return str(commit.commit_url)
