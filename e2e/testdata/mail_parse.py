"""Prints what the files given, which are mails, hold, as a JSON array."""

import email
import email.policy
import html.parser
import json
import sys


class Shown(html.parser.HTMLParser):
    """What a page shows, and the elements it has."""

    def __init__(self, page):
        super().__init__()
        self.text, self.elements, self.hidden = "", set(), False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.add(tag)
        self.hidden = tag in ("style", "script", "title")

    def handle_endtag(self, tag):
        self.hidden = False

    def handle_data(self, data):
        if not self.hidden:
            self.text += data


def parsed(path):
    with open(path, "rb") as file:
        content = file.read()
    # From bytes, email would take RFC 6532 for a defect in each header.
    mail = email.message_from_string(content.decode(), policy=email.policy.default)
    headers, defects = {}, []
    for part in mail.walk():
        defects += [repr(defect) for defect in part.defects]
        for name, value in part.items():
            defects += [f"{name}: {defect!r}" for defect in value.defects]
    for name, value in mail.items():
        headers.setdefault(name, []).append(str(value))
    text, html_part = mail.get_body(("plain",)), mail.get_body(("html",))
    page = html_part.get_content()
    shown = Shown(page)
    return {
        "headers": headers,
        "types": [part.get_content_type() for part in mail.walk()],
        "text": text.get_content().replace("\r\n", "\n"),
        "html": page,
        "shown": shown.text,
        "elements": sorted(shown.elements),
        "attachments": [
            {
                "name": part.get_filename(),
                "type": part.get_content_type(),
                "content": part.get_content().decode(),
            }
            for part in mail.iter_attachments()
        ],
        "defects": defects,
        "longest_line": max(len(line.rstrip(b"\r")) for line in content.split(b"\n")),
    }


json.dump([parsed(path) for path in sys.argv[1:]], sys.stdout)
