"""Imports everything that any stage imports, in one thread."""

import pkgutil
import warnings

import torch

torch.set_num_threads(1)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    for package in ("pipeline", "stages"):
        for module in pkgutil.walk_packages([package], f"{package}."):
            __import__(module.name)
    for name in ("matplotlib.pyplot", "sklearn.manifold", "torchvision.ops"):
        __import__(name)
