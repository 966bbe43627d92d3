"""Step similar: search each user's nearest neighbours in the window, and measure the recall of the search."""

import time

from include.batch.features.source import stream
from include.batch.inputs import Inputs, Outputs
from include.batch.lsh import neighbours
from include.batch.lsh.search import digest, example, search
from include.batch.lsh.tokens import PROJECTION, gather
from include.batch.parameters import Parameters
from include.contracts.errors import TerminalError


def run(inputs: Inputs, parameters: Parameters) -> Outputs:
    """Read the sessions, search neighbours, measure recall and write neighbours.parquet.

    Raises:
        TerminalError: there is no visit in the window.
        TransientError: MongoDB is unavailable.
    """
    began = time.monotonic()
    chunks = stream(inputs.settings.mongodb, inputs.window, PROJECTION, parameters.features.chunk)
    users = gather(chunks, parameters.similar.tokens)
    if not users.ids:
        raise TerminalError(
            f"no visit began in {inputs.window}", "give another window, or load the archive: archive_sessions"
        )
    read_s = time.monotonic() - began
    inputs.log(f"{users.sessions:,} visits of {len(users.ids):,} users, {len(users.tokens):,} different tokens")
    result, metrics = search(users, parameters)
    inputs.log(f"recall of the nearest {metrics['recall']:.4f}, {metrics['with_neighbours']:,} users have neighbours")
    neighbours.write(result, inputs.out)
    seconds = {"read": round(read_s, 2), "all": round(time.monotonic() - began, 2)}
    return {
        "window": str(inputs.window),
        "sessions": users.sessions,
        **metrics,
        "example": example(result),
        "digest": digest(result),
        "seconds": seconds,
    }
