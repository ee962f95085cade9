"""What stands in for zero-to-jupyterhub's chart, file by file."""

from __future__ import annotations

from tests.kubernetes.chart.helm import STAND_IN

# Which files of zero-to-jupyterhub's chart, below its folder jupyterhub/, each file of the stand-in does the work of.
MIRRORS = {
    "Chart.yaml": ["Chart.yaml"],
    "values.yaml": ["values.yaml"],
    "values.schema.json": ["values.schema.yaml"],
    "files/jupyterhub_config.py": ["files/hub/jupyterhub_config.py"],
    "files/z2jh.py": ["files/hub/z2jh.py"],
    "templates/_helpers.tpl": ["templates/_helpers.tpl", "templates/_helpers-names.tpl"],
    "templates/hub.yaml": [
        f"templates/hub/{name}.yaml" for name in ("configmap", "deployment", "netpol", "pvc", "rbac", "secret", "service", "serviceaccount")
    ],
    "templates/proxy.yaml": [f"templates/proxy/{name}.yaml" for name in ("deployment", "netpol", "service")],
}
# What nothing stands in for, because no test needs it.
LEFT_OUT = [
    "templates/image-pull-secret.yaml",
    "templates/image-puller/",  # the chart turns it off: images are made later
    "templates/ingress.yaml",
    "templates/proxy/autohttps/",
    "templates/scheduling/",  # its user scheduler and place holders are choices of an operator's
    "templates/singleuser/",  # the policies of servers, which only a network plugin that enforces them heeds
    "templates/hub/pdb.yaml",
    "templates/proxy/pdb.yaml",
]


def test_every_file_says_what_it_stands_in_for_and_no_file_is_claimed_twice() -> None:
    files = {str(path.relative_to(STAND_IN)) for path in STAND_IN.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert files == MIRRORS.keys()
    theirs = [name for names in (*MIRRORS.values(), LEFT_OUT) for name in names]
    assert len(theirs) == len(set(theirs))
