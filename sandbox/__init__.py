"""A local GitHub, Astro, image registry and CI, so that the product runs whole on one machine.

Shipped in no image; never imports the product, nor is imported by it.
"""
