"""The outputs of a method's network for each image and pair, as the method declares them.

The dump keeps these arrays, and `evaluate` makes a factor of the score of each. Neither needs the method's code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from pipeline.core.vocabulary import Vocabulary

Link = Literal["sigmoid", "softmax", "category_softmax", "exp"]


@dataclass(frozen=True)
class OutputColumn:
    """One array, float32.

    Attributes:
        name: of the array, in the network's outputs and in the dump.
        per: "image" (a row an image) or "pair" (a row a human-object pair).
        classes: columns of a row: "hois", "verbs", or None for one number.
        factor: name of the factor of the score that it becomes; `evaluate.weights` gives each its exponent.
        link: from the array to the factor: "sigmoid" of logits; "softmax", sigmoid(maximum over the image's pairs)
            times the softmax over them (sec. 3.2.5); "category_softmax", the same over its pairs of each object
            category; "exp" of logarithms.
    """

    name: str
    per: Literal["image", "pair"]
    classes: Literal["hois", "verbs"] | None
    factor: str
    link: Link = "sigmoid"

    def __post_init__(self) -> None:
        if self.per not in ("image", "pair") or self.classes not in ("hois", "verbs", None):
            raise ValueError(
                f"column {self.name}: per {self.per}, classes {self.classes}; expected rows per image or pair"
            )
        if self.link not in get_args(Link):
            raise ValueError(f"column {self.name}: link {self.link}; expected one of {', '.join(get_args(Link))}")

    def width(self, vocabulary: Vocabulary) -> tuple[int, ...]:
        """Shape of one row."""
        if self.classes is None:
            return ()
        return (vocabulary.num_hois if self.classes == "hois" else vocabulary.num_verbs,)
