"""Counts the visits of pages in Redis, and prints them, the most visited first."""

import os
import socket
import sys
from pathlib import Path


def ask(stream, *words):
    """One command in Redis' protocol, and its answer."""
    stream.write(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
    stream.flush()
    return read(stream)


def read(stream):
    kind, rest = stream.read(1), stream.readline().strip()
    if kind == b"*":
        return [read(stream) for _ in range(int(rest))]
    if kind == b"$":
        return stream.read(int(rest) + 2)[:-2]
    if kind == b"-":
        raise SystemExit(rest.decode())
    return rest


address = os.environ["SERVICE_HOST"], int(os.environ["SERVICE_PORT"])
with socket.create_connection(address) as connection, connection.makefile("rwb") as redis:
    for page in Path(sys.argv[1]).read_bytes().split():
        ask(redis, b"ZINCRBY", b"visits", b"1", page)
    counted = ask(redis, b"ZREVRANGE", b"visits", b"0", b"-1", b"WITHSCORES")
for page, visits in zip(counted[::2], counted[1::2], strict=True):
    print(f"{visits.decode():>3} {page.decode()}")
