"""Each Deployment's Airflow: its REST API at an address of its own, `/astro/airflow/{end of the id}/api/v2`.

Airflow itself, that of this Python, parses what is deployed and runs its DAGs, in children and on the first question:
`api` (with its two versions) answers, `instance` knows, `children` starts, `child` does the work. Differences from a
real one: DAGs of a broken or absent file are stale at once; all files of a project are parsed in one process; no
schedule starts a run, but for the one that is due when a DAG is unpaused; requirements of the project are not
installed; what a task prints stands in its log where it was printed, and may come late in a real one, behind the error
that ended the task; whatever the Deployment's runtime says, the Airflow that parses is this one.
"""

from sandbox.airflow.children import Children
from sandbox.airflow.service import Airflows

__all__ = ["Airflows", "Children"]
