"""The documentation site: `make docs` builds it into docs/_build, and any warning fails."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]

project = "unpaired"
author = "The unpaired developers"
copyright = f"2026, {author}"
release = re.search(r'__version__ = "(.+)"', (ROOT / "src/unpaired/__init__.py").read_text())[1]
version = release

extensions = [
    "myst_nb",  # and with it myst_parser
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb"}
nb_execution_mode = "off"  # outputs are stored; the tests run the notebook
exclude_patterns = ["_build", "README.md"]  # README.md lists the pages for those who read the files

myst_enable_extensions = ["deflist", "colon_fence", "dollarmath"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_google_docstring = True
napoleon_numpy_docstring = False

PAGES_ELSEWHERE = {  # what lies outside of docs/, and the page here that includes it
    "src/unpaired/data/worldtiles/README.md": "worldtiles.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "README.md": "index.md",
}


def lead_here(_app, docname, source):
    """Let links to files beside docs/ lead to their pages on the site, and not out of it."""
    up = "../" * docname.count("/")
    for file, page in PAGES_ELSEWHERE.items():
        source[0] = source[0].replace(f"]({up}../{file}", f"]({up}{page}")


COLON = "\ue000"
SECTION = re.compile(r"(Args|Returns|Raises|Yields): (?=\S)")


def plain_words(_app, what, _name, _obj, _options, lines):
    """Docstrings are plain text with `code`: |X| is a size there, and not a substitution.

    A section of one sentence, "Raises: UserError if ...", becomes a field.
    """
    if what == "attribute":  # a sentence with a colon, which napoleon would take for a type
        lines[:] = [line.replace(":", COLON) for line in lines]
    inside = False
    for i, line in enumerate(lines):
        if SECTION.match(line):
            inside, line = True, f":{line}".replace(": ", ":: ", 1).replace("::", ":", 1)
        elif not line or not inside:
            inside = False
        elif not line.startswith(" "):
            line = f"   {line}"
        lines[i] = re.sub(r"(?<!`)`([^`]+)`(?!`)", r"``\1``", line).replace("|", "\\|")


def colons(_app, _what, _name, _obj, _options, lines):
    lines[:] = [line.replace(COLON, ":") for line in lines]


def setup(app):
    app.connect("source-read", lead_here)
    app.connect("autodoc-process-docstring", plain_words, priority=100)
    app.connect("autodoc-process-docstring", colons, priority=900)  # napoleon is between them


smartquotes = False  # "--x" is an option, and no dash
html_theme = "furo"
highlight_language = "none"  # blocks without a language are commands
html_title = f"unpaired {release}"
html_static_path: list[str] = []
html_theme_options = {"navigation_with_keys": True}
copybutton_exclude = ".linenos, .gp, .go"
