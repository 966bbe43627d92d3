"""The number of records of a job, by Flink's counters."""

from urllib.parse import quote

import msgspec

from include.clients.flink import FlinkRest, JobDetails

RECORDS_OUT = "numRecordsOut"


class _Id(msgspec.Struct):
    id: str


class _Sum(msgspec.Struct):
    sum: float = 0.0


def records_out(flink: FlinkRest, job: JobDetails) -> int:
    """Count the records that left the job's operators, chained ones too, since its tasks started.

    Takes two requests for each vertex. Raises the errors of FlinkRest.
    """
    return sum(_records_out(flink, f"/jobs/{job.jid}/vertices/{vertex.id}/subtasks/metrics") for vertex in job.vertices)


def _records_out(flink: FlinkRest, address: str) -> int:
    names = [metric.id for metric in flink.get(address, list[_Id]) if metric.id.endswith(RECORDS_OUT)]
    if not names:
        return 0
    sums = flink.get(f"{address}?get={quote(','.join(names))}&agg=sum", list[_Sum])
    return int(sum(metric.sum for metric in sums))
