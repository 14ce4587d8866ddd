"""What a run needs, from shapes alone."""
