"""What went wrong with a file, in a few words."""

import pytest

from unpaired.errors import reason_of


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device", "a.png"), "no space left on device"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "no space left on dev"),
        (OSError(5, "Input/output error"), "input/output error"),
        (OSError(5, "ServerError: 503, message='Away', url='http://a'"), "ServerError: 503, mess"),
        (FileNotFoundError("http://a/x.tar"), "no such file, or its server is away"),
        (OSError("broke off"), "broke off"),
        (ConnectionResetError(), "ConnectionResetError"),
        (ValueError("cut short"), "ValueError: cut short"),
    ],
)
def test_a_reason_is_short_and_names_no_address(error, said):
    reason = reason_of(error)
    assert reason.startswith(said)
    assert "http" not in reason
