"""Image registries: whether an image is there, what it is, and copying it from one repository to another.

Builds nothing, and keeps no image on the worker.
"""
