"""Runnable comparisons: `python -m benchmarks.<name>`. They report; they never fail a build."""
