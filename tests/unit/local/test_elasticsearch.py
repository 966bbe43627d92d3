"""Folders of the local Elasticsearch."""

from pathlib import Path

from include.contracts.settings import LocalSettings, Settings
from local.layout import Layout
from local.servers import elasticsearch


def test_prepare_indices_of_an_earlier_version_are_taken_over_and_closed(tmp_path: Path) -> None:
    layout = Layout.of(Settings(local=LocalSettings(state_dir=tmp_path / "s")).local)
    layout.create()
    earlier = layout.data / "elasticsearch" / "indices"
    earlier.mkdir(parents=True)
    (earlier / "segment").write_text("documents")

    for _ in range(2):
        elasticsearch.program(Settings().local, layout).prepare()

    assert (layout.elasticsearch / "data" / "indices" / "segment").read_text() == "documents"
    assert not earlier.exists()
    folders = (layout.elasticsearch, *layout.elasticsearch.iterdir())
    assert {folder.stat().st_mode & 0o777 for folder in folders} == {0o700}
