"""Keeps a shop's book from its events alone, in double entry: each event that moves money is one entry, and all of a book's
entries add up to nothing. Needs Python 3.9, and nothing else.

    python3 accountant.py http://127.0.0.1:8080 shop book.db            # until it is stopped
    python3 accountant.py http://127.0.0.1:8080 shop book.db --until-ended 10   # until so many orders have ended
    python3 accountant.py --print book.db

Events come at least once. The book's file holds the entries, the numbers of the events that it knows of each order, and the
cursor, and each event changes all three in one transaction: one that comes again changes nothing, one that is missing is seen by
its number. Delete the file, and the book is made anew from the first event.
"""

import json
import sqlite3
import sys

import http_events

TABLES = """
CREATE TABLE IF NOT EXISTS seen (shop_order TEXT PRIMARY KEY, number INTEGER NOT NULL, currency TEXT);
CREATE TABLE IF NOT EXISTS entry (event TEXT, account TEXT, currency TEXT, amount_minor INTEGER, PRIMARY KEY (event, account));
CREATE TABLE IF NOT EXISTS ended (shop_order TEXT PRIMARY KEY, how TEXT NOT NULL, captured_minor INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS cursor (only INTEGER PRIMARY KEY CHECK (only = 1), position TEXT NOT NULL);
"""


class Gap(Exception):
    """An event of an order is missing."""


def lines_of(event, sold):
    """What an event is in the book: (account, minor units), which add up to nothing. `sold` is what was captured when the order
    was completed before, if it was: an exchange opens it again, and completes it once more."""
    data = event["data"]
    kind = event["type"].removeprefix("retailflow.order.").removesuffix(".v1")
    if kind == "captured":
        return [("provider", data["amount_minor"]), ("customers", -data["amount_minor"])]
    if kind == "refunded":
        return [("provider", -data["amount_minor"]), ("customers", data["amount_minor"])]
    if kind == "completed":
        payment = data["payment"]
        if sold is not None:
            taken = payment["captured_minor"] - sold
            return [("customers", taken), ("sales", -taken)]
        taken = payment["captured_minor"] - payment["refunded_minor"] - payment.get("charged_back_minor", 0)
        return [("customers", taken), ("sales", -taken)]
    if kind == "returned":
        return [("sales", data["refund_minor"]), ("customers", -data["refund_minor"])]
    if kind == "recorded":
        return fact(data)
    return []


def fact(data):
    """What happened past the provider. Its account stays what the participants' books say."""
    amount = data["amount_minor"]
    if data["kind"] == "chargeback":
        owed = data.get("owed_minor", 0)
        return [("bank", -amount), ("customers", owed), ("losses", amount - owed)]
    if data["kind"] == "loss":
        return [("losses", amount), ("goods", -amount)]
    if data["kind"] == "goodwill":
        return [("goodwill", amount), ("vouchers", -amount)]
    if data["kind"] == "external_payment":
        return [("bank", amount), ("prepaid", -amount)]
    return []


def take(book, event):
    """Takes one event into the book. The transaction stays open: the cursor ends it."""
    order, number = event["subject"], event.get("eventnumber")
    known = book.execute("SELECT number, currency FROM seen WHERE shop_order = ?", (order,)).fetchone()
    if number is not None:
        last, currency = known or (0, event["data"].get("currency"))
        if number <= last:
            return
        if number != last + 1:
            raise Gap(f"order {order}: event {last + 1} is missing, {number} came")
        book.execute("INSERT OR REPLACE INTO seen VALUES (?, ?, ?)", (order, number, currency))
        sold = book.execute(
            "SELECT captured_minor FROM ended WHERE shop_order = ? AND how LIKE '%completed%'", (order,)
        ).fetchone()
        for account, amount in lines_of(event, sold[0] if sold else None):
            book.execute("INSERT INTO entry VALUES (?, ?, ?, ?)", (event["id"], account, currency, amount))
    if event["type"] in ("retailflow.order.completed.v1", "retailflow.order.canceled.v1"):
        captured = event["data"]["payment"]["captured_minor"]
        book.execute("INSERT OR REPLACE INTO ended VALUES (?, ?, ?)", (order, event["type"], captured))


def balance(book):
    rows = book.execute(
        "SELECT currency, account, sum(amount_minor) FROM entry GROUP BY currency, account ORDER BY 1, 2"
    )
    return [{"currency": c, "account": a, "amount_minor": s} for c, a, s in rows]


def main(arguments):
    if arguments[:1] == ["--print"]:
        for row in balance(sqlite3.connect(arguments[1])):
            print(json.dumps(row))
        return
    server, tenant, file = arguments[:3]
    until = int(arguments[arguments.index("--until-ended") + 1]) if "--until-ended" in arguments else None
    book = sqlite3.connect(file)
    # One sync for each transaction, and what was committed stays, whatever happens to the machine.
    book.execute("PRAGMA journal_mode = WAL")
    book.execute("PRAGMA synchronous = FULL")
    book.executescript(TABLES)

    class Place:
        """The cursor, in the book's own file."""

        def read(self):
            row = book.execute("SELECT position FROM cursor").fetchone()
            return row[0] if row else ""

        def write(self, position):
            book.execute("INSERT OR REPLACE INTO cursor VALUES (1, ?)", (position,))
            book.commit()

    def handle(event):
        take(book, event)
        return until is None or book.execute("SELECT count(*) FROM ended").fetchone()[0] < until

    if until is not None and book.execute("SELECT count(*) FROM ended").fetchone()[0] >= until:
        return
    http_events.follow(server, tenant, Place(), handle)


if __name__ == "__main__":
    main(sys.argv[1:])
