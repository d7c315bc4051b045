//! The suite of [`CommandInbox`].

use retailflow_engine::ports::{Body, CommandInbox, Delivery, PortFuture};

/// An inbox under test.
pub type Inbox = Box<dyn CommandInbox>;

/// What the suite runs on.
pub trait InboxSubject: Send {
    /// Opens the inbox `name` at its beginning. It holds `bodies`, of which those longer than `body_max_bytes` come
    /// as [`Body::TooLong`]. Called again with the same arguments: the same inbox after a restart. Bodies hold no line
    /// breaks and are not empty.
    fn open(&mut self, name: &str, bodies: &[Vec<u8>], body_max_bytes: usize) -> PortFuture<'_, Inbox>;
}

const BODY_MAX_BYTES: usize = 1000;

/// Runs every check.
pub async fn suite<S: InboxSubject>(subject: &mut S) {
    an_empty_inbox_ends_at_once(subject).await;
    everything_is_delivered_once_in_order(subject).await;
    a_position_always_holds_the_same(subject).await;
    a_batch_is_no_larger_than_asked_for(subject).await;
    what_is_too_long_is_cut_and_told(subject).await;
    what_was_given_is_given_again(subject).await;
    a_read_that_is_dropped_loses_nothing(subject).await;
}

/// Reads an inbox to its end, `max` deliveries at a time.
pub async fn drain(inbox: &mut Inbox, max: usize) -> Vec<Delivery> {
    let mut all: Vec<Delivery> = Vec::new();
    loop {
        let batch = inbox.next(max).await.unwrap();
        assert!(batch.len() <= max, "{} deliveries where {max} were asked for", batch.len());
        if batch.is_empty() {
            return all;
        }
        all.extend(batch);
    }
}

fn bodies(count: usize) -> Vec<Vec<u8>> {
    (0..count)
        .map(|number| format!("{{\"id\":\"c-{number}\",\"pad\":\"{}\"}}", "x".repeat(number)).into_bytes())
        .collect()
}

fn bytes(deliveries: Vec<Delivery>) -> Vec<Vec<u8>> {
    let body = |delivery: Delivery| match delivery.body {
        Body::Bytes(bytes) => bytes,
        Body::TooLong { length_bytes, .. } => panic!("{length_bytes} bytes were within the limit"),
    };
    deliveries.into_iter().map(body).collect()
}

/// `next` is "empty at the end", and stays so.
pub async fn an_empty_inbox_ends_at_once<S: InboxSubject>(subject: &mut S) {
    let mut inbox = subject.open("empty", &[], BODY_MAX_BYTES).await;
    for _ in 0..3 {
        assert_eq!(inbox.next(10).await.unwrap(), []);
    }
}

/// "Positions MUST rise strictly", from 1 at least, and every body comes as it was, bytes that are not UTF-8 too.
pub async fn everything_is_delivered_once_in_order<S: InboxSubject>(subject: &mut S) {
    let mut given = bodies(40);
    given.push(vec![0xff, 0xfe, 0x00, 0x80]);
    given.push(b" \t spaces are kept \t ".to_vec());
    given.push(b"last".to_vec());
    for max in [1, 7, 1000] {
        let mut inbox = subject.open("ordered", &given, BODY_MAX_BYTES).await;
        let all = drain(&mut inbox, max).await;
        assert!(
            all[0].position >= 1 && all.is_sorted_by(|a, b| a.position < b.position),
            "positions rise from 1"
        );
        assert_eq!(bytes(all), given, "{max} at a time");
        assert_eq!(inbox.next(max).await.unwrap(), [], "the end stays the end");
    }
}

/// "The same position of the same inbox MUST always hold the same bytes": a second reading gives the same, and
/// another inbox has another id.
pub async fn a_position_always_holds_the_same<S: InboxSubject>(subject: &mut S) {
    let given = bodies(20);
    let mut first = subject.open("one", &given, BODY_MAX_BYTES).await;
    let id = first.id();
    let read = drain(&mut first, 3).await;
    assert_eq!(first.id(), id, "reading does not change the id");
    drop(first);
    let mut second = subject.open("one", &given, BODY_MAX_BYTES).await;
    assert_eq!(second.id(), id, "the same inbox after a restart");
    assert_eq!(drain(&mut second, 11).await, read);
    drop(second);
    let other = subject.open("two", &bodies(5), BODY_MAX_BYTES).await;
    assert_ne!(other.id(), id, "another inbox");
}

/// "A reader MUST hold no more than one batch in memory": a batch is at most what was asked for, and the next one
/// goes on behind it.
pub async fn a_batch_is_no_larger_than_asked_for<S: InboxSubject>(subject: &mut S) {
    let given = bodies(10);
    let mut inbox = subject.open("batches", &given, BODY_MAX_BYTES).await;
    let mut all = Vec::new();
    for max in [1, 2, 3, 4] {
        let batch = inbox.next(max).await.unwrap();
        assert!(!batch.is_empty() && batch.len() <= max, "{} of {max}", batch.len());
        all.extend(batch);
    }
    all.extend(drain(&mut inbox, 100).await);
    assert_eq!(bytes(all), given);
}

/// "and no body beyond the limit it was given": it comes cut, with its length told, and harms no neighbour. The limit
/// itself is within the limit.
pub async fn what_is_too_long_is_cut_and_told<S: InboxSubject>(subject: &mut S) {
    let lengths = [BODY_MAX_BYTES, BODY_MAX_BYTES + 1, 5, 700_000, 7, BODY_MAX_BYTES + 1];
    let given: Vec<Vec<u8>> = lengths.iter().map(|length| vec![b'a' + (length % 7) as u8; *length]).collect();
    let mut inbox = subject.open("long", &given, BODY_MAX_BYTES).await;
    let all = drain(&mut inbox, 4).await;
    assert_eq!(all.len(), given.len());
    for (delivery, whole) in all.iter().zip(&given) {
        match &delivery.body {
            Body::Bytes(bytes) => {
                assert!(bytes.len() <= BODY_MAX_BYTES, "{} bytes are over the limit", bytes.len());
                assert_eq!(bytes, whole);
            }
            Body::TooLong { prefix, length_bytes } => {
                assert!(whole.len() > BODY_MAX_BYTES, "{} bytes are within the limit", whole.len());
                assert_eq!(*length_bytes, whole.len() as u64);
                assert!(prefix.len() <= BODY_MAX_BYTES && whole.starts_with(prefix), "its beginning");
            }
        }
    }
}

/// "of those that were given before", from any position to any other, and `next` goes on where it was; an inbox that is read once
/// says so.
pub async fn what_was_given_is_given_again<S: InboxSubject>(subject: &mut S) {
    let given = bodies(12);
    let mut inbox = subject.open("again", &given, BODY_MAX_BYTES).await;
    let mut first: Vec<Delivery> = Vec::new();
    while first.len() < 8 {
        first.extend(inbox.next(8 - first.len()).await.unwrap());
    }
    let (begin, end) = (first[0].position - 1, first[7].position);
    if !inbox.reads_again() {
        assert!(inbox.again(begin, end, 4).await.is_err());
        return;
    }
    for (after, up_to, wanted) in [
        (begin, end, &first[..]),
        (first[2].position, first[5].position, &first[3..6]),
        (first[6].position, u64::MAX, &first[7..]),
        (end, u64::MAX, &[]),
    ] {
        for max in [1, 3, 100] {
            let mut read: Vec<Delivery> = Vec::new();
            loop {
                let from = read.last().map_or(after, |last| last.position);
                let some = inbox.again(from, up_to, max).await.unwrap();
                assert!(some.len() <= max, "{} deliveries where {max} were asked for", some.len());
                if some.is_empty() {
                    break;
                }
                read.extend(some);
            }
            assert_eq!(read, wanted, "behind {after} up to {up_to}, {max} at a time");
        }
    }
    let all: Vec<Delivery> = first.into_iter().chain(drain(&mut inbox, 5).await).collect();
    assert_eq!(bytes(all), given, "`next` goes on where it was");
}

/// "Dropping a future MUST lose nothing", whether or not it was begun.
pub async fn a_read_that_is_dropped_loses_nothing<S: InboxSubject>(subject: &mut S) {
    let given = bodies(9);
    let mut inbox = subject.open("dropped", &given, BODY_MAX_BYTES).await;
    let mut all = inbox.next(2).await.unwrap();
    drop(inbox.next(3));
    all.extend(drain(&mut inbox, 4).await);
    assert_eq!(bytes(all), given);
}
