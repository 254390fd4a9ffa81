"""What is sent: as Git has it, with what a server would fill into ports and without what only a server may say."""

from __future__ import annotations

import copy

import pytest

from penstock.apply import normalizing


def test_ports_of_a_service_say_protocol_and_target():
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s"},
        "spec": {"ports": [{"port": 80}, {"port": 53, "protocol": "UDP", "targetPort": "dns"}, "nonsense"]},
    }
    before = copy.deepcopy(service)
    assert normalizing.normalized(service)["spec"]["ports"] == [
        {"port": 80, "protocol": "TCP", "targetPort": 80},
        {"port": 53, "protocol": "UDP", "targetPort": "dns"},
        "nonsense",
    ]
    assert service == before


@pytest.mark.parametrize(
    ("api_version", "kind", "outer"),
    [("apps/v1", "Deployment", ()), ("batch/v1", "Job", ()), ("batch/v1", "CronJob", ("jobTemplate", "spec"))],
)
def test_ports_of_containers_say_their_protocol(api_version, kind, outer):
    spec = {"template": {"spec": {"containers": [{"name": "a", "ports": [{"containerPort": 1}]}, {"name": "b"}]}}}
    for key in reversed(outer):
        spec = {key: spec}
    found = normalizing.normalized({"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}, "spec": spec})["spec"]
    for key in outer:
        found = found[key]
    ports = [each.get("ports") for each in found["template"]["spec"]["containers"]]
    assert ports == [[{"containerPort": 1, "protocol": "TCP"}], None]


def test_a_custom_kind_is_sent_as_it_is():
    custom = {"apiVersion": "example.com/v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"ports": [{"port": 1}]}}
    assert normalizing.normalized(custom)["spec"] == custom["spec"]
