"""What `prepare` and `label-captions` share: the captions that `prepare` of params.yaml names, to labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.captions.caption_labels import CaptionLabels, label_captions
from pipeline.config.layout import Layout
from pipeline.core.errors import DataError, ParamError
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.split import SplitManifest
from pipeline.store.stage_run import StageRun
from pipeline.truth.params import DRAWN_CAPTIONS, PrepareParams
from stages._command import say


def check_captions(params: PrepareParams, layout: Layout) -> None:
    """Refuse settings of captions that say nothing, and files that are not there, before images are opened.

    Raises:
        ParamError: names the setting.
        DataError: names the file.
    """
    dataset = layout.dataset
    if params.labels == "captions" and params.captions is None:
        raise ParamError(
            f"{dataset}.prepare.captions is null; expected a file of captions, since prepare.labels is captions"
        )
    if params.synonyms is not None and params.captions is None:
        raise ParamError(f"{dataset}.prepare.synonyms is of captions, but prepare.captions is null; name their file")
    if params.captions == DRAWN_CAPTIONS and params.reader != "toyworld":
        raise ParamError(
            f"{dataset}.prepare.captions is {DRAWN_CAPTIONS}, which is for the reader toyworld; expected a file"
        )
    for name in ("captions", "synonyms"):
        path = getattr(params, name)
        if path not in (None, DRAWN_CAPTIONS) and not (layout.root / path).exists():
            raise DataError(f"{layout.root / path}: does not exist; {dataset}.prepare.{name} in params.yaml names it")


def caption_labels(
    stage: StageRun,
    params: PrepareParams,
    train: SplitManifest,
    others: Sequence[SplitManifest],
    vocabulary: Vocabulary,
) -> CaptionLabels:
    """Label the training images by their captions, note the files as inputs, and print one line of figures."""
    path = _captions_path(params, stage.layout)
    synonyms = None if params.synonyms is None else stage.layout.root / params.synonyms
    found = label_captions(path, synonyms, train, others, vocabulary)
    stage.note(*(file for file in (path, synonyms) if file is not None and file != stage.layout.drawn_captions))
    say(found.summary)
    return found


def _captions_path(params: PrepareParams, layout: Layout) -> Path:
    assert params.captions is not None  # checked before
    return layout.drawn_captions if params.captions == DRAWN_CAPTIONS else layout.root / params.captions
