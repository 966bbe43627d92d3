"""A TCP proxy in front of Kafka that delays a commit: it resets the connection and delivers the request later.

Kafka advertises the proxy's port on a separate listener, so every connection of the gate passes through the proxy.
A request starts with its length (4 bytes), API key, version, correlation id and client id. EndTxn has API key 26; its
body is transactional id, producer id, epoch and the flag `committed`. https://kafka.apache.org/protocol.html#protocol_messages
"""

import asyncio
import struct
import threading
from collections.abc import Callable
from typing import NamedTuple

END_TXN_API_KEY = 26
FIRST_FLEXIBLE_VERSION = 3
"""First version with tagged fields, in which a string starts with its length + 1 as a varint."""
LENGTH = struct.Struct(">i")
HEADER = struct.Struct(">hhih")
PRODUCER_FIELDS = struct.Struct(">qh?")
DEFAULT_DELAY_S = 2.0


class EndTxn(NamedTuple):
    """A request to end a transaction."""

    producer_id: int
    epoch: int
    is_commit: bool


class DelayingProxy:
    """Proxy that forwards connections; its own thread runs the event loop.

    The proxy does not forward a delayed commit at once. It resets the gate's connection, and after `delay_s` it sends
    the request on the upstream connection, which stays open.

    Attributes:
        commits_to_delay: Number of commits to delay from now on.
        delayed_commits: Requests delayed so far.
        resent_count: EndTxn requests that a producer sent again after one of its commits was delayed.
        delivered_count: Delayed requests whose delivery has ended, also without a response.
        error_codes: Kafka's error code for each delivered request; -1 without a response.
    """

    def __init__(self, port: int, upstream_port: int, delay_s: Callable[[], float] = lambda: DEFAULT_DELAY_S) -> None:
        self._port, self._upstream_port, self._delay_s = port, upstream_port, delay_s
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._deliveries: set[asyncio.Task[None]] = set()
        self.commits_to_delay = 0
        self.delayed_commits: list[EndTxn] = []
        self.resent_count = 0
        self.delivered_count = 0
        self.error_codes: list[int] = []

    def __enter__(self) -> "DelayingProxy":
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
        response_task = asyncio.create_task(_copy(upstream[0], writer))
        is_delayed = False
        try:
            while not is_delayed:
                frame = await _read_frame(reader)
                request = parse_end_txn(frame)
                if request is not None and any(request[:2] == delayed[:2] for delayed in self.delayed_commits):
                    self.resent_count += 1
                if request is not None and request.is_commit and self.commits_to_delay > 0:
                    self.commits_to_delay -= 1
                    self.delayed_commits.append(request)
                    is_delayed = True
                    response_task.cancel()
                    writer.transport.abort()
                    self._add_delivery(asyncio.create_task(self._deliver(frame, *upstream)))
                else:
                    upstream[1].write(frame)
                    await upstream[1].drain()
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            if not is_delayed:
                response_task.cancel()
                upstream[1].transport.abort()
                writer.transport.abort()

    def _add_delivery(self, task: "asyncio.Task[None]") -> None:
        self._deliveries.add(task)
        task.add_done_callback(self._deliveries.discard)

    async def _deliver(self, frame: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Send a delayed request and record the broker's error code."""
        await asyncio.sleep(self._delay_s())
        try:
            writer.write(frame)
            await writer.drain()
            response = await asyncio.wait_for(_read_frame(reader), 10)
            self.error_codes.append(_error_code(frame, response))
        except (asyncio.IncompleteReadError, OSError, TimeoutError):
            self.error_codes.append(-1)
        finally:
            self.delivered_count += 1
            writer.transport.abort()


def parse_end_txn(frame: bytes) -> EndTxn | None:
    """Return the EndTxn request of a frame, or None for any other request."""
    key, version, _, client = HEADER.unpack_from(frame, LENGTH.size)
    if key != END_TXN_API_KEY:
        return None
    offset = LENGTH.size + HEADER.size + max(client, 0)
    if version >= FIRST_FLEXIBLE_VERSION:  # because these frames have no tags and a name below 127 bytes
        return EndTxn(*PRODUCER_FIELDS.unpack_from(frame, offset + 2 + frame[offset + 1] - 1))
    (name_length,) = struct.unpack_from(">h", frame, offset)
    return EndTxn(*PRODUCER_FIELDS.unpack_from(frame, offset + 2 + name_length))


def _error_code(request: bytes, response: bytes) -> int:
    """Return the error code, which follows length, correlation id, tags (flexible versions only) and throttle time."""
    (version,) = struct.unpack_from(">h", request, LENGTH.size + 2)
    code: int = struct.unpack_from(">h", response, 4 + 4 + 4 + (version >= FIRST_FLEXIBLE_VERSION))[0]
    return code


async def _read_frame(reader: asyncio.StreamReader) -> bytes:
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
