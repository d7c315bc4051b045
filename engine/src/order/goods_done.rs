//! From when an order's goods are counted by line, and what a step does to them.

use std::sync::Arc;

use super::goods::{Goods, Lot};
use super::placed::Placed;
use super::saga::Saga;
use super::step::StepAt;
use crate::ports::LineUnits;
use crate::wire::command::Step;

/// All units of an order.
fn all_units(placed: &Placed) -> Vec<LineUnits> {
    let all = placed.lines.iter().filter(|line| line.quantity > 0);
    all.map(|line| LineUnits { line_id: line.line_id.as_ref().into(), quantity: line.quantity.into() })
        .collect()
}

impl Saga {
    /// A step of goods is done: what it is of, by line.
    pub(super) fn goods_done(
        &mut self,
        at: &StepAt,
        units: Option<&Arc<[LineUnits]>>,
        placed: Option<&Placed>,
    ) {
        let Some(goods) = self.goods.as_mut() else { return };
        match (units, placed) {
            (Some(units), _) => Arc::make_mut(goods).done(at.step, at.number(), units),
            (None, Some(placed)) => Arc::make_mut(goods).done(at.step, at.number(), &all_units(placed)),
            (None, None) => {}
        }
    }

    /// From now on the goods are counted by line.
    pub(super) fn count_goods(&mut self, placed: &Placed) {
        if self.goods.is_none() {
            self.goods = Some(Arc::new(self.goods_at_once(placed)));
        }
    }

    /// The goods of an order that went one way at once until now; what its participants call them comes along.
    fn goods_at_once(&mut self, placed: &Placed) -> Goods {
        let mut lot = |step: Step, place: usize| {
            let reference = self.references[place].take();
            let stands = self.is_done(step);
            (stands || reference.is_some())
                .then(|| Lot { reference, units: if stands { all_units(placed) } else { Vec::new() } })
        };
        Goods {
            reservations: lot(Step::Reserve, 0).into_iter().collect(),
            shipments: lot(Step::Book, 1).into_iter().collect(),
        }
    }
}
