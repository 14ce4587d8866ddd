"""Annotated boxes: parsers, records, files. What trains or detects may not import it (tests/test_layering.py)."""
