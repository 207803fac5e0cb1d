"""Tests of Deploy Ops: unit tests mirror the product's files; `e2e` drives only public faces."""
