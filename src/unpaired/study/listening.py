"""What `study serve` says before the first request."""

from __future__ import annotations

from unpaired.study.store import Store
from unpaired.telling import note
from unpaired.web.listening import OWN, address_of


def announce(store: Store, host: str, port: int) -> None:
    """Say where the study is; the address of the admin page once in its life."""
    print(f"study at {address_of(host, port)}", flush=True)
    print("Prolific: add ?PROLIFIC_PID={{%PROLIFIC_PID%}}; MTurk: an ExternalQuestion of it")
    if store.value("announced") is None:
        print(f"progress at {address_of(host, port)}admin/{store.value('admin')}", flush=True)
        print("(this address is printed this once; keep it)", flush=True)
        store.set_value("announced", "yes")
    else:
        print("progress: at the address that was printed at the first start", flush=True)
    if host in OWN:
        note("only this machine can see it; --host 0.0.0.0 opens it to others")
