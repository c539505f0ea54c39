"""Benchmarks: each is one command and compares with something others wrote, in the same run."""
