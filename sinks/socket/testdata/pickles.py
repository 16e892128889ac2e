"""Writes the pickles of this directory, as CPython's handlers would send them.

Run it in this directory: python3 pickles.py
"""
import collections
import datetime
import decimal
import logging
import logging.handlers
import pathlib
import pickle
import struct


class Own:
    def __init__(self):
        self.x = 1


class Slots:
    __slots__ = ("x",)

    def __init__(self):
        self.x = 1

    def __getstate__(self):
        return (1,)

    def __setstate__(self, state):
        pass


def record(**extra):
    r = logging.LogRecord("shop.db", logging.WARNING, "/srv/shop/db.py", 42, "slow: %s took %d ms", ("SELECT 1", 1500), None, "query")
    r.created, r.msecs, r.relativeCreated = 1767323045.123456, 123.0, 7.5
    r.thread, r.threadName, r.processName, r.process = 1, "worker-1", "MainProcess", 4711
    r.taskName = None
    r.__dict__.update(extra)
    return r


plain = dict(
    uid=7, big=2**70, negative=-(2**70), huge=2**64 - 1, ratio=0.25, nan=float("nan"), up=float("inf"), down=float("-inf"),
    ok=True, off=False, nothing=None, text="na\u00efve \u2603 \U0001f600\n", surrogate="\ud800x",
    items=[1, 2.5, "a", None, True, [2**70]], pair=(1, "b"), empty=[], void={}, group={"a": 1, "inner": {"b": [1, 2]}}, keys={1: "i", None: "n"},
    time="t", level="l", msg_="m", source="s", logger="g", host="h", pid=1, peer="p",
)
objects = dict(
    when=datetime.datetime(2026, 1, 2), path=pathlib.PurePosixPath("/x"), raw=b"bytes", nobytes=b"", array=bytearray(b"a"),
    names={"a"}, frozen=frozenset(["a"]), own=Own(), slots=Slots(), price=decimal.Decimal("1.5"), cls=Own,
    ordered=collections.OrderedDict(a=1), inside=[1, Own(), {"k": {2}}], group={"o": Own()},
)


def write(name, record, protocol):
    handler = logging.handlers.SocketHandler("localhost", 0)
    body = handler.makePickle(record)[4:]
    if protocol != 1:
        body = pickle.dumps(pickle.loads(body), protocol)
    with open(f"pickles/{name}{protocol}", "wb") as f:
        f.write(body)


for protocol in range(6):
    write("plain", record(**plain), protocol)
    write("objects", record(**objects), protocol)
    cycle = [1]
    cycle.append(cycle)
    mapping = {}
    mapping["self"] = mapping
    shared = ["x"]
    write("cycle", record(cycle=cycle, mapping=mapping, twice=[shared, shared]), protocol)
