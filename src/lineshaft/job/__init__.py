"""Jobs: as they are stored, as they were read, and with the calls that act on them."""

from lineshaft.job.job import Job, JobDoor, no_longer_stored, no_such_job
from lineshaft.job.row import JobRow
from lineshaft.job.snapshot import Progress

__all__ = ["Job", "JobDoor", "JobRow", "Progress", "no_longer_stored", "no_such_job"]
