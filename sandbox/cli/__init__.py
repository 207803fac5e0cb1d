"""A stand-in for the Astro CLI 1.45.0: the same exit codes, streams, marker lines and requests, for what we use.

Known: version; workspace list; deployment list, inspect, create and update (from a file), delete, hibernate, wake-up;
deploy (`--dags`, `--image`, `--image-name`). Left out: aliases, prompts that choose a Deployment, every Deployment
that is not STANDARD, dbt, tests inside the image, telemetry, and the two calls to updates.astronomer.io (the list of
runtime versions in `deployment create` and in image deploys), since the sandbox has no outside host. Only the context
`localhost` works. It needs the standard library and PyYAML, and imports nothing else of the sandbox.

What the real CLI does not have: it obeys the faults that the sandbox plants (see `faults`), and the environment
variable ASTRO_STANDIN_WAIT_SCALE shortens its waits.
"""
