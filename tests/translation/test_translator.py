import numpy as np
import PIL.Image
import pytest
import torch

from tests.translation.fakes import card, negative, noise
from unpaired.errors import UserError
from unpaired.methods.cyclegan import CycleGAN, CycleGANConfig
from unpaired.networks import DiscriminatorConfig, GeneratorConfig
from unpaired.training.precision import Precision
from unpaired.translation.base import padding
from unpaired.translation.network import TorchTranslator


def tiny(precision: Precision = "fp32", **generator: object) -> TorchTranslator:
    torch.manual_seed(0)
    settings = CycleGANConfig(
        filters=8,
        blocks=2,
        generator=GeneratorConfig(init="kaiming", **generator),  # type: ignore[arg-type]
        discriminator=DiscriminatorConfig(filters=2, layers=1),
    )
    method = CycleGAN(settings, channels_x=3, channels_y=3, size=16).eval()
    about = card(multiple=method.multiple)
    return TorchTranslator(method, about, torch.device("cpu"), precision)


@pytest.mark.parametrize(
    ("height", "width"), [(1, 1), (1, 40), (3, 5), (15, 17), (16, 16), (33, 62)]
)
def test_output_has_the_size_of_the_input_whatever_that_is(height: int, width: int) -> None:
    pixels = noise(height, width)
    np.testing.assert_array_equal(negative()(pixels), 255 - pixels)
    assert tiny()(pixels).shape == pixels.shape


def test_an_image_that_needs_no_padding_is_what_the_network_gives() -> None:
    translator, pixels = tiny(), noise(20, 24)
    unit = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.no_grad():
        expected = (translator.method.translate(unit, "x2y")[0].permute(1, 2, 0) + 1) * 127.5
    assert np.abs(translator(pixels) - expected.clamp(0, 255).numpy()).max() < 0.51


def test_padding_reaches_the_multiple_and_the_smallest_side() -> None:
    assert padding(17, 4, 16) == 3
    assert padding(16, 4, 16) == 0
    assert padding(1, 4, 16) == 15
    assert padding(1, 256, 256) == 255
    assert padding(10, 1, 16) == 6


def test_both_directions_differ_and_an_unknown_one_is_a_user_error() -> None:
    pixels = noise(16, 16)
    translator = negative()
    np.testing.assert_array_equal(translator(pixels, "y2x"), pixels)
    np.testing.assert_array_equal(translator(pixels), translator(pixels, "x2y"))
    with pytest.raises(UserError, match="x2y and y2x"):
        translator(pixels, "a2b")
    with pytest.raises(UserError, match="translates x2y"):
        negative(directions=("x2y",))(pixels, "y2x")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_batch_gives_the_same_pixels_as_one_by_one(precision: Precision) -> None:
    translator = tiny(precision)
    images = [noise(20, 22, seed=i) for i in range(7)]
    for alone, together in zip([translator(image) for image in images], translator(images)):
        np.testing.assert_array_equal(alone, together)


def test_a_sequence_of_many_sizes_keeps_its_order_and_makes_one_batch_per_size() -> None:
    translator = negative()
    images = [noise(16, 16), noise(20, 16), noise(16, 16, seed=1)]
    for image, translated in zip(images, translator(images)):
        np.testing.assert_array_equal(translated, 255 - image)
    assert translator.method.seen == [(2, 3, 16, 16), (1, 3, 20, 16)]
    assert translator([]) == []


def test_sizes_that_are_padded_to_one_share_a_batch_and_get_the_pixels_of_one_by_one() -> None:
    translator, images = tiny(), [noise(17, 20), noise(20, 18, seed=1), noise(20, 20, seed=2)]
    alone = [translator(image) for image in images]
    shapes: list[tuple[int, ...]] = []
    run = translator.run
    translator.run = lambda batch, way: (shapes.append(batch.shape), run(batch, way))[1]  # type: ignore[method-assign]
    for one, image, together in zip(alone, images, translator(images)):
        assert together.shape == image.shape
        np.testing.assert_array_equal(one, together)
    assert shapes == [(3, 20, 20, 3)]


def test_pillow_images_of_every_mode_come_back_as_pillow_images() -> None:
    translator = negative()
    rgb = PIL.Image.fromarray(noise(10, 12))
    for mode in ("RGB", "L", "1", "P", "CMYK", "LA", "RGBA", "I;16"):
        image = PIL.Image.new("I;16", (12, 10)) if mode == "I;16" else rgb.convert(mode)
        translated = translator(image)
        assert translated.size == (12, 10)
        assert translated.mode == ("RGBA" if mode in ("LA", "RGBA") else "RGB")


def test_alpha_is_carried_over_and_hidden_colours_do_not_matter() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (9, 7, 4), dtype=np.uint8)
    pixels[..., 3] = rng.choice([0, 255], (9, 7))
    other = pixels.copy()
    other[pixels[..., 3] == 0, :3] = 7
    one = np.asarray(negative()(PIL.Image.fromarray(pixels)))
    two = np.asarray(negative()(PIL.Image.fromarray(other)))
    np.testing.assert_array_equal(one[..., 3], pixels[..., 3])
    np.testing.assert_array_equal(one, two)
    visible = pixels[..., 3] == 255
    np.testing.assert_array_equal(one[visible][:, :3], 255 - pixels[visible][:, :3])


def test_orientation_is_applied_once() -> None:
    image = PIL.Image.fromarray(noise(10, 12))
    image.getexif()[274] = 6
    upright = negative()(image)
    assert upright.size == (10, 12)
    assert 274 not in upright.getexif()
    np.testing.assert_array_equal(np.asarray(upright), 255 - np.rot90(np.asarray(image), -1))


def test_grey_and_colour_are_converted_as_the_domain_needs() -> None:
    to_grey = negative(channels_y=1)
    assert to_grey(PIL.Image.fromarray(noise(8, 8))).mode == "L"
    assert to_grey(noise(8, 8, 1)).shape == (8, 8, 1)
    assert to_grey(noise(8, 8, 1), "y2x").shape == (8, 8, 3)
    with pytest.raises(UserError, match="channels"):
        to_grey(noise(8, 8, 5))


def test_sixteen_bits_in_and_out() -> None:
    deep = negative(channels_x=1, channels_y=1, dtype_x="uint16", dtype_y="uint16")
    pixels = np.random.default_rng(0).integers(0, 65536, (9, 9, 1), dtype=np.uint16)
    np.testing.assert_array_equal(deep(pixels), 65535 - pixels)
    image = PIL.Image.fromarray(pixels[..., 0])
    translated = deep(image)
    assert translated.mode == "I;16"
    np.testing.assert_array_equal(np.asarray(translated), 65535 - pixels[..., 0])
    mixed = negative(dtype_y="uint16")
    assert mixed(noise(8, 8)).dtype == np.uint16
    np.testing.assert_array_equal(mixed(noise(8, 8)), (255 - noise(8, 8).astype(int)) * 257)
    with pytest.raises(UserError, match="numpy"):
        mixed(PIL.Image.fromarray(noise(8, 8)))


@pytest.mark.parametrize("wrong", ["photo.png", [1], np.zeros((4, 4, 3)), np.zeros((4, 4))])
def test_other_things_are_a_type_error(wrong: object) -> None:
    with pytest.raises(TypeError, match="give"):
        negative()(wrong)


def test_a_resize_network_and_a_u_net_translate_odd_sizes_too() -> None:
    assert tiny(upsample="resize")(noise(21, 9)).shape == (21, 9, 3)
    assert tiny(kind="unet", depth=3)(noise(21, 9)).shape == (21, 9, 3)
    assert tiny(downsamplings=0)(noise(2, 2)).shape == (2, 2, 3)
