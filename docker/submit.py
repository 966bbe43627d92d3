"""Once, after Flink is up: submits the stream job, from its newest checkpoint where there is one."""

import logging
import os
import sys
from pathlib import Path

from include.contracts.errors import ShowroomError
from include.contracts.settings import Settings
from include.contracts.stream import JOB_FILE
from include.supervise import stream_job
from include.supervise.flink_rest import FlinkRest

PROJECT = Path("/opt/showroom")
PROGRAM = stream_job.JobProgram(
    jar=PROJECT / "jars" / "flink-python-2.3.0.jar", root=str(PROJECT), script=str(PROJECT / JOB_FILE)
)
STATE = Path("/var/lib/showroom/flink")

_log = logging.getLogger("showroom.submit")


def main() -> int:
    """Leave a running job alone; else submit it and wait until it has completed a checkpoint."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s", level=logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        with FlinkRest(Settings.from_env(os.environ)) as flink:
            running = stream_job.running_job(flink)
            if running is not None:
                _log.info("job %s is there already, %s", running.jid, running.state)
                return 0
            point = stream_job.newest_restore_point(STATE)
            job_id = stream_job.submit(flink, PROGRAM, point)
            _log.info("job %s submitted from %s", job_id, point.path if point else "nothing")
            stream_job.wait_running(flink, job_id)
            _log.info("job %s runs and has completed a checkpoint", job_id)
    except ShowroomError as error:
        sys.stderr.write(f"submit: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
