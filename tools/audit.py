"""Look the packages that Lineshaft installs for its users up in PyPI's list of known vulnerabilities.

Development tools are left out: they are not shipped, and news about one of them must not stop a release.
Without a way to the list it says so and succeeds; a vulnerability fails.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

SHIPPED = ("--frozen", "--offline", "--quiet", "--all-extras", "--no-dev", "--no-hashes", "--no-emit-project")
UNREACHABLE = ("ConnectionError", "ServiceError", "Could not connect", "Connection", "timed out", "Max retries", "HTTP")


def main() -> int:
    """Audit the locked runtime dependencies; 0 for none found or none to be asked, 1 otherwise."""
    with tempfile.TemporaryDirectory() as folder:
        shipped = Path(folder, "shipped.txt")
        _run("uv", "export", *SHIPPED, "--output-file", str(shipped)).check_returncode()
        audit = _run("pip_audit", "--no-deps", "--disable-pip", "--progress-spinner=off", "-f=json", "-r", str(shipped))
    try:
        dependencies = json.loads(audit.stdout)["dependencies"]
    except ValueError:
        return _without_answer(audit.stderr)
    return _report(dependencies)


def _run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", module, *arguments], capture_output=True, text=True, check=False)


def _without_answer(stderr: str) -> int:
    reason = (stderr.strip().splitlines() or ["no message"])[-1]
    if any(sign in stderr for sign in UNREACHABLE):
        print(f"audit: skipped, the list of vulnerabilities cannot be reached from here ({reason[:120]})")
        return 0
    print(f"audit: pip-audit failed: {reason}", file=sys.stderr)
    return 1


def _report(dependencies: list[dict[str, object]]) -> int:
    vulnerable = [dependency for dependency in dependencies if dependency.get("vulns")]
    for dependency in vulnerable:
        print(f"audit: {dependency['name']} {dependency['version']}: {dependency['vulns']}", file=sys.stderr)
    print(f"audit: {len(dependencies)} packages, {len(vulnerable)} with known vulnerabilities")
    return 1 if vulnerable else 0


if __name__ == "__main__":
    sys.exit(main())
