"""mkdocs's hooks: pages of the project's folder in the site, and links that lead out of the site."""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from tools.site.build import MERMAID

DOCS = "docs"
PROJECT_PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}
"""Pages outside docs/ -> their path in the site."""

_LINK = re.compile(
    r"(?P<code>^```.*?^```[^\S\n]*$|`[^`\n]*`|<!--.*?-->)"
    r"|(?P<picture>!\[[^\]\n]*\]\((?P<source>[^)\s]+)\))"
    r"|\[(?P<text>(?:!\[[^\]\n]*\]\([^)\s]+\)|[^\[\]])+)\]\((?P<target>[^)\s]+)\)",
    re.MULTILINE | re.DOTALL,
)
_ABSOLUTE = re.compile(r"^[a-z][a-z0-9+.-]*:|^[/#]")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the project's own pages and the script that draws the diagrams."""
    for path, uri in PROJECT_PAGES.items():
        files.append(File.generated(config, uri, content=(_root(config) / path).read_text(encoding="utf-8")))
    if MERMAID.is_file():
        files.append(File.generated(config, "assets/mermaid.min.js", abs_src_path=str(MERMAID)))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite links between docs/ and the rest of the project to paths of the site."""
    return rewrite_links(markdown, page.file.src_uri, _root(config))


def rewrite_links(markdown: str, uri: str, root: Path) -> str:
    """Return a page with links that are valid in the site.

    A link to an existing file outside the site becomes its text. A dead link is not changed, because mkdocs reports it.

    Args:
        markdown: The page.
        uri: Its path in the site.
        root: The project's folder.
    """
    sources = {site: path for path, site in PROJECT_PAGES.items()}
    folder = posixpath.dirname(sources.get(uri, f"{DOCS}/{uri}"))

    def replace(match: re.Match[str]) -> str:
        if match["code"]:
            return match[0]
        if match["picture"]:
            return match[0].replace(match["source"], _in_site(match["source"], folder, uri, root) or match["source"])
        text = _LINK.sub(replace, match["text"])
        target = _in_site(match["target"], folder, uri, root)
        return text if target is None else f"[{text}]({target})"

    return _LINK.sub(replace, markdown)


def _root(config: MkDocsConfig) -> Path:
    return Path(config.config_file_path).parent


def _in_site(link: str, folder: str, uri: str, root: Path) -> str | None:
    """Return a link's target relative to the page in the site; None for an existing file outside the site."""
    path, mark, anchor = link.partition("#")
    if _ABSOLUTE.match(link) or not path:
        return link
    target = posixpath.normpath(posixpath.join(folder, path))
    if target in PROJECT_PAGES:
        site = PROJECT_PAGES[target]
    elif target.startswith(f"{DOCS}/"):
        site = target.removeprefix(f"{DOCS}/")
        site = f"{site}/README.md" if (root / target / "README.md").is_file() else site
    elif not target.startswith("..") and (root / target).exists():
        return None
    else:
        return link
    return posixpath.relpath(site, posixpath.dirname(uri) or ".") + mark + anchor
