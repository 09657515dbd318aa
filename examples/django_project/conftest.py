"""Django set up for the tests, on a database file of their own, which is also the store of their jobs."""

import os

import pytest


@pytest.fixture(scope="session", autouse=True)
def database(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Both schemas: Django's and Lineshaft's."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
    os.environ["SHOP_DATABASE"] = str(tmp_path_factory.mktemp("shop") / "shop.db")
    from django.core.management import call_command
    from shop.jobs import app

    call_command("migrate", run_syncdb=True, verbosity=0)
    app.migrate()
