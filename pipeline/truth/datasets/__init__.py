"""Dataset readers, one a file: they are here because what they return may hold annotated boxes."""
