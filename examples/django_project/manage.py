"""Django's commands: `python manage.py migrate --run-syncdb`, `python manage.py runserver`."""

import os

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
    execute_from_command_line()
