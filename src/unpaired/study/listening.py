"""What `study serve` does before the first request."""

from __future__ import annotations

import socket
import sys

from unpaired.errors import UserError
from unpaired.study.store import Store


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


def announce(store: Store, host: str, port: int) -> None:
    """Say where the study is; the address of the admin page once in its life."""
    print(f"study at http://{host}:{port}/", flush=True)
    print("Prolific: add ?PROLIFIC_PID={{%PROLIFIC_PID%}}; MTurk: an ExternalQuestion of it")
    if store.value("announced") is None:
        print(f"progress at http://{host}:{port}/admin/{store.value('admin')}", flush=True)
        print("(this address is printed this once; keep it)", flush=True)
        store.set_value("announced", "yes")
    else:
        print("progress: at the address that was printed at the first start", flush=True)
    if host in ("127.0.0.1", "localhost", "::1"):
        print("only this machine can see it; --host 0.0.0.0 opens it to others", file=sys.stderr)
