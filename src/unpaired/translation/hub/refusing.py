"""What huggingface_hub raises, as one line that says what to do."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

from unpaired.errors import UserError, reason_of
from unpaired.translation.hub.names import HubName

LOG_IN = "log in with `hf auth login`, or set $HF_TOKEN"
NETWORK = ("httpx", "httpx2", "requests", "urllib3")
"""Whose exceptions mean that the Hub was not reached; which one depends on its client's version."""


class UnreachedError(UserError):
    """The Hub gave no answer; what was fetched before may do."""


class NotThereError(UserError):
    """The Hub has no such repository, or does not show it to us."""


@contextlib.contextmanager
def in_one_line(name: HubName, writing: bool = False) -> Iterator[None]:
    """Turn what the block raises into one line; no message of the client is shown whole.

    Raises: UnreachedError, NotThereError or another UserError; what is no fault of the Hub, the
        network or the user, as it is.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if (told := _told(error, name, writing)) is None:
            raise
        raise told from None


def _told(error: BaseException, name: HubName, writing: bool) -> UserError | None:
    from huggingface_hub import errors

    if isinstance(error, errors.HFValidationError):
        return UserError(f'"{name}" is no name of a repository on the Hub; give user/name')
    if isinstance(error, errors.OfflineModeIsEnabled):
        return UnreachedError(
            f"{name} was not asked for: HF_HUB_OFFLINE is set; unset it, or fetch it while online"
        )
    if isinstance(error, errors.LocalTokenNotFoundError):
        return UserError(f"{name} needs a token, and there is none; {LOG_IN}")
    if isinstance(error, errors.GatedRepoError):
        return UserError(
            f"{name} is gated; accept its terms on its page while logged in, then {LOG_IN}"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return UserError(f'{name.repo} has no revision "{name.revision}"; check its name')
    if isinstance(error, errors.DisabledRepoError):
        return UserError(f"{name} was disabled by the Hub; take another")
    if isinstance(error, errors.LocalEntryNotFoundError):
        return UnreachedError(
            f"{name} can't be fetched, and is not in the cache whole; check the network, then "
            "try again"
        )
    if isinstance(error, errors.HfHubHTTPError):
        return _answered(error.response.status_code, error, name, writing)
    if type(error).__module__.split(".")[0] in NETWORK:
        return UnreachedError(
            f"the Hub can't be reached for {name} ({type(error).__name__}); check the network"
        )
    if isinstance(error, json.JSONDecodeError):
        return UnreachedError(
            f"what answers for {name} is not the Hub; check the network, $HF_ENDPOINT"
        )
    if isinstance(error, RuntimeError) and error.__cause__ is not None:  # it wraps its uploads'
        return _told(error.__cause__, name, writing)
    if type(error) is RuntimeError:  # Xet's
        return UnreachedError(f"the transfer of {name} broke off; try again")
    if writing and isinstance(error, ValueError):  # of what the Hub says of the card, or of a file
        said = " ".join(str(error).split())
        return UserError(f"the Hub refuses what was pushed to {name}: {said[:200]}")
    if isinstance(error, OSError) and error.errno is not None:
        where = f' "{error.filename}"' if error.filename else ""
        return UserError(
            f"{name}:{where} {reason_of(error)}; make room or mend the folder, or set $HF_HOME "
            "to another"
        )
    if isinstance(error, OSError):  # fewer bytes than were told, or none of the Hub's headers
        what = "the upload broke off" if writing else "it did not come whole"
        return UnreachedError(f"{name}: {what}; check the network, then try again")
    return None


def _answered(status: int, error: Exception, name: HubName, writing: bool) -> UserError:
    """What an answer of the Hub means."""
    from huggingface_hub.errors import RepositoryNotFoundError

    if status == 429:
        return UnreachedError(f"the Hub has had too many requests ({name}); try again later")
    if status >= 500:
        return UnreachedError(f"the Hub fails with {status} for {name}; try again later")
    if writing and status in (401, 403):
        user = name.repo.split("/")[0]
        return UserError(
            f"no right to write to {name} ({status}); {LOG_IN} with a token that may write to "
            f'"{user}"'
        )
    if status == 403:
        return UserError(f"no right to read {name} (403); {LOG_IN} with a token that may")
    if isinstance(error, RepositoryNotFoundError) or status == 404:
        return NotThereError(
            f"the Hub has no {name}, or it is private; check its name, or if it is private {LOG_IN}"
        )
    if status == 401:
        return UserError(f"the Hub doesn't know the token it was given (401); {LOG_IN} anew")
    return UserError(f"the Hub refuses {name} with {status}; see its page")
