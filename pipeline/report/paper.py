"""The paper's own figures on HICO-DET (test mAP in percent: Full, Rare, Non-rare), and what it concludes from them."""

from __future__ import annotations

from dataclasses import dataclass

GROUPS = ("full", "rare", "non_rare")  # of HICO-DET's classes: the order of the figures below
Figures = tuple[float, float, float]

TABLES: dict[str, dict[str, Figures]] = {
    "Table 1": {
        "ppr_fcn": (17.55, 15.69, 18.41),
        "rn50": (22.89, 22.41, 23.03),
        "rn101": (25.70, 24.52, 26.05),
    },
    "Table 2": {
        "baseline": (19.52, 16.58, 20.40),
        "exp1": (20.31, 18.34, 20.90),
        "exp2": (20.09, 18.23, 20.64),
        "exp3": (20.86, 18.40, 21.60),
        "exp4": (22.40, 20.70, 22.90),
        "exp5": (19.88, 17.45, 20.61),
        "exp6": (20.75, 19.38, 21.16),
        "exp7": (21.53, 20.05, 21.97),
        "ours": (22.89, 22.41, 23.03),
        "exp8": (19.44, 16.20, 20.41),
        "exp9": (19.61, 15.57, 20.82),
        "exp10": (20.45, 16.46, 21.65),
    },
    "Table 3": {
        "abl1": (11.84, 13.72, 11.27),
        "abl2": (19.44, 16.20, 20.41),
        "abl3": (20.56, 18.19, 21.27),
        "abl4": (19.39, 15.12, 20.66),
    },
    "Table 4": {
        "exp11": (20.69, 19.55, 21.04),
        "exp12": (21.14, 19.82, 21.53),
        "exp13": (21.28, 19.27, 21.88),
    },
    "Table 5": {
        "top1": (22.89, 22.41, 23.03),
        "top2": (22.49, 21.83, 22.69),
        "top5": (22.45, 21.61, 22.70),
    },
}
PAPER = {row: values for rows in TABLES.values() for row, values in rows.items()}


def figures(row: str) -> dict[str, float]:
    """The paper's mAP of a row by group of classes; empty where the paper has no such row."""
    return dict(zip(GROUPS, PAPER[row], strict=True)) if row in PAPER else {}


def table_of(row: str) -> str:
    """The paper's table that has a row; those that it lacks are controls and further rows."""
    return next((title for title, rows in TABLES.items() if row in rows), "Controls and further rows")


@dataclass(frozen=True)
class Claim:
    """The paper's finding that row `better` scores above row `worse` in Full mAP."""

    better: str
    worse: str
    text: str


CLAIMS = (
    Claim("exp1", "baseline", "HOI recognition helps"),
    Claim("exp1", "exp2", "training the knowledge bank along helps"),
    Claim("exp3", "exp1", "knowledge transfer helps"),
    Claim("exp4", "exp3", "score fusion helps, without relatedness"),
    Claim("exp5", "baseline", "relatedness helps the baseline"),
    Claim("exp6", "exp1", "relatedness helps HOI recognition"),
    Claim("exp7", "exp6", "knowledge transfer helps, with relatedness"),
    Claim("exp7", "exp3", "relatedness helps knowledge transfer"),
    Claim("ours", "exp7", "score fusion helps the whole model"),
    Claim("ours", "exp4", "relatedness helps the whole model"),
    Claim("ours", "baseline", "the whole method helps"),
    Claim("baseline", "exp8", "CLIP's backbone is better than the detector's"),
    Claim("ours", "exp9", "CLIP's weights and bank matter"),
    Claim("ours", "exp10", "a bank of text alone is no substitute"),
    Claim("exp10", "exp9", "a bank of text alone is better than a random one"),
    Claim("ours", "abl1", "training adds to CLIP's own scores"),
    Claim("abl3", "abl2", "CLIP's own scores help at inference"),
    Claim("abl2", "abl4", "prompts as the classifier with CLIP regularization do not help"),
    Claim("exp7", "exp11", "the bank helps more than the union feature"),
    Claim("exp7", "exp12", "softmax attention is better than uniform"),
    Claim("exp7", "exp13", "softmax attention is better than sigmoid"),
    Claim("ours", "top2", "one positive pair a verb is better than two"),
    Claim("ours", "top5", "one positive pair a verb is better than five"),
    Claim("ours", "ppr_fcn", "the method is better than PPR-FCN"),
)
RARE_GAIN = ("ours", "baseline", "rare", "non_rare")  # ours gains more over the baseline on rare classes than on others
CONTROLS = (
    ("ours", "ours_random_bank"),
    ("ours", "ours_shuffled_labels"),
    ("abl4_prompts", "abl2"),
    ("abl4_regularized", "abl2"),
    ("ours_plus", "ours"),
    ("ours_plus_scores", "ours"),  # the parts of ours_plus, each added to the one before
    ("ours_plus_bags", "ours_plus_scores"),
    ("ours_plus_union", "ours_plus_bags"),
    ("ours_plus", "ours_plus_union"),
    ("ours_plus_fused", "ours_plus_bags"),
    ("ours_plus_bags", "ours_plus_frozen"),
    ("supervised_5", "ours_plus"),  # what boxes of 5 %, 25 % and all training images are worth
    ("supervised_25", "ours_plus"),
    ("supervised", "ours_plus"),
    ("mx_hoi_like_25", "mx_hoi_like"),
    ("explanation_hoi_labeled", "explanation_hoi"),  # what the protocol of App. I gives away
    ("ours_labeled", "ours"),
)
