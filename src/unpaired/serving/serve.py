"""From options to a server that ends as it should."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import uvicorn

from unpaired.errors import SaidElsewhere, UserError, reason_of
from unpaired.serving.app import make_app
from unpaired.serving.pool import Pool
from unpaired.serving.settings import Settings
from unpaired.serving.worker import MISTAKE
from unpaired.telling import note
from unpaired.web.listening import OWN, address_of, listening_socket

SHORTEST = 16
"""Characters of a token, so that nobody guesses it."""


def serve(settings: Settings) -> int:
    """Serve until told to stop; returns the exit code.

    Raises: UserError for a port that is taken, a run that can't be loaded, an unfit token.
    """
    token, sources = read_token(settings.token_file), named(settings.runs)
    socket = listening_socket(settings.host, settings.port)
    if settings.host not in OWN and token is None:
        print(
            f"warning: whoever reaches {settings.host} may use this; give a token by "
            "$UNPAIRED_TOKEN or --token-file",
            file=sys.stderr,
        )
    port = socket.getsockname()[1]
    pool = Pool(sources, settings)
    pool.on_ready = lambda: _announce(pool, settings.host, port, token)
    signal.signal(signal.SIGTERM, _terminated)
    pool.start()
    try:
        config = uvicorn.Config(
            make_app(settings, pool, token),
            log_level="warning",
            access_log=False,
            http="h11",  # httptools, where it is there, takes headers without end
            server_header=False,
            timeout_graceful_shutdown=2 * int(settings.timeout) + 5,  # to wait, and to be made
        )
        server = uvicorn.Server(config)

        def end() -> None:
            server.should_exit = True

        pool.on_fatal = end
        server.run(sockets=[socket])
    finally:
        pool.stop()
    if pool.fatal == MISTAKE:
        raise SaidElsewhere("a worker could not load the runs")
    return pool.fatal or 0


def read_token(file: str | None) -> str | None:
    """From the file, else from $UNPAIRED_TOKEN. Raises: UserError."""
    token = os.environ.get("UNPAIRED_TOKEN") or None
    if file is not None:
        try:
            token = Path(file).read_text(encoding="ascii").strip()
        except (OSError, ValueError) as error:
            why = reason_of(error) if isinstance(error, OSError) else "it is not plain text"
            raise UserError(f'--token-file "{file}" can\'t be read: {why}') from None
    if token is not None and (len(token) < SHORTEST or not token.isascii() or " " in token):
        raise UserError(
            f"the token is too short or has blanks; give {SHORTEST} letters and digits or more, as "
            "`openssl rand -hex 16` makes them"
        )
    return token


def named(runs: Sequence[str]) -> dict[str, str]:
    """Every run by a name of its own: NAME=RUN, else its folder's or file's.

    Raises: UserError for one that isn't there, or two of one name.
    """
    found: dict[str, str] = {}
    for text in runs:
        name, equals, source = text.partition("=")
        if not equals or Path(text).exists():
            path = Path(text).resolve()
            name, source = (path.name if path.is_dir() else path.stem), text
        if not name or not source:
            raise UserError(f'"{text}" names no run; give RUN or NAME=RUN')
        if name in found:
            raise UserError(f'two runs are called "{name}"; give one another name: NAME={source}')
        found[name] = source
    return found


def _announce(pool: Pool, host: str, port: int, token: str | None) -> None:
    for model in pool.models.values():
        print(f"{model.name}: {' and '.join(model.directions)}, by {model.computes}")
    print(f"serving at {address_of(host, port)}", flush=True)
    if token is not None:
        print("the page asks for the token; programs send it as Authorization: Bearer TOKEN")
    if host in OWN:
        note("only this machine can see it; --host 0.0.0.0 opens it to others")


def _terminated(number: int, frame: FrameType | None) -> None:
    """What uvicorn, once all is answered, leaves SIGTERM to."""
    del frame
    raise SystemExit(128 + number)
