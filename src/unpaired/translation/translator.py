"""The translator that programs use: a run from wherever it is, and back to the Hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from unpaired.errors import UserError
from unpaired.translation.base import Backend, BaseTranslator
from unpaired.translation.hub.fetching import Access
from unpaired.translation.hub.names import HubName, need_hub_name
from unpaired.translation.loading import load
from unpaired.translation.resolving import from_hub

if TYPE_CHECKING:  # they bring torch
    from unpaired.methods.base import Direction
    from unpaired.training.precision import Precision
    from unpaired.translation.network import TorchTranslator


class Translator(BaseTranslator):
    """Translates images of any size between the two domains of a run.

    An image is padded by reflection, at its right and lower edge, to the multiple of pixels that
    the network needs, and the result is cropped back: what goes in and what comes out have one
    size. Images are never resized.

    Attributes:
        card: what the checkpoint says of itself.
        directions: the ways it can translate, the first being the default.
        smallest: shortest side in pixels that the network is given.
        computes: by what and in which numbers, for people: "OpenVINO in bf16".
        source: the checkpoint folder that it was loaded from; None: an exported file.
    """

    def __init__(self, engine: BaseTranslator) -> None:
        """Args: engine: what computes; `load` chooses it."""
        super().__init__(engine.card, engine.smallest)
        self.engine, self.source = engine, engine.source

    @property
    def computes(self) -> str:  # type: ignore[override]
        return self.engine.computes

    def open(self, direction: Direction) -> None:
        self.engine.open(direction)

    def in_torch(self) -> TorchTranslator:
        return self.engine.in_torch()

    def run(self, images: NDArray[np.float32], direction: Direction) -> NDArray[np.float32]:
        return self.engine.run(images, direction)

    def __repr__(self) -> str:
        return repr(self.engine)  # its name says by what it computes

    @staticmethod
    def load(
        source: Path | str,
        *,
        checkpoint: str = "latest",
        device: str = "auto",
        precision: Precision = "auto",
        backend: Backend | None = None,
    ) -> Translator:
        """From a run folder, a checkpoint folder, a file from `unpaired export`, a file of weights
        from elsewhere, a published model by its name, or user/name[@revision] of the Hub.

        Args:
            checkpoint: "latest", "best" or a step number.
            precision: "auto" computes in bfloat16 where the device does that well.
            backend: None: torch for a run; "auto": see `translation.loading`.
        Raises: UserError if there is no run or checkpoint, or it is damaged.
        """
        return Translator(
            load(
                source,
                checkpoint=checkpoint,
                device=device,
                precision=precision,
                backend=backend or "torch",
            )
        )

    @staticmethod
    def from_pretrained(
        pretrained_model_name_or_path: Path | str,
        *,
        revision: str | None = None,
        token: str | bool | None = None,
        cache_dir: Path | str | None = None,
        local_files_only: bool = False,
        force_download: bool = False,
        checkpoint: str = "latest",
        device: str = "auto",
        precision: Precision = "auto",
        backend: Backend | None = None,
    ) -> Translator:
        """From the Hugging Face Hub, with the names of `PyTorchModelHubMixin`; see docs/hub.md.

        What `unpaired push` made is taken as it is. Of other repositories the generator is
        recognised by its weights, as `unpaired import` does it. Nothing that is fetched is run.

        Args:
            pretrained_model_name_or_path: user/name or user/name@revision; what `load` takes as a
                path is taken too.
            revision: a branch, a tag or a commit; None: the main branch.
            token: None: $HF_TOKEN, or what `hf auth login` keeps; False: none.
            cache_dir: None: huggingface_hub's cache.
            local_files_only: don't ask the Hub, take what is in the cache.
            force_download: fetch anew what is in the cache.
            checkpoint, device, precision, backend: as for `load`.
        Raises: UserError if there is no such repository, it may not be read, the Hub can't be
            reached and the cache doesn't have it, or what it holds is damaged or not understood.
        """
        place = Path(pretrained_model_name_or_path)
        if not place.exists():
            name = need_hub_name(str(pretrained_model_name_or_path))
            access = Access(token, cache_dir, local_files_only, force_download)
            place = from_hub(HubName(name.repo, revision or name.revision), access)
        return Translator.load(
            place, checkpoint=checkpoint, device=device, precision=precision, backend=backend
        )

    def save_pretrained(
        self,
        save_directory: Path | str,
        *,
        repo_id: str | None = None,
        push_to_hub: bool = False,
        **options: Any,
    ) -> str | None:
        """Write what `push_to_hub` uploads: weights, card, config.yaml, README.md, sample grid.

        Args:
            save_directory: new or empty; `load` and `from_pretrained` take it.
            repo_id: user/name for the model card; None: the folder's name.
            push_to_hub: upload it too.
            options: of `push_to_hub`.
        Returns: the address of the commit, if it was pushed.
        Raises: UserError as `push_to_hub`, or if the folder can't be written.
        """
        from unpaired.translation.hub.packing import Publishing, pack

        out = Path(save_directory)
        name = need_hub_name(repo_id or f"user/{out.resolve().name}")
        if push_to_hub and repo_id is None:
            raise UserError("push_to_hub needs a repo_id; give user/name")
        what = {key: options[key] for key in ("license", "samples", "full") if key in options}
        pack(self._pushable(), out, name, Publishing(**what))
        return self.push_to_hub(name.repo, **options) if push_to_hub else None

    def push_to_hub(
        self,
        repo_id: str,
        *,
        commit_message: str | None = None,
        private: bool | None = None,
        token: str | None = None,
        branch: str | None = None,
        license: str | None = None,
        samples: bool = True,
        full: bool = False,
    ) -> str:
        """Publish the checkpoint it was loaded from; arguments, result, errors: `unpaired.push`.

        Raises: UserError also if it was loaded from an exported file.
        """
        from unpaired.translation.hub.pushing import push

        return push(
            self._pushable(),
            repo_id,
            commit_message=commit_message,
            private=private,
            token=token,
            branch=branch,
            license=license,
            samples=samples,
            full=full,
        )

    def _pushable(self) -> Path:
        if self.source is None:
            raise UserError("an exported file can't be published; load the run it was made of")
        return self.source
