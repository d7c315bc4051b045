//! How the goods of an order stand, line by line: in which reservations and shipments they are, and what is lacking.
//!
//! Invariant: what stands in the reservations of an order adds up to `reserved - released` of its
//! [`Totals`](super::Totals), what stands in its shipments to `booked - canceled`. An order that is as it was placed, and
//! whose goods all went one way at once, keeps nothing here: its totals say it all.

use std::sync::Arc;

use super::placed::Placed;
use super::step::StepAt;
use crate::ports::LineUnits;
use crate::wire::command::Step;

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

impl Goods {
    /// What a step of goods makes or undoes; none of other steps.
    #[must_use]
    pub fn lots(&self, step: Step) -> &[Lot] {
        match step {
            Step::Reserve | Step::Release => &self.reservations,
            Step::Book | Step::CancelShipment => &self.shipments,
            Step::Authorize | Step::Capture | Step::Void | Step::Refund | Step::Restock => &[],
        }
    }

    fn lots_mut(&mut self, step: Step) -> Option<&mut Vec<Lot>> {
        match step {
            Step::Reserve | Step::Release => Some(&mut self.reservations),
            Step::Book | Step::CancelShipment => Some(&mut self.shipments),
            Step::Authorize | Step::Capture | Step::Void | Step::Refund | Step::Restock => None,
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
        let lots = self.lots(step);
        let lines = placed.lines.iter().map(|line| LineUnits {
            line_id: line.line_id.as_ref().into(),
            quantity: u64::from(line.quantity).saturating_sub(of_line(lots, &line.line_id)),
        });
        lines.filter(|part| part.quantity > 0).collect()
    }

    /// Units of reservation `number` that nobody wants any more. What is too much is taken from the last reservation.
    #[must_use]
    pub fn surplus_of(&self, number: usize, placed: &Placed) -> Vec<LineUnits> {
        let Some(lot) = self.reservations.get(number) else { return Vec::new() };
        let later = self.reservations.get(number.saturating_add(1)..).unwrap_or_default();
        let parts = lot.units.iter().map(|part| {
            let line = placed.lines.iter().find(|line| *line.line_id == *part.line_id);
            let wanted = line.map_or(0, |line| u64::from(line.quantity)).max(self.booked(&part.line_id));
            let surplus = self.reserved(&part.line_id).saturating_sub(wanted);
            let quantity = surplus.saturating_sub(of_line(later, &part.line_id)).min(part.quantity);
            LineUnits { line_id: part.line_id.clone(), quantity }
        });
        parts.filter(|part| part.quantity > 0).collect()
    }

    /// The next step forward of the kind of `step` (`reserve`, `book`), and of which lot, from 0. What is too much is given
    /// back before more is set aside: another line may be of the same goods.
    #[must_use]
    pub fn forward(&self, step: Step, placed: &Placed) -> Option<(Step, usize)> {
        let lots = self.lots(step);
        let surplus = |number: &usize| !self.surplus_of(*number, placed).is_empty();
        if let Some(number) = (0..lots.len()).rev().find(surplus).filter(|_| step == Step::Reserve) {
            return Some((Step::Release, number));
        }
        (!self.lacking(step, placed).is_empty()).then_some((step, lots.len()))
    }

    /// The lot that a step of the way back undoes next, from 0: the last one that stands.
    #[must_use]
    pub fn backward(&self, step: Step) -> Option<usize> {
        self.lots(step).iter().rposition(|lot| !lot.units.is_empty())
    }

    /// Which units a step of goods is asked for, of which lot. `undoes`: the order turns back, and all of a lot goes.
    #[must_use]
    pub fn asked(&self, at: &StepAt, undoes: bool, placed: &Placed) -> Option<Arc<[LineUnits]>> {
        let number = at.number();
        let units = match at.step {
            Step::Reserve | Step::Book => self.lacking(at.step, placed),
            Step::Release if !undoes => self.surplus_of(number, placed),
            Step::Release | Step::CancelShipment => {
                self.lots(at.step).get(number).map(|lot| lot.units.clone()).unwrap_or_default()
            }
            Step::Authorize | Step::Capture | Step::Void | Step::Refund | Step::Restock => return None,
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
        let mut goods = Goods::default();
        goods.done(Step::Reserve, 0, &units(&[("a", 3), ("b", 1)]));
        goods.done(Step::Reserve, 1, &units(&[("a", 2)]));
        assert_eq!(goods.forward(Step::Reserve, &placed(&[("a", 5), ("b", 1)])), None);
        assert_eq!(goods.forward(Step::Reserve, &placed(&[("a", 6), ("b", 1)])), Some((Step::Reserve, 2)));
        assert_eq!(goods.lacking(Step::Reserve, &placed(&[("a", 6), ("b", 1)])), units(&[("a", 1)]));
        let less = placed(&[("a", 1), ("b", 0)]);
        assert_eq!(goods.forward(Step::Reserve, &less), Some((Step::Release, 1)));
        assert_eq!(goods.asked(&release(1), false, &less).as_deref(), Some(&units(&[("a", 2)])[..]));
        goods.done(Step::Release, 1, &units(&[("a", 2)]));
        assert_eq!(goods.forward(Step::Reserve, &less), Some((Step::Release, 0)));
        assert_eq!(
            goods.asked(&release(0), false, &less).as_deref(),
            Some(&units(&[("a", 2), ("b", 1)])[..])
        );
        assert_eq!(goods.asked(&release(0), true, &less).as_deref(), Some(&units(&[("a", 3), ("b", 1)])[..]));
        goods.done(Step::Release, 0, &units(&[("a", 2), ("b", 1)]));
        assert_eq!((goods.forward(Step::Reserve, &less), goods.reserved("a")), (None, 1));
        assert_eq!((goods.backward(Step::Release), goods.backward(Step::CancelShipment)), (Some(0), None));
    }
}
