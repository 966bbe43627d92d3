"""The table of a consumer group's offsets, for `./showroom gate offsets` and `./showroom stream offsets`."""

import typer

from local.project import load_settings


def print_offsets(group: str, topic: str) -> None:
    """Print committed offset, end and difference of each partition."""
    from include.supervise.consumer_lag import group_offsets

    offsets = group_offsets(load_settings().kafka, group, topic)
    typer.echo(f"consumer group {group}, topic {topic}")
    for one in offsets:
        committed = "none" if one.committed is None else f"{one.committed:,}"
        unread = one.end - (one.committed or 0)
        typer.echo(f"partition {one.partition}: committed {committed}, end {one.end:,}, not read {unread:,}")
