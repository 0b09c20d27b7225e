"""The socket that a server listens at."""

from __future__ import annotations

import socket

from unpaired.errors import UserError

OWN = ("127.0.0.1", "localhost", "::1")
"""Addresses that only this machine can see."""


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket that listens, so that a taken port is said before anything else.

    Raises: UserError.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        found = socket.socket(family, socket.SOCK_STREAM)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen(2048)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(
            f"cannot listen at {host}:{port}: {reason.lower()}; give another --host or --port"
        ) from None
    return found


def address_of(host: str, port: int) -> str:
    """As a browser takes it; IPv6 addresses stand in brackets."""
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
