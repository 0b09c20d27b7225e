"""The errors a user can cause: shown as one line, exit code 2, no traceback."""


class UserError(Exception):
    """Something the user can mend. The message says what is wrong, where, and what to do."""


class SaidElsewhere(UserError):  # noqa: N818 - one of two names for a mistake
    """A mistake that another process of the same run tells the user about."""


def reason_of(error: OSError) -> str:
    """In a few words; fsspec's web servers say nothing but the address of what isn't there."""
    if isinstance(error, FileNotFoundError) and not error.strerror:
        return "no such file, or its server is away"
    return (error.strerror or str(error)).lower()
