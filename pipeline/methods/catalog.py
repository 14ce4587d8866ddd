"""Methods by name: every file or folder of this room that defines `METHOD`, or a module of yours by its dotted name."""

from __future__ import annotations

from pipeline import methods
from pipeline.core.plugins import load_plugin
from pipeline.methods.base import Method


def method_class(name: str) -> type[Method]:
    """Return the method that `model.method` names.

    Raises:
        ParamError: there is none of that name.
    """
    return load_plugin(methods, name, "METHOD", "model.method")
