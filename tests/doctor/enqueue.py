"""Enqueues one job on the store that the first argument names."""

from __future__ import annotations

import os
import sys

from lineshaft import Lineshaft

app = Lineshaft(sys.argv[1])


@app.task(name="work.hold", queue="pdf")
def hold(key: str) -> str:
    return key


os.write(1, f"stored {hold.enqueue('a').id}\n".encode())
app.close()
