"""What holds for every method, whatever its paper says."""

import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.methods.tiny import SIZE, TINY, losses_of, own_parameters, tiny_batch, tiny_method
from tests.training.runs import write_pictures
from tests.training.test_resume import assert_same_state, start, wait_for_step
from unpaired.errors import UserError
from unpaired.methods import METHODS
from unpaired.training.checkpoint import load_method, read_state
from unpaired.training.config import from_dict, write_yaml
from unpaired.training.finding import find_checkpoint
from unpaired.training.presets import PRESETS, apply_preset
from unpaired.training.run import train
from unpaired.translation.translator import Translator

every_method = pytest.mark.parametrize("name", METHODS)
STEPS = 6


@pytest.fixture(autouse=True)
def one_thread():
    """Sums are taken in one order, here and in the processes that tests start."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@every_method
def test_its_name_is_its_name_in_the_dictionary(name):
    assert METHODS[name].name == name
    assert METHODS[name].title
    assert name in TINY


@every_method
def test_every_parameter_belongs_to_one_player_and_gets_a_gradient_from_its_losses(name):
    method, batch = tiny_method(name), tiny_batch()
    owners = [set(own_parameters(method, player)) for player in method.players]
    assert set().union(*owners) == {n for n, p in method.named_parameters() if p.requires_grad}
    assert sum(map(len, owners)) == len(set().union(*owners))
    for player in method.players:
        own = own_parameters(method, player)
        total = sum(losses_of(method, player, batch).values())
        gradients = torch.autograd.grad(total, list(own.values()), allow_unused=True)
        missed = [n for n, g in zip(own, gradients) if g is None]
        assert not missed, f"{player}: {missed}"
        assert sum(float(g.abs().sum()) > 0 for g in gradients) > len(own) / 2


@every_method
def test_losses_are_finite_float32_scalars_and_no_term_has_two_owners(name):
    method, batch = tiny_method(name), tiny_batch()
    seen: set[str] = set()
    for player in method.players:
        terms = losses_of(method, player, batch)
        assert terms
        assert not seen & set(terms)
        seen |= set(terms)
        for value in terms.values():
            assert value.shape == ()
            assert value.dtype is torch.float32
            assert value.isfinite()


@every_method
def test_fifty_steps_of_each_player_lower_the_loss_it_minimises(name):
    batch = tiny_batch()
    for player in METHODS[name].players:
        method = tiny_method(name)
        for _ in range(20):  # spectral norms are found by iteration, and settle
            losses_of(method, player, batch)
        optimizer = torch.optim.Adam(own_parameters(method, player).values(), lr=2e-3)
        totals = []
        for _ in range(50):
            total = sum(losses_of(method, player, batch).values())
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
            totals.append(total.item())
        assert totals[-1] < totals[0] - 0.05 * abs(totals[0]), f"{player}: {totals[::10]}"


@every_method
def test_what_the_history_remembers_is_made(name):
    method, batch = tiny_method(name), tiny_batch()
    made = method.generate(batch)
    assert set(method.remembered) <= set(made)


@every_method
def test_its_losses_can_be_tried_on_tensors_without_content(name):
    """So that a size that does not fit is refused before a run folder is made."""
    method = tiny_method(name).to("meta")
    batch = {k: v.to("meta") for k, v in tiny_batch().items()}
    made = method.generate(batch)
    for player in method.players:
        assert method.losses(player, batch, made)


@every_method
def test_presets_fit_its_settings(name):
    for preset in PRESETS:
        config = from_dict({"method": name})
        own = PRESETS[preset].settings
        if own is not None and name not in own:
            with pytest.raises(UserError, match=preset):
                apply_preset(config, preset)
        else:
            assert apply_preset(config, preset).preset == preset
    small = apply_preset(from_dict({"method": name}), "small")
    METHODS[name](small.settings, channels_x=3, channels_y=3, size=small.size)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    """Pictures of equal names in A and B, so that paired methods have their pairs."""
    folder = tmp_path_factory.mktemp("data")
    for seed, (split, count) in enumerate(
        {"trainA": 5, "trainB": 5, "testA": 2, "testB": 2}.items()
    ):
        write_pictures(folder / split, count, seed)
    return folder


@pytest.fixture(scope="module")
def runs(dataset, tmp_path_factory):
    """(undisturbed run, run that was killed after a checkpoint and continued) of a method."""
    made: dict[str, tuple[Path, Path]] = {}

    def of(name: str) -> tuple[Path, Path]:
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            tree = {"method": name, "settings": TINY[name], "data": str(dataset), "steps": STEPS}
            tree |= {"size": SIZE, "batch": 2, "seed": 3, "precision": "fp32", "ema": 0.9}
            tree |= {"history": 3, "log_every": 1, "checkpoint_every": 2, "sample_every": 100}
            config = from_dict(tree)
            write_yaml(config, folder / "config.yaml")
            killed = start(folder / "config.yaml", folder / "killed", slow=0.2)
            train(config, folder / "undisturbed", quiet=True)
            wait_for_step(folder / "killed", 3)
            killed.send_signal(signal.SIGKILL)
            killed.wait()
            assert read_state(find_checkpoint(folder / "killed"))[0].step < STEPS
            train(config, folder / "killed", resume=True, quiet=True)
            made[name] = folder / "undisturbed", folder / "killed"
        return made[name]

    return of


@every_method
def test_a_killed_run_ends_where_the_undisturbed_run_ends(name, runs):
    undisturbed, killed = runs(name)
    assert_same_state(find_checkpoint(killed), find_checkpoint(undisturbed))


@every_method
def test_it_translates_in_its_directions_and_refuses_the_others(name, runs):
    translator = Translator.load(runs(name)[0])
    picture = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    assert translator.directions == METHODS[name].directions
    for direction in ("x2y", "y2x"):
        if direction in METHODS[name].directions:
            made = translator(picture, direction)
            assert made.shape == picture.shape
            assert np.array_equal(made, translator(picture, direction))
        else:
            with pytest.raises(UserError, match=f'"{direction}"; this run translates'):
                translator(picture, direction)


@every_method
def test_a_checkpoint_needs_nothing_beside_itself_to_translate(name, runs):
    """Frozen nets that only training reads are neither stored nor loaded."""
    checkpoint = find_checkpoint(runs(name)[0])
    method, _ = load_method(checkpoint)
    trained = {n for n, _ in METHODS[name].named_parameters(tiny_method(name))}
    assert {n for n, _ in method.named_parameters()} == trained
    size = sum(f.stat().st_size for f in checkpoint.iterdir())
    assert size < 10_000_000
