"""Benchmarks: what sparkles costs beside programs that do the same work, in one interleaved run.

`python -m benchmarks run` measures, `python -m benchmarks table` prints. docs/performance.md says more. Linux only.
"""
