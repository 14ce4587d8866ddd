"""A Markdown page in the width of a terminal."""

from pipeline.report.table import markdown_table
from pipeline.report.terminal import fitted

ROWS = [["ours", "whole method | all of it", "31.00 ± 0.50", "12.00"], ["a", "b", "9.00", "7.00"]]
TABLE = markdown_table(["row", "desc", "Full", "Rare"], ROWS)


def test_a_table_that_fits_loses_its_rules_alone():
    assert fitted(f"One line.\n\n{TABLE}", 60).splitlines() == [
        "One line.",
        "",
        "row   desc                              Full   Rare",
        "ours  whole method | all of it  31.00 ± 0.50  12.00",
        "a     b                                 9.00   7.00",
    ]


def test_text_is_wrapped_before_a_table_is_folded():
    assert fitted(TABLE, 48).splitlines() == [
        "row   desc                           Full   Rare",
        "ours  whole method | all of  31.00 ± 0.50  12.00",
        "      it",
        "a     b                              9.00   7.00",
    ]


def test_a_table_that_is_too_wide_is_cut_into_blocks_of_numbers_and_then_text():
    assert fitted(TABLE, 22).splitlines() == [
        "row           Full",
        "ours  31.00 ± 0.50",
        "a             9.00",
        "",
        "row    Rare",
        "ours  12.00",
        "a      7.00",
        "",
        "row   desc",
        "ours  whole method |",
        "      all of it",
        "a     b",
    ]


def test_prose_is_wrapped_and_longer_words_stay_whole():
    assert fitted("Four short words here\n", 10) == "Four short\nwords here\n"
    wide = markdown_table(["run", "Full"], [["ours+train.learning_rate=0.001", "1.00"]])
    assert fitted(wide, 20).splitlines()[1].split() == ["ours+train.learning_rate=0.001", "1.00"]
