"""Tests of the stand-in for the Astro CLI: against what the real one printed, returned and requested."""
