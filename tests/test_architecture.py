"""The floors of the house: imports run one way, and help is light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import unpaired

SOURCE = Path(unpaired.__file__).parent
FLOORS = [
    "errors",
    "cache",
    "whole",
    "options",
    "data",
    "networks",
    "losses",
    "methods",
    "training",
    "translation",
    "evaluation",
    "study",
    "demo",
    "reproduction",
    "doctor",
    "bench",
    "cli",
]
"""A module imports from its own floor or from one named before it."""


def floor_of(module: str) -> int | None:
    """The floor of `unpaired.a.b`, None for the package's face."""
    parts = module.split(".")
    return FLOORS.index(parts[1]) if len(parts) > 1 and parts[1] in FLOORS else None


def imports(path: Path) -> set[str]:
    """Every `unpaired...` module that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("unpaired"):
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("unpaired")}
    return found


MODULES = [p for p in sorted(SOURCE.rglob("*.py")) if p.name != "__main__.py"]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(SOURCE).as_posix())
def test_imports_run_only_towards_earlier_floors(path):
    own = floor_of(
        "unpaired." + path.relative_to(SOURCE).with_suffix("").as_posix().replace("/", ".")
    )
    if own is None:
        return  # the face of the package may name anything, lazily
    for module in imports(path):
        other = floor_of(module)
        assert other is None or other <= own, f"{path.name} imports {module} from above"


def loaded_by(*arguments: str) -> set[str]:
    """Modules that `python ARGUMENTS` imports."""
    result = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments], capture_output=True, text=True, check=True
    )
    return {line.rsplit("|", 1)[1].strip() for line in result.stderr.splitlines() if "|" in line}


@pytest.mark.parametrize(
    "arguments",
    [
        ("-c", "import unpaired"),
        ("-m", "unpaired", "--help"),
        ("-m", "unpaired", "--version"),
        ("-m", "unpaired", "translate", "--help"),
        ("-m", "unpaired", "export", "--help"),
        ("-m", "unpaired", "stylize", "--help"),
        ("-m", "unpaired", "demo", "--help"),
        ("-m", "unpaired", "evaluate", "--help"),
        ("-m", "unpaired", "doctor", "--help"),
        ("-m", "unpaired", "bench", "--help"),
        ("-m", "unpaired", "data", "list"),
    ],
    ids=" ".join,
)
def test_light_commands_import_no_torch(arguments):
    loaded = loaded_by(*arguments)
    assert "unpaired" in loaded
    assert "torch" not in loaded


def test_every_public_name_is_there():
    for name in unpaired.__all__:
        assert getattr(unpaired, name) is not None
    with pytest.raises(AttributeError):
        unpaired.nonsense  # noqa: B018
