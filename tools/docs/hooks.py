"""What MkDocs calls while it builds the site; mkdocs.yml names this file.

The site has the files of docs/, and pages that are made here from what they are about: the
OpenAPI document, the errors, the settings, the commands, the changelog. Links out of docs/, to a
file of the project, lead to a page that shows the file.
"""

from functools import cache
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from tenantry.app import describe
from tenantry.settings import Settings
from tools.docs import commands, decisions, errors, links, operations, settings
from tools.docs.links import DOCS, ROOT


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made, then those of the files that pages link to."""
    spec = _spec()
    made = {
        **operations.pages(spec),
        "errors.md": errors.page(spec),
        "settings.md": settings.page(),
        "commands.md": commands.page(),
        "decisions/index.md": decisions.page(),
        "changelog.md": _of_root("CHANGELOG.md", "changelog.md"),
        "contributing.md": _of_root("CONTRIBUTING.md", "contributing.md"),
    }
    written = {
        file.relative_to(DOCS).as_posix(): file.read_text() for file in sorted(DOCS.rglob("*.md"))
    }
    texts = {**made, **written}
    texts["README.md"] = (ROOT / "README.md").read_text()  # its sections are in quickstart.md
    sources = links.sources(texts)
    for path, text in {**made, **sources}.items():
        files.append(File.generated(config, path, content=text))
    config.nav = _expanded(config.nav or [], [path for path in texts if path != "README.md"])
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Fill in what stands elsewhere, draw the diagrams, lead links to pages of this site."""
    path = page.file.src_uri
    if path.startswith(links.SOURCES):
        return markdown
    for name, table in operations.stream_tables(_spec()).items():
        markdown = markdown.replace(f"<!-- OpenAPI: {name} -->", table)
    return links.drawn(links.localised(links.included(markdown, path), path))


@cache
def _spec() -> dict[str, Any]:
    return describe(Settings())


def _of_root(name: str, path: str) -> str:
    return links.localised((ROOT / name).read_text(), path, ROOT)


def _expanded(nav: list[Any], paths: list[str]) -> list[Any]:
    """The navigation, in which `Title: folder/` stands for every page of the folder."""
    expanded = []
    for entry in nav:
        ((title, value),) = entry.items()
        if isinstance(value, list):
            value = _expanded(value, paths)
        elif value.endswith("/"):
            value = [path for path in paths if path.startswith(value)]
        expanded.append({title: value})
    return expanded
