"""Logging over Redis in the form of python-redis-log, for the tests.

  redis_log.py publish PORT CHANNEL LIST   logs some records to both
  redis_log.py listen PORT CHANNEL         prints what comes, until "end"
"""
import datetime, getpass, json, logging, socket, sys, traceback

import redis

LEVELS = {logging.DEBUG: "debug", logging.INFO: "info", logging.WARNING: "warning",
          logging.ERROR: "error", logging.CRITICAL: "fatal"}
KEYS = {"name", "level", "filename", "line_no", "msg", "args", "time", "username",
        "funcname", "hostname", "traceback"}


def raw(r):
    return {
        "name": r.name, "level": LEVELS.get(r.levelno, "unknown"), "filename": r.filename,
        "line_no": r.lineno, "msg": str(r.msg), "args": list(r.args) if isinstance(r.args, tuple) else r.args,
        "time": datetime.datetime.fromtimestamp(r.created, datetime.timezone.utc).replace(tzinfo=None).isoformat(),
        "username": getpass.getuser(), "funcname": r.funcName, "hostname": socket.gethostname(),
        "traceback": "".join(traceback.format_exception(*r.exc_info)) if r.exc_info else None,
    }


class Handler(logging.Handler):
    def __init__(self, client, channel, key):
        super().__init__()
        self.client, self.channel, self.key = client, channel, key

    def emit(self, record):
        text = json.dumps(raw(record))
        self.client.publish(self.channel, text)
        pipe = self.client.pipeline()
        pipe.rpush(self.key, text)
        pipe.ltrim(self.key, -100, -1)
        pipe.execute()


def publish(client, channel, key):
    log = logging.getLogger("my.log")
    log.setLevel(logging.DEBUG)
    log.addHandler(Handler(client, channel, key))
    log.debug("100%")
    log.info("%d items in %s", 3, "cart")
    log.warning("é\n✓")
    try:
        1 / 0
    except ZeroDivisionError:
        log.error("Trousers!", exc_info=True)
    log.critical("%(who)s", {"who": "all"})


def listen(client, channel):
    sub = client.pubsub(ignore_subscribe_messages=False)
    sub.subscribe(channel)
    for m in sub.listen():
        if m["type"] == "subscribe":
            print("ready", flush=True)
            continue
        r = json.loads(m["data"])
        assert set(r) == KEYS, sorted(r)
        # A reader formats the message as logging does.
        message = r["msg"] % tuple(r["args"]) if r["args"] else r["msg"]
        datetime.datetime.strptime(r["time"], "%Y-%m-%dT%H:%M:%S.%f")
        assert isinstance(r["line_no"], int) and r["hostname"] and r["username"], r
        print(json.dumps([r["name"], r["level"], message, r["filename"], r["funcname"], r["traceback"]]), flush=True)
        if message == "end":
            return


client = redis.Redis(host="127.0.0.1", port=int(sys.argv[2]))
{"publish": publish, "listen": listen}[sys.argv[1]](client, *sys.argv[3:])
