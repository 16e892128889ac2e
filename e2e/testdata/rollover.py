"""When a TimedRotatingFileHandler rotates next, in the time zone of TZ.

usage: rollover.py WHEN [HH:MM] < seconds since 1970, one a line
"""
import datetime
import logging.handlers
import os
import sys
import tempfile

when = sys.argv[1]
at = None
if len(sys.argv) > 2:
    hour, minute = map(int, sys.argv[2].split(":"))
    at = datetime.time(hour, minute)
with tempfile.TemporaryDirectory() as directory:
    handler = logging.handlers.TimedRotatingFileHandler(
        os.path.join(directory, "app.log"), when=when, atTime=at)
    for line in sys.stdin:
        print(handler.computeRollover(int(line)))
    handler.close()
