"""Into any slim network's end points: a table, their values, what each of them sees."""

from slim_resnet._lazy import face

__getattr__, __dir__, __all__ = face(__name__, {
    "table": "LEVELS EndPoint EndPoints Summary own_ops select summary total",
    "activations": "Statistics StatisticsRows statistics layer_statistics doubts",
    "receptive_field": "Sight sights",
    "times": "EndPointTime TimedRows Times time",
    "keys": "choose choose_one nearest_keys",
})
