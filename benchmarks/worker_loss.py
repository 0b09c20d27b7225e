"""Lose processes of a run at random moments: it must end with the state of an undisturbed run.

    python -m benchmarks.worker_loss --kills 30 --stops 3 --seed 0 --out runs/worker_loss

Two processes train a tiny CycleGAN on made pictures under `torchrun --max_restarts`. In each trial
one of them, chosen at random, is lost at a random moment of its session (starting up, stepping,
writing a checkpoint, ending), three times over; then the run is left alone. `--kills` are SIGKILLs;
`--stops` are SIGSTOPs, one a trial, that the others must notice by `--timeout`. At the end every
tensor and value of the last checkpoint is compared with that of a run that nobody disturbed.

Trials that are in OUT/trials.jsonl are not done again, so the campaign can be stopped and resumed.
The last line is the sum; the exit code is 1 if any trial ended otherwise than it should.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from PIL import Image

from unpaired.training.checkpoint import TENSOR_FILES, read_state
from unpaired.training.finding import find_checkpoint

KILLS_A_TRIAL = 3
PATIENCE = 900.0  # seconds that a trial may take


def make_pictures(folder: Path, count: int = 12, size: int = 20) -> Path:
    """trainA and trainB of random pictures."""
    for seed, name in enumerate(("trainA", "trainB")):
        if (folder / name).exists():
            continue
        rng = np.random.default_rng(seed)
        (folder / name).mkdir(parents=True)
        for i in range(count):
            coarse = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
            Image.fromarray(coarse).resize((size, size)).save(folder / name / f"{i:02d}.png")
    return folder


def start(data: Path, run: Path, log: Path, steps: int, restarts: int, timeout: float) -> Any:
    """Two processes under torchrun."""
    options = f"""train cyclegan --data {data} --out {run} --steps {steps} --size 16 --filters 2
        --blocks 1 --discriminator.filters 2 --discriminator.layers 2 --history 3 --ema 0.9
        --loss.identity 5 --precision fp32 --checkpoint-every 10 --timeout {timeout}"""
    launcher = ["torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    launcher += ["--max_restarts", str(restarts), "--monitor_interval", "0.1"]
    with log.open("a") as file:
        return subprocess.Popen(
            [sys.executable, "-m", *launcher, "-m", "unpaired", *options.split()],
            stderr=file,
            stdout=file,
            env={**os.environ, "OMP_NUM_THREADS": "1", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"},
        )


def rank_of(agent: Any, rank: int, but: set[int], until: float) -> psutil.Process | None:
    """The process that is `rank` under the launcher `agent`, once it is there and not in `but`."""
    while time.monotonic() < until and agent.poll() is None:
        for child in psutil.Process(agent.pid).children():
            with contextlib.suppress(psutil.Error):  # it has just ended; the next look will tell
                if child.pid not in but and child.environ().get("RANK") == str(rank):
                    return child
        time.sleep(0.05)
    return None


def difference(one: Path, two: Path) -> str | None:
    """What differs first between the last checkpoints of two runs; None: nothing."""
    (_, a), (_, b) = read_state(find_checkpoint(one)), read_state(find_checkpoint(two))
    for name in TENSOR_FILES:
        if a.tensors[name].keys() != b.tensors[name].keys():
            return f"{name}: other names"
        for key, value in a.tensors[name].items():
            if not torch.equal(value, b.tensors[name][key]):
                return f"{name}: {key}"
    for state in (a, b):
        state.values["run"].pop("seconds")
    return None if a.values == b.values else "state.json"


def trial(number: int, kind: str, seed: int, out: Path, steps: int, session: float) -> dict:
    """One run that loses processes; what happened and how it ended."""
    run, log = out / f"{kind}_{number:04d}", out / f"{kind}_{number:04d}.log"
    shutil.rmtree(run, ignore_errors=True)
    log.unlink(missing_ok=True)
    rng = np.random.default_rng([seed, number, kind == "stop"])
    losses = KILLS_A_TRIAL if kind == "kill" else 1
    timeout = 600.0 if kind == "kill" else max(10.0, session)
    began = time.monotonic()
    agent = start(out / "data", run, log, steps, losses, timeout)
    lost: list[dict[str, float]] = []
    seen: set[int] = set()
    for _ in range(losses):
        rank, after = int(rng.integers(2)), float(rng.uniform(0, session))
        victim = rank_of(agent, rank, seen, began + PATIENCE)
        if victim is None:
            break  # the run has ended
        time.sleep(after)
        if agent.poll() is not None:
            break
        both = {child.pid for child in psutil.Process(agent.pid).children()}
        try:
            victim.send_signal(signal.SIGKILL if kind == "kill" else signal.SIGSTOP)
        except psutil.NoSuchProcess:
            break  # it has ended, and with it the run
        seen |= both
        lost.append({"rank": rank, "after": round(after, 2)})
    try:
        code = agent.wait(max(1.0, began + PATIENCE - time.monotonic()))
    except subprocess.TimeoutExpired:
        agent.kill()
        code = -1
    ended = "equal" if code == 0 else f"exit code {code}"
    if code == 0 and (other := difference(run, out / "undisturbed")):
        ended = f"differs in {other}"
    said = log.read_text(errors="replace")
    if ended == "equal":
        shutil.rmtree(run)
    return {
        "kind": kind,
        "trial": number,
        "lost": lost,
        "restarts": said.count("restarted by the launcher"),
        "noticed": said.count("has not answered for") if kind == "stop" else None,
        "ended": ended,
        "seconds": round(time.monotonic() - began, 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=30, help="SIGKILLs in all")
    parser.add_argument("--stops", type=int, default=0, help="SIGSTOPs in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path("runs/worker_loss"))
    options = parser.parse_args()
    out: Path = options.out
    make_pictures(out / "data")
    length = out / "session.json"
    if not length.exists():
        shutil.rmtree(out / "undisturbed", ignore_errors=True)
        began = time.monotonic()
        log = out / "undisturbed.log"
        code = start(out / "data", out / "undisturbed", log, options.steps, 0, 600.0).wait()
        if code:
            print(f"the undisturbed run failed ({code}), see {log}")
            return 1
        length.write_text(json.dumps(time.monotonic() - began))
    session, done = json.loads(length.read_text()), out / "trials.jsonl"
    trials = [json.loads(t) for t in done.read_text().splitlines()] if done.exists() else []
    for kind, wanted in (("kill", options.kills), ("stop", options.stops)):
        number = sum(t["kind"] == kind for t in trials)
        while sum(len(t["lost"]) for t in trials if t["kind"] == kind) < wanted:
            result = trial(number, kind, options.seed, out, options.steps, session)
            trials.append(result)
            with done.open("a") as file:
                file.write(json.dumps(result) + "\n")
            print(json.dumps(result), flush=True)
            number += 1
    wrong = [t for t in trials if t["ended"] != "equal"]
    print(
        json.dumps(
            {
                "trials": len(trials),
                "kills": sum(len(t["lost"]) for t in trials if t["kind"] == "kill"),
                "stops": sum(len(t["lost"]) for t in trials if t["kind"] == "stop"),
                "restarts": sum(t["restarts"] for t in trials),
                "ended equal": len(trials) - len(wrong),
                "ended otherwise": len(wrong),
                "seed": options.seed,
                "steps": options.steps,
            }
        )
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
