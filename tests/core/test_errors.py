"""What messages are made of: suggestions, text for a terminal, and what an error of the system means to a user."""

import errno
import unicodedata

import pytest

from pipeline.core.errors import closed_file_error, did_you_mean, printable


@pytest.mark.parametrize(
    ("found", "known", "expected"),
    [
        ("a.jpg", ["b.jpg", "a.JPG"], ', did you mean "a.JPG"?'),  # more letters differ than those of b.jpg do
        ("A.JPG", ["a.jpg", "A.PNG"], ', did you mean "a.jpg"?'),
        ("learning_rat", ["batch_size", "learning_rate"], ', did you mean "learning_rate"?'),
        ("x", ["y"], ""),
        ("x", [], ""),
    ],
)
def test_the_closest_name_is_suggested(found, known, expected):
    assert did_you_mean(found, known) == expected


@pytest.mark.parametrize(("form", "other"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_names_that_look_the_same_are_told_by_their_form(form, other):
    """As files of a Mac, unpacked elsewhere: suggesting the name would show the same letters twice."""
    found, known = (unicodedata.normalize(name, "Grüße.jpg") for name in (other, form))
    suggestion = did_you_mean(found, ["Gruse.jpg", known])
    assert f"the same letters in Unicode form {form}? This is {other}," in suggestion


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Grüße 图 👩‍🚒.png", "Grüße 图 👩‍🚒.png"),
        ("a\nb\rc\td", "a\\nb\\rc\\td"),
        ("\x1b]0;title\x07\x1b[2J", "\\x1b]0;title\\x07\\x1b[2J"),
        ("\x9b2J\x7f\u2028", "\\x9b2J\\x7f\\u2028"),
        ("caf\udce9 \ud800", "caf\ufffd \ufffd"),
    ],
)
def test_a_terminal_is_shown_text_and_obeys_none(text, expected):
    assert printable(text) == expected


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG])
@pytest.mark.parametrize("name", ["cache/a.h5", b"cache/a.h5"])
def test_a_file_that_cannot_be_opened_is_the_users_to_mend(number, name):
    error = closed_file_error(OSError(number, "the reason", name))
    assert str(error) == "cache/a.h5: cannot be opened (the reason); check the path and its permissions"


@pytest.mark.parametrize(
    "error", [OSError(errno.EACCES, "of no file"), FileNotFoundError(errno.ENOENT, "gone", "x"), ValueError("x")]
)
def test_other_errors_stay_what_they_are(error):
    assert closed_file_error(error) is None
