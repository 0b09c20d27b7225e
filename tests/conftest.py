"""For every test process: one thread, as tiny networks gain nothing from more, and its own cache.

A cache that outlives the tests would answer for code that has changed since. The Hub is never asked
for what looks like a repository and is a path that isn't there.
"""

import os
import signal
import tempfile

import torch

torch.set_num_threads(1)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # under nohup; what is started inherits it
    signal.signal(signal.SIGINT, signal.default_int_handler)
_cache = tempfile.TemporaryDirectory(prefix="unpaired-tests-")
os.environ["UNPAIRED_CACHE"] = _cache.name
os.environ["HF_HUB_OFFLINE"] = "1"  # before anything imports huggingface_hub
