"""The background jobs; views import this module, and so do workers: `lineshaft worker --app shop.jobs:app`."""

import os
from collections.abc import Callable
from typing import Any

import django
from django.apps import apps

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
if not apps.ready:  # in a worker, which is no Django process of its own accord
    django.setup()

from django.conf import settings
from django.core.mail import send_mail
from django.db import close_old_connections

from lineshaft import CurrentJob, Lineshaft
from shop.models import Order

app = Lineshaft(f"sqlite:///{settings.DATABASES['default']['NAME']}")  # Django's database: one commit covers both


@app.middleware
def fresh_connections(_job: CurrentJob, call_next: Callable[[], Any]) -> Any:
    """Close connections that are broken or too old, as Django does around each request."""
    close_old_connections()
    try:
        return call_next()
    finally:
        close_old_connections()


@app.task(queue="mail", timeout="1m")
def confirm(order_id: int) -> str:
    """Tell the customer, once."""
    order = Order.objects.get(pk=order_id)
    if not order.mailed:
        send_mail("Your order", f"Thank you for {order}.", None, [order.customer])
        Order.objects.filter(pk=order_id).update(mailed=True)
    return f"mail to {order.customer}"
