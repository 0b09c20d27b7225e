"""A study's server as a process of its own, for tests from outside."""

from pathlib import Path

from tests.started import Started


class Server(Started):
    """`unpaired study serve` at one port."""

    def __init__(self, study: Path) -> None:
        super().__init__("study", "serve", study, health="/health")
        self.study = study
