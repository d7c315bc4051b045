//! Records that do not belong where they are found, and what a build can't carry out.

use super::*;
use crate::codec::CodecError;
use crate::codec::v1::{self, BodyV1, CheckpointV1, ClosedOutcomeV1, ClosedV1, EventV1, RecordV1, VerdictV1};
use crate::order::FoldError;

/// The log of an order with three records.
fn history() -> Vec<Vec<u8>> {
    let mut given = given_a_placed_order();
    for id in ["q", "r"] {
        given.when(&place(&the_order(), id));
        given.then_committed();
    }
    given.log
}

fn folded(records: &[&Vec<u8>]) -> Result<Aggregate, FoldError> {
    let mut aggregate = Aggregate::new(the_order());
    records.iter().try_for_each(|record| aggregate.fold(record, 1000))?;
    Ok(aggregate)
}

#[track_caller]
fn broken(records: &[&Vec<u8>], why: &str) {
    let Err(FoldError::Chain { what, .. }) = folded(records) else { panic!("{why}: folded") };
    assert!(what.contains(why), "{what:?} where {why:?} was expected");
}

fn changed(record: &[u8], change: impl FnOnce(&mut RecordV1)) -> Vec<u8> {
    let mut record = v1::decode(record).unwrap();
    change(&mut record);
    v1::encode(&record).unwrap()
}

fn with_placed(change: impl FnOnce(&mut v1::PlacedV1)) -> Vec<u8> {
    changed(&history()[0], |record| {
        let BodyV1::Decisions(decisions) = &mut record.body else { panic!("decisions") };
        let EventV1::Placed(placed) = &mut decisions[0].events[0] else { panic!("placed") };
        change(placed);
    })
}

#[test]
fn only_the_next_record_of_the_chain_is_folded() {
    let log = history();
    assert_eq!(folded(&[&log[0], &log[1], &log[2]]).unwrap().revision, 3);
    broken(&[&log[1]], "missing or repeated");
    broken(&[&log[0], &log[2]], "missing or repeated");
    broken(&[&log[0], &log[0]], "missing or repeated");
    broken(&[&changed(&log[0], |record| record.order = "o-2".into())], "another order's");
    broken(&[&changed(&log[0], |record| record.tenant = "cdnow2".into())], "another order's");
    broken(&[&log[0], &changed(&log[1], |record| record.previous[31] ^= 1)], "follows another");
    let forged = changed(&log[0], |record| {
        let BodyV1::Decisions(decisions) = &mut record.body else { panic!("decisions") };
        decisions[0].received_ms += 1;
    });
    broken(&[&forged, &log[1]], "follows another");
}

#[test]
fn versions_count_what_was_applied() {
    let log = history();
    let verdict = |number: usize, verdict: VerdictV1| {
        changed(&log[number], |record| {
            let BodyV1::Decisions(decisions) = &mut record.body else { panic!("decisions") };
            decisions[0].verdict = verdict;
        })
    };
    for version in [0, 2, u64::MAX] {
        broken(&[&verdict(0, VerdictV1::Applied { version })], "version");
        let (code, message) = ("order_exists".to_owned(), String::new());
        broken(&[&log[0], &verdict(1, VerdictV1::Rejected { version, code, message })], "version");
    }
}

#[test]
fn a_code_that_a_newer_build_gave_is_unsupported() {
    let log = history();
    let newer = changed(&log[1], |record| {
        let BodyV1::Decisions(decisions) = &mut record.body else { panic!("decisions") };
        decisions[0].verdict =
            VerdictV1::Rejected { version: 1, code: "brand_new".into(), message: "m".into() };
    });
    for answer in [folded(&[&log[0], &newer]).map(drop), Aggregate::outcomes_in(&newer).map(drop)] {
        assert!(matches!(answer, Err(FoldError::Codec(CodecError::Unsupported { .. }))), "{answer:?}");
    }
}

/// The shapes can say more than this build carries out: it says so, rather than lose a part in the next snapshot.
#[test]
fn a_part_that_this_build_cannot_carry_out_is_unsupported_and_not_lost() {
    let delivery = v1::DeliveryV1 { method: Some("m".into()), address_ref: None, line_ids: vec![] };
    let by_line = v1::DeliveryV1 { line_ids: vec!["1".into()], method: None, ..delivery.clone() };
    let of_no_method = v1::DeliveryV1 { method: None, ..delivery.clone() };
    let of_no_means = v1::PaymentV1 { payment_id: "1".into(), token_ref: None, amount_minor: 1999 };
    let records = [
        with_placed(|placed| placed.deliveries = vec![delivery.clone(), delivery.clone()]),
        with_placed(|placed| placed.deliveries = vec![of_no_method]),
        with_placed(|placed| placed.payments = vec![of_no_means]),
    ];
    for record in &records {
        let answer = folded(&[record]);
        assert!(matches!(answer, Err(FoldError::Codec(CodecError::Unsupported { .. }))), "{answer:?}");
    }
    folded(&[&with_placed(|placed| placed.deliveries = vec![delivery, by_line])]).unwrap();
}

#[test]
fn what_nobody_can_have_placed_is_corrupt() {
    let records = [
        with_placed(|placed| placed.currency = *b"xx\xff"),
        with_placed(|placed| placed.currency = *b"XXX"),
        with_placed(|placed| placed.lines[0].quantity = u64::MAX),
    ];
    for record in &records {
        let answer = folded(&[record]);
        assert!(matches!(answer, Err(FoldError::Codec(CodecError::Corrupt(_)))), "{answer:?}");
    }
}

fn body(body: BodyV1) -> Vec<u8> {
    changed(&history()[2], |record| record.body = body)
}

/// A closed order keeps its outcomes: a command that comes again must not look new.
#[test]
fn outcomes_are_found_in_a_closed_order() {
    let outcome = ClosedOutcomeV1 {
        source: "/contract".into(),
        id: "p".into(),
        content_hash: place(&the_order(), "p").content_hash,
        verdict: VerdictV1::Applied { version: 1 },
    };
    let closed =
        ClosedV1 { summary: vec![], outcomes: vec![outcome], location: String::new(), chain: [0; 32] };
    let found = Aggregate::outcomes_in(&body(BodyV1::Closed(closed))).unwrap();
    assert_eq!(
        (found.len(), &found[0].key, &found[0].verdict),
        (1, &place(&the_order(), "p").key, &applied(1))
    );
}

/// A checkpoint stands for ids that it does not name: "not among them" would be a guess.
#[test]
fn a_checkpoint_does_not_say_that_an_id_is_new() {
    let checkpoint = CheckpointV1 {
        version: 1,
        revision: 2,
        state: vec![],
        ids_digest: [0; 32],
        deadline: v1::DeadlineV1::Keep,
    };
    let answer = Aggregate::outcomes_in(&body(BodyV1::Checkpoint(checkpoint)));
    assert!(matches!(answer, Err(FoldError::Codec(CodecError::Unsupported { .. }))), "{answer:?}");
}

#[test]
fn a_snapshot_of_another_order_or_log_is_not_believed() {
    let log = history();
    let aggregate = folded(&[&log[0], &log[1]]).unwrap();
    let bytes = aggregate.to_snapshot([1; 16]).unwrap();
    assert_eq!(Aggregate::from_snapshot(&the_order(), [1; 16], &bytes).unwrap(), aggregate);
    assert!(Aggregate::from_snapshot(&the_order(), [2; 16], &bytes).is_err());
    assert!(Aggregate::from_snapshot(&order("cdnow", "o-2"), [1; 16], &bytes).is_err());
    assert!(Aggregate::from_snapshot(&the_order(), [1; 16], &bytes[..bytes.len() - 1]).is_err());
    assert!(Aggregate::from_snapshot(&the_order(), [1; 16], &log[0]).is_err());
}
