"""An SMTP server that keeps each mail in a Maildir.

It takes its settings as JSON in its one argument, prints its port when it takes
connections, and ends when its standard input does.
"""

import asyncio
import json
import mailbox
import ssl
import sys

from aiosmtpd.controller import UnthreadedController
from aiosmtpd.smtp import AuthResult, LoginPassword

settings = json.loads(sys.argv[1])
maildir = mailbox.Maildir(settings["maildir"], create=True)


class Keeper:
    async def handle_DATA(self, server, session, envelope):
        encrypted = session.ssl["ssl_object"].version() if session.ssl else "no"
        seen = [f"X-Seen-Encryption: {encrypted}", f"X-Seen-Auth: {session.auth_data}"]
        seen += [f"X-Seen-Recipient: {address}" for address in envelope.rcpt_tos]
        head = "".join(line + "\r\n" for line in seen).encode()
        maildir.add(head + envelope.original_content)
        return "250 2.0.0 kept"


def authenticate(server, session, envelope, mechanism, data):
    known = LoginPassword(settings["username"].encode(), settings["password"].encode())
    if isinstance(data, LoginPassword) and data == known:
        return AuthResult(success=True, auth_data=mechanism)
    return AuthResult(success=False, handled=False)


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(settings["certificate"], settings["key"])
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
controller = UnthreadedController(
    Keeper(),
    hostname="127.0.0.1",
    port=0,
    loop=loop,
    ident="ESMTP",
    tls_context=context,
    require_starttls=True,
    authenticator=authenticate,
    auth_required=bool(settings["username"]),
    data_size_limit=settings["size_limit"],
    enable_SMTPUTF8=True,
)
controller.begin()
print(controller.server.sockets[0].getsockname()[1], flush=True)
loop.add_reader(sys.stdin.fileno(), loop.stop)
loop.run_forever()
controller.end()
