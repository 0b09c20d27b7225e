"""Generators whose weights are spread over processes train and are saved as whole ones are."""

import copy
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin
from torch import Tensor

from tests.methods.tiny import tiny_batch
from tests.training.ranks import Ranks
from tests.training.test_ranks import distance, gradients_of, make_trainer
from unpaired.errors import UserError
from unpaired.training import trainer as module
from unpaired.training.checkpoint import State
from unpaired.training.sharding import is_asked_for
from unpaired.training.state import restore, state_of

NAMES = {"cyclegan": "size_based_wrap", "cut": "no_wrap"}


def test_only_the_second_version_of_fsdp_is_taken_as_accelerate_tells_them_apart():
    told = SimpleNamespace(distributed_type=DistributedType.FSDP, is_fsdp2=True)
    assert is_asked_for(told)
    told.is_fsdp2 = False
    with pytest.raises(UserError, match="--fsdp_version 2"):
        is_asked_for(told)
    assert not is_asked_for(SimpleNamespace(distributed_type=DistributedType.MULTI_GPU))


def sharded_trainer(name: str, lr: float) -> module.Trainer:
    """As Accelerate would be configured on GPUs; on CPUs it takes no such configuration."""
    accelerator = Accelerator(cpu=True, mixed_precision="no")
    accelerator.state.fsdp_plugin = FullyShardedDataParallelPlugin(
        fsdp_version=2,
        auto_wrap_policy=NAMES[name],
        min_num_params=1000,
        cpu_ram_efficient_loading=False,
    )
    module.is_asked_for = lambda accelerator: True
    return make_trainer(name, lr)


def whole_gradients_of(trainer: module.Trainer) -> list[dict[str, list[Tensor]]]:
    """As `gradients_of`, with those of the sharded player made whole."""
    steps, player = gradients_of(trainer), trainer.players[0]
    for step in steps:
        parts = zip(player.held, step[player.name])
        step[player.name] = [trainer.shards.whole(name, part) for name, part in parts]
    return steps


def write_what_shards_compute(folder: Path) -> None:
    for name in NAMES:
        trainer = sharded_trainer(name, lr=1e-12)
        assert trainer.shards.spread
        held = sum(p.numel() for p in trainer.players[0].held.values())
        found = {"held": held, "gradients": whole_gradients_of(trainer)}
        moving = sharded_trainer(name, lr=1e-3)
        gradients_of(moving)
        state = copy.deepcopy(state_of(moving))
        with moving.translating() as method:
            shown = method.translate(tiny_batch()["x"], "x2y") if moving.shards.twin else None
        found |= {"tensors": state.tensors, "values": state.values, "shown": shown}
        found["next"] = whole_gradients_of(moving)
        again = sharded_trainer(name, lr=1e-3)
        restore(again, state)
        gradients_of(again)
        found["ends"] = [state_of(moving).tensors, state_of(again).tensors]
        torch.save(found, folder / f"{name}_{trainer.part.index}.pt")


@pytest.fixture(scope="module")
def computed(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    ranks = Ranks(2, folder, write_what_shards_compute, folder)
    assert ranks.wait() == [0, 0], ranks.said(0) + ranks.said(1)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_shards_get_the_gradients_of_one_process_with_the_whole_batch(name, computed):
    alone = make_trainer(name, lr=1e-12)
    expected, found = gradients_of(alone), torch.load(computed / f"{name}_0.pt")
    whole = sum(p.numel() for p in alone.players[0].held.values())
    assert found["held"] <= 0.6 * whole
    for one, two in zip(expected, found["gradients"], strict=True):
        for player in one:
            assert distance(one[player], two[player]) <= 3e-6, player  # summed call by call


@pytest.mark.parametrize("name", NAMES)
def test_a_state_is_whole_and_goes_on_sharded_or_not(name, computed):
    found = torch.load(computed / f"{name}_0.pt", weights_only=False)
    one, two = found["ends"]
    for part in one:
        assert all(torch.equal(one[part][key], two[part][key]) for key in one[part]), part
    alone = make_trainer(name, lr=1e-3)
    for key, value in state_of(alone).tensors["weights"].items():
        assert found["tensors"]["weights"][key].shape == value.shape
    restore(alone, State(found["tensors"], found["values"]))
    with alone.translating() as method:
        shown = method.translate(tiny_batch()["x"], "x2y")
    torch.testing.assert_close(shown, found["shown"], rtol=0, atol=1e-5)
    here, there = gradients_of(alone)[0], found["next"][0]
    assert all(distance(here[player], there[player]) <= 3e-6 for player in here)
