"""params.yaml as typed sections, the runs that it names, and every path."""
