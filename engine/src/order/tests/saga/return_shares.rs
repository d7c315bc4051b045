//! What returns pay: each its own share, whatever others were paid.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::order::view_of;
use crate::wire::return_rules::{RefundRule, ReturnRules};

/// A completed order of these lines (id, units, amount) and components of its own, under these rules.
fn completed(lines: &[(&str, u32, i64)], components: &[(&str, i64)], rules: ReturnRules) -> World {
    let line = |(id, quantity, amount): &(&str, u32, i64)| json!({ "line_id": id, "sku": "s", "quantity": quantity, "amount_minor": amount });
    let component = |(kind, amount): &(&str, i64)| json!({ "kind": kind, "amount_minor": amount });
    let mut world = World::empty();
    world.context.policy.returns = rules;
    let placed = place_of(json!({ "customer": "c", "currency": "EUR",
        "lines": lines.iter().map(line).collect::<Vec<Value>>(),
        "components": components.iter().map(component).collect::<Vec<Value>>() }));
    assert_eq!(world.ask(placed), Code::Applied);
    world.runs_out();
    assert_eq!(world.status(), OrderStatus::Completed);
    // What is in force later is nothing to an order that was placed before.
    world.context.policy.returns = ReturnRules { shipping: RefundRule::ProRata, ..ReturnRules::NEVER };
    world
}

fn plain(lines: &[(&str, u32, i64)]) -> World {
    completed(lines, &[], ReturnRules::NEVER)
}

fn units(line: &str, quantity: u32) -> Value {
    json!({ "line_id": line, "quantity": quantity })
}

fn paying(line: &str, quantity: u32, amount: i64) -> Value {
    json!({ "line_id": line, "quantity": quantity, "amount_minor": amount })
}

/// What a return of these pays back, and whether its answer says that it was capped.
fn pays(world: &mut World, lines: &[Value]) -> (i64, bool) {
    let before = world.totals().refunded_minor;
    assert_eq!(world.ask(returning(json!(lines))), Code::Applied);
    let capped = world.said.message().contains("capped");
    assert_eq!(capped, world.said.remark.is_some());
    assert_eq!(world.said.code(), Code::Applied);
    world.runs_out();
    (world.totals().refunded_minor - before, capped)
}

#[test]
fn what_one_return_was_paid_moves_no_other() {
    // A fee of 1450 was kept, and stays with the shop.
    let mut world = plain(&[("a", 3, 7350)]);
    assert_eq!(pays(&mut world, &[paying("a", 1, 1000)]), (1000, false));
    assert_eq!(pays(&mut world, &[units("a", 1)]), (2450, false));
    assert_eq!(world.totals().refunded_minor, 3450);

    let mut world = plain(&[("a", 2, 2000)]);
    assert_eq!(pays(&mut world, &[paying("a", 1, 800)]), (800, false));
    assert_eq!(pays(&mut world, &[units("a", 1)]), (1000, false));
    assert_eq!(world.totals().refunded_minor, 1800, "200 stay with the shop");

    // Goodwill beyond a line's amount is between the shop and its customer, as long as it was paid.
    let mut world = plain(&[("a", 1, 1000), ("b", 1, 1000)]);
    assert_eq!(pays(&mut world, &[paying("a", 1, 1500)]), (1500, false));
    assert_eq!(pays(&mut world, &[units("b", 1)]), (500, true));
}

#[test]
fn no_more_is_paid_back_than_was_captured_and_the_answer_says_so() {
    let mut world = plain(&[("a", 3, 3000)]);
    assert_eq!(pays(&mut world, &[paying("a", 1, 2500)]), (2500, false));
    assert_eq!(pays(&mut world, &[units("a", 1)]), (500, true));
    let said = world.said.message().to_owned();
    assert!(said.contains("pays 500, not 1000") && said.contains("3000 captured"), "{said}");
    assert_eq!(pays(&mut world, &[units("a", 1)]), (0, true));
    assert_eq!(world.totals().refunded_minor, 3000);

    // What is on its way counts as paid.
    let mut world = plain(&[("a", 3, 3000)]);
    assert_eq!(world.ask(returning(json!([paying("a", 1, 2500)]))), Code::Applied);
    assert_eq!(world.ask(returning(json!([units("a", 1)]))), Code::Applied);
    assert!(world.said.message().contains("capped"), "{}", world.said.message());

    // In one return, what was agreed on goes first, wherever it stands.
    let mut world = plain(&[("a", 1, 1000), ("b", 1, 1000)]);
    assert_eq!(pays(&mut world, &[units("a", 1), paying("b", 1, 1800)]), (2000, true));
}

/// The answer to the same command again is the first one, to the letter.
#[test]
fn that_it_was_capped_is_in_the_record_and_in_the_history() {
    let mut world = plain(&[("a", 2, 2000)]);
    pays(&mut world, &[paying("a", 1, 1500)]);
    assert_eq!(world.ask(returning(json!([units("a", 1)]))), Code::Applied);
    let said = world.said.clone();
    let outcomes = Aggregate::outcomes_in(world.log.last().unwrap()).unwrap();
    assert_eq!(outcomes.last().unwrap().verdict, said);
    let history = crate::order::history(&world.log[world.log.len() - 1..], 0, 10).unwrap();
    assert_eq!((history[0].code, history[0].message.as_str()), (Code::Applied, said.message()));
}

#[test]
fn a_discount_on_the_order_follows_the_goods() {
    let mut world =
        completed(&[("A", 1, 10_000), ("B", 1, 10_000)], &[("discount", -10_000)], ReturnRules::NEVER);
    assert_eq!(world.totals().captured_minor, 10_000);
    assert_eq!(pays(&mut world, &[units("A", 1)]), (5000, false));
    assert_eq!(pays(&mut world, &[units("B", 1)]), (5000, false));

    let mut world =
        completed(&[("A", 1, 10_000), ("B", 1, 5_000)], &[("discount", -3_000)], ReturnRules::NEVER);
    assert_eq!(pays(&mut world, &[units("A", 1)]), (8000, false));
    let view = view_of(&world.aggregate, None).unwrap().unwrap();
    let allocated: Vec<_> = view.lines.iter().map(|line| line.allocated_minor.unwrap().minor()).collect();
    assert_eq!(allocated, [-2000, -1000]);
}

#[test]
fn shipping_tax_and_fees_come_back_by_the_rules_of_the_placement() {
    use RefundRule::{Never, ProRata, WithLastUnit};
    let parts = [("shipping", 500), ("tax", 190)];
    for (shipping, tax, first, second) in [
        (Never, Never, 1000, 1000),
        (WithLastUnit, Never, 1000, 1500),
        (WithLastUnit, WithLastUnit, 1000, 1690),
        (ProRata, Never, 1250, 1250),
        (ProRata, ProRata, 1345, 1345),
        (WithLastUnit, ProRata, 1095, 1595),
    ] {
        let rules = ReturnRules { shipping, tax, fee: Never };
        let mut world = completed(&[("a", 2, 2000)], &parts, rules);
        assert_eq!(pays(&mut world, &[units("a", 1)]), (first, false), "{rules:?}");
        assert_eq!(pays(&mut world, &[units("a", 1)]), (second, false), "{rules:?}");
        let mut world = completed(&[("a", 2, 2000)], &parts, rules);
        assert_eq!(pays(&mut world, &[units("a", 2)]), (first + second, false), "{rules:?}");
        // An explicit amount is all that its units bring.
        let mut world = completed(&[("a", 2, 2000)], &parts, rules);
        assert_eq!(pays(&mut world, &[paying("a", 2, 1900)]), (1900, false), "{rules:?}");
    }
    let rules = ReturnRules { fee: WithLastUnit, ..ReturnRules::NEVER };
    let mut world = completed(&[("a", 1, 700), ("b", 1, 300)], &[("fee", 90)], rules);
    assert_eq!(
        pays(&mut world, &[units("b", 1)]),
        (300, false),
        "the last unit of a line is not the order's"
    );
    assert_eq!(pays(&mut world, &[units("a", 1)]), (790, false));
}

/// An order that was placed before the rules were recorded keeps what its shop kept then.
#[test]
fn the_rules_are_recorded_with_the_placement_where_there_are_any() {
    let world = plain(&[("a", 1, 100)]);
    let history = crate::order::history(&world.log[..1], 0, 10).unwrap();
    assert_eq!(history[0].events, ["placed", "reserve asked for"]);
    let rules = ReturnRules { tax: RefundRule::ProRata, ..ReturnRules::NEVER };
    let world = completed(&[("a", 1, 100)], &[], rules);
    let history = crate::order::history(&world.log[..1], 0, 10).unwrap();
    assert_eq!(history[0].events, ["placed", "return rules set", "reserve asked for"]);
    assert_eq!(World::from_log(&world.log).order().saga.return_rules, rules);
}

#[test]
fn a_rejection_names_the_place_in_the_command() {
    let mut world = plain(&[("a", 2, 2000), ("b", 1, 500)]);
    for (lines, code, path) in [
        (json!([units("a", 1), units("z", 1)]), Code::UnknownLine, "data.lines[1].line_id"),
        (json!([units("a", 3)]), Code::OverReturn, "data.lines[0].quantity"),
        (json!([units("b", 1), paying("a", 1, 2501)]), Code::OverRefund, "data.lines[1].amount_minor"),
    ] {
        assert_eq!(world.ask(returning(lines)), code);
        assert_eq!(world.said.path(), Some(path));
        let outcomes = Aggregate::outcomes_in(world.log.last().unwrap()).unwrap();
        assert_eq!(outcomes.last().unwrap().verdict, world.said, "the same command again is told the same");
    }
}

#[test]
fn amounts_of_twelve_digits_and_more_are_exact() {
    let most = (1 << 53) - 1;
    for amount in [999_999_999_999, most - 2] {
        let mut world =
            completed(&[("a", 1_000_000, amount), ("b", 7, 2)], &[("discount", -1)], ReturnRules::NEVER);
        let first = pays(&mut world, &[units("a", 333_333)]).0;
        let second = pays(&mut world, &[units("b", 3), units("a", 666_666)]).0;
        let third = pays(&mut world, &[units("a", 1), units("b", 4)]).0;
        assert_eq!(i128::from(first) + i128::from(second) + i128::from(third), i128::from(amount) + 1);
    }
}

fn rule() -> impl Strategy<Value = RefundRule> {
    prop::sample::select(RefundRule::ALL.to_vec())
}

prop_compose! {
    /// Lines, components that leave something to pay, and rules.
    fn orders()(
        lines in prop::collection::vec((1_u32..6, 0_i64..100_000), 1..6),
        off in 0_i64..=100,
        beside in prop::collection::vec((prop::sample::select(vec!["shipping", "tax", "fee", "goods"]), 0_i64..1000), 0..4),
        (shipping, tax, fee) in (rule(), rule(), rule()),
    ) -> (Vec<(u32, i64)>, Vec<(&'static str, i64)>, ReturnRules) {
        let goods: i64 = lines.iter().map(|(_, amount)| amount).sum();
        let mut components = beside;
        components.push(("discount", -(goods * off / 100)));
        (lines, components, ReturnRules { shipping, tax, fee })
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// However an order comes back in parts, all of it pays the goods with their discounts, and what the rules say of the
    /// rest; with explicit amounts among them, never more than was captured.
    #[test]
    fn all_parts_together_pay_what_is_due(
        (lines, components, rules) in orders(),
        order in prop::collection::vec((0_usize..6, 1_u32..4, prop::option::weighted(0.2, 0_i64..50_000)), 0..30),
        explicit in any::<bool>(),
    ) {
        let names = ["a", "b", "c", "d", "e", "f"];
        let named: Vec<_> = names.iter().zip(&lines).map(|(id, (units, amount))| (*id, *units, *amount)).collect();
        let mut world = completed(&named, &components, rules);
        let captured = world.totals().captured_minor;
        let mut left: Vec<u32> = lines.iter().map(|(units, _)| *units).collect();
        let mut return_some = |world: &mut World, at: usize, units_back: u32, amount: Option<i64>| {
            let back = units_back.min(left[at]);
            if back == 0 {
                return;
            }
            let room = captured - world.totals().refunded_minor;
            let part = match amount.filter(|_| explicit) {
                Some(amount) => paying(names[at], back, amount.min(room)),
                None => units(names[at], back),
            };
            pays(world, &[part]);
            left[at] -= back;
        };
        for (at, units_back, amount) in order {
            return_some(&mut world, at % lines.len(), units_back, amount);
            prop_assert!(world.totals().refunded_minor <= captured);
        }
        for at in 0..lines.len() {
            return_some(&mut world, at, u32::MAX, None);
        }
        let refunded = world.totals().refunded_minor;
        prop_assert!(refunded <= captured);
        let comes_back = |kind: &str| match kind {
            "goods" | "discount" => true,
            "shipping" => rules.shipping != RefundRule::Never,
            "tax" => rules.tax != RefundRule::Never,
            _ => rules.fee != RefundRule::Never,
        };
        let goods: i64 = lines.iter().map(|(_, amount)| amount).sum();
        let due = goods + components.iter().filter(|(kind, _)| comes_back(kind)).map(|(_, minor)| minor).sum::<i64>();
        prop_assert!(explicit || refunded == due, "{} of {}", refunded, due);
        prop_assert_eq!(world.totals().restocked_units, lines.iter().map(|(units, _)| u64::from(*units)).sum::<u64>());
    }
}
