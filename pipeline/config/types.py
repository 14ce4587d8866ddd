"""Types of parameters: a Python type and a check of the value.

A check raises ValueError with what is expected; the message for the user ends with that text.
"""

from __future__ import annotations

import string
import unicodedata
from typing import Annotated, TypeVar

from pydantic import AfterValidator, ConfigDict, Strict

from pipeline.core.errors import did_you_mean
from pipeline.core.names import MAX_SEED, name_fault

Number = TypeVar("Number", int, float)
_TEMPLATE_FIELDS = ("verb", "verb_base", "object")  # a template needs one of them, else all classes share a sentence


class KnownKeys:
    """Base of sections that hold the keys of their class and no others."""

    __pydantic_config__ = ConfigDict(extra="forbid")


def within(low: Number, high: Number) -> AfterValidator:
    """Require a number in [low, high]. Limits are far beyond use: they catch typing errors before memory fills up."""

    def check(value: Number) -> Number:
        if not low <= value <= high:  # NaN is not
            raise ValueError(f"{low} to {high}")
        return value

    return AfterValidator(check)


def _check_text(text: str) -> str:
    if not text.strip() or any(unicodedata.category(letter) in ("Cc", "Cs") for letter in text):
        raise ValueError("text that is not empty and without control characters")
    return text


def placeholders(*known: str) -> AfterValidator:
    """Require text whose {placeholders} are all in `known`."""

    def check(text: str) -> str:
        expected = " or ".join(f"{{{name}}}" for name in known) or "none"
        try:
            found = [parts[1:] for parts in string.Formatter().parse(text) if parts[1] is not None]
        except ValueError as error:
            raise ValueError(f"braces that match ({error})") from None
        for name, *form in found:
            if name not in known or any(form):
                raise ValueError(f"as placeholders {expected}{did_you_mean(str(name), known)}")
        return text

    return AfterValidator(check)


def _check_template(text: str) -> str:
    if not any(f"{{{name}}}" in text for name in _TEMPLATE_FIELDS):
        raise ValueError(f"one of {{{'}, {'.join(_TEMPLATE_FIELDS)}}} in it, else all classes share one sentence")
    return text


def _check_variant_name(name: str) -> str:
    if fault := name_fault(name):
        raise ValueError(fault)
    return name


Switch = Annotated[bool, Strict()]
Whole = Annotated[int, Strict()]
Real = Annotated[float, Strict()]  # whole numbers too
Fraction = Annotated[Real, within(0, 1)]
Weight = Annotated[Real, within(0, 1e6)]
Seed = Annotated[Whole, within(0, MAX_SEED)]
BatchSize = Annotated[Whole, within(1, 4096)]
PartSize = Annotated[Whole, within(1, 1_000_000)]
MaxProposals = Annotated[Whole, within(2, 1000)]
Text = Annotated[str, AfterValidator(_check_text)]
Template = Annotated[Text, AfterValidator(_check_template)]
VariantName = Annotated[str, AfterValidator(_check_variant_name)]
