"""`unpaired doctor`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from unpaired.cli.outputs import check_writable
from unpaired.errors import UserError
from unpaired.options import parse
from unpaired.whole import write_whole


@dataclass(frozen=True)
class DoctorOptions:
    """Say what this machine has and what `unpaired` would choose on it."""

    json: str | None = None
    """Write the findings to this file."""

    def __post_init__(self) -> None:
        check_writable(self.json)


def run(arguments: list[str]) -> int:
    """`unpaired doctor`."""
    options = parse(DoctorOptions, arguments, "unpaired doctor")
    try:
        from unpaired.doctor import examine
    except ImportError as error:
        raise UserError(
            f"a part that everything needs can't be loaded ({error}); install it again with: "
            "pip install --force-reinstall unpaired"
        ) from None

    findings = examine()
    for topic, facts in findings.items():
        print(topic)
        for name, value in facts.items():
            print(f"  {name:<24} {value}")
    if options.json:
        write_whole(Path(options.json), json.dumps(findings, indent=1))
    return 0
