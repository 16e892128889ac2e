"""The logging cookbook's example of RotatingFileHandler: 20 records.

usage: rotating.py DIRECTORY MAX_BYTES BACKUP_COUNT
"""
import logging
import logging.handlers
import os
import sys

directory, max_bytes, backup_count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
logger = logging.getLogger("MyLogger")
logger.setLevel(logging.DEBUG)
logger.addHandler(logging.handlers.RotatingFileHandler(
    os.path.join(directory, "logging_rotatingfile_example.out"),
    maxBytes=max_bytes, backupCount=backup_count))
for i in range(20):
    logger.debug("i = %d" % i)
