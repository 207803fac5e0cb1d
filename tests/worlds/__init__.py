"""What tests share: example and generated values, doubles of the outside, and stages with the product on them."""
