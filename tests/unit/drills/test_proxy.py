"""Parser of EndTxn requests in both encodings."""

import pytest
from kafka.protocol.producer import EndTxnRequest

from drills.proxy import EndTxn, parse_end_txn


@pytest.mark.parametrize("version", [1, 3])
@pytest.mark.parametrize("committed", [True, False])
def test_parse_end_txn_of_a_request_returns_producer_and_outcome(version: int, committed: bool) -> None:
    request = EndTxnRequest(
        version=version, transactional_id="gate-0", producer_id=4_711, producer_epoch=3, committed=committed
    )
    request.with_header(correlation_id=9, client_id="gate-0")
    frame = request.encode(header=True, framed=True)
    assert parse_end_txn(frame) == EndTxn(4_711, 3, committed)
