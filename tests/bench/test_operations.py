"""Operations are counted as by hand, in every pass."""

import pytest
import torch
from accelerate import Accelerator
from torch import nn

from tests.methods.tiny import tiny_batch, tiny_method, tiny_settings
from unpaired.bench.operations import operations, step_operations
from unpaired.methods import METHODS
from unpaired.training.config import TrainConfig
from unpaired.training.trainer import Trainer


def by_hand(network: nn.Module, image: torch.Tensor) -> list[int]:
    """Operations of each convolution in one pass, in the order they run."""
    found = []

    def count(module, given, out):
        pixels = given[0] if isinstance(module, nn.ConvTranspose2d) else out
        found.append(2 * module.weight.numel() * pixels.shape[0] * pixels.shape[2:].numel())

    hooks = [
        m.register_forward_hook(count)
        for m in network.modules()
        if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d))
    ]
    network(image)
    for hook in hooks:
        hook.remove()
    return found


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (nn.Conv2d(3, 8, 3, padding=1), 2 * (2 * 16 * 16) * 9 * 3 * 8),
        (nn.Conv2d(3, 8, 4, stride=2, padding=1), 2 * (2 * 8 * 8) * 16 * 3 * 8),
        (nn.ConvTranspose2d(3, 8, 3, 2, 1, output_padding=1), 2 * (2 * 16 * 16) * 9 * 3 * 8),
    ],
)
def test_a_layer_costs_as_much_again_for_its_weights_and_for_its_input(layer, expected):
    x = torch.randn(2, 3, 16, 16)
    assert operations(lambda: layer(x)) == expected
    with torch.inference_mode():
        assert operations(lambda: layer(x)) == expected
    weights = list(layer.parameters())
    asked = x.clone().requires_grad_()
    of_weights = operations(lambda: torch.autograd.grad(layer(x).sum(), weights))
    of_both = operations(lambda: torch.autograd.grad(layer(asked).sum(), [*weights, asked]))
    assert (of_weights, of_both) == (2 * expected, 3 * expected)


def test_a_matrix_product_counts_two_per_multiplication():
    layer = nn.Linear(5, 7)
    assert operations(lambda: layer(torch.randn(3, 5))) == 2 * 3 * 5 * 7


def test_a_cyclegan_step_is_what_its_equations_need():
    method = tiny_method("cyclegan", loss={"identity": 0.0})
    image = torch.zeros(1, 3, 16, 16)
    generator, critic = by_hand(method.G, image), by_hand(method.D_X, image)
    g, d = sum(generator), sum(critic)
    forward = 4 * g + 2 * d  # G(x), F(y), F(G(x)), G(F(y)), D_Y(G(x)), D_X(F(y))
    weights = 4 * g  # of G and F; the critics' gradients aren't taken
    inputs = 2 * g + 2 * (g - generator[0]) + 2 * d  # x and y themselves need none
    criticism = 4 * d + 4 * d + 4 * (d - critic[0])  # real and fake in both domains
    expected = forward + weights + inputs + criticism
    assert step_operations(method, 1, 16, (3, 3)) == expected
    assert step_operations(method, 2, 16, (3, 3)) == 2 * expected


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_trainers_step_is_what_was_counted(precision):
    method = tiny_method("cyclegan")
    counted = step_operations(method, 2, 16, (3, 3))
    config = TrainConfig(
        tiny_settings("cyclegan"), steps=1, size=16, batch=2, precision=precision, device="cpu"
    )
    trainer = Trainer(method, config, Accelerator(cpu=True))
    batch = trainer.on_device(tiny_batch())
    taken = operations(lambda: trainer.step([batch], progress=0.0))
    if precision == "fp32":  # the last convolution row by row computes 6 rows more
        assert counted <= taken < 1.3 * counted
    else:
        assert taken == counted


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_counted_without_computing(name):
    method = tiny_method(name).to("meta")
    assert step_operations(method, 1, 16, (3, 3)) > 0
