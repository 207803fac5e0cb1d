"""The sandbox's Astro: the v1 HTTP API as the CLI and the product use it, over state that lives in memory.

It evaluates no hibernation schedule and knows one organization, one workspace and STANDARD Deployments only. Answers
are what Astro's own description of the API says, and what that forbids in a request is refused. What else the real
service refuses was never seen: such refusals here are assumptions. What the Astro CLI 1.45.0 needs in an answer is not.
"""

from sandbox.astro.registry import Registry
from sandbox.astro.service import Astro

__all__ = ["Astro", "Registry"]
