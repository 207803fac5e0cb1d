"""Tests of what measures: that its figures are what they are called, and that what it cannot measure is told."""
