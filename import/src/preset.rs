//! What the exports of shops look like: the names of their columns, and what stands in them.
//!
//! Only names are known here. What a shop's numbers mean together is checked by its own total (`totals.rs`), never assumed.

use retailflow_engine::wire::command::ComponentKind;

use crate::AmountPer;

/// Whose export it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Preset {
    /// Shopify: the orders' CSV export of the admin
    Shopify,
    /// WooCommerce: "Advanced Order Export", with its columns of products
    Woocommerce,
    /// Magento, Adobe Commerce: orders with items by the names of their fields, or the CSV of the grid of orders
    Magento,
    /// Amazon: the report of all orders, or the order report, separated by tabs
    Amazon,
}

/// Which amounts a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Of the row's line, and a part of its price.
    Line,
    /// Of the order, a share of it in each row.
    Row,
    /// Of the order, in its first row or the same in all.
    Order,
}

/// How a file tells what came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returned {
    /// Units that came back.
    Units(&'static str),
    /// Units that are left, beside those that were ordered.
    Left(&'static str),
}

/// One form of a shop's export. Of several names the first that is there is taken.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    pub delimiter: u8,
    /// Taken off the orders' names.
    pub strip: &'static str,
    pub order: &'static [&'static str],
    pub customer: &'static [&'static str],
    /// Where no column says who ordered.
    pub customer_otherwise: Option<&'static str>,
    /// None: one unit.
    pub quantity: &'static [&'static str],
    pub amount: &'static [(&'static str, AmountPer)],
    /// The first that is not empty says what was ordered.
    pub sku: &'static [&'static str],
    pub time: &'static [&'static str],
    pub time_formats: &'static [&'static str],
    pub currency: &'static [&'static str],
    pub parts: &'static [(&'static str, ComponentKind, Scope)],
    pub total: &'static [&'static str],
    pub refunded: &'static [&'static str],
    pub returned: Option<Returned>,
    /// Columns that say that the order is none any more, with what they say then; nothing: anything.
    pub canceled: &'static [(&'static str, &'static [&'static str])],
}

impl Preset {
    /// The forms that its exports have.
    pub const fn layouts(self) -> &'static [Layout] {
        match self {
            Self::Shopify => &[SHOPIFY],
            Self::Woocommerce => &[WOOCOMMERCE],
            Self::Magento => &[MAGENTO_ITEMS, MAGENTO_GRID],
            Self::Amazon => &[AMAZON],
        }
    }

    /// The form that a file with these columns has: the first whose order and amount are there.
    pub fn layout(self, header: &[String]) -> &'static Layout {
        let layouts = self.layouts();
        let has = |name: &str| header.iter().any(|column| column == name);
        let fits = |layout: &&Layout| {
            layout.order.iter().any(|name| has(name)) && layout.amount.iter().any(|(name, _)| has(name))
        };
        layouts.iter().find(fits).unwrap_or(&layouts[0])
    }
}

const SHOPIFY: Layout = Layout {
    delimiter: b',',
    strip: "#",
    order: &["Name"],
    customer: &["Email"],
    customer_otherwise: Some("guest"),
    quantity: &["Lineitem quantity"],
    amount: &[("Lineitem price", AmountPer::Unit)],
    sku: &["Lineitem sku", "Lineitem name"],
    time: &["Created at"],
    time_formats: &["%Y-%m-%d %H:%M:%S %z"],
    currency: &["Currency"],
    parts: &[
        ("Lineitem discount", ComponentKind::Discount, Scope::Line),
        ("Discount Amount", ComponentKind::Discount, Scope::Order),
        ("Shipping", ComponentKind::Shipping, Scope::Order),
        ("Taxes", ComponentKind::Tax, Scope::Order),
        ("Duties", ComponentKind::Fee, Scope::Order),
    ],
    total: &["Total"],
    refunded: &["Refunded Amount"],
    returned: None,
    canceled: &[("Cancelled at", &[])],
};

const WOOCOMMERCE: Layout = Layout {
    delimiter: b',',
    strip: "#",
    order: &["Order Number", "Order ID"],
    customer: &["Email (Billing)"],
    customer_otherwise: Some("guest"),
    quantity: &["Quantity", "Quantity (- Refund)"],
    amount: &[("Order Line Subtotal", AmountPer::Row), ("Item Cost", AmountPer::Unit)],
    sku: &["SKU", "Item Name"],
    time: &["Order Date"],
    time_formats: &["%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"],
    currency: &["Order Currency", "Currency"],
    parts: &[
        ("Cart Discount Amount", ComponentKind::Discount, Scope::Order),
        ("Order Shipping Amount", ComponentKind::Shipping, Scope::Order),
        ("Order Total Tax Amount", ComponentKind::Tax, Scope::Order),
        ("Order Total Fee", ComponentKind::Fee, Scope::Order),
    ],
    total: &["Order Total Amount"],
    refunded: &["Order Refund Amount"],
    returned: Some(Returned::Left("Quantity (- Refund)")),
    canceled: &[(
        "Order Status",
        &["cancelled", "canceled", "failed", "trash", "draft", "wc-cancelled", "wc-failed"],
    )],
};

const MAGENTO_ITEMS: Layout = Layout {
    delimiter: b',',
    strip: "",
    order: &["increment_id"],
    customer: &["customer_id", "customer_email"],
    customer_otherwise: Some("guest"),
    quantity: &["qty_ordered"],
    amount: &[("row_total", AmountPer::Row), ("price", AmountPer::Unit)],
    sku: &["sku", "name"],
    time: &["created_at"],
    time_formats: &["%Y-%m-%d %H:%M:%S"],
    currency: &["order_currency_code"],
    parts: &[
        ("discount_amount", ComponentKind::Discount, Scope::Line),
        ("tax_amount", ComponentKind::Tax, Scope::Line),
        ("shipping_amount", ComponentKind::Shipping, Scope::Order),
        ("shipping_tax_amount", ComponentKind::Tax, Scope::Order),
        ("shipping_discount_amount", ComponentKind::Discount, Scope::Order),
    ],
    total: &["grand_total"],
    refunded: &["total_refunded"],
    returned: Some(Returned::Units("qty_refunded")),
    canceled: &[("status", &["canceled", "cancelled"]), ("state", &["canceled", "cancelled"])],
};

const MAGENTO_GRID: Layout = Layout {
    order: &["ID"],
    customer: &["Customer Email", "Customer Name"],
    quantity: &[],
    amount: &[("Subtotal", AmountPer::Row)],
    sku: &[],
    time: &["Purchase Date"],
    time_formats: &["%Y-%m-%d %H:%M:%S", "%b %d, %Y %I:%M:%S %p", "%b %d, %Y, %I:%M:%S %p"],
    currency: &["Currency"],
    parts: &[
        ("Shipping and Handling", ComponentKind::Shipping, Scope::Order),
        ("Tax Amount", ComponentKind::Tax, Scope::Order),
        ("Discount Amount", ComponentKind::Discount, Scope::Order),
    ],
    total: &["Grand Total (Purchased)"],
    refunded: &["Total Refunded"],
    returned: None,
    canceled: &[("Status", &["canceled", "cancelled"])],
    ..MAGENTO_ITEMS
};

const AMAZON: Layout = Layout {
    delimiter: b'\t',
    strip: "",
    order: &["amazon-order-id", "order-id"],
    customer: &["buyer-email"],
    customer_otherwise: Some("amazon"),
    quantity: &["quantity", "quantity-purchased"],
    amount: &[("item-price", AmountPer::Row)],
    sku: &["sku", "product-name"],
    time: &["purchase-date"],
    time_formats: &[],
    currency: &["currency"],
    parts: &[
        ("item-promotion-discount", ComponentKind::Discount, Scope::Line),
        ("item-tax", ComponentKind::Tax, Scope::Line),
        ("shipping-price", ComponentKind::Shipping, Scope::Row),
        ("shipping-tax", ComponentKind::Tax, Scope::Row),
        ("gift-wrap-price", ComponentKind::Fee, Scope::Row),
        ("gift-wrap-tax", ComponentKind::Tax, Scope::Row),
        ("ship-promotion-discount", ComponentKind::Discount, Scope::Row),
    ],
    total: &[],
    refunded: &[],
    returned: None,
    canceled: &[("order-status", &["cancelled", "canceled"]), ("item-status", &["cancelled", "canceled"])],
};
