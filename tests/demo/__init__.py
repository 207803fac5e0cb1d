"""Tests of the demo's own parts; the stack itself is proven by the end-to-end tests."""
