"""Schedules: jobs that come again and again, one for each tick, whichever process is killed when."""
