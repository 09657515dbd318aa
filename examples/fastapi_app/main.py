"""A FastAPI application with its worker inside.

    uvicorn main:api --reload

One process serves requests and runs jobs. A reload or a stop lets running jobs finish for ten seconds, or
`LINESHAFT_GRACE`, puts the others back without using up an attempt, and the next process goes on with them.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from fastapi import FastAPI, HTTPException, Response

from lineshaft import JobNotFound, Lineshaft, State, StoreUnavailableError, current_job

# The store is $LINESHAFT_STORE, else the file lineshaft.db. uvicorn waits for as long as the lifespan takes to end.
jobs = Lineshaft(grace=os.environ.get("LINESHAFT_GRACE", "10s"))


@jobs.task(queue="reports", timeout="5m")
def make_report(customer: str, pages: int = 3, seconds_a_page: float = 0.0) -> str:
    """Write a report, page by page."""
    job = current_job()
    job.log.info("the report for %s begins", customer)
    for page in range(pages):
        job.check_cancelled()
        job.progress(page / pages, f"page {page + 1} of {pages}")
        time.sleep(seconds_a_page)
    return f"{pages} pages for {customer}"


@asynccontextmanager
async def lifespan(_api: FastAPI) -> AsyncIterator[None]:
    """Run a worker for as long as the application serves."""
    async with jobs.worker({"reports": 4}):
        yield
    await jobs.aclose()


api = FastAPI(lifespan=lifespan)


@api.post("/reports/{customer}", status_code=202)
async def order_report(
    customer: str, response: Response, pages: int = 3, seconds_a_page: float = 0.0
) -> dict[str, str]:
    """Enqueue a report; the answer says where it will be."""
    try:
        job = await make_report.aenqueue(customer, pages, seconds_a_page)
    except StoreUnavailableError as error:
        raise HTTPException(503, "no reports can be ordered at the moment", headers={"Retry-After": "5"}) from error
    response.headers["Location"] = f"/reports/{job.id}"
    return {"job": job.id}


@api.get("/reports/{job_id}")
async def report(job_id: UUID, response: Response) -> dict[str, Any]:
    """Tell how far a report is, or give it."""
    try:
        job = await jobs.jobs.aget(str(job_id))
    except JobNotFound as error:
        raise HTTPException(404, "there is no such report") from error
    if not job.state.is_final:
        response.status_code = 202
    done = job.progress.fraction if job.progress else 0.0
    text = job.value if job.state is State.COMPLETED else None
    return {"state": job.state, "attempt": job.attempt, "done": done, "report": text}
