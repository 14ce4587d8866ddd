from __future__ import annotations

import numpy as np

from pipeline.core.texts import Texts
from pipeline.store.hdf5_file import encode_strings

NAMES = ("a", "a longer name", "ä/ö.png")


def test_texts_are_like_a_tuple_of_them():
    texts = Texts(encode_strings(NAMES))
    assert tuple(texts) == NAMES
    assert [texts[0], texts[-1]] == ["a", "ä/ö.png"]
    assert tuple(texts[1:]) == NAMES[1:]
    assert texts == NAMES and texts == NAMES and texts == Texts(encode_strings(NAMES).astype("S40"))
    assert texts != NAMES[:2] and texts != ("a", "b", "c") and texts != Texts(encode_strings(("a", "b", "c")))
    assert (encode_strings(texts) == encode_strings(NAMES)).all()
    assert tuple(Texts(np.zeros(0, "S1"))) == ()
