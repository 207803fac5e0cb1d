"""What Airflow 2.11's API reference names of the objects that are read: field to types. Restated, since it is not here.

https://airflow.apache.org/docs/apache-airflow/2.11.0/stable-rest-api-ref.html
"""

from __future__ import annotations

TEXT, COUNT, NUMBER, FLAG, NOTHING = str, int, float, bool, type(None)
Fields = dict[str, tuple[type, ...]]

DAG: Fields = {
    "dag_id": (TEXT,),
    "dag_display_name": (TEXT,),
    "root_dag_id": (TEXT, NOTHING),
    "is_paused": (FLAG, NOTHING),
    "is_active": (FLAG, NOTHING),
    "is_subdag": (FLAG,),
    "last_parsed_time": (TEXT, NOTHING),
    "last_pickled": (TEXT, NOTHING),
    "last_expired": (TEXT, NOTHING),
    "scheduler_lock": (FLAG, NOTHING),
    "pickle_id": (TEXT, NOTHING),
    "default_view": (TEXT, NOTHING),
    "fileloc": (TEXT,),
    "file_token": (TEXT,),
    "owners": (list,),
    "description": (TEXT, NOTHING),
    "schedule_interval": (dict, NOTHING),
    "timetable_description": (TEXT, NOTHING),
    "tags": (list, NOTHING),
    "max_active_tasks": (COUNT, NOTHING),
    "max_active_runs": (COUNT, NOTHING),
    "max_consecutive_failed_dag_runs": (COUNT, NOTHING),
    "has_task_concurrency_limits": (FLAG, NOTHING),
    "has_import_errors": (FLAG, NOTHING),
    "next_dagrun": (TEXT, NOTHING),
    "next_dagrun_data_interval_start": (TEXT, NOTHING),
    "next_dagrun_data_interval_end": (TEXT, NOTHING),
    "next_dagrun_create_after": (TEXT, NOTHING),
}
IMPORT_ERROR: Fields = {
    "import_error_id": (COUNT,),
    "timestamp": (TEXT,),
    "filename": (TEXT,),
    "stack_trace": (TEXT,),
}
RUN: Fields = {
    "dag_run_id": (TEXT, NOTHING),
    "dag_id": (TEXT,),
    "logical_date": (TEXT, NOTHING),
    "execution_date": (TEXT, NOTHING),
    "start_date": (TEXT, NOTHING),
    "end_date": (TEXT, NOTHING),
    "data_interval_start": (TEXT, NOTHING),
    "data_interval_end": (TEXT, NOTHING),
    "last_scheduling_decision": (TEXT, NOTHING),
    "run_type": (TEXT,),
    "state": (TEXT,),
    "external_trigger": (FLAG,),
    "conf": (dict,),
    "note": (TEXT, NOTHING),
}
TASK_INSTANCE: Fields = {
    "task_id": (TEXT,),
    "task_display_name": (TEXT,),
    "dag_id": (TEXT,),
    "dag_run_id": (TEXT,),
    "execution_date": (TEXT,),
    "start_date": (TEXT, NOTHING),
    "end_date": (TEXT, NOTHING),
    "duration": (NUMBER, COUNT, NOTHING),
    "state": (TEXT, NOTHING),
    "try_number": (COUNT,),
    "map_index": (COUNT,),
    "max_tries": (COUNT,),
    "hostname": (TEXT,),
    "unixname": (TEXT,),
    "pool": (TEXT,),
    "pool_slots": (COUNT,),
    "queue": (TEXT, NOTHING),
    "priority_weight": (COUNT, NOTHING),
    "operator": (TEXT, NOTHING),
    "queued_when": (TEXT, NOTHING),
    "pid": (COUNT, NOTHING),
    "executor": (TEXT, NOTHING),
    "executor_config": (TEXT,),
    "sla_miss": (dict, NOTHING),
    "rendered_map_index": (TEXT, NOTHING),
    "rendered_fields": (dict,),
    "trigger": (dict, NOTHING),
    "triggerer_job": (dict, NOTHING),
    "note": (TEXT, NOTHING),
}
POOL: Fields = {
    "name": (TEXT,),
    "slots": (COUNT,),
    "occupied_slots": (COUNT,),
    "running_slots": (COUNT,),
    "queued_slots": (COUNT,),
    "open_slots": (COUNT,),
    "scheduled_slots": (COUNT,),
    "deferred_slots": (COUNT,),
    "description": (TEXT, NOTHING),
    "include_deferred": (FLAG,),
}


def list_field_problems(fields: Fields, value: dict[str, object]) -> list[str]:
    """Say which fields are missing, unknown, or of another type."""
    missing = [f"{name} is missing" for name in fields.keys() - value.keys()]
    unknown = [f"{name} is not known" for name in value.keys() - fields.keys()]
    shared = fields.keys() & value.keys()
    return [
        *missing,
        *unknown,
        *(f"{name} is {value[name]!r}" for name in shared if type(value[name]) not in fields[name]),
    ]
