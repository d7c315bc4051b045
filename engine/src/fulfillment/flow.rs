//! The way forward of an order, by the flow of its tenant.

use super::step_table::FORWARD;
use crate::wire::command::Step;
use crate::wire::flow_rules::{BeginsWith, CaptureAt, FlowRules};

/// The steps forward of an order with this flow, in order.
#[must_use]
pub const fn way_forward(flow: &FlowRules) -> [Step; FORWARD.len()] {
    use Step::{Authorize, Book, Capture, Reserve, Review};
    let before_booking = matches!(flow.capture, CaptureAt::BeforeBooking);
    match (flow.begins_with, before_booking) {
        (BeginsWith::Reserve, false) => FORWARD,
        (BeginsWith::Reserve, true) => [Reserve, Authorize, Review, Capture, Book],
        (BeginsWith::Authorize, false) => [Authorize, Reserve, Review, Book, Capture],
        (BeginsWith::Authorize, true) => [Authorize, Reserve, Review, Capture, Book],
    }
}

const fn place(way: &[Step; FORWARD.len()], step: Step) -> usize {
    let mut at = 0;
    while at < way.len() {
        if way[at] as usize == step as usize {
            return at;
        }
        at += 1;
    }
    panic!("a step that is not on the way");
}

// Every flow goes through each step of the table once, and none asks for what another step must give first.
const _: () = {
    let mut flow = FlowRules::DEFAULT;
    let mut begins = 0;
    while begins < BeginsWith::ALL.len() {
        let mut capture = 0;
        while capture < CaptureAt::ALL.len() {
            (flow.begins_with, flow.capture) = (BeginsWith::ALL[begins], CaptureAt::ALL[capture]);
            let way = way_forward(&flow);
            let mut at = 0;
            while at < FORWARD.len() {
                let _ = place(&way, FORWARD[at]);
                at += 1;
            }
            assert!(place(&way, Step::Reserve) < place(&way, Step::Book), "goods that are not reserved");
            assert!(
                place(&way, Step::Authorize) < place(&way, Step::Capture),
                "money that is not authorized"
            );
            assert!(place(&way, Step::Authorize) < place(&way, Step::Book), "a parcel that nobody pays");
            assert!(place(&way, Step::Reserve) < place(&way, Step::Capture), "paid, and not in stock");
            let review = place(&way, Step::Review);
            assert!(
                place(&way, Step::Reserve) < review && place(&way, Step::Authorize) < review,
                "too early"
            );
            assert!(review < place(&way, Step::Capture) && review < place(&way, Step::Book), "too late");
            capture += 1;
        }
        begins += 1;
    }
};
