"""The errors that a user can mend.

Every message is one line that says what was wrong, where, what was expected against what was found, and what to do.
The command line prints it and exits with code 2; anything else that is raised is a bug and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake that the user can mend. Base of all others; exit code 2."""

    exit_code = 2


class ParamError(UserError):
    """params.yaml holds an unknown key, a wrong type or a value out of range."""


class DataError(UserError):
    """An image, annotation or detection file of the user's is missing or wrong."""


class ArtifactError(UserError):
    """A cached artifact is missing, damaged, or made from something else."""


class WeightsError(UserError):
    """Pretrained weights cannot be found, read or matched to the architecture."""


def did_you_mean(found: str, known: Iterable[str]) -> str:
    """Return `', did you mean "x"?'` for the closest known name, or an empty string."""
    close = difflib.get_close_matches(found, list(known), n=1)
    return f', did you mean "{close[0]}"?' if close else ""
