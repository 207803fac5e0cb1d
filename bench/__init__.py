"""Benchmarks: each module measures one promise and prints one table. `make bench` runs them all; none is a test."""
