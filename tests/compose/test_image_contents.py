"""Contents of the project's images, compared with the imports of their entry points."""

import re
from typing import NamedTuple

import grimp
import pytest

from tests.compose.compose_file import DOCKER
from tools.generated_docs import PROJECT


class Image(NamedTuple):
    """A Dockerfile and the modules that its containers start."""

    dockerfile: str
    entry_points: tuple[str, ...]


IMAGES = (
    Image("gate", ("include.gate.__main__", "include.ingest.__main__", "include.provision.__main__",
                   "include.provision.kibana")),
    Image("airflow", ("dags.", "showroom.", "include.batch.__main__")),
    Image("flink", ("flink.job",)),
    Image("mlflow", ("include.contracts.health",)),
)  # fmt: skip


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("dags", "flink", "include", "showroom")


def rooms_of(modules: set[str]) -> set[str]:
    """Return the folders of these modules; for `include`, the folder of the stage."""
    parts = [module.split(".") for module in modules]
    return {"/".join(part[:2]) if part[0] == "include" and len(part) > 1 else part[0] for part in parts} - {"include"}


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.dockerfile)
def test_image_copies_exactly_the_rooms_that_its_entry_points_import(graph: grimp.ImportGraph, image: Image) -> None:
    starts = {module for module in graph.modules if module in image.entry_points or f"{module}.".startswith(
        tuple(name for name in image.entry_points if name.endswith(".")))}  # fmt: skip
    imported = rooms_of(starts.union(*(graph.find_upstream_modules(module) for module in starts)))
    text = (DOCKER / f"{image.dockerfile}.Dockerfile").read_text()
    sources = re.findall(r"^COPY (\S+) /opt/showroom/", text, re.MULTILINE)
    copied = {source.replace("plugins", "showroom") for source in sources if (PROJECT / source).is_dir()}
    assert starts
    assert {source for source in copied if not source.startswith("docker")} == imported
