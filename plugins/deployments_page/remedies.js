// What Airflow itself does for an environment: clear a failed run, pause its DAG, unpause it. Each asks once before.

const whole = ({ row, project }) => (row.kind === "preview" ? `all previews of ${project}` : row.environment);

export function retry(airflow, { name }, { what, dag, run_id: run }) {
  const path = `/dags/${encodeURIComponent(dag)}/dagRuns/${encodeURIComponent(run)}/clear`;
  return {
    title: nameRetry(what),
    name,
    label: nameRetry(what),
    words: [`Clears the run ${run} of ${dag}, so that it runs again from its first step.`],
    send: () => airflow.post(path, { dry_run: false, only_failed: false }),
  };
}

// A request that came to nothing was answered with a no.
export function nameRetry(what) {
  return what === "request" ? "Ask again" : "Retry";
}

export function freeze(airflow, environment) {
  const { dag } = environment.row;
  return {
    title: "Freeze",
    name: whole(environment),
    label: "Freeze",
    isDangerous: true,
    words: [`Pauses ${dag}: nothing of it starts until somebody unfreezes it, and runs under way wait before their next step.`],
    send: () => pause(airflow, dag, true),
  };
}

export function unfreeze(airflow, dag, name) {
  return {
    title: "Unfreeze",
    name,
    label: "Unfreeze",
    words: [`Unpauses ${dag}: what is due starts with control's next pass.`],
    send: () => pause(airflow, dag, false),
  };
}

function pause(airflow, dag, isPaused) {
  return airflow.patch(`/dags/${encodeURIComponent(dag)}?update_mask=is_paused`, { is_paused: isPaused });
}

// What the menu of a row offers beside its forms: as easily undone as done, so nothing is asked first.
export function offerFreezing(airflow, environment) {
  const { row, isPaused } = environment;
  const of = row.kind === "preview" ? " previews" : "";
  if (isPaused) return { label: `Unfreeze${of}`, ask: unfreeze(airflow, row.dag, whole(environment)) };
  return { label: `Freeze${of}`, ask: freeze(airflow, environment) };
}
