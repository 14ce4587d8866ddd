"""weakhoi: weakly-supervised human-object interaction detection as a staged, cached, offline pipeline.

Each folder is a room with one job; see README.md, "Which folder owns what".
"""

__version__ = "0.1.0"
