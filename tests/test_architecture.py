"""The floors of the house: imports run one way, and help is light."""

import ast
import importlib
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import unpaired

SOURCE = Path(unpaired.__file__).parent
ROOT = Path(__file__).parents[1]
FLOORS = [
    "errors",
    "telling",
    "launch",
    "cache",
    "whole",
    "locks",
    "shortage",
    "options",
    "plain_yaml",
    "meter",
    "fetching",
    "data",
    "networks",
    "losses",
    "methods",
    "training",
    "translation",
    "evaluation",
    "web",
    "board",
    "study",
    "serving",
    "demonstration",
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


def imports_at_work(path: Path) -> set[str]:
    """Every module of ours that a file imports, late or at once, but for types alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    return {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
    }


def test_no_module_imports_itself_by_way_of_others():
    """Nor late, within a function; the face of the package is everybody's, and left out."""
    names = {
        ".".join(("unpaired", *p.relative_to(SOURCE).with_suffix("").parts)): p for p in MODULES
    }
    modules = {name.removesuffix(".__init__"): path for name, path in names.items()}
    del modules["unpaired"]
    graph = {
        module: {name for name in imports_at_work(path) if name in modules and name != module}
        for module, path in modules.items()
    }
    assert graph["unpaired.translation.translator"], "the test looks in the wrong place"
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


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
        ("-m", "unpaired", "import", "--list"),
        ("-m", "unpaired", "serve", "--help"),
        ("-m", "unpaired", "stylize", "--help"),
        ("-m", "unpaired", "demo", "--help"),
        ("-m", "unpaired", "evaluate", "--help"),
        ("-m", "unpaired", "doctor", "--help"),
        ("-m", "unpaired", "bench", "--help"),
        ("-m", "unpaired", "board", "--help"),
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


BESIDE = [p for name in ("benchmarks", "tools") for p in sorted((ROOT / name).rglob("*.py"))]


@pytest.mark.parametrize("path", BESIDE, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_what_benchmarks_and_tools_import_is_there(path):
    """They run seldom; a name that has moved would be missed when somebody needs them."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("unpaired"):
            module = importlib.import_module(node.module)
            for alias in node.names:
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")


TREES = {
    path.relative_to(SOURCE).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted(SOURCE.rglob("*.py"))
}


CALLS = [
    (f"{path}:{node.lineno}: {ast.unparse(node.func)}", node)
    for path, tree in TREES.items()
    for node in ast.walk(tree)
    if isinstance(node, ast.Call)
]
"""Every call in our source: (where and what, the call)."""


def calls(*names: str) -> list[tuple[str, ast.Call]]:
    """Those whose dotted name ends as one of `names`."""
    ends = tuple(f" {name}" for name in names) + tuple(f".{name}" for name in names)
    return [(where, node) for where, node in CALLS if where.endswith(ends)]


def option(call: ast.Call, name: str) -> object:
    """The literal that a call passes by this name; None if it passes none."""
    given = [keyword.value for keyword in call.keywords if keyword.arg == name]
    return ast.literal_eval(given[0]) if given else None


def test_nothing_that_is_read_can_run_code():
    loads = calls("torch.load")
    assert loads, "the test looks in the wrong place"
    assert [where for where, call in loads if option(call, "weights_only") is not True] == []
    arrays = calls("np.load", "numpy.load")
    assert [where for where, call in arrays if option(call, "allow_pickle") is not False] == []
    plain = [c for c in calls("yaml.load") if not c[0].startswith("plain_yaml.py")]
    banned = calls(
        *("pickle.load", "pickle.loads", "pickle.Unpickler", "marshal.loads", "shelve.open"),
        *("joblib.load", "dill.load", "dill.loads", "torch.hub.load", "torch.jit.load"),
        *("torch.export.load", "yaml.full_load", "yaml.unsafe_load", "yaml.load_all"),
        *("os.system", "os.popen", "extractall", "unpack_archive", "load_module"),
    )
    bare = [c for c in calls("eval", "exec", "compile") if isinstance(c[1].func, ast.Name)]
    own = "translation/exporting/export.py"  # reads back what it has just written
    assert [where for where, _ in plain + banned + bare if not where.startswith(own)] == []
    shells = calls("subprocess.run", "subprocess.Popen", "check_output", "check_call")
    assert [where for where, call in shells if option(call, "shell")] == []
    remote = calls("from_pretrained")
    assert [w for w, call in remote if option(call, "trust_remote_code") is not False] == []


def handlers() -> list[tuple[str, ast.ExceptHandler]]:
    return [
        (f"{path}:{node.lineno}", node)
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler)
    ]


def test_no_error_is_passed_over():
    """No `except: pass`, in any form; `suppress` names what it suppresses, and nothing broad."""
    found = handlers()
    assert len(found) > 50, "the test looks in the wrong place"
    assert [where for where, handler in found if handler.type is None] == []
    silent = [
        where
        for where, handler in found
        if all(
            isinstance(step, ast.Pass)
            or (isinstance(step, ast.Expr) and isinstance(step.value, ast.Constant))
            for step in handler.body
        )
    ]
    assert silent == []
    broad = {"Exception", "BaseException"}
    assert [
        where
        for where, call in calls("suppress")
        if not call.args or broad & {ast.unparse(kind) for kind in call.args}
    ] == []
    swallowed = [
        where
        for where, handler in found
        if handler.type is not None
        and broad & set(ast.unparse(handler.type).replace("(", "").replace(")", "").split(", "))
        and not any(isinstance(node, (ast.Raise, ast.Return)) for node in ast.walk(handler))
    ]
    assert set(swallowed) == set()


ENDLESS = {
    "data/batches.py": "makes batches until its consumer stops it; no attempt is repeated",
    "translation/tiling/tiler.py": "one turn for every rung, each with a line",
    "fetching/__init__.py": "TRIES in a row that don't bring it on by STEP, each told in the log",
    "serving/batching.py": "one turn for each request whose time has passed, which is answered so",
    "study/simulation.py": "asks again for PATIENCE seconds, then gives up; counted in the summary",
}
"""Loops without a condition, and what bounds them."""


def test_nothing_is_tried_again_without_a_bound():
    """A `while True` that catches errors is a retry: each is known here, with its bound."""
    found = {
        path
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.While)
        and isinstance(node.test, ast.Constant)
        and any(isinstance(inner, ast.Try) for inner in ast.walk(node))
    }
    assert found <= set(ENDLESS), found - set(ENDLESS)
