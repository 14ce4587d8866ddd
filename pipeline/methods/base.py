"""What every method offers: a network, the losses that train it, and what of its outputs is kept and scored.

I images, N proposals, M pairs, A verbs, H HOI classes, D embedding width. A method is one file or folder here, or a
module of yours: a subclass of `Method` under the name `METHOD`, and the dataclass of its settings as `METHOD.Params`.
The network never sees labels; the losses see them at image level only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from pipeline.backbones.base import Backbone
from pipeline.backbones.clip_text import ClipText
from pipeline.core.bags import BagBatch
from pipeline.core.errors import ParamError
from pipeline.core.names import name_fault
from pipeline.core.outputs import OutputColumn
from pipeline.core.vocabulary import Vocabulary
from pipeline.methods.image_labels import LabeledClasses
from pipeline.methods.pairing import PairIndex

_OWN_LOSSES = ("iteration", "epoch", "loss")  # further columns of the training log
_TRAINING_ONLY = ("teacher.", "text_encoder.")  # modules of a network that no checkpoint keeps
_OWN_FACTORS = ("detector", "times")  # of every score, whatever the method
Outputs = dict[str, Tensor]  # of a network, by name: the declared columns, and what its losses and `represent` read


@dataclass(frozen=True)
class Parts:
    """What a network is built from.

    Attributes:
        backbone: the visual encoder, pretrained or not.
        bank: initial knowledge bank W_T, float32 [H, D], unit rows.
        object_bank: embeddings of the sentences of object categories, float32 [C, D], unit rows.
        verb_bank: embeddings of the sentences of verbs, float32 [A, D], unit rows.
        logit_scale: CLIP's temperature as a logarithm.
        vocabulary: HOI classes and the human category.
        teacher: a second backbone, where `Method.needs_teacher` asks for it in training; None elsewhere.
        text_encoder: CLIP's text encoder over the sentences of verbs, where `Method.needs_text_encoder` asks for it in
            training; None elsewhere.
    """

    backbone: Backbone
    bank: Tensor
    object_bank: Tensor
    verb_bank: Tensor
    logit_scale: float
    vocabulary: Vocabulary
    teacher: Backbone | None = None
    text_encoder: ClipText | None = None


class HoiNetwork(nn.Module, ABC):
    """A method's network.

    Attributes:
        backbone: the visual encoder, whose pretrained parameters train at their own learning rate.
        not_decayed: names of matrices that weight decay leaves alone, since they are no layer's weights.
    """

    backbone: Backbone
    not_decayed: ClassVar[frozenset[str]] = frozenset({"bank"})

    @abstractmethod
    def forward(self, batch: BagBatch, pairs: PairIndex) -> Outputs:
        """Return the outputs of a ragged batch: every declared column, [I, *] or [M, *], and what losses read.

        What is computed of each pair by itself can go through `pair_chunks.over_pairs`: memory then hardly grows with
        the pairs of a crowd.

        "representation" [M, D], where a method has one, is what `represent` keeps of a pair.
        """


@dataclass(frozen=True)
class BatchCounts:
    """What losses divide by: counts of the whole batch, of which a rank may hold a part.

    Attributes:
        images: I.
        bags: images that have a pair, a number or an int64 scalar.
        labels: ones in `BagBatch.labels`, likewise.
    """

    images: int
    bags: int | Tensor
    labels: int | Tensor


class Losses(nn.Module, ABC):
    """A method's loss terms.

    Each is summed over its classes or pairs and divided by counts of the whole batch. Where ranks share a batch, each
    rank sums over its own images, so that the ranks' terms add up to the batch's.

    Attributes:
        progress: part of all iterations that is done, 0..1; training sets it before each step.
    """

    progress: float = 1.0

    @abstractmethod
    def forward(self, outputs: Outputs, batch: BagBatch, pairs: PairIndex, whole: BatchCounts) -> dict[str, Tensor]:
        """Return the terms by name, in the order of `Method.loss_names`: scalars, not yet weighted."""


class Method(ABC):
    """A method with its settings: says what it needs, builds network and losses, and declares its outputs.

    Attributes:
        needs_teacher: build the backbone a second time, frozen, for the losses.
        needs_text_encoder: training changes the sentences of verbs.
        needs_proposals: train on pairs of proposals; without, on images and their labels alone.
        needs_class_probabilities: batches hold the detector's probability of each category.
        needs_gradients: the outputs at inference come from gradients; parameters that need none should ask for none.
        takes_boxes: the losses read `pair_labels`, where `train.supervision` asks for annotated boxes.
        couples_images: the losses compare images of a batch, or keep statistics of it, so that a part of a batch cannot
            be computed by itself (`execution.micro_batch`).
        separates_supervision: where some images have boxes, a batch holds images of one kind, with boxes or without,
            and the optimizer keeps moments of its own for each kind.
    """

    Params: ClassVar[type]
    needs_teacher: bool = False
    needs_text_encoder: bool = False
    needs_proposals: bool = True
    needs_class_probabilities: bool = False
    needs_gradients: bool = False
    takes_boxes: bool = False
    couples_images: bool = False
    separates_supervision: bool = False

    def __init__(self, params: Any) -> None:
        self.params = params

    @property
    @abstractmethod
    def columns(self) -> tuple[OutputColumn, ...]:
        """What the dump keeps and `evaluate` scores by."""

    @property
    @abstractmethod
    def loss_names(self) -> tuple[str, ...]:
        """Loss terms; log, plots and `train.loss_weights` follow them."""

    @abstractmethod
    def build(self, parts: Parts) -> HoiNetwork:
        """Return the network before training; random weights come from torch's global generator."""

    @abstractmethod
    def losses(self, classes: LabeledClasses) -> Losses:
        """Return the loss terms; classes that are unseen in training add to none."""

    def calibrate(  # noqa: B027 (a method without anything to set needs none)
        self, network: Any, batches: Iterable[BagBatch], label_rate: float
    ) -> None:
        """Set what depends on data before the first step, in evaluation mode without gradients; nothing by default.

        Args:
            batches: a few batches of the training set, on the network's device.
            label_rate: mean of the image-level labels.
        """


def declaration_faults(method: Method) -> list[str]:
    """What is wrong with the names that a method declares; they become columns of the log and names of files."""
    faults = []
    for what, names, taken in (
        ("loss", method.loss_names, _OWN_LOSSES),
        ("column", [column.name for column in method.columns], ()),
        ("factor", [column.factor for column in method.columns], _OWN_FACTORS),
    ):
        faults += [f'{what} "{name}" is declared twice' for name, count in Counter(names).items() if count > 1]
        faults += [
            f'{what} "{name}" is a name of the pipeline itself; choose another' for name in names if name in taken
        ]
        faults += [f"{what} {name!r}: expected {fault}" for name in names if (fault := name_fault(name))]
    return faults


def check_losses(terms: Mapping[str, Tensor], declared: Iterable[str]) -> None:
    """Refuse loss terms that are not those of `Method.loss_names`.

    Raises:
        ParamError: names what the method declares, and what its losses return.
    """
    if terms.keys() != set(declared):
        raise ParamError(
            f"model.method: the losses return {', '.join(terms) or 'nothing'}, but the method declares the loss_names "
            f"{', '.join(declared) or 'nothing'}; make them agree"
        )


def check_columns(
    outputs: Mapping[str, Tensor], batch: BagBatch, pairs: PairIndex, method: Method, vocabulary: Vocabulary
) -> None:
    """Refuse outputs of a batch that are not what the method declares.

    Raises:
        ParamError: names the first column that is missing, or of another shape.
    """
    for column in method.columns:
        if column.name not in outputs:
            raise ParamError(
                f"model.method: the network returns {', '.join(outputs) or 'nothing'}, but the method declares the "
                f'column "{column.name}"; make them agree'
            )
        rows = len(batch) if column.per == "image" else len(pairs)
        found, expected = tuple(outputs[column.name].shape), (rows, *column.width(vocabulary))
        if found != expected:
            classes = "one number" if column.classes is None else column.classes
            raise ParamError(
                f'model.method: column "{column.name}" has shape {found}, expected {expected} '
                f"({classes} per {column.per}); make them agree"
            )


def trained_state(network: HoiNetwork) -> dict[str, Tensor]:
    """Parameters and buffers that inference needs: all but those of a teacher and of a text encoder."""
    return {name: value for name, value in network.state_dict().items() if not name.startswith(_TRAINING_ONLY)}


def at_least_one(count: int | Tensor) -> int | Tensor:
    """A count that can be divided by; a tensor stays on its device."""
    return count.clamp(min=1) if isinstance(count, Tensor) else max(count, 1)
