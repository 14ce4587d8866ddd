"""One thin click command per pipeline stage: parse, open, call one function, commit."""
