"""research/slim's data sets: TFRecord files as its converters wrote them."""
