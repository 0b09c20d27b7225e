"""Several processes are one: what w of them compute with b images each, one does with w * b."""

from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor

from tests.methods.tiny import SIZE, TINY, tiny_method, tiny_settings
from tests.training.ranks import Ranks
from unpaired.methods import METHODS
from unpaired.training.config import OptimizerConfig, TrainConfig
from unpaired.training.ranks import LostRankError
from unpaired.training.ranks import Ranks as Meeting
from unpaired.training.state import state_of
from unpaired.training.trainer import Trainer

STEPS = 3
EVERYTHING = {  # what couples the images of a batch, or falls on them by chance
    "cyclegan": {"discriminator": {"filters": 4, "layers": 2, "norm": "batch"}},
    "cut": {"loss": {"patches": 9}},
    "fastcut": {"loss": {"patches": 9, "flip": True, "nce_x": 10.0, "nce_y": 0.0}},
    "pix2pix": {"discriminator": {"filters": 4, "layers": 2}},
    "simgan": {"loss": {"adversarial": "wgan-gp"}},
}


def make_trainer(name: str, lr: float, precision: str = "fp32") -> Trainer:
    """With a history that soon is full, averaged weights, and two micro-batches a step."""
    config = TrainConfig(
        tiny_settings(name, **EVERYTHING.get(name, {})),
        method=name,
        steps=9,
        size=SIZE,
        precision=precision,
        ema=0.9,
        history=5,
        accumulate=2,
        optimizer=OptimizerConfig(lr=lr),
    )
    method = tiny_method(name, **EVERYTHING.get(name, {}))
    accelerator = Accelerator(cpu=True, mixed_precision="no")
    if accelerator.process_index:  # it must take the main process's weights
        for parameter in method.parameters():
            parameter.detach().add_(1.0)
    torch.manual_seed(5)
    return Trainer(method, config, accelerator)


def whole_batch(seed: int) -> dict[str, Tensor]:
    """Four images of each domain."""
    rng = torch.Generator().manual_seed(seed)
    return {name: torch.rand(4, 3, SIZE, SIZE, generator=rng) * 2 - 1 for name in ("x", "y")}


def gradients_of(trainer: Trainer) -> list[dict[str, list[Tensor]]]:
    """The gradients of some steps, each on this process's part of the batches."""
    taken, apply = [], trainer._apply

    def record(gradients, losses, factor):
        own = {name: [g.clone() for g in each] for name, each in gradients.items()}
        taken.append({**own, "losses": [torch.stack(list(losses.values()))]})
        return apply(gradients, losses, factor)

    trainer._apply = record
    for step in range(STEPS):
        batches = [whole_batch(10 * step + k) for k in range(2)]
        parts = [{k: trainer.part.of(v) for k, v in batch.items()} for batch in batches]
        trainer.step([trainer.on_device(part) for part in parts], 0.0)
    return taken


def write_what_ranks_compute(folder: Path) -> None:
    """For every method: gradients at weights that all but stand still, and weights that move."""
    for name in TINY:
        still, moving = make_trainer(name, lr=1e-12), make_trainer(name, lr=1e-3)
        gradients = gradients_of(still)
        gradients_of(moving)
        found = {
            "gradients": gradients,
            "history": {k: h.state() for k, h in still.history.items()},
            "buffers": dict(still.method.named_buffers()),
        }
        found["after"] = state_of(moving).tensors
        torch.save(found, folder / f"{name}_{still.part.index}.pt")
    half = make_trainer("cyclegan", lr=1e-3, precision="bf16")
    gradients_of(half)
    torch.save(state_of(half).tensors, folder / f"bf16_{half.part.index}.pt")


@pytest.fixture(scope="module")
def computed(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("two_ranks")
    ranks = Ranks(2, folder, write_what_ranks_compute, folder)
    assert ranks.wait() == [0, 0], ranks.said(0) + ranks.said(1)
    return folder


def distance(one: list[Tensor], two: list[Tensor]) -> float:
    """|one - two| / |one|, over all tensors together."""
    difference = torch.cat([(a - b).flatten() for a, b in zip(one, two, strict=True)])
    return float(difference.norm() / torch.cat([a.flatten() for a in one]).norm())


def equal(a: dict, b: dict) -> None:
    for part in a:
        assert a[part].keys() == b[part].keys()
        for key, value in a[part].items():
            assert torch.equal(value, b[part][key]), f"{part}: {key}"


@pytest.mark.parametrize("name", METHODS)
def test_two_processes_compute_the_gradients_of_one_with_the_whole_batch(name, computed):
    """With dropout, batch norm, drawn patches, flips, noise and a full history: all of it."""
    alone = make_trainer(name, lr=1e-12)
    expected = gradients_of(alone)
    found = torch.load(computed / f"{name}_0.pt")
    for one, two in zip(expected, found["gradients"], strict=True):
        assert one.keys() == two.keys()
        for player in one:
            assert distance(one[player], two[player]) <= 1e-6, player
    for key, buffer in alone.history.items():
        assert buffer.state().shape == found["history"][key].shape
        torch.testing.assert_close(buffer.state(), found["history"][key], rtol=0, atol=1e-5)
    for key, buffer in alone.method.named_buffers():  # batch norm's running statistics
        torch.testing.assert_close(buffer, found["buffers"][key], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", [*METHODS, "bf16"])
def test_after_steps_all_processes_hold_the_same_state_bit_for_bit(name, computed):
    states = [torch.load(computed / f"{name}_{rank}.pt") for rank in range(2)]
    one, two = (state.get("after", state) for state in states)
    equal(one, two)
    assert one["weights"]


@pytest.mark.parametrize("restarted", [True, False])
def test_processes_that_can_not_meet_say_in_one_line_what_to_do(monkeypatch, restarted):
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError(
            "Gloo connectFullMesh failed with [/a/gloo/pair.cc:152] timed out: Connection refused\n"
            "and more"
        )

    monkeypatch.setattr("unpaired.training.ranks.Accelerator", refuse)
    launcher = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "node0", "MASTER_PORT": "29500"}
    if restarted:
        launcher |= {
            "TORCHELASTIC_MAX_RESTARTS": "2",
            "TORCHELASTIC_RESTART_COUNT": "1",
            "TORCHELASTIC_USE_AGENT_STORE": "True",
        }
    for name, value in launcher.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(LostRankError) as lost:
        Meeting(torch.device("cpu"), 5.0)
    said = str(lost.value)
    assert said.startswith(
        "process 1 of 2 could not meet the others (Gloo connectFullMesh failed with timed out: "
        "Connection refused); "
    )
    advice = "set TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1" if restarted else "reach node0:29500"
    assert advice in said
    assert "\n" not in said


def test_one_process_that_can_not_start_is_no_lost_rank(monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("no memory")

    monkeypatch.setattr("unpaired.training.ranks.Accelerator", refuse)
    with pytest.raises(RuntimeError, match="no memory"):
        Meeting(torch.device("cpu"), 5.0)
