"""huggingface_hub's client as we use it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from unpaired import __version__
from unpaired.telling import is_quiet

if TYPE_CHECKING:
    from huggingface_hub import HfApi


def client(token: str | bool | None) -> HfApi:
    """A client that shows bars on a terminal only, and there not under `-q`.

    Args: token: None: $HF_TOKEN, or what `hf auth login` keeps; False: none.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if is_quiet() or not sys.stderr.isatty():
        disable_progress_bars()
    return HfApi(token=token, library_name="unpaired", library_version=__version__)
