"""A TCP proxy in front of Kafka that can hold a commit, reset its connection and deliver the request late.

Kafka advertises the proxy's port on a listener of its own, so every connection of the gate passes here. A request
starts with its length (4 bytes), then API key, version, correlation id and client id; EndTxn has key 26, and its
body is transactional id, producer id, epoch and the flag `committed`. https://kafka.apache.org/protocol.html#protocol_messages
"""

import asyncio
import struct
import threading
from collections.abc import Callable
from typing import NamedTuple

END_TXN = 26
FIRST_FLEXIBLE = 3
"""From this version on there are tagged fields, and a string begins with its length plus one as a varint."""
LENGTH = struct.Struct(">i")
HEAD = struct.Struct(">hhih")
PRODUCER = struct.Struct(">qh?")
LATE_S = 2.0


class EndTxn(NamedTuple):
    """One request to end a transaction."""

    producer_id: int
    epoch: int
    is_commit: bool


class HoldingProxy:
    """Forwards connections; a thread of its own runs the event loop.

    `hold`: number of commits to hold from now on. A held commit never reaches the broker on its own connection:
    the connection is reset towards the gate, and `late_s` later the request is delivered on the kept upstream one.
    """

    def __init__(self, port: int, upstream_port: int, late_s: Callable[[], float] = lambda: LATE_S) -> None:
        self._port, self._upstream_port, self._late_s = port, upstream_port, late_s
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._late: set[asyncio.Task[None]] = set()
        self.hold = 0
        self.held_commits: list[EndTxn] = []
        self.resent = 0
        """Commits or aborts that a producer sent again after one of its commits was held."""
        self.delivered = 0
        self.answers: list[int] = []

    def __enter__(self) -> "HoldingProxy":
        self._thread.start()
        serve = asyncio.start_server(self._serve, "127.0.0.1", self._port)
        asyncio.run_coroutine_threadsafe(serve, self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream = await asyncio.open_connection("127.0.0.1", self._upstream_port)
        except OSError:
            writer.transport.abort()
            return
        back = asyncio.create_task(_copy(upstream[0], writer))
        stored = False
        try:
            while not stored:
                frame = await _frame(reader)
                request = end_txn_of(frame)
                if request is not None and any(request[:2] == held_one[:2] for held_one in self.held_commits):
                    self.resent += 1
                if request is not None and request.is_commit and self.hold > 0:
                    self.hold -= 1
                    self.held_commits.append(request)
                    stored = True
                    back.cancel()
                    writer.transport.abort()
                    self._keep(asyncio.create_task(self._deliver(frame, *upstream)))
                else:
                    upstream[1].write(frame)
                    await upstream[1].drain()
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            if not stored:
                back.cancel()
                upstream[1].transport.abort()
                writer.transport.abort()

    def _keep(self, task: "asyncio.Task[None]") -> None:
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def _deliver(self, frame: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Late, as a router that kept the bytes would; the broker's error code is kept."""
        await asyncio.sleep(self._late_s())
        try:
            writer.write(frame)
            await writer.drain()
            response = await asyncio.wait_for(_frame(reader), 10)
            self.answers.append(_error_code(frame, response))
        except (asyncio.IncompleteReadError, OSError, TimeoutError):
            self.answers.append(-1)
        finally:
            self.delivered += 1
            writer.transport.abort()


def end_txn_of(frame: bytes) -> EndTxn | None:
    """The request of a frame where it ends a transaction, else None."""
    key, version, _, client = HEAD.unpack_from(frame, LENGTH.size)
    if key != END_TXN:
        return None
    at = LENGTH.size + HEAD.size + max(client, 0)
    if version >= FIRST_FLEXIBLE:  # no tags, and a short name
        return EndTxn(*PRODUCER.unpack_from(frame, at + 2 + frame[at + 1] - 1))
    (name,) = struct.unpack_from(">h", frame, at)
    return EndTxn(*PRODUCER.unpack_from(frame, at + 2 + name))


def _error_code(request: bytes, response: bytes) -> int:
    """Behind length, correlation id (and tags from the flexible version on) and throttle time."""
    (version,) = struct.unpack_from(">h", request, LENGTH.size + 2)
    code: int = struct.unpack_from(">h", response, 4 + 4 + 4 + (version >= FIRST_FLEXIBLE))[0]
    return code


async def _frame(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(LENGTH.size)
    return head + await reader.readexactly(LENGTH.unpack(head)[0])


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    writer.transport.abort()
