"""Requests a second of `fewlabel serve`, and how long each takes, at 1, 8 and 32 connections.

    fewlabel fit fashion-mnist:train --labels labels.csv --out run
    python benchmarks/bench_serve.py run test-images

The server runs as a user starts it, on the same cores as the client, which sends one image a
request over connections that stay open. What client and server take of a processor is printed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from fewlabel.threads import _usable_cores


class Connection(asyncio.Protocol):
    """Sends the next request as soon as the last one is answered; cheap enough not to count."""

    def __init__(self, requests: list[bytes], first: int, end: float) -> None:
        self.requests, self.next, self.end = requests, first, end
        self.seconds: list[float] = []
        self.statuses = Counter[str]()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.buffer = b""

    def connection_made(self, transport: Any) -> None:
        """Send the first request."""
        self.transport = transport
        self.send()

    def send(self) -> None:
        """Send the next request."""
        self.start = time.perf_counter()
        self.transport.write(self.requests[self.next % len(self.requests)])
        self.next += 1

    def data_received(self, data: bytes) -> None:
        """Note an answer once all of it is there."""
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if not found or len(body) < int(re.search(rb"content-length: (\d+)", head)[1]):
            return
        now, self.buffer = time.perf_counter(), b""
        self.seconds.append(now - self.start)
        self.statuses[head[9:12].decode()] += 1
        if now < self.end:
            self.send()
        else:
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        """End, as it should, or because the server has closed it."""
        self.done.set_result(None)


def requests_of(folder: Path, limit: int = 500) -> list[bytes]:
    """Return requests that send the images of a folder."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())[:limit]
    head = "POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/any\r\n"
    data = [file.read_bytes() for file in files]
    return [f"{head}Content-Length: {len(d)}\r\n\r\n".encode() + d for d in data]


async def load(port: int, requests: list[bytes], n: int, seconds: float) -> dict[str, Any]:
    """Keep ``n`` connections busy for a while; return what was measured."""
    loop, begin, cpu = asyncio.get_running_loop(), time.perf_counter(), time.process_time()
    made = [
        await loop.create_connection(
            lambda i=i: Connection(requests, 13 * i, begin + seconds), "127.0.0.1", port
        )
        for i in range(n)
    ]
    await asyncio.gather(*(connection.done for _, connection in made))
    took, cpu = time.perf_counter() - begin, time.process_time() - cpu
    times = np.concatenate([connection.seconds for _, connection in made])
    statuses = sum((connection.statuses for _, connection in made), Counter())
    p50, p95, p99 = (round(float(v) * 1e3, 1) for v in np.quantile(times, [0.5, 0.95, 0.99]))
    return {
        "connections": n,
        "requests_a_second": round(len(times) / took, 1),
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "statuses": statuses,
        "client_ms_a_request": round(1e3 * cpu / len(times), 3),
    }


def rss_mb(pid: int) -> float:
    """Return the resident memory of a process in megabytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return round(int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024, 1)


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process, of all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Print a JSON record for each number of connections."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("images", type=Path, help="Folder of images to send.")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--connections", default="1,8,32")
    args = parser.parse_args()
    requests = requests_of(args.images)
    command = [sys.executable, "-m", "fewlabel", "serve", args.run, "--port", "0"]
    server = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=os.environ
    )
    try:
        lines = (re.search(r"http://\S+:(\d+)", line) for line in server.stdout)
        port = next(int(found[1]) for found in lines if found)
        asyncio.run(load(port, requests, 4, 1.0))
        for n in map(int, args.connections.split(",")):
            before = cpu_seconds(server.pid)
            row = asyncio.run(load(port, requests, n, args.seconds))
            cpu = (cpu_seconds(server.pid) - before) / sum(row["statuses"].values())
            extra = {"server_ms_a_request": round(1e3 * cpu, 3), "rss_mb": rss_mb(server.pid)}
            extra |= {"cores": _usable_cores(), "load": round(os.getloadavg()[0], 1)}
            bytes_sent = round(float(np.mean([len(r) for r in requests])))
            print(json.dumps({"run": args.run, "bytes": bytes_sent} | row | extra), flush=True)
    finally:
        server.terminate()
        server.wait(20)


if __name__ == "__main__":
    main()
