# SPDX-License-Identifier: Apache-2.0
"""Is the parent of each span the true one?

Request 17 writes c17 into all that is done for it: the paths, the alias of the SQL, the key of
Redis.  A call is right below the server span of its own process with its number; a server span
below the call of another process with its number and its path.

    right   such a parent
    wrong   any other; also one that is not among the spans, or begins later
    none    a root that ought to have a parent
    alien   named by a header, and not among the spans: another tracer's, that is at work here
"""

import re
from collections import Counter

from spans import CLIENT, SERVER

NUMBER = re.compile(r"\bc(\d+)\b")
SERVERS, SQL, CACHE, HTTP, OTHER = "servers", "SQL", "cache", "HTTP", "other"


def number_of(span):
    """None: what a client library says for itself, such as HELLO or BEGIN."""
    if not hasattr(span, "number"):
        text = " ".join(str(span[key]) for key in ("url.path", "url.full", "db.query.text"))
        found = NUMBER.search(text)
        span.number = int(found[1]) if found else None
    return span.number


def kind_of(span):
    if span.kind == SERVER:
        return SERVERS
    if number_of(span) is None:
        return OTHER
    if span["db.system.name"]:
        return SQL if span["db.system.name"] == "postgresql" else CACHE
    return HTTP


def process_of(span):
    return span.resource["process.pid"]


def leads_to(parent, span):
    """Could @span, of the same request, have been caused by @parent?"""
    if parent.trace_id != span.trace_id or parent.start_ns > span.start_ns:
        return False
    if span.kind == CLIENT:
        return parent.kind == SERVER and process_of(parent) == process_of(span)
    return parent.kind == CLIENT and process_of(parent) != process_of(span) and \
        parent["url.full"].endswith(span["url.path"])


def verdict(span, by_id):
    parent = by_id.get(span.parent_id)
    if not span.parent_id:
        return "none"
    if not parent and span["spanloom.link"] == "header":
        return "alien"
    if not parent or not leads_to(parent, span):
        return "wrong"
    if number_of(span) is None:  # whose it is nobody can tell, but when it was
        return "right" if span.start_ns <= parent.end_ns else "wrong"
    return "right" if number_of(parent) == number_of(span) else "wrong"


class Judgement:
    """(kind of span, verdict) -> how many, and the wrong ones themselves."""

    def __init__(self):
        self.counts, self.wrong, self.links = Counter(), [], Counter()

    def add(self, span, by_id):
        said = verdict(span, by_id)
        self.counts[kind_of(span), said] += 1
        self.links[kind_of(span), span["spanloom.link"]] += 1
        if said == "wrong":
            self.wrong.append((span, by_id.get(span.parent_id)))

    def total(self, verdicts=("right", "wrong", "none", "alien"), kinds=(SERVERS, SQL, CACHE, HTTP)):
        return sum(self.counts[kind, said] for kind in kinds for said in verdicts)

    def right(self, kinds=(SERVERS, SQL, CACHE, HTTP)):
        """Of all that have a number."""
        return self.total(("right",), kinds) / max(1, self.total(kinds=kinds))


def judge(spans, client):
    """@client: the process whose requests are the roots: those must have no parent."""
    by_id = {span.span_id: span for span in spans}
    judgement = Judgement()
    for span in spans:
        if process_of(span) != client:
            judgement.add(span, by_id)
        elif span.parent_id and span.kind == CLIENT:
            judgement.wrong.append((span, by_id.get(span.parent_id)))
    return judgement
