"""Ten times what a server can take: `python -m benchmarks.serve_load RUN --json FILE`.

Starts `unpaired serve RUN` at 127.0.0.1 and never talks to anything else. First a few clients, one
picture after the other, say what it can take. Then pictures come at so many times that rate,
whether or not the earlier ones are answered; some clients leave before their answer. Meanwhile the
health is asked for and the memory of all its processes is sampled. Every translation that comes
back is compared with what the quiet server made of the same file. Server and clients share the
machine, so no rate printed here is one to plan with.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import random
import socket
import statistics
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import PIL.Image
import psutil

from unpaired.whole import write_whole

SIZES = ((320, 320), (256, 384), (384, 256), (318, 319))
MOST = 5000
"""Requests, however fast the server is."""
LEAVES = 0.5
"""Seconds after which an impatient client leaves."""


@dataclass
class Seen:
    """What came of it all."""

    statuses: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    wrong: int = 0
    retry_after: set[str] = field(default_factory=set)
    health: list[float] = field(default_factory=list)
    unhealthy: int = 0
    memory: list[int] = field(default_factory=list)


def pictures() -> list[bytes]:
    """PNG files of a few sizes, two of which are padded to one."""
    made = []
    for seed, (height, width) in enumerate(SIZES):
        coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        buffer = io.BytesIO()
        PIL.Image.fromarray(coarse).resize((width, height)).save(buffer, "PNG")
        made.append(buffer.getvalue())
    return made


def memory_of(process: psutil.Process) -> int:
    """Resident bytes of a process and all below it."""
    total = 0
    for one in [process, *process.children(recursive=True)]:
        try:
            total += one.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


async def capacity(web: httpx.AsyncClient, files: list[bytes], seconds: float) -> float:
    """Pictures a second, by four clients that wait for each."""
    done, until = 0, time.monotonic() + seconds

    async def client(number: int) -> None:
        nonlocal done
        while time.monotonic() < until:
            reply = await web.post("/v1/translate", content=files[number % len(files)])
            assert reply.status_code == 200, reply.text
            done += 1

    began = time.monotonic()
    await asyncio.gather(*(client(number) for number in range(4)))
    return done / (time.monotonic() - began)


async def one_client(
    web: httpx.AsyncClient, seen: Seen, content: bytes, expected: bytes, impatient: bool
) -> None:
    began = time.monotonic()
    try:
        work = web.post("/v1/translate", content=content)
        reply = await (asyncio.wait_for(work, LEAVES) if impatient else work)
    except asyncio.TimeoutError:
        seen.statuses["left"] += 1
        return
    except httpx.HTTPError as error:
        seen.statuses[type(error).__name__] += 1
        return
    seen.statuses[str(reply.status_code)] += 1
    if reply.status_code == 200:
        seen.seconds.append(time.monotonic() - began)
        seen.wrong += reply.content != expected
    elif reply.status_code == 429:
        seen.retry_after.add(reply.headers.get("retry-after", "missing"))


async def watch(address: str, seen: Seen, process: psutil.Process) -> None:
    """Until cancelled: is it well, and how much memory does it take?"""
    async with httpx.AsyncClient(base_url=address, timeout=30) as web:
        while True:
            began = time.monotonic()
            reply = await web.get("/health/live")
            seen.health.append(time.monotonic() - began)
            seen.unhealthy += reply.status_code != 200
            seen.memory.append(await asyncio.to_thread(memory_of, process))
            await asyncio.sleep(0.2)


async def kill_workers(process: psutil.Process, times: int, seconds: float) -> None:
    """SIGKILL to the process that translates, so often in so many seconds."""
    for _ in range(times):
        await asyncio.sleep(seconds / (times + 1))
        for child in process.children():
            if "spawn_main" in " ".join(child.cmdline()):
                child.kill()


async def overload(
    address: str, process: psutil.Process, given: argparse.Namespace
) -> dict[str, object]:
    """All of it; the numbers."""
    files, seen, dice = pictures(), Seen(), random.Random(0)
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
    async with httpx.AsyncClient(base_url=address, timeout=300, limits=limits) as web:
        expected = [(await web.post("/v1/translate", content=one)).content for one in files]
        rate = await capacity(web, files, given.probe)
        before = memory_of(process)
        watching = asyncio.create_task(watch(address, seen, process))
        killing = asyncio.create_task(kill_workers(process, given.kills, given.seconds))
        clients: list[asyncio.Task[None]] = []
        began = time.monotonic()
        count = min(MOST, int(given.times * rate * given.seconds))
        for number in range(count):
            await asyncio.sleep(max(0.0, began + number / (given.times * rate) - time.monotonic()))
            which = number % len(files)
            impatient = dice.random() < given.impatient
            work = one_client(web, seen, files[which], expected[which], impatient)
            clients.append(asyncio.create_task(work))
        sent = time.monotonic() - began
        await asyncio.gather(killing, *clients)
        drained = time.monotonic() - began - sent
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await asyncio.to_thread(wait_for, address)
        ready = (await web.get("/health/ready")).status_code
        again = [(await web.post("/v1/translate", content=one)).content for one in files]
        metrics = (await web.get("/metrics")).text
    deaths = [one for one in metrics.splitlines() if one.startswith("unpaired_worker_deaths_total")]
    return {
        "capacity_per_second": round(rate, 2),
        "workers_killed": given.kills,
        "sent": count,
        "sent_per_second": round(count / sent, 1),
        "times_capacity": round(count / sent / rate, 1),
        "answers": dict(sorted(seen.statuses.items())),
        "translations_that_differ": seen.wrong,
        "retry_after": sorted(seen.retry_after),
        "seconds_to_a_translation": _spread(seen.seconds),
        "seconds_to_drain": round(drained, 1),
        "health_asked": len(seen.health),
        "health_not_200": seen.unhealthy,
        "seconds_to_health": _spread(seen.health),
        "mb_before": round(before / 1e6),
        "mb_peak": round(max(seen.memory) / 1e6),
        "mb_at_the_end": round(memory_of(process) / 1e6),
        "ready_afterwards": ready == 200,
        "same_translations_afterwards": again == expected,
        "worker_deaths": float(deaths[0].split()[-1]),
    }


def _spread(values: list[float]) -> dict[str, float]:
    values = sorted(values) or [float("nan")]
    return {
        "median": round(statistics.median(values), 3),
        "p99": round(values[int(0.99 * (len(values) - 1))], 3),
        "worst": round(values[-1], 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="a run folder or an exported file")
    parser.add_argument("--times", type=float, default=10, help="what the server can take")
    parser.add_argument("--seconds", type=float, default=60, help="of overload")
    parser.add_argument("--probe", type=float, default=15, help="seconds to find what it can take")
    parser.add_argument("--queue", type=int, default=32)
    parser.add_argument("--impatient", type=float, default=0.1, help="share of those who leave")
    parser.add_argument("--kills", type=int, default=0, help="times the worker is killed meanwhile")
    parser.add_argument("--backend", default="auto", help="as for unpaired serve")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["serve", given.run, "--port", str(port), "--queue", str(given.queue)]
    words += ["--backend", given.backend]
    server = subprocess.Popen([sys.executable, "-m", "unpaired", *words], stdout=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(address)
        numbers = asyncio.run(overload(address, psutil.Process(server.pid), given))
    finally:
        server.terminate()
        code = server.wait(timeout=150)
    command = f"python -m benchmarks.serve_load {' '.join(sys.argv[1:])}"
    text = json.dumps({"command": command, **numbers, "exit_code_after_sigterm": code}, indent=1)
    print(text)
    if given.json:
        write_whole(given.json, text + "\n")


def wait_for(address: str, seconds: float = 300) -> None:
    """Until it is ready. Raises: SystemExit if it doesn't become so."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if httpx.get(f"{address}/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.2)
        time.sleep(0.2)
    raise SystemExit("the server did not become ready")


if __name__ == "__main__":
    main()
