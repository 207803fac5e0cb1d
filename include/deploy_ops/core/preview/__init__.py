"""Previews: which branches should have one, whose Deployment is whose, and what differs from Astro.

Says what is due, never when: that is `core/plan`. Expiry is `core/cleanup`.
"""
