//! The suite of [`DeadLetters`].

use std::sync::Arc;

use super::Subject;
use retailflow_engine::ids::TimestampMs;
use retailflow_engine::keys::sha256;
use retailflow_engine::ports::{DeadLetter, DeadLetters, StoredDeadLetter};

/// The port under test.
pub type Letters = Arc<dyn DeadLetters>;

/// Runs every check.
pub async fn suite<S: Subject<Port = Letters>>(subject: &mut S) {
    a_letter_is_kept_as_it_was_put(subject).await;
    letters_come_in_the_order_they_were_put(subject).await;
    the_same_key_again_changes_nothing(subject).await;
}

/// A letter as intake puts it away.
#[must_use]
pub fn letter(number: u64) -> DeadLetter {
    let mut key = [0; 16];
    key.copy_from_slice(&sha256(&number.to_le_bytes())[..16]);
    DeadLetter {
        key,
        tenant: (number % 2 == 1).then(|| "no such TENANT".into()),
        origin: format!("commands.jsonl, line {number}"),
        code: "invalid_json".into(),
        reason: "expected `,` or `}` — at column 7".into(),
        body: vec![0xff; usize::try_from(number % 5).unwrap() * 100],
        length_bytes: u64::MAX - number,
        at: TimestampMs(1_700_000_000_000),
    }
}

async fn all(port: &Letters) -> Vec<StoredDeadLetter> {
    port.list(0, usize::MAX).await.unwrap()
}

/// "`put` MUST return only when the letter is as durable as a committed record": every part of it is there after
/// reopening.
pub async fn a_letter_is_kept_as_it_was_put<S: Subject<Port = Letters>>(subject: &mut S) {
    let port = subject.fresh().await;
    assert_eq!(all(&port).await, []);
    for number in 0..6 {
        port.put(letter(number)).await.unwrap();
        assert_eq!(all(&port).await.last().unwrap().letter, letter(number));
    }
    let before = all(&port).await;
    let port = subject.reopen(port).await;
    assert_eq!(all(&port).await, before);
    port.put(letter(6)).await.unwrap();
    assert_eq!(all(&port).await.len(), 7);
}

/// "`list` MUST give letters in the order in which they were put", in pieces as at once; positions rise from 1 at
/// least and stay.
pub async fn letters_come_in_the_order_they_were_put<S: Subject<Port = Letters>>(subject: &mut S) {
    let mut port = subject.fresh().await;
    for number in 0..25 {
        port.put(letter(number)).await.unwrap();
    }
    for _ in 0..2 {
        let listed = all(&port).await;
        assert!(listed.iter().map(|stored| &stored.letter).eq(&(0..25).map(letter).collect::<Vec<_>>()));
        assert!(listed[0].position > 0 && listed.is_sorted_by(|a, b| a.position < b.position));
        for limit in [1, 7] {
            let mut pieces: Vec<StoredDeadLetter> = Vec::new();
            loop {
                let after = pieces.last().map_or(0, |stored| stored.position);
                let piece = port.list(after, limit).await.unwrap();
                assert!(piece.len() <= limit, "{} letters where {limit} were asked for", piece.len());
                if piece.is_empty() {
                    break;
                }
                assert!(piece[0].position > after, "a list after {after} begins at {}", piece[0].position);
                pieces.extend(piece);
            }
            assert_eq!(pieces, listed, "in pieces of {limit}");
        }
        assert_eq!(port.list(0, 0).await.unwrap(), []);
        port = subject.reopen(port).await;
    }
}

/// "A second `put` of the same key MUST change nothing and succeed", before and after reopening, whatever else it
/// says.
pub async fn the_same_key_again_changes_nothing<S: Subject<Port = Letters>>(subject: &mut S) {
    let mut port = subject.fresh().await;
    port.put(letter(1)).await.unwrap();
    port.put(letter(2)).await.unwrap();
    let before = all(&port).await;
    for _ in 0..2 {
        port.put(letter(1)).await.unwrap();
        port.put(DeadLetter { reason: "told in other words".into(), body: vec![], ..letter(2) })
            .await
            .unwrap();
        assert_eq!(all(&port).await, before);
        port = subject.reopen(port).await;
    }
}
