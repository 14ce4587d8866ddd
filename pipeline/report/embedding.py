"""What the t-SNE pictures of App. A and D show: a sample of labelled pairs, and their places in the plane."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from pipeline.core.seeding import numpy_generator
from pipeline.core.types import IntArray
from pipeline.report.params import TsneParams


def sample_pairs(labels: IntArray, params: TsneParams) -> IntArray:
    """Rows of at most `num_classes` HOI classes, at most `samples_per_class` of each, at random, int64, ascending.

    Args:
        labels: HOI class of each pair, int64 [M]; -1 is never drawn.
    """
    shown = np.unique(labels[labels >= 0])
    if len(shown) > params.num_classes:
        shown = numpy_generator(params.seed, "tsne", "classes").choice(shown, params.num_classes, replace=False)
    rows = [np.zeros(0, np.int64)]
    for hoi_id in np.sort(shown).tolist():
        members = np.flatnonzero(labels == hoi_id)
        if len(members) > params.samples_per_class:
            generator = numpy_generator(params.seed, "tsne", "samples", hoi_id)
            members = generator.choice(members, params.samples_per_class, replace=False)
        rows.append(members)
    return np.sort(np.concatenate(rows))


def project(points: NDArray[np.floating], params: TsneParams) -> NDArray[np.float64]:
    """t-SNE (van der Maaten & Hinton, 2008) of points [n, D] to [n, 2], started from their principal components.

    One thread: the order of its sums, and with it the picture, would otherwise depend on the number of cores. With few
    points the perplexity is lowered to a third of them. Fewer than four points lie on a line.
    """
    if len(points) < 4:
        return np.stack([np.arange(len(points)), np.zeros(len(points))], 1).astype(np.float64)
    solver = TSNE(
        n_components=2,
        perplexity=min(params.perplexity, (len(points) - 1) / 3),
        init="pca",
        random_state=params.seed,
        n_jobs=1,
    )
    with threadpool_limits(1):
        return np.asarray(solver.fit_transform(np.ascontiguousarray(points, np.float32)), np.float64)
