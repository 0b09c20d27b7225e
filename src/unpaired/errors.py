"""The errors a user can cause: shown as one line, exit code 2, no traceback."""


class UserError(Exception):
    """Something the user can mend. The message says what is wrong, where, and what to do."""


class SaidElsewhere(UserError):  # noqa: N818 - one of two names for a mistake
    """A mistake that another process of the same run tells the user about."""
