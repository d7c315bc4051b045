"""Writes to customers what becomes of their orders, from the stream RF_EVT, by a durable consumer that acknowledges each event.
Needs nats-py (pip install nats-py).

    python3 mailer.py nats://127.0.0.1:4222 shop mails.db 127.0.0.1:25                   # until it is stopped
    python3 mailer.py nats://127.0.0.1:4222 shop mails.db 127.0.0.1:25 --until-quiet 2   # until nothing comes for 2 s, and all is sent
    python3 mailer.py nats://127.0.0.1:4222 shop mails.db 127.0.0.1:25 --anew            # reads from the first event again
    python3 mailer.py --print mails.db                                                   # all mails, and which are sent

This is for services of the account that has the log (docs/nats.md says why, and what they need for a durable consumer).

Two halves that meet in a table, the outbox. The first one takes an event: its number and its mail go into the file in one
transaction, and only then is it acknowledged. The second one sends what stands there, and marks it.

What this gives: one row for each mail, whatever comes twice. What it cannot give: that a mail server hears of a row once only. Who
is killed between the server's "250" and our mark sends that mail again, because whether it was taken is not known. It goes out
under the same Message-ID and with the same text, and whoever keeps Message-IDs (a mail provider with an idempotency key, a
mailbox, an archive) keeps it once. A mail can come twice there, if they do not; it never fails to come.
"""

import asyncio
import datetime
import email.message
import email.policy
import email.utils
import hashlib
import json
import re
import smtplib
import sqlite3
import sys
import threading
import time
import urllib.parse

import nats
import nats.errors
import nats.js.errors
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

STREAM = "RF_EVT"
SENDER = "orders@shop.example"
OPERATORS = "operators@shop.example"
# Half of a Message-ID: a name of ours that never changes.
MAIL_HOST = "mailer.shop.example"
# To take an event is one transaction here. One that is not acknowledged by then comes again, and its number is known.
ACK_WAIT_S = 2.0
FETCH_S = 1.0
PAUSE_S = 1.0
SMTP_TIMEOUT_S = 10.0
# After a failure a mail waits; others do not.
RETRY_MIN_S, RETRY_MAX_S = 0.2, 600.0
# An order that takes no commands for so long is told to operators, not to the customer.
PARKED_LONG_S = 900.0

TABLES = """
CREATE TABLE IF NOT EXISTS seen (shop_order TEXT PRIMARY KEY, number INTEGER NOT NULL, customer TEXT, currency TEXT);
CREATE TABLE IF NOT EXISTS seen_mark (event TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS outbox (place INTEGER PRIMARY KEY, mail TEXT NOT NULL UNIQUE, shop_order TEXT NOT NULL, kind TEXT NOT NULL,
    recipient TEXT NOT NULL, subject TEXT NOT NULL, body TEXT NOT NULL, written TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'waits', due REAL NOT NULL, tries INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS waits ON outbox (due) WHERE state = 'waits';
CREATE INDEX IF NOT EXISTS of_order ON outbox (shop_order, place) WHERE state = 'waits';
CREATE TABLE IF NOT EXISTS missing (shop_order TEXT PRIMARY KEY, number INTEGER NOT NULL);
"""

# How many digits of an amount stand behind the point, where they are not two (ISO 4217).
DIGITS = {
    **dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0),
    **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),
    **dict.fromkeys("CLF UYW".split(), 4),
}


class Gap(Exception):
    """An event of an order is missing."""

    def __init__(self, order, number, came):
        super().__init__(f"order {order}: event {number} is missing, {came} came")
        self.order, self.number = order, number


def money(minor, currency):
    digits = DIGITS.get(currency, 2)
    whole, part = divmod(abs(minor), 10**digits)
    return f"{'-' if minor < 0 else ''}{whole}{f'.{part:0{digits}}' if digits else ''} {currency}"


def address_of(customer):
    """Here an application asks its own directory. A customer's name may hold anything, and none of it may get into a header."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", customer):
        customer = hashlib.sha256(customer.encode()).hexdigest()[:32]
    return f"{customer}@customers.example"


def mail_of(order, kind, data, currency):
    """What is written at an event of this kind, if anything: its kind, subject and text."""
    if kind == "placed":
        return "taken", "We have your order", f"Your order {order} over {money(data['total_minor'], currency)} has come in."
    if kind == "payment_failed":
        return "payment-failed", "Your payment was declined", f"Of your order {order}: {data['reason']}."
    if kind == "completed":
        # Not when it is booked: a payment that is not captured then still cancels the shipment.
        return "on-its-way", "Your order is on its way", f"Your order {order} is paid and on its way."
    if kind == "canceled":
        return "canceled", "Your order was canceled", f"Your order {order} was canceled: {data['reason']}."
    if kind == "refunded":
        paid = money(data["amount_minor"], currency)
        return "refunded", "We have paid you back", f"Of your order {order} we have paid back {paid}."
    return None


def seconds(stamp):
    return datetime.datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()


def write(book, event, kind, recipient, subject, body, due):
    # The event's id is the same however often it comes, so the mail's is.
    mail = f"{event['id']}.{kind}"
    row = (mail, event["subject"], kind, recipient, f"{subject} ({event['subject']})", body, event["time"], due)
    book.execute(
        "INSERT INTO outbox (mail, shop_order, kind, recipient, subject, body, written, due) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        row,
    )


def take_mark(book, event, kind, parked_long_s):
    """`parked` and `unparked` have no number: they are known by their ids. The last part of an end's id is that of its beginning, and
    one more."""
    if book.execute("INSERT OR IGNORE INTO seen_mark VALUES (?)", (event["id"],)).rowcount == 0:
        return
    if kind == "parked":
        text = f"Order {event['subject']} takes no commands since {event['time']}: {event['data']['reason']}"
        due = seconds(event["time"]) + parked_long_s
        write(book, event, "parked-long", OPERATORS, "An order is parked", text, due)
    if kind == "unparked":
        begun = f"-{int(event['id'].rpartition('-')[2]) - 1}.parked-long"
        rows = book.execute("SELECT place, mail FROM outbox WHERE shop_order = ? AND state = 'waits'", (event["subject"],))
        for place, mail in rows.fetchall():
            if mail.endswith(begun):
                book.execute("UPDATE outbox SET state = 'not needed' WHERE place = ?", (place,))


def take(book, event, parked_long_s):
    """Takes one event into the file, all of it or nothing."""
    order, number, data = event["subject"], event.get("eventnumber"), event["data"]
    kind = event["type"].removeprefix("retailflow.order.").removesuffix(".v1")
    book.execute("BEGIN IMMEDIATE")
    with book:
        if number is None:
            take_mark(book, event, kind, parked_long_s)
            return
        known = book.execute("SELECT number, customer, currency FROM seen WHERE shop_order = ?", (order,)).fetchone()
        last, customer, currency = known or (0, data.get("customer"), data.get("currency"))
        number = int(number)
        if number <= last:
            return
        if number != last + 1:
            raise Gap(order, last + 1, number)
        book.execute("INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?)", (order, number, customer, currency))
        book.execute("DELETE FROM missing WHERE shop_order = ?", (order,))
        mail = mail_of(order, kind, data, currency)
        if mail is not None:
            what, subject, body = mail
            write(book, event, what, address_of(customer), subject, body, 0.0)


def is_looked_for_again(book, gap):
    """Notes a gap; false if it was noted before."""
    with book:
        noted = book.execute("SELECT number FROM missing WHERE shop_order = ?", (gap.order,)).fetchone()
        book.execute("INSERT OR REPLACE INTO missing VALUES (?, ?)", (gap.order, gap.number))
    return noted != (gap.number,)


def to_event(message):
    """The CloudEvent of a message in binary mode: attributes in percent-encoded headers, `data` in the body."""
    headers = message.headers or {}
    event = {
        name.lower().removeprefix("ce-"): urllib.parse.unquote(value)
        for name, value in headers.items()
        if name.lower().startswith("ce-")
    }
    event["data"] = json.loads(message.data)
    return event


def to_mail(tenant, row):
    """A mail as it goes out: of a row it is the same each time, to the byte."""
    mail = email.message.EmailMessage(policy=email.policy.default.clone(cte_type="7bit"))
    mail["From"], mail["To"], mail["Subject"] = SENDER, row["recipient"], row["subject"]
    mail["Date"] = email.utils.format_datetime(datetime.datetime.fromtimestamp(seconds(row["written"]), datetime.timezone.utc))
    mail["Message-ID"] = f"<{row['mail']}@{tenant}.{MAIL_HOST}>"
    mail.set_content(row["body"])
    return mail


class Sender(threading.Thread):
    """Sends what stands in the outbox, one mail after another; those to one recipient about one order in their order."""

    def __init__(self, file, tenant, server):
        super().__init__(daemon=True)
        self.file, self.tenant = file, tenant
        host, _, port = server.rpartition(":")
        self.server, self.ends, self.has_work = (host, int(port)), threading.Event(), threading.Event()

    def run(self):
        book, session = open_book(self.file), None
        book.row_factory = sqlite3.Row
        while not self.ends.is_set():
            row = book.execute(
                "SELECT * FROM outbox AS mail WHERE state = 'waits' AND due <= ? AND NOT EXISTS (SELECT 1 FROM outbox AS earlier"
                " WHERE earlier.state = 'waits' AND earlier.shop_order = mail.shop_order"
                " AND earlier.recipient = mail.recipient AND earlier.place < mail.place) ORDER BY due, place LIMIT 1",
                (time.time(),),
            ).fetchone()
            if row is None:
                session = close(session)
                self.has_work.wait(RETRY_MIN_S)
                self.has_work.clear()
                continue
            try:
                session = session or smtplib.SMTP(*self.server, timeout=SMTP_TIMEOUT_S)
                session.send_message(to_mail(self.tenant, row))
                # Killed here, we send it again: see above.
                self.mark(book, row, "sent")
            except (smtplib.SMTPException, OSError, ValueError) as error:
                session = close(session)
                state = "refused" if is_for_good(error) else "waits"
                print(f"{row['mail']} {state}: {error!r}", file=sys.stderr)
                self.mark(book, row, state)
        close(session)

    def mark(self, book, row, state):
        tries = row["tries"] + 1
        due = time.time() + min(RETRY_MIN_S * 2 ** min(tries, 20), RETRY_MAX_S)
        with book:
            # One that was withdrawn in the meantime went out all the same.
            book.execute(
                "UPDATE outbox SET state = ?, tries = ?, due = ? WHERE place = ?", (state, tries, due, row["place"])
            )

    def end(self):
        self.ends.set()
        self.has_work.set()
        self.join()


def is_for_good(error):
    """Whether the server will never take this mail (or nobody can put it into words). What else fails is tried again."""
    if isinstance(error, ValueError):
        return True
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= 500 for code, _ in error.recipients.values())
    return isinstance(error, (smtplib.SMTPDataError, smtplib.SMTPSenderRefused)) and error.smtp_code >= 500


def close(session):
    if session is not None:
        session.close()


def open_book(file):
    book = sqlite3.connect(file, timeout=30.0)
    book.execute("PRAGMA journal_mode = WAL")
    # What is acknowledged has to be there after a power cut, too.
    book.execute("PRAGMA synchronous = FULL")
    book.executescript(TABLES)
    return book


def waits(book):
    """How many mails are to be sent now, or once more when a server takes them again."""
    rows = book.execute("SELECT count(*) FROM outbox WHERE state = 'waits' AND (due <= ? OR tries > 0)", (time.time(),))
    return rows.fetchone()[0]


async def consume(stream, tenant, handle):
    """Gives each event that was not acknowledged yet to `handle`, one after another; None where there is none now. Ends when that
    says False."""
    config = ConsumerConfig(
        deliver_policy=DeliverPolicy.ALL,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=ACK_WAIT_S,
        # With more on their way, two events of one order could change places after a crash.
        max_ack_pending=1,
    )
    subject, durable = f"rf.v1.evt.{tenant}.*", f"mailer-{tenant}"
    # Opens the consumer that is there, or makes it: from the first event on. That happens too when the stream was made anew or
    # restored; what is known by its number gives no mail.
    reading = await stream.pull_subscribe(subject, durable=durable, stream=STREAM, config=config)
    try:
        goes_on = True
        while goes_on:
            try:
                (message,) = await reading.fetch(1, timeout=FETCH_S)
            except nats.errors.TimeoutError:
                goes_on = handle(None)
                continue
            goes_on = handle(to_event(message))
            # Behind the transaction. Killed here, it comes again.
            await message.ack()
    finally:
        await reading.unsubscribe()


async def read_anew(stream, tenant):
    """Forgets what was acknowledged."""
    try:
        await stream.delete_consumer(STREAM, f"mailer-{tenant}")
    except nats.js.errors.NotFoundError:
        pass


async def main(url, tenant, file, server, *options):
    def option(name, default):
        return float(options[options.index(name) + 1]) if name in options else default

    quiet_s, parked_long_s = option("--until-quiet", None), option("--parked-long", PARKED_LONG_S)
    book, sender, heard = open_book(file), Sender(file, tenant, server), time.monotonic()

    def handle(event):
        nonlocal heard
        if event is not None:
            take(book, event, parked_long_s)
            sender.has_work.set()
            heard = time.monotonic()
        if not sender.is_alive():
            raise SystemExit("the sender has failed: see what it said")
        return quiet_s is None or time.monotonic() - heard < quiet_s or waits(book) > 0

    sender.start()
    connection = await nats.connect(url, max_reconnect_attempts=-1)
    try:
        anew = "--anew" in options
        while True:
            try:
                if anew:
                    await read_anew(connection.jetstream(), tenant)
                    anew = False
                await consume(connection.jetstream(), tenant, handle)
                return
            except Gap as gap:
                print(f"{gap}; reading from the first event on", file=sys.stderr)
                if not is_looked_for_again(book, gap):
                    raise SystemExit(f"{gap}, and it is not in the stream: look at the order; its mails are for you") from gap
                anew = True
            except (nats.errors.Error, nats.js.errors.Error, asyncio.TimeoutError, OSError) as error:
                print(f"again in {PAUSE_S} s: {error!r}", file=sys.stderr)
                await asyncio.sleep(PAUSE_S)
    finally:
        sender.end()
        await connection.close()


def show(file):
    book = open_book(file)
    book.row_factory = sqlite3.Row
    for row in book.execute("SELECT mail, shop_order, kind, recipient, body, state, tries FROM outbox ORDER BY place"):
        print(json.dumps(dict(row)))


if __name__ == "__main__":
    if sys.argv[1] == "--print":
        show(sys.argv[2])
    else:
        asyncio.run(main(*sys.argv[1:]))
