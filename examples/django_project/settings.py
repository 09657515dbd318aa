"""The smallest settings that serve; a real project has more."""

import os
from pathlib import Path

SECRET_KEY = "change me"  # noqa: S105 - an example
ALLOWED_HOSTS = ["*"]
DEBUG = True
ROOT_URLCONF = "urls"
INSTALLED_APPS = ["shop"]
USE_TZ = True
EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("SHOP_DATABASE", str(Path(__file__).with_name("shop.db"))),
        "OPTIONS": {"transaction_mode": "IMMEDIATE"},  # a writer waits for another one, and is not refused
    }
}
