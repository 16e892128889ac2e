"""A file that is moved and removed under a WatchedFileHandler.

usage: watched.py DIRECTORY
"""
import logging
import logging.handlers
import os
import sys

path = os.path.join(sys.argv[1], "app.log")
logger = logging.getLogger()
logger.addHandler(logging.handlers.WatchedFileHandler(path))
logger.error("before it is moved")
os.rename(path, path + ".moved")
logger.error("after it is moved")
os.remove(path)
logger.error("after it is removed")
