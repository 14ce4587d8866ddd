"""Imports all that any stage imports, and digests the code of the resumable ones, in one thread."""

import pkgutil
import warnings

import torch

from pipeline.store.source_files import code_digest

torch.set_num_threads(1)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    for package in ("pipeline", "stages"):
        for module in pkgutil.walk_packages([package], f"{package}."):
            __import__(module.name)
    for name in ("matplotlib.pyplot", "sklearn.manifold", "torchvision.ops"):
        __import__(name)
code_digest("stages.train")
for module in ("pipeline.detection.proposals", "pipeline.inference.jobs"):
    code_digest(module, "pipeline.store.engine")
