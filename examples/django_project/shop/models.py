"""What the shop stores."""

from django.db import models


class Order(models.Model):
    """An order, and whether its customer was told."""

    customer = models.CharField(max_length=100)
    mailed = models.BooleanField(default=False)

    def __str__(self) -> str:
        """Show the number and the customer."""
        return f"order {self.pk} of {self.customer}"
