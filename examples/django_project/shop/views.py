"""What visitors see."""

from uuid import UUID

from django.db import connection, transaction
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from lineshaft import JobNotFound
from shop.jobs import app, confirm
from shop.models import Order


@csrf_exempt  # so that curl can try it
def place_order(request: HttpRequest) -> JsonResponse:
    """Store an order and the job that confirms it: both, or neither."""
    with transaction.atomic():
        order = Order.objects.create(customer=request.POST["customer"])
        job = confirm.options(connection=connection).enqueue(order.pk)
        if request.POST.get("card") == "declined":
            transaction.set_rollback(True)
            return JsonResponse({"error": "the card was declined"}, status=402)
    return JsonResponse({"order": order.pk, "job": job.id}, status=202)


def order_state(_request: HttpRequest, job_id: UUID) -> JsonResponse:
    """Tell how far the confirmation is; the page asks every second or two."""
    try:
        job = app.jobs.get(str(job_id))
    except JobNotFound:
        return JsonResponse({"state": "unknown"}, status=404)
    return JsonResponse({"state": job.state})
