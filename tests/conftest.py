"""One thread per test process: tiny networks gain nothing from more."""

import torch

torch.set_num_threads(1)
