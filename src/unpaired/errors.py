"""The errors a user can cause: shown as one line, exit code 2, no traceback."""

from __future__ import annotations

import re


class UserError(Exception):
    """Something the user can mend. The message says what is wrong, where, and what to do."""


class SaidElsewhere(UserError):  # noqa: N818 - one of two names for a mistake
    """A mistake that another process of the same run tells the user about."""


def without_credentials(url: str) -> str:
    """A URL as it may be shown and kept."""
    return re.sub(r"//[^/]*@", "//", url)


def reason_of(error: Exception) -> str:
    """What went wrong with a file, in a few words; not which file, as whoever asks knows it.

    Of fsspec's web servers, one that isn't there says nothing but its address, and one that
    refuses says it at the end.
    """
    if isinstance(error, FileNotFoundError) and not error.strerror:
        return "no such file, or its server is away"
    if not isinstance(error, OSError):
        full = "No space left on device" in str(error)  # safetensors wraps what the disk says
        return "no space left on device" if full else f"{type(error).__name__}: {error}"
    said = re.sub(r", url=.*", "", error.strerror or str(error) or type(error).__name__)
    return re.sub(r"^[A-Z](?=[a-z]*\b)", lambda first: first[0].lower(), said)
