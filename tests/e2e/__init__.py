"""The whole stack, as a person sees it: real Airflow, the sandbox, real Git.

What can go wrong with previews, and where each of it is injected and its end asserted (`operators` is
tests/unit/operators: the real tasks on the real sandbox, only Airflow played):

- GitHub or Astro answers 5xx or 429, is silent, closes the connection: operators/control/test_outages; test_on_screen
- the rate limit is nearly used: operators/control/test_outages, and the trigger alone in tests/unit/triggers
- worker, scheduler, triggerer killed; power cut: test_crashes
- a branch moves or goes while its run works: operators/control/test_in_flight
- the CLI exits 0 without deploying: test_on_screen, operators/deploy/test_deploy; says that it deployed and did not:
  operators/control/test_in_flight
- template missing or invalid: operators/control/test_plan, operators/control/test_names_and_owners; policy invalid:
  test_on_screen, tests/dags
- a Deployment of the name without our mark: test_on_screen, operators/control/test_names_and_owners,
  operators/deploy/test_create
- a fork's pull request; a branch named like an option or with shell characters: operators/control/test_names_and_owners
- Airflow's database purged or restored: test_crashes
"""
