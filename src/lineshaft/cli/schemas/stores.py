"""What the commands print that make, keep and move a store."""

from __future__ import annotations

from typing import TypedDict

from lineshaft.cli.schemas.moment import Moment


class MigrationForm(TypedDict):
    """A migration."""

    number: int
    name: str


class _Schema(TypedDict):
    store: str
    schema: int


class Migrated(_Schema, total=False):
    """What `migrate` did, or with `--check` is to do."""

    applied: list[MigrationForm]
    pending: list[MigrationForm]


class BackupForm(TypedDict):
    """What is in a backup: `rows` by table."""

    store: str
    schema: int
    made_at: Moment
    rows: dict[str, int]


class BackedUp(BackupForm):
    """What `backup` wrote."""

    file: str
    bytes: int


class RestoredForm(TypedDict):
    """What `restore` did: the queues that it paused, the ids of the jobs that ran when the backup was made."""

    store: str
    file: str
    backup: BackupForm
    paused: list[str]
    interrupted: list[str]


class TableForm(TypedDict):
    """A table that `copy` found equal in both stores."""

    rows: int
    digest: str


class CopiedForm(TypedDict):
    """What `copy` moved; `interrupted` are the ids of the jobs that dead workers held."""

    source: str
    target: str
    closed_at: Moment
    interrupted: list[str]
    tables: dict[str, TableForm]


class ReopenedForm(TypedDict):
    """What `copy --reopen` opened, and where its copy is."""

    source: str
    target: str
