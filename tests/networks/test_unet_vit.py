"""The generator and discriminator of UVCGANv2."""

import pytest
import torch
import torch.nn.functional as fn

from unpaired.networks.batch_head import BatchHeadDiscriminator
from unpaired.networks.unet_vit import ModulatedConv, PixelTransformer, TransformerBlock, UNetViT


def tiny(levels: int = 2, **changes: int) -> UNetViT:
    torch.manual_seed(0)
    return UNetViT(3, 3, filters=4, levels=levels, features=8, heads=2, blocks=1, **changes)


@pytest.mark.parametrize(("height", "width"), [(16, 16), (16, 32), (4, 4), (4, 20)])
def test_any_size_that_the_levels_divide_goes_in_and_comes_out(height, width):
    network = tiny()
    assert network.multiple == 4
    made = network(torch.rand(2, 3, height, width))
    assert made.shape == (2, 3, height, width)
    assert made.abs().max() <= 1


def test_the_papers_generator_has_its_size():
    """Four levels of 48 to 384 filters, and twelve blocks of 384 features on 16 x 16 tokens."""
    network = UNetViT(3, 3)
    assert network.multiple == 16
    assert [level.first.out_channels for level in network.encoder] == [48, 96, 192, 384]
    assert len(network.transformer.blocks) == 12
    assert network.transformer.style.shape == (1, 1, 384)


def test_a_modulated_convolution_is_stylegan2s_written_out():
    """Weights scaled by the style per input channel, then divided by their length per output."""
    torch.manual_seed(0)
    layer = ModulatedConv(3, 5, style=4)
    torch.nn.init.constant_(layer.alpha, 0.7)
    torch.nn.init.normal_(layer.bias)
    x, style = torch.randn(2, 3, 6, 6), torch.randn(2, 4)
    found = layer(x, style)
    for i in range(2):
        s = 1 + 0.7 * (layer.affine.weight @ style[i] + layer.affine.bias)
        w = layer.conv.weight * s[None, :, None, None]
        w = w / (w.square().sum((1, 2, 3), keepdim=True) + 1e-6).sqrt()
        torch.testing.assert_close(
            found[i : i + 1],
            fn.conv2d(x[i : i + 1], w, layer.bias, padding=1),
            rtol=1e-4,
            atol=1e-5,
        )


def test_attention_is_torchs_own():
    torch.manual_seed(0)
    block, x = TransformerBlock(8, 2), torch.randn(2, 5, 8)
    torch.nn.init.constant_(block.alpha, 1.0)
    reference = torch.nn.MultiheadAttention(8, 2, batch_first=True)
    reference.load_state_dict(
        {
            "in_proj_weight": block.query_key_value.weight,
            "in_proj_bias": block.query_key_value.bias,
            "out_proj.weight": block.join.weight,
            "out_proj.bias": block.join.bias,
        }
    )
    normed = block.norm_attention(x)
    after = x + reference(normed, normed, normed)[0]
    torch.testing.assert_close(block(x), after + block.mlp(block.norm_mlp(after)))


def test_the_transformer_starts_switched_off_and_its_places_matter_once_on():
    network = PixelTransformer(4, 8, 2, 1)
    x = torch.randn(1, 4, 3, 3)
    assert torch.equal(
        network.blocks[0](x.flatten(2)[:, :, :8].contiguous()), x.flatten(2)[:, :, :8]
    )
    flat = torch.ones(1, 4, 3, 3)
    made, style = network(flat)
    assert style.shape == (1, 8)
    assert made[0, :, 0, 0].sub(made[0, :, 2, 2]).abs().max() > 1e-3


def test_the_picture_reaches_the_transformer_and_the_canvas():
    """Without norms, small weights would let it die out on the way down."""
    torch.manual_seed(0)
    network = UNetViT(3, 3, filters=8, levels=4, features=16, heads=2, blocks=1)
    seen = []
    network.transformer.register_forward_hook(lambda m, given, made: seen.append(given[0]))
    made = network(torch.rand(2, 3, 64, 64) * 2 - 1)
    assert 0.05 < seen[0].std() < 20
    assert 0.02 < made.std() < 0.9


def test_the_style_that_leaves_the_transformer_steers_the_decoder():
    torch.manual_seed(0)
    network, x = tiny(), torch.rand(1, 3, 16, 16)
    for name, parameter in network.named_parameters():
        if name.endswith("alpha"):
            torch.nn.init.constant_(parameter, 1.0)
    before = network(x)
    network.transformer.register_forward_hook(lambda m, given, made: (made[0], made[1] + 1))
    assert not torch.allclose(network(x), before, atol=1e-3)


def test_the_style_is_the_learned_token_and_not_a_pixel():
    """With the blocks switched off, what leaves as style is what was learned, for any image."""
    network = PixelTransformer(4, 8, 2, 1)
    for x in (torch.rand(2, 4, 3, 3), torch.zeros(2, 4, 5, 5)):
        torch.testing.assert_close(network(x)[1], network.style[:, 0].expand(2, -1))


def test_images_of_a_batch_do_not_see_each_other_in_the_generator():
    network, x = tiny().eval(), torch.rand(2, 3, 16, 16)
    torch.testing.assert_close(network(x)[:1], network(x[:1]))


def test_every_convolution_of_the_discriminators_body_has_spectral_norm_one():
    torch.manual_seed(0)
    D = BatchHeadDiscriminator(3, filters=4, layers=2).train()
    x = torch.rand(2, 3, 32, 32)
    for _ in range(100):
        D(x)
    D.eval()
    checked = 0
    for module in D.body:
        if isinstance(module, torch.nn.Conv2d):
            largest = torch.linalg.svdvals(module.weight.flatten(1))[0]
            assert largest.item() == pytest.approx(1, rel=1e-2)
            checked += 1
    assert checked == 3
    assert not hasattr(D.head[1], "parametrizations")
