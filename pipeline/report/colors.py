"""The colors of pictures and page, one for each meaning, as matplotlib, Pillow and CSS all take them.

Hues are Okabe and Ito's, which color-blind readers can tell apart; marks, dashes or numbers repeat what a color says.
"""

from __future__ import annotations

INK, FAINT, PAPER = "#1c1c1e", "#6b6b70", "#ffffff"
VERDICTS = {"right": "#009e73", "wrong": "#d62728", "missed": "#f0a30a"}  # lines
VERDICT_TEXTS = {"right": "#007052", "wrong": "#b5161c", "missed": "#8a5800"}  # darker: letters on white

PAIRS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # pairs of one picture
OBJECTS = (*PAIRS, "#6a51a3", "#6b6b70")  # object categories of one plot
# Of the report's plots, the same on white and on black paper: the contrast with both is at least 3.
VARIANTS = ("#0072b2", "#c77f00", "#009e73", "#cc79a7", "#d55e00", "#8a6fc9", "#7f7f7f", "#808000")
AXIS, GRID = "#b8b8be", "#e6e6ea"  # of plots
ERRORS = {  # by type, of detections and of annotated pairs
    "right": "#009e73",
    "duplicate": "#56b4e9",
    "wrong_verb": "#d62728",
    "wrong_association": "#cc79a7",
    "localization": "#e69f00",
    "wrong_category": "#8a6fc9",
    "background": "#8a8a90",
    "below_threshold": "#e8c547",
    "class_never_predicted": "#b8651b",
    "no_proposal_pair": "#5d6d7e",
}
# Names of colors in the page's style.
VARIANT_NAMES = tuple(f"variant-{place}" for place in range(len(VARIANTS)))
ERROR_NAMES = {kind: f"error-{kind}" for kind in ERRORS}
