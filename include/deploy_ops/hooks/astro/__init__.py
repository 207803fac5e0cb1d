"""Astro: its v1 API for reading, its CLI for changing, and what both answers mean.

Decides nothing. A failed or incomplete answer is an error, never an empty list.
"""
