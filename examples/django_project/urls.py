"""Where the views are."""

from django.urls import path
from shop import views

urlpatterns = [path("orders", views.place_order), path("jobs/<uuid:job_id>", views.order_state)]
