"""The shop's own tests: real requests, real transactions, a real worker."""

from django.core import mail
from django.test import Client, override_settings


@override_settings(EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend")
def test_order_is_confirmed() -> None:
    """An order is answered at once; a worker sends its mail."""
    from shop.jobs import app
    from shop.models import Order

    mail.outbox = []
    answer = Client().post("/orders", {"customer": "ada@example.com"})
    assert answer.status_code == 202
    assert Client().get(f"/jobs/{answer.json()['job']}").json() == {"state": "queued"}
    with app.worker():
        assert app.jobs.get(answer.json()["job"]).result(timeout=30) == "mail to ada@example.com"
    assert Order.objects.get(pk=answer.json()["order"]).mailed
    assert [message.to for message in mail.outbox] == [["ada@example.com"]]


def test_declined_order_leaves_nothing() -> None:
    """What is rolled back takes its job with it."""
    from shop.jobs import app
    from shop.models import Order

    before = app.jobs.count()
    answer = Client().post("/orders", {"customer": "bob@example.com", "card": "declined"})
    assert answer.status_code == 402
    assert not Order.objects.filter(customer="bob@example.com").exists()
    assert app.jobs.count() == before
