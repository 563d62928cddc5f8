"""Links, diagrams and sections as a reader of the repository finds them, made fit for the site."""

import posixpath
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SOURCES = "source/"

# Pages of the site that stand elsewhere in the repository.
MOVED = {
    "README.md": "quickstart.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
}
LANGUAGES = {".py": "python", ".js": "js", ".ts": "ts", ".toml": "toml", ".sql": "sql"}

LINK = re.compile(r"\]\(([^)\s#:]+)(#[^)\s]*)?\)")
DIAGRAM = re.compile(r"^!\[([^\]]+)\]\((?:\.\./)*(diagrams/\w+\.svg)\)$", re.MULTILINE)
INCLUDED = re.compile(r"^<!-- README: (.+) -->$", re.MULTILINE)


def localised(text: str, page: str, folder: Path | None = None) -> str:
    """The text of a page, whose links are relative to `folder`, with links between pages."""
    folder = folder or (DOCS / page).parent

    def lead(match: re.Match[str]) -> str:
        found = _project_path(match[1], folder)
        if found is None:
            return match[0]  # a page that is made, or a mistake, which MkDocs finds
        target = posixpath.relpath(_page_of(found), posixpath.dirname(page) or ".")
        return f"]({target}{match[2] or ''})"

    return LINK.sub(lead, text)


def sources(texts: Mapping[str, str]) -> dict[str, str]:
    """The pages that show the project's files outside docs/ which these texts link to."""
    pages = {}
    for page, text in texts.items():
        folder = ROOT if page in MOVED else (DOCS / page).parent
        for target, _ in LINK.findall(text):
            found = _project_path(target, folder)
            if found and _page_of(found).startswith(SOURCES):
                pages[_page_of(found)] = _shown(ROOT / found)
    return pages


def included(text: str, page: str) -> str:
    """The text with sections of the README in the places that ask for them."""
    readme = (ROOT / "README.md").read_text()

    def section(match: re.Match[str]) -> str:
        _, _, rest = readme.partition(f"\n## {match[1]}\n")
        assert rest, f"the README has no section {match[1]}, which {page} asks for"
        return f"## {match[1]}\n" + localised(rest.partition("\n## ")[0], page, ROOT)

    return INCLUDED.sub(section, text)


def drawn(text: str) -> str:
    """The text with its diagrams in it, so that they follow the colours of the page."""

    def draw(match: re.Match[str]) -> str:
        return f'<figure markdown="0">{(DOCS / match[2]).read_text().strip()}</figure>'

    return DIAGRAM.sub(draw, text)


def _project_path(target: str, folder: Path) -> str | None:
    """The path in the project of what a link leads to, if there is such a thing."""
    found = (folder / target).resolve()
    if not found.is_relative_to(ROOT) or not found.exists():
        return None
    return found.relative_to(ROOT).as_posix()


def _page_of(path: str) -> str:
    if path in MOVED:
        return MOVED[path]
    if not path.startswith("docs/"):
        return f"{SOURCES}{path.lstrip('.')}.md"  # MkDocs leaves out what begins with a dot
    return f"{path[5:]}/index.md" if (ROOT / path).is_dir() else path[5:]


def _shown(path: Path) -> str:
    """A page with the file, or with all the files of a folder."""
    title = path.relative_to(ROOT).as_posix()
    if path.is_file():
        return f"# `{title}`\n\n{_fenced(path)}"
    parts = [
        f"## `{file.relative_to(path).as_posix()}`\n\n{_fenced(file)}" for file in _files(path)
    ]
    return "\n\n".join([f"# `{title}`", *parts])


def _files(folder: Path) -> Iterable[Path]:
    texts = {*LANGUAGES, ".txt", ".html", ".md"}
    return sorted(file for file in folder.rglob("*") if file.suffix in texts and file.is_file())


def _fenced(file: Path) -> str:
    return f"~~~~~~{LANGUAGES.get(file.suffix, 'text')}\n{file.read_text().rstrip()}\n~~~~~~"
