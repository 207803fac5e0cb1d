INSERT INTO orders (order_id, country, amount_cents, ordered_at)
SELECT order_id, country, amount_cents, ordered_at
FROM staging_orders
ON CONFLICT (order_id) DO UPDATE
SET amount_cents = EXCLUDED.amount_cents;
