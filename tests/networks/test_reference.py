"""Generators of the authors' code are recognised by their weights alone, and compute the same."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.networks.foreign import aged, resnet, unet
from unpaired.networks.layout import build
from unpaired.networks.places import Unrecognised, as_ours
from unpaired.networks.reference import norm_of, parts, recognise


def found(state: dict[str, Tensor], norm=None):
    """The layout and our network of a file's only network."""
    [names] = parts(state).values()
    weights = {key: state[name] for key, name in names.items()}
    layout = recognise({key: tuple(tensor.shape) for key, tensor in weights.items()}, norm)
    network = build(layout)
    network.load_state_dict(as_ours(weights, layout), strict=True)
    return layout, network.eval()


@torch.no_grad()
def assert_same(theirs: nn.Module, ours: nn.Module, channels: int = 3, side: int = 64) -> None:
    x = torch.rand(1, channels, side, side, generator=torch.Generator().manual_seed(3)) * 2 - 1
    expected = theirs(x)
    assert expected.std() > 0.05  # no flat grey that anything would equal
    assert (ours(x) - expected).abs().max() <= 1e-5


RESNETS = {
    "as published": ({}, {"norm": "instance", "bias": True}),
    "6 blocks": ({"blocks": 6}, {"depth": 6}),
    "9 blocks": ({"blocks": 9, "k": 2}, {"depth": 9, "filters": 2}),
    "no blocks": ({"blocks": 0}, {"depth": 0}),
    "dropout": ({"dropout": True}, {"dropout": True}),
    "affine": ({"norm": "affine"}, {"norm": "instance-affine"}),
    "affine, no biases": (
        {"norm": "affine", "bias": False},
        {"norm": "instance-affine", "bias": False},
    ),
    "affine, dropout": ({"norm": "affine", "dropout": True}, {"dropout": True}),
    "batch norm": ({"norm": "batch"}, {"norm": "batch", "bias": False, "statistics": True}),
    "batch norm, biases": ({"norm": "batch", "bias": True}, {"norm": "batch", "bias": True}),
    "batch norm, dropout": ({"norm": "batch", "dropout": True}, {"norm": "batch"}),
    "no norm": ({"norm": "none"}, {"norm": "none", "bias": False}),
    "grey to colour": ({"ends": (1, 3)}, {"channels_in": 1, "channels_out": 3}),
    "colour to grey": ({"ends": (3, 1)}, {"channels_in": 3, "channels_out": 1}),
    "CUT": ({"down": True, "up": True}, {"blur_down": True, "blur_up": True}),
    "CUT, 9 blocks, dropout": (
        {"down": True, "up": True, "blocks": 9, "dropout": True, "k": 2},
        {"blur_down": True, "depth": 9, "dropout": True},
    ),
    "CUT --no_antialias": ({"up": True}, {"blur_down": False, "blur_up": True}),
    "CUT --no_antialias_up": ({"down": True}, {"blur_down": True, "blur_up": False}),
    "CUT, batch norm": ({"down": True, "up": True, "norm": "batch"}, {"norm": "batch"}),
}


@pytest.mark.parametrize("name", RESNETS)
def test_every_resnet_is_recognised_and_computes_the_same(name):
    torch.manual_seed(0)
    options, expected = RESNETS[name]
    theirs = resnet(**options)
    layout, ours = found(theirs.state_dict())
    assert layout.kind == "resnet"
    assert {field: getattr(layout, field) for field in expected} == expected
    assert_same(theirs, ours, layout.channels_in)


UNETS = {
    "instance norm": ({"norm": "instance"}, {"norm": "instance", "bias": True}),
    "unet_128": ({"norm": "instance", "depth": 7}, {"depth": 7}),
    "unet_256": ({"norm": "affine", "depth": 8}, {"depth": 8, "norm": "instance-affine"}),
    "dropout": ({"norm": "instance", "depth": 6, "dropout": True}, {"depth": 6, "dropout": False}),
    "no norm": ({"norm": "none"}, {"norm": "none", "bias": False}),
    "grey": ({"norm": "instance", "ends": (1, 2)}, {"channels_in": 1, "channels_out": 2}),
}


@pytest.mark.parametrize("name", UNETS)
def test_every_unet_is_recognised_and_computes_the_same(name):
    torch.manual_seed(0)
    options, expected = UNETS[name]
    theirs = unet(**options)
    layout, ours = found(theirs.state_dict())
    assert layout.kind == "unet"
    assert {field: getattr(layout, field) for field in expected} == expected
    assert layout.size == 2**layout.depth
    assert_same(theirs, ours, layout.channels_in, side=max(64, layout.size))


def test_a_unet_with_batch_norm_norms_by_the_picture_at_hand_as_its_paper_says():
    torch.manual_seed(0)
    theirs = unet("batch", depth=6)
    layout, ours = found(theirs.state_dict())
    assert layout.norm == "instance-affine"
    assert layout.statistics
    assert "running statistics not used" in layout.in_words()
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train()  # statistics of the batch, here of one picture
    assert_same(theirs, ours)
    layout, ours = found(theirs.state_dict(), norm="batch")
    assert layout.norm == "batch"
    assert_same(theirs.eval(), ours)


@pytest.mark.parametrize("norm", ["instance", "affine"])
@pytest.mark.parametrize("make", [resnet, unet])
def test_running_statistics_of_old_instance_norms_are_not_used(norm, make):
    torch.manual_seed(0)
    theirs = make(norm)
    # weights and statistics look like batch norm's: who knows better can say so
    asked = "instance-affine" if norm == "affine" else None
    layout, ours = found(aged(theirs), asked)
    assert layout.statistics
    assert_same(theirs, ours)


def test_who_knows_of_an_instance_norm_without_biases_can_say_so():
    torch.manual_seed(0)
    theirs = resnet("instance", bias=False)
    assert found(theirs.state_dict())[0].norm == "none"
    assert_same(theirs, found(theirs.state_dict(), norm="instance")[1])


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.module.", "netG.", "a.b."])
def test_what_names_begin_with_counts_for_nothing(prefix):
    theirs = resnet()
    state = {f"{prefix}{name}": tensor for name, tensor in theirs.state_dict().items()}
    assert_same(theirs, found(state)[1])


def test_blocks_may_be_called_otherwise():
    theirs = resnet("affine")
    state = {name.replace("conv_block", "block"): t for name, t in theirs.state_dict().items()}
    assert_same(theirs, found(state)[1])


def test_counts_of_batches_may_be_missing():
    theirs = resnet("batch")
    state = {n: t for n, t in theirs.state_dict().items() if not n.endswith("tracked")}
    assert len(state) < len(theirs.state_dict())
    assert_same(theirs, found(state)[1])


def test_filters_that_are_not_cut_s_are_refused():
    state = resnet(down=True, up=True).state_dict()
    for name in [name for name in state if name.endswith("filt")]:
        changed = {**state, name: state[name].flip(0) * 1.1}
        with pytest.raises(Unrecognised, match="are not CUT's"):
            found(changed)


def test_the_rule_of_norms():
    def rule(kind: str, affine: int, statistics: int, bias: int) -> str:
        return norm_of(kind, affine=bool(affine), statistics=bool(statistics), bias=bool(bias))

    for kind in ("resnet", "unet"):
        assert rule(kind, 0, 0, 0) == "none"
        assert rule(kind, 0, 0, 1) == rule(kind, 0, 1, 0) == rule(kind, 0, 1, 1) == "instance"
        assert rule(kind, 1, 0, 0) == rule(kind, 1, 0, 1) == "instance-affine"
    assert rule("resnet", 1, 1, 0) == rule("resnet", 1, 1, 1) == "batch"
    assert rule("unet", 1, 1, 0) == rule("unet", 1, 1, 1) == "instance-affine"
    for asked, affine, statistics in (
        ("instance", True, True),
        ("batch", True, False),
        ("batch", False, True),
        ("instance-affine", False, False),
    ):
        with pytest.raises(Unrecognised, match="its weights allow"):
            norm_of("resnet", affine=affine, statistics=statistics, bias=True, asked=asked)


SMALL = {
    "resnet": resnet("affine", k=1, blocks=1).state_dict(),
    "CUT": resnet("instance", k=1, blocks=1, down=True, up=True).state_dict(),
    "unet": unet("batch", k=1).state_dict(),
}


@pytest.mark.parametrize("name", SMALL)
def test_one_weight_more_or_less_or_of_another_shape_is_not_recognised(name):
    [names] = parts(SMALL[name]).values()
    shapes = {key: tuple(SMALL[name][given].shape) for key, given in names.items()}
    recognise(shapes)
    for key in shapes:
        less = {other: shape for other, shape in shapes.items() if other != key}
        for changed in (less, {**shapes, key: (*shapes[key], 1)}, {**shapes, key: ()}):
            with pytest.raises(Unrecognised):
                recognise(changed)
    for key in (((99,), "weight"), ((1,), "scale"), ((1, 2, 3), "bias")):
        with pytest.raises(Unrecognised):
            recognise({**shapes, key: (1,)})


def test_what_was_found_is_said():
    with pytest.raises(Unrecognised, match=r"begins with 0\.weight 64x3x3x3.*known are the ResNet"):
        found({"features.0.weight": torch.zeros(64, 3, 3, 3)})
    discriminator = {
        "model.0.weight": torch.zeros(64, 3, 4, 4),
        "model.2.weight": torch.zeros(128, 64, 4, 4),
    }
    with pytest.raises(Unrecognised, match="discriminator"):
        found(discriminator)
    other = {n: t for n, t in resnet().state_dict().items() if n != "model.4.weight"}
    with pytest.raises(Unrecognised, match=r"ResNet of 2 blocks.*4\.weight is missing"):
        found(other)
    state = resnet().state_dict()
    [names] = parts(state).values()
    huge = {key: (5000, *state[name].shape[1:]) for key, name in names.items()}
    with pytest.raises(Unrecognised, match="filters is 5000, not from 1 to 4096; known are"):
        recognise(huge)


keys = st.tuples(
    st.lists(st.integers(0, 12), min_size=1, max_size=3).map(tuple),
    st.sampled_from(["weight", "bias", "filt", "running_mean"]),
)
shapes_ = st.lists(st.sampled_from([0, 1, 3, 4, 7, 2**40]), max_size=4).map(tuple)
starts = st.sampled_from([{}, {((1,), "weight"): (4, 3, 7, 7)}, {((0,), "weight"): (4, 3, 4, 4)}])


@settings(max_examples=200, deadline=None)
@given(starts, st.dictionaries(keys, shapes_, max_size=8))
def test_any_shapes_are_refused_in_words(start, more):
    with pytest.raises(Unrecognised):
        recognise({**start, **more})
