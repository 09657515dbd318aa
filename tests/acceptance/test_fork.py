"""A web server that imports the app, uses it, and forks: each process goes on with connections of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lineshaft import Lineshaft, State
from tests.plugins.apps import StartProcess

CHILDREN = 3
PREFORK = """
import os, sys
from lineshaft import Lineshaft

app = Lineshaft(sys.argv[1])

def serve(who):
    for turn in range(5):
        job = app.enqueue("work.quick", f"{who}-{turn}")
        result = job.result(20) if turn % 2 else app.gather([job], timeout=20)[0]
        assert result == f"{who}-{turn}"
        assert [event.kind for event in job.events()][-1] == "completed"
    os.write(1, f"served {who}\\n".encode())

serve("before")
children = []
for number in range(int(sys.argv[2])):
    pid = os.fork()
    if not pid:
        serve(f"child{number}")
        os._exit(0)
    children.append(pid)
serve("parent")
for pid in children:
    assert os.waitpid(pid, 0)[1] == 0
app.close()
print("done")
"""


def test_fork_after_use(
    durable_url: str,
    tmp_path: Path,
    make_app: Callable[..., Lineshaft],
    worker_process: StartProcess,
    start_process: StartProcess,
) -> None:
    """After import, enqueue, wait and `fork`, parent and children all enqueue, wait and follow, each on its own."""
    app = make_app(durable_url)
    worker_process(durable_url)
    script = tmp_path / "prefork.py"
    script.write_text(PREFORK)
    server = start_process(script, durable_url, str(CHILDREN))
    assert server.end() == 0, server.errors()
    said = server.all_lines()
    expected = {"served before", "served parent", "done"} | {f"served child{n}" for n in range(CHILDREN)}
    assert set(said) == expected
    assert app.jobs.count(state=State.COMPLETED) == app.jobs.count() == 5 * (CHILDREN + 2)
