"""The documentation site: a strict build, links out of docs/, and no requests to other hosts."""

import shutil
from pathlib import Path

import pytest

from local.project import ROOT
from tools.site import build
from tools.site.build import build_site, foreign_resources
from tools.site.hooks import PROJECT_PAGES, rewrite_links

COPIED = ("config", "docs", "examples", "tools/site", "benchmarks/results", "drills/results", "include/dashboards")


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the project's pages, to build without the script that draws diagrams."""
    for folder in COPIED:
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    for name in (*PROJECT_PAGES, "LICENSE", "docker-compose.yaml", "mkdocs.yml"):
        shutil.copy(ROOT / name, tmp_path)
    monkeypatch.setattr(build, "ensure_mermaid", lambda: None)
    return tmp_path


def test_build_of_project_is_complete(copy: Path) -> None:
    assert build_site(copy, copy / "site") == ""
    assert {"index.html", "settings.html", "alerts.html", "contributing.html"} <= {
        path.name for path in (copy / "site").glob("*.html")
    }


@pytest.mark.parametrize(
    ("page", "text", "problem"),
    [
        ("docs/runbooks/gate.md", "[x](serving.md#no-such-place)", "does not contain an anchor '#no-such-place'"),
        ("docs/runbooks/gate.md", "[x](#no-such-place)", "there is no such anchor on this page"),
        ("docs/runbooks/gate.md", "![x](../pictures/none.png)", "'../pictures/none.png', but the target"),
        ("README.md", "[x](docs/nowhere.md)", "'index.md' contains a link 'nowhere.md'"),
        ("README.md", "[x](nowhere.txt)", "'index.md' contains a link 'nowhere.txt'"),
        ("CONTRIBUTING.md", "[x](README.md#nowhere)", "does not contain an anchor '#nowhere'"),
        ("docs/glossary.md", '--8<-- "examples/none.py"', "examples/none.py"),
    ],
)
def test_build_with_dead_link_names_it(copy: Path, page: str, text: str, problem: str) -> None:
    path = copy / page
    path.write_text(f"{path.read_text()}\n{text}\n")
    assert problem in build_site(copy, copy / "site")


@pytest.mark.parametrize(
    ("uri", "link", "expected"),
    [
        ("index.md", "[a](docs/dags.md#x)", "[a](dags.md#x)"),
        ("index.md", "[a](docs/runbooks/gate.md)", "[a](runbooks/gate.md)"),
        ("index.md", "[a](docs/decisions/)", "[a](decisions/README.md)"),
        ("index.md", "[a](CONTRIBUTING.md)", "[a](contributing.md)"),
        ("index.md", "[a](LICENSE)", "a"),
        ("index.md", "[a](none.md)", "[a](none.md)"),
        ("index.md", "[![a](docs/pictures/stream.png)](docs/pictures/stream.png)",
         "[![a](pictures/stream.png)](pictures/stream.png)"),
        ("index.md", "[a](https://example.com) [b](#here)", "[a](https://example.com) [b](#here)"),
        ("index.md", "`[a](docs/dags.md)`", "`[a](docs/dags.md)`"),
        ("index.md", "```\n[a](docs/dags.md)\n```", "```\n[a](docs/dags.md)\n```"),
        ("runbooks/gate.md", "[a](../../README.md#limitations)", "[a](../index.md#limitations)"),
        ("runbooks/gate.md", "[a](../../drills/results)", "a"),
        ("runbooks/gate.md", "[a](../../../etc/passwd)", "[a](../../../etc/passwd)"),
    ],
)  # fmt: skip
def test_rewrite_links_leads_to_pages_of_the_site(uri: str, link: str, expected: str) -> None:
    assert rewrite_links(link, uri, ROOT) == expected


def test_foreign_resources_names_scripts_styles_and_fonts_of_other_hosts(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<script src="https://a.example/x.js"></script><link rel="stylesheet" href="//b.example/x.css">'
        '<a href="https://c.example">link</a><script src="own.js"></script>'
    )
    (tmp_path / "a.css").write_text("@font-face {src: url(https://d.example/x.woff2)} a {background: url(own.png)}")
    assert [address for _, address in foreign_resources(tmp_path)] == [
        "https://d.example/x.woff2",
        "https://a.example/x.js",
        "//b.example/x.css",
    ]
