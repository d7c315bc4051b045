"""Keeps a warehouse's stock book and its pick list from events alone. Needs Python 3.9, and nothing else.

    python3 warehouse.py http://127.0.0.1:8080 shop stock.db  # until it is stopped
    python3 warehouse.py --pack stock.db                      # packs what is to be packed now
    python3 warehouse.py --print stock.db                     # stock by SKU, as it stands
    python3 warehouse.py --orders stock.db                    # what moved for each order, and its parcels

Units move between places as money does between accounts: what leaves one place comes to another, so the sum of a SKU never
changes. An event's moves, its number and the pick list change in one transaction; the cursor follows in another one. Whoever is
killed between the two reads that event again and knows its number.

A parcel is packed when its order is completed: from then on nothing cancels it, and what the customer does not want comes back
as a return. Two packers may run beside the one who reads: whose transaction finds the parcel on the list packs it.
"""

import collections
import json
import sqlite3
import sys

import http_events

TABLES = """
CREATE TABLE IF NOT EXISTS seen (shop_order TEXT PRIMARY KEY, number INTEGER NOT NULL, ended TEXT);
CREATE TABLE IF NOT EXISTS line (shop_order TEXT, line_id TEXT, sku TEXT NOT NULL, quantity INTEGER NOT NULL,
    PRIMARY KEY (shop_order, line_id));
CREATE TABLE IF NOT EXISTS move (event TEXT, shop_order TEXT, kind TEXT, sku TEXT, place TEXT, units INTEGER NOT NULL,
    PRIMARY KEY (event, sku, place));
CREATE TABLE IF NOT EXISTS parcel (shop_order TEXT, shipment_id TEXT, state TEXT NOT NULL, PRIMARY KEY (shop_order, shipment_id));
CREATE TABLE IF NOT EXISTS in_parcel (shop_order TEXT, shipment_id TEXT, line_id TEXT, units INTEGER NOT NULL,
    wanted INTEGER NOT NULL, PRIMARY KEY (shop_order, shipment_id, line_id));
CREATE TABLE IF NOT EXISTS missing (shop_order TEXT PRIMARY KEY, number INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS cursor (only INTEGER PRIMARY KEY CHECK (only = 1), position TEXT NOT NULL);
"""
# Between which places units move. SHELF counts from 0 downwards: what lay there before is the warehouse's own knowledge.
MOVES = {
    "reserved": ("shelf", "set aside"),
    "released": ("set aside", "shelf"),
    "booked": ("set aside", "parcels"),
    "shipment_canceled": ("parcels", "set aside"),
    "returned": ("parcels", "coming back"),
    "restocked": ("coming back", "shelf"),
}
ENDS = ("completed", "canceled")


class Gap(Exception):
    """An event of an order is missing."""

    def __init__(self, order, number, came):
        super().__init__(f"order {order}: event {number} is missing, {came} came")
        self.order, self.number = order, number


def units_of(book, order, kind, data):
    """How many units of which line an event is about."""
    if kind == "reserved" and not data.get("lines"):
        # It says what was not to be had; all else of the order is set aside.
        short = {part["line_id"]: part["quantity"] for part in data.get("short", [])}
        rows = book.execute("SELECT line_id, quantity FROM line WHERE shop_order = ?", (order,))
        return {line: quantity - short.get(line, 0) for line, quantity in rows.fetchall()}
    if kind == "shipment_canceled":
        # It names the shipment; what that carries was said when it was booked.
        rows = book.execute(
            "SELECT line_id, units FROM in_parcel WHERE shop_order = ? AND shipment_id = ?", (order, data["shipment_id"])
        )
        return dict(rows.fetchall())
    return {part["line_id"]: part["quantity"] for part in data["lines"]}


def move(book, event, kind, units):
    order, (source, target) = event["subject"], MOVES[kind]
    skus = collections.Counter()
    for line, count in units.items():
        (sku,) = book.execute("SELECT sku FROM line WHERE shop_order = ? AND line_id = ?", (order, line)).fetchone()
        skus[sku] += count
    for sku, count in skus.items():
        for place, moved in ((source, -count), (target, count)):
            book.execute("INSERT INTO move VALUES (?, ?, ?, ?, ?, ?)", (event["id"], order, kind, sku, place, moved))


def take_from_the_list(book, order, units):
    """Units came back. Those that lie in no parcel yet need not be packed any more."""
    for line, count in units.items():
        waiting = book.execute(
            "SELECT shipment_id, wanted FROM in_parcel JOIN parcel USING (shop_order, shipment_id)"
            " WHERE shop_order = ? AND line_id = ? AND state = 'to pack'",
            (order, line),
        )
        for shipment, wanted in waiting.fetchall():
            taken = min(wanted, count)
            count -= taken
            book.execute(
                "UPDATE in_parcel SET wanted = wanted - ? WHERE shop_order = ? AND shipment_id = ? AND line_id = ?",
                (taken, order, shipment, line),
            )
    book.execute(
        "UPDATE parcel SET state = 'not wanted' WHERE shop_order = ? AND state = 'to pack' AND NOT EXISTS"
        " (SELECT 1 FROM in_parcel WHERE shop_order = parcel.shop_order AND shipment_id = parcel.shipment_id AND wanted > 0)",
        (order,),
    )


def carry_out(book, event, kind):
    """What one event does to the book. What we do not know moves nothing: it is counted, and let pass."""
    order, data = event["subject"], event["data"]
    if kind == "placed":
        for line in data["lines"]:
            row = (order, line["line_id"], line["sku"], line["quantity"])
            book.execute("INSERT INTO line VALUES (?, ?, ?, ?)", row)
    if kind in ("amended", "lines_canceled"):
        # What a line that was taken out is of is known still: its units come back as `released`.
        for line in data["lines"]:
            row = (order, line["line_id"], line["sku"], line["quantity"])
            book.execute("INSERT OR REPLACE INTO line VALUES (?, ?, ?, ?)", row)
    if kind in MOVES:
        units = units_of(book, order, kind, data)
        move(book, event, kind, units)
        if kind == "booked":
            shipment = data["shipment_id"]
            book.execute("INSERT INTO parcel VALUES (?, ?, 'waits')", (order, shipment))
            for line, count in units.items():
                book.execute("INSERT INTO in_parcel VALUES (?, ?, ?, ?, ?)", (order, shipment, line, count, count))
        if kind == "shipment_canceled":
            of = (order, data["shipment_id"])
            book.execute("UPDATE parcel SET state = 'canceled' WHERE shop_order = ? AND shipment_id = ?", of)
        if kind == "returned":
            take_from_the_list(book, order, units)
    if kind == "completed":
        book.execute("UPDATE parcel SET state = 'to pack' WHERE shop_order = ? AND state = 'waits'", (order,))
    if kind in ENDS:
        book.execute("UPDATE seen SET ended = ? WHERE shop_order = ?", (kind, order))


def take(book, event):
    """Takes one event into the book, all of it or nothing."""
    order, number = event["subject"], event.get("eventnumber")
    if number is None:
        # It is about the order's commands (parked, unparked), and moves nothing.
        return
    kind = event["type"].removeprefix("retailflow.order.").removesuffix(".v1")
    # Takes the place at once, so that two who read into one book do not count an event twice.
    book.execute("BEGIN IMMEDIATE")
    with book:
        known = book.execute("SELECT number FROM seen WHERE shop_order = ?", (order,)).fetchone()
        last = known[0] if known else 0
        if number <= last:
            return
        if number != last + 1:
            raise Gap(order, last + 1, number)
        book.execute(
            "INSERT INTO seen VALUES (?, ?, NULL) ON CONFLICT (shop_order) DO UPDATE SET number = excluded.number",
            (order, number),
        )
        book.execute("DELETE FROM missing WHERE shop_order = ?", (order,))
        carry_out(book, event, kind)


def is_looked_for_again(book, gap):
    """Notes a gap, and goes back to the first event: those known by then do nothing. False if that was done before."""
    with book:
        noted = book.execute("SELECT number FROM missing WHERE shop_order = ?", (gap.order,)).fetchone()
        book.execute("INSERT OR REPLACE INTO missing VALUES (?, ?)", (gap.order, gap.number))
        book.execute("DELETE FROM cursor")
    return noted != (gap.number,)


def pack(book):
    """Packs all that is to be packed now; gives the label of each parcel as it is done."""
    while True:
        # Takes the place at once: of two packers, one waits.
        book.execute("BEGIN IMMEDIATE")
        with book:
            found = book.execute("SELECT shop_order, shipment_id FROM parcel WHERE state = 'to pack' LIMIT 1").fetchone()
            if found is None:
                return
            book.execute("UPDATE parcel SET state = 'packed' WHERE shop_order = ? AND shipment_id = ?", found)
            rows = book.execute(
                "SELECT sku, sum(wanted) FROM in_parcel JOIN line USING (shop_order, line_id)"
                " WHERE shop_order = ? AND shipment_id = ? GROUP BY sku HAVING sum(wanted) > 0",
                found,
            )
            units = dict(rows.fetchall())
        # The book says packed before anybody packs. Who is killed here leaves a parcel without a label, and its row is there
        # to print it from; the other way round, two would be sent.
        yield {"order": found[0], "shipment_id": found[1], "units": units}


def stock(book):
    rows = book.execute("SELECT sku, place, sum(units) FROM move GROUP BY sku, place ORDER BY 1, 2")
    return [{"sku": sku, "place": place, "units": units} for sku, place, units in rows]


def orders(book):
    """Of each order: how it ended, what moved by which kind of event and SKU, and its parcels."""
    moved = collections.defaultdict(dict)
    for order, kind, sku, units in book.execute(
        "SELECT shop_order, kind, sku, sum(units) FROM move WHERE units > 0 GROUP BY 1, 2, 3"
    ):
        moved[order].setdefault(kind, {})[sku] = units
    parcels = collections.defaultdict(dict)
    for order, shipment, state in book.execute("SELECT shop_order, shipment_id, state FROM parcel"):
        parcels[order][shipment] = state
    for order, ended in book.execute("SELECT shop_order, ended FROM seen ORDER BY 1"):
        yield {"order": order, "ended": ended, "moved": moved[order], "parcels": parcels[order]}


def open_book(file, synchronous):
    book = sqlite3.connect(file, timeout=30.0)
    book.execute("PRAGMA journal_mode = WAL")
    book.execute(f"PRAGMA synchronous = {synchronous}")
    book.executescript(TABLES)
    return book


class Place:
    """The cursor, in the book's own file: written when what the event did is there."""

    def __init__(self, book):
        self.book = book

    def read(self):
        row = self.book.execute("SELECT position FROM cursor").fetchone()
        return row[0] if row else ""

    def write(self, position):
        with self.book:
            self.book.execute("INSERT OR REPLACE INTO cursor VALUES (1, ?)", (position,))


def follow(server, tenant, book):
    while True:
        try:
            http_events.follow(server, tenant, Place(book), lambda event: take(book, event) or True)
        except Gap as gap:
            if not is_looked_for_again(book, gap):
                raise SystemExit(f"{gap}, and it is not in the stream: look at the order, and keep a new book") from gap
            print(f"{gap}; reading from the first event on", file=sys.stderr)


def main(arguments):
    shows = {"--pack": pack, "--print": stock, "--orders": orders}
    if arguments[0] in shows:
        for row in shows[arguments[0]](open_book(arguments[1], "FULL")):
            print(json.dumps(row), flush=True)
        return
    server, tenant, file = arguments
    # A power cut may take the last entries, and then their cursor with them: they are read again. What was packed may not go.
    follow(server, tenant, open_book(file, "NORMAL"))


if __name__ == "__main__":
    main(sys.argv[1:])
