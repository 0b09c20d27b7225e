"""A step moves what it should, by how much it should, and nothing else."""

import copy

import pytest
import torch
from accelerate import Accelerator

from tests.training.runs import tiny_config
from unpaired.methods import CycleGAN
from unpaired.training.config import TrainConfig, with_changes
from unpaired.training.state import restore, state_of
from unpaired.training.trainer import Trainer


def make_trainer(config: TrainConfig) -> Trainer:
    torch.manual_seed(0)
    method = CycleGAN(config.settings, channels_x=3, channels_y=3, size=config.size)
    return Trainer(method, config, Accelerator(cpu=True, mixed_precision="no"))


def make_batch(seed: int, count: int = 2) -> dict[str, torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    return {k: torch.rand(count, 3, 16, 16, generator=rng) * 2 - 1 for k in ("x", "y")}


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in trainer.method.state_dict().items()}


@pytest.fixture
def config(tmp_path):
    return tiny_config(tmp_path, history=0, schedule=with_constant())


def with_constant():
    from unpaired.training.schedule import ScheduleConfig

    return ScheduleConfig(kind="constant")


def test_a_step_moves_every_network_and_leaves_no_gradient_behind(config):
    trainer = make_trainer(config)
    before = weights(trainer)
    step = trainer.step([make_batch(0)], 0.0)
    assert step.finite
    moved = {k.split(".")[0] for k, v in weights(trainer).items() if not torch.equal(v, before[k])}
    assert moved == {"G", "F", "D_X", "D_Y"}
    assert all(p.grad is None for p in trainer.method.parameters())


def test_a_step_equals_the_equations_minimised_by_hand_with_adam(config):
    """Generators and discriminators both step from the weights before the step.

    Without norms: a bias before a norm has no gradient but rounding, which Adam would magnify.
    """
    without = {"settings.generator.norm": "none", "settings.discriminator.norm": "none"}
    trainer = make_trainer(with_changes(config, without))
    twin = copy.deepcopy(trainer.method)
    G, F, D_X, D_Y = twin.G, twin.F, twin.D_X, twin.D_Y
    optimizers = [
        torch.optim.Adam([*a.parameters(), *b.parameters()], lr=1e-3, betas=(0.5, 0.999))
        for a, b in ((G, F), (D_X, D_Y))
    ]
    for seed in range(3):
        batch = make_batch(seed)
        x, y = batch["x"], batch["y"]
        fake_y, fake_x = G(x), F(y)
        loss_generators = (
            ((D_Y(fake_y) - 1) ** 2).mean()
            + ((D_X(fake_x) - 1) ** 2).mean()
            + 10 * (F(fake_y) - x).abs().mean()
            + 10 * (G(fake_x) - y).abs().mean()
            + 5 * (G(y) - y).abs().mean()
            + 5 * (F(x) - x).abs().mean()
        )
        loss_discriminators = sum(
            0.5 * (((D(real) - 1) ** 2).mean() + (D(fake.detach()) ** 2).mean())
            for D, real, fake in ((D_X, x, fake_x), (D_Y, y, fake_y))
        )
        for loss, optimizer in zip((loss_generators, loss_discriminators), optimizers):
            own = optimizer.param_groups[0]["params"]
            for p, g in zip(own, torch.autograd.grad(loss, own, retain_graph=True)):
                p.grad = g
        for optimizer in optimizers:
            optimizer.step()
        trainer.step([batch], 0.0)
    for (name, a), b in zip(trainer.method.named_parameters(), twin.parameters()):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=2e-5, msg=name)


def test_accumulated_batches_step_like_one_large_batch(config):
    large, small = make_trainer(config), make_trainer(with_changes(config, {"accumulate": 2}))
    batch = make_batch(0, count=4)
    halves = [{k: v[i : i + 2] for k, v in batch.items()} for i in (0, 2)]
    gradients, losses = large._gradients([batch])
    summed, means = small._gradients(halves)
    for player in gradients:
        for a, b in zip(gradients[player], summed[player]):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    for name in losses:
        torch.testing.assert_close(losses[name], means[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("where", ["loss of a generator", "loss of a discriminator", "input"])
def test_no_player_steps_when_anything_is_not_finite(where, config, monkeypatch):
    config = with_changes(config, {"history": 3, "settings.discriminator.norm": "batch"})
    trainer = make_trainer(config)
    trainer.step([make_batch(0)], 0.0)
    before, history = weights(trainer), trainer.history["fake_y"].state().clone()
    average = {k: v.clone() for k, v in trainer.ema.average.items()}
    moments = copy.deepcopy([p.state() for p in trainer.players])
    batch = make_batch(1)
    losses = trainer.method.losses

    def broken(player, *rest):
        terms = losses(player, *rest)
        if where == f"loss of a {player[:-1]}":
            terms["broken"] = next(iter(terms.values())) * torch.inf
        return terms

    monkeypatch.setattr(trainer.method, "losses", broken)
    if where == "input":
        batch["x"][0, 0, 0, 0] = torch.nan
    step = trainer.step([batch], 0.0)
    assert not step.finite
    assert trainer.steps == 2
    faults = trainer.guard.read()
    assert (faults.skipped, faults.in_a_row, faults.step) == (1, 1, 2)
    assert ("broken" in faults.names) == (where != "input")
    assert all(torch.equal(v, before[k]) for k, v in weights(trainer).items())
    assert all(torch.equal(v, average[k]) for k, v in trainer.ema.average.items())
    assert torch.equal(trainer.history["fake_y"].state(), history)
    for before_it, player in zip(moments, trainer.players):
        after = player.state()
        assert before_it.keys() == after.keys()
        assert all(torch.equal(v, after[k]) for k, v in before_it.items())
    monkeypatch.setattr(trainer.method, "losses", losses)
    assert trainer.step([make_batch(2)], 0.0).finite
    assert trainer.guard.read()[:2] == (1, 0)


def test_clipping_bounds_each_players_gradient(config, monkeypatch):
    trainer = make_trainer(with_changes(config, {"clip": 0.01}))
    norms = []
    for optimizer in (player.optimizer for player in trainer.players):
        step = optimizer.step

        def record(*args, optimizer=optimizer, step=step, **kwargs):
            own = [p.grad for group in optimizer.param_groups for p in group["params"]]
            norms.append(torch.nn.utils.get_total_norm(own).item())
            return step(*args, **kwargs)

        monkeypatch.setattr(optimizer, "step", record)
    trainer.step([make_batch(0)], 0.0)
    assert norms == pytest.approx([0.01, 0.01], rel=1e-3)


def test_the_rate_of_the_discriminators_can_differ_and_both_follow_the_schedule(config):
    from unpaired.training.schedule import ScheduleConfig

    config = with_changes(
        config, {"optimizer.lr_discriminators": 4e-3, "schedule": ScheduleConfig(constant=0.5)}
    )
    trainer = make_trainer(config)
    step = trainer.step([make_batch(0)], 0.75)
    rates = [p.optimizer.param_groups[0]["lr"] for p in trainer.players]
    assert rates == pytest.approx([5e-4, 2e-3])
    assert step.lr == pytest.approx(5e-4)


def test_a_player_without_losses_does_not_step(config):
    """Cycle alone (Table 4) has no discriminators to train."""
    trainer = make_trainer(with_changes(config, {"settings.loss.gan": 0.0}))
    before = weights(trainer)
    step = trainer.step([make_batch(0)], 0.0)
    assert set(step.losses) == {"cycle_x", "cycle_y", "identity_x", "identity_y"}
    moved = {k.split(".")[0] for k, v in weights(trainer).items() if not torch.equal(v, before[k])}
    assert moved == {"G", "F"}
    again = make_trainer(trainer.config)
    restore(again, state_of(trainer))  # and such a run resumes


def test_bf16_runs_with_float32_weights_and_losses(config):
    trainer = make_trainer(with_changes(config, {"precision": "bf16"}))
    step = trainer.step([make_batch(0)], 0.0)
    assert all(v.dtype is torch.float32 for v in step.losses.values())
    assert all(p.dtype is torch.float32 for p in trainer.method.parameters())


def test_fifty_steps_lower_the_loss_the_generators_minimise(config):
    trainer = make_trainer(with_changes(config, {"settings.loss.gan": 0.0}))
    batch = make_batch(0)
    first = sum(trainer.step([batch], 0.0).losses.values())
    for _ in range(49):
        last = sum(trainer.step([batch], 0.0).losses.values())
    assert last < 0.85 * first
