"""Made-up people who take part over HTTP like anyone else, for tests and for planning.

They don't look at pictures: which one is real they learn from the study's own database, which only
whoever serves the study has. All else is as with people.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from unpaired.errors import UserError
from unpaired.study.power import own_rates
from unpaired.study.records import SIMULATED
from unpaired.study.store import Store

PATIENCE = 60.0  # seconds to ask again while the server is away
OPENED = 200  # connections at a time, however many people there are


@dataclass(frozen=True)
class People:
    """How made-up participants answer."""

    rate: float = 0.25
    """Mean share of generated pictures that they take for real."""
    spread: float = 0.5
    """Standard deviation of it between people, in logits."""
    lapses: float = 0.02
    """Share of trials that they answer blindly."""
    side_bias: float = 0.0
    """From -1 to 1: how much blind answers prefer the left."""
    think: float = 0.0
    """Seconds that each takes to answer, after both pictures were shown."""

    def __post_init__(self) -> None:
        if not 0 <= self.rate <= 1 or not 0 <= self.lapses <= 1 or not -1 <= self.side_bias <= 1:
            raise UserError("--rate and --lapses lie between 0 and 1, --side-bias between -1 and 1")
        if self.spread < 0 or self.think < 0:
            raise UserError("--spread and --think are 0 or more")

    def own_rate(self, rng: np.random.Generator) -> float:
        """One person's rate: the mean in logits, and this person's distance from it."""
        return float(own_rates(self.rate, self.spread, (), rng))


@dataclass
class Happened:
    """What a simulation did."""

    sent: dict[str, dict[int, str]] = field(default_factory=dict)
    """By session: every answer that the server acknowledged, by position."""
    latencies: list[float] = field(default_factory=list)
    """Seconds per acknowledged request, without the time that the server was away."""
    retries: int = 0
    failed: list[str] = field(default_factory=list)
    finished: int = 0
    seconds: float = 0.0

    @property
    def numbers(self) -> dict[str, Any]:
        """For machines."""
        answers = sum(map(len, self.sent.values()))
        low, middle, high = (
            np.percentile(self.latencies, (50, 95, 99)) if self.latencies else (0.0, 0.0, 0.0)
        )
        return {
            "people": len(self.sent),
            "finished": self.finished,
            "failed": self.failed,
            "answers": answers,
            "requests": len(self.latencies),
            "retries": self.retries,
            "seconds": self.seconds,
            "latency_ms": {
                "p50": 1000 * float(low),
                "p95": 1000 * float(middle),
                "p99": 1000 * float(high),
            },
        }

    @property
    def text(self) -> str:
        """For people."""
        n = self.numbers
        p = n["latency_ms"]
        return (
            f"{n['finished']} of {n['people']} sessions finished in {n['seconds']:.1f} s, "
            f"{n['answers']} answers, {n['requests']} requests; latency {p['p50']:.0f} ms (50 %), "
            f"{p['p95']:.0f} ms (95 %), {p['p99']:.0f} ms (99 %); {n['retries']} tried again"
            + "".join(f"\nfailed: {why}" for why in n["failed"][:5])
        )


Truth = Callable[[str], tuple[str, str]]
"""From a picture's address to (phase of its trial, the side that is right)."""


def truth_from(folder: Path) -> Truth:
    """Looks the truth up where the server keeps it."""
    store = Store(folder / "study.sqlite")

    def look(address: str) -> tuple[str, str]:
        return store.truth_at(address.rpartition("/")[2])

    return look


def simulate(
    address: str,
    count: int,
    people: People,
    *,
    at_once: int = 10,
    seed: int = 0,
    truth: Truth | None = None,
) -> Happened:
    """Let `count` people take part, `at_once` at a time.

    Args:
        address: where the study is served, "http://127.0.0.1:8000".
        truth: tells what is right; None: nobody knows, and all guess.
    Raises: UserError if nothing answers at the address.
    """
    if count < 1 or at_once < 1:
        raise UserError("--people and --at-once are 1 or more")
    happened = Happened()
    began = time.monotonic()
    asyncio.run(_all(address.rstrip("/"), count, people, at_once, seed, truth, happened))
    happened.seconds = time.monotonic() - began
    return happened


async def _all(
    address: str,
    count: int,
    people: People,
    at_once: int,
    seed: int,
    truth: Truth | None,
    happened: Happened,
) -> None:
    limits = httpx.Limits(max_connections=OPENED, max_keepalive_connections=OPENED)
    async with httpx.AsyncClient(base_url=address, timeout=60, limits=limits) as web:
        try:
            (await web.get("/health")).raise_for_status()
        except httpx.HTTPError as error:
            raise UserError(f"no study at {address} ({error}); is it being served?") from None
        turn = asyncio.Semaphore(at_once)

        async def one(number: int) -> None:
            async with turn:
                person = _Person(web, people, np.random.default_rng([seed, number]), happened)
                try:
                    await person.take_part(truth)
                except (httpx.HTTPError, _GaveUpError, KeyError, ValueError) as error:
                    happened.failed.append(f"person {number}: {error!r}")

        await asyncio.gather(*(one(number) for number in range(count)))


class _GaveUpError(Exception):
    """The server said no, or was away for too long."""


class _Person:
    """One participant: consents, looks, answers, and is patient."""

    def __init__(
        self,
        web: httpx.AsyncClient,
        people: People,
        rng: np.random.Generator,
        happened: Happened,
    ) -> None:
        self.web, self.people, self.rng, self.happened = web, people, rng, happened
        self.rate = people.own_rate(rng)

    async def take_part(self, truth: Truth | None) -> None:
        await self.ask("GET", "/")
        name = f"{SIMULATED}{self.rng.integers(1 << 62):x}"  # sent again, it is the same person
        reply = await self.ask(
            "POST", "/begin", data={"agreed": "yes", "prolific": name, "screen": "{}"}
        )
        key = str(reply.headers["location"]).rpartition("/")[2]
        acknowledged = self.happened.sent.setdefault(key, {})
        await self.ask("GET", f"/s/{key}")
        plan = (await self.ask("GET", f"/s/{key}/plan")).json()
        for trial in plan["trials"]:
            for side in ("left", "right"):
                await self.ask("GET", trial[side])
            where = f"/s/{key}/trials/{trial['position']}"
            await self.ask("POST", f"{where}/shown", json={})
            thought = self.people.think * self.rng.uniform(0.5, 1.5)
            await asyncio.sleep((plan["shown_for"] or 0) / 1000 + thought)
            choice = self.choose(truth and truth(trial["left"]))
            given = {
                "choice": choice,
                "reaction": float(self.rng.gamma(4, 180) + 250),
                "exposures": [plan["exposure"] or 0] * 2,
                "viewport": [1280, 720],
            }
            await self.ask("POST", f"{where}/answer", json=given)
            acknowledged[trial["position"]] = choice
        done = (await self.ask("POST", f"/s/{key}/finish", json={})).json()
        self.happened.finished += bool(done["done"])

    def choose(self, known: tuple[str, str] | None) -> str:
        if known is None or self.rng.random() < self.people.lapses:
            return "left" if self.rng.random() < (1 + self.people.side_bias) / 2 else "right"
        phase, right = known
        fooled = phase != "attention" and self.rng.random() < self.rate
        wrong = "left" if right == "right" else "right"
        return wrong if fooled else right

    async def ask(self, method: str, path: str, **content: Any) -> httpx.Response:
        """Asks again while the server is away, as the page in a browser does."""
        until, pause, why = time.monotonic() + PATIENCE, 0.05, ""
        while True:
            began = time.monotonic()
            try:
                reply = await self.web.request(method, path, **content)
                if reply.status_code < 400:
                    self.happened.latencies.append(time.monotonic() - began)
                    return reply
                if reply.status_code < 500:
                    raise _GaveUpError(f"{method} {path.split('/')[-1]}: {reply.status_code}")
                why = str(reply.status_code)
            except httpx.TransportError as error:
                why = type(error).__name__
            if time.monotonic() > until:
                raise _GaveUpError(f"{method} {path}: nobody answers ({why})")
            self.happened.retries += 1
            await asyncio.sleep(pause)
            pause = min(1.0, 1.5 * pause)


def acknowledged_but_lost(store: Store, happened: Happened) -> list[str]:
    """Answers that a browser was told are kept, and that the database doesn't hold as given."""
    lost = []
    for key, answers in happened.sent.items():
        kept = {t["position"]: t["choice"] for t in store.trials(key) if t["answered"] is not None}
        lost += [f"{key} {p}" for p, choice in answers.items() if kept.get(p) != choice]
    return lost
