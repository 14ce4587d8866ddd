"""The colors of pictures and page, one for each meaning, as matplotlib, Pillow and CSS all take them.

Hues are Okabe and Ito's, which color-blind readers can tell apart; marks, dashes or numbers repeat what a color says.
"""

from __future__ import annotations

INK, FAINT, PAPER = "#1c1c1e", "#6b6b70", "#ffffff"
VERDICTS = {"right": "#009e73", "wrong": "#d62728", "missed": "#f0a30a", "found": "#0072b2"}  # lines
VERDICT_TEXTS = {"right": "#007052", "wrong": "#b5161c", "missed": "#8a5800", "found": "#005a8c"}  # letters: darker

PAIRS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # pairs of one picture
OBJECTS = (*PAIRS, "#6a51a3", "#6b6b70")  # object categories of one plot
VARIANTS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#7F7F7F", "#000000")
