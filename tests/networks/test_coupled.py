"""Coupled networks tie what they should, at every size."""

import pytest
import torch

from unpaired.networks.coupled import CoupledDiscriminators, CoupledGenerators, coarsest_side


@pytest.mark.parametrize("size", [16, 48, 64, 80, 144])
@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
@pytest.mark.parametrize("upsample", ["transposed", "resize"])
def test_generators_render_both_domains_at_any_multiple_of_16(size, norm, upsample):
    torch.manual_seed(0)
    generators = CoupledGenerators(5, 3, 1, size, filters=1, norm=norm, upsample=upsample)
    z = torch.rand(2, 5)
    x, y = generators(z)
    assert x.shape == (2, 3, size, size)
    assert y.shape == (2, 1, size, size)
    assert max(x.abs().max(), y.abs().max()) <= 1


@pytest.mark.parametrize("size", range(16, 513, 16))
def test_networks_fit_every_multiple_of_16_up_to_512(size):
    with torch.device("meta"):
        generators = CoupledGenerators(5, 3, 1, size, filters=1)
        discriminators = CoupledDiscriminators(3, 1, size, filters=1)
        x, y = generators(torch.rand(2, 5))
    assert (x.shape, y.shape) == ((2, 3, size, size), (2, 1, size, size))
    for image, domain in ((x, "x"), (y, "y")):
        scores = discriminators.of(domain)(image)
        assert scores.shape[:2] == (2, 1)
        assert (scores.shape[2:] == (1, 1)) == (size in (16, 32, 64, 128, 256, 512))


@pytest.mark.parametrize(
    ("size", "side", "doublings"), [(16, 4, 2), (64, 4, 4), (80, 5, 4), (96, 6, 4), (512, 4, 7)]
)
def test_the_coarsest_map_has_4_to_7_pixels_where_halving_allows(size, side, doublings):
    assert coarsest_side(size) == (side, doublings)


def test_rendering_one_domain_is_rendering_both_and_leaving_one():
    torch.manual_seed(0)
    generators, z = CoupledGenerators(5, 3, 2, 16, filters=2), torch.rand(2, 5)
    x, y = generators(z)
    assert torch.equal(generators.render(z, "x"), x)
    assert torch.equal(generators.render(z, "y"), y)


def test_first_layers_of_the_generators_and_last_of_the_discriminators_are_one():
    """By gradients: what both domains' outputs reach is the trunk, the rest only its own domain."""
    torch.manual_seed(0)
    generators = CoupledGenerators(5, 3, 3, 32, filters=2)
    discriminators = CoupledDiscriminators(3, 3, 32, filters=2)
    outputs = dict(zip("xy", generators(torch.rand(2, 5))))
    for domain in "xy":
        for network, output, own in (
            (generators, outputs[domain], "head"),
            (discriminators, discriminators.of(domain)(torch.rand(2, 3, 32, 32)), "stem"),
        ):
            named = {n: p for n, p in network.named_parameters() if p.requires_grad}
            found = torch.autograd.grad(
                output.sum(), list(named.values()), allow_unused=True, retain_graph=True
            )
            reached = {n.split(".")[0] for n, g in zip(named, found) if g is not None}
            assert reached == {"trunk", f"{own}_{domain}"}


def test_layers_are_as_wide_as_the_authors_for_faces_of_128_pixels():
    """1024 channels at 4x4, halved with every doubling, 32 at 128x128."""
    with torch.device("meta"):
        generators = CoupledGenerators(100, 3, 3, 128)
    widths = [m.out_channels for m in generators.trunk if hasattr(m, "out_channels")]
    assert generators.trunk[0].weight.shape == (16384, 100)
    assert widths == [512, 256, 128, 64]
    assert generators.head_x[0].out_channels == 32


def test_initial_weights_are_normal_002_and_biases_0_in_every_part():
    torch.manual_seed(0)
    for network in (CoupledGenerators(50, 3, 3, 32), CoupledDiscriminators(3, 3, 32)):
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                assert (parameter == 0).all()
            else:
                assert parameter.std().item() == pytest.approx(0.02, rel=0.1), name


def test_kaiming_keeps_both_heads_alike():
    torch.manual_seed(0)
    generators = CoupledGenerators(50, 3, 3, 32, norm="none", init="kaiming")
    x, y = generators(2 * torch.rand(16, 50) - 1)
    assert 0.5 < (x.std() / y.std()).item() < 2
    assert 0.05 < x.std().item() < 0.8
