"""The application's own tests: requests against jobs in memory, with the fixtures of Lineshaft's pytest plugin."""

from __future__ import annotations

import main
import pytest
from fastapi.testclient import TestClient

from lineshaft.testing import Testing, assert_enqueued


@pytest.fixture
def client(lineshaft_manual: Testing) -> TestClient:
    """A client of the application; its jobs wait for `drain`."""
    return TestClient(main.api)


def test_order_is_accepted_and_made_later(client: TestClient, lineshaft_manual: Testing) -> None:
    """An order is answered before the report exists, with the place where it will be."""
    answer = client.post("/reports/ada", params={"pages": 2})
    assert answer.status_code == 202
    assert_enqueued(main.make_report, args=("ada", 2, 0.0), queue="reports")
    place = answer.headers["Location"]
    assert client.get(place).json()["state"] == "queued"
    lineshaft_manual.drain()
    report = client.get(place)
    assert (report.status_code, report.json()["report"]) == (200, "2 pages for ada")


def test_unknown_report(client: TestClient) -> None:
    """A report that nobody ordered is not found."""
    assert client.get("/reports/0197a6f0-5c1e-7cc3-98c4-dc0c0c07398f").status_code == 404
