//! How the goods of an order stand, line by line: in which reservations and shipments they are, and what is lacking.
//!
//! Invariant: what stands in the reservations of an order adds up to `reserved - released` of its
//! [`Totals`](super::Totals), what stands in its shipments to `booked - canceled`. An order that is as it was placed, and
//! whose goods all went one way at once, keeps nothing here: its totals say it all.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::placed::{Line, Placed};
use super::plan::Plan;
use super::step::StepAt;
use crate::ids::TimestampMs;
use crate::ports::LineUnits;
use crate::wire::command::Step;
use crate::wire::flow_rules::ShortLines;

/// Reservations, and shipments, of one order over its whole life, at most: who has had so many may cancel it.
pub(crate) const LOTS_MAX: usize = 64;

/// A reservation, or a shipment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lot {
    /// What its participant calls it.
    pub reference: Option<Arc<str>>,
    /// The units that stand in it; lines of which none do are left out.
    pub units: Vec<LineUnits>,
}

impl Lot {
    fn of_line(&self, line_id: &str) -> u64 {
        self.units.iter().find(|part| *part.line_id == *line_id).map_or(0, |part| part.quantity)
    }

    fn add(&mut self, part: &LineUnits) {
        match self.units.iter_mut().find(|known| known.line_id == part.line_id) {
            Some(known) => known.quantity = known.quantity.saturating_add(part.quantity),
            None if part.quantity > 0 => self.units.push(part.clone()),
            None => {}
        }
    }

    fn take(&mut self, part: &LineUnits) {
        if let Some(known) = self.units.iter_mut().find(|known| known.line_id == part.line_id) {
            known.quantity = known.quantity.saturating_sub(part.quantity);
        }
        self.units.retain(|known| known.quantity > 0);
    }
}

/// The goods of an order, in the order of asking.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Goods {
    /// What was set aside and not given back.
    pub reservations: Vec<Lot>,
    /// What was booked and not called off.
    pub shipments: Vec<Lot>,
}

/// Units of a line that stand in some lots.
fn of_line(lots: &[Lot], line_id: &str) -> u64 {
    lots.iter().fold(0, |sum: u64, lot| sum.saturating_add(lot.of_line(line_id)))
}

/// Units by line that stand in some lots.
fn sums(lots: &[Lot]) -> HashMap<&str, u64> {
    let mut sums: HashMap<&str, u64> = HashMap::new();
    for part in lots.iter().flat_map(|lot| &lot.units) {
        let sum = sums.entry(&part.line_id).or_default();
        *sum = sum.saturating_add(part.quantity);
    }
    sums
}

fn of(sums: &HashMap<&str, u64>, line: &Line) -> u64 {
    sums.get(&*line.line_id).copied().unwrap_or(0)
}

/// When the goods of a line can be set aside at the earliest, where that was to come.
fn delivery_from(plan: Option<&Plan>, line: &Line) -> Option<TimestampMs> {
    plan.and_then(|plan| plan.delivery_from(line.delivery))
}

impl Goods {
    /// What a step of goods makes or undoes; none of other steps.
    #[must_use]
    pub fn lots(&self, step: Step) -> &[Lot] {
        match step {
            Step::Reserve | Step::Release => &self.reservations,
            Step::Book | Step::CancelShipment => &self.shipments,
            Step::Authorize | Step::Capture | Step::Void | Step::Refund | Step::Restock | Step::Review => &[],
        }
    }

    fn lots_mut(&mut self, step: Step) -> Option<&mut Vec<Lot>> {
        match step {
            Step::Reserve | Step::Release => Some(&mut self.reservations),
            Step::Book | Step::CancelShipment => Some(&mut self.shipments),
            Step::Authorize | Step::Capture | Step::Void | Step::Refund | Step::Restock | Step::Review => {
                None
            }
        }
    }

    /// Lot `number` of a step, from 0, to be changed; the next one where there is none with that number.
    fn lot_mut(&mut self, step: Step, number: usize) -> Option<&mut Lot> {
        let lots = self.lots_mut(step)?;
        if number >= lots.len() {
            lots.push(Lot::default());
        }
        let last = lots.len().saturating_sub(1);
        lots.get_mut(number.min(last))
    }

    /// What the participant calls what step `step` made as lot `number`.
    #[must_use]
    pub fn reference(&self, step: Step, number: usize) -> Option<&Arc<str>> {
        self.lots(step).get(number)?.reference.as_ref()
    }

    pub(super) fn set_reference(&mut self, step: Step, number: usize, reference: Arc<str>) {
        if let Some(lot) = self.lot_mut(step, number) {
            lot.reference = Some(reference);
        }
    }

    /// A step of goods is done, of these units of lot `number`.
    pub(super) fn done(&mut self, step: Step, number: usize, units: &[LineUnits]) {
        let makes = matches!(step, Step::Reserve | Step::Book);
        if let Some(lot) = self.lot_mut(step, number) {
            units.iter().for_each(|part| if makes { lot.add(part) } else { lot.take(part) });
        }
    }

    /// Units of a line that are set aside.
    #[must_use]
    pub fn reserved(&self, line_id: &str) -> u64 {
        of_line(&self.reservations, line_id)
    }

    /// Units of a line that are booked.
    #[must_use]
    pub fn booked(&self, line_id: &str) -> u64 {
        of_line(&self.shipments, line_id)
    }

    /// Does anything stand in what this step makes?
    #[must_use]
    pub fn stands(&self, step: Step) -> bool {
        self.lots(step).iter().any(|lot| !lot.units.is_empty())
    }

    /// Units that are wanted and that a step forward (`reserve`, `book`) has not done yet.
    #[must_use]
    pub fn lacking(&self, step: Step, placed: &Placed) -> Vec<LineUnits> {
        self.lacking_of(step, placed, |_| true)
    }

    /// The same, of lines that `goes` takes.
    fn lacking_of(&self, step: Step, placed: &Placed, goes: impl Fn(&Line) -> bool) -> Vec<LineUnits> {
        let stands = sums(self.lots(step));
        let lines = placed.lines.iter().filter(|line| goes(line)).map(|line| LineUnits {
            line_id: line.line_id.as_ref().into(),
            quantity: u64::from(line.quantity).saturating_sub(of(&stands, line)),
        });
        lines.filter(|part| part.quantity > 0).collect()
    }

    /// Units that are wanted, not set aside, and to be had by `now`.
    #[must_use]
    pub fn to_reserve(&self, placed: &Placed, plan: Option<&Plan>, now: TimestampMs) -> Vec<LineUnits> {
        self.lacking_of(Step::Reserve, placed, |line| {
            delivery_from(plan, line).is_none_or(|from| from <= now)
        })
    }

    /// When the next of the goods can be set aside that are wanted, and not to be had yet.
    #[must_use]
    pub fn awaited(&self, placed: &Placed, plan: Option<&Plan>, now: TimestampMs) -> Option<TimestampMs> {
        let reserved = sums(&self.reservations);
        let lacking = placed.lines.iter().filter(|line| u64::from(line.quantity) > of(&reserved, line));
        lacking.filter_map(|line| delivery_from(plan, line)).filter(|from| *from > now).min()
    }

    /// What goes with the next shipment: what is set aside of the first delivery of which something is. Nothing of one that
    /// is to go whole and is not all there.
    #[must_use]
    pub fn next_shipment(&self, placed: &Placed, rule: ShortLines) -> Vec<LineUnits> {
        let (reserved, booked) = (sums(&self.reservations), sums(&self.shipments));
        let is_short = |line: &Line| u64::from(line.quantity) > of(&reserved, line);
        let whole = rule != ShortLines::ShipRest;
        let short: HashSet<u16> =
            placed.lines.iter().filter(|line| whole && is_short(line)).map(|line| line.delivery).collect();
        let there = |line: &Line| of(&reserved, line).saturating_sub(of(&booked, line));
        let mut ready = placed.lines.iter().filter(|line| there(line) > 0 && !short.contains(&line.delivery));
        let Some(next) = ready.clone().map(|line| line.delivery).min() else { return Vec::new() };
        ready
            .by_ref()
            .filter(|line| line.delivery == next)
            .map(|line| LineUnits { line_id: line.line_id.as_ref().into(), quantity: there(line) })
            .collect()
    }

    /// Units of reservation `number` that nobody wants any more. What is too much is taken from the last reservation.
    #[must_use]
    pub fn surplus_of(&self, number: usize, placed: &Placed) -> Vec<LineUnits> {
        let Some(lot) = self.reservations.get(number) else { return Vec::new() };
        let later = sums(self.reservations.get(number.saturating_add(1)..).unwrap_or_default());
        let (reserved, booked) = (sums(&self.reservations), sums(&self.shipments));
        let wanted: HashMap<&str, u64> =
            placed.lines.iter().map(|line| (&*line.line_id, u64::from(line.quantity))).collect();
        let in_sum = |sums: &HashMap<&str, u64>, line_id: &str| sums.get(line_id).copied().unwrap_or(0);
        let parts = lot.units.iter().map(|part| {
            let wanted = in_sum(&wanted, &part.line_id).max(in_sum(&booked, &part.line_id));
            let surplus = in_sum(&reserved, &part.line_id).saturating_sub(wanted);
            let quantity = surplus.saturating_sub(in_sum(&later, &part.line_id)).min(part.quantity);
            LineUnits { line_id: part.line_id.clone(), quantity }
        });
        parts.filter(|part| part.quantity > 0).collect()
    }

    /// The reservation, from 0, of which something is not wanted any more; the last one first.
    #[must_use]
    pub fn surplus(&self, placed: &Placed) -> Option<usize> {
        (0..self.reservations.len()).rev().find(|number| !self.surplus_of(*number, placed).is_empty())
    }

    /// The lot that a step of the way back undoes next, from 0: the last one that stands.
    #[must_use]
    pub fn backward(&self, step: Step) -> Option<usize> {
        self.lots(step).iter().rposition(|lot| !lot.units.is_empty())
    }

    /// Which units a step of goods is asked for at `now`, of which lot. `undoes`: the order turns back, and all of a lot goes.
    #[must_use]
    pub fn asked(
        &self,
        at: &StepAt,
        undoes: bool,
        (placed, plan): (&Placed, Option<&Plan>),
        now: TimestampMs,
    ) -> Option<Arc<[LineUnits]>> {
        let number = at.number();
        let units = match at.step {
            Step::Reserve => self.to_reserve(placed, plan, now),
            Step::Book => {
                self.next_shipment(placed, plan.map_or(ShortLines::Wait, |plan| plan.flow.short_lines))
            }
            Step::Release if !undoes => self.surplus_of(number, placed),
            Step::Release | Step::CancelShipment => {
                self.lots(at.step).get(number).map(|lot| lot.units.clone()).unwrap_or_default()
            }
            Step::Authorize | Step::Capture | Step::Void | Step::Refund | Step::Restock | Step::Review => {
                return None;
            }
        };
        (!units.is_empty()).then(|| units.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Currency;
    use crate::order::placed::Line;

    fn units(parts: &[(&str, u64)]) -> Vec<LineUnits> {
        let part =
            |(line_id, quantity): &(&str, u64)| LineUnits { line_id: (*line_id).into(), quantity: *quantity };
        parts.iter().map(part).collect()
    }

    fn placed(parts: &[(&str, u32)]) -> Placed {
        let line = |(line_id, quantity): &(&str, u32)| Line {
            line_id: (*line_id).into(),
            sku: "s".into(),
            quantity: *quantity,
            amount_minor: 0,
            components: Box::default(),
            delivery: 0,
        };
        let lines: Vec<Line> = parts.iter().map(line).collect();
        Placed::new("c", Currency::parse("EUR").unwrap(), 0, lines)
    }

    fn release(number: usize) -> StepAt {
        let part = super::super::payments::Part::of(Step::Release, None, number).write();
        StepAt { step: Step::Release, instance: 1, generation: 1, part }
    }

    #[test]
    fn what_is_too_much_is_taken_from_the_last_reservation() {
        let now = TimestampMs(7);
        let mut goods = Goods::default();
        goods.done(Step::Reserve, 0, &units(&[("a", 3), ("b", 1)]));
        goods.done(Step::Reserve, 1, &units(&[("a", 2)]));
        let all = placed(&[("a", 5), ("b", 1)]);
        assert_eq!((goods.surplus(&all), goods.to_reserve(&all, None, now)), (None, vec![]));
        let more = placed(&[("a", 6), ("b", 1)]);
        assert_eq!(goods.to_reserve(&more, None, now), units(&[("a", 1)]));
        assert_eq!(goods.lacking(Step::Reserve, &more), units(&[("a", 1)]));
        let less = placed(&[("a", 1), ("b", 0)]);
        let asked = |goods: &Goods, number, undoes| {
            goods.asked(&release(number), undoes, (&less, None), now).unwrap().to_vec()
        };
        assert_eq!(goods.surplus(&less), Some(1));
        assert_eq!(asked(&goods, 1, false), units(&[("a", 2)]));
        goods.done(Step::Release, 1, &units(&[("a", 2)]));
        assert_eq!(goods.surplus(&less), Some(0));
        assert_eq!(asked(&goods, 0, false), units(&[("a", 2), ("b", 1)]));
        assert_eq!(asked(&goods, 0, true), units(&[("a", 3), ("b", 1)]));
        goods.done(Step::Release, 0, &units(&[("a", 2), ("b", 1)]));
        assert_eq!((goods.surplus(&less), goods.reserved("a")), (None, 1));
        assert_eq!((goods.backward(Step::Release), goods.backward(Step::CancelShipment)), (Some(0), None));
    }

    #[test]
    fn a_delivery_goes_by_itself_and_whole_unless_the_rest_follows() {
        let mut placed = placed(&[("a", 3), ("b", 1), ("c", 2)]);
        placed.lines[1].delivery = 1;
        placed.lines[2].delivery = 1;
        let mut goods = Goods::default();
        goods.done(Step::Reserve, 0, &units(&[("a", 2), ("b", 1), ("c", 2)]));
        assert_eq!(goods.next_shipment(&placed, ShortLines::Wait), units(&[("b", 1), ("c", 2)]));
        assert_eq!(goods.next_shipment(&placed, ShortLines::ShipRest), units(&[("a", 2)]));
        goods.done(Step::Book, 0, &units(&[("b", 1), ("c", 2)]));
        assert_eq!(goods.next_shipment(&placed, ShortLines::Wait), vec![]);
        goods.done(Step::Reserve, 1, &units(&[("a", 1)]));
        assert_eq!(goods.next_shipment(&placed, ShortLines::Wait), units(&[("a", 3)]));
    }
}
