"""The stand-in against what the Astro CLI 1.45.0 printed, returned and requested: faults of the service."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sandbox.cli.case import (
    AUTH,
    CREATE,
    DEPLOYED,
    NOT_FOUND,
    UPLOAD_REFUSED,
    USING,
    Case,
    check_case,
    make_deployment,
    plant,
    write_file,
)
from tests.sandbox.cli.stage import Stage

if TYPE_CHECKING:
    pass

CASES = (
    *(
        Case(
            f"fault: list answers {status}",
            "deployment list --json",
            "orgs list",
            USING,
            "Error: planted\n",
            1,
            (plant("deployments", status),),
        )
        for status in (400, 401, 403, 404, 429, 500, 502, 503)
    ),
    Case(
        "fault: list answers html",
        "deployment list --json",
        "orgs list",
        USING,
        "Error: failed to perform request, status 502\n",
        1,
        (plant("deployments", 502, html=True),),
    ),
    Case(
        "fault: list answers drop",
        "deployment list --json",
        "orgs list list",
        ('      "name": "dev-x",',),
        given=(make_deployment, plant("deployments", None)),
    ),
    *(
        Case(
            f"fault: create answers {status}",
            CREATE,
            "orgs workspaces list options options-aws create",
            err="Error: planted\n<USAGE>\n",
            exit=1,
            given=(write_file(), plant("POST .*/deployments$", status)),
            means="again",
        )
        for status in (400, 403, 429, 500)
    ),
    Case(
        "fault: create answers drop",
        CREATE,
        "orgs workspaces list options options-aws create",
        err='Error: Post "http://<API>/astro/v1/organizations/<ORG>/deployments": EOF\n<USAGE>\n',
        exit=1,
        given=(write_file(), plant("POST .*/deployments$", None)),
        means="again",
    ),
    Case(
        "fault: variables of create answer 500",
        CREATE,
        "orgs workspaces list options options-aws create list get options update",
        err="Error: planted\n<USAGE>\n",
        exit=1,
        given=(write_file(), plant("POST .*/deployments/cl", 500)),
        means="again",
    ),
    *(
        Case(
            f"fault: create-deploy answers {status}",
            "deploy {id} --dags -f",
            "orgs get deploy",
            AUTH,
            "Error: planted\n",
            1,
            (make_deployment, plant("POST .*/deploys$", status)),
            means="again",
        )
        for status in (400, 403, 409, 429, 500)
    ),
    Case(
        "fault: create-deploy answers drop",
        "deploy {id} --dags -f",
        "orgs get deploy",
        AUTH,
        'Error: Post "http://<API>/astro/v1/organizations/<ORG>/deployments/<ID>/deploys": EOF\n',
        1,
        (make_deployment, plant("POST .*/deploys$", None)),
        means="again",
    ),
    Case(
        "fault: upload answers 403",
        "deploy {id} --dags -f",
        "orgs get deploy upload",
        AUTH + "Initiating DAG deploy for: <ID>\n",
        UPLOAD_REFUSED.format("403: 403 Forbidden"),
        1,
        (make_deployment, plant("PUT /upload", 403)),
        means="again",
    ),
    Case(
        "fault: upload answers 500",
        "deploy {id} --dags -f",
        "orgs get deploy upload upload upload upload",
        AUTH + "Initiating DAG deploy for: <ID>\n",
        UPLOAD_REFUSED.format("500: 500 Internal Server Error"),
        1,
        (make_deployment, plant("PUT /upload", 500, times=9)),
        means="again",
    ),
    Case(
        "fault: upload answers drop",
        "deploy {id} --dags -f",
        "orgs get deploy upload upload upload upload",
        AUTH + "Initiating DAG deploy for: <ID>\n",
        'Error: Put "http://<API>/astro/upload/<ID>?sig=s": EOF\n',
        1,
        (make_deployment, plant("PUT /upload", None, times=9)),
        means="again",
    ),
    *(
        Case(
            f"fault: finalize answers {status}",
            "deploy {id} --dags -f",
            DEPLOYED,
            AUTH + "Initiating DAG deploy for: <ID>\n",
            "Error: planted\n",
            1,
            (make_deployment, plant("finalize", status)),
            means="again",
        )
        for status in (400, 500)
    ),
    Case(
        "fault: finalize answers drop",
        "deploy {id} --dags -f",
        DEPLOYED,
        AUTH + "Initiating DAG deploy for: <ID>\n",
        'Error: Post "http://<API>/astro/v1/organizations/<ORG>/deployments/<ID>/deploys/<ID>/finalize": EOF\n',
        1,
        (make_deployment, plant("finalize", None)),
        means="again",
    ),
    *(
        Case(
            f"fault: delete answers {status}",
            "deployment delete {id} -f",
            "orgs list get delete",
            USING,
            "Error: planted\n",
            1,
            (make_deployment, plant("DELETE", status)),
            means="again",
        )
        for status in (403, 409, 500)
    ),
    *(
        Case(
            f"fault: hibernate answers {status}",
            "deployment hibernate {id} -f",
            "orgs list get override",
            USING,
            "Error: planted\n",
            1,
            (make_deployment, plant("hibernation-override", status)),
            means="again",
        )
        for status in (400, 500)
    ),
    Case(
        "fault: organizations answer 500",
        "deployment list --json",
        "orgs list",
        ('      "name": "dev-x",',),
        given=(make_deployment, plant("organizations\\?", 500)),
    ),
    Case(
        "fault: the look of delete fails",
        "deployment delete {id} -f",
        "orgs list",
        USING,
        f"Error: {NOT_FOUND}: planted\n",
        1,
        (make_deployment, plant("deployments\\?", 500)),
        means="again",
        is_recorded=False,
    ),
    # Answers that are no errors of the API: seen with the real CLI, not among the recorded cases.
    *(
        Case(
            f"fault: list answers {status} with {body or 'nothing'}",
            "deployment list",
            "orgs list",
            USING,
            f"Error: {said}\n",
            1,
            (plant("deployments", status, body=body),),
            is_recorded=False,
        )
        for status, body, said in (
            (200, '{"deployments": [{"id": "x', "unexpected end of JSON input"),
            (200, "<html>", "invalid character '<' looking for beginning of value"),
            (500, "", "unexpected end of JSON input"),
            (500, "[]", "json: cannot unmarshal array into Go value of type astrov1.Error"),
            (500, "{}", ""),
            (503, "", "failed to perform request, status 503"),
            (503, "[]", "failed to perform request, status 503"),
            (201, '{"deployments": []}', ""),
        )
    ),
    Case(
        "fault: list answers an error that says it is no JSON",
        "deployment list",
        "orgs list",
        USING,
        "Error: planted\n",
        1,
        (plant("deployments", 503, html=True, body='{"message": "planted"}'),),
        is_recorded=False,
    ),
    Case(
        "fault: the Deployment to delete has no id",
        "deployment delete {id} -f",
        "orgs list get",
        USING + "no Deployments found in workspace <WS> to delete\n",
        given=(make_deployment, plant("GET .*/deployments/cl", 200, body="{}")),
        means="gone",
        is_recorded=False,
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_prints_returns_and_requests_what_the_real_cli_does(case: Case, stage: Stage) -> None:
    check_case(case, stage)
