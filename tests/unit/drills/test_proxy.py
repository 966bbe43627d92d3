"""The proxy finds the requests that end a transaction, in both encodings, and no others."""

import pytest
from kafka.protocol.producer import EndTxnRequest

from drills.proxy import EndTxn, end_txn_of


@pytest.mark.parametrize("version", [1, 3])
@pytest.mark.parametrize("committed", [True, False])
def test_end_txn_of_request_reads_producer_and_outcome(version: int, committed: bool) -> None:
    request = EndTxnRequest(
        version=version, transactional_id="gate-0", producer_id=4_711, producer_epoch=3, committed=committed
    )
    request.with_header(correlation_id=9, client_id="gate-0")
    frame = request.encode(header=True, framed=True)
    assert end_txn_of(frame) == EndTxn(4_711, 3, committed)
