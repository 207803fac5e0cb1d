"""Tests of what measures: that its figures are what they are called, and what it decides; measured is by hand."""
