"""Step neighbours: publish neighbours.parquet to MongoDB and Elasticsearch in place of the previous run."""

from contextlib import closing

from include.batch.inputs import Inputs, Outputs
from include.batch.lsh.publish import publish, read
from include.batch.lsh.stores import ElasticStore, MongoStore
from include.batch.parameters import Parameters


def run(inputs: Inputs, parameters: Parameters) -> Outputs:
    """Publish the neighbours of this run.

    Raises:
        TerminalError: neighbours.parquet is missing or empty.
        TransientError: MongoDB or Elasticsearch is unavailable.
    """
    with (
        closing(MongoStore(inputs.settings.mongodb)) as mongo,
        closing(ElasticStore(inputs.settings.elasticsearch)) as elastic,
    ):
        users = publish(read(inputs.out), (mongo, elastic), run=str(inputs.window))
    inputs.log(f"neighbours of {users:,} users published")
    return {"window": str(inputs.window), "users": users, "stores": ["mongodb", "elasticsearch"]}
